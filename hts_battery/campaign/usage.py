"""Adding up what a campaign used: launches of its Fireworks, executions here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

from hts_battery.campaign.ownership import owner_of
from hts_battery.connections.launchpad.accounting import accounted_jobs, clock_seconds
from hts_battery.connections.launchpad.job_listing import (
    read_archived_jobs,
    read_jobs,
)
from hts_battery.connections.records.executions import read_executions
from hts_battery.flows.recipes.chunk import CHUNK_STEP
from hts_battery.schemas.execution import Outcome
from hts_battery.schemas.usage import CampaignUsage, StepUsage, UsageSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.accounting import Accounted
    from hts_battery.schemas.execution import Execution
    from hts_battery.schemas.launchpad_job import LaunchpadJob

    Ask = Callable[[Iterable[str]], dict[str, Accounted] | None]

_HOUR = 3600.0
_GB = 2.0**30
_UNITS = {"K": 2.0**10, "M": 2.0**20, "G": 2.0**30, "T": 2.0**40}
_UNKNOWN_STEP = "other"
_COMPLETED = frozenset({Outcome.COMPLETED, Outcome.REUSED})
_OPEN = frozenset({Outcome.RUNNING, Outcome.UNKNOWN})


@dataclass
class _Runs:
    """The runs of one step."""

    seconds: list[float] = field(default_factory=list)
    completed: list[float] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    asked: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    accounted: list[Accounted] = field(default_factory=list)

    def add(self, kind: str, seconds: float) -> None:
        """Count a run by how it ended."""
        self.counts[kind] += 1
        self.seconds.append(seconds)
        if kind == "completed":
            self.completed.append(seconds)

    def usage(self, source: UsageSource, step: str, nodes: int | None) -> StepUsage:
        """Add them up."""
        total = sum(self.seconds)
        wall = sum(one.seconds * one.cpus for one in self.accounted)
        cpu = sum(one.cpu_seconds for one in self.accounted)
        sizes = [one.memory for one in self.accounted if one.memory is not None]
        return StepUsage(
            source=source,
            step=step,
            runs=len(self.seconds),
            **{
                name: self.counts[name]
                for name in ("completed", "failed", "lost", "running")
            },
            hours=total / _HOUR,
            node_hours=None if nodes is None else total * nodes / _HOUR,
            median_seconds=median(self.completed) if self.completed else None,
            useful=sum(self.completed) / total if total else None,
            asked_seconds=median(self.asked) if self.asked else None,
            used_of_asked=median(self.shares) if self.shares else None,
            asked_memory=median(self.memory) if self.memory else None,
            memory=max(sizes) / _GB if sizes else None,
            cpu=cpu / wall if wall else None,
            accounted=len(self.accounted),
        )


def campaign_usage(
    stores: Stores,
    name: str,
    *,
    execution_folder: Path,
    account: Ask = accounted_jobs,
    now: datetime | None = None,
) -> CampaignUsage:
    """
    Add up what a campaign used.

    Parameters
    ----------
    stores, name
        Open stores, and the campaign.
    execution_folder
        Folder of the execution record.
    account
        Asks the accounting of the queue for jobs by their numbers.
    now
        Until when what runs is counted.

    Raises
    ------
    SubmissionError
        If there is no such campaign.
    """
    owner_of(stores, name)  # refuses an unknown one
    now = now or datetime.now(UTC)
    submission = stores.submissions.query_one({"campaign": name}) or {}
    jobs = [
        *read_archived_jobs(stores, campaign=name),
        *read_jobs(stores, now, campaign=name),
    ]
    begun = [job for job in jobs if job.launches]
    accounted = account([job.queue_id for job in begun if job.queue_id])
    keys = set(stores.members.distinct("content_key", {"campaign": name}))
    executions = read_executions(execution_folder).executions
    own = [one for one in executions if one.start.content_key in keys]
    steps = [
        *launch_usage(begun, int(submission.get("nodes") or 1), accounted or {}),
        *execution_usage(own),
    ]
    missing = tuple(_missing(begun, own, accounted, execution_folder))
    return CampaignUsage(campaign=name, steps=tuple(steps), missing=missing)


def launch_usage(
    jobs: Iterable[LaunchpadJob], nodes: int, accounted: Mapping[str, Accounted]
) -> list[StepUsage]:
    """
    Add up the launches of Fireworks by step.

    A Firework that was launched several times was lost all but once.
    """
    steps: defaultdict[str, _Runs] = defaultdict(_Runs)
    for job in jobs:
        runs = steps[job.step or _UNKNOWN_STEP]
        kind = {"COMPLETED": "completed", "RUNNING": "running"}.get(
            job.state, "failed" if job.error else "lost"
        )
        last = job.last_seconds
        runs.add(kind, last)
        if job.launches > 1:
            runs.add("lost", job.seconds - last)
            runs.counts["lost"] += job.launches - 2
        asked = _asked_seconds(job.asked)
        if asked:
            runs.asked.append(asked)
            if kind == "completed":
                runs.shares.append(last / asked)
        memory = _asked_memory(job.asked)
        if memory:
            runs.memory.append(memory)
        number = accounted.get((job.queue_id or "").partition(".")[0])
        if number is not None:
            runs.accounted.append(number)
    return [
        runs.usage(UsageSource.LAUNCHES, step, nodes)
        for step, runs in sorted(steps.items())
    ]


def execution_usage(executions: Iterable[Execution]) -> list[StepUsage]:
    """Add up executions by step; what is called a chunk holds the others."""
    steps: defaultdict[str, _Runs] = defaultdict(_Runs)
    for one in executions:
        step = one.start.step or _UNKNOWN_STEP
        if step == CHUNK_STEP or one.outcome is Outcome.REUSED:
            continue
        seconds = 0.0 if one.end is None else one.end.seconds
        if one.outcome in _COMPLETED:
            kind = "completed"
        elif one.outcome in _OPEN:
            kind = "running"
        else:
            kind = "failed" if one.outcome is Outcome.FAILED else "lost"
        steps[step].add(kind, seconds)
    return [
        runs.usage(UsageSource.EXECUTIONS, step, None)
        for step, runs in sorted(steps.items())
    ]


def _missing(
    jobs: Sequence[LaunchpadJob],
    executions: Sequence[Execution],
    accounted: Mapping[str, Accounted] | None,
    folder: Path,
) -> list[str]:
    """Say what was not written down, so that nobody takes a gap for nothing."""
    found = []
    if not jobs:
        found.append("no launch: it was not sent to a worker, or nothing has begun")
    elif numbered := {job.queue_id for job in jobs if job.queue_id}:
        outside = sum(not job.queue_id for job in jobs)
        if outside:
            found.append(f"{outside} of {len(jobs)} Fireworks ran outside a queue")
        if accounted is None:
            found.append("memory and CPU time of queue jobs: there is no sacct here")
        elif len(accounted) < len(numbered):
            found.append(
                "memory and CPU time of "
                f"{len(numbered) - len(accounted)} of {len(numbered)} queue jobs: "
                "sacct does not know them"
            )
    else:
        found.append(
            f"memory and CPU time: all {len(jobs)} Fireworks ran outside a queue"
        )
    if not executions:
        found.append(
            f"no execution in {folder}: nothing ran here, or nodes keep another record"
        )
    elif killed := sum(one.end is None for one in executions):
        found.append(
            f"{killed} of {len(executions)} executions have no end: their time counts 0"
        )
    return found


def _asked_seconds(asked: Mapping[str, object]) -> float | None:
    """
    Read the wall time that a queue job asked for.

    Examples
    --------
    >>> _asked_seconds({"walltime": "01:30:00"}), _asked_seconds({})
    (5400.0, None)
    """
    text = str(asked.get("walltime") or "")
    try:
        return clock_seconds(text) if text else None
    except ValueError:
        return None


def _asked_memory(asked: Mapping[str, object]) -> float | None:
    """Read the memory in GB that a queue job asked for."""
    text = str(asked.get("mem") or "").strip().upper().removesuffix("B")
    try:
        return float(text.rstrip("KMGT")) * _UNITS.get(text[-1:], 2.0**20) / _GB
    except ValueError:
        return None
