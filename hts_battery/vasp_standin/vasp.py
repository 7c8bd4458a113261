"""
A stand-in for VASP: same files in and out, a pair potential instead of physics.

Run it where VASP would run, ``python -m hts_battery.vasp_standin.vasp``: it reads
INCAR, POSCAR, KPOINTS and POTCAR (or POTCAR.spec) of the working folder and writes
vasprun.xml, OUTCAR, OSZICAR, CONTCAR, CHGCAR and WAVECAR there. It heeds NSW, IBRION,
ISIF, EDIFF, EDIFFG, NELM, ISPIN, MAGMOM, LDAU and STOPCAR. Failures are asked for by
the variables of :mod:`hts_battery.vasp_standin.faults`.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hts_battery.vasp_standin import VASP_VERSION
from hts_battery.vasp_standin.faults import (
    SECONDS_VARIABLE,
    Fault,
    FaultError,
    fault_of_launch,
)
from hts_battery.vasp_standin.potential import (
    Response,
    charges,
    evaluate,
    final_moments,
)
from hts_battery.vasp_standin.vasp_inputs import InputError, Inputs, Poscar, read_inputs
from hts_battery.vasp_standin.vasp_outputs import Outputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from hts_battery.vasp_standin.vasp_inputs import Value

_LOOPS = 6
_TIME_LIMIT_S = 300.0
_DEFAULTS: dict[str, Value] = {
    "SYSTEM": "unknown",
    "PREC": "normal",
    "ENCUT": 400.0,
    "ENMAX": 400.0,
    "ALGO": "Normal",
    "ISPIN": 1,
    "ISMEAR": 1,
    "SIGMA": 0.2,
    "NELM": 60,
    "NELMIN": 2,
    "EDIFF": 1e-4,
    "NSW": 0,
    "ISIF": 2,
    "POTIM": 0.5,
    "LORBIT": 0,
    "LREAL": False,
    "LASPH": False,
    "GGA": "--",
    "METAGGA": "--",
    "LHFCALC": False,
    "AEXX": 0.0,
    "HFSCREEN": 0.0,
    "LUSE_VDW": False,
    "LDAU": False,
    "LCHIMAG": False,
    "LEPSILON": False,
    "LMAXMIX": 2,
    "ICHARG": 2,
    "ISTART": 0,
    "LCHARG": True,
    "LWAVE": True,
    "NGX": 24,
    "NGY": 24,
    "NGZ": 24,
}
_LAST_WORDS = {
    Fault.OUT_OF_MEMORY: "slurmstepd: error: Detected 1 oom_kill event in StepId=1.0. "
    "Some of the step tasks have been OOM Killed.",
    Fault.NODE: "srun: error: Node failure on node-rehearsal\n"
    "slurmstepd: error: *** STEP 1.0 CANCELLED DUE TO NODE FAILURE ***",
    Fault.FILESYSTEM: "forrtl: No space left on device\n"
    "forrtl: severe (38): error during write, unit 20, file OUTCAR",
    Fault.EXECUTABLE: "vasp_std: error while loading shared libraries: "
    "libmkl_core.so.2: cannot open shared object file: No such file or directory",
}
_EXIT_CODES = {
    Fault.OUT_OF_MEMORY: 137,
    Fault.NODE: 143,
    Fault.FILESYSTEM: 38,
    Fault.EXECUTABLE: 127,
}
_DEADLY = (Fault.OUT_OF_MEMORY, Fault.NODE, Fault.FILESYSTEM)
_DONE = "reached required accuracy - stopping structural energy minimisation"
_STOPPED = "soft stop encountered!  aborting job ..."


class DiedError(Exception):
    """The run ends here, in the middle of things."""


@dataclass
class Step:
    """One ionic step."""

    number: int
    cell: Poscar
    state: Response
    last: bool
    reason: str = ""


def main(
    folder: Path | None = None, environment: Mapping[str, str] = os.environ
) -> int:
    """Run once in a folder, the working folder by default."""
    folder = Path.cwd() if folder is None else folder
    print(f" running    1 mpi-ranks\n vasp.{VASP_VERSION}", flush=True)  # noqa: T201 - as VASP
    try:
        inputs = read_inputs(folder)
        fault, _ = fault_of_launch(environment, _calculation(inputs))
        _refuse(fault)
        _run(folder, inputs, fault, float(environment.get(SECONDS_VARIABLE, "0")))
    except InputError as err:
        print(err)  # noqa: T201 - VASP says it there, and custodian reads it there
        return 1
    except FaultError as err:
        print(err, file=sys.stderr)  # noqa: T201 - a mistake in the environment
        return 2
    except DiedError as err:
        died = Fault(str(err))
        print(_LAST_WORDS[died], file=sys.stderr)  # noqa: T201 - as srun and the kernel
        return _EXIT_CODES[died]
    return 0


def _calculation(inputs: Inputs) -> str:
    """Name what is computed, so that its launches can be counted."""
    counts = " ".join(f"{symbol}{count}" for symbol, count in inputs.cell.types)
    return f"{counts} {'relax' if _tags(inputs)['NSW'] else 'static'}"


def _refuse(fault: Fault | None) -> None:
    """Fail before anything is written, where that is asked for."""
    if fault is Fault.EXECUTABLE:
        raise DiedError(fault)
    if fault is Fault.BAD_INPUT:
        raise InputError("Error reading item 'ENCUT' from file INCAR.")


def _tags(inputs: Inputs) -> dict[str, Value]:
    """Return every tag with the value it has in this run."""
    tags = {**_DEFAULTS, **inputs.incar}
    nsw = _whole(tags["NSW"])
    tags.setdefault("IBRION", -1 if nsw <= 0 else 0)
    if _whole(tags["IBRION"]) < 0:
        tags["NSW"] = 0
    tags.setdefault("EDIFFG", 10 * float(str(tags["EDIFF"])))
    tags["NELECT"] = float(_electrons(inputs))
    tags["MAGMOM"] = _start_moments(inputs).tolist()
    return tags


def _run(folder: Path, inputs: Inputs, fault: Fault | None, seconds: float) -> None:
    """Take all ionic steps and write them."""
    tags = _tags(inputs)
    moments = np.zeros(len(inputs.cell.symbols))
    if tags["ISPIN"] == 2 and fault is not Fault.MAGNETIC:  # noqa: PLR2004 - VASP's
        moments = final_moments(inputs.cell.symbols, _start_moments(inputs))
    nelm = _whole(tags["NELM"])
    loops = nelm if fault is Fault.ELECTRONIC else min(_LOOPS, nelm - 1)
    insulating = bool(np.any(charges(inputs.cell.symbols)))
    if fault is Fault.WALLTIME:
        seconds = max(seconds, 0.2)
    with Outputs(
        folder, inputs, tags, electrons=_electrons(inputs), insulating=insulating
    ) as outputs:
        for step in _steps(folder, inputs, tags, moments, fault):
            time.sleep(seconds)
            if fault in _DEADLY and (step.number > 1 or step.last):
                raise DiedError(fault)
            outputs.ionic_step(
                step.number,
                step.cell,
                state=step.state,
                loops=loops,
                moments=moments,
                last=step.last,
            )
        outputs.finish(step.cell, moments, step.reason)
    print(f" {step.reason}", flush=True)  # noqa: T201 - VASP's standard output


def _steps(
    folder: Path,
    inputs: Inputs,
    tags: Mapping[str, Value],
    moments: NDArray[np.float64],
    fault: Fault | None,
) -> Iterator[Step]:
    """Walk downhill until the energy or the forces say that it is enough."""
    hubbard = _hubbard(inputs)
    cell = inputs.cell
    state = evaluate(cell, moments=moments, hubbard=hubbard)
    if not tags["NSW"]:
        stopped = fault is Fault.WALLTIME and _waited_for_stop(folder)
        yield Step(1, cell, state, last=True, reason=_STOPPED if stopped else _DONE)
        return
    reach, number, before = 0.05, 0, np.inf
    end = time.monotonic() + _TIME_LIMIT_S
    while True:
        number += 1
        if time.monotonic() > end:
            raise DiedError(Fault.NODE)
        converged = fault not in {Fault.IONIC, Fault.WALLTIME} and _converged(
            tags, before, state
        )
        # With the walltime failure only STOPCAR or the queue makes an end.
        ended = number >= _whole(tags["NSW"]) and fault is not Fault.WALLTIME
        stopped = (folder / "STOPCAR").is_file()
        reason = _STOPPED if stopped else _DONE if converged else ""
        last = converged or ended or stopped
        yield Step(number, cell, state, last=last, reason=reason)
        if last:
            return
        before = state.energy
        cell, state, reach = _downhill(cell, state, tags, (moments, hubbard), reach)


def _waited_for_stop(folder: Path) -> bool:
    """Wait until something asks a static run to stop; not for ever."""
    end = time.monotonic() + _TIME_LIMIT_S
    while time.monotonic() < end:
        if (folder / "STOPCAR").is_file():
            return True
        time.sleep(0.1)
    raise DiedError(Fault.NODE)


def _converged(tags: Mapping[str, Value], before: float, state: Response) -> bool:
    limit = float(str(tags["EDIFFG"]))
    if limit < 0:
        return bool(np.max(np.linalg.norm(state.forces, axis=1)) < -limit)
    return abs(before - state.energy) < limit


def _downhill(
    cell: Poscar,
    state: Response,
    tags: Mapping[str, Value],
    electrons: tuple[NDArray[np.float64], NDArray[np.float64]],
    reach: float,
) -> tuple[Poscar, Response, float]:
    """Go along the forces as far as the energy falls, at most 0.1 angstrom."""
    moments, hubbard = electrons
    whole_cell = tags["ISIF"] == 3  # noqa: PLR2004 - VASP's number
    for _ in range(30):
        strain = -state.stress * cell.volume / len(cell.symbols) * reach / 4
        lattice = cell.lattice @ (np.eye(3) + np.clip(strain, -0.03, 0.03) * whole_cell)
        shift = np.clip(state.forces * reach, -0.1, 0.1)
        places = cell.fractional + shift @ np.linalg.inv(cell.lattice)
        moved = cell.moved(lattice, places)
        found = evaluate(moved, moments=moments, hubbard=hubbard)
        if found.energy <= state.energy:
            return moved, found, reach * 1.3
        reach /= 2
    return cell, state, reach


def _start_moments(inputs: Inputs) -> NDArray[np.float64]:
    """Return MAGMOM, or VASP's default of one for each atom."""
    given = inputs.incar.get("MAGMOM")
    n_atoms = len(inputs.cell.symbols)
    return np.array(given) if isinstance(given, list) else np.ones(n_atoms)


def _hubbard(inputs: Inputs) -> NDArray[np.float64]:
    """Return U of every atom in eV."""
    counts = [count for _, count in inputs.cell.types]
    values = inputs.incar.get("LDAUU")
    if not inputs.incar.get("LDAU") or not isinstance(values, list):
        values = [0.0] * len(counts)
    return np.repeat(np.array(values, dtype=float), counts)


def _electrons(inputs: Inputs) -> int:
    """Return an even number of valence electrons that looks like one."""
    from pymatgen.core import Element  # noqa: PLC0415 - a third of the start-up time

    groups = [int(Element(symbol).group) for symbol in inputs.cell.symbols]
    total = sum(group if group < 13 else group - 10 for group in groups)  # noqa: PLR2004 - main groups
    return 2 * ((total + 1) // 2)


def _whole(value: Value) -> int:
    return int(float(str(value)))


if __name__ == "__main__":
    sys.exit(main())
