from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from hts_battery.learning.closed_form import best_subsets, least_squares


def explained(features: np.ndarray, target: np.ndarray) -> float:
    design = np.column_stack([np.ones(len(target)), features])
    rest = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return float(1 - rest @ rest / ((target - target.mean()) ** 2).sum())


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_set_is_that_of_lstsq(size: int) -> None:
    random = np.random.default_rng(size)
    features = random.normal(size=(60, 11)) * 10.0 ** random.integers(-6, 7, 11) + 3
    target = random.normal(size=60) + features[:, 2] / features[:, 2].std()
    found = best_subsets(features, target, size, 10)
    right = {
        columns: explained(features[:, columns], target)
        for columns in combinations(range(11), size)
    }
    best = sorted(right, key=lambda columns: -right[columns])[:10]
    assert [one.columns for one in found] == best
    for one in found:
        assert one.explained == pytest.approx(right[one.columns], abs=1e-10)
    first = features[:, list(found[0].columns)]
    coefficients, intercept = least_squares(first, target)
    rest = target - first @ coefficients - intercept
    share = 1 - rest @ rest / ((target - target.mean()) ** 2).sum()
    assert share == pytest.approx(right[best[0]], abs=1e-10)


def test_blocks_of_rows_leave_no_pair_out() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(40, 600))
    target = features[:, 3] - features[:, 590]
    assert best_subsets(features, target, 2, 3)[0].columns == (3, 590)
    assert len(best_subsets(features, target, 2, 10**6)) == 600 * 599 // 2


def test_collinear_members_are_no_set() -> None:
    """In single precision such triples would seem to explain everything."""
    random = np.random.default_rng(1)
    base = random.normal(size=(200, 3)) + 1e4
    twin = base[:, 0] * 3 - 7
    close = base[:, 0] + base[:, 1] + 1e-7 * random.normal(size=200)
    features = np.column_stack([base, twin, close])
    target = random.normal(size=200)
    pairs = {one.columns for one in best_subsets(features, target, 2, 100)}
    assert (0, 3) not in pairs
    triples = {one.columns: one for one in best_subsets(features, target, 3, 100)}
    assert all(one.explained <= 0.2 for one in triples.values() if one.explained > -1)
    assert (0, 1, 4) not in {
        columns for columns, one in triples.items() if one.explained > 0
    }


def test_a_constant_target_is_explained_by_nothing() -> None:
    features = np.random.default_rng(2).normal(size=(30, 4))
    assert best_subsets(features, np.ones(30), 2, 1)[0].explained == 0
