"""Named stand-ins for what cannot run in a fast test; injected, never patched in."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fireworks import FiretaskBase, explicit_serialize
from jobflow import Flow, Maker, job
from pymongo.errors import AutoReconnect

from hts_battery.errors import QueueRefusalError
from hts_battery.schemas.reference import ReferenceEnergy

if TYPE_CHECKING:
    from pymatgen.core import Structure

FAKE_VERSION = "fake"


@dataclass
class FakeRelaxMaker(Maker):
    """
    Pretends to relax: returns the structure as it came, with a made-up energy.

    The output has the shape of atomate2's force-field task document. With
    ``error_with`` only structures that hold that element raise the error.
    """

    name: str = "fake relax"
    energy_per_atom: float = -2.4
    converged: bool = True
    error: str | None = None
    error_with: str | None = None
    seconds: float = 0.0
    elapsed_time: float = 1.0

    @job
    def make(self, structure: Structure) -> dict[str, Any]:
        time.sleep(self.seconds)
        only = self.error_with
        if self.error is not None and only in (None, *structure.symbol_set):
            raise RuntimeError(self.error)
        return {
            "state": "successful" if self.converged else "failed",
            "is_force_converged": self.converged,
            "forcefield_version": FAKE_VERSION,
            "structure": structure.as_dict(),
            "nsites": len(structure),
            "output": {
                "elapsed_time": self.elapsed_time,
                "energy": self.energy_per_atom * len(structure),
                "energy_per_atom": self.energy_per_atom,
                "n_steps": 7,
                "forces": [[0.0, 0.0, 0.01]] * len(structure),
            },
        }


@dataclass
class FakeCountedRelaxMaker(FakeRelaxMaker):
    """
    As its parent, and counts its calls in a file so that some of them can fail.

    Parameters
    ----------
    counter
        File that grows by one line a call.
    failing
        Calls that raise, counted from 1; those in ``outages`` lose the database.
    """

    name: str = "fake counted relax"
    counter: str = ""
    failing: tuple[int, ...] = ()
    outages: tuple[int, ...] = ()

    @job
    def make(self, structure: Structure) -> dict[str, Any]:
        with Path(self.counter).open("a+", encoding="utf-8") as file:
            file.write("call\n")
            file.seek(0)
            call = len(file.readlines())
        if call in self.outages:
            raise AutoReconnect("connection closed")
        if call in self.failing:
            raise RuntimeError(f"call {call} fails")
        return FakeRelaxMaker.make.original(self, structure)  # type: ignore[attr-defined]


@dataclass
class FakeSpringMaker(FakeCountedRelaxMaker):
    """
    As its parent, with an energy that rises by the square of the change of volume.

    Parameters
    ----------
    volume
        Of the minimum, angstrom^3 per atom.
    stiffness
        Second derivative of the energy, eV per atom and (angstrom^3 per atom)^2.
    """

    name: str = "fake spring"
    volume: float = 10.0
    stiffness: float = 0.05

    @job
    def make(self, structure: Structure) -> dict[str, Any]:
        change = structure.volume / len(structure) - self.volume
        found = FakeCountedRelaxMaker.make.original(self, structure)  # type: ignore[attr-defined]
        per_atom = self.energy_per_atom + self.stiffness / 2 * change**2
        found["output"] |= {
            "energy": per_atom * len(structure),
            "energy_per_atom": per_atom,
        }
        found["structure"] = structure.as_dict()
        return found


@dataclass
class FakeDeadlyRelaxMaker(FakeRelaxMaker):
    """As its parent, but its process is killed with structures that hold an element."""

    name: str = "fake deadly relax"
    deadly: str = "F"

    @job
    def make(self, structure: Structure) -> dict[str, Any]:
        if self.deadly in structure.symbol_set:
            os.kill(os.getpid(), signal.SIGKILL)
        return FakeRelaxMaker.make.original(self, structure)  # type: ignore[attr-defined]


@dataclass
class FakeTwoRelaxationsMaker(Maker):
    """A relaxation that is a flow of two jobs, as those of VASP are."""

    name: str = "fake two relaxations"

    def make(self, structure: Structure) -> Flow:
        first = FakeRelaxMaker(name="first").make(structure)
        second = FakeRelaxMaker(name="second").make(first.output["structure"])
        return Flow([first, second], output=second.output)


FAKE_REFERENCES = {
    "Li": 0.0,
    "Mn": 0.0,
    "Ti": 0.0,
    "Nb": 0.0,
    "Cr": 0.0,
    "O2": 0.0,
    "F2": 0.0,
    "Li2O": -2.0,
    "MnO": -2.0,
    "Mn2O3": -2.0,
    "TiO2": -3.2,
    "Nb2O5": -2.8,
    "Cr2O3": -2.3,
    "LiF": -3.1,
}
"""Formula → invented formation energy in eV/atom."""


def fake_reference_energies(engine: str = "chgnet") -> list[ReferenceEnergy]:
    return [
        ReferenceEnergy(
            phase_id=f"fake-{formula}",
            formula=formula,
            engine=engine,
            energy_per_atom=energy,
            n_atoms=4,
            converged=True,
            start_digest="none",
            versions={engine: FAKE_VERSION},
        )
        for formula, energy in FAKE_REFERENCES.items()
    ]


@explicit_serialize
class FakeTask(FiretaskBase):  # type: ignore[misc] # untyped there
    """Raises what it is told, or writes its environment down."""

    required_params = ("error",)
    optional_params = ()

    def run_task(self, _spec: dict[str, Any]) -> None:
        Path("told.json").write_text(json.dumps(dict(os.environ)), encoding="utf-8")
        if self["error"]:
            raise RuntimeError(self["error"])


@dataclass
class FakeScheduler:
    """
    A queue that takes every job, but for what it was told to refuse.

    ``refusals``: words with which the next submissions are refused, one each.
    ``has``: it took the jobs that it refused. ``silent``: it does not answer.
    ``mute``: it cannot be asked for a job by its name.
    """

    refusals: list[str] = field(default_factory=list)
    has: bool = False
    silent: bool = False
    mute: bool = False
    submitted: dict[str, Path] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)

    def jobs(self) -> frozenset[str]:
        if self.silent:
            raise QueueRefusalError("squeue", "Unable to contact slurm controller")
        return frozenset(self.submitted)

    def submit(self, script: Path) -> str:
        number = str(100 + len(self._names))
        name = next(
            line.partition("=")[2]
            for line in script.read_text().splitlines()
            if "--job-name=" in line
        )
        words = self.refusals.pop(0) if self.refusals else None
        if words is None or self.has:
            self._names[name] = number
            self.submitted[number] = script
        if words is not None:
            raise QueueRefusalError("sbatch", words, may_have_it=True)
        return number

    def named(self, name: str) -> frozenset[str] | None:
        if self.mute:
            return None
        return frozenset({self._names[name]} if name in self._names else ())

    def withdraw(self, job: str) -> None:
        del self.submitted[job]
