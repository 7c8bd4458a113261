from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from hts_battery.errors import OrderingError
from hts_battery.schemas.relaxed import (
    RelaxationThresholds,
    RelaxedCell,
    Verdict,
)
from hts_battery.structures import order_candidate
from hts_battery.structures.cells import build_cell
from hts_battery.structures.relaxation.verdict import compare_relaxed, shear_strain

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


def test_a_lattice_on_the_way_to_caesium_chloride_is_caught(
    make_candidate: Callable[..., Candidate],
) -> None:
    # Squeezed along a threefold axis, rocksalt becomes caesium chloride.
    candidate = make_candidate("hedrx", cation={"Ni2+": 2}, anion={"O2-": 2})
    ordered = order_candidate(candidate, atoms=8)
    structure = ordered.to_structure()
    axis = np.ones(3) / np.sqrt(3)
    along = np.outer(axis, axis)
    lattice = structure.lattice.matrix @ (1.26 * (np.eye(3) - along) + 0.63 * along)
    squeezed = Structure(Lattice(lattice), structure.species, structure.frac_coords)
    found = compare_relaxed(ordered, squeezed)
    assert found.verdict is Verdict.TRANSFORMED
    assert found.reasons[0].startswith("shear strain")
    assert found.coordination == {"cation": {"8": 4}}
    assert found.coordination_changed == 1
    assert any(reason.startswith("coordination changed: 1") for reason in found.reasons)


def test_a_reason_stands_once_and_the_worst_first(ordered: OrderedCell) -> None:
    structure = shaken(ordered.to_structure(), 0.6)
    stretch = np.diag([1.3, 1, 1 / 1.3])
    worse = Structure(
        Lattice(structure.lattice.matrix @ stretch),
        structure.species,
        structure.frac_coords,
    )
    found = compare_relaxed(ordered, worse)
    names = [reason.split(":")[0] for reason in found.reasons]
    assert found.verdict is Verdict.TRANSFORMED
    assert len(set(names)) == len(names)
    assert "root mean square displacement" in names[1:]


def good_moments(ordered: OrderedCell) -> list[float]:
    """Nine tenths of the moments that were given, with signs of all kinds."""
    given = ordered.to_structure().site_properties["magmom"]
    return [0.9 * m * (-1) ** k for k, m in enumerate(given)]


def test_without_moments_nothing_is_said_about_charge(ordered: OrderedCell) -> None:
    found = compare_relaxed(ordered, ordered.to_structure())
    assert found.charge_transfers is None
    assert found.states_exchanged is None


def test_covalency_and_signs_are_no_charge_transfer(ordered: OrderedCell) -> None:
    structure = ordered.to_structure()
    found = compare_relaxed(ordered, structure, moments=good_moments(ordered))
    assert found.charge_transfers == ()
    assert found.states_exchanged is None
    assert found.verdict is Verdict.KEPT


def test_an_oxidised_ion_is_found_and_named(ordered: OrderedCell) -> None:
    structure = ordered.to_structure()
    moments = good_moments(ordered)
    parents = structure.site_properties["parent_site"]
    manganese = [k for k, m in enumerate(moments) if abs(m) > 3]
    titanium = next(k for k, s in enumerate(structure) if s.specie.symbol == "Ti")
    moments[manganese[0]], moments[titanium] = 3.1, 0.9
    found = compare_relaxed(ordered, structure, moments=moments)
    assert found.verdict is Verdict.CHARGE_TRANSFER
    assert found.charge_transfers is not None
    assert [(t.species, t.site) for t in found.charge_transfers] == sorted(
        [
            ("Mn3+", parents[manganese[0]]),
            ("Ti4+", parents[titanium]),
        ],
        key=lambda t: parents.index(t[1]),
    )
    assert "1 Mn3+ with moment 3.10 instead of 4" in found.reasons
    assert found.states_exchanged is False


