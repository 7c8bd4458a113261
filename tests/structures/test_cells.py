from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice

from hts_battery.errors import OrderingError
from hts_battery.structures.cells import (
    build_cell,
    cells_of,
    compact_supercell,
    hermite_normal_forms,
    parent_sites,
    site_permutations,
)
from hts_battery.structures.prototypes import load_prototype, prototype_names


def shortest_vector(lattice: np.ndarray) -> float:
    reduced = Lattice(lattice).get_niggli_reduced_lattice().matrix
    steps = [s for s in product((-1, 0, 1), repeat=3) if any(s)]
    return min(float(np.linalg.norm(np.array(s) @ reduced)) for s in steps)


def test_number_of_superlattices_is_the_known_sum() -> None:
    for n in range(1, 21):
        expected = sum(
            c * (n // a // c) ** 2
            for a in range(1, n + 1)
            if n % a == 0
            for c in range(1, n // a + 1)
            if (n // a) % c == 0
        )
        forms = hermite_normal_forms(n)
        assert len(forms) == expected
        assert np.all(np.round(np.linalg.det(forms)) == n)


@pytest.mark.parametrize("cells", [2, 5, 10, 12, 20])
def test_no_superlattice_is_more_compact(cells: int) -> None:
    lattice = parent_sites("rocksalt").lattice
    ours = np.array(compact_supercell("rocksalt", cells)) @ lattice
    best = max(shortest_vector(m @ lattice) for m in hermite_normal_forms(cells))
    assert shortest_vector(ours) == pytest.approx(best)
    assert np.linalg.det(ours) == pytest.approx(cells * np.linalg.det(lattice))


def test_four_and_thirty_two_primitive_cells_of_fcc_give_cubes() -> None:
    for cells, edge in ((4, 1), (32, 2)):
        lattice = build_cell("rocksalt", compact_supercell("rocksalt", cells)).lattice
        gram = lattice @ lattice.T
        assert np.allclose(gram, (edge * 4.2112) ** 2 * np.eye(3))


def test_forty_atoms_see_their_images_further_than_a_flat_cell() -> None:
    cell = build_cell("rocksalt", compact_supercell("rocksalt", 20))
    flat = np.array([[2, 0, 0], [0, 2, 0], [1, 1, 5]])
    assert len(cell.coordinates) == 40
    edge = 4.2112 / np.sqrt(2)
    assert shortest_vector(cell.lattice) == pytest.approx(np.sqrt(7) * edge)
    assert shortest_vector(flat @ parent_sites("rocksalt").lattice) < 2.01 * edge


@pytest.mark.parametrize("name", prototype_names())
@settings(max_examples=15, deadline=None)
@given(cells=st.integers(1, 12))
def test_sites_are_complete_and_distinct(name: str, cells: int) -> None:
    cell = build_cell(name, compact_supercell(name, cells))
    parent = parent_sites(name)
    assert len(cell.coordinates) == cells * len(parent.coordinates)
    assert np.all((cell.coordinates >= 0) & (cell.coordinates < 1))
    assert len(np.unique(np.round(cell.coordinates, 6), axis=0)) == len(
        cell.coordinates
    )
    # Folded back, every site is a site of the parent on the same sublattice.
    folded = cell.coordinates @ np.array(cell.supercell)
    for position, sublattice, label in zip(
        folded, cell.sublattices, cell.labels, strict=True
    ):
        difference = parent.coordinates - position
        difference -= np.round(difference)
        home = int(np.argmin(np.abs(difference).sum(axis=1)))
        assert np.abs(difference[home]).max() < 1e-6
        assert parent.sublattices[home] == sublattice
        assert parent.labels[home] == label


@pytest.mark.parametrize("name", prototype_names())
@pytest.mark.parametrize("cells", [1, 2, 5])
def test_permutations_are_a_group_of_isometries(name: str, cells: int) -> None:
    supercell = compact_supercell(name, cells)
    cell = build_cell(name, supercell)
    permutations = site_permutations(name, supercell)
    sites = len(cell.coordinates)
    assert (np.sort(permutations, axis=1) == np.arange(sites)).all()
    assert (permutations == np.arange(sites)).all(axis=1).any()
    assert len(permutations) % cells == 0
    names = np.array(cell.sublattices)
    assert (names[permutations] == names).all()
    distances = Lattice(cell.lattice).get_all_distances(
        cell.coordinates, cell.coordinates
    )
    known = {tuple(p) for p in permutations}
    for p in permutations[:: max(1, len(permutations) // 7)]:
        assert np.allclose(distances[np.ix_(p, p)], distances, atol=1e-4)
        assert {tuple(p[q]) for q in permutations} == known


def test_part_of_a_primitive_cell_is_refused() -> None:
    with pytest.raises(OrderingError, match=r"not a whole number"):
        cells_of(load_prototype("rocksalt"), Fraction(1, 3))
