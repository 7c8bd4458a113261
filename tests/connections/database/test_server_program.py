"""What killed servers and full disks leave behind in the files of the storage."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest
import wiredtiger
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from hts_battery.connections.database.embedded import address, down, status, up
from hts_battery.connections.database.server_process import ServerFolder, launch
from hts_battery.connections.processes import process_identity
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.mongo, pytest.mark.chaos]

HEADER = 128
FILE_LIMIT = 12 * 1024**2


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[ServerFolder]:
    yield ServerFolder(tmp_path).create()
    down(tmp_path)


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while process_identity(pid) is not None:
        time.sleep(0.002)


def stored(folder: ServerFolder) -> set[object]:
    """Start the server; return what the things are called that it holds."""
    up(folder.data_dir)
    with MongoClient(address(folder.data_dir)) as client:
        return {one["_id"] for one in client.test.things.find({}, {"_id": 1})}


def insert(folder: ServerFolder, *names: object) -> None:
    with MongoClient(address(folder.data_dir)) as client:
        client.test.things.insert_many([{"_id": name} for name in names])


def test_a_server_killed_at_many_moments_of_its_first_start(
    folder: ServerFolder,
) -> None:
    for delay in (0.0, 0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.3):
        state = launch(folder, (), port=0, keep=False)
        while not (folder.database / "WiredTiger.turtle").exists():
            time.sleep(0.001)
        time.sleep(delay)
        kill(state.pid)
    assert stored(folder) == set()
    insert(folder, 1)
    assert stored(folder) == {1}


def test_a_table_that_a_killed_server_had_begun_is_made_again(
    folder: ServerFolder,
) -> None:
    connection = wiredtiger.wiredtiger_open(
        str(folder.database), "create,log=(enabled=true)"
    )
    # As the killed server leaves it: a name without its column group.
    begun = "key_format=SS,value_format=u,columns=(a,b,c),colgroups=(g)"
    connection.open_session().create("table:secantus_collections", begun)
    connection.close()
    assert stored(folder) == set()
    insert(folder, 1)
    kill(status(folder.data_dir).pid)
    assert stored(folder) == {1}


def test_a_log_file_that_ends_behind_its_header_ends_nothing(
    folder: ServerFolder,
) -> None:
    up(folder.data_dir)
    insert(folder, *range(50))
    kill(status(folder.data_dir).pid)
    newest = max(folder.database.glob("WiredTigerLog.*"))
    number = int(newest.suffix[1:]) + 1
    # As a start leaves it that was killed, or found the disk full.
    newest.with_suffix(f".{number:010d}").write_bytes(newest.read_bytes()[:HEADER])
    assert stored(folder) == set(range(50))


def test_files_that_are_damaged_are_not_taken_for_unfinished(
    folder: ServerFolder,
) -> None:
    up(folder.data_dir)
    insert(folder, 1)
    down(folder.data_dir)
    (folder.database / "WiredTiger.turtle").write_bytes(b"\0" * 100)
    with pytest.raises(StoreError, match="hts db restore"):
        up(folder.data_dir)


def test_no_commit_is_acknowledged_that_the_storage_lost(folder: ServerFolder) -> None:
    pid = up(folder.data_dir).pid
    # Stands for a quota: whichever write meets it, of the log or of a table.
    psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (FILE_LIMIT, FILE_LIMIT))
    known = set()
    with MongoClient(address(folder.data_dir)) as client, suppress(PyMongoError):
        for number in range(500):
            client.test.things.insert_one({"_id": number, "blob": os.urandom(200_000)})
            known.add(number)
    assert 10 < len(known) < 500
    down(folder.data_dir)
    assert known <= stored(folder)
