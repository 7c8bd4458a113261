"""GPAW as a process of its own: started, asked by JSON lines, closed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from contextlib import suppress
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from hts_battery.errors import CalculationError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn, Self

    from hts_battery.settings import HTSBatterySettings

Versions = dict[str, str | int | None]
"""Packages of GPAW's interpreter, and on how many cores it runs."""


class Reply(TypedDict):
    """What GPAW says of one structure; see :mod:`hts_battery.gpaw_runner.runner`."""

    energy: float
    free_energy: float
    forces: list[list[float]]
    moments: list[float]
    stress: list[float] | None
    scf_steps: int
    k_points: int
    irreducible_k_points: int
    bands: int
    datasets: dict[str, str]
    seconds: float


class _Error(TypedDict):
    kind: str
    message: str
    trace: list[str]


class _Answer(TypedDict, total=False):
    ready: Versions
    result: Reply
    error: _Error


LOG, ERRORS = "gpaw.txt", "gpaw.err"
_LAST_CHARACTERS = 2000
_CLOSE_S = 20.0


def gpaw_command(settings: HTSBatterySettings) -> tuple[str, ...]:
    """
    Return the words that start an interpreter with GPAW on this machine.

    The worker's settings may name them, for example ``mpirun -np 4 gpaw python``;
    otherwise it is this interpreter, if it has GPAW, or a ConfigurationError.
    """
    if settings.gpaw_command:
        return tuple(shlex.split(settings.gpaw_command))
    if find_spec("gpaw") is None:
        raise ConfigurationError(
            "the engine gpaw needs GPAW: pip install 'hts_battery[gpaw]' (docs/gpaw.md "
            "says what it needs first), or name in the setting gpaw_command how to "
            "start an interpreter that has it"
        )
    return (sys.executable,)


def runner_file() -> Path:
    """Return the program that GPAW's interpreter runs."""
    return Path(str(files("hts_battery"))) / "gpaw_runner" / "runner.py"


class GPAWProcess:
    """
    One running GPAW; it keeps its wave functions between requests.

    The path of the runner is appended to the command. It runs in the folder and leaves
    its text output there (``gpaw.txt``, ``gpaw.err``). ConfigurationError if it cannot
    be started, CalculationError if it ends before it is ready.
    """

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self.command = tuple(command)
        self.folder = folder
        # GPAW is parallel by processes; threads on top of them only slow it down.
        environment = {"OMP_NUM_THREADS": "1", **os.environ}
        with (folder / ERRORS).open("w", encoding="utf-8") as errors:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the worker's own settings
                    [*command, str(runner_file())],
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                )
            except OSError as err:
                raise ConfigurationError(
                    f"gpaw_command: cannot start {command[0]}: {err.strerror}"
                ) from err
        self.versions = self._answer()["ready"]

    def ask(self, request: Mapping[str, object]) -> Reply:
        """Send one request and wait for its result, or raise GPAW's own error."""
        assert self._process.stdin is not None  # noqa: S101 - opened above
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._ended()
        return self._answer()["result"]

    def close(self) -> None:
        """End the process: it leaves when its input closes, or is killed."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(BrokenPipeError):  # it ended by itself
                self._process.stdin.close()
        try:
            self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self) -> _Answer:
        assert self._process.stdout is not None  # noqa: S101 - opened above
        line = self._process.stdout.readline()
        try:
            answer: _Answer = json.loads(line)
        except ValueError:
            self._ended(line)
        error = answer.get("error")
        if error is None:
            return answer
        self.close()
        raise CalculationError(
            error["kind"], error["message"], evidence="\n".join(error["trace"])
        )

    def _ended(self, line: str = "") -> NoReturn:
        """Say how a process ended that gave no answer."""
        self.close()
        text = (self.folder / ERRORS).read_text(encoding="utf-8", errors="replace")
        raise CalculationError(
            "ProcessEnded",
            f"GPAW ended with status {self._process.returncode} and no answer",
            evidence=(line + text)[-_LAST_CHARACTERS:],
        )
