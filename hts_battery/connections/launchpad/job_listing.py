"""Fireworks with their launches as an operator asks for them, archived ones too."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from hts_battery.connections.launchpad.checkout import CAMPAIGN, DISPATCH_ID
from hts_battery.connections.launchpad.launchpad import launchpad_beside
from hts_battery.connections.launchpad.workflows import (
    FIREWORK_FIELDS,
    firework_document,
    launch_document,
    launches_of_fireworks,
    utc,
)
from hts_battery.connections.records.launch_files import mark_of
from hts_battery.schemas.archive import ArchivedWorkflow
from hts_battery.schemas.launchpad_job import LaunchpadJob

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.archive import ArchivedFirework, ArchivedLaunch
    from hts_battery.schemas.launchpad_rows import FireworkRow, LaunchRow

ENDED = frozenset({"COMPLETED", "FIZZLED", "DEFUSED", "ARCHIVED"})
"""States in which a Firework may stand in the archive."""
_FIELDS = (
    *FIREWORK_FIELDS,
    "updated_on",
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
    criteria: dict[str, object] = {}
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
    criteria: dict[str, object] = {}
    if campaign is not None:
        criteria["campaign"] = campaign
    if fw_id is not None:
        # The first Firework has the lowest number of a workflow, in steps not the only.
        criteria["fireworks.fw_id"] = fw_id
    for doc in stores.archived_workflows.query(criteria):
        workflow = ArchivedWorkflow.model_validate(
            {name: doc[name] for name in ArchivedWorkflow.model_fields if name in doc}
        )
        launches: defaultdict[int, list[ArchivedLaunch]] = defaultdict(list)
        for launch in workflow.launches:
            launches[launch.fw_id].append(launch)
        for firework in workflow.fireworks:
            if fw_id in {None, firework.fw_id}:
                job = _described(firework, launches[firework.fw_id])
                yield job.model_copy(
                    update={
                        "campaign": workflow.campaign,
                        "dispatch_id": workflow.dispatch_id,
                        "since": workflow.archived,
                        "archived": True,
                    }
                )


def _job(doc: FireworkRow, docs: Sequence[LaunchRow], now: datetime) -> LaunchpadJob:
    spec = doc.get("spec") or {}
    launches = sorted(
        (launch_document(one, now) for one in docs), key=lambda one: one.launch_id
    )
    return _described(firework_document(doc), launches).model_copy(
        update={
            "campaign": spec.get("hts_campaign"),
            "dispatch_id": spec.get("hts_dispatch_id"),
            "since": _since(doc, docs),
        }
    )


def _since(doc: FireworkRow, launches: Sequence[LaunchRow]) -> datetime | None:
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


def _described(
    firework: ArchivedFirework, launches: Sequence[ArchivedLaunch]
) -> LaunchpadJob:
    """Say what a Firework is, what its last launch says and what all come to."""
    job = LaunchpadJob(
        fw_id=firework.fw_id,
        name=firework.name,
        state=firework.state,
        worker=firework.worker,
        step=firework.step,
        content_keys=firework.content_keys,
        ordering_id=firework.ordering_id,
        asked=firework.queue,
    )
    if not launches:
        return job
    last = launches[-1]
    return job.model_copy(
        update={
            "queue_id": last.queue_id or _queue_number(last),
            "host": last.host,
            "folder": last.folder,
            "launches": len(launches),
            "seconds": sum(one.seconds for one in launches),
            "last_seconds": last.seconds,
            "error": last.error,
        }
    )


def _queue_number(launch: ArchivedLaunch) -> str | None:
    """Return the number that a rocket wrote down itself, where nobody reserved it."""
    if launch.folder is None or launch.state != "RUNNING":
        return None
    mark = mark_of(Path(launch.folder), launch.fw_id)
    return mark.queue_id if mark else None
