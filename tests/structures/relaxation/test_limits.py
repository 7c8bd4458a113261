"""What a relaxation may do to anions, volume and cations before it is distorted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from hts_battery.schemas.relaxed import RelaxationThresholds, Verdict
from hts_battery.structures import order_candidate
from hts_battery.structures.cells import build_cell
from hts_battery.structures.relaxation.contacts import (
    anion_pairs,
    bond_limit,
    cations_past_half_way,
    contact_limit,
)
from hts_battery.structures.relaxation.parent_map import map_to_parent
from hts_battery.structures.relaxation.verdict import compare_relaxed

if TYPE_CHECKING:
    from hts_battery.schemas.structure import OrderedCell
    from tests.structures.conftest import MakeCandidate

EASY = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def ordered(make_candidate: MakeCandidate) -> OrderedCell:
    candidate = make_candidate(
        "hedrx",
        cation={"Li+": "1.3", "Mn3+": "0.4", "Ti4+": "0.3"},
        anion={"O2-": "1.7", "F-": "0.3"},
    )
    return order_candidate(candidate, iterations=500)


def moved(structure: Structure, atom: int, place: np.ndarray) -> Structure:
    coordinates = structure.cart_coords.copy()
    coordinates[atom] = place
    return Structure(
        structure.lattice, structure.species, coordinates, coords_are_cartesian=True
    )


def with_pair(ordered: OrderedCell, pair: str, distance: float) -> Structure:
    """Move two neighbouring anions together, each by half of what is too much."""
    structure = ordered.to_structure()
    first, second = pair.split("-")
    names = np.array([site.specie.symbol for site in structure])
    ends = [
        (structure.get_distance(i, j), i, j)
        for i in np.flatnonzero(names == first)
        for j in np.flatnonzero(names == second)
        if i != j
    ]
    length, i, j = min(ends)
    _, image = structure[i].distance_and_image(structure[j])
    vector = structure.lattice.get_cartesian_coords(
        structure[j].frac_coords + image - structure[i].frac_coords
    )
    step = vector * (1 - distance / length) / 2
    near = moved(structure, int(i), structure[i].coords + step)
    return moved(near, int(j), structure[j].coords - step)


def turned(structure: Structure, seed: int) -> Structure:
    """Rotate a structure, and sort its atoms or move all of them, as programs may."""
    random = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    if np.linalg.det(turn) < 0:
        turn[:, 0] *= -1
    images = random.integers(-2, 3, size=(len(structure), 3))
    lattice = Lattice(structure.lattice.matrix @ turn)
    moved_to = structure.frac_coords + images
    if seed % 2:
        return Structure(lattice, structure.species, moved_to).get_sorted_structure()
    return Structure(lattice, structure.species, moved_to + random.random(3))


@pytest.mark.parametrize("pair", ["F-F", "F-O", "O-O"])
@pytest.mark.parametrize("seed", [0, 1])
def test_two_anions_at_a_bonding_distance_are_another_chemistry(
    ordered: OrderedCell, pair: str, seed: int
) -> None:
    found = compare_relaxed(ordered, turned(with_pair(ordered, pair, 1.42), seed))
    assert found.verdict is Verdict.TRANSFORMED
    assert found.anion_bonds == {pair: 1}
    assert found.anion_contacts[pair] == 1
    name = "oxygen-oxygen" if pair == "O-O" else pair
    assert f"{name} bonds: 1 above 0" in found.reasons


@pytest.mark.parametrize("pair", ["F-F", "F-O", "O-O"])
@pytest.mark.parametrize("distance", [1.7, 1.95])
def test_two_anions_closer_than_in_a_crystal_distort_it(
    ordered: OrderedCell, pair: str, distance: float
) -> None:
    found = compare_relaxed(ordered, with_pair(ordered, pair, distance))
    assert found.verdict in {Verdict.DISTORTED, Verdict.TRANSFORMED}
    assert found.anion_bonds == {}
    assert found.anion_contacts == {pair: 1}
    name = "oxygen-oxygen" if pair == "O-O" else pair
    assert f"{name} contacts: 1 above 0" in found.reasons


@pytest.mark.parametrize("pair", ["F-F", "F-O", "O-O"])
def test_anions_of_a_relaxed_oxyfluoride_are_no_pair(
    ordered: OrderedCell, pair: str
) -> None:
    found = compare_relaxed(ordered, with_pair(ordered, pair, 2.3))
    assert found.anion_contacts == {}
    assert found.verdict is Verdict.KEPT, found.reasons


def test_a_contact_with_an_image_of_itself_counts() -> None:
    limits = RelaxationThresholds()
    alone = Structure(Lattice.tetragonal(9, 1.5), ["O"], [[0, 0, 0]])
    assert anion_pairs(alone, [True], limits).bonds == {"O-O": 1}


def test_only_anions_make_pairs() -> None:
    sulfate = Structure(
        Lattice.cubic(9), ["S", "O", "O"], [[0, 0, 0], [0.16, 0, 0], [0, 0.28, 0]]
    )
    found = anion_pairs(sulfate, [False, True, True], RelaxationThresholds())
    assert found.contacts == {}
    unknown = anion_pairs(sulfate, [False] * 3, RelaxationThresholds())
    assert unknown == ({}, {})


@pytest.mark.physics
@pytest.mark.parametrize(
    ("pair", "bond", "apart"),
    [
        # Bonds of the molecules F2, OF2 and Cl2, of S2 2- in pyrite and of peroxide;
        # shortest distances between the same anions of different ions.
        ("FF", 1.41, 2.2),
        ("FO", 1.41, 2.2),
        ("OO", 1.49, 2.2),
        ("SS", 2.16, 2.9),
        ("ClCl", 1.99, 3.0),
    ],
)
def test_bonds_are_below_the_limits_and_crystals_above(
    pair: str, bond: float, apart: float
) -> None:
    half = len(pair) // 2
    first, second = pair[:half], pair[half:]
    limits = RelaxationThresholds()
    bonded = bond_limit(first, second, oxygen=limits.oxygen_contact)
    near = contact_limit(first, second, share=limits.anion_contact)
    assert bond < bonded < apart
    assert near < apart


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (0.14, Verdict.KEPT),
        (-0.14, Verdict.KEPT),
        (0.16, Verdict.DISTORTED),
        (-0.16, Verdict.DISTORTED),
        (0.32, Verdict.TRANSFORMED),
        (-0.32, Verdict.TRANSFORMED),
    ],
)
def test_a_cell_of_another_volume_is_distorted(
    ordered: OrderedCell, change: float, verdict: Verdict
) -> None:
    structure = ordered.to_structure()
    structure.scale_lattice(structure.volume * (1 + change))
    found = compare_relaxed(ordered, structure)
    assert found.verdict is verdict
    assert any(reason.startswith("volume change") for reason in found.reasons) == (
        verdict is not Verdict.KEPT
    )


@EASY
@given(
    corner=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    share=st.floats(0, 1),
    atom=st.integers(0, 19),
    seed=st.integers(0, 50),
)
def test_a_cation_past_half_way_to_a_tetrahedron_distorts(
    ordered: OrderedCell,
    corner: tuple[int, int, int],
    share: float,
    atom: int,
    seed: int,
) -> None:
    assume(abs(share - 0.5) > 0.03)  # the rigid shift takes a fortieth of it
    structure = ordered.to_structure()
    # A tetrahedral site lies a quarter of the cube diagonal from each cation.
    step = np.array(corner) * ordered.minimum_distance / 2
    here = moved(structure, atom, structure[atom].coords + share * step)
    found = compare_relaxed(ordered, turned(here, seed))
    past = share > 0.5 * 40 / 39
    assert found.cations_past_half_way == int(past)
    assert (found.verdict is not Verdict.KEPT) == (past or bool(found.reasons))
    if past:
        assert any("past half way" in reason for reason in found.reasons)


@EASY
@given(seed=st.integers(0, 1000), size=st.floats(0, 0.25))
def test_noise_of_a_relaxation_keeps_a_cell(
    ordered: OrderedCell, seed: int, size: float
) -> None:
    structure = ordered.to_structure()
    vectors = np.random.default_rng(seed).normal(size=(len(structure), 3))
    vectors *= size / np.linalg.norm(vectors, axis=1)[:, None]
    shaken = Structure(
        structure.lattice,
        structure.species,
        structure.cart_coords + vectors,
        coords_are_cartesian=True,
    )
    found = compare_relaxed(ordered, turned(shaken, seed))
    assert found.cations_past_half_way == 0
    assert found.anion_contacts == {}
    assert found.verdict is Verdict.KEPT, found.reasons


@pytest.mark.parametrize(
    ("family", "sublattices", "hole"),
    [
        (
            "layered",
            {"alkali": {"Li+": 1}, "metal": {"Co3+": 1}, "oxygen": {"O2-": 2}},
            1.824,
        ),
        (
            "spinel",
            {
                "tetrahedral": {"Li+": 1},
                "octahedral": {"Mn3+": 1, "Mn4+": 1},
                "oxygen": {"O2-": 4},
            },
            1.750,
        ),
    ],
)
def test_empty_polyhedra_of_every_close_packed_parent_are_found(
    make_candidate: MakeCandidate,
    family: str,
    sublattices: dict[str, dict[str, int]],
    hole: float,
) -> None:
    candidate = make_candidate(family, **sublattices)
    cell = order_candidate(candidate, atoms=56, iterations=50)
    structure = cell.to_structure()
    assert cations_past_half_way(map_to_parent(cell, structure)) == 0
    # A little less than half the way to the next hole is too little in any direction;
    # a little more is enough in some.
    vectors = np.random.default_rng(0).normal(size=(24, 3))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    parent = build_cell(cell.prototype, cell.supercell).lattice
    hole *= (structure.volume / abs(np.linalg.det(parent))) ** (1 / 3)
    for share, most in ((0.48, 0), (0.6, 1)):
        ends = structure[0].coords + share * hole * vectors
        found = [
            cations_past_half_way(map_to_parent(cell, moved(structure, 0, end)))
            for end in ends
        ]
        assert max(one or 0 for one in found) == most


def test_a_nasicon_cell_has_cavities_found_by_topology(
    make_candidate: MakeCandidate,
) -> None:
    candidate = make_candidate(
        "nasicon",
        alkali={"Na+": 1, "Vac": 3},
        metal={"Zr4+": 2},
        polyanion={"P5+": 3},
        oxygen={"O2-": 12},
    )
    cell = order_candidate(candidate, atoms=None, method="electrostatic", iterations=50)
    found = compare_relaxed(cell, cell.to_structure())
    assert found.cations_past_half_way is None
    assert found.anion_contacts == {}
    assert found.verdict is Verdict.KEPT
