from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest

from hts_battery.compositions.descriptors import DescriptorName
from hts_battery.errors import ConfigurationError
from hts_battery.learning import nasicon_tolerance_2021
from hts_battery.learning.linear_energies import fractions
from hts_battery.learning.replay import in_order, replay

if TYPE_CHECKING:
    import pandas as pd


@pytest.mark.physics
def test_stable_nasicons_are_found_before_a_published_descriptor_finds_them(
    published: pd.DataFrame, nasicon: pd.DataFrame
) -> None:
    """
    10.1038/s41467-021-26006-3: 513 of 3,104 at or below the hull at 1000 K.

    Half found after 450 evaluations at most and four fifths after 830, where a random
    order needs 1,583 and 2,483.
    """
    formulas = published.CompName.tolist()
    energies = published.NewEhullLst.to_numpy() / 1000
    columns = nasicon[list(get_args(DescriptorName))].to_numpy(dtype=float)
    elements = sorted({"Na", "O", "P", "S", "Si", *_metals(nasicon)})
    features = np.hstack([columns, fractions(formulas, elements)])
    for seed in range(3):
        found = replay(features, energies, seed=seed)
        assert found.stable == 513
        half, most = found.evaluations(0.5), found.evaluations(0.8)
        assert half is not None
        assert most is not None
        assert half <= 450
        assert most <= 830
        assert len(set(found.order.tolist())) == len(found.order)
    rows = zip(formulas, published.EWaldSumLst, strict=True)
    factor = np.array([nasicon_tolerance_2021(*row) for row in rows])
    fixed = in_order(np.argsort(factor, kind="stable"), energies)
    assert fixed.evaluations(0.5) == pytest.approx(400, abs=50)
    assert fixed.evaluations(0.8) == pytest.approx(850, abs=80)
    drawn = [
        in_order(np.random.default_rng(seed).permutation(len(energies)), energies)
        for seed in range(20)
    ]
    halves = [one.evaluations(0.5) or 0 for one in drawn]
    assert np.mean(halves) == pytest.approx(1583, rel=0.05)


def _metals(nasicon: pd.DataFrame) -> list[str]:
    return [name for name in nasicon.columns if len(str(name)) <= 2]


def test_an_order_that_ends_early_says_so() -> None:
    energies = np.array([0.1, -0.1, 0.2, -0.2])
    found = in_order(np.array([1, 0]), energies)
    assert found.evaluations(0.5) == 1
    assert found.evaluations(1) is None


def test_nothing_stable_is_nothing_to_replay() -> None:
    with pytest.raises(ConfigurationError, match="60 rows with 0 stable"):
        replay(np.ones((60, 1)), np.ones(60))
