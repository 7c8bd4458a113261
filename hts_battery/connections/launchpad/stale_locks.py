"""Workflows that a killed rocket left locked and half changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hts_battery.connections.launchpad.workflows import utc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fireworks import LaunchPad

_LOCKED = "locked"
_UNKNOWN = "unknown"


def release_locks(
    launchpad: LaunchPad,
    age: float,
    *,
    now: datetime | None = None,
    dry_run: bool = False,
    stamp: bool = True,
) -> tuple[int, ...]:
    """
    Take away the locks of workflows that nobody can hold any more.

    What the killed holder had begun is undone, so that refreshing the workflow does it
    again and does all of it. An ``age`` in s is longer than a rocket waits for its
    database. A lock of another FireWorks client says no time: it counts from the first
    look at it, which is noted with ``stamp``. Returns the first Firework of each
    workflow that was unlocked.
    """
    now = now or datetime.now(UTC)
    released = []
    for workflow in launchpad.workflows.find(
        {_LOCKED: {"$exists": True}}, ["nodes", "fw_states", _LOCKED]
    ):
        lock = workflow[_LOCKED]
        mine = {"_id": workflow["_id"], _LOCKED: lock}
        if not isinstance(lock, dict):
            if stamp:
                noted = {"$set": {_LOCKED: {"by": _UNKNOWN, "since": now}}}
                launchpad.workflows.update_one(mine, noted)
            continue
        if now - utc(lock["since"]) <= timedelta(seconds=age):
            continue
        released.append(min(workflow["nodes"]))
        if not dry_run:
            _undo(launchpad, workflow["nodes"], workflow["fw_states"])
            launchpad.workflows.update_one(mine, {"$unset": {_LOCKED: True}})
    return tuple(released)


def _undo(launchpad: LaunchPad, nodes: Sequence[int], known: Mapping[str, str]) -> None:
    """
    Let Fireworks forget an end that their workflow has not heard of.

    FireWorks writes the Fireworks before the workflow. One that is COMPLETED in between
    would never hand its additions on.
    """
    for firework in launchpad.fireworks.find(
        {"fw_id": {"$in": nodes}, "state": "COMPLETED"}, ["fw_id"]
    ):
        if known.get(str(firework["fw_id"])) != "COMPLETED":
            launchpad.fireworks.update_one(
                {"fw_id": firework["fw_id"]}, {"$set": {"state": "RUNNING"}}
            )


def remove_orphaned_fireworks(
    launchpad: LaunchPad,
    age: float,
    *,
    now: datetime | None = None,
    dry_run: bool = False,
) -> tuple[int, ...]:
    """
    Remove Fireworks of no workflow: a rocket was killed while it added them.

    After the ``age`` in s nobody can be about to add them. Returns their numbers.
    """
    now = now or datetime.now(UTC)
    known = {
        node
        for workflow in launchpad.workflows.find({}, ["nodes"])
        for node in workflow["nodes"]
    }
    orphaned = tuple(
        firework["fw_id"]
        for firework in launchpad.fireworks.find({}, ["fw_id", "created_on"])
        if firework["fw_id"] not in known
        and now - utc(firework["created_on"]) > timedelta(seconds=age)
    )
    if orphaned and not dry_run:
        launchpad.fireworks.delete_many({"fw_id": {"$in": list(orphaned)}})
    return orphaned