def test_two_valences_that_change_places_are_said_to(six_metals: Candidate) -> None:
    ordered = order_candidate(six_metals, iterations=500)
    structure = ordered.to_structure()
    moments = good_moments(ordered)
    species = [ordered.decoration[k] for k in structure.site_properties["parent_site"]]
    moments[species.index("Mn2+")], moments[species.index("Mn3+")] = 3.88, 4.62
    found = compare_relaxed(ordered, structure, moments=moments)
    assert found.verdict is Verdict.CHARGE_TRANSFER
    assert len(found.charge_transfers or ()) == 2
    assert found.states_exchanged is True


def test_moments_follow_atoms_that_a_program_sorted(six_metals: Candidate) -> None:
    ordered = order_candidate(six_metals, iterations=500)
    structure = ordered.to_structure()
    structure.add_site_property("final", good_moments(ordered))
    relaxed = structure.get_sorted_structure(lambda site: site.specie.symbol)
    found = compare_relaxed(ordered, relaxed, moments=relaxed.site_properties["final"])
    assert found.charge_transfers == ()


def test_the_wrong_number_of_moments_is_refused(ordered: OrderedCell) -> None:
    with pytest.raises(ValueError, match="39 moments for 40 atoms"):
        compare_relaxed(ordered, ordered.to_structure(), moments=[0.0] * 39)


def test_verdicts_come_in_order_of_severity(ordered: OrderedCell) -> None:
    moments = [0.0] * len(ordered.to_structure())
    distorted = shaken(ordered.to_structure(), 0.4)
    assert compare_relaxed(ordered, distorted).verdict is Verdict.DISTORTED
    both = compare_relaxed(ordered, distorted, moments=moments)
    assert both.verdict is Verdict.CHARGE_TRANSFER
    assert any(reason.startswith("root mean square") for reason in both.reasons)
    gone = ordered.to_structure()
    gone.scale_lattice(gone.volume * 1.5)
    worst = compare_relaxed(ordered, gone, moments=moments)
    assert worst.verdict is Verdict.TRANSFORMED
    assert worst.reasons[0].startswith("volume change")
    assert any("Mn3+" in reason for reason in worst.reasons)


def test_nasicon_sites_are_counted_by_topology(nzsp: Candidate) -> None:
    ordered = order_candidate(nzsp, iterations=500)
    structure = rotated(shaken(ordered.to_structure(), 0.2), 1.1)
    structure.translate_sites(range(len(structure)), [0.3, 0.7, 0.2])
    found = compare_relaxed(ordered, structure)
    cell = build_cell(ordered.prototype, ordered.supercell)
    expected: dict[str, dict[str, int]] = {"6b": {}, "18e": {}}
    for label, name, species in zip(
        cell.labels, cell.sublattices, ordered.decoration, strict=True
    ):
        if name == "alkali":
            element = "Vac" if species == "Vac" else "Na"
            expected[label][element] = expected[label].get(element, 0) + 1
    assert {k: found.site_occupancies[k] for k in expected} == expected
    assert found.site_occupancies["12c"] == {"Zr": 4}
    assert found.site_occupancies["polyanion 18e"] == {"P": 2, "Si": 4}
    assert found.relabelled_atoms == 0
    assert found.coordination == {"metal": {"6": 4}, "polyanion": {"4": 6}}
    assert found.descriptors.nasicon is not None


def test_a_nasicon_whose_network_is_lost_has_another_structure(
    nzsp: Candidate,
) -> None:
    ordered = order_candidate(nzsp, iterations=500)
    structure = ordered.to_structure()
    oxygen = next(k for k, s in enumerate(structure) if s.specie.symbol == "O")
    structure.translate_sites([oxygen], [0.5, 0.5, 0.5])
    found = compare_relaxed(ordered, structure)
    assert found.verdict is Verdict.TRANSFORMED
    assert any("not a NASICON network" in reason for reason in found.reasons)
    assert found.site_occupancies == {}
    assert found.relabelled_atoms is None
    assert found.descriptors.nasicon is None


def test_the_document_is_stored_and_read_back(nzsp: Candidate) -> None:
    ordered = order_candidate(nzsp, iterations=500)
    structure = ordered.to_structure()
    found = compare_relaxed(ordered, structure, moments=good_moments(ordered))
    assert RelaxedCell.model_validate_json(found.model_dump_json()) == found
    assert RelaxedCell.model_validate(found.model_dump(mode="json")) == found
