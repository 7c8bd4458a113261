from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure

from hts_battery.structures.cells import (
    build_cell,
    compact_supercell,
    site_permutations,
)
from hts_battery.structures.correlations import (
    correlation_errors,
    objective,
    pair_shells,
)
from hts_battery.structures.ordering import random_decoration
from hts_battery.structures.short_range_order import short_range_order

CELL = build_cell("rocksalt", compact_supercell("rocksalt", 20))
COUNTS = {"cation": {"Li+": 12, "Mn3+": 8}, "anion": {"O2-": 16, "F-": 4}}


@pytest.mark.physics
@pytest.mark.parametrize("cells", [1, 4, 7, 20])
def test_rocksalt_has_its_neighbours_in_every_cell(cells: int) -> None:
    edge = 4.2112
    shells = pair_shells("rocksalt", compact_supercell("rocksalt", cells))
    by_pair = {(s.first, s.second): s for s in shells}
    like = by_pair["cation", "cation"]
    assert like.distances == pytest.approx(edge * np.sqrt([0.5, 1, 1.5, 2]))
    assert (like.counts.sum(axis=2).T == [12, 6, 24, 12]).all()
    unlike = by_pair["anion", "cation"]
    assert unlike.distances == pytest.approx(edge / 2 * np.sqrt([1, 3, 5, 9]))
    assert (unlike.counts.sum(axis=2).T == [6, 8, 24, 30]).all()


def test_counts_agree_with_pymatgens_neighbours() -> None:
    structure = Structure(CELL.lattice, ["H"] * 40, CELL.coordinates)
    cations = set(CELL.sites_of("cation").tolist())
    shells = pair_shells("rocksalt", CELL.supercell)
    first = next(s for s in shells if s.first == s.second == "cation")
    i, j, _, _ = structure.get_neighbor_list(first.distances[0] + 0.1)
    expected = np.zeros((40, 40))
    for a, b in zip(i, j, strict=True):
        if a in cations and b in cations:
            expected[a, b] += 1
    sites = sorted(cations)
    assert (first.counts[0] == expected[np.ix_(sites, sites)]).all()


@pytest.mark.physics
def test_a_large_random_cell_is_nearly_uncorrelated() -> None:
    cell = build_cell("rocksalt", compact_supercell("rocksalt", 200))
    counts = {"cation": {"Li+": 100, "Mn3+": 100}, "anion": {"O2-": 200}}
    decoration = random_decoration(cell, counts, seed=0)
    # Over 600 bonds, the fewest of a shell, the standard deviation of the share of
    # unlike pairs is 0.02, and the error is as large as that share is wrong.
    assert max(correlation_errors(cell, decoration)["cation/cation"]) < 0.08
    for shell in short_range_order(cell, decoration)["cation/cation"]:
        assert abs(shell["Li+/Mn3+"]) < 0.16


@pytest.mark.physics
def test_errors_of_random_cells_fall_with_the_root_of_their_size() -> None:
    # The number of unlike pairs of a random cell scatters as the root of the number
    # of pairs, so the share that is wrong falls as one over it.
    means = {}
    for edge in (4, 6):
        matrix = ((edge, 0, 0), (0, edge, 0), (0, 0, edge))
        cell = build_cell("rocksalt", matrix)
        sites = edge**3
        counts = {
            "cation": {"Li+": sites // 2, "Mn3+": sites // 2},
            "anion": {"O2-": sites},
        }
        errors = [
            correlation_errors(cell, random_decoration(cell, counts, seed=seed))
            for seed in range(80)
        ]
        means[edge] = np.mean([e["cation/cation"] for e in errors], axis=0)
    assert np.mean(means[4] / means[6]) == pytest.approx((6 / 4) ** 1.5, rel=0.15)
    assert max(means[6]) < 0.03


@pytest.mark.physics
def test_warren_cowley_of_layered_order_is_known() -> None:
    # Alternate (111) planes: 6 of 12 first neighbours unlike, all 6 second ones.
    cell = build_cell("rocksalt", ((1, 0, 0), (0, 1, 0), (0, 0, 2)))
    cation = ["Li+", "Co3+"]
    parameters = short_range_order(cell, [*cation, "O2-", "O2-"])["cation/cation"]
    assert [round(s["Co3+/Li+"], 9) for s in parameters[:2]] == [0, -1]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), index=st.integers(0, 10**6))
def test_symmetry_changes_no_correlation(seed: int, index: int) -> None:
    decoration = np.array(random_decoration(CELL, COUNTS, seed=seed))
    permutations = site_permutations("rocksalt", CELL.supercell)
    moved = decoration[permutations[index % len(permutations)]]
    before = correlation_errors(CELL, decoration.tolist())
    after = correlation_errors(CELL, moved.tolist())
    for pair, errors in before.items():
        assert after[pair] == pytest.approx(errors)
    assert set(before) == {"anion/anion", "anion/cation", "cation/cation"}


def test_objective_weighs_near_shells_more() -> None:
    near, far = {"a/a": (0.1, 0.0)}, {"a/a": (0.0, 0.1)}
    assert objective(near) == 0.1
    assert objective(far) == 0.05
    assert objective({}) == 0
