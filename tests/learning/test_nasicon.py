from __future__ import annotations

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


def confusion(found: pd.Series, right: pd.Series) -> tuple[int, int, int, int]:
    return (
        int((found & right).sum()),
        int((~found & right).sum()),
        int((found & ~right).sum()),
        int((~found & ~right).sum()),
    )
