"""
Molecular dynamics in chunks: each begins with the exact state where the last one ended.

A chunk is a file of frames and, written after it, a file of the state: positions,
momenta, cell, what the thermostat remembers, and the generator of random numbers. What
was killed before its state was written is computed again and comes out the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import reduce
from typing import TYPE_CHECKING, Literal, Protocol, TypedDict

import numpy as np
from ase import units
from ase.md.bussi import Bussi
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import IsotropicMTKNPT, NoseHooverChainNVT
from ase.md.nvtberendsen import NVTBerendsen
from ase.md.verlet import VelocityVerlet

from hts_battery.errors import TrajectoryError
from hts_battery.structures.neighbours import neighbour_pairs
from hts_battery.transport.trajectory_files import Trajectory, write_chunk

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Thermostat = Literal["nve", "bussi", "langevin", "nose-hoover", "berendsen", "npt"]

_REMEMBERED: dict[str, tuple[str, ...]] = {
    "nve": (),
    "langevin": (),
    "berendsen": (),
    "bussi": ("transferred_energy",),
    "nose-hoover": ("_thermostat._eta", "_thermostat._p_eta"),
    "npt": (
        *("_thermostat._eta", "_thermostat._p_eta", "_barostat._xi", "_barostat._p_xi"),
        *("_eps", "_p_eps", "_cell0", "_volume0"),
    ),
}
_TOO_HOT = 4.0  # times the temperature asked for
_TOO_NEAR = 0.6  # Å


class Integrator(Protocol):
    """What ASE's molecular dynamics has."""

    def step(self) -> object:
        """Go on by a step."""


class _RunState(TypedDict):
    """All that the next step depends on."""

    spec: dict[str, object]
    symbols: list[str]
    step: int
    positions: list[list[float]]
    momenta: list[list[float]]
    cell: list[list[float]]
    thermostat: dict[str, list[float] | float]
    random: dict[str, object]
    listed_at: tuple[list[list[float]], list[list[float]]] | None


@dataclass(frozen=True)
class DynamicsSpec:
    """
    What a run is; it does not change from chunk to chunk.

    Parameters
    ----------
    temperature
        In K.
    time_step
        In fs.
    thermostat
        ``bussi`` (stochastic velocity rescaling), ``langevin``, ``nose-hoover``,
        ``npt`` (Martyna, Tobias, Klein, isotropic) and ``nve``; ``berendsen`` is there
        for comparison: its temperature fluctuates too little.
    every
        Steps from frame to frame.
    relaxation_time
        Of the thermostat, in fs; ten times as much of the barostat.
    pressure
        Of ``npt``, in GPa.
    seed
        Of velocities and thermostat.
    """

    temperature: float
    time_step: float = 2.0
    thermostat: Thermostat = "bussi"
    every: int = 10
    relaxation_time: float = 100.0
    pressure: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no run can be."""
        if self.thermostat not in _REMEMBERED:
            known = ", ".join(_REMEMBERED)
            raise TrajectoryError(f"thermostat {self.thermostat!r}: one of {known}")
        for name in ("temperature", "time_step", "every", "relaxation_time"):
            if not getattr(self, name) > 0:
                raise TrajectoryError(f"{name} {getattr(self, name)}: above zero")


@dataclass(frozen=True)
class Chunk:
    """
    How a chunk ended.

    Parameters
    ----------
    number
        Counted from 1.
    step
        Steps of the run at its end.
    unstable
        Why it was ended before; empty where it was not. Its frames are not kept, and
        the state of the chunk before is the last good one.
    """

    number: int
    step: int
    unstable: str = ""


def run_chunk(folder: Path, atoms: Atoms, spec: DynamicsSpec, *, steps: int) -> Chunk:
    """
    Go on with a run by some steps, or begin it.

    Parameters
    ----------
    folder
        Of the run; chunks and states are written here.
    atoms
        With a calculator. At the beginning their positions and cell are the start;
        later only elements, masses and calculator count.
    spec
        The same for every chunk.
    steps
        In this chunk.

    Raises
    ------
    TrajectoryError
        The folder holds a run with other settings or other atoms.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> copper = bulk("Cu", cubic=True)
    >>> copper.calc = EMT()
    >>> with TemporaryDirectory() as folder:
    ...     spec = DynamicsSpec(300.0, every=2)
    ...     run_chunk(Path(folder), copper, spec, steps=4).step
    4
    """
    folder.mkdir(parents=True, exist_ok=True)
    states = sorted(folder.glob("state-*.json"))
    random = np.random.default_rng(spec.seed)
    before: _RunState | None = json.loads(states[-1].read_text()) if states else None
    first = _restore(atoms, spec, before, random) if before else 0
    if not before:
        draw_velocities(atoms, spec, random)
    dynamics = integrator(atoms, spec, random)
    if before:
        _remember(dynamics, spec, before["thermostat"])
    number = int(states[-1].stem[-4:]) + 1 if states else 1
    frames, last = _Frames(atoms, spec, []), first + steps
    for step in range(first + 1 if before else 0, last + 1):
        if step:
            dynamics.step()
        is_frame = step % spec.every == 0
        if (is_frame or step == last) and (trouble := frames.trouble()):
            return Chunk(number, step, trouble)
        if is_frame:
            frames.keep()
    frames.write(folder / f"chunk-{number:04d}.parquet")
    state = _state(atoms, spec, dynamics, random, last)
    part = folder / f"state-{number:04d}.part"
    part.write_text(json.dumps(state))
    part.replace(folder / f"state-{number:04d}.json")
    return Chunk(number, last)


def draw_velocities(
    atoms: Atoms, spec: DynamicsSpec, random: np.random.Generator
) -> None:
    """Draw velocities without a common one, of exactly the temperature."""
    masses = atoms.get_masses()[:, None]
    momenta = np.sqrt(masses) * random.standard_normal((len(atoms), 3))
    momenta -= masses * momenta.sum(axis=0) / masses.sum()
    atoms.set_momenta(momenta)
    atoms.set_momenta(momenta * np.sqrt(spec.temperature / atoms.get_temperature()))


def integrator(
    atoms: Atoms, spec: DynamicsSpec, random: np.random.Generator
) -> Integrator:
    """Make ASE's integrator."""
    step, kelvin = spec.time_step * units.fs, spec.temperature
    time = spec.relaxation_time * units.fs
    match spec.thermostat:
        case "bussi":
            return Bussi(atoms, step, temperature_K=kelvin, taut=time, rng=random)
        case "langevin":
            return Langevin(
                atoms, step, temperature_K=kelvin, friction=1 / time, fixcm=False,
                rng=random,
            )  # fmt: skip
        case "nose-hoover":
            return NoseHooverChainNVT(atoms, step, temperature_K=kelvin, tdamp=time)
        case "berendsen":
            return NVTBerendsen(atoms, step, temperature_K=kelvin, taut=time)
        case "npt":
            pressure = spec.pressure * units.GPa
            return IsotropicMTKNPT(
                atoms, step, temperature_K=kelvin, pressure_au=pressure, tdamp=time,
                pdamp=10 * time,
            )  # fmt: skip
        case _:
            return VelocityVerlet(atoms, step)


