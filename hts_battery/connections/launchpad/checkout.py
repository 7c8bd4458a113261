"""
Taking Fireworks: each by one rocket, in a conditional write that names its launch.

FireWorks takes a Firework by its number whether it is READY or RESERVED, so that two
queue jobs of one Firework both run it. Here the launch that was reserved decides: the
first rocket makes it RUNNING and writes down which queue job it is, in one write; every
other one is refused in words.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from fireworks import Launch, Tracker
from fireworks.fw_config import PING_TIME_SECS

from hts_battery.connections.processes import own_process
from hts_battery.connections.queue_job import QueueJob, is_another_job

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from fireworks import Firework, FWorker

    from hts_battery.connections.launchpad.one_run import OneRunLaunchPad
    from hts_battery.schemas.launchpad_rows import LaunchRow, SpecRow, StateRow

logger = logging.getLogger(__name__)

DISPATCH_ID, CAMPAIGN = "hts_dispatch_id", "hts_campaign"
"""Fields in the spec of every Firework that we send, and in its workflow's metadata."""
ROOT = "hts_fw_id"
"""Likewise: the first Firework of its workflow, as its dispatch has it written down."""
TOKEN, EPOCH, PING = "hts_rocket", "hts_epoch", "hts_ping_seconds"
"""In the state history of a launch: which rocket took it, after which restoration of
the database its number was given out, and how often it says that it is alive."""
PROCESS = "hts_process"
"""Likewise: the process of the rocket, which has left no mark in its folder yet."""
NUMBER = "reservation_id"  # FireWorks' word
_TRIES = 5


class Taken(NamedTuple):
    """A Firework that a rocket has taken, and nobody else."""

    fw_id: int
    launch_id: int
    token: str
    """By which this rocket knows the launch as its own."""


class Rocket(NamedTuple):
    """Who takes a Firework, and where it will run."""

    worker: FWorker
    folder: str
    host: str | None
    ip: str | None
    job: QueueJob | None
    """The queue job of the rocket, if it is in one."""
    state: str
    """RUNNING, or RESERVED for a queue job that is still to be sent."""

    @property
    def queue_id(self) -> str | None:
        """Name of the queue job that runs it, where this process is one."""
        running = self.state == "RUNNING" and self.job is not None
        return self.job.queue_id if running and self.job else None

    def launch(
        self,
        launch_id: int,
        firework: Firework,
        epoch: str | None,
        history: Sequence[StateRow] = (),
    ) -> tuple[Launch, str]:
        """Return the launch as it is written, and the token of this rocket."""
        token = uuid4().hex
        trackers = [
            Tracker.from_dict(one) for one in firework.spec.get("_trackers", ())
        ]
        launch = Launch(
            self.state,
            self.folder,
            self.worker,
            self.host,
            self.ip,
            trackers=trackers or None,
            state_history=[dict(one) for one in history],
            launch_id=launch_id,
            fw_id=firework.fw_id,
        )
        marks: dict[str, object] = {TOKEN: token, EPOCH: epoch, NUMBER: self.queue_id}
        if self.state == "RUNNING":
            marks |= {PING: PING_TIME_SECS, PROCESS: own_process()}
        launch.state_history[-1].update({k: v for k, v in marks.items() if v})
        return launch, token


def take_ready(
    launchpad: OneRunLaunchPad, rocket: Rocket, fw_id: int | None
) -> Taken | None:
    """Take a Firework that is READY: one by its number, or the next of this worker."""
    firework = launchpad._get_a_fw_to_run(rocket.worker.query, fw_id=fw_id)  # noqa: SLF001 - FireWorks' own search
    if firework is None:
        return None
    earlier = [one.launch_id for one in firework.launches]
    number = launchpad.get_new_launch_id()  # type: ignore[no-untyped-call]
    launch, token = rocket.launch(number, firework, launchpad.epoch)
    launchpad.launches.insert_one(launch.to_db_dict())
    # Whoever was stopped since its search finds that somebody else goes on with it.
    if not _names_launch(launchpad, firework.fw_id, earlier, number, rocket.state):
        launchpad.launches.delete_one({"launch_id": number})
        logger.warning(
            "Firework %d was taken by another rocket meanwhile: it is not run here",
            firework.fw_id,
        )
        return None
    return Taken(firework.fw_id, number, token)


