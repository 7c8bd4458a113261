"""Taking in what compute nodes without the database have computed."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, TypedDict, cast

from maggma.utils import grouper

from hts_battery.connections.database.clients import translated_errors
from hts_battery.connections.launchpad.offline_runs import (
    complete_offline_runs,
    ended_fireworks,
)
from hts_battery.connections.records.journal_store import journals, read_journal
from hts_battery.schemas.recovery import IngestReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad


class _Output(TypedDict, total=False):
    """What is read of an output of a job, or of a large part of one."""

    uuid: str
    index: int
    completed_at: str | None
    blob_uuid: str


INGESTED = "ingested"
"""Folder in the folder of journals that holds those of ended Fireworks."""

_BATCH = 100
_TASK_KEY = ["uuid", "index"]


def ingest(
    folder: Path, stores: Stores, launchpad: ExactLaunchPad, *, dry_run: bool = False
) -> IngestReport:
    """
    Put the outputs of offline workers into the database; complete their Fireworks.

    It may be run at any time, as often as one likes, and killed at any moment: an
    output is known by uuid and index, one that the database has as new or newer is left
    alone, and a Firework is completed after its outputs are there. Unfinished launches
    are read too, so what a killed job had finished is not lost.

    Parameters
    ----------
    folder
        Folder of the journals (``HTS_OFFLINE_FOLDER`` of the worker).
    stores
        Open stores.
    launchpad
        An open launchpad.
    dry_run
        Only say what would be done.

    Raises
    ------
    StoreError
        If the database cannot be used.
    """
    with translated_errors(stores.database.uri, f"ingesting {folder}"):
        counts: Counter[str] = Counter()
        for path in journals(folder, "blobs").values():
            counts["blobs"] += _ingest_blobs(path, stores, dry_run=dry_run)
        found = journals(folder, "tasks")
        for path in found.values():
            counts.update(_ingest_outputs(path, stores, dry_run=dry_run))
        runs = complete_offline_runs(launchpad, dry_run=dry_run)
        numbers = [number for number in found if number is not None]
        ended = ended_fireworks(launchpad, numbers) - set(runs.refused)
    if not dry_run:
        _put_away(folder, ended)
    return IngestReport(
        folder=str(folder),
        journals=len(found),
        outputs=counts["outputs"],
        known=counts["known"],
        blobs=counts["blobs"],
        completed=len(runs.completed),
        failed=len(runs.fizzled),
        running=len(runs.running),
        waiting=len(runs.waiting),
        refused=len(runs.refused),
        put_away=len(ended),
    )


def _ingest_blobs(path: Path, stores: Stores, *, dry_run: bool) -> int:
    """Insert the large parts that the database lacks; they never change."""
    written = 0
    store = stores.blobs
    for group in _groups(path):
        blobs = {one["blob_uuid"]: one for one in group}
        known = set(store.distinct("blob_uuid", {"blob_uuid": {"$in": list(blobs)}}))
        new = [dict(one) for uuid, one in blobs.items() if uuid not in known]
        if new and not dry_run:
            store.update(new, key="blob_uuid")
        written += len(new)
    return written


def _ingest_outputs(path: Path, stores: Stores, *, dry_run: bool) -> dict[str, int]:
    """Insert the outputs of which the database has none as new."""
    written = known = 0
    for group in _groups(path):
        there = stores.tasks.query(
            {"uuid": {"$in": sorted({one["uuid"] for one in group})}},
            properties=["uuid", "index", "completed_at"],
        )
        outputs = cast("Iterable[_Output]", there)
        stored = {(one["uuid"], one["index"]): one for one in outputs}
        newest: dict[tuple[str, int], _Output] = {}
        for one in group:
            key = (one["uuid"], one["index"])
            if _completed(one) > _completed(newest.get(key, stored.get(key))):
                newest[key] = one
        if newest and not dry_run:
            changed = cast("list[dict[str, object]]", list(newest.values()))
            stores.tasks.update(changed, key=_TASK_KEY)
        written += len(newest)
        known += len({(one["uuid"], one["index"]) for one in group} - set(newest))
    return {"outputs": written, "known": known}


def _completed(output: _Output | None) -> datetime:
    """Say when an output was made; what is not there is older than anything."""
    if output is None:
        return datetime.min  # noqa: DTZ901 - jobflow writes times without a zone
    written = output.get("completed_at")
    if written is None:
        return datetime.min.replace(microsecond=1)  # noqa: DTZ901 - likewise
    return datetime.fromisoformat(written).replace(tzinfo=None)


def _groups(path: Path) -> Iterable[Sequence[_Output]]:
    return grouper((document for document, _ in read_journal(path)), _BATCH)


def _put_away(folder: Path, fw_ids: Iterable[int]) -> None:
    """Move the journals of ended Fireworks, so that they are not read for ever."""
    for fw_id in fw_ids:
        for collection in ("tasks", "blobs"):
            path = journals(folder, collection).get(fw_id)
            if path is None:
                continue
            (folder / INGESTED).mkdir(exist_ok=True)
            path.replace(folder / INGESTED / path.name)
