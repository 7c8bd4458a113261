from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from hts_battery.connections.database.locks import exclusive
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

HOLD_FOR_EVER = """
import sys, time
from hts_battery.connections.database.database import database
from hts_battery.connections.database.locks import exclusive
from hts_battery.connections.database.stores import open_stores
from pathlib import Path

with database(sys.argv[1], name=sys.argv[2], data_dir=Path(sys.argv[3])) as opened:
    with open_stores(opened) as stores, exclusive(stores, "build", holder="other"):
        print("held", flush=True)
        time.sleep(600)
"""


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
    stores: Stores, caplog: pytest.LogCaptureFixture, tmp_path: object
) -> None:
    opened = stores.database
    child = subprocess.Popen(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", HOLD_FOR_EVER, opened.uri, opened.name, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with (
        pytest.raises(StoreError, match="other is running"),
        exclusive(stores, "build", holder="second"),
    ):
        pass
    child.kill()
    child.wait()
    child.stdout.close()
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
