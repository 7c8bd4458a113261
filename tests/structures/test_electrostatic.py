from __future__ import annotations

from itertools import combinations, permutations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Structure
from pymatgen.transformations.standard_transformations import (
    OrderDisorderedStructureTransformation,
)

from hts_battery.errors import OrderingError
from hts_battery.structures import order_candidate
from hts_battery.structures.cells import build_cell, compact_supercell
from hts_battery.structures.decoration import (
    canonical_decoration,
    decorated_structure,
    occupation_of,
)
from hts_battery.structures.electrostatic import (
    electrostatic_energy,
    lowest_electrostatic,
)
from hts_battery.structures.ordering import generate_orderings, random_decoration

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.schemas.candidate import Candidate
    from hts_battery.structures.nearest_counts import SiteCounts

ROCKSALT = build_cell("rocksalt", compact_supercell("rocksalt", 20))
OXYFLUORIDE = {
    "cation": {"Li+": 13, "Mn3+": 4, "Ti4+": 3},
    "anion": {"O2-": 17, "F-": 3},
}
NASICON = build_cell("nasicon", compact_supercell("nasicon", 1))
SILICOPHOSPHATE = {
    "alkali": {"Na+": 6, "Vac": 2},
    "metal": {"Zr4+": 4},
    "polyanion": {"P5+": 2, "Si4+": 4},
    "oxygen": {"O2-": 24},
}


@pytest.mark.physics
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_matrix_gives_pymatgens_energy(seed: int) -> None:
    for cell, counts in ((ROCKSALT, OXYFLUORIDE), (NASICON, SILICOPHOSPHATE)):
        decoration = random_decoration(cell, counts, seed=seed)
        expected = EwaldSummation(decorated_structure(cell, decoration)).total_energy
        assert electrostatic_energy(cell, decoration) == pytest.approx(
            expected, rel=1e-8
        )


def test_no_decoration_of_a_small_cell_is_lower() -> None:
    cell = build_cell("rocksalt", compact_supercell("rocksalt", 6))
    counts = {"cation": {"Li+": 3, "Mn3+": 3}, "anion": {"O2-": 6}}
    cations = [s for s, n in counts["cation"].items() for _ in range(n)]
    exhaustive = min(
        electrostatic_energy(cell, [*order, *["O2-"] * 6])
        for order in set(permutations(cations))
    )
    found = lowest_electrostatic(cell, counts, iterations=500, seed=0)
    assert found[0].exact
    assert found[0].iterations == 20
    assert found[0].energy == pytest.approx(exhaustive, abs=1e-6)


@pytest.mark.parametrize("algorithm", [0, 2])
@pytest.mark.parametrize(
    ("prototype", "cells", "counts"),
    [
        ("rocksalt", 6, {"cation": {"Li+": 3, "Co3+": 3}, "anion": {"O2-": 6}}),
        ("rocksalt", 8, {"cation": {"Li+": 4, "Co3+": 4}, "anion": {"O2-": 8}}),
        (
            "nasicon",
            1,
            SILICOPHOSPHATE | {"alkali": {"Na+": 2, "Vac": 6}, "polyanion": {"P5+": 6}},
        ),
    ],
)
def test_pymatgens_minimiser_never_ends_lower(
    prototype: str, cells: int, counts: SiteCounts, algorithm: int
) -> None:
    cell = build_cell(prototype, compact_supercell(prototype, cells))
    found = lowest_electrostatic(cell, counts, iterations=1, seed=0)
    ours = decorated_structure(cell, found[0].decoration)
    parent = Structure(
        ours.lattice,
        [
            {
                f"{s[:-2] if s[-2].isdigit() else s[:-1]}"
                f"{s[-2] if s[-2].isdigit() else 1}{s[-1]}": n
                / sum(counts[name].values())
                for s, n in counts[name].items()
                if s != "Vac"
            }
            for name in cell.sublattices
        ],
        cell.coordinates,
    )
    ranked = OrderDisorderedStructureTransformation(
        algo=algorithm, symmetrized_structures=False
    ).apply_transformation(parent, return_ranked_list=1)
    theirs = EwaldSummation(ranked[0]["structure"]).total_energy
    assert found[0].energy <= theirs + 1e-6


def test_the_ground_state_does_not_depend_on_the_seed() -> None:
    best = [
        lowest_electrostatic(ROCKSALT, OXYFLUORIDE, iterations=20_000, seed=seed)[0]
        for seed in range(4)
    ]
    assert len({result.decoration for result in best}) == 1
    assert not best[0].exact


