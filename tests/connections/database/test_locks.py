from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect

from hts_battery.connections.database import locks
from hts_battery.connections.database.locks import EXPIRY_SECONDS, exclusive
from hts_battery.connections.processes import host_name, process_identity
from hts_battery.connections.records.backlog import LEASE, dispatching
from hts_battery.errors import BusyError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

HOLD_FOR_EVER = """
import sys, time
from hts_battery.connections.database.database import database
from hts_battery.connections.database.locks import exclusive
from hts_battery.connections.database.stores import open_stores
from pathlib import Path

with database(sys.argv[1], name=sys.argv[2], data_dir=Path(sys.argv[3])) as opened:
    with open_stores(opened) as stores, exclusive(stores, sys.argv[4], holder="other"):
        print("held", flush=True)
        time.sleep(600)
"""


@contextmanager
def held_by_another(
    stores: Stores, name: str, folder: Path
) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold a lock; it is killed at the end."""
    opened = stores.database
    words = [HOLD_FOR_EVER, opened.uri, opened.name, str(folder), name]
    child = subprocess.Popen(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", *words], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "held\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def a_lock(stores: Stores, *, age: float, **fields: object) -> None:
    """Write a lock whose last heartbeat has an age by the server's clock."""
    with exclusive(stores, "build", holder="somebody"):
        held = stores.locks.query_one({"name": "build"})
    held.pop("_id")
    beat = held["beat_at"] - timedelta(seconds=age)
    stores.locks.collection.insert_one({**held, "beat_at": beat, **fields})


def test_only_one_holds_a_lock_and_it_is_given_back(stores: Stores) -> None:
    with exclusive(stores, "build", holder="first") as lease:
        lease.check()
        with (
            pytest.raises(StoreError, match=r"first is running on .* wait until"),
            exclusive(stores, "build", holder="second"),
        ):
            pass
        with exclusive(stores, "another", holder="second"):
            assert stores.locks.count() == 2
    assert stores.locks.count() == 0
    with exclusive(stores, "build", holder="second"):
        pass


def test_an_error_gives_the_lock_back(stores: Stores) -> None:
    with (
        pytest.raises(RuntimeError, match="in the middle"),
        exclusive(stores, "build", holder="first"),
    ):
        raise RuntimeError("in the middle")
    assert stores.locks.count() == 0


