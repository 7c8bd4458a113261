from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from pymongo.errors import AutoReconnect

from hts_battery.connections.database.clients import (
    acquire_client,
    open_clients,
    release_client,
    shared_client,
    translated_errors,
    translated_outages,
)
from hts_battery.connections.database.database import database
from hts_battery.connections.database.embedded import status
from hts_battery.errors import DatabaseOutageError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.connections.database.database import Database

NOWHERE = "mongodb://me:p%40ss@127.0.0.1:9/?serverSelectionTimeoutMS=200"


@pytest.mark.mongo
def test_uri_is_used_and_no_folder_is_made(mongo_uri: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with database(SecretStr(mongo_uri), name="hts_x", data_dir=folder) as opened:
        opened.ping()
        assert opened.uri == mongo_uri
        assert opened.server is None
    assert not folder.exists()


@pytest.mark.mongo
def test_embedded_without_a_uri(tmp_path: Path) -> None:
    with database(name="hts_x", data_dir=tmp_path) as opened:
        assert opened.server is not None
        assert opened.uri not in repr(opened)
        assert str(tmp_path) in opened.location
        assert status(tmp_path).in_use
    assert not status(tmp_path).running
    assert open_clients() <= 1  # that of the session's own server


@pytest.mark.mongo
def test_drop_deletes_only_this_database(database: Database) -> None:
    with shared_client(database.uri) as client:
        client[database.name].things.insert_one({"_id": 1})
        database.drop()
        assert database.name not in client.list_database_names()


@pytest.mark.mongo
def test_one_client_per_server(database: Database) -> None:
    first = acquire_client(database.uri)
    assert acquire_client(database.uri) is first
    release_client(database.uri)
    first.admin.command("ping")
    release_client(database.uri)
    first.admin.command("ping")  # the fixture still uses it


def test_unreachable_server(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="ServerSelectionTimeoutError") as caught,
        database(NOWHERE, name="hts_x", data_dir=tmp_path),
    ):
        pass
    assert "p%40ss" not in str(caught.value)
    assert "p@ss" not in str(caught.value)
    assert "***@127.0.0.1:9" in str(caught.value)


def test_releasing_what_was_never_acquired() -> None:
    release_client("mongodb://nobody")


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), translated_errors("mongodb://h"):
        raise KeyError


def test_an_outage_inside_an_error_of_fireworks_is_one() -> None:
    error = RuntimeError("Error refreshing workflow. The full stack trace is:\n…\nlost")
    error.__context__ = AutoReconnect("lost")
    with (
        pytest.raises(DatabaseOutageError, match="while feeding: RuntimeError: lost"),
        translated_outages("mongodb://h", "feeding"),
    ):
        raise error
    error.__context__ = None
    with pytest.raises(RuntimeError), translated_outages("mongodb://h", "feeding"):
        raise error
