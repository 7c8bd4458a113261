from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, Structure

from hts_battery.structures.cells import build_cell, compact_supercell
from hts_battery.structures.ewald import ewald_matrix, pair_energies

CELLS = [("rocksalt", 1), ("rocksalt", 7), ("rocksalt", 20), ("spinel", 1)]
CELLS += [("layered", 3), ("gamma_lifeo2", 2), ("nasicon", 1), ("nasicon", 3)]


@pytest.mark.parametrize(("prototype", "cells"), CELLS)
def test_any_neutral_charges_have_pymatgens_energy(prototype: str, cells: int) -> None:
    cell = build_cell(prototype, compact_supercell(prototype, cells))
    matrix = ewald_matrix(prototype, cell.supercell)
    generator = np.random.default_rng(cells)
    for _ in range(3):
        charges = generator.integers(-2, 6, len(matrix))
        charges[0] -= charges.sum()
        structure = Structure(
            Lattice(cell.lattice), ["H"] * len(matrix), cell.coordinates
        )
        structure.add_oxidation_state_by_site([float(q) for q in charges])
        expected = EwaldSummation(structure).total_energy
        assert charges @ matrix @ charges == pytest.approx(expected, rel=1e-8)


def test_the_splitting_is_arbitrary_in_a_skew_cell() -> None:
    lattice = np.array([[3.0, 0.2, -0.4], [0.7, 5.1, 0.3], [-1.9, 0.8, 7.7]])
    vectors = np.random.default_rng(0).random((20, 3)) * 4 - 2
    vectors[0] = 0
    chosen = pair_energies(lattice, vectors)
    for splitting in (0.3, 0.5, 0.9):
        other = pair_energies(lattice, vectors, splitting=splitting)
        assert np.abs(chosen - other).max() < 1e-12


def test_the_matrix_is_symmetric_and_kept() -> None:
    cell = build_cell("nasicon", compact_supercell("nasicon", 2))
    matrix = ewald_matrix("nasicon", cell.supercell)
    assert np.array_equal(matrix, matrix.T)
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 1


def test_supercells_of_one_crystal_have_one_energy() -> None:
    single = ewald_matrix("rocksalt", ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    primitive = np.array([1, -1]) @ single @ np.array([1, -1])
    for cells in (2, 9, 20):
        cell = build_cell("rocksalt", compact_supercell("rocksalt", cells))
        signs = np.where(np.array(cell.sublattices) == "cation", 1, -1)
        matrix = ewald_matrix("rocksalt", cell.supercell)
        assert signs @ matrix @ signs == pytest.approx(cells * primitive, rel=1e-9)
