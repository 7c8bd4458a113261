"""Fireworks with their launches as an operator asks for them, archived ones too."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hts_battery.connections.launchpad.launchpad import (
    CAMPAIGN,
    DISPATCH_ID,
    launchpad_beside,
)
from hts_battery.connections.launchpad.workflows import (
    launch_document,
    launches_of_fireworks,
    utc,
)
from hts_battery.connections.records.launch_files import mark_of
from hts_battery.schemas.archive import ArchivedWorkflow
from hts_battery.schemas.launchpad_job import LaunchpadJob

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.archive import ArchivedFirework, ArchivedLaunch

    Fields = Mapping[str, Any]

ENDED = frozenset({"COMPLETED", "FIZZLED", "DEFUSED", "ARCHIVED"})
"""States in which a Firework may stand in the archive."""
_FIELDS = (
    "fw_id",
    "name",
    "state",
    "updated_on",
    "spec._fworker",
    "spec._queueadapter",
    "spec.step",
    "spec.content_key",
    "spec.content_keys",
    "spec.ordering_id",
    f"spec.{CAMPAIGN}",
    f"spec.{DISPATCH_ID}",
)


def read_jobs(
    stores: Stores,
    now: datetime,
    *,
    campaign: str | None = None,
    states: Iterable[str] = (),
    fw_ids: Iterable[int] = (),
) -> list[LaunchpadJob]:
    """
    Read the Fireworks of the launchpad, of one campaign or in some states alone.

    Parameters
    ----------
    stores
        Open stores; FireWorks' collections stand beside them.
    now
        Until when what runs is counted.
    campaign, states, fw_ids
        Only these; everything where none are given.
    """
    criteria: dict[str, Any] = {}
    if campaign is not None:
        criteria[f"spec.{CAMPAIGN}"] = campaign
    if wanted := sorted(states):
        criteria["state"] = {"$in": wanted}
    if numbers := sorted(fw_ids):
        criteria["fw_id"] = {"$in": numbers}
    launchpad = launchpad_beside(stores)
    docs = list(launchpad.fireworks.find(criteria, list(_FIELDS)))
    launches = launches_of_fireworks(launchpad, [doc["fw_id"] for doc in docs])
    found = (_job(doc, launches.get(doc["fw_id"], []), now) for doc in docs)
    return sorted(found, key=lambda job: job.fw_id)


def read_archived_jobs(
    stores: Stores, *, campaign: str | None = None, fw_id: int | None = None
) -> Iterator[LaunchpadJob]:
    """Yield the Fireworks of ended workflows, of one campaign or one of them alone."""
    criteria: dict[str, Any] = {}
    if campaign is not None:
        criteria["campaign"] = campaign
    if fw_id is not None:
        # The first Firework has the lowest number of a workflow, in steps not the only.
        criteria["fireworks.fw_id"] = fw_id
    for doc in stores.archived_workflows.query(criteria):
        workflow = _workflow(doc)
        launches: defaultdict[int, list[ArchivedLaunch]] = defaultdict(list)
        for launch in workflow.launches:
            launches[launch.fw_id].append(launch)
        for firework in workflow.fireworks:
            if fw_id in {None, firework.fw_id}:
                yield _archived(workflow, firework, launches[firework.fw_id])


def _workflow(doc: Fields) -> ArchivedWorkflow:
    return ArchivedWorkflow.model_validate(
        {name: doc[name] for name in ArchivedWorkflow.model_fields if name in doc}
    )


def _job(doc: Fields, docs: list[Fields], now: datetime) -> LaunchpadJob:
    spec = doc.get("spec") or {}
    launches = sorted(
        (launch_document(one, now) for one in docs), key=lambda one: one.launch_id
    )
    keys = spec.get("content_keys") or [spec.get("content_key")]
    known = _of_launches(launches)
    return LaunchpadJob(
        fw_id=doc["fw_id"],
        name=doc["name"],
        campaign=spec.get(CAMPAIGN),
        dispatch_id=spec.get(DISPATCH_ID),
        state=doc["state"],
        since=_since(doc, docs),
        worker=spec.get("_fworker"),
        step=spec.get("step"),
        content_keys=tuple(key for key in keys if key),
        ordering_id=spec.get("ordering_id"),
        asked=spec.get("_queueadapter") or {},
        **known,
    )


def _since(doc: Fields, launches: list[Fields]) -> datetime | None:
    """Return when a Firework took its state, by its launch or by itself."""
    times = [
        utc(one["created_on"])
        for launch in launches
        for one in launch.get("state_history") or []
        if one["state"] == doc["state"] and one.get("created_on")
    ]
    if times:
        return max(times)
    return utc(doc["updated_on"]) if doc.get("updated_on") else None


def _of_launches(launches: list[ArchivedLaunch]) -> dict[str, Any]:
    """Return what the last launch says, and what all come to."""
    if not launches:
        return {}
    last = launches[-1]
    return {
        "queue_id": last.queue_id or _queue_number(last),
        "host": last.host,
        "folder": last.folder,
        "launches": len(launches),
        "seconds": sum(one.seconds for one in launches),
        "last_seconds": last.seconds,
        "error": last.error,
    }


def _queue_number(launch: ArchivedLaunch) -> str | None:
    """Return the number that a rocket wrote down itself, where nobody reserved it."""
    if launch.folder is None or launch.state != "RUNNING":
        return None
    mark = mark_of(Path(launch.folder))
    return mark.queue_id if mark and mark.fw_id == launch.fw_id else None


def _archived(
    workflow: ArchivedWorkflow,
    firework: ArchivedFirework,
    launches: list[ArchivedLaunch],
) -> LaunchpadJob:
    return LaunchpadJob(
        fw_id=firework.fw_id,
        name=firework.name,
        campaign=workflow.campaign,
        dispatch_id=workflow.dispatch_id,
        state=firework.state,
        since=workflow.archived,
        worker=firework.worker,
        step=firework.step,
        content_keys=firework.content_keys,
        ordering_id=firework.ordering_id,
        asked=firework.queue,
        archived=True,
        **_of_launches(launches),
    )
