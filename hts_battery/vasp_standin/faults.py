"""
Failures on purpose: which one this launch shows, decided by the environment.

``HTS_REHEARSAL_FAULTS`` holds a list such as ``walltime:1,node=0.05``: ``NAME:COUNT``
makes the first COUNT launches of every calculation fail, ``NAME=RATE`` makes that
share of all launches fail, decided by a digest of seed, calculation and launch.
``HTS_REHEARSAL_STATE`` is the folder in which launches are counted (they are processes
of their own), ``HTS_REHEARSAL_SEED`` the seed of the rates.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FAULTS_VARIABLE = "HTS_REHEARSAL_FAULTS"
STATE_VARIABLE = "HTS_REHEARSAL_STATE"
SEED_VARIABLE = "HTS_REHEARSAL_SEED"
SECONDS_VARIABLE = "HTS_REHEARSAL_SECONDS"
"""Wall time in s that every ionic step takes."""


WALL_TIME_VARIABLE = "HTS_REHEARSAL_WALL_TIME"
"""Allocation in s that each run of the stand-in has; half of it passes before the
run is asked to stop."""


class Fault(StrEnum):
    """A failure that the stand-in can show."""

    WALLTIME = "walltime"
    """Never converges and takes its time, until STOPCAR or the queue ends it."""
    OUT_OF_MEMORY = "out-of-memory"
    """The kernel kills it in the second ionic step."""
    ELECTRONIC = "electronic"
    """Every self-consistency loop runs into NELM."""
    IONIC = "ionic"
    """Takes NSW ionic steps and is not relaxed."""
    MAGNETIC = "magnetic"
    """Converges with its moments lost."""
    NODE = "node"
    """A node of the job is gone in the second ionic step."""
    FILESYSTEM = "filesystem"
    """The disk is full in the second ionic step."""
    EXECUTABLE = "executable"
    """A shared library is missing: it does not start."""
    BAD_INPUT = "bad-input"
    """Refuses a tag of INCAR."""


class FaultError(Exception):
    """The environment asks for a failure that does not exist."""


def fault_of_launch(
    environment: Mapping[str, str], calculation: str
) -> tuple[Fault | None, int]:
    """Decide which failure this launch shows, if any; count the earlier launches."""
    state = environment.get(STATE_VARIABLE)
    launch = _count(Path(state), calculation) if state else 0
    seed = environment.get(SEED_VARIABLE, "0")
    for entry in environment.get(FAULTS_VARIABLE, "").replace(" ", "").split(","):
        if not entry:
            continue
        name, separator, number = entry.replace("=", ":=").partition(":")
        fault = _fault(name)
        if not separator:
            return fault, launch
        if number.startswith("="):
            if _share(f"{seed} {name} {calculation} {launch}") < float(number[1:]):
                return fault, launch
        elif not state:
            raise FaultError(f"{entry} counts launches: set {STATE_VARIABLE} as well")
        elif launch < int(number):
            return fault, launch
    return None, launch


def _fault(name: str) -> Fault:
    try:
        return Fault(name)
    except ValueError as err:
        raise FaultError(
            f"no failure is called {name!r}; choose from {', '.join(Fault)}"
        ) from err


def _share(text: str) -> float:
    """Map a text onto a number between 0 and 1, the same on every machine."""
    return int(sha256(text.encode()).hexdigest()[:12], 16) / 16**12


def _count(folder: Path, calculation: str) -> int:
    """Add one to the launches of a calculation; return how many there were."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / sha256(calculation.encode()).hexdigest()[:20]
    # Appending one byte is atomic, so two launches at once are both counted.
    with path.open("ab") as file:
        file.write(b".")
        return file.tell() - 1
