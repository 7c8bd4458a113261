"""The control documents of workers: read by launchers, written by people and brakes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hts_battery.connections.database.clients import translated_errors
from hts_battery.schemas.worker_control import PausedBy, WorkerControl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hts_battery.connections.database.stores import Stores


def read_worker_control(stores: Stores, worker: str) -> WorkerControl:
    """Read how a worker may be used; the defaults where nobody ever said."""
    with translated_errors(stores.database.uri, f"reading the settings of {worker}"):
        doc = stores.workers.query_one({"worker": worker})
    return WorkerControl(worker=worker) if doc is None else _control(doc)


def read_worker_controls(stores: Stores) -> tuple[WorkerControl, ...]:
    """Read the control documents of all workers that have one, by name."""
    with translated_errors(stores.database.uri, "reading the settings of workers"):
        found = [_control(doc) for doc in stores.workers.query()]
    return tuple(sorted(found, key=lambda control: control.worker))


def change_worker_control(
    stores: Stores, worker: str, **changes: object
) -> WorkerControl:
    """
    Change fields of a control document, those alone; return it as it is then.

    Two who change different fields at once do not undo each other.
    """
    values = WorkerControl.model_validate({"worker": worker, **changes})
    with translated_errors(stores.database.uri, f"changing the settings of {worker}"):
        stores.workers.collection.update_one(
            {"worker": worker},
            {"$set": values.model_dump(mode="json", include={"worker", *changes})},
            upsert=True,
        )
    return read_worker_control(stores, worker)


def pause_worker(
    stores: Stores, worker: str, reason: str, by: PausedBy = PausedBy.OPERATOR
) -> WorkerControl:
    """Let nothing more be submitted to the queue of a worker."""
    return change_worker_control(
        stores,
        worker,
        paused=True,
        reason=reason,
        paused_by=by,
        paused_at=datetime.now(UTC),
    )


def resume_worker(stores: Stores, worker: str) -> WorkerControl:
    """Go on with a worker, whoever paused it; what happened before is forgiven."""
    return change_worker_control(
        stores,
        worker,
        paused=False,
        drain=False,
        reason="",
        paused_by=None,
        paused_at=None,
        resumed_at=datetime.now(UTC),
    )


def _control(doc: Mapping[str, object]) -> WorkerControl:
    return WorkerControl.model_validate(
        {name: doc[name] for name in WorkerControl.model_fields if name in doc}
    )
