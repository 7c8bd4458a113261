"""Cancelling the queue jobs of a launchpad that is given up, until they are gone."""

from __future__ import annotations

import logging
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from hts_battery.connections.launchpad.queues import (
    QueueKind,
    job_number,
    listed_jobs,
    queue_of,
)
from hts_battery.connections.records.launch_files import mark_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fireworks import LaunchPad

logger = logging.getLogger(__name__)

_ACTIVE = ("RESERVED", "RUNNING")
_PATIENCE_S = 60.0
_POLL_S = 1.0
_COMMAND_S = 60.0


def withdraw(kind: QueueKind, job: str) -> str | None:
    """Cancel a queue job; return what the queue says against it, if anything."""
    words = [one.format(job=job) for one in kind.withdraw]
    try:
        done = subprocess.run(  # noqa: S603 - a command of our own table
            words, capture_output=True, text=True, timeout=_COMMAND_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        return str(err)
    return (done.stderr or done.stdout).strip() if done.returncode else None


def withdraw_jobs(
    launchpad: LaunchPad,
    *,
    withdrawn: Callable[[QueueKind, str], str | None] = withdraw,
    listed: Callable[[QueueKind], frozenset[str] | None] = listed_jobs,
    patience: float = _PATIENCE_S,
) -> tuple[str, ...]:
    """
    Cancel every queue job of a launchpad that waits or runs, and see it gone.

    Parameters
    ----------
    launchpad
        An open launchpad.
    withdrawn, listed
        Cancels a job; asks a queue for its jobs.
    patience
        Time in s for which jobs that end are waited for.

    Returns
    -------
    tuple of str
        Jobs that were cancelled, those that refused included: they are logged.
    """
    found = active_jobs(launchpad)
    for kind, jobs in found.values():
        for job in sorted(jobs):
            said = withdrawn(kind, job)
            if said is not None:
                logger.warning("%s job %s: %s", kind.kind, job, said)
    deadline = time.monotonic() + patience
    for kind, jobs in found.values():
        numbers = {job_number(job) for job in jobs}
        while time.monotonic() < deadline and numbers & (listed(kind) or frozenset()):
            time.sleep(_POLL_S)
    return tuple(sorted(job for _, jobs in found.values() for job in jobs))


def active_jobs(launchpad: LaunchPad) -> Mapping[str, tuple[QueueKind, set[str]]]:
    """Return the queue jobs of launches that wait or run, by kind of queue."""
    kinds: dict[str, QueueKind] = {}
    jobs: defaultdict[str, set[str]] = defaultdict(set)
    query = {"state": {"$in": list(_ACTIVE)}}
    for launch in launchpad.launches.find(query, ["launch_dir", "state_history"]):
        folder = Path(launch["launch_dir"])
        kind = queue_of(folder)
        if kind is None:
            continue  # no queue job
        numbers = {
            str(one["reservation_id"])
            for one in launch["state_history"]
            if one.get("reservation_id")
        }
        mark = mark_of(folder)
        if mark is not None and mark.queue_id:
            numbers.add(mark.queue_id)
        kinds[kind.kind] = kind
        jobs[kind.kind] |= numbers
    return {name: (kind, jobs[name]) for name, kind in kinds.items()}
