"""Electrostatics of lattices against Madelung's constant and another Ewald sum."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.ewald import EwaldSummation

from hts_battery.disorder import LatticeModel, lattice_cell
from hts_battery.disorder.ewald_table import COULOMB, charge_potentials, ewald_table
from hts_battery.disorder.lattice_sites import lattice_sites
from hts_battery.errors import OrderingError

MIX = {
    "cation": {"Li": 0.5, "Mn2+": 0.125, "Ti": 0.375},
    "anion": {"O": 0.75, "F": 0.25},
}


@pytest.mark.physics
def test_madelung_constant_of_rock_salt() -> None:
    cell = lattice_cell("rocksalt", {"cation": {"Mg2+": 1}, "anion": {"O": 1}}, 1)
    found = lattice_sites(cell)
    table = ewald_table(found.torus, found.vectors, 4.2 / np.sqrt(2), has_anions=True)
    potentials = charge_potentials(table, np.ones(4), -np.ones(4))
    assert -potentials[:4] * 2.1 / COULOMB == pytest.approx(1.7475645946, abs=1e-9)
    assert potentials[4:] == pytest.approx(-potentials[:4])


@pytest.mark.parametrize(
    "shape", [[[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 1, 0], [0, 1, 0], [0, 1, 2]]]
)
def test_it_equals_another_ewald_sum(shape: list[list[int]]) -> None:
    cell = lattice_cell("rocksalt", MIX, 2, seed=1)
    cell.make_supercell(shape)
    right = EwaldSummation(cell, acc_factor=14).total_energy
    model = LatticeModel.from_pairs("rocksalt", {}, dielectric=1.0)
    assert model.energy(cell) == pytest.approx(right, abs=1e-4)
    halved = LatticeModel.from_pairs("rocksalt", {}, dielectric=2.0)
    assert halved.energy(cell) == pytest.approx(model.energy(cell) / 2)


def test_the_energy_is_that_of_each_cell_of_a_supercell() -> None:
    cell = lattice_cell("rocksalt", MIX, 2, seed=4)
    model = LatticeModel.from_pairs("rocksalt", {("Li", "Ti"): [0.01]}, dielectric=10.0)
    once = model.energy(cell)
    cell.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    assert model.energy(cell) == pytest.approx(2 * once, abs=1e-9)


def test_what_cannot_be_is_refused() -> None:
    for value in (0.0, -3.0):
        with pytest.raises(OrderingError, match="positive, or None"):
            LatticeModel.from_pairs("rocksalt", {}, dielectric=value)
    cell = lattice_cell("rocksalt", MIX, 1)
    cell.remove_oxidation_states()
    with pytest.raises(OrderingError, match="without an oxidation state"):
        LatticeModel.from_pairs("rocksalt", {}, dielectric=5.0).energy(cell)
