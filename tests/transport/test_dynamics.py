"""Runs in chunks are unbroken runs, whatever is killed, and thermostats are right."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT

from hts_battery.errors import TrajectoryError
from hts_battery.flows.engines.ionic import IonicCalculator
from hts_battery.transport.dynamics import (
    DynamicsSpec,
    draw_velocities,
    integrator,
    run_chunk,
)
from hts_battery.transport.trajectory_files import read_trajectory

if TYPE_CHECKING:
    from pathlib import Path

THERMOSTATS = ("nve", "bussi", "langevin", "nose-hoover", "berendsen", "npt")


def copper() -> Atoms:
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.calc = EMT()
    return atoms


def rock_salt() -> Atoms:
    atoms = bulk("LiF", "rocksalt", a=4.03, cubic=True)
    atoms.set_initial_charges([1, -1] * 4)
    atoms.calc = IonicCalculator()
    return atoms


def ended(folder: Path) -> dict[str, list[list[float]]]:
    last = max(folder.glob("state-*.json"))
    return json.loads(last.read_text())


@pytest.mark.parametrize("thermostat", THERMOSTATS)
def test_thirty_and_thirty_steps_are_sixty(thermostat: str, tmp_path: Path) -> None:
    spec = DynamicsSpec(600.0, thermostat=thermostat, every=7, seed=3)  # type: ignore[arg-type]
    run_chunk(tmp_path / "whole", copper(), spec, steps=60)
    for _ in range(2):
        run_chunk(tmp_path / "parts", copper(), spec, steps=30)
    whole, parts = ended(tmp_path / "whole"), ended(tmp_path / "parts")
    for name in ("positions", "momenta", "cell"):
        assert np.allclose(whole[name], parts[name], rtol=0, atol=1e-10)
    assert whole["step"] == parts["step"] == 60
    one, other = (read_trajectory(tmp_path / name) for name in ("whole", "parts"))
    assert len(one.positions) == 9
    assert other.positions == pytest.approx(one.positions, abs=1e-5)


@pytest.mark.parametrize("thermostat", ["bussi", "nose-hoover"])
def test_the_ionic_potential_goes_on_exactly(thermostat: str, tmp_path: Path) -> None:
    spec = DynamicsSpec(300.0, thermostat=thermostat, time_step=1.0)  # type: ignore[arg-type]
    run_chunk(tmp_path / "whole", rock_salt(), spec, steps=60)
    for _ in range(2):
        run_chunk(tmp_path / "parts", rock_salt(), spec, steps=30)
    whole, parts = ended(tmp_path / "whole"), ended(tmp_path / "parts")
    assert np.allclose(whole["positions"], parts["positions"], rtol=0, atol=1e-10)


PROGRAM = """
import os, random, signal, sys, time
from pathlib import Path
from ase.build import bulk
from ase.calculators.emt import EMT
from hts_battery.transport.dynamics import DynamicsSpec, run_chunk

def run():
    done = 0
    while done < 240:
        atoms = bulk("Cu", cubic=True) * (2, 2, 2)
        atoms.calc = EMT()
        spec = DynamicsSpec(600.0, seed=3)
        done = run_chunk(Path(sys.argv[1]), atoms, spec, steps=20).step

for _ in range(20):
    if not (child := os.fork()):
        run()
        os._exit(0)
    time.sleep(random.uniform(0, 0.2))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
