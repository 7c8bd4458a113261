"""Roles on a server that asks who is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from hts_battery.builders.registry import collections_of
from hts_battery.connections.database.bounded_reader import BoundedReader, readable
from hts_battery.connections.database.collection_specs import COLLECTIONS
from hts_battery.connections.database.database import database
from hts_battery.connections.database.roles import NewUser, Role, init_roles, privileges
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.mongo

NAME = "screening"
READABLE = readable(collections_of("writes"))
PRIVILEGES = privileges(collections_of("reads"), collections_of("writes"))
PASSWORD = "pass-word-of-a-test"  # noqa: S105 - nobody else's
SECONDS = 60.0
WRITES = {"insert", "update", "remove"}


def start(folder: Path, *options: str) -> tuple[subprocess.Popen[bytes], int]:
    program = Path(sys.executable).with_name("secantusd-py")
    found = str(program) if program.is_file() else shutil.which("secantusd-py")
    if found is None:
        pytest.skip("the embedded server is not installed")
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - our own server
            [
                found,
                *("--host", "127.0.0.1", "--port", "0", "--standalone"),
                *("--storage-path", str(folder / "database"), *options),
            ],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        listening = re.search(
            r"listening on 127\.0\.0\.1:(\d+)", log.read_text("utf-8")
        )
        if listening:
            return process, int(listening[1])
        time.sleep(0.05)
    process.kill()
    pytest.fail(log.read_text("utf-8"))


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Return the address of a server with authentication, by user."""
    (tmp_path / "database").mkdir()
    process, port = start(tmp_path)
    with MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true") as client:
        client["admin"].command(
            "createUser", "root", pwd=PASSWORD, roles=[{"role": "root", "db": "admin"}]
        )
        client[NAME]["summary"].insert_one({"candidate_id": "a"})
    process.terminate()
    process.wait(SECONDS)
    process, port = start(tmp_path, "--auth")

    def address(user: str) -> str:
        source = "admin" if user == "root" else NAME
        return (
            f"mongodb://{user}:{PASSWORD}@127.0.0.1:{port}/"
            f"?directConnection=true&authSource={source}"
        )

    yield address
    process.terminate()
    process.wait(SECONDS)


def test_an_analyst_reads_and_cannot_write(
    guarded: Callable[[str], str], tmp_path: Path
) -> None:
    users = tuple(
        NewUser(f"a_{role.value}", role, SecretStr(PASSWORD)) for role in Role
    )
    assert PASSWORD not in repr(users)
    with database(guarded("root"), name=NAME, data_dir=tmp_path) as opened:
        init_roles(opened, users, granted=PRIVILEGES)
        # Again changes nothing and is no error.
        init_roles(opened, users, granted=PRIVILEGES)
    with database(guarded("a_analyst"), name=NAME, data_dir=tmp_path) as opened:
        reader = BoundedReader(opened, READABLE)
        assert reader.find("summary", {}) == [{"candidate_id": "a"}]
        with pytest.raises(StoreError, match="not authorized") as raised:
            init_roles(opened, granted=PRIVILEGES)
        assert PASSWORD not in str(raised.value)
        with pytest.raises(StoreError, match="not authorized"):
            opened.drop()
    for user, allowed in (("a_analyst", False), ("a_builder", True)):
        refusal = (
            nullcontext()
            if allowed
            else pytest.raises(OperationFailure, match="not authorized")
        )
        with MongoClient(guarded(user)) as client, refusal:
            client[NAME]["summary"].insert_one({"candidate_id": user})


def test_each_role_has_what_it_needs_and_no_more() -> None:
    analyst = PRIVILEGES[Role.ANALYST]
    assert set(READABLE) <= set(analyst)
    assert not any(WRITES & set(actions) for actions in analyst.values())
    worker = {
        name
        for name, actions in PRIVILEGES[Role.WORKER].items()
        if WRITES & set(actions)
    }
    assert {"tasks", "blobs", "failures", "launches"} <= worker
    assert not worker & {"summary", "thermo", "entries", "campaigns", "references"}
    builder = {
        name
        for name, actions in PRIVILEGES[Role.BUILDER].items()
        if WRITES & set(actions)
    }
    assert builder >= {"entries", "thermo", "summary", "builds", "locks"}
    assert not builder & {"tasks", "references", "campaigns"}
    known = {*COLLECTIONS, "system.indexes"}
    launchpad = {"fireworks", "fw_id_assigner", "launches", "workflows"}
    for found in PRIVILEGES.values():
        for name in found:
            assert name in known | launchpad or name.startswith(
                ("blobs.", "fw_gridfs.")
            )
