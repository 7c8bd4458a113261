"""A workflow that is run to see whether it runs: read as it stands, and removed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hts_battery.connections.launchpad.workflows import utc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad


class TrialRun(NamedTuple):
    """One Firework of a trial, with its last launch."""

    fw_id: int
    name: str
    state: str
    tag: str | None
    """What its job was tagged with."""
    uuid: str | None
    queue_id: str | None
    host: str | None
    folder: Path | None
    reserved: datetime | None
    began: datetime | None
    ended: datetime | None
    launches: int
    """Launches it had, those that were lost too."""
    error: str
    """Last line of the error that ended it."""


def read_trial(launchpad: ExactLaunchPad, fw_id: int, tag: str) -> list[TrialRun]:
    """Read every Firework of the workflow of one, those made on nodes too, in order."""
    workflow = launchpad.workflows.find_one({"nodes": fw_id}, ["nodes"])
    if workflow is None:
        return []
    nodes = workflow["nodes"]
    launches: dict[int, list[Mapping[str, Any]]] = {}
    for one in launchpad.launches.find({"fw_id": {"$in": nodes}}):
        launches.setdefault(one["fw_id"], []).append(one)
    found = launchpad.fireworks.find(
        {"fw_id": {"$in": nodes}},
        ["fw_id", "name", "state", f"spec.{tag}", "spec._tasks.job.uuid"],
    )
    runs = [_run(one, launches.get(one["fw_id"], []), tag) for one in found]
    return sorted(runs, key=lambda run: run.fw_id)


def _run(
    firework: Mapping[str, Any], launches: list[Mapping[str, Any]], tag: str
) -> TrialRun:
    spec = firework.get("spec") or {}
    tasks = spec.get("_tasks") or [{}]
    last: Mapping[str, Any] = max(
        launches, key=lambda one: one["launch_id"], default={}
    )
    history = last.get("state_history") or []
    times = {one["state"]: utc(one["created_on"]) for one in history}
    numbers = [str(n) for one in history if (n := one.get("reservation_id"))]
    return TrialRun(
        fw_id=firework["fw_id"],
        name=firework["name"],
        state=firework["state"],
        tag=spec.get(tag),
        uuid=(tasks[0].get("job") or {}).get("uuid"),
        queue_id=numbers[0] if numbers else None,
        host=last.get("host"),
        folder=Path(last["launch_dir"]) if "launch_dir" in last else None,
        reserved=times.get("RESERVED"),
        began=times.get("RUNNING"),
        ended=times.get("COMPLETED") or times.get("FIZZLED"),
        launches=len(launches),
        error=_error(last),
    )


def _error(launch: Mapping[str, Any]) -> str:
    stored = (launch.get("action") or {}).get("stored_data") or {}
    trace = str((stored.get("_exception") or {}).get("_stacktrace") or "")
    lines = [line.strip() for line in trace.splitlines() if line.strip()]
    return lines[-1] if lines else ""


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
