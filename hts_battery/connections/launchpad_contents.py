"""What stands in a launchpad: reading it, taking work back, repairing, archiving."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hts_battery.connections.launchpad import CAMPAIGN, DISPATCH_ID
from hts_battery.connections.retries import retried
from hts_battery.schemas.archive import (
    ArchivedFirework,
    ArchivedLaunch,
    ArchivedWorkflow,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fireworks import LaunchPad

    from hts_battery.connections.stores import SharedMongoStore

ACTIVE = frozenset({"READY", "RESERVED", "RUNNING", "PAUSED"})
"""States of Fireworks that go on without us, or once they are resumed."""
_IDLE = frozenset({"READY", "WAITING", "DEFUSED", "PAUSED"})
_TAKEN_BACK = "DEFUSED"
_LOCK_AGE = timedelta(minutes=2)
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
    "action.stored_data._exception._stacktrace",
)
_FIREWORK_FIELDS = (
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


@dataclass(frozen=True)
class SentWorkflow:
    """A workflow of ours in the launchpad."""

    dispatch_id: str
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
        return not self.is_locked and ACTIVE.isdisjoint(self.states.values())

    @property
    def seconds(self) -> float:
        """Wall time of all its launches in s, those that run until now."""
        return sum(launch.seconds for launch in self.launches)


def read_workflows(
    launchpad: LaunchPad, campaign: str, *, now: datetime | None = None
) -> dict[str, SentWorkflow]:
    """
    Read every workflow of a campaign that is in the launchpad.

    Parameters
    ----------
    launchpad
        An open launchpad.
    campaign
        Name of the campaign.
    now
        Time until which running launches are counted.

    Returns
    -------
    dict[str, SentWorkflow]
        By dispatch id.

    Raises
    ------
    DatabaseOutageError
        If the database does not answer.
    """
    now = now or datetime.now(UTC)
    return retried(
        lambda: _read_workflows(launchpad, campaign, now), "reading the launchpad"
    )


def _read_workflows(
    launchpad: LaunchPad, campaign: str, now: datetime
) -> dict[str, SentWorkflow]:
    docs = list(
        launchpad.workflows.find(
            {f"metadata.{CAMPAIGN}": campaign},
            ["nodes", "fw_states", "metadata", "locked", "updated_on"],
        )
    )
    # Taking back is one atomic change of the Firework; its workflow may not know yet.
    taken = {
        doc["fw_id"]
        for doc in launchpad.fireworks.find(
            {f"spec.{CAMPAIGN}": campaign, "state": _TAKEN_BACK}, ["fw_id"]
        )
    }
    launches = _launches(launchpad, [node for doc in docs for node in doc["nodes"]])
    found = {}
    for doc in docs:
        states = {int(name): state for name, state in doc["fw_states"].items()}
        states |= {node: _TAKEN_BACK for node in doc["nodes"] if node in taken}
        mine = [one for node in doc["nodes"] for one in launches.get(node, ())]
        workflow = SentWorkflow(
            dispatch_id=doc["metadata"][DISPATCH_ID],
            fw_id=min(doc["nodes"]),
            states=states,
            launches=tuple(_launch(one, now) for one in mine),
            # A rocket that was killed in between leaves the lock for ever.
            is_locked="locked" in doc and now - _time(doc["updated_on"]) < _LOCK_AGE,
        )
        found[workflow.dispatch_id] = workflow
    return found


def _launches(
    launchpad: LaunchPad, fw_ids: Sequence[int]
) -> dict[int, list[dict[str, Any]]]:
    """Read the launches of some Fireworks, those that were lost or repeated too."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    if fw_ids:
        query = {"fw_id": {"$in": list(fw_ids)}}
        for doc in launchpad.launches.find(query, list(_LAUNCH_FIELDS)):
            found[doc["fw_id"]].append(doc)
    return found


def _launch(doc: Mapping[str, Any], now: datetime) -> ArchivedLaunch:
    history = doc.get("state_history") or []
    began = [_time(one["created_on"]) for one in history if one["state"] == "RUNNING"]
    signs = [
        _time(one[name])
        for one in history
        for name in ("created_on", "updated_on")
        if one.get(name)
    ]
    if doc["state"] == "RUNNING":
        signs.append(now)
    stored = (doc.get("action") or {}).get("stored_data") or {}
    return ArchivedLaunch(
        launch_id=doc["launch_id"],
        fw_id=doc["fw_id"],
        state=doc["state"],
        worker=(doc.get("fworker") or {}).get("name"),
        host=doc.get("host"),
        folder=doc.get("launch_dir"),
        started=min(began) if began else None,
        seconds=max(0.0, (max(signs) - min(began)).total_seconds()) if began else 0.0,
        error=(stored.get("_exception") or {}).get("_stacktrace"),
    )


def _time(value: datetime | str) -> datetime:
    """Read a time of FireWorks, which writes some of them as text; all are UTC."""
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def take_back(launchpad: LaunchPad, workflows: Iterable[SentWorkflow]) -> set[str]:
    """
    Take workflows back of which nothing has begun, without locking any of them.

    The state of the Firework changes in one atomic step, and only from READY: a rocket
    that checks it out at the same moment either wins, and runs to its end, or does not
    see it.

    Parameters
    ----------
    launchpad
        An open launchpad.
    workflows
        Candidates for taking back.

    Returns
    -------
    set[str]
        Dispatch ids of those that were taken back.
    """
    taken = set()
    for workflow in workflows:
        if workflow.has_begun or len(workflow.states) > 1:
            continue
        if _change(launchpad, workflow.fw_id, ("READY", _TAKEN_BACK), _TAKEN_BACK):
            taken.add(workflow.dispatch_id)
    return taken