def _holder(dynamics: Integrator, path: str) -> tuple[object, str]:
    """Find the object that holds what a thermostat remembers."""
    *parents, name = path.split(".")
    return reduce(getattr, parents, dynamics), name


def _remember(
    dynamics: Integrator, spec: DynamicsSpec, kept: dict[str, list[float] | float]
) -> None:
    """Give the integrator what it knew."""
    for path in _REMEMBERED[spec.thermostat]:
        holder, name = _holder(dynamics, path)
        value = kept[path]
        setattr(holder, name, np.array(value) if isinstance(value, list) else value)


def _state(
    atoms: Atoms,
    spec: DynamicsSpec,
    dynamics: Integrator,
    random: np.random.Generator,
    step: int,
) -> _RunState:
    """Write all that the next step depends on; decimals of JSON are exact."""
    kept: dict[str, list[float] | float] = {}
    for path in _REMEMBERED[spec.thermostat]:
        holder, name = _holder(dynamics, path)
        kept[path] = np.asarray(getattr(holder, name)).tolist()
    # Of a calculator whose lists depend on where they were made.
    listed = getattr(atoms.calc, "listed_at", None)
    return {
        "spec": asdict(spec),
        "symbols": atoms.get_chemical_symbols(),
        "step": step,
        "positions": atoms.positions.tolist(),
        "momenta": atoms.get_momenta().tolist(),
        "cell": atoms.cell.array.tolist(),
        "thermostat": kept,
        "random": dict(random.bit_generator.state),
        "listed_at": (listed[0].tolist(), listed[1].tolist()) if listed else None,
    }


def _restore(
    atoms: Atoms,
    spec: DynamicsSpec,
    state: _RunState,
    random: np.random.Generator,
) -> int:
    """Put a state back; return its step."""
    if state["spec"] != asdict(spec):
        raise TrajectoryError(
            f"the run was begun with other settings ({state['spec']}): use another "
            "folder"
        )
    if state["symbols"] != atoms.get_chemical_symbols():
        raise TrajectoryError("the run was begun with other atoms: use another folder")
    if state["listed_at"]:
        cell, positions = map(np.array, state["listed_at"])
        atoms.set_cell(cell)
        atoms.set_positions(positions)
        atoms.get_forces()
    atoms.set_cell(np.array(state["cell"]))
    atoms.set_positions(np.array(state["positions"]))
    atoms.set_momenta(np.array(state["momenta"]))
    random.bit_generator.state = state["random"]
    return state["step"]


@dataclass
class _Frames:
    """Frames of a chunk, and a watch over them."""

    atoms: Atoms
    spec: DynamicsSpec
    kept: list[tuple[Floats, Floats, float]]

    def trouble(self) -> str:
        """Say what is wrong with the atoms as they are; nothing where all is well."""
        places, cell = self.atoms.positions, self.atoms.cell.array
        energy = self.atoms.get_potential_energy()
        if not np.isfinite(
            [*places.flat, *self.atoms.get_momenta().flat, energy]
        ).all():
            return "a position, a momentum or the energy is not a finite number"
        kelvin = self.atoms.get_temperature()
        if kelvin > _TOO_HOT * self.spec.temperature:
            return f"{kelvin:.0f} K where {self.spec.temperature:g} K were asked for"
        fractions = places @ np.linalg.inv(cell)
        near = neighbour_pairs(cell, fractions - np.floor(fractions), _TOO_NEAR)
        if len(near.first):
            return f"two atoms are {near.lengths.min():.2f} Å apart"
        return ""

    def keep(self) -> None:
        """Keep a frame."""
        places, cell = self.atoms.positions.copy(), self.atoms.cell.array.copy()
        self.kept.append((places, cell, float(self.atoms.get_potential_energy())))

    def write(self, path: Path) -> None:
        """Write what was kept."""
        if not self.kept:
            path.unlink(missing_ok=True)  # of one that was killed, with more steps
            return
        places, cells, energies = map(np.array, zip(*self.kept, strict=True))
        frames = Trajectory(
            tuple(self.atoms.get_chemical_symbols()),
            places,
            cells,
            self.spec.time_step * self.spec.every,
            self.spec.temperature,
        )
        write_chunk(path, frames, energies)