run()
"""


@pytest.mark.chaos
@pytest.mark.slow
def test_killed_at_random_moments_the_run_is_the_unbroken_one(tmp_path: Path) -> None:
    """Twenty processes that have all they need in memory, so that runs are killed."""
    folder = tmp_path / "killed"
    subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(folder)], check=True
    )
    spec = DynamicsSpec(600.0, seed=3)
    run_chunk(tmp_path / "whole", copper(), spec, steps=ended(folder)["step"])  # type: ignore[arg-type]
    killed, whole = read_trajectory(folder), read_trajectory(tmp_path / "whole")
    assert killed.positions.shape == whole.positions.shape
    assert killed.positions == pytest.approx(whole.positions, abs=1e-4)
    for name in ("positions", "momenta"):
        ends = (ended(one)[name] for one in (folder, tmp_path / "whole"))
        assert np.allclose(*ends, rtol=0, atol=1e-10)
    assert not list(folder.glob("*.part"))


class Springs(Calculator):
    """Every atom on its own spring."""

    implemented_properties = ("energy", "forces")  # type: ignore[assignment]

    def __init__(self, places: np.ndarray, constant: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.places, self.constant = places, constant

    def calculate(self, atoms=None, properties=(), system_changes=()) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001, ARG002
        away = atoms.positions - self.places
        self.results = {
            "energy": 0.5 * self.constant * float(np.square(away).sum()),
            "forces": -self.constant * away,
        }


@pytest.mark.physics
@pytest.mark.slow
def test_a_harmonic_crystal_has_the_variance_of_theory(tmp_path: Path) -> None:
    """kT/(m w^2) per axis, k = m w^2."""
    atoms = bulk("Cu", cubic=True) * (3, 3, 3)
    start = atoms.positions.copy()
    atoms.calc = Springs(start, 3.0)
    spec = DynamicsSpec(500.0, thermostat="langevin", every=20, time_step=4.0)
    run_chunk(tmp_path, atoms, spec, steps=6000)
    away = (read_trajectory(tmp_path).positions - start)[60:]
    expected = units.kB * 500.0 / 3.0
    assert np.square(away).mean(axis=(0, 1)) == pytest.approx([expected] * 3, rel=0.08)


def kinetic_energies(thermostat: str, steps: int) -> np.ndarray:
    """Return kinetic energies of springs in units of kT, one a step."""
    atoms = bulk("Cu", cubic=True)
    atoms.calc = Springs(atoms.positions.copy(), 3.0)
    spec = DynamicsSpec(500.0, thermostat=thermostat, time_step=4.0)  # type: ignore[arg-type]
    random = np.random.default_rng(1)
    draw_velocities(atoms, spec, random)
    dynamics = integrator(atoms, spec, random)
    energies = []
    for _ in range(steps):
        dynamics.step()
        energies.append(atoms.get_kinetic_energy() / (units.kB * 500.0))
    return np.array(energies[500:])


@pytest.mark.physics
@pytest.mark.slow
def test_bussi_fluctuates_as_it_must_and_berendsen_does_not() -> None:
    """Mean and variance of the kinetic energy are half the degrees of freedom."""
    bussi = kinetic_energies("bussi", 20_000)
    assert bussi.mean() == pytest.approx(6.0, rel=0.05)
    assert bussi.var() == pytest.approx(6.0, rel=0.2)
    assert kinetic_energies("berendsen", 8_000).var() < 3.0


def test_energy_is_kept_without_a_thermostat(tmp_path: Path) -> None:
    atoms = copper()
    spec = DynamicsSpec(300.0, thermostat="nve", time_step=2.0)
    run_chunk(tmp_path, atoms, spec, steps=1)
    before = atoms.get_total_energy()
    run_chunk(tmp_path, atoms, spec, steps=250)
    drift = abs(atoms.get_total_energy() - before) / len(atoms) / 0.5
    assert drift < 1e-3  # eV an atom and ps


def test_an_unstable_run_keeps_its_last_good_state(tmp_path: Path) -> None:
    atoms = copper()
    spec = DynamicsSpec(300.0, every=1)
    assert run_chunk(tmp_path, atoms, spec, steps=2).unstable == ""
    atoms.calc = Springs(atoms.positions + 5, 300.0)
    found = run_chunk(tmp_path, atoms, spec, steps=50)
    assert "K where 300 K" in found.unstable
    assert [path.name for path in tmp_path.glob("state-*")] == ["state-0001.json"]
    atoms.positions[0] = atoms.positions[1] + 0.1
    near = run_chunk(tmp_path / "near", atoms, spec, steps=1)
    assert (near.step, "two atoms" in near.unstable) == (0, True)


def test_a_chunk_that_ends_between_frames_is_watched_too(tmp_path: Path) -> None:
    atoms = copper()
    spec = DynamicsSpec(300.0, every=50)
    run_chunk(tmp_path, atoms, spec, steps=3)
    atoms.calc = Springs(atoms.positions + 5, 300.0)
    found = run_chunk(tmp_path, atoms, spec, steps=10)
    assert "K where 300 K" in found.unstable
    atoms.calc = Springs(atoms.positions, np.nan)
    assert "not a finite number" in run_chunk(tmp_path, atoms, spec, steps=10).unstable
    assert [path.name for path in tmp_path.glob("state-*")] == ["state-0001.json"]


def test_frames_of_a_longer_attempt_that_was_killed_are_gone(tmp_path: Path) -> None:
    spec = DynamicsSpec(300.0, every=5)
    run_chunk(tmp_path, copper(), spec, steps=5)
    run_chunk(tmp_path, copper(), spec, steps=10)
    (tmp_path / "state-0002.json").unlink()  # killed before it was written
    for _ in range(2):
        run_chunk(tmp_path, copper(), spec, steps=4)
    run_chunk(tmp_path / "whole", copper(), spec, steps=13)
    found, whole = read_trajectory(tmp_path), read_trajectory(tmp_path / "whole")
    assert found.positions == pytest.approx(whole.positions, abs=1e-5)


def test_other_settings_go_to_another_folder(tmp_path: Path) -> None:
    run_chunk(tmp_path, copper(), DynamicsSpec(300.0), steps=1)
    with pytest.raises(TrajectoryError, match="other settings"):
        run_chunk(tmp_path, copper(), DynamicsSpec(400.0), steps=1)
    with pytest.raises(TrajectoryError, match="other atoms"):
        run_chunk(tmp_path, copper()[:-1], DynamicsSpec(300.0), steps=1)
    with pytest.raises(TrajectoryError, match="one of nve, langevin"):
        DynamicsSpec(300.0, thermostat="andersen")  # type: ignore[arg-type]
    with pytest.raises(TrajectoryError, match="temperature"):
        DynamicsSpec(-1.0)
