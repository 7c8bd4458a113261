"""Ending the queue jobs of a campaign: by their recorded numbers, on their clusters."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hts_battery.connections.launchpad.checkout import CAMPAIGN
from hts_battery.connections.launchpad.lost_runs import put_back
from hts_battery.connections.launchpad.queues import (
    JobAnswer,
    QueueKind,
    asked_job,
    cancel_job,
    queue_of,
    this_cluster,
)
from hts_battery.connections.launchpad.workflows import queue_number
from hts_battery.connections.records.launch_files import mark_of
from hts_battery.schemas.cancellation import CancelState, QueueCancellation
from hts_battery.schemas.recovery import LossReason, LostRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.schemas.launchpad_rows import FireworkRow, LaunchRow

_WAITING, _RUNNING = "RESERVED", "RUNNING"
_PATIENCE = 10.0
_POLL = 0.5


@dataclass(frozen=True)
class Queues:
    """How queues are spoken to; tests put their own words here."""

    cancel: Callable[[QueueKind, str, str | None], str | None] = cancel_job
    ask: Callable[[QueueKind, str, str | None], JobAnswer] = asked_job
    here: Callable[[QueueKind], str | None] = this_cluster
    patience: float = _PATIENCE


@dataclass(frozen=True)
class _Sent:
    """A Firework that its queue has, and where."""

    firework: FireworkRow
    launch: LaunchRow
    queue_id: str | None
    kind: QueueKind | None
    cluster: str | None


def cancel_queue_jobs(
    launchpad: ExactLaunchPad,
    campaign: str,
    *,
    keep_running: bool = False,
    dry_run: bool = False,
    queues: Queues | None = None,
) -> list[QueueCancellation]:
    """
    End the queue jobs of a campaign.

    A Firework whose job is gone is free again, under a lock of dispatch that the caller
    holds or not: it changes only if nobody else has changed it. What its queue still
    knows is left to recovery.

    Parameters
    ----------
    launchpad, campaign
        An open launchpad, and the campaign; hold it first, or it is sent again.
    keep_running
        Whether what has begun runs to its end.
    dry_run
        Whether nothing is done.
    queues
        How queues are spoken to.
    """
    queues = queues or Queues()
    jobs: dict[tuple[str | None, str | None, int], list[_Sent]] = {}
    for sent in _sent(launchpad, campaign):
        alone = sent.firework["fw_id"] if sent.queue_id is None else 0
        jobs.setdefault((sent.queue_id, sent.cluster, alone), []).append(sent)
    found = []
    for (queue_id, cluster, _), members in sorted(
        jobs.items(), key=lambda one: min(s.firework["fw_id"] for s in one[1])
    ):
        running = any(one.firework["state"] == _RUNNING for one in members)
        if running and keep_running:
            continue
        state, words = CancelState.PLANNED, ""
        if not dry_run:
            state, words = _end(members[0], queues)
        if state is CancelState.CANCELLED:
            for one in members:
                _free(launchpad, one)
        found.append(
            QueueCancellation(
                queue_id=queue_id,
                cluster=cluster,
                fw_ids=tuple(sorted(one.firework["fw_id"] for one in members)),
                running=running,
                state=state,
                words=words,
            )
        )
    return found


def _sent(launchpad: ExactLaunchPad, campaign: str) -> Iterator[_Sent]:
    """Yield the Fireworks of a campaign that a queue has, with what is known of it."""
    fireworks = list(
        launchpad.fireworks.find(
            {f"spec.{CAMPAIGN}": campaign, "state": {"$in": [_WAITING, _RUNNING]}},
            ["fw_id", "name", "state", "launches", "spec.step"],
        )
    )
    numbers = [one for firework in fireworks for one in firework["launches"][-1:]]
    launches = {
        one["launch_id"]: one
        for one in launchpad.launches.find({"launch_id": {"$in": numbers}})
    }
    for firework in fireworks:
        launch = launches.get(next(iter(firework["launches"][-1:]), None))
        if launch is not None:
            yield _located(firework, launch)


def _located(firework: FireworkRow, launch: LaunchRow) -> _Sent:
    folder = Path(launch.get("launch_dir") or "")
    mark, queue = mark_of(folder, firework["fw_id"]), queue_of(folder)
    cluster = (mark and mark.cluster) or (queue and queue.cluster) or None
    kind = queue.kind if queue else None
    return _Sent(firework, launch, queue_number(launch, mark), kind, cluster)


def _end(sent: _Sent, queues: Queues) -> tuple[CancelState, str]:
    """Ask for the end of a job, and wait a moment for it."""
    if sent.queue_id is None or sent.kind is None:
        return CancelState.UNREACHABLE, (
            "no number of a queue job was written down"
            if sent.queue_id is None
            else f"there is no submission script in {sent.launch.get('launch_dir')}"
        )
    cluster = sent.cluster
    if cluster is not None and cluster == queues.here(sent.kind):
        cluster = None
    refusal = queues.cancel(sent.kind, sent.queue_id, cluster)
    end = time.monotonic() + queues.patience
    while True:
        answer = queues.ask(sent.kind, sent.queue_id, cluster)
        if answer is JobAnswer.GONE:
            return CancelState.CANCELLED, ""
        if refusal is not None:
            return CancelState.REFUSED, refusal
        if time.monotonic() >= end:
            return CancelState.ASKED, ""
        time.sleep(_POLL)


def _free(launchpad: ExactLaunchPad, sent: _Sent) -> bool:
    """Let a Firework whose job is gone be taken back, unless it moved on."""
    lost = LostRun(
        fw_id=sent.firework["fw_id"],
        name=sent.firework["name"],
        state=sent.firework["state"],
        launch_id=sent.launch["launch_id"],
        launch_state=sent.launch["state"],
        queue_id=sent.queue_id,
        why=LossReason.QUEUE_JOB_GONE,
        seconds=0.0,
    )
    return put_back(launchpad, lost, {"cancelled": "by an operator"})
