"""
Compute energies with GPAW for another process: JSON lines in, JSON lines out.

Run as a program, ``python runner.py`` or ``mpirun -np 4 gpaw python runner.py``, by an
interpreter that has GPAW. GPAW is licensed under the GPLv3 or later; this project is
not, so no module of it imports GPAW or this file: the two talk through pipes. For the
same reason nothing of the project is imported here.

The first line out says ``{"ready": versions}``. Each line in is a request,

- ``{"structure": {"symbols", "cell", "positions", "pbc", "moments"}, "parameters",
  "log", "stress"}`` for the first structure: ``parameters`` are the keywords of
  ``gpaw.GPAW`` (eV, angstrom, Bohr magnetons), ``log`` names its text file,
- ``{"cell", "positions"}`` for the next one, which starts from the wave functions of
  the last,

and gets one line out: ``{"result": ...}``, or ``{"error": ...}`` after which the
process ends. It also ends when its input is closed.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import time
import traceback
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO


class Structure(TypedDict):
    """What the atoms are; angstrom, Bohr magnetons."""

    symbols: list[str]
    cell: list[list[float]]
    positions: list[list[float]]
    pbc: list[bool]
    moments: list[float]


class Request(TypedDict, total=False):
    """One line in."""

    structure: Structure
    parameters: dict[str, object]
    log: str
    stress: bool
    cell: list[list[float]]
    positions: list[list[float]]


@dataclass
class Session:
    """The atoms that are computed, and what GPAW is told of them."""

    atoms: Any = None
    polarised: bool = False
    stress: bool = False
    keywords: dict[str, object] = field(default_factory=dict)


PACKAGES = ("gpaw", "gpaw-data", "ase", "numpy", "scipy")
_LAST_LINES = 15
_GRACE_S = 5.0


def main() -> int:
    """Answer requests until the input ends; the exit status is 1 after an error."""
    replies = private_output()
    try:
        world = importlib.import_module("gpaw.mpi").world
    except Exception as err:  # noqa: BLE001 - not installed, or wrongly started
        reply(replies, {"error": described(err)})
        return 1
    first = world.rank == 0
    try:
        if first:
            reply(replies, {"ready": versions(world.size)})
        session = Session()
        for request in requests(world):
            answer = {"result": calculated(session, request)}
            if first:
                reply(replies, answer)
    except Exception as err:  # noqa: BLE001 - a program's outermost handler
        if first:
            reply(replies, {"error": described(err)})
        return abandon(world.size)
    return 0


def private_output() -> TextIO:
    """Keep standard output for replies: what libraries print goes to the log."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def reply(channel: TextIO, answer: Mapping[str, object]) -> None:
    """Write one line at once."""
    channel.write(json.dumps(answer) + "\n")
    channel.flush()


def requests(world: Any) -> Iterator[Request]:  # noqa: ANN401 - GPAW's communicator
    """Yield the requests, read by the first process and told to all."""
    broadcast = importlib.import_module("gpaw.mpi").broadcast
    while True:
        line = sys.stdin.readline() if world.rank == 0 else None
        line = broadcast(line, 0, comm=world)
        if not line.strip():
            return
        yield json.loads(line)


def calculated(session: Session, request: Request) -> dict[str, object]:
    """Energy, forces, stress and moments of the structure that is asked for."""
    started = time.perf_counter()
    if "structure" in request:
        begin(session, request)
    else:
        session.atoms.set_cell(request["cell"])
        session.atoms.set_positions(request["positions"])
    atoms = session.atoms
    energy = converged_energy(session)
    calculator = atoms.calc
    result: dict[str, object] = {
        "energy": energy,
        "free_energy": float(atoms.get_potential_energy(force_consistent=True)),
        "forces": atoms.get_forces().tolist(),
        "stress": atoms.get_stress().tolist() if session.stress else None,
        "moments": moments(atoms, polarised=session.polarised),
        "scf_steps": int(calculator.get_number_of_iterations()),
        "k_points": len(calculator.get_bz_k_points()),
        "irreducible_k_points": len(calculator.get_ibz_k_points()),
        "bands": int(calculator.get_number_of_bands()),
        "datasets": datasets(atoms),
    }
    result["seconds"] = time.perf_counter() - started
    return result


def begin(session: Session, request: Request) -> None:
    """Make the atoms and their calculator."""
    ase = importlib.import_module("ase")
    structure = request["structure"]
    polarised = any(structure["moments"])
    atoms = ase.Atoms(
        structure["symbols"],
        cell=structure["cell"],
        positions=structure["positions"],
        pbc=structure["pbc"],
        magmoms=structure["moments"] if polarised else None,
    )
    session.atoms, session.polarised = atoms, polarised
    session.stress = request["stress"]
    # Without a start moment there is none at the end: half the work, the same energy.
    switches = {"spinpol": polarised, "txt": request["log"]}
    session.keywords = {**request["parameters"], **switches}


def converged_energy(session: Session) -> float:
    """Energy in eV; a calculation whose symmetry was broken starts anew."""
    gpaw = importlib.import_module("gpaw")
    atoms = session.atoms
    if atoms.calc is None:
        atoms.calc = gpaw.GPAW(**session.keywords)
    try:
        return float(atoms.get_potential_energy())
    except Exception as err:
        # The class stands in no public module of GPAW.
        if type(err).__name__ != "SymmetryBrokenError":
            raise
        atoms.calc = gpaw.GPAW(**session.keywords)
        return float(atoms.get_potential_energy())


def moments(atoms: Any, *, polarised: bool) -> list[float]:  # noqa: ANN401 - ase.Atoms
    """Moment of each atom in Bohr magnetons."""
    if not polarised:
        return [0.0] * len(atoms)
    return [float(moment) for moment in atoms.get_magnetic_moments()]


def datasets(atoms: Any) -> dict[str, str]:  # noqa: ANN401 - ase.Atoms
    """Fingerprint of each element's PAW data set, as GPAW's log prints it."""
    setups = atoms.calc.setups
    return {
        symbol: str(setups[index].fingerprint)
        for index, symbol in enumerate(atoms.get_chemical_symbols())
    }


def versions(cores: int) -> dict[str, object]:
    """Say what computes: packages, libraries and number of processes."""
    found: dict[str, object] = {"python": platform.python_version(), "processes": cores}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    native = importlib.import_module("_gpaw")
    found["libxc"] = getattr(native, "libxc_version", None)
    return found


def described(err: BaseException) -> dict[str, object]:
    """Say what went wrong: the class, the message, the last lines of the trace."""
    lines = "".join(traceback.format_exception(err)).splitlines()
    return {
        "kind": type(err).__name__,
        "message": str(err),
        "trace": lines[-_LAST_LINES:],
    }


def abandon(size: int) -> int:
    """End without waiting for the other processes, which may wait for this one."""
    if size > 1:
        # Time for the first process to write why, before mpirun ends everything.
        time.sleep(_GRACE_S)
        os._exit(1)
    return 1


if __name__ == "__main__":
    sys.exit(main())
