"""The ionic potential: Madelung constants, derivatives, lattices of real crystals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hts_battery.structures.ewald import COULOMB_EV_ANGSTROM
from hts_battery.structures.ionic import IonicPotential, Ions, ions
from hts_battery.structures.references.library import (
    reference_phase,
    reference_structure,
)
from hts_battery.structures.references.site_properties import reference_charges

FCC = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
SYMBOLS = ["Li", "Li", "Ti", "Mn", "O", "O", "O", "F"]
CHARGES = [1, 1, 3, 2, -2, -2, -2, -1]
ROCKSALT = (
    np.array(
        [
            [0, 0, 0],
            [1, 1, 0],
            [1, 0, 1],
            [0, 1, 1],
            [1, 0, 0],
            [0, 1, 0],
            [0, 0, 1],
            [1, 1, 1],
        ]
    )
    / 2
)


def bare(charges: list[float]) -> IonicPotential:
    n = len(charges)
    return IonicPotential(Ions(np.array(charges, dtype=float), np.zeros((n, n)), 0.0))


def distorted(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cell = 4.2 * np.eye(3) + rng.normal(0, 0.15, (3, 3))
    return cell, (ROCKSALT + rng.normal(0, 0.02, ROCKSALT.shape)) @ cell


# Y. Sakamoto, J. Chem. Phys. 28, 164 (1958), 10.1063/1.1744060, per nearest distance.
@pytest.mark.physics
@pytest.mark.parametrize(
    ("cell", "second", "nearest", "madelung"),
    [
        (FCC, [0.5, 0.5, 0.5], 0.5, 1.747564595),
        (np.eye(3), [0.5, 0.5, 0.5], np.sqrt(3) / 2, 1.762674773),
        (FCC, [0.25, 0.25, 0.25], np.sqrt(3) / 4, 1.638055053),
    ],
    ids=["NaCl", "CsCl", "zincblende"],
)
def test_madelung_constants(
    cell: np.ndarray, second: list[float], nearest: float, madelung: float
) -> None:
    length = 5.6
    positions = length * np.array([[0, 0, 0], second])
    energy = bare([1, -1]).evaluate(length * cell, positions).energy
    found = -energy * nearest * length / COULOMB_EV_ANGSTROM
    assert found == pytest.approx(madelung, abs=5e-7)


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 10_000))
def test_forces_are_the_derivative(seed: int) -> None:
    cell, positions = distorted(seed)
    potential, step = IonicPotential(ions(SYMBOLS, CHARGES)), 1e-4
    forces = potential.evaluate(cell, positions).forces
    for atom, axis in ((0, 0), (3, 1), (7, 2)):
        moved = np.zeros_like(positions)
        moved[atom, axis] = step
        up, down = (
            potential.evaluate(cell, positions + sign * moved).energy
            for sign in (1, -1)
        )
        assert forces[atom, axis] == pytest.approx((down - up) / (2 * step), abs=1e-6)
    assert forces.sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-9)


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 10_000))
def test_stress_is_the_derivative_by_strain(seed: int) -> None:
    cell, positions = distorted(seed)
    potential, step = IonicPotential(ions(SYMBOLS, CHARGES)), 1e-4
    stress = potential.evaluate(cell, positions).stress
    volume = abs(np.linalg.det(cell))
    for row, column in ((0, 0), (1, 2), (2, 0)):
        strain = np.zeros((3, 3))
        strain[row, column] += step / 2
        strain[column, row] += step / 2
        up, down = (
            potential.evaluate(cell @ bent, positions @ bent).energy
            for bent in (np.eye(3) + strain, np.eye(3) - strain)
        )
        assert stress[row, column] == pytest.approx(
            (up - down) / (2 * step * volume), abs=1e-7
        )
    assert stress == pytest.approx(stress.T, abs=1e-12)


def test_a_supercell_and_kept_lists_change_nothing() -> None:
    cell, positions = distorted(3)
    potential = IonicPotential(ions(SYMBOLS, CHARGES))
    alone = potential.evaluate(cell, positions)
    kept = potential.evaluate(cell * 1.01, positions * 1.01).energy
    fresh = IonicPotential(ions(SYMBOLS, CHARGES)).evaluate(
        cell * 1.01, positions * 1.01
    )
    assert kept == pytest.approx(fresh.energy, abs=1e-6)
    double = np.diag([2.0, 1, 1]) @ cell
    twice = IonicPotential(ions(SYMBOLS * 2, CHARGES * 2)).evaluate(
        double, np.vstack([positions, positions + cell[0]])
    )
    assert twice.energy == pytest.approx(2 * alone.energy, abs=1e-6)
    assert twice.forces[:8] == pytest.approx(alone.forces, abs=1e-6)


def test_breathing_ends_without_pressure() -> None:
    cell, positions = distorted(5)
    potential = IonicPotential(ions(SYMBOLS, CHARGES))
    scale = potential.equilibrium_scale(cell, positions)
    assert np.trace(potential.evaluate(scale * cell, scale * positions).stress) == (
        pytest.approx(0, abs=1e-6)
    )


def test_an_element_has_no_forces() -> None:
    potential = IonicPotential(ions(["Li", "Li"], [0, 0]))
    cell, positions = 3.5 * np.eye(3), np.array([[0.0, 0, 0], [1.7, 1.7, 1.7]])
    assert not potential.evaluate(cell, positions).forces.any()
    assert potential.equilibrium_scale(cell, positions) == 1.0


# Lattice parameters of R. W. G. Wyckoff, Crystal Structures (1963), in angstrom.
@pytest.mark.physics
@pytest.mark.parametrize(
    ("phase_id", "length"),
    [
        ("LiF-rocksalt", 4.027),
        ("MgO-rocksalt", 4.211),
        ("CaO-rocksalt", 4.811),
        ("NiO-rocksalt", 4.177),
        ("CaF2-fluorite", 5.463),
    ],
)
def test_lattice_parameters_within_four_percent(phase_id: str, length: float) -> None:
    phase = reference_phase(phase_id)
    atoms = reference_structure(phase)
    potential = IonicPotential(
        ions([site.specie.symbol for site in atoms], reference_charges(phase))
    )
    scale = potential.equilibrium_scale(atoms.lattice.matrix, atoms.cart_coords)
    cubic = scale * (4 * atoms.volume) ** (1 / 3)
    assert cubic == pytest.approx(length, rel=0.04)


def test_the_energy_depends_on_the_ordering() -> None:
    cell, positions = 4.2 * np.eye(3), 4.2 * ROCKSALT
    first = IonicPotential(ions(SYMBOLS, CHARGES)).evaluate(cell, positions).energy
    swapped = ["Ti", "Li", "Li", "Mn", *SYMBOLS[4:]]
    second = (
        IonicPotential(ions(swapped, [3, 1, 1, 2, *CHARGES[4:]]))
        .evaluate(cell, positions)
        .energy
    )
    assert abs(first - second) > 1e-3
