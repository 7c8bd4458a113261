"""
A lock in the database: one holder at a time, taken over from a dead one.

A holder is known by a random token that only it has in hand. Its age is told by the
clock of the server alone, which writes the heartbeats: clocks of hosts differ.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, cast
from uuid import uuid4

from pymongo.errors import DuplicateKeyError, PyMongoError

from hts_battery.connections.database.clients import shared_client, translated_errors
from hts_battery.connections.processes import (
    ProcessState,
    host_name,
    process_identity,
    process_scope,
    process_state,
)
from hts_battery.errors import BusyError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymongo import MongoClient
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
    scope: NotRequired[str]
    """User and namespace of the process; not in documents of older versions."""
    taken_at: datetime
    beat_at: datetime
    """By the server's clock."""


BEAT_SECONDS = 10.0
EXPIRY_SECONDS = 120.0
_EXPIRIES_ALIVE = 3
"""After so many a process that is there does not hold it any more: nothing beats."""
_TRIES = 20
_in_hand: set[str] = set()
_in_hand_lock = Lock()


def _clock() -> float:
    """Return a time in s that goes on while this machine sleeps, where there is one."""
    kind = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(kind)


class Lease:
    """
    What the holder of a lock has in hand; only it knows the token.

    ``confirm`` asks the server whether the lock is still this token's; without it
    nobody can take it.
    """

    def __init__(
        self,
        name: str,
        token: str,
        *,
        confirm: Callable[[], bool] | None = None,
        trusted_seconds: float = 2 * BEAT_SECONDS,
    ) -> None:
        self.name = name
        self.token = token
        self.lost = Event()
        self._confirm = confirm
        self._trusted = trusted_seconds
        self._seen = _clock()

    def check(self) -> None:
        """
        Refuse to go on if the lock was taken over, as after this process was stopped.

        Where the last heartbeat is not of just now the server is asked: what was
        stopped, or slept with its machine, does not know what happened meanwhile.
        """
        if not self.lost.is_set() and _clock() - self._seen > self._trusted:
            self.beat()
        if self.lost.is_set():
            raise StoreError(
                f"the lock {self.name!r} was taken over by another process while "
                "this one did not answer: nothing more is written; start again"
            )

    def beat(self) -> None:
        """Say that the holder is alive; note if the lock is somebody else's."""
        if self._confirm is None:
            return
        began = _clock()
        if self._confirm():
            self._seen = began
        else:
            self.lost.set()


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

    A holder that died is recognised by its process, at once, where that would be seen
    from here, and by its missing heartbeat otherwise; then the lock is taken over with
    a warning in the log. The lease is to be checked before anything is written; others
    are told who is the holder.

    Raises
    ------
    BusyError
        If another process holds the lock.
    """
    uri = stores.database.uri
    with shared_client(uri) as client:
        locks = cast("Collection[HeldLock]", client[stores.database.name]["locks"])
        token = uuid4().hex

        def confirm() -> bool:
            with translated_errors(uri, f"confirming the lock {name!r}"):
                done = locks.update_one(
                    {"name": name, "token": token}, {"$currentDate": {"beat_at": True}}
                )
            return bool(done.matched_count)

        trusted = min(2 * beat_seconds, expiry_seconds)
        lease = Lease(name, token, confirm=confirm, trusted_seconds=trusted)
        with _in_hand_lock:
            _in_hand.add(token)
        stop = Event()
        beating = Thread(target=_beat, args=(lease, stop, beat_seconds), daemon=True)
        try:
            with translated_errors(uri, f"taking the lock {name!r}"):
                _take(locks, lease, holder, timedelta(seconds=expiry_seconds))
            beating.start()
            yield lease
        finally:
            stop.set()
            if beating.ident is not None:
                beating.join()
            _give_back(locks, lease, uri)


def _give_back(locks: Collection[HeldLock], lease: Lease, uri: str) -> None:
    """Drop a lock; one that cannot be dropped now is nobody's: its token is gone."""
    with _in_hand_lock:
        _in_hand.discard(lease.token)
    try:
        with translated_errors(uri, f"giving back the lock {lease.name!r}"):
            locks.delete_one({"name": lease.name, "token": lease.token})
    except StoreError as err:
        logger.warning("%s: the next holder takes it over", err)


