"""Fireworks on their way into a queue: reserved, numbered, given back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from hts_battery.connections.launchpad.workflows import utc

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from fireworks import Firework

    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.connections.launchpad.queue_worker import QueueWorker
    from hts_battery.schemas.launchpad_rows import FireworkRow

_BATCH = 100  # the embedded server compares every document with every key
_IN_QUEUE = ("RESERVED", "RUNNING")
_OFFLINE_FILE, _FIREWORK_FILE = "FW_offline.json", "FW.json"


class Reservation(NamedTuple):
    """A Firework that was taken for a job of a queue."""

    firework: Firework
    launch_id: int


def ready(
    launchpad: ExactLaunchPad,
    worker: QueueWorker,
    count: int,
    *,
    last: Iterable[int] = (),
) -> list[int]:
    """
    Return what is READY for a worker in the order in which it is to be submitted.

    Priority first, then as ``SORT_FWS`` of the worker says. Those of ``last`` come
    behind all others. At most ``count``.
    """
    order = [("spec._priority", -1)]
    if worker.newest_first is not None:
        order.append(("created_on", -1 if worker.newest_first else 1))
    behind = set(last)
    found = [
        doc["fw_id"]
        for doc in launchpad.fireworks.find(
            {**worker.fworker.query, "state": "READY"},
            {"fw_id": 1, "_id": 0},
            sort=order,
            limit=count + len(behind),
        )
    ]
    return sorted(found, key=lambda one: one in behind)[:count]


def reserve(
    launchpad: ExactLaunchPad, worker: QueueWorker, fw_id: int, folder: Path, host: str
) -> Reservation | None:
    """Take a READY Firework for a launch folder; none if somebody else has it."""
    firework, launch_id = launchpad.reserve_fw(  # type: ignore[no-untyped-call]
        worker.fworker, str(folder), host=host, fw_id=fw_id
    )
    if firework is None:
        return None
    if worker.is_offline:
        firework.to_file(str(folder / _FIREWORK_FILE))
        (folder / _OFFLINE_FILE).write_text(json.dumps({"launch_id": launch_id}))
        launchpad.add_offline_run(launch_id, firework.fw_id, firework.name)
    return Reservation(firework, launch_id)


def give_back(launchpad: ExactLaunchPad, reservation: Reservation) -> bool:
    """
    Let a Firework be READY again that no queue took; no launch of it is counted.

    Left as it is if a rocket has it by now. Killed in between, the Firework is RESERVED
    with no launch, which the next recovery puts back.
    """
    firework, launch_id = reservation
    gone = launchpad.launches.find_one_and_delete(
        {"launch_id": launch_id, "state": "RESERVED"}
    )
    if gone is None:
        return False
    launchpad.forget_offline(launch_id, launch_mode=True)
    launchpad.fireworks.update_one(
        {"fw_id": firework.fw_id, "state": "RESERVED"},
        {
            "$set": {"state": "READY", "updated_on": datetime.now(UTC)},
            "$pull": {"launches": launch_id},
        },
    )
    launchpad._refresh_wf(firework.fw_id)  # noqa: SLF001 - no public name
    return True


class WorkerLoad(NamedTuple):
    """What a launchpad holds for one worker."""

    in_queue: int
    """Fireworks that are reserved or run: its jobs, and nobody else's."""
    ready: int
    """Fireworks that wait for a launcher."""
    waiting_since: datetime | None
    """When the one that waits longest became READY; none where none waits."""


def worker_loads(launchpad: Any) -> dict[str, WorkerLoad]:  # noqa: ANN401 - a launchpad, or its collections beside a store
    """Count what is READY and in the queue, by the worker that it is routed to."""
    busy: dict[str, int] = {}
    since: dict[str, list[datetime]] = {}
    for state in (*_IN_QUEUE, "READY"):
        for doc in launchpad.fireworks.find(
            {"state": state}, ["spec._fworker", "updated_on"]
        ):
            worker = (doc.get("spec") or {}).get("_fworker")
            if worker is None:
                continue  # anybody's, and nobody in particular is missing
            if state == "READY":
                since.setdefault(worker, []).append(utc(doc["updated_on"]))
            else:
                busy[worker] = busy.get(worker, 0) + 1
    return {
        worker: WorkerLoad(
            busy.get(worker, 0),
            len(since.get(worker, ())),
            min(since[worker]) if worker in since else None,
        )
        for worker in sorted({*busy, *since})
    }


def jobs_in_queue(launchpad: ExactLaunchPad, worker: str) -> int:
    """
    Count the jobs of a worker by the Fireworks that it holds.

    The queue is not asked: it counts every job of the user, and one that was not
    listed for a moment would let more in than may be there.
    """
    held: list[FireworkRow] = [
        doc
        for state in _IN_QUEUE
        for doc in launchpad.fireworks.find(
            {"state": state}, ["launches", "spec._fworker"]
        )
    ]
    numbers = [one for doc in held for one in doc["launches"]]
    launched: dict[int, str | None] = {}
    for start in range(0, len(numbers), _BATCH):
        for launch in launchpad.launches.find(
            {"launch_id": {"$in": numbers[start : start + _BATCH]}},
            ["launch_id", "fworker.name"],
        ):
            name = (launch.get("fworker") or {}).get("name")
            launched[launch["launch_id"]] = name
    count = 0
    for doc in held:
        mine = [launched[one] for one in doc["launches"] if one in launched]
        # One that is being taken at this moment has no launch yet.
        routed = (doc.get("spec") or {}).get("_fworker")
        count += worker in mine if mine else routed == worker
    return count