def take_reserved(
    launchpad: OneRunLaunchPad, rocket: Rocket, firework: Firework
) -> Taken | None:
    """Take the Firework that a queue job was sent for, unless it is another job's."""
    fw_id, own = firework.fw_id, rocket.queue_id
    for _ in range(_TRIES):
        doc = _reserved_launch(launchpad, firework)
        if doc is None:
            _refused(fw_id, own, "somebody else takes it at this moment")
            return None
        history = Launch.from_dict(doc).state_history
        place = reservation_place(history)
        written = None if place is None else history[place].get(NUMBER)
        if is_another_job(written, own):
            _refused(fw_id, own, f"it is reserved for queue job {written}")
            return None
        if place is not None and own and not written:
            history[place][NUMBER] = own
        launch, token = rocket.launch(
            doc["launch_id"], firework, launchpad.epoch, history
        )
        here: dict[str, object] = {"launch_id": doc["launch_id"], "state": "RESERVED"}
        if place is not None:
            here |= unless_changed(place, written)
        won = launchpad.launches.find_one_and_update(
            here, {"$set": launch.to_db_dict()}
        )
        if won is not None or is_of(launchpad, doc["launch_id"], token):
            break
        # Cancelled, or its number was written, or another rocket was faster.
    else:
        _refused(fw_id, own, "its reservation changes all the time")
        return None
    names = {"launches": launch.launch_id, "state": "RESERVED"}
    if not _set_state(launchpad, fw_id, names, {"state": rocket.state}):
        _refused(fw_id, own, "its reservation was cancelled meanwhile")
        return None
    return Taken(fw_id, launch.launch_id, token)


def is_due(launchpad: OneRunLaunchPad, spec: SpecRow) -> bool:
    """
    Say whether a Firework is the one that its dispatch names, and is still wanted.

    A feeder that was stopped inserts what another one has sent meanwhile, or has
    collected. Fireworks of no dispatch of ours are always due.
    """
    root = spec.get("hts_fw_id")
    if root is None:
        return True
    sent = {"dispatch_id": spec["hts_dispatch_id"]}
    found = launchpad.db["dispatches"].find_one(sent)
    return found is None or (found["state"], found["fw_id"]) == ("sent", root)


def reservation_place(history: Sequence[StateRow]) -> int | None:
    """Return where a history of states has the reservation."""
    return next(
        (at for at, one in enumerate(history) if one["state"] == "RESERVED"), None
    )


def unless_changed(place: int, written: str | None) -> dict[str, object]:
    """Return the condition that a reservation still has this number, or none."""
    # Not None: with it a server may look at other elements of the list, too.
    same = {"$exists": False} if written is None else written
    return {f"state_history.{place}.{NUMBER}": same}


def is_of(
    launchpad: OneRunLaunchPad,
    launch_id: int,
    token: str,
    states: Collection[str] = ("RUNNING",),
) -> bool:
    """Say whether a launch is still that of a token, by its state too."""
    found = launchpad.launches.find_one(
        {"launch_id": launch_id}, ["state", "state_history"]
    )
    if found is None or found["state"] not in states:
        return False
    return any(one.get(TOKEN) == token for one in found["state_history"])


def _reserved_launch(
    launchpad: OneRunLaunchPad, firework: Firework
) -> LaunchRow | None:
    numbers = [one.launch_id for one in firework.launches]
    found: LaunchRow | None = launchpad.launches.find_one(
        {"launch_id": {"$in": numbers}, "state": "RESERVED"}
    )
    return found


def _names_launch(
    launchpad: OneRunLaunchPad,
    fw_id: int,
    earlier: Sequence[int],
    launch_id: int,
    state: str,
) -> bool:
    """Let a Firework name its launch, if nobody else did since it was found."""
    here = {"state": "RESERVED", "launches": list(earlier)}
    named = [*earlier, launch_id]
    return _set_state(
        launchpad, fw_id, here, {"state": state, "launches": named}
    ) or _names(launchpad, fw_id, named)


def _names(launchpad: OneRunLaunchPad, fw_id: int, launches: Sequence[int]) -> bool:
    """Say whether a Firework has these launches: the answer to a write may be lost."""
    found = launchpad.fireworks.find_one({"fw_id": fw_id}, ["launches"])
    return found is not None and found["launches"] == list(launches)


def _set_state(
    launchpad: OneRunLaunchPad,
    fw_id: int,
    here: Mapping[str, object],
    values: Mapping[str, object],
) -> bool:
    done = launchpad.fireworks.find_one_and_update(
        {"fw_id": fw_id, **here}, {"$set": {**values, "updated_on": datetime.now(UTC)}}
    )
    return done is not None


def _refused(fw_id: int, own: str | None, why: str) -> None:
    me = "this rocket" if own is None else f"this is queue job {own}"
    logger.warning(
        "Firework %d is not run: %s, and %s; it ends without computing",
        fw_id,
        why,
        me,
    )
