"""Which jobs a queue has, whatever the queue: how it is asked is data."""

from __future__ import annotations

import logging
import re
import subprocess
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import yaml
from pydantic import Field

from hts_battery.schemas.base import Document

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)
_SCRIPT = "FW_submit.script"  # FireWorks' name of what it submits
_TIMEOUT_S = 60
_NUMBER = re.compile(r"\d+")


class QueueKind(Document):
    """How one kind of queue is asked for its jobs."""

    kind: str = Field(description="FireWorks' word for it.")
    script: str = Field(description="Text by which its submission scripts are known.")
    command: tuple[str, ...] = Field(description="Lists jobs that wait or run.")
    job: str = Field(description="Regular expression: the number of a job in a line.")
    withdraw: tuple[str, ...] = Field(description="Cancels one {job}.")

    def jobs(self, text: str) -> frozenset[str]:
        r"""
        Read a listing.

        Examples
        --------
        >>> slurm = queue_kinds()[0]
        >>> sorted(slurm.jobs("101\n  102\n"))
        ['101', '102']
        """
        return frozenset(re.findall(self.job, text, re.MULTILINE))


@lru_cache(maxsize=1)
def queue_kinds() -> tuple[QueueKind, ...]:
    """Return the kinds of queues that are known."""
    resource = files("hts_battery.connections") / "data" / "queues.yaml"
    rows = yaml.safe_load(resource.read_text("utf-8"))
    return tuple(QueueKind.model_validate(row) for row in rows)


def queue_of(folder: Path) -> QueueKind | None:
    """
    Say which kind of queue a launch folder belongs to, by its submission script.

    A rocket of several in one queue job has the script above its folder.
    """
    for place in (folder, folder.parent):
        try:
            text = (place / _SCRIPT).read_text("utf-8", errors="replace")
        except OSError:
            continue  # no queue job's folder, or not ours: other witnesses are asked
        for kind in queue_kinds():
            if re.search(f"^{re.escape(kind.script)}", text, re.MULTILINE):
                return kind
    return None


def listed_jobs(kind: QueueKind) -> frozenset[str] | None:
    """Ask a queue for the numbers of its jobs; None if it cannot be asked here."""
    try:
        done = subprocess.run(  # noqa: S603 - a command of our own table
            kind.command,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except OSError:
        return None  # this host has no such command, which is no fault
    except subprocess.TimeoutExpired:
        logger.warning("%s did not answer within %d s", kind.command[0], _TIMEOUT_S)
        return None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        logger.warning("%s failed: %s", kind.command[0], said)
        return None
    return kind.jobs(done.stdout)


def job_number(queue_id: str | None) -> str | None:
    """
    Return the number in the name of a queue job.

    Examples
    --------
    >>> job_number("4711.pbs-server"), job_number(None)
    ('4711', None)
    """
    found = _NUMBER.search(queue_id or "")
    return found.group() if found else None