@pytest.mark.chaos
def test_the_lock_of_a_killed_process_is_taken_over(
    stores: Stores, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with (
        held_by_another(stores, "build", tmp_path),
        pytest.raises(StoreError, match="other is running"),
        exclusive(stores, "build", holder="second"),
    ):
        pass
    with (
        caplog.at_level(logging.WARNING),
        exclusive(stores, "build", holder="second"),
    ):
        assert stores.locks.query_one({"name": "build"})["pid"] == os.getpid()
    assert "took over from other" in caplog.text
    assert "its process is gone" in caplog.text


def test_a_silent_host_loses_its_lock_and_notices(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    with exclusive(stores, "build", holder="first", beat_seconds=0.05) as lease:
        held = stores.locks.query_one({"name": "build"})
        held.pop("_id")
        elsewhere = {**held, "host": "elsewhere", "token": "other"}
        stores.locks.update(elsewhere, key="name")
        deadline = time.monotonic() + 10
        while not lease.lost.is_set():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with pytest.raises(StoreError, match="was taken over"):
            lease.check()
    with (
        pytest.raises(StoreError, match="running on elsewhere"),
        exclusive(stores, "build", holder="second"),
    ):
        pass
    with (
        caplog.at_level(logging.WARNING),
        exclusive(stores, "build", holder="second", expiry_seconds=0),
    ):
        assert "last heartbeat" in caplog.text


@pytest.mark.parametrize("lost", ["the answer to taking it", "the giving back"])
def test_a_process_is_not_locked_out_by_itself(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """The server was away: what this process wrote, or dropped, it does not know."""

    def away(self: Collection[Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        done = real(self, *args, **kwargs) if name != "delete_one" else None
        monkeypatch.undo()
        raise AutoReconnect(f"connection closed after {done}")

    # The lock is written by insert_one or update_one: each is lost here.
    for name in (
        ("delete_one",)
        if lost == "the giving back"
        else (
            "insert_one",
            "update_one",
        )
    ):
        real = getattr(Collection, name)
        monkeypatch.setattr(Collection, name, away)
        try:
            with exclusive(stores, "build", holder="first"):
                pass
        except StoreError:
            pass
        monkeypatch.undo()
    with exclusive(stores, "build", holder="second"):
        assert stores.locks.query_one({"name": "build"})["holder"] == "second"


@pytest.mark.parametrize("skew", [130.0, -130.0])
def test_clocks_that_differ_take_no_living_lock(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, skew: float
) -> None:
    class Skewed(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override] # noqa: ANN401
            return datetime.now(tz) + timedelta(seconds=skew)

    a_lock(stores, age=1, host="elsewhere")
    monkeypatch.setattr(locks, "datetime", Skewed)
    with (
        pytest.raises(BusyError, match="running on elsewhere"),
        exclusive(stores, "build", holder="second"),
    ):
        pass


GONE, OTHER_SCOPE = 2**22 + 1, "0@pid:[1]"


@pytest.mark.parametrize(
    ("age", "fields", "why"),
    [
        (1, {"host": "elsewhere"}, None),
        (EXPIRY_SECONDS + 1, {"host": "elsewhere"}, "heartbeat"),
        (1, {"pid": GONE, "process": f"{GONE}:0.00:"}, "process is gone"),
        # A container, or hidepid=2: no entry in /proc says nothing.
        (1, {"pid": GONE, "process": f"{GONE}:0.00:", "scope": OTHER_SCOPE}, None),
        (
            EXPIRY_SECONDS + 1,
            {"pid": GONE, "process": f"{GONE}:0.00:", "scope": OTHER_SCOPE},
            "heartbeat",
        ),
        # The machine was booted since: then no namespace hides it.
        (
            1,
            {"pid": GONE, "process": f"{GONE}:0.00:earlier", "scope": OTHER_SCOPE},
            "process is gone",
        ),
        # A process that is there and beats no more: its thread is not.
        (EXPIRY_SECONDS + 1, {"pid": os.getppid()}, None),
        (4 * EXPIRY_SECONDS, {"pid": os.getppid()}, "heartbeat"),
        # Our own process, and a token that nobody has in hand.
        (1, {"token": "lost"}, "lost it in an outage"),
    ],
)
def test_who_is_dead(
    stores: Stores,
    caplog: pytest.LogCaptureFixture,
    age: float,
    fields: dict[str, Any],
    why: str | None,
) -> None:
    if fields.get("pid") == os.getppid():
        fields = {**fields, "process": process_identity(os.getppid())}
    a_lock(stores, age=age, **fields)
    if why is None:
        with pytest.raises(BusyError), exclusive(stores, "build", holder="second"):
            pass
        return
    with (
        caplog.at_level(logging.WARNING),
        exclusive(stores, "build", holder="second"),
    ):
        assert why in caplog.text


@pytest.mark.chaos
def test_a_stopped_holder_is_said_and_nobody_waits_for_it(
    stores: Stores, tmp_path: Path
) -> None:
    with held_by_another(stores, LEASE, tmp_path) as child:
        child.send_signal(signal.SIGSTOP)
        while psutil.Process(child.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        old = datetime.now(UTC) - timedelta(hours=1)
        stores.locks.collection.update_one({}, {"$set": {"beat_at": old}})
        began = time.monotonic()
        with (
            pytest.raises(BusyError, match=rf"stopped with Ctrl-Z, pid {child.pid}"),
            dispatching(stores, "hts campaign pause", patience=60),
        ):
            pass
        assert time.monotonic() - began < 30, "it is not waited for"


def test_nobody_waits_longer_than_he_says(
    stores: Stores, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert tmp_path
    with (
        dispatching(stores, "a feeder"),
        pytest.raises(BusyError, match=r"a feeder is running .* waited 1 s"),
        dispatching(stores, "hts campaign pause", patience=1),
    ):
        pass
    assert "(at most 1 s)" in caplog.text


def test_one_that_slept_asks_before_it_writes(stores: Stores) -> None:
    """Its heart has not beaten since: the lock may be somebody else's by now."""
    # A heartbeat is never as young as this lease wants it.
    with exclusive(stores, "build", holder="first", beat_seconds=0.001) as lease:
        lease.check()
        taken = {"token": "another", "host": "elsewhere"}
        stores.locks.collection.update_one({"name": "build"}, {"$set": taken})
        time.sleep(0.01)
        with pytest.raises(StoreError, match="was taken over"):
            lease.check()


def test_heartbeats_are_the_servers(stores: Stores) -> None:
    with exclusive(stores, "build", holder="first", beat_seconds=0.05):
        first = stores.locks.query_one({"name": "build"})
        assert first["host"] == host_name()
        deadline = time.monotonic() + 10
        while stores.locks.query_one({"name": "build"})["beat_at"] == first["beat_at"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
