"""The disk of the embedded server is full: an outage that says how to end it."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from threading import Thread
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from hts_battery.connections.database.clients import may_pass, translated_outages
from hts_battery.connections.database.embedded import address, down, status, up
from hts_battery.connections.database.retries import RetryPolicy
from hts_battery.errors import DatabaseOutageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hts_battery.connections.database.database import Database

pytestmark = [pytest.mark.mongo, pytest.mark.chaos]

MB = 1024**2
SIZE, BALLAST = 96 * MB, 56 * MB


class SmallDisk:
    """A disk that a few documents fill, and that gets room again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "somebody else's"
        self._ballast.write_bytes(b"\0" * BALLAST)

    def leave_room(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Mount a file system in memory; only root may."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    options = f"size={SIZE},mode=700"
    done = subprocess.run(  # noqa: S603 - our own words
        [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield SmallDisk(tmp_path)
    finally:
        down(tmp_path / "data")
        subprocess.run([umount, str(tmp_path)], check=True)  # noqa: S603 - likewise


def fill(collection: Any) -> int:  # noqa: ANN401 - pymongo's
    """Insert until the server fails; return how many it acknowledged."""
    for number in range(10_000):
        try:
            collection.insert_one({"n": number, "blob": os.urandom(200_000)})
        except PyMongoError:
            return number
    raise AssertionError("the disk is not full")


def test_a_full_disk_is_an_outage_with_a_remedy(disk: SmallDisk) -> None:
    folder = disk.folder / "data"
    up(folder)
    uri = address(folder)
    with MongoClient(uri) as client:
        count = fill(client.test.things)
        assert count > 10
        with (
            pytest.raises(DatabaseOutageError, match="free it, 'hts db down', 'hts db"),
            translated_outages(uri, "storing an output"),
        ):
            client.test.things.insert_one({"n": -1})
    seen = status(folder)
    assert seen.running
    assert not seen.reachable
    assert seen.fault == "its disk is full: free it, 'hts db down', 'hts db up'"
    with pytest.raises(DatabaseOutageError, match="its disk is full: free it, 'hts db"):
        up(folder)
    assert not down(folder).running
    with pytest.raises(DatabaseOutageError, match="its disk is full: free it"):
        up(folder)
    disk.leave_room()
    again = up(folder)
    assert again.reachable
    assert again.fault is None
    with MongoClient(address(folder)) as client:
        found = {doc["n"] for doc in client.test.things.find({}, {"n": 1})}
        assert set(range(count)) <= found


def test_a_rocket_waits_until_there_is_room(disk: SmallDisk) -> None:
    folder = disk.folder / "data"
    up(folder)
    uri = address(folder)
    with MongoClient(uri) as client:
        fill(client.test.things)
        tried: list[int] = []

        def tell() -> None:
            tried.append(1)
            client.test.launches.insert_one({"_id": "told"})

        rocket = Thread(target=lambda: RetryPolicy(120.0).attempt(tell))
        rocket.start()
        while not tried:
            pass
        disk.leave_room()
        assert not down(folder).running
        up(folder)
        assert address(folder) == uri
        rocket.join(120)
        assert not rocket.is_alive()
        assert client.test.launches.count_documents({}) == 1
    assert len(tried) > 1


def test_a_storage_that_failed_otherwise_is_told_apart(tmp_path: Path) -> None:
    seen = up(tmp_path)
    assert seen.pid is not None
    # Stands for a quota: the server's files may not grow beyond what they have.
    psutil.Process(seen.pid).rlimit(resource.RLIMIT_FSIZE, (12 * MB, 12 * MB))
    with MongoClient(address(tmp_path)) as client:
        fill(client.test.things)
    fault = status(tmp_path).fault
    assert fault is not None
    assert "its storage has failed" in fault
    assert "'hts db down', 'hts db up'" in fault
    down(tmp_path)
    assert up(tmp_path).fault is None
    down(tmp_path)


def internal_error() -> OperationFailure:
    return OperationFailure("internal server error", code=1)


def test_an_internal_error_of_a_server_that_works_belongs_to_what_is_stored(
    database: Database,
) -> None:
    def raised(error: Exception) -> None:
        raise error

    attempt: Callable[[Exception], None] = raised
    assert may_pass(internal_error())
    with (
        pytest.raises(OperationFailure),
        translated_outages(database.uri, "storing an output"),
    ):
        attempt(internal_error())
