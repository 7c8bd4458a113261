from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from hts_battery.errors import OrderingError
from hts_battery.schemas.relaxed import RelaxationThresholds, Verdict
from hts_battery.structures import order_candidate
from hts_battery.structures.relaxed import compare_relaxed, shear_strain

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.schemas.candidate import Candidate
    from hts_battery.schemas.structure import OrderedCell


@pytest.fixture(scope="module")
def ordered(drx: Candidate) -> OrderedCell:
    return order_candidate(drx, iterations=2000)


def rotated(structure: Structure, angle: float) -> Structure:
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    lattice = Lattice(structure.lattice.matrix @ turn.T)
    return Structure(lattice, structure.species, structure.frac_coords)


def shaken(structure: Structure, amplitude: float) -> Structure:
    """Move every atom by a random vector of one length in angstrom."""
    vectors = np.random.default_rng(7).normal(size=(len(structure), 3))
    vectors *= amplitude / np.linalg.norm(vectors, axis=1)[:, None]
    return Structure(
        structure.lattice,
        structure.species,
        structure.cart_coords + vectors,
        coords_are_cartesian=True,
    )


def test_the_start_itself_is_kept_whatever_its_shift_and_orientation(
    ordered: OrderedCell,
) -> None:
    structure = rotated(ordered.to_structure(), 0.7)
    structure.translate_sites(range(len(structure)), [0.49, 0.13, 0.5])
    found = compare_relaxed(ordered, structure)
    assert found.verdict is Verdict.KEPT
    assert found.reasons == ()
    assert found.displacement_max == pytest.approx(0, abs=1e-6)
    assert found.shear_strain == pytest.approx(0, abs=1e-9)
    assert found.volume_change == pytest.approx(0, abs=1e-9)
    assert found.contacts_kept == 1
    parent_sites = ordered.to_structure().site_properties["parent_site"]
    assert found.site_map == tuple(parent_sites)


def test_thermal_noise_and_swelling_keep_the_prototype(ordered: OrderedCell) -> None:
    structure = shaken(ordered.to_structure(), 0.1)
    structure.scale_lattice(structure.volume * 1.06)
    found = compare_relaxed(ordered, structure)
    assert found.verdict is Verdict.KEPT
    assert found.volume_change == pytest.approx(0.06)
    # The mean shift of the noise is removed with every other rigid shift.
    assert 0.08 < found.displacement_rms < 0.11


def test_a_program_that_sorts_atoms_changes_nothing(ordered: OrderedCell) -> None:
    structure = shaken(ordered.to_structure(), 0.05).get_sorted_structure()
    found = compare_relaxed(ordered, structure)
    assert found.verdict is Verdict.KEPT
    for site, parent in zip(structure, found.site_map, strict=True):
        assert ordered.decoration[parent].startswith(site.specie.symbol)


def test_a_cation_in_a_tetrahedral_hole_is_caught(ordered: OrderedCell) -> None:
    structure = ordered.to_structure()
    # A quarter of the cube diagonal from an octahedral site.
    edge = 2 * ordered.minimum_distance
    vector = structure.lattice.get_fractional_coords([edge / 4] * 3)
    structure.translate_sites([0], vector)
    found = compare_relaxed(ordered, structure)
    assert found.verdict is Verdict.TRANSFORMED
    assert found.reasons[0].startswith("atom off the lattice")


@pytest.mark.parametrize(
    ("strain", "verdict"),
    [(0.03, Verdict.KEPT), (0.12, Verdict.DISTORTED), (0.35, Verdict.TRANSFORMED)],
)
def test_a_sheared_cell_is_judged_by_its_strain(
    ordered: OrderedCell, strain: float, verdict: Verdict
) -> None:
    structure = ordered.to_structure()
    stretch = np.diag([1 + strain, 1, 1 / (1 + strain)])
    sheared = Structure(
        Lattice(structure.lattice.matrix @ stretch),
        structure.species,
        structure.frac_coords,
    )
    found = compare_relaxed(ordered, sheared)
    assert found.verdict is verdict
    if verdict is not Verdict.KEPT:
        assert any(reason.startswith("shear strain") for reason in found.reasons)


def test_a_peroxide_is_another_chemistry(ordered: OrderedCell) -> None:
    structure = ordered.to_structure()
    oxygen = [i for i, site in enumerate(structure) if site.specie.symbol == "O"]
    first = oxygen[0]
    second = min(oxygen[1:], key=lambda i: structure.get_distance(first, i))
    near = structure[first].coords + np.array([0.0, 0.0, 1.4])
    structure[second] = (
        structure[second].specie,
        structure.lattice.get_fractional_coords(near),
    )
    found = compare_relaxed(ordered, structure)
    assert found.oxygen_contacts == 1
    assert found.verdict is Verdict.TRANSFORMED
    assert any("oxygen-oxygen" in reason for reason in found.reasons)


def test_an_amorphous_cell_has_lost_its_contacts(ordered: OrderedCell) -> None:
    structure = ordered.to_structure()
    random = np.random.default_rng(1)
    scrambled = Structure(
        structure.lattice,
        structure.species,
        (structure.frac_coords + 0.25 * random.random((len(structure), 3))) % 1,
    )
    found = compare_relaxed(ordered, scrambled)
    assert found.verdict is Verdict.TRANSFORMED
    assert found.contacts_kept < 0.8


def test_thresholds_decide_and_are_stored(ordered: OrderedCell) -> None:
    structure = shaken(ordered.to_structure(), 0.1)
    strict = RelaxationThresholds(displacement_kept=0.01)
    found = compare_relaxed(ordered, structure, thresholds=strict)
    assert found.verdict is Verdict.DISTORTED
    assert found.thresholds == strict
    assert "above 0.01" in found.reasons[0]


def test_other_atoms_are_refused(ordered: OrderedCell) -> None:
    structure = ordered.to_structure()
    structure.remove_sites([0])
    with pytest.raises(OrderingError, match="not the same atoms"):
        compare_relaxed(ordered, structure)


def test_shear_strain_forgets_rotation_and_size() -> None:
    random = np.random.default_rng(0)
    cell = np.eye(3) + 0.1 * random.random((3, 3))
    turn, _ = np.linalg.qr(random.random((3, 3)))
    assert shear_strain(cell, 1.3 * cell @ turn) == pytest.approx(0, abs=1e-10)


def test_one_kind_of_atom_on_each_sublattice_works_too(
    make_candidate: Callable[..., Candidate],
) -> None:
    candidate = make_candidate("hedrx", cation={"Ni2+": 2}, anion={"O2-": 2})
    ordered = order_candidate(candidate, atoms=8)
    found = compare_relaxed(ordered, ordered.to_structure())
    assert found.verdict is Verdict.KEPT
