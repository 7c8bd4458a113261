"""
Changing what stands in a launchpad: taking back, stopping, repairing, archiving.

Each step waits out an outage in the launchpad itself
(:mod:`hts_battery.connections.launchpad.launchpad`), and comes to the same
done twice.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fireworks import Firework

from hts_battery.connections.launchpad.checkout import CAMPAIGN, DISPATCH_ID
from hts_battery.connections.launchpad.workflows import (
    DELETED,
    TAKEN_BACK,
    stopped_states,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from fireworks import LaunchPad

    from hts_battery.connections.database.stores import SharedMongoStore
    from hts_battery.connections.launchpad.workflows import SentWorkflow
    from hts_battery.schemas.archive import ArchivedWorkflow


def take_back(launchpad: LaunchPad, workflows: Iterable[SentWorkflow]) -> set[str]:
    """
    Take workflows back of which nothing has begun; return their dispatch ids.

    The state of the Firework changes in one atomic step, without a lock, and only from
    READY: a rocket that checks it out at the same moment either wins, and runs to its
    end, or does not see it.
    """
    taken = set()
    for workflow in workflows:
        if workflow.has_begun or len(workflow.states) > 1:
            continue
        if _change(launchpad, workflow.fw_id, ("READY", TAKEN_BACK), TAKEN_BACK):
            taken.add(workflow.dispatch_id)
    return taken


def _change(
    launchpad: LaunchPad, fw_id: int, allowed: Collection[str], state: str
) -> bool:
    """Change the state of a Firework in one step; say whether it was an allowed one."""
    changed = launchpad.fireworks.update_one(
        {"fw_id": fw_id, "state": {"$in": list(allowed)}},
        {"$set": {"state": state, "updated_on": datetime.now(UTC)}},
    )
    return bool(changed.matched_count)


def stop_steps(
    launchpad: LaunchPad, workflows: Iterable[SentWorkflow], state: str
) -> int:
    """
    Keep further steps of workflows that have begun from starting; what runs runs on.

    ``PAUSED`` is undone by :func:`resume_steps`, ``DEFUSED`` is for good. Returns how
    many Fireworks were stopped.
    """
    return _change_steps(launchpad, workflows, stopped_states(state), state)


def repair(launchpad: LaunchPad, workflows: Iterable[SentWorkflow]) -> None:
    """
    Make workflows whole that somebody deleted a Firework of; nothing more of them runs.

    FireWorks cannot refresh a workflow that names a Firework which is not there. A
    defused one with nothing in it takes its place.
    """
    for workflow in workflows:
        for fw_id, state in workflow.states.items():
            if state == DELETED:
                _replace(launchpad, workflow, fw_id)
        stop_steps(launchpad, [workflow], TAKEN_BACK)


def _replace(launchpad: LaunchPad, workflow: SentWorkflow, fw_id: int) -> None:
    spec = {DISPATCH_ID: workflow.dispatch_id, CAMPAIGN: workflow.campaign}
    firework = Firework(
        [], spec=spec, name="deleted by hand", state=TAKEN_BACK, fw_id=fw_id
    )
    launchpad.fireworks.update_one(
        {"fw_id": fw_id}, {"$setOnInsert": firework.to_db_dict()}, upsert=True
    )


def resume_steps(launchpad: LaunchPad, workflows: Iterable[SentWorkflow]) -> int:
    """Let paused steps go on; return how many there were."""
    return _change_steps(launchpad, workflows, ["PAUSED"], "WAITING")


def _change_steps(
    launchpad: LaunchPad,
    workflows: Iterable[SentWorkflow],
    allowed: Collection[str],
    state: str,
) -> int:
    changed = 0
    for workflow in workflows:
        for fw_id, known in workflow.states.items():
            if known in allowed and _change(launchpad, fw_id, allowed, state):
                changed += 1
                # The workflow has other Fireworks that rockets may change now: this
                # goes under FireWorks' own lock and through its own rules.
                launchpad._refresh_wf(fw_id)  # noqa: SLF001 - no public name for it
    return changed


def remove_orphans(launchpad: LaunchPad, dispatch_ids: Sequence[str]) -> int:
    """
    Remove what an insertion that was killed half-way left of some dispatches.

    FireWorks inserts workflows before their Fireworks and has no transaction: a
    workflow without its Firework can never run, a Firework without workflow fails.
    Returns how many documents were removed.
    """
    if not dispatch_ids:
        return 0
    wanted = {"$in": list(dispatch_ids)}
    workflows = list(
        launchpad.workflows.find({f"metadata.{DISPATCH_ID}": wanted}, ["nodes"])
    )
    fireworks = {
        doc["fw_id"]
        for doc in launchpad.fireworks.find({f"spec.{DISPATCH_ID}": wanted}, ["fw_id"])
    }
    nodes = {node for doc in workflows for node in doc["nodes"]}
    broken = [doc for doc in workflows if not fireworks.issuperset(doc["nodes"])]
    orphaned = fireworks - nodes
    orphaned |= {node for doc in broken for node in doc["nodes"]} & fireworks
    if orphaned:
        launchpad.fireworks.delete_many({"fw_id": {"$in": sorted(orphaned)}})
    if broken:
        launchpad.workflows.delete_many(
            {"_id": {"$in": [doc["_id"] for doc in broken]}}
        )
    return len(orphaned) + len(broken)


def archive(
    launchpad: LaunchPad,
    archived: SharedMongoStore,
    workflows: Sequence[ArchivedWorkflow],
) -> None:
    """
    Move workflows that are over out of FireWorks' collections.

    First the copy, then the deletion, the workflow last: killed anywhere, the same call
    completes it.
    """
    if not workflows:
        return
    roots = [workflow.fw_id for workflow in workflows]
    # A copy that is there is whole; what is left in the launchpad may not be.
    known = set(archived.distinct("fw_id", {"fw_id": {"$in": roots}}))
    new = [
        workflow.model_dump(mode="json")
        for workflow in workflows
        # Nothing is worth keeping of what never began.
        if workflow.fw_id not in known and workflow.launches
    ]
    if new:
        archived.update(new, key="fw_id")
    nodes = [one.fw_id for workflow in workflows for one in workflow.fireworks]
    launches = [one.launch_id for workflow in workflows for one in workflow.launches]
    launchpad.launches.delete_many({"launch_id": {"$in": launches}})
    launchpad.offline_runs.delete_many({"launch_id": {"$in": launches}})
    launchpad.fireworks.delete_many({"fw_id": {"$in": nodes}})
    # What a repeated end of a launch made twice belongs to no workflow.
    ids = [workflow.dispatch_id for workflow in workflows]
    launchpad.fireworks.delete_many({f"spec.{DISPATCH_ID}": {"$in": ids}})
    launchpad.workflows.delete_many({"nodes": {"$in": roots}})