def _change(
    launchpad: LaunchPad, fw_id: int, allowed: Sequence[str], state: str
) -> bool:
    """Change the state of one Firework in one step; say whether it was in an old one."""
    return retried(
        lambda: (
            launchpad.fireworks.find_one_and_update(
                {"fw_id": fw_id, "state": {"$in": list(allowed)}},
                {"$set": {"state": state, "updated_on": datetime.now(UTC)}},
                projection=["fw_id"],
            )
            is not None
        ),
        "changing the state of a Firework",
    )


def stop_steps(
    launchpad: LaunchPad, workflows: Iterable[SentWorkflow], state: str
) -> int:
    """
    Keep further steps of workflows that have begun from starting; what runs runs on.

    Parameters
    ----------
    launchpad
        An open launchpad.
    workflows
        Workflows that have begun.
    state
        ``PAUSED``, which :func:`resume_steps` undoes, or ``DEFUSED``.

    Returns
    -------
    int
        Number of Fireworks that were stopped.
    """
    allowed = ["READY", "WAITING"] + (["PAUSED"] if state == _TAKEN_BACK else [])
    return _change_steps(launchpad, workflows, allowed, state)


def resume_steps(launchpad: LaunchPad, workflows: Iterable[SentWorkflow]) -> int:
    """Let paused steps go on; return how many there were."""
    return _change_steps(launchpad, workflows, ["PAUSED"], "WAITING")


def _change_steps(
    launchpad: LaunchPad,
    workflows: Iterable[SentWorkflow],
    allowed: Sequence[str],
    state: str,
) -> int:
    changed = 0
    for workflow in workflows:
        for fw_id, known in workflow.states.items():
            if known in allowed and _change(launchpad, fw_id, allowed, state):
                changed += 1
                # The workflow has other Fireworks that rockets may change now: this
                # goes under FireWorks' own lock and through its own rules.
                retried(
                    lambda fw_id=fw_id: launchpad._refresh_wf(fw_id),  # type: ignore[misc] # noqa: SLF001 - no public name for it
                    "refreshing a workflow",
                )
    return changed


def remove_orphans(launchpad: LaunchPad, dispatch_ids: Sequence[str]) -> int:
    """
    Remove what an insertion that was killed half-way left of some dispatches.

    FireWorks inserts workflows before their Fireworks and has no transaction: a
    workflow without its Firework can never run, a Firework without workflow fails.

    Parameters
    ----------
    launchpad
        An open launchpad.
    dispatch_ids
        Dispatches of which it is not known that they were inserted whole.

    Returns
    -------
    int
        Number of documents that were removed.
    """
    if not dispatch_ids:
        return 0
    return retried(lambda: _remove_orphans(launchpad, dispatch_ids), "repairing")


def _remove_orphans(launchpad: LaunchPad, dispatch_ids: Sequence[str]) -> int:
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
    stray = fireworks - nodes
    stray |= {node for doc in broken for node in doc["nodes"]} & fireworks
    # The same dispatch inserted twice: the first one stays.
    if stray:
        launchpad.fireworks.delete_many({"fw_id": {"$in": sorted(stray)}})
    if broken:
        launchpad.workflows.delete_many(
            {"_id": {"$in": [doc["_id"] for doc in broken]}}
        )
    return len(stray) + len(broken)


def read_ended(
    launchpad: LaunchPad, workflows: Sequence[SentWorkflow]
) -> list[ArchivedWorkflow]:
    """
    Read workflows that are over as they will be archived; nothing is written.

    Parameters
    ----------
    launchpad
        An open launchpad.
    workflows
        Workflows that are over.
    """
    if not workflows:
        return []
    return retried(lambda: _read_ended(launchpad, workflows), "reading the launchpad")


def _read_ended(
    launchpad: LaunchPad, workflows: Sequence[SentWorkflow]
) -> list[ArchivedWorkflow]:
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
        doc["fw_id"]: _firework(doc)
        for doc in launchpad.fireworks.find(
            {"fw_id": {"$in": nodes}}, list(_FIREWORK_FIELDS)
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
            created=_time(docs[workflow.fw_id]["created_on"]),
            archived=now,
            fireworks=tuple(
                fireworks[node] for node in sorted(workflow.states) if node in fireworks
            ),
            launches=workflow.launches,
        )
        for workflow in workflows
        if workflow.fw_id in docs
    ]


def _firework(doc: Mapping[str, Any]) -> ArchivedFirework:
    spec = doc.get("spec", {})
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


def archive(
    launchpad: LaunchPad,
    archived: SharedMongoStore,
    workflows: Sequence[ArchivedWorkflow],
) -> None:
    """
    Move workflows out of FireWorks' collections.

    First the copy, then the deletion, the workflow last: killed anywhere, the same call
    completes it.

    Parameters
    ----------
    launchpad
        An open launchpad.
    archived
        Store of archived workflows.
    workflows
        Workflows that are over.
    """
    if workflows:
        retried(lambda: _archive(launchpad, archived, workflows), "archiving workflows")


def _archive(
    launchpad: LaunchPad,
    archived: SharedMongoStore,
    workflows: Sequence[ArchivedWorkflow],
) -> None:
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
    launchpad.workflows.delete_many({"nodes": {"$in": roots}})
