"""What Slurm's accounting says of ended jobs, where there is one: memory and CPU."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.connections.queue_job import job_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FIELDS = "JobIDRaw,ElapsedRaw,TotalCPU,NCPUS,MaxRSS"
_TIMEOUT_S = 60
_BATCH = 200
_UNITS = {"": 1.0, "K": 2.0**10, "M": 2.0**20, "G": 2.0**30, "T": 2.0**40}
_SIZE = re.compile(r"^([\d.]+)([KMGT]?)n?c?$")


class Accounted(NamedTuple):
    """What one job used."""

    seconds: float
    """Wall time in s."""
    cpu_seconds: float
    """Time of all its CPUs in s."""
    cpus: int
    memory: float | None
    """Largest resident memory of a task in bytes; none where nobody sampled it."""


def accounted_jobs(
    queue_ids: Iterable[str], *, command: Sequence[str] = ("sacct",)
) -> dict[str, Accounted] | None:
    """
    Ask the accounting for some jobs, by their numbers; none where there is no sacct.

    Jobs that it does not know are left out.
    """
    if shutil.which(command[0]) is None:
        return None
    numbers = sorted({number for one in queue_ids if (number := job_number(one))})
    found: dict[str, Accounted] = {}
    for start in range(0, len(numbers), _BATCH):
        words = [*command, "--noheader", "--parsable2", f"--format={_FIELDS}"]
        words += ["--jobs", ",".join(numbers[start : start + _BATCH])]
        try:
            done = subprocess.run(  # noqa: S603 - the command of Slurm
                words, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return found or None
        if done.returncode == 0:
            found |= read_accounting(done.stdout)
    return found


def read_accounting(text: str) -> dict[str, Accounted]:
    r"""
    Read what ``sacct --parsable2`` prints: a line a job, then lines of its steps.

    Examples
    --------
    >>> text = "7|100|03:00.500|2|\n7.batch|100|03:00.500|2|512000K\n"
    >>> read_accounting(text)["7"]
    Accounted(seconds=100.0, cpu_seconds=180.5, cpus=2, memory=524288000.0)
    """
    found: dict[str, Accounted] = {}
    for line in text.splitlines():
        name, *rest = line.split("|")
        if len(rest) != len(_FIELDS.split(",")) - 1:
            continue
        seconds, cpu, cpus, memory = rest
        number, _, step = name.partition(".")
        size = _bytes(memory)
        if not step:
            found[number] = Accounted(
                float(seconds or 0), clock_seconds(cpu), int(cpus or 1), size
            )
        elif number in found and size is not None:
            largest = max(size, found[number].memory or 0.0)
            found[number] = found[number]._replace(memory=largest)
    return found


def clock_seconds(text: str) -> float:
    """
    Read a time of Slurm, ``[days-][hours:]minutes:seconds``.

    Examples
    --------
    >>> clock_seconds("1-02:00:30"), clock_seconds("00:01.250"), clock_seconds("")
    (93630.0, 1.25, 0.0)
    """
    days, _, clock = text.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = 60 * total + float(part or 0)
    return total + 86_400 * int(days or 0)


def _bytes(text: str) -> float | None:
    match = _SIZE.match(text.strip())
    return float(match[1]) * _UNITS[match[2]] if match else None
