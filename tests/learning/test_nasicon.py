from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hts_battery.learning import nasicon_tolerance_2021


@pytest.mark.physics
def test_published_boundary(published: pd.DataFrame, nasicon: pd.DataFrame) -> None:
    """Its confusion matrix with the file's columns, and with exact amounts."""
    x = published.NNaLst ** (1 / 3) + published.AnionChgStdLst**2
    y = 0.0005422912481778321 * published.EWaldSumLst**2
    below = 0.2034 * x + y * published.XWithNaLst * published.RDiffStdLst <= 0.3219
    assert confusion(below, nasicon.stable) == (441, 72, 470, 2121)
    rows = zip(published.CompName, published.EWaldSumLst, strict=True)
    ours = pd.Series([nasicon_tolerance_2021(*row) <= 0 for row in rows])
    assert confusion(ours, nasicon.stable) == (439, 74, 457, 2134)


@pytest.mark.physics
def test_columns_of_the_published_table(
    published: pd.DataFrame, nasicon: pd.DataFrame
) -> None:
    """782 rows were computed from truncated amounts; all others are met."""
    ours = {
        "RDiffLst": nasicon.metal_radius_range,
        "RDiffStdLst": nasicon.metal_radius_spread,
        "RDiffNaLst": nasicon.metal_radius_mean - 1.02,
        "EleNegStdLst": nasicon.metal_electronegativity_spread,
        "XWithNaLst": nasicon.metal_electronegativity_mean - 0.93,
        "ChgStdLst": nasicon.metal_charge_spread,
        "AnionChgStdLst": nasicon.polyanion_charge_spread,
        "AnionXStdLst": nasicon.polyanion_electronegativity_spread,
        "NNaLst": nasicon.carrier_amount,
    }
    wrong = np.zeros(len(published), dtype=bool)
    for name, values in ours.items():
        differs = (published[name] - values).abs().to_numpy() > 1e-6
        if name in ("RDiffLst", "RDiffNaLst", "XWithNaLst", "NNaLst"):
            assert not differs.any()
        wrong |= differs
    assert wrong.sum() == 782


def confusion(found: pd.Series, right: pd.Series) -> tuple[int, int, int, int]:
    return (
        int((found & right).sum()),
        int((~found & right).sum()),
        int((found & ~right).sum()),
        int((~found & ~right).sum()),
    )
