from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from scipy.spatial import ConvexHull

from hts_battery.structures.cells import build_cell, compact_supercell
from hts_battery.structures.descriptors import nasicon_geometry
from hts_battery.structures.site_labels import nasicon_sites

ELEMENTS = {"alkali": "Na", "metal": "Cr", "polyanion": "P", "oxygen": "O"}


def parent(cells: int) -> Structure:
    cell = build_cell("nasicon", compact_supercell("nasicon", cells))
    species = [ELEMENTS[name] for name in cell.sublattices]
    return Structure(Lattice(cell.lattice), species, cell.coordinates)


def by_hand(structure: Structure, first: int, second: int) -> tuple[float, float]:
    """Area of the oxygen triangle that a straight way pierces, and where it does."""
    lattice = structure.lattice
    start = structure[first].coords
    _, image = lattice.get_distance_and_image(
        structure[first].frac_coords, structure[second].frac_coords
    )
    end = lattice.get_cartesian_coords(structure[second].frac_coords + image)
    near = [
        n
        for n in structure.get_neighbors(structure[first], 3.0)
        if n.specie.symbol == "O"
    ]
    assert len(near) == 6
    corners = np.array([n.coords for n in near])
    for face in ConvexHull(corners).simplices:
        a, b, c = corners[face]
        u, v, along = np.linalg.solve(
            np.array([b - a, c - a, start - end]).T, start - a
        )
        if min(u, v, 1 - u - v) > 0 and 0 < along < 1:
            return float(np.linalg.norm(np.cross(b - a, c - a)) / 2), float(along)
    raise AssertionError


def test_the_bottleneck_is_the_triangle_that_the_way_pierces() -> None:
    structure = parent(1)
    sites = nasicon_sites(structure)
    found = nasicon_geometry(structure, sites)
    sixb = sites.labels.index("6b")
    beside = [
        i
        for i, label in enumerate(sites.labels)
        if label == "18e" and structure.get_distance(sixb, i) < 3.5
    ]
    for other in beside:
        area, along = by_hand(structure, sixb, other)
        assert area == pytest.approx(found.bottleneck_area_mean, abs=1e-5)
        assert 0.3 < along < 0.5
    assert found.bottlenecks == 12
    # Every way is the same by symmetry in the parent.
    assert found.bottleneck_area_min == pytest.approx(found.bottleneck_area_max)


def test_polyhedra_have_the_volumes_of_their_hulls() -> None:
    structure = parent(1)
    sites = nasicon_sites(structure)
    found = nasicon_geometry(structure, sites)
    sixb, centre = sites.labels.index("6b"), sites.labels.index("polyanion 18e")
    for index, reach, volume in (
        (sixb, 3.0, found.octahedron_volume),
        (centre, 2.0, found.polyanion_volumes["P"]),
    ):
        near = [
            n.coords
            for n in structure.get_neighbors(structure[index], reach)
            if n.specie.symbol == "O"
        ]
        assert ConvexHull(near).volume == pytest.approx(volume, abs=1e-5)
    # A tetrahedron on a bottleneck: V = A h / 3.
    assert found.tetrahedron_volume == pytest.approx(
        found.bottleneck_area_mean * found.tetrahedron_height / 3, abs=1e-5
    )


@pytest.mark.physics
def test_the_parent_has_phosphate_tetrahedra() -> None:
    # Four P-O bonds of 1.521 angstrom, as the prototype's file says; the volume of a
    # regular tetrahedron with these is 8 sqrt(3) d^3 / 27, the height 4 d / 3.
    found = nasicon_geometry(parent(1), nasicon_sites(parent(1)))
    assert found.polyanion_volumes["P"] == pytest.approx(
        8 * np.sqrt(3) * 1.521**3 / 27, rel=0.01
    )
    assert found.polyanion_heights["P"] == pytest.approx(4 * 1.521 / 3, rel=0.01)


def test_cell_size_and_scale_do_what_they_should() -> None:
    small, large = parent(1), parent(3)
    first = nasicon_geometry(small, nasicon_sites(small))
    second = nasicon_geometry(large, nasicon_sites(large))
    assert second.bottlenecks == 3 * first.bottlenecks
    assert second.bottleneck_area_mean == pytest.approx(first.bottleneck_area_mean)
    large.scale_lattice(large.volume * 1.1)
    third = nasicon_geometry(large, nasicon_sites(large))
    assert third.bottleneck_area_mean == pytest.approx(
        first.bottleneck_area_mean * 1.1 ** (2 / 3), abs=1e-5
    )
    assert third.octahedron_volume == pytest.approx(
        first.octahedron_volume * 1.1, abs=1e-5
    )
    assert third.tetrahedron_height == pytest.approx(
        first.tetrahedron_height * 1.1 ** (1 / 3), abs=1e-5
    )


def test_empty_cavities_are_measured_too() -> None:
    structure = parent(1)
    structure.remove_species(["Na"])
    found = nasicon_geometry(structure, nasicon_sites(structure))
    assert found.bottlenecks == 12
