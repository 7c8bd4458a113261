from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hts_battery.structures.cells import build_cell, compact_supercell
from hts_battery.structures.correlations import PairSwaps, correlation_errors, objective
from hts_battery.structures.decoration import occupation_of
from hts_battery.structures.ordering import random_decoration
from hts_battery.structures.sqs import generate_sqs

if TYPE_CHECKING:
    from hts_battery.structures.cells import Cell
    from hts_battery.structures.nearest_counts import SiteCounts

ROCKSALT = build_cell("rocksalt", compact_supercell("rocksalt", 6))
OXYFLUORIDE = {"cation": {"Li+": 3, "Mn3+": 2, "Nb5+": 1}, "anion": {"O2-": 4, "F-": 2}}
NASICON = build_cell("nasicon", compact_supercell("nasicon", 1))
SILICOPHOSPHATE = {
    "alkali": {"Na+": 6, "Vac": 2},
    "metal": {"Sc3+": 1, "Zr4+": 3},
    "polyanion": {"P5+": 3, "Si4+": 3},
    "oxygen": {"O2-": 24},
}
CASES = [(ROCKSALT, OXYFLUORIDE), (NASICON, SILICOPHOSPHATE)]


def score(cell: Cell, decoration: list[str] | tuple[str, ...]) -> float:
    return objective(correlation_errors(cell, decoration))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
@pytest.mark.parametrize(("cell", "counts"), CASES)
def test_every_swap_is_scored_as_if_it_were_made(
    cell: Cell, counts: SiteCounts, seed: int
) -> None:
    swaps = PairSwaps(cell, counts)
    decoration = random_decoration(cell, counts, seed=seed)
    now, after = swaps.objectives(swaps.codes(decoration))
    assert now == pytest.approx(score(cell, decoration), abs=1e-9)
    pairs = [
        pair
        for name in sorted(counts)
        if len(counts[name]) > 1
        for pair in combinations(cell.sites[name].tolist(), 2)
    ]
    for (i, j), found in zip(pairs, after, strict=True):
        swapped = list(decoration)
        swapped[i], swapped[j] = swapped[j], swapped[i]
        if decoration[i] == decoration[j]:
            assert np.isinf(found)
        else:
            assert found == pytest.approx(score(cell, swapped), abs=1e-9)


@pytest.mark.parametrize(("cell", "counts"), CASES)
@pytest.mark.parametrize("steps", [0, 10])
def test_nothing_one_swap_away_is_better(
    cell: Cell, counts: SiteCounts, steps: int
) -> None:
    swaps = PairSwaps(cell, counts)
    start = random_decoration(cell, counts, seed=3)
    best, decoration = swaps.improve(start, steps=steps)
    assert best == pytest.approx(score(cell, decoration), abs=1e-8)
    assert best <= score(cell, start)
    assert occupation_of(cell, decoration) == occupation_of(cell, start)
    after = swaps.objectives(swaps.codes(decoration))[1]
    assert after.min() >= best - 1e-8


@pytest.mark.parametrize(("cell", "counts"), CASES)
def test_quasirandom_cells_are_optima_against_swaps(
    cell: Cell, counts: SiteCounts
) -> None:
    result = generate_sqs(cell, counts, iterations=500, seed=0)
    swaps = PairSwaps(cell, counts)
    after = swaps.objectives(swaps.codes(result.decoration))[1]
    assert after.min() >= result.objective - 1e-8
