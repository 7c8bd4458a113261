"""What stands in a launchpad, read in a few queries."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hts_battery.connections.launchpad.checkout import CAMPAIGN, DISPATCH_ID
from hts_battery.schemas.archive import (
    ArchivedFirework,
    ArchivedLaunch,
    ArchivedWorkflow,
)
from hts_battery.schemas.launchpad_rows import stored_data

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from fireworks import LaunchPad

    from hts_battery.schemas.launch import LaunchMark
    from hts_battery.schemas.launchpad_rows import FireworkRow, LaunchRow

ACTIVE = frozenset({"READY", "RESERVED", "RUNNING", "PAUSED"})
"""States of Fireworks that go on without us, or once they are resumed."""
_ENDED = frozenset({"COMPLETED", "FIZZLED"})
_IDLE = frozenset({"READY", "WAITING", "DEFUSED", "PAUSED"})
TAKEN_BACK = "DEFUSED"
"""State of a Firework that we took back or stopped for good."""
DELETED = "DELETED"
"""Our word for a Firework that its workflow names and that is not there."""
_OPEN = ACTIVE | {DELETED}
_LATER = frozenset({"READY", "WAITING"})
_BATCH = 100  # the embedded server compares every document with every key
_LOCK_AGE = timedelta(minutes=2)
_SLOWEST_PING = timedelta(hours=1)  # FireWorks' own; ours are more frequent
_LAUNCH_FIELDS = (
    "launch_id",
    "fw_id",
    "state",
    "host",
    "launch_dir",
    "fworker.name",
    "state_history.state",
    "state_history.created_on",
    "state_history.updated_on",
    "state_history.reservation_id",
    "action.stored_data._exception._stacktrace",
)
FIREWORK_FIELDS = (
    "fw_id",
    "name",
    "state",
    "spec._fworker",
    "spec._queueadapter",
    "spec.step",
    "spec.content_key",
    "spec.content_keys",
    "spec.ordering_id",
    "spec.n_orderings",
)
"""What :func:`firework_document` reads."""


def last_sign(launch: LaunchRow) -> datetime:
    """Return when a launch last showed that it is alive, by its launchpad."""
    return max(_signs(launch))


def _signs(launch: LaunchRow) -> Iterator[datetime]:
    for one in launch.get("state_history") or ():
        for time in (one.get("updated_on"), one.get("created_on")):
            if time:
                yield utc(time)


def utc(time: datetime | str) -> datetime:
    """Read a time of FireWorks, which writes some of them as text; all are UTC."""
    read = datetime.fromisoformat(time) if isinstance(time, str) else time
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def stopped_states(state: str) -> frozenset[str]:
    """Return from which states a step is stopped by ``PAUSED`` or ``DEFUSED``."""
    return _LATER | {"PAUSED"} if state == TAKEN_BACK else _LATER


@dataclass(frozen=True)
class SentWorkflow:
    """A workflow of ours in the launchpad."""

    dispatch_id: str
    campaign: str
    fw_id: int
    """Its first Firework."""
    states: Mapping[int, str]
    """Firework → state."""
    launches: tuple[ArchivedLaunch, ...] = field(default=())
    is_locked: bool = False
    """Whether FireWorks changes it at this moment."""

    @property
    def has_begun(self) -> bool:
        """Whether anything of it ever left the launchpad."""
        return bool(self.launches) or not _IDLE.issuperset(self.states.values())

    @property
    def is_over(self) -> bool:
        """Whether nothing of it will ever run again."""
        return not self.is_locked and _OPEN.isdisjoint(self.states.values())

    @property
    def is_broken(self) -> bool:
        """Whether somebody deleted a Firework of it by hand."""
        return DELETED in self.states.values()

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it is there or ever ran: half an insertion, mostly."""
        return not self.launches and {DELETED}.issuperset(self.states.values())

    @property
    def seconds(self) -> float:
        """Wall time of all its launches in s, those that run until now."""
        return sum(launch.seconds for launch in self.launches)


def read_workflows(
    launchpad: LaunchPad, campaign: str, *, now: datetime | None = None
) -> dict[str, SentWorkflow]:
    """
    Read every workflow of a campaign that is in the launchpad, by dispatch id.

    Running launches are counted until ``now``.
    """
    now = now or datetime.now(UTC)
    docs = list(
        launchpad.workflows.find(
            {f"metadata.{CAMPAIGN}": campaign},
            ["nodes", "fw_states", "metadata", "locked", "updated_on"],
        )
    )
    # After the workflows: a rocket writes new Fireworks before their workflow.
    there = {
        doc["fw_id"]: doc["state"]
        for doc in launchpad.fireworks.find(
            {f"spec.{CAMPAIGN}": campaign}, {"fw_id": 1, "state": 1, "_id": 0}
        )
    }
    launches = launches_of_fireworks(
        launchpad, [node for doc in docs for node in doc["nodes"]]
    )
    found = {}
    for doc in docs:
        states = {int(name): state for name, state in doc["fw_states"].items()}
        for node in doc["nodes"]:
            if node not in there and states[node] not in _ENDED:
                states[node] = _state_of_deleted(launches.get(node, ()), now)
            elif there.get(node) == TAKEN_BACK:
                # One atomic change of the Firework; its workflow may not know yet.
                states[node] = TAKEN_BACK
        mine = [one for node in doc["nodes"] for one in launches.get(node, ())]
        workflow = SentWorkflow(
            dispatch_id=doc["metadata"][DISPATCH_ID],
            campaign=campaign,
            fw_id=min(doc["nodes"]),
            states=states,
            launches=tuple(launch_document(one, now) for one in mine),
            # A rocket that was killed in between leaves the lock for ever.
            is_locked="locked" in doc and now - utc(doc["updated_on"]) < _LOCK_AGE,
        )
        found[workflow.dispatch_id] = workflow
    return found


