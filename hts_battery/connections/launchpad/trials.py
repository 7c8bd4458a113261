"""A workflow that is run to see whether it runs: read as it stands, and removed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.connections.launchpad.workflows import (
    launch_document,
    launches_of_fireworks,
    utc,
)
from hts_battery.schemas.launchpad_rows import job_uuid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.schemas.launchpad_rows import FireworkRow, LaunchRow


class TrialRun(NamedTuple):
    """One Firework of a trial, with its last launch."""

    fw_id: int
    name: str
    state: str
    tag: str | None
    """What its job was tagged with."""
    uuid: str | None
    queue_id: str | None = None
    host: str | None = None
    folder: Path | None = None
    reserved: datetime | None = None
    began: datetime | None = None
    ended: datetime | None = None
    launches: int = 0
    """Launches it had, those that were lost too."""
    error: str = ""
    """Last line of the error that ended it."""


def read_trial(launchpad: ExactLaunchPad, fw_id: int, tag: str) -> list[TrialRun]:
    """Read every Firework of the workflow of one, those made on nodes too, in order."""
    workflow = launchpad.workflows.find_one({"nodes": fw_id}, ["nodes"])
    if workflow is None:
        return []
    nodes = workflow["nodes"]
    launches = launches_of_fireworks(launchpad, nodes)
    found = launchpad.fireworks.find(
        {"fw_id": {"$in": nodes}},
        ["fw_id", "name", "state", f"spec.{tag}", "spec._tasks.job.uuid"],
    )
    runs = [_run(one, launches.get(one["fw_id"], []), tag) for one in found]
    return sorted(runs, key=lambda run: run.fw_id)


def _run(firework: FireworkRow, launches: Sequence[LaunchRow], tag: str) -> TrialRun:
    spec = firework.get("spec") or {}
    run = TrialRun(
        firework["fw_id"],
        firework["name"],
        firework["state"],
        None if spec.get(tag) is None else str(spec.get(tag)),
        job_uuid(spec),
    )
    if not launches:
        return run
    last = max(launches, key=lambda one: one["launch_id"])
    times = {one["state"]: utc(one["created_on"]) for one in last["state_history"]}
    known = launch_document(last, datetime.now(UTC))
    trace = [line for line in (known.error or "").splitlines() if line.strip()]
    return run._replace(
        queue_id=known.queue_id,
        host=known.host,
        folder=Path(last["launch_dir"]),
        reserved=times.get("RESERVED"),
        began=times.get("RUNNING"),
        ended=times.get("COMPLETED") or times.get("FIZZLED"),
        launches=len(launches),
        error=trace[-1].strip() if trace else "",
    )


def remove_trial(launchpad: ExactLaunchPad, fw_id: int) -> None:
    """Remove the workflow of a Firework with its Fireworks and launches."""
    workflow = launchpad.workflows.find_one({"nodes": fw_id}, ["nodes"])
    if workflow is None:
        return
    nodes = {"fw_id": {"$in": workflow["nodes"]}}
    # The workflow last: killed before, the rest is still found by it.
    launchpad.offline_runs.delete_many(nodes)
    launchpad.launches.delete_many(nodes)
    launchpad.fireworks.delete_many(nodes)
    launchpad.workflows.delete_one({"_id": workflow["_id"]})
