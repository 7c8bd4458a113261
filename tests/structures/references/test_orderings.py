"""Orderings of parent lattices: supercells, lowest energies, rows of the library."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from programs import run_program
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from hts_battery.schemas.reference import SourceKind
from hts_battery.structures.references.geometry import conventional_cell
from hts_battery.structures.references.library import (
    load_reference_phases,
    parse_oxidation_species,
    parse_position,
    reference_phase,
    reference_structure,
)

if TYPE_CHECKING:
    from hts_battery.schemas.reference import ReferencePhase

PROGRAM = run_program("workflows/reference_orderings.py")
asymmetric_row, distinct_supercells, lowest_orderings, remade = (
    PROGRAM[name]
    for name in ("asymmetric_row", "distinct_supercells", "lowest_orderings", "remade")
)
ORDERED = [
    phase
    for phase in load_reference_phases()
    if phase.source.kind is SourceKind.ELECTROSTATIC_ORDERING
]
QUICK_CELLS = 5


def rebuilt(row: dict) -> Structure:
    return conventional_cell(
        row["space_group"][0],
        row["cell"],
        [parse_oxidation_species(site[0]).element for site in row["sites"]],
        [parse_position(site[1:]) for site in row["sites"]],
    )


@pytest.mark.physics
def test_numbers_of_superlattices_are_those_published() -> None:
    # G. L. W. Hart and R. W. Forcade, 10.1103/PhysRevB.77.224115: fcc
    found = [len(distinct_supercells("rocksalt", cells)) for cells in range(1, 11)]
    assert found == [1, 2, 3, 7, 5, 10, 7, 20, 14, 18]


@pytest.mark.parametrize("cells", [1, 2, 3, 4, 6])
def test_a_supercell_has_the_size_asked_for(cells: int) -> None:
    for matrix in distinct_supercells("nasicon", cells):
        a, b, c = matrix
        determinant = (
            a[0] * (b[1] * c[2] - b[2] * c[1])
            - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0])
        )
        assert determinant == cells


@pytest.mark.physics
def test_two_metals_with_antimony_order_as_reported() -> None:
    """Li3Ni2SbO6 and its kin are reported in Fddd."""
    counts = {"cation": {"Li+": 6, "Ni2+": 4, "Sb5+": 2}, "anion": {"O2-": 12}}
    (ordering,) = lowest_orderings("rocksalt", counts, cells=12)
    assert asymmetric_row(ordering.structure)["space_group"] == ["Fddd", 70]


def test_orderings_come_by_energy_and_differ() -> None:
    counts = {"cation": {"Li+": 4, "W6+": 1}, "anion": {"O2-": 5}}
    orderings = lowest_orderings("rocksalt", counts, cells=5, results=3)
    energies = [ordering.energy for ordering in orderings]
    assert energies == sorted(energies)
    assert len({round(energy, 4) for energy in energies}) == 3


@pytest.mark.parametrize(
    ("counts", "group"),
    [
        ({"cation": {"Li+": 1, "Co3+": 1}, "anion": {"O2-": 2}}, 2),
        ({"cation": {"Li+": 4, "Mo6+": 1}, "anion": {"O2-": 5}}, 5),
        ({"cation": {"Li+": 2, "Ni2+": 1}, "anion": {"F-": 2, "O2-": 1}}, 3),
    ],
)
def test_a_row_is_the_structure(counts: dict, group: int) -> None:
    (ordering,) = lowest_orderings("rocksalt", counts, cells=group)
    bare = ordering.structure.copy()
    bare.remove_oxidation_states()
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.1, scale=False)
    assert matcher.fit(rebuilt(asymmetric_row(ordering.structure)), bare)


def test_thirds_are_written_exactly_and_charges_as_means() -> None:
    cell = Structure(
        Lattice.hexagonal(2.95, 14.3),
        ["Mn3+", "Mn4+", "O2-", "O1.5-"],
        [(0, 0, 0.25), (2 / 3, 1 / 3, 0.75), (1 / 3, 2 / 3, 0.1), (1 / 3, 2 / 3, 0.9)],
    )
    row = asymmetric_row(cell)
    assert {site[0] for site in row["sites"]} == {"Mn7/2+", "O7/4-"}
    written = {x for site in row["sites"] for x in site[1:] if isinstance(x, str)}
    assert written <= {"1/3", "2/3"}


@pytest.mark.parametrize(
    "phase",
    [
        phase
        for phase in ORDERED
        if phase.source.ordering is not None
        and phase.source.ordering.cells <= QUICK_CELLS
        and "W" not in phase.elements
    ],
    ids=lambda phase: phase.phase_id,
)
def test_small_orderings_of_the_library_are_remade(phase: ReferencePhase) -> None:
    assert_remade(phase)


@pytest.mark.long  # 45 s; the small ones above are remade each time
def test_every_ordering_of_the_library_is_remade() -> None:
    for phase in ORDERED:
        assert_remade(phase)


def assert_remade(phase: ReferencePhase) -> None:
    structure = remade(phase).structure.copy()
    structure.remove_oxidation_states()
    matcher = StructureMatcher(ltol=1e-3, stol=5e-3, angle_tol=0.1, scale=False)
    assert matcher.fit(structure, reference_structure(phase)), phase.phase_id


def test_what_is_no_ordering_is_not_remade() -> None:
    with pytest.raises(ValueError, match="TiO2-rutile is no ordering"):
        remade(reference_phase("TiO2-rutile"))


def test_sodium_of_the_end_members_balances_the_charge() -> None:
    members = [p for p in ORDERED if p.candidate_family == "nasicon"]
    assert {"Na3Sc2P3O12", "Na4Zr2Si3O12", "Na2Nb2Si3O12"} <= {
        p.formula for p in members
    }
    for phase in members:
        source = phase.source.ordering
        assert source is not None
        charge = sum(
            parse_oxidation_species(species).oxidation_state * number
            for occupation in source.species.values()
            for species, number in occupation.items()
            if species != "Vac"
        )
        assert charge == Fraction(0)
