from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING

import pytest

from hts_battery.structures import order_candidate
from hts_battery.structures.cells import build_cell
from hts_battery.structures.descriptors import cell_descriptors
from hts_battery.structures.short_range_order import short_range_order

if TYPE_CHECKING:
    from hts_battery.schemas.candidate import Candidate


def test_a_rocksalt_cell_has_short_range_order_and_tetrahedra(drx: Candidate) -> None:
    ordered = order_candidate(drx, iterations=500)
    found = cell_descriptors(ordered)
    cell = build_cell(ordered.prototype, ordered.supercell)
    expected = short_range_order(cell, ordered.decoration)
    assert found.warren_cowley is not None
    assert set(found.warren_cowley) == set(expected)
    assert found.warren_cowley["cation/cation"][0]["Li+/Mn3+"] == pytest.approx(
        expected["cation/cation"][0]["Li+/Mn3+"], abs=1e-6
    )
    assert found.tetrahedra is not None
    assert found.tetrahedra.carriers == ("Li",)
    assert found.tetrahedra.sites == 20
    assert found.tetrahedra.random_fractions[4] == pytest.approx(0.65**4, abs=1e-6)
    # Undistorted: regular tetrahedra on the shortest cation distance, sqrt(2) of the
    # distance to the anions.
    edge = ordered.minimum_distance * 2**0.5
    assert found.tetrahedra.mean_height == pytest.approx(
        edge * (2 / 3) ** 0.5, rel=1e-5
    )
    assert found.tetrahedra.mean_volume == pytest.approx(edge**3 / 72**0.5, rel=1e-5)
    assert found.nasicon is None


def test_a_relaxed_cell_is_described_where_its_atoms_are(drx: Candidate) -> None:
    ordered = order_candidate(drx, iterations=500)
    structure = ordered.to_structure()
    before = cell_descriptors(ordered)
    structure.scale_lattice(structure.volume * 1.06)
    structure.translate_sites(range(len(structure)), [0.4, 0.1, 0.9])
    after = cell_descriptors(ordered, structure)
    assert after.warren_cowley == before.warren_cowley
    assert before.tetrahedra is not None
    assert after.tetrahedra is not None
    assert after.tetrahedra.mean_volume == pytest.approx(
        before.tetrahedra.mean_volume * 1.06, rel=1e-5
    )
    # Two cations that change places change the tetrahedra, not their number.
    swapped = ordered.to_structure()
    lithium = next(k for k, s in enumerate(swapped) if s.specie.symbol == "Li")
    metal = next(k for k, s in enumerate(swapped) if s.specie.symbol == "Mn")
    first, second = swapped[lithium].frac_coords, swapped[metal].frac_coords
    swapped[lithium] = swapped[lithium].specie, second
    swapped[metal] = swapped[metal].specie, first
    moved = cell_descriptors(ordered, swapped)
    assert moved.warren_cowley != before.warren_cowley


def test_two_atoms_on_one_site_have_no_order_to_tell(drx: Candidate) -> None:
    ordered = order_candidate(drx, iterations=500)
    structure = ordered.to_structure()
    lithium = [k for k, s in enumerate(structure) if s.specie.symbol == "Li"]
    near = structure[lithium[1]].frac_coords + 0.01
    structure[lithium[0]] = structure[lithium[0]].specie, near
    found = cell_descriptors(ordered, structure)
    assert found.warren_cowley is None
    assert found.tetrahedra is None


def test_a_nasicon_cell_has_bottlenecks_and_no_cubic_tetrahedra(
    nzsp: Candidate,
) -> None:
    found = cell_descriptors(order_candidate(nzsp, iterations=500))
    assert found.tetrahedra is None
    assert found.nasicon is not None
    assert set(found.nasicon.polyanion_volumes) == {"P", "Si"}
    assert found.warren_cowley is not None
    assert "alkali/alkali" in found.warren_cowley


def test_descriptors_of_a_cell_take_far_less_than_50_ms(
    drx: Candidate, nzsp: Candidate
) -> None:
    for candidate in (drx, nzsp):
        ordered = order_candidate(candidate, iterations=100)
        structure = ordered.to_structure()
        cell_descriptors(ordered, structure)
        times = []
        for _ in range(5):
            start = process_time()
            cell_descriptors(ordered, structure)
            times.append(process_time() - start)
        assert min(times) < 0.05
