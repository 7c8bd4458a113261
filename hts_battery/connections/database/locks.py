"""A lock in the database: one holder at a time, taken over from a dead one."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import TYPE_CHECKING, TypedDict, cast
from uuid import uuid4

from pymongo.errors import DuplicateKeyError, PyMongoError

from hts_battery.connections.database.clients import shared_client, translated_errors
from hts_battery.connections.processes import host_name, process_identity
from hts_battery.errors import BusyError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.collection import Collection

    from hts_battery.connections.database.stores import Stores

logger = logging.getLogger(__name__)


class HeldLock(TypedDict):
    """The document of a lock: who holds it, and when it last said so."""

    name: str
    token: str
    holder: str
    host: str
    pid: int
    process: str | None
    taken_at: datetime
    beat_at: datetime


BEAT_SECONDS = 10.0
EXPIRY_SECONDS = 120.0


class Lease:
    """What the holder of a lock has in hand; only it knows the token."""

    def __init__(self, name: str, token: str) -> None:
        self.name = name
        self.token = token
        self.lost = Event()

    def check(self) -> None:
        """Refuse to go on if the lock was taken over, as after this machine slept."""
        if self.lost.is_set():
            raise StoreError(
                f"the lock {self.name!r} was taken over by another process while "
                "this one did not answer: nothing more is written; start again"
            )


@contextmanager
def exclusive(
    stores: Stores,
    name: str,
    *,
    holder: str,
    beat_seconds: float = BEAT_SECONDS,
    expiry_seconds: float = EXPIRY_SECONDS,
) -> Iterator[Lease]:
    """
    Hold a lock of the database while a block runs.

    A holder that died is recognised by its process on the same host, at once, and by
    its missing heartbeat from any other; then the lock is taken over with a warning in
    the log. The lease is to be checked before anything is written; others are told who
    is the holder.

    Raises
    ------
    BusyError
        If another process holds the lock.
    """
    uri = stores.database.uri
    lease = Lease(name, uuid4().hex)
    with shared_client(uri) as client:
        locks = cast("Collection[HeldLock]", client[stores.database.name]["locks"])
        with translated_errors(uri, f"taking the lock {name!r}"):
            _take(locks, lease, holder, timedelta(seconds=expiry_seconds))
        stop = Event()
        beating = Thread(
            target=_beat, args=(locks, lease, stop, beat_seconds), daemon=True
        )
        beating.start()
        try:
            yield lease
        finally:
            stop.set()
            beating.join()
            with translated_errors(uri, f"giving back the lock {name!r}"):
                locks.delete_one({"name": name, "token": lease.token})


def _take(
    locks: Collection[HeldLock], lease: Lease, holder: str, expiry: timedelta
) -> None:
    now = datetime.now(UTC)
    mine: HeldLock = {
        "name": lease.name,
        "token": lease.token,
        "holder": holder,
        "host": host_name(),
        "pid": os.getpid(),
        "process": process_identity(os.getpid()),
        "taken_at": now,
        "beat_at": now,
    }
    try:
        locks.insert_one(mine.copy())
    except DuplicateKeyError:
        held = locks.find_one({"name": lease.name})
        if held is None:  # given back in the meantime
            _take(locks, lease, holder, expiry)
            return
        why = holder_death(held, now, expiry)
        if why is None:
            raise BusyError(
                f"{held['holder']} is running on {held['host']} (process "
                f"{held['pid']}) since {held['taken_at']:%Y-%m-%d %H:%M:%S} UTC: wait "
                "until it is done"
            ) from None
        # The token makes sure that only one of several waiting processes wins.
        done = locks.update_one(
            {"name": lease.name, "token": held["token"], "beat_at": held["beat_at"]},
            {"$set": mine},
        )
        if not done.modified_count:
            _take(locks, lease, holder, expiry)
            return
        logger.warning(
            "took over from %s on %s (process %s): %s",
            held["holder"],
            held["host"],
            held["pid"],
            why,
        )


def holder_death(
    held: HeldLock,
    now: datetime,
    expiry: timedelta = timedelta(seconds=EXPIRY_SECONDS),
) -> str | None:
    """
    Say how one knows that the holder of a lock is dead; None if it is not.

    A holder on another host is dead when its last heartbeat is as old as ``expiry``.
    """
    if held["host"] == host_name():
        # A process on this host is asked, however long it was stopped.
        if process_identity(held["pid"]) == held["process"]:
            return None
        return "its process is gone"
    age = now - held["beat_at"].replace(tzinfo=UTC)
    if age < expiry:
        return None
    return f"its last heartbeat is {age.total_seconds():.0f} s old"


def _beat(
    locks: Collection[HeldLock], lease: Lease, stop: Event, seconds: float
) -> None:
    while not stop.wait(seconds):
        try:
            done = locks.update_one(
                {"name": lease.name, "token": lease.token},
                {"$set": {"beat_at": datetime.now(UTC)}},
            )
        except PyMongoError as err:  # the next beat may reach the server again
            logger.warning("no heartbeat for lock %s: %s", lease.name, err)
            continue
        if not done.matched_count:
            lease.lost.set()
            return