def _take(
    locks: Collection[HeldLock], lease: Lease, holder: str, expiry: timedelta
) -> None:
    for _ in range(_TRIES):
        if _inserted(locks, lease, holder):
            return
        held = locks.find_one({"name": lease.name})
        if held is None:  # given back in the meantime
            continue
        why = holder_death(held, server_time(locks.database.client), expiry)
        if why is None:
            raise BusyError(
                _busy(held), is_stopped=_state(held) is ProcessState.STOPPED
            )
        # The token makes sure that only one of several waiting processes wins.
        done = locks.update_one(
            {"name": lease.name, "token": held["token"], "beat_at": held["beat_at"]},
            {"$set": _mine(lease, holder), "$currentDate": _NOW},
        )
        if done.modified_count:
            logger.warning(
                "took over from %s on %s (process %s): %s",
                held["holder"],
                held["host"],
                held["pid"],
                why,
            )
            return
    raise BusyError(f"the lock {lease.name!r} goes from hand to hand: try again")


_NOW = {"taken_at": True, "beat_at": True}


def _mine(lease: Lease, holder: str) -> dict[str, object]:
    return {
        "token": lease.token,
        "holder": holder,
        "host": host_name(),
        "pid": os.getpid(),
        "process": process_identity(os.getpid()),
        "scope": process_scope(),
    }


def _inserted(locks: Collection[HeldLock], lease: Lease, holder: str) -> bool:
    """Write the lock if there is none; its times are the server's."""
    try:
        locks.update_one(
            {"name": lease.name, "token": lease.token},
            {"$set": _mine(lease, holder), "$currentDate": _NOW},
            upsert=True,
        )
    except DuplicateKeyError:
        return False
    return True


def server_time(client: MongoClient[Any]) -> datetime:
    """Return the time of the server's clock."""
    answer = client.admin.command("hello")
    now: datetime = answer["localTime"]
    return now.replace(tzinfo=UTC)


def _state(held: HeldLock) -> ProcessState:
    """Look for the holder's process."""
    return process_state(held["host"], held["pid"], held["process"], held.get("scope"))


def _is_own(held: HeldLock) -> bool:
    """Say whether a lock was taken by this very process."""
    return (held["host"], held["pid"], held["process"]) == (
        host_name(),
        os.getpid(),
        process_identity(os.getpid()),
    ) and held.get("scope") in (None, process_scope())


def holder_death(
    held: HeldLock,
    now: datetime,
    expiry: timedelta = timedelta(seconds=EXPIRY_SECONDS),
) -> str | None:
    """
    Say how one knows that the holder of a lock is dead; None if it is not.

    ``now`` is the server's time, as :func:`server_time` tells it.
    """
    if _is_own(held):
        # Taken or given back while the server was away, and the answer never came.
        with _in_hand_lock:
            mine = held["token"] in _in_hand
        return None if mine else "this process took it and lost it in an outage"
    age = now - held["beat_at"].replace(tzinfo=UTC)
    state = _state(held)
    silent = f"its last heartbeat is {age.total_seconds():.0f} s old"
    if state is ProcessState.GONE:
        return "its process is gone"
    if state is ProcessState.STOPPED:
        return None  # it goes on when it is let, in the middle of what it did
    if state is ProcessState.ALIVE:
        return silent if age >= _EXPIRIES_ALIVE * expiry else None
    return silent if age >= expiry else None


def _busy(held: HeldLock) -> str:
    """Say who holds a lock and what to do."""
    pid = held["pid"]
    who = (
        f"{held['holder']} is running on {held['host']} (process {pid}) since "
        f"{held['taken_at']:%Y-%m-%d %H:%M:%S} UTC"
    )
    if _state(held) is ProcessState.STOPPED:
        return (
            f"{who} and is stopped with Ctrl-Z, pid {pid}: let it go on with `fg` or "
            f"`kill -CONT {pid}`, or end it with `kill -KILL {pid}`"
        )
    return f"{who}: wait until it is done"


def _beat(lease: Lease, stop: Event, seconds: float) -> None:
    while not stop.wait(seconds):
        try:
            lease.beat()
        except (StoreError, PyMongoError) as err:
            # The next beat may reach the server again.
            logger.warning("no heartbeat for lock %s: %s", lease.name, err)
            continue
        if lease.lost.is_set():
            return
