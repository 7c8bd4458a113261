"""Which jobs a queue has, whatever the queue: how it is asked is data."""

from __future__ import annotations

import logging
import os
import re
import subprocess
from enum import Enum
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import yaml
from pydantic import Field

from hts_battery.connections.queue_job import job_number
from hts_battery.schemas.base import Document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

logger = logging.getLogger(__name__)
_SCRIPT = "FW_submit.script"  # FireWorks' name of what it submits
_TIMEOUT_S = 60


class QueueKind(Document):
    """How one kind of queue is asked for its jobs."""

    kind: str = Field(description="FireWorks' word for it.")
    script: str = Field(description="Text by which its submission scripts are known.")
    command: tuple[str, ...] = Field(description="Lists jobs that wait or run.")
    job: str = Field(description="Regular expression: the number of a job in a line.")
    ask: tuple[str, ...] = Field(description="Asks for one job: {job}, {number}.")
    elsewhere: tuple[str, ...] = Field(
        (), description="What the question needs for another cluster: {cluster}."
    )
    unknown: str = Field(description="Regular expression: there is no such job.")
    ended: str = Field(description="Regular expression: the job has ended.")
    cluster: str | None = Field(
        None, description="Regular expression: the cluster in a submission script."
    )
    here: tuple[str, ...] = Field((), description="Says which cluster this is.")
    here_name: str | None = Field(
        None, description="Regular expression: the name in the answer."
    )
    named: tuple[str, ...] = Field(
        (), description="Lists jobs of one {name}; empty where the queue cannot."
    )
    withdraw: tuple[str, ...] = Field(description="Cancels one {job}.")
    attempt: tuple[str, ...] = Field(
        (), description="Says whether a {script} could be submitted, without doing it."
    )
    exclude: str | None = Field(
        None, description="Key of my_qadapter.yaml for nodes that are not used."
    )

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

    def answer(self, status: int, text: str) -> JobAnswer:
        """
        Read what a queue says of one job.

        Examples
        --------
        >>> slurm = queue_kinds()[0]
        >>> slurm.answer(0, "JobId=7 JobName=hts JobState=PENDING Reason=Priority")
        <JobAnswer.KNOWN: 'known'>
        >>> slurm.answer(1, "slurm_load_jobs error: Invalid job id specified")
        <JobAnswer.GONE: 'gone'>
        >>> slurm.answer(1, "slurm_load_jobs error: Unable to contact slurm controller")
        <JobAnswer.NO_ANSWER: 'no answer'>
        """
        if re.search(self.unknown, text):
            return JobAnswer.GONE
        if re.search(self.ended, text, re.MULTILINE):
            return JobAnswer.GONE
        return JobAnswer.NO_ANSWER if status else JobAnswer.KNOWN


class JobAnswer(Enum):
    """What a queue says of one job that it was asked for by its number."""

    KNOWN = "known"
    """It waits or runs."""
    GONE = "gone"
    """It has ended, or there is no such job."""
    NO_ANSWER = "no answer"
    """The queue does not answer now: nobody knows."""
    CANNOT_ASK = "cannot ask"
    """Nobody here can ask it: another cluster, another user, no such command."""


class LaunchQueue(NamedTuple):
    """The queue that a launch was sent to, by its submission script."""

    kind: QueueKind
    cluster: str | None
    """Cluster that the script names, where it names one."""


@lru_cache(maxsize=1)
def queue_kinds() -> tuple[QueueKind, ...]:
    """Return the kinds of queues that are known."""
    resource = files("hts_battery.connections") / "data" / "queues.yaml"
    rows = yaml.safe_load(resource.read_text("utf-8"))
    return tuple(QueueKind.model_validate(row) for row in rows)


def queue_of(folder: Path) -> LaunchQueue | None:
    """
    Say which queue a launch folder belongs to, by its submission script.

    A rocket of several in one queue job has the script above its folder.
    """
    for place in (folder, folder.parent):
        try:
            text = (place / _SCRIPT).read_text("utf-8", errors="replace")
        except OSError:
            continue  # no queue job's folder, or not ours: other witnesses are asked
        for kind in queue_kinds():
            if re.search(f"^{re.escape(kind.script)}", text, re.MULTILINE):
                return LaunchQueue(kind, _found(kind.cluster, text))
    return None


def _found(pattern: str | None, text: str) -> str | None:
    found = re.search(pattern, text, re.MULTILINE) if pattern else None
    return found.group(1).strip("\"'") if found else None


def listed_jobs(
    kind: QueueKind, *, environment: Mapping[str, str] | None = None
) -> frozenset[str] | None:
    """Ask a queue for the numbers of its jobs; None if it cannot be asked here."""
    done = _run(kind.command, environment)
    if isinstance(done, JobAnswer):
        return None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        logger.warning("%s failed: %s", kind.command[0], said)
        return None
    return kind.jobs(done.stdout)


def this_cluster(
    kind: QueueKind, *, environment: Mapping[str, str] | None = None
) -> str | None:
    """Ask which cluster the queue here is; None where it has no name or cannot say."""
    if not kind.here:
        return None
    done = _run(kind.here, environment)
    return None if isinstance(done, JobAnswer) else _found(kind.here_name, done.stdout)


def asked_job(
    kind: QueueKind,
    queue_id: str,
    cluster: str | None,
    *,
    environment: Mapping[str, str] | None = None,
) -> JobAnswer:
    """Ask a queue for one job by its number, on ``cluster`` where it is another one."""
    words = _words(kind, kind.ask, queue_id, cluster)
    if words is None:
        return JobAnswer.CANNOT_ASK
    done = _run(words, environment)
    if isinstance(done, JobAnswer):
        return done
    answer = kind.answer(done.returncode, f"{done.stdout}\n{done.stderr}")
    if answer is JobAnswer.NO_ANSWER and cluster is not None:
        return JobAnswer.CANNOT_ASK  # a cluster that this one does not know, mostly
    return answer


def cancel_job(
    kind: QueueKind,
    queue_id: str,
    cluster: str | None,
    *,
    environment: Mapping[str, str] | None = None,
) -> str | None:
    """Ask a queue to end one job; return its own words where it refuses, else none."""
    words = _words(kind, kind.withdraw, queue_id, cluster)
    if words is None:
        return f"{kind.withdraw[0]} cannot reach the cluster {cluster} from here"
    done = _run(words, environment)
    if isinstance(done, JobAnswer):
        return f"{words[0]}: {done.value}"
    if done.returncode == 0:
        return None
    return (done.stderr or done.stdout).strip() or f"status {done.returncode}"


def _words(
    kind: QueueKind, command: Sequence[str], queue_id: str, cluster: str | None
) -> list[str] | None:
    """Write a command about one job; none where that cluster cannot be named to it."""
    words = list(command)
    if cluster is not None:
        if not kind.elsewhere:
            return None
        words[1:1] = kind.elsewhere
    names = {
        "job": queue_id,
        "number": job_number(queue_id) or queue_id,
        "cluster": cluster,
    }
    return [word.format(**names) for word in words]


def _run(
    words: Sequence[str], environment: Mapping[str, str] | None
) -> subprocess.CompletedProcess[str] | JobAnswer:
    """Run a command of a queue."""
    try:
        return subprocess.run(  # noqa: S603 - a command of our own table
            words,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            env=None if environment is None else {**os.environ, **environment},
        )
    except OSError:
        return JobAnswer.CANNOT_ASK  # this host has no such command: no fault
    except subprocess.TimeoutExpired:
        logger.warning("%s did not answer within %d s", words[0], _TIMEOUT_S)
        return JobAnswer.NO_ANSWER
