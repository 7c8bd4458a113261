from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hts_battery.vasp_standin.potential import charges, evaluate, final_moments
from hts_battery.vasp_standin.vasp_inputs import Poscar

ROCKSALT = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
NONE = np.zeros(2)


@pytest.fixture
def disordered() -> Poscar:
    rng = np.random.default_rng(1)
    symbols = ("Li",) * 4 + ("Mn",) * 2 + ("Ti",) * 2 + ("O",) * 7 + ("F",)
    sides = np.diag([4.2, 8.4, 4.3]) + rng.normal(0, 0.1, (3, 3))
    grid = np.stack(np.meshgrid(range(2), range(4), range(2), indexing="ij"), -1)
    places = grid.reshape(-1, 3) / (2, 4, 2) + rng.normal(0, 0.01, (16, 3))
    return Poscar("test", sides, symbols, places)


def rocksalt_energy(side: float) -> float:
    places = np.array([[0.0] * 3, [0.5] * 3])
    cell = Poscar("", ROCKSALT * side, ("Mg", "O"), places)
    return evaluate(cell, moments=NONE, hubbard=NONE).energy


def test_forces_and_stress_are_the_slopes_of_the_energy(disordered: Poscar) -> None:
    nothing = np.zeros(16)
    state = evaluate(disordered, moments=nothing, hubbard=nothing)
    step = 1e-6
    for atom, axis in ((0, 0), (5, 1), (15, 2)):
        shift = np.zeros((16, 3))
        shift[atom, axis] = step
        places = disordered.fractional + shift @ np.linalg.inv(disordered.lattice)
        moved = disordered.moved(disordered.lattice, places)
        after = evaluate(moved, moments=nothing, hubbard=nothing)
        slope = (after.energy - state.energy) / step
        assert -slope == pytest.approx(state.forces[atom, axis], rel=1e-3, abs=1e-3)
    for row, column in ((0, 0), (1, 2)):
        strain = np.eye(3)
        strain[row, column] += step
        strained = disordered.moved(disordered.lattice @ strain, disordered.fractional)
        after = evaluate(strained, moments=nothing, hubbard=nothing)
        slope = (after.energy - state.energy) / step / disordered.volume
        assert slope == pytest.approx(state.stress[row, column], rel=1e-3, abs=1e-4)


def test_the_energy_depends_on_volume_and_has_a_lowest_one() -> None:
    sides = np.linspace(3.2, 5.6, 49)
    energies = [rocksalt_energy(side) for side in sides]
    assert 3.8 < sides[int(np.argmin(energies))] < 4.6


def test_the_energy_depends_on_the_ordering(disordered: Poscar) -> None:
    symbols = list(disordered.symbols)
    symbols[0], symbols[6] = symbols[6], symbols[0]
    other = replace(disordered, symbols=tuple(symbols))
    nothing = np.zeros(16)
    energies = {
        evaluate(cell, moments=nothing, hubbard=nothing).energy
        for cell in (disordered, other)
    }
    assert len(energies) == 2


def test_moments_and_hubbard_u_lower_the_energy(disordered: Poscar) -> None:
    moments = np.where(np.array(disordered.symbols) == "Mn", 3.72, 0.0)
    hubbard = np.where(np.array(disordered.symbols) == "Mn", 3.9, 0.0)
    nothing = np.zeros(16)
    plain = evaluate(disordered, moments=nothing, hubbard=hubbard).energy
    spin = evaluate(disordered, moments=moments, hubbard=nothing).energy
    both = evaluate(disordered, moments=moments, hubbard=hubbard).energy
    assert plain > spin > both


def test_cells_are_neutral_and_metals_uncharged(disordered: Poscar) -> None:
    assert charges(disordered.symbols).sum() == pytest.approx(0)
    assert charges(("Li", "Mn")).tolist() == [0, 0]


def test_final_moments_stay_where_they_are() -> None:
    symbols = ("Mn", "Ni", "Ti", "O")
    first = final_moments(symbols, np.array([-4.0, 2.0, 0.2, 0.6]))
    assert first[0] < -3
    assert first[2:].tolist() == [0, 0]
    assert final_moments(symbols, first) == pytest.approx(first)
