from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.structures.cells import build_cell, compact_supercell
from hts_battery.structures.descriptors import (
    cation_sublattices,
    cation_tetrahedra,
    tetrahedron_heights,
    tetrahedron_statistics,
    tetrahedron_volume,
    triangle_area,
)
from hts_battery.structures.neighbours import minimum_image_vectors

# Regular, edge 2.
REGULAR = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(2)


@pytest.mark.physics
def test_the_regular_tetrahedron() -> None:
    assert tetrahedron_volume(REGULAR) == pytest.approx(2 * np.sqrt(2) / 3, abs=1e-12)
    assert tetrahedron_volume(REGULAR) == pytest.approx(0.942809, abs=5e-7)
    assert tetrahedron_heights(REGULAR) == pytest.approx(1.632993, abs=5e-7)
    assert triangle_area(REGULAR[:3]) == pytest.approx(np.sqrt(3))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_tetrahedron_across_the_boundary_of_an_oblique_cell_is_the_same(
    x: float, y: float, z: float
) -> None:
    lattice = np.array([[7.0, 0, 0], [3.4, 6.2, 0], [-3.0, 2.9, 6.5]])
    corners = (REGULAR @ np.linalg.inv(lattice) + np.array([x, y, z])) % 1.0
    vectors = minimum_image_vectors(lattice, corners[0], corners)
    assert tetrahedron_volume(vectors) == pytest.approx(0.942809, abs=5e-7)
    assert tetrahedron_heights(vectors) == pytest.approx(1.632993, abs=5e-7)


def test_heights_and_area_give_the_volume_of_any_tetrahedron() -> None:
    corners = np.random.default_rng(2).random((50, 4, 3))
    heights = tetrahedron_heights(corners)
    base = triangle_area(corners[:, 1:])
    assert heights[:, 0] * base / 3 == pytest.approx(tetrahedron_volume(corners))
    assert heights.shape == (50, 4)


@pytest.mark.parametrize(
    ("prototype", "cubic"),
    [
        ("rocksalt", True),
        ("layered", True),
        ("gamma_lifeo2", True),
        ("spinel", False),
        ("nasicon", False),
    ],
)
def test_tetrahedra_are_those_of_cubic_close_packing(
    prototype: str, cubic: bool
) -> None:
    supercell = compact_supercell(prototype, 3)
    found = cation_tetrahedra(prototype, supercell)
    assert (found is not None) == cubic
    if found is None:
        return
    cell = build_cell(prototype, supercell)
    cations = [n in cation_sublattices(prototype) for n in cell.sublattices]
    # Two for each site, each listed by its four corners.
    assert len(found.sites) == 8 * sum(cations)
    corners = (cell.coordinates[found.sites] + found.images) @ cell.lattice
    edge = np.cbrt(6 * np.sqrt(2) * tetrahedron_volume(corners))
    assert edge == pytest.approx(edge[0])


def random_statistics(share: float, cells: int) -> tuple[float, ...]:
    supercell = ((cells, 0, 0), (0, cells, 0), (0, 0, cells))
    found = cation_tetrahedra("rocksalt", supercell)
    assert found is not None
    cell = build_cell("rocksalt", supercell)
    elements = np.full(len(cell.sublattices), "O", dtype="<U2")
    cations = cell.sites["cation"]
    elements[cations] = "Mn"
    lithium = round(share * len(cations))
    chosen = np.random.default_rng(11).permutation(cations)[:lithium]
    elements[chosen] = "Li"
    corners = (cell.coordinates[found.sites] + found.images) @ cell.lattice
    statistics = tetrahedron_statistics(found, elements.tolist(), corners)
    assert sum(statistics.fractions) == pytest.approx(1, abs=1e-5)
    for k, expected in enumerate(statistics.random_fractions):
        x = lithium / len(cations)
        assert expected == pytest.approx(comb(4, k) * x**k * (1 - x) ** (4 - k), 1e-4)
    return statistics.fractions


@pytest.mark.physics
@pytest.mark.parametrize("share", [0.5, 0.65])
def test_a_large_random_cell_has_the_fractions_of_a_random_alloy(share: float) -> None:
    cells = 20  # 8,000 cations, 16,000 tetrahedra
    fractions = random_statistics(share, cells)
    for k, found in enumerate(fractions):
        expected = comb(4, k) * share**k * (1 - share) ** (4 - k)
        # Tetrahedra share corners, so they spread somewhat more than independent ones.
        spread = np.sqrt(expected * (1 - expected) / (2 * cells**3))
        assert abs(found - expected) < 6 * spread


def test_layers_of_lithium_have_no_mixed_pairs_of_two() -> None:
    # Cations of LiMO2 alternate on (111) planes: a tetrahedron has three corners on
    # one plane and the fourth on the next, so it holds one or three lithium ions.
    supercell = compact_supercell("layered", 4)
    found = cation_tetrahedra("layered", supercell)
    assert found is not None
    cell = build_cell("layered", supercell)
    names = {"alkali": "Li", "metal": "Co", "oxygen": "O"}
    corners = (cell.coordinates[found.sites] + found.images) @ cell.lattice
    statistics = tetrahedron_statistics(
        found, [names[n] for n in cell.sublattices], corners
    )
    assert statistics.fractions == (0, 0.5, 0, 0.5, 0)
    assert statistics.carrier_height is None
    assert statistics.carrier_volume is None
