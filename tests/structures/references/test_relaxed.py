"""A relaxation that leaves the phase is found, one that keeps it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from hts_battery.schemas.reference import (
    ReferencePhase,
    ReferenceSite,
    ReferenceSource,
    SourceKind,
)
from hts_battery.structures.references.checks import (
    FRAMEWORK_GROWTH,
    OPEN_GROWTH,
    bonds_of,
    dimensions,
    drift_problems,
    relaxation_problems,
)
from hts_battery.structures.references.library import (
    reference_phase,
    reference_structure,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def grown(phase: ReferencePhase, factor: float) -> Structure:
    structure = reference_structure(phase)
    structure.scale_lattice(structure.volume * factor)
    return structure


def stretched(phase: ReferencePhase, axis: int, factor: float) -> Structure:
    """Make the cell longer along one axis, molecules and layers kept as they are."""
    structure = reference_structure(phase)
    # A layer at the origin would be cut by the face of the cell.
    structure.translate_sites(range(len(structure)), [0, 0, 0.5])
    matrix = np.array(structure.lattice.matrix)
    matrix[axis] *= factor
    places = np.array(structure.cart_coords)
    return Structure(
        Lattice(matrix), structure.species, places, coords_are_cartesian=True
    )


@pytest.mark.parametrize(
    ("phase_id", "expected"),
    [
        ("TiO2-rutile", 3),
        ("Cr2O3-corundum", 3),
        ("LiF-rocksalt", 3),
        ("MnO2-cadmium-iodide", 2),
        ("TiF4-tin-fluoride", 2),
        ("CrO3-chromium-trioxide", 1),
        ("SF6-hexafluoride-cubic", 0),
        ("TiF4-silicon-tetrafluoride", 0),
        ("Ti-hcp", 0),
    ],
)
def test_directions_in_which_a_crystal_is_bonded(phase_id: str, expected: int) -> None:
    phase = reference_phase(phase_id)
    structure = reference_structure(phase)
    assert dimensions(len(structure), bonds_of(phase, structure)) == expected


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_a_framework_may_swell(factor: float) -> None:
    phase = reference_phase("TiO2-rutile")
    assert relaxation_problems(phase, grown(phase, factor)) == ()


@pytest.mark.parametrize("factor", [0.4, 0.7, 1.35, 1.7])
def test_a_framework_that_collapsed_or_fell_apart_is_found(factor: float) -> None:
    phase = reference_phase("TiO2-rutile")
    first, *_ = relaxation_problems(phase, grown(phase, factor))
    assert first == (
        f"the volume changed by a factor of {factor:.2f}, allowed are 0.75 to 1.3"
    )


def test_layers_may_drift_apart() -> None:
    phase = reference_phase("MnO2-cadmium-iodide")
    assert relaxation_problems(phase, stretched(phase, 2, 1.5)) == ()
    (only,) = relaxation_problems(phase, stretched(phase, 2, 1.7))
    assert only == "the volume changed by a factor of 1.70, allowed are 0.5 to 1.6"


@pytest.mark.parametrize("phase_id", ["O-alpha", "F-alpha"])
def test_molecules_of_an_element_may_drift_apart(phase_id: str) -> None:
    phase = reference_phase(phase_id)
    structure = reference_structure(phase)
    assert relaxation_problems(phase, structure) == ()


def test_a_short_contact_is_found_where_the_volume_is_kept() -> None:
    phase = reference_phase("LiF-rocksalt")
    relaxed = reference_structure(phase)
    relaxed.translate_sites([0], [0.3, 0.3, 0.3])
    assert any(
        text.startswith("F-Li is") for text in relaxation_problems(phase, relaxed)
    )


def test_another_coordination_at_the_same_volume_is_found() -> None:
    """Zincblende in the place of rock salt: four neighbours instead of six."""
    phase = reference_phase("MnO-rocksalt")
    relaxed = reference_structure(phase)
    oxygen = next(i for i, site in enumerate(relaxed) if site.specie.symbol == "O")
    metal = 1 - oxygen
    relaxed[oxygen].frac_coords = relaxed[metal].frac_coords + 0.25
    (only,) = relaxation_problems(phase, relaxed)
    assert only == (
        "transformed: 1 of 1 cations have another number of neighbours (Mn from 6 to 4)"
    )


def test_a_distortion_that_keeps_the_bonds_is_no_transformation() -> None:
    phase = reference_phase("TiO2-rutile")
    relaxed = reference_structure(phase)
    relaxed.perturb(0.05)
    assert relaxation_problems(phase, relaxed) == ()


def test_another_composition_is_said_first() -> None:
    phase = reference_phase("MnO-rocksalt")
    relaxed = reference_structure(reference_phase("LiF-rocksalt"))
    assert relaxation_problems(phase, relaxed) == (
        "the cell holds F1Li1, the formula says Mn1O1",
    )


def chain_phase(cell: tuple[float, float, float]) -> ReferencePhase:
    return ReferencePhase(
        phase_id="MgO-box",
        formula="MgO",
        group="test",
        space_group_symbol="P1",
        space_group_number=1,
        cell=(*cell, 90, 90, 90),
        sites=(
            ReferenceSite(element="Mg", oxidation_state=2, position=(0, 0, 0)),
            ReferenceSite(
                element="O", oxidation_state=-2, position=(2 / cell[0], 0, 0)
            ),
        ),
        source=ReferenceSource(kind=SourceKind.OWN_DECORATION),
    )


@settings(max_examples=25, deadline=None)
@given(
    origin=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    endless=st.integers(0, 1),
)
def test_the_number_of_directions_does_not_depend_on_the_origin(
    origin: Sequence[float], endless: int
) -> None:
    phase = chain_phase((4.0 if endless else 9.0, 9.0, 9.0))
    structure = reference_structure(phase)
    structure.translate_sites([0, 1], origin)
    assert dimensions(2, bonds_of(phase, structure)) == endless


def test_the_bounds_are_those_of_the_documentation() -> None:
    assert FRAMEWORK_GROWTH == (0.75, 1.3)
    assert OPEN_GROWTH == (0.5, 1.6)


@pytest.mark.parametrize(("factor", "kept"), [(0.6, True), (1.5, True), (1.7, False)])
def test_a_rough_potential_is_asked_for_the_volume_only(
    factor: float, *, kept: bool
) -> None:
    phase = reference_phase("TiO2-rutile")
    assert (drift_problems(phase, grown(phase, factor)) == ()) is kept