def test_ties_are_broken_by_the_smallest_decoration() -> None:
    # Two atoms of one charge beside one of another: images of one arrangement and,
    # for the species of equal charge, all shuffles tie.
    counts = {"cation": {"Li+": 2, "Mn3+": 1, "Co3+": 1}, "anion": {"O2-": 4}}
    cell = build_cell("rocksalt", compact_supercell("rocksalt", 4))
    for seed in range(3):
        found = lowest_electrostatic(cell, counts, iterations=1, seed=seed)
        assert found[0].decoration == min(
            r.decoration for r in found if r.energy < found[0].energy + 1e-6
        )
        for result in found:
            assert result.decoration == canonical_decoration(cell, result.decoration)


def test_only_as_many_results_as_asked_for() -> None:
    all_of_them = lowest_electrostatic(NASICON, SILICOPHOSPHATE, iterations=1, seed=0)
    assert all_of_them[0].exact
    assert len(all_of_them) == 32
    few = lowest_electrostatic(
        NASICON, SILICOPHOSPHATE, iterations=1, seed=0, results=3
    )
    assert few == all_of_them[:3]


def test_results_are_exact_different_and_sorted() -> None:
    found = lowest_electrostatic(ROCKSALT, OXYFLUORIDE, iterations=20_000, seed=2)
    energies = [r.energy for r in found]
    assert energies == sorted(energies)
    assert len({r.decoration for r in found}) == len(found)
    for result in found[:3]:
        assert occupation_of(ROCKSALT, result.decoration) == OXYFLUORIDE
        assert result.energy == pytest.approx(
            electrostatic_energy(ROCKSALT, result.decoration)
        )


def test_no_single_swap_lowers_any_result() -> None:
    for iterations in (1, 2000):
        found = lowest_electrostatic(
            ROCKSALT, OXYFLUORIDE, iterations=iterations, seed=1
        )
        for result in found[:2]:
            for i, j in combinations(range(40), 2):
                if ROCKSALT.sublattices[i] != ROCKSALT.sublattices[j]:
                    continue
                swapped = list(result.decoration)
                swapped[i], swapped[j] = swapped[j], swapped[i]
                energy = electrostatic_energy(ROCKSALT, swapped)
                assert energy > result.energy - 1e-6


def test_it_lies_below_random_and_quasirandom_orderings(drx: Candidate) -> None:
    lowest = order_candidate(drx, method="electrostatic", iterations=20_000)
    assert lowest.score == lowest.electrostatic_energy
    for method in ("sqs", "random"):
        other = order_candidate(drx, method=method, iterations=2000)
        assert lowest.electrostatic_energy < other.electrostatic_energy


@pytest.mark.physics
def test_sodium_of_nazr2po43_goes_to_6b(
    make_candidate: Callable[..., Candidate],
) -> None:
    candidate = make_candidate(
        "nasicon",
        alkali={"Na+": 1, "Vac": 3},
        metal={"Zr4+": 2},
        polyanion={"P5+": 3},
        oxygen={"O2-": 12},
    )
    for atoms in (36, 108):
        ordered = order_candidate(candidate, atoms=atoms, method="electrostatic")
        sodium = [
            site.properties["site_label"]
            for site in ordered.to_structure()
            if site.specie.symbol == "Na"
        ]
        assert sodium == ["6b"] * (atoms // 18)


def test_equal_charges_leave_nothing_to_order() -> None:
    cell = build_cell("rocksalt", compact_supercell("rocksalt", 2))
    with pytest.raises(OrderingError, match="same charge"):
        lowest_electrostatic(
            cell, {"cation": {"Li+": 2}, "anion": {"Na+": 2}}, iterations=1, seed=0
        )


def test_a_charged_cell_has_no_energy() -> None:
    with pytest.raises(OrderingError, match=r"charge \+20"):
        electrostatic_energy(ROCKSALT, ["Mg2+"] * 20 + ["F-"] * 20)


@pytest.mark.parametrize("method", ["sqs", "electrostatic", "random"])
def test_several_orderings_are_different_crystals(drx: Candidate, method: str) -> None:
    cells = generate_orderings(drx, n_orderings={method: 5}, iterations=3000)
    assert len(cells) == 5
    assert len({cell.ordering_id for cell in cells}) == 5
    scores = [cell.score for cell in cells]
    assert scores == sorted(scores)
    first, second = (c.to_structure() for c in cells[:2])
    assert not np.array_equal(first.species, second.species) or not first.matches(
        second
    )


def test_fewer_orderings_than_asked_where_there_are_no_more(
    make_candidate: Callable[..., Candidate],
) -> None:
    candidate = make_candidate("hedrx", cation={"Mg2+": 2}, anion={"O2-": 2})
    assert len(generate_orderings(candidate, n_orderings={"sqs": 3}, atoms=8)) == 1