def sent_names(launchpad: LaunchPad, names: Collection[str]) -> set[str]:
    """Return those of some dispatches of which there is a workflow."""
    field = f"metadata.{DISPATCH_ID}"
    found = launchpad.workflows.find({field: {"$in": sorted(names)}}, [field])
    return {doc["metadata"][DISPATCH_ID] for doc in found}


def _state_of_deleted(launches: Sequence[LaunchRow], now: datetime) -> str:
    """Say whether what was deleted runs on: a rocket does not notice, and pings."""
    alive = any(
        one["state"] == "RUNNING" and now - last_sign(one) < _SLOWEST_PING
        for one in launches
    )
    return "RUNNING" if alive else DELETED


def launches_of_fireworks(
    launchpad: LaunchPad, fw_ids: Sequence[int]
) -> dict[int, list[LaunchRow]]:
    """Read the launches of some Fireworks, those that were lost or repeated too."""
    found: dict[int, list[LaunchRow]] = defaultdict(list)
    for start in range(0, len(fw_ids), _BATCH):
        query = {"fw_id": {"$in": list(fw_ids[start : start + _BATCH])}}
        for doc in launchpad.launches.find(query, list(_LAUNCH_FIELDS)):
            found[doc["fw_id"]].append(doc)
    return found


def launch_document(doc: LaunchRow, now: datetime) -> ArchivedLaunch:
    """Make a document of a launch; one that runs is counted until now."""
    history = doc.get("state_history") or ()
    began = [utc(one["created_on"]) for one in history if one["state"] == "RUNNING"]
    signs = list(_signs(doc))
    if doc["state"] == "RUNNING" and signs:
        # One that was lost runs no longer than to the ping that did not come.
        signs.append(min(now, max(signs) + _SLOWEST_PING))
    worker = doc.get("fworker")
    return ArchivedLaunch(
        launch_id=doc["launch_id"],
        fw_id=doc["fw_id"],
        state=doc["state"],
        worker=worker["name"] if worker else None,
        host=doc.get("host"),
        folder=doc.get("launch_dir"),
        queue_id=queue_number(doc),
        started=min(began) if began else None,
        seconds=max(0.0, (max(signs) - min(began)).total_seconds()) if began else 0.0,
        error=(stored_data(doc.get("action")).get("_exception") or {}).get(
            "_stacktrace"
        ),
    )


def queue_number(launch: LaunchRow, mark: LaunchMark | None = None) -> str | None:
    """
    Return the queue job of a launch: by its mark, else as it was reserved.

    What the rocket wrote down itself comes first: it was there.
    """
    if mark is not None and mark.queue_id:
        return mark.queue_id
    numbers = (one.get("reservation_id") for one in launch.get("state_history") or ())
    return next((str(number) for number in numbers if number), None)


def count_by_worker(launchpad: LaunchPad) -> dict[str, dict[str, int]]:
    """Count the Fireworks that go on, by worker and state."""
    found: dict[str, dict[str, int]] = {}
    for doc in launchpad.fireworks.find(
        {"state": {"$in": sorted(ACTIVE)}}, ["spec._fworker", "state"]
    ):
        worker = str((doc.get("spec") or {}).get("_fworker") or "any")
        states = found.setdefault(worker, {})
        states[doc["state"]] = states.get(doc["state"], 0) + 1
    return found


def read_ended(
    launchpad: LaunchPad, workflows: Sequence[SentWorkflow]
) -> list[ArchivedWorkflow]:
    """Read workflows that are over as they will be archived; nothing is written."""
    if not workflows:
        return []
    roots = [workflow.fw_id for workflow in workflows]
    docs = {
        min(doc["nodes"]): doc
        for doc in launchpad.workflows.find(
            {"nodes": {"$in": roots}},
            ["nodes", "name", "state", "metadata", "created_on"],
        )
    }
    nodes = [node for workflow in workflows for node in workflow.states]
    fireworks = {
        doc["fw_id"]: firework_document(doc)
        for doc in launchpad.fireworks.find(
            {"fw_id": {"$in": nodes}}, list(FIREWORK_FIELDS)
        )
    }
    now = datetime.now(UTC)
    return [
        ArchivedWorkflow(
            fw_id=workflow.fw_id,
            dispatch_id=workflow.dispatch_id,
            campaign=docs[workflow.fw_id]["metadata"][CAMPAIGN],
            name=docs[workflow.fw_id]["name"],
            state=docs[workflow.fw_id]["state"],
            created=utc(docs[workflow.fw_id]["created_on"]),
            archived=now,
            fireworks=tuple(
                fireworks[node] for node in sorted(workflow.states) if node in fireworks
            ),
            launches=workflow.launches,
        )
        for workflow in workflows
        if workflow.fw_id in docs
    ]


def firework_document(doc: FireworkRow) -> ArchivedFirework:
    """Make a document of a Firework."""
    spec = doc.get("spec") or {}
    keys: Sequence[str | None]
    keys = spec.get("content_keys") or [spec.get("content_key")]
    return ArchivedFirework(
        fw_id=doc["fw_id"],
        name=doc["name"],
        state=doc["state"],
        worker=spec.get("_fworker"),
        step=spec.get("step"),
        content_keys=tuple(key for key in keys if key),
        ordering_id=spec.get("ordering_id"),
        n_orderings=spec.get("n_orderings"),
        queue=spec.get("_queueadapter") or {},
    )
