"""
The brake: a worker or a campaign that does nothing but fail is held.

A broken interpreter, a full home folder or a wrong setting fails every job within
seconds: overnight a thousand candidates are given up, or a share is spent on nothing.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.campaign.dispatched import single_failures
from hts_battery.connections.launchpad.ended_runs import (
    completed_since,
    last_runs,
    last_words,
)
from hts_battery.connections.launchpad.launchpad import launchpad_beside
from hts_battery.connections.records.backlog import (
    dispatching,
    read_submission,
    write_submission,
)
from hts_battery.connections.records.worker_controls import pause_worker
from hts_battery.schemas.dispatch import EndingKind, Hold
from hts_battery.schemas.worker_control import PausedBy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hts_battery.campaign.dispatched import Dispatched
    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.ended_runs import EndedRun
    from hts_battery.schemas.rows import EndingRow
    from hts_battery.schemas.worker_control import WorkerControl

logger = logging.getLogger(__name__)


class BrakeLimits(NamedTuple):
    """When something is held; 0 is never."""

    runs: int = 5
    """Runs of a worker in a row that end without having begun."""
    failures: int = 10
    """Candidates of a campaign in a row that fail in the same way."""


def brake(stores: Stores, dispatched: Dispatched, limits: BrakeLimits) -> bool:
    """Hold what does nothing but fail, of one campaign; say whether anything was."""
    held = False
    for worker in dispatched.workers:
        control = dispatched.controls.get(worker)
        if control is None or not control.paused:
            held |= _brake_worker(stores, worker, control, limits)
    return _brake_campaign(stores, dispatched, limits) or held


def _brake_worker(
    stores: Stores, worker: str, control: WorkerControl | None, limits: BrakeLimits
) -> bool:
    if not limits.runs:
        return False
    since = None if control is None else control.resumed_at
    runs = last_runs(launchpad_beside(stores), worker, limits.runs)
    if not never_began(runs, limits.runs, since=since):
        return False
    if completed_since(stores, worker, runs[-1].launch_id):
        return False
    words = next(filter(None, (last_words(one.folder) for one in runs)), None)
    reason = (
        f"its last {limits.runs} jobs ended without having begun: "
        f"{words or f'they left no word in {runs[0].folder}'}"
    )
    logger.error("worker %s is held: %s", worker, reason)
    pause_worker(stores, worker, reason, PausedBy.BRAKE)
    return True


def never_began(
    runs: Sequence[EndedRun], count: int, *, since: datetime | None
) -> bool:
    """Say whether the last so many runs, all since some time, ended without begin."""
    last = [one for one in runs[:count] if since is None or one.last_sign > since]
    return len(last) == count and not any(one.began for one in last)


def _brake_campaign(
    stores: Stores, dispatched: Dispatched, limits: BrakeLimits
) -> bool:
    submission = dispatched.submission
    if not limits.failures or submission is None or submission["hold"] is not None:
        return False
    resumed = submission.get("resumed")
    endings = [
        ending
        for item in dispatched.own
        for ending in (*item["earlier"], item["ending"])
        if ending is not None
    ]
    kind, reason = same_failure(
        endings,
        limits.failures,
        since=None if resumed is None else datetime.fromisoformat(resumed),
    )
    if kind is None:
        return False
    text = f"the last {limits.failures} candidates failed by {kind}: {reason}"
    logger.error("campaign %s is held: %s", dispatched.campaign, text)
    with dispatching(stores, f"the brake of {dispatched.campaign}") as lease:
        found = read_submission(stores, dispatched.campaign)
        if found is None or found.hold is not None:
            return False
        held = {"hold": Hold.BRAKE, "hold_reason": text}
        write_submission(stores, found.model_copy(update=held), lease)
    return True


def same_failure(
    endings: Iterable[EndingRow], count: int, *, since: datetime | None = None
) -> tuple[str | None, str]:
    """
    Return the class by which the last so many dispatches all failed, and a reason.

    A chunk that was lost is one, whatever it held.

    Parameters
    ----------
    endings
        How dispatches ended, in any order; what an operator took back counts as none.
    count
        How many in a row there must be.
    since
        Only those after it count.

    Returns
    -------
    tuple
        The class, None if they did not all fail by one; the reason of the last one.
    """
    told = sorted(
        (
            (datetime.fromisoformat(one["time"]), one)
            for one in endings
            if one["kind"] != EndingKind.CANCELLED
        ),
        key=lambda pair: pair[0],
    )
    recent = [one for time, one in told if since is None or time > since]
    last = single_failures(recent)[-count:]
    classes = {
        one["failure_class"] if one["kind"] == EndingKind.FAILED else None
        for one in last
    }
    if len(last) < count or len(classes) != 1:
        return None, ""
    return classes.pop(), last[-1]["reason"] or "no reason was written down"
