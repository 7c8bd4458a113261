from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.ewald import EwaldSummation

from hts_battery.errors import OrderingError
from hts_battery.structures import order_candidate
from hts_battery.structures.cells import build_cell, compact_supercell
from hts_battery.structures.decoration import decorated_structure, occupation_of
from hts_battery.structures.electrostatic import (
    electrostatic_energy,
    lowest_electrostatic,
)
from hts_battery.structures.ordering import generate_orderings, random_decoration

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.schemas.candidate import Candidate

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
    counts = {"cation": {"Li+": 3, "Mn3+": 2, "Nb5+": 1}, "anion": {"O2-": 6}}
    counts["anion"] = {"O2-": 6}
    counts["cation"] = {"Li+": 3, "Mn3+": 3}
    cations = [s for s, n in counts["cation"].items() for _ in range(n)]
    exhaustive = min(
        electrostatic_energy(cell, [*order, *["O2-"] * 6])
        for order in set(permutations(cations))
    )
    found = lowest_electrostatic(cell, counts, iterations=500, seed=0)
    assert found[0].energy == pytest.approx(exhaustive, abs=1e-6)


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


def test_no_single_swap_lowers_the_result() -> None:
    best = lowest_electrostatic(ROCKSALT, OXYFLUORIDE, iterations=2000, seed=1)[0]
    for i in range(40):
        for j in range(i):
            if ROCKSALT.sublattices[i] != ROCKSALT.sublattices[j]:
                continue
            swapped = list(best.decoration)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            assert electrostatic_energy(ROCKSALT, swapped) > best.energy - 1e-6


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
