from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.structures import order_candidate
from hts_battery.structures.relaxation.contacts import contacts_kept, coordination
from hts_battery.structures.relaxation.parent_map import map_to_parent

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.schemas.candidate import Candidate

FAMILIES = {
    "hedrx": (
        {"cation": {"Li+": 1, "Mn3+": 1}, "anion": {"O2-": 2}},
        {"cation": {"6": 4}},
    ),
    "layered": (
        {"alkali": {"Li+": 1}, "metal": {"Co3+": 1}, "oxygen": {"O2-": 2}},
        {"alkali": {"6": 2}, "metal": {"6": 2}},
    ),
    "nasicon": (
        {
            "alkali": {"Na+": 1, "Vac": 3},
            "metal": {"Zr4+": 2},
            "polyanion": {"P5+": 3},
            "oxygen": {"O2-": 12},
        },
        {"metal": {"6": 4}, "polyanion": {"4": 6}},
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_cations_of_a_prototype_have_the_neighbours_its_file_states(
    family: str, make_candidate: Callable[..., Candidate]
) -> None:
    sublattices, expected = FAMILIES[family]
    atoms = 36 if family == "nasicon" else 8
    candidate = make_candidate(family, **sublattices)
    ordered = order_candidate(candidate, atoms=atoms, iterations=200)
    structure = ordered.to_structure()
    mapped = map_to_parent(ordered, structure)
    assert coordination(mapped).numbers == expected
    assert coordination(mapped).changed == 0
    assert contacts_kept(mapped, stretch=1.3) == 1
    structure.scale_lattice(1.2 * structure.volume)
    assert coordination(map_to_parent(ordered, structure)).changed == 0


def test_an_atom_in_a_tetrahedral_hole_has_four_neighbours(drx: Candidate) -> None:
    ordered = order_candidate(drx, iterations=200)
    structure = ordered.to_structure()
    edge = 2 * ordered.minimum_distance
    vector = structure.lattice.get_fractional_coords([edge / 4] * 3)
    structure.translate_sites([0], vector)
    found = coordination(map_to_parent(ordered, structure))
    assert found.numbers == {"cation": {"4": 1, "6": 19}}
    assert found.changed == pytest.approx(1 / 20)
