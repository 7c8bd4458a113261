"""Backups survive the loss of the database, and are refused where they are damaged."""

from __future__ import annotations

import gzip
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from hts_battery.connections.database.backups import (
    MANIFEST,
    backup,
    collection_sizes,
    read_backup,
    restore,
)
from hts_battery.connections.database.clients import shared_client
from hts_battery.connections.database.database import database as open_database
from hts_battery.connections.database.indexes import ensure_indexes, missing_indexes
from hts_battery.connections.database.layout import (
    check_layout,
    read_layout,
    write_layout,
)
from hts_battery.connections.database.locks import exclusive
from hts_battery.connections.database.stores import open_stores
from hts_battery.errors import BusyError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


def fill(database: Database) -> None:
    """Write documents of several kinds, a large one and a blob among them."""
    with shared_client(database.uri) as client:
        mongo = client[database.name]
        mongo["campaigns"].insert_one({"name": "small", "spec": {"π": [1, 2.5, None]}})
        mongo["tasks"].insert_many(
            [
                {"uuid": f"u{n}", "index": 1, "output": {"x": "y" * n}}
                for n in range(300)
            ]
        )
        mongo["blobs"].insert_one({"blob_uuid": "b", "data": b"\x00\xff" * 3_000_000})
        mongo["fireworks"].insert_one({"fw_id": 1, "spec": {"_tasks": []}})
        mongo["fireworks"].create_index([("state", 1), ("fw_id", -1)], name="ours")


def content(database: Database) -> dict[str, list[dict[str, Any]]]:
    with shared_client(database.uri) as client:
        mongo = client[database.name]
        return {
            name: sorted(mongo[name].find(), key=lambda doc: str(doc["_id"]))
            for name in collection_sizes(database)
            if mongo[name].find_one() is not None
        }


def test_a_destroyed_database_comes_back(tmp_path: Path) -> None:
    data_dir, folder = tmp_path / "data", tmp_path / "backups" / "monday"
    with open_database(None, name="hts", data_dir=data_dir) as opened:
        with open_stores(opened) as stores:
            ensure_indexes(stores)
            fill(opened)
            manifest = backup(stores, folder, locks=("build", "dispatch"))
        before = content(opened)
    shutil.rmtree(data_dir)
    with open_database(None, name="hts", data_dir=data_dir) as opened:
        seen: list[str] = []
        assert restore(opened, folder, advance=seen.append) == manifest
        assert content(opened) == before
        assert len(seen) == manifest.documents == 303
        check_layout(opened)
        with open_stores(opened) as stores:
            # Locks are not put back, nor their collection.
            assert missing_indexes(stores) == ("locks: name",)
            again = backup(stores, tmp_path / "again", locks=())
        with shared_client(opened.uri) as client:
            found = client["hts"]["fireworks"].index_information()["ours"]
            assert found["key"] == [("state", 1), ("fw_id", -1)]
    assert {one.name: one.digest for one in again.collections} == {
        one.name: one.digest for one in manifest.collections
    }
    assert not list(tmp_path.rglob("*.part"))


def test_a_document_that_no_slice_holds_is_not_left_out_silently(
    stores: Stores, tmp_path: Path
) -> None:
    docs = [{"candidate_id": f"{n:04x}"} for n in range(300)]
    stores.candidates.collection.insert_many([*docs, {"candidate_id": 7}])
    with pytest.raises(StoreError, match=r"300 of 301 .* candidate_id of the others"):
        backup(stores, tmp_path / "b", locks=())
    assert not (tmp_path / "b").exists()


def test_a_full_database_and_an_old_folder_are_refused(
    stores: Stores, tmp_path: Path
) -> None:
    fill(stores.database)
    backup(stores, tmp_path / "one", locks=())
    with pytest.raises(StoreError, match="exists already"):
        backup(stores, tmp_path / "one", locks=())
    with pytest.raises(StoreError, match="is not empty"):
        restore(stores.database, tmp_path / "one")


def test_nobody_builds_while_a_backup_is_made(stores: Stores, tmp_path: Path) -> None:
    with (
        exclusive(stores, "build", holder="a build"),
        pytest.raises(BusyError, match="a build"),
    ):
        backup(stores, tmp_path / "one", locks=("build",))
    assert not (tmp_path / "one").exists()


def test_damage_is_found_before_anything_is_written(
    stores: Stores, tmp_path: Path
) -> None:
    fill(stores.database)
    folder = tmp_path / "one"
    backup(stores, folder, locks=())
    (folder / "tasks.bson.gz").write_bytes(gzip.compress(b"not bson"))
    with pytest.raises(StoreError, match=r"tasks.bson.gz is missing or damaged"):
        read_backup(folder)
    (folder / MANIFEST).unlink()
    with pytest.raises(StoreError, match="is no backup"):
        read_backup(folder)


def test_a_restoration_that_was_killed_is_begun_again(
    stores: Stores, tmp_path: Path
) -> None:
    fill(stores.database)
    backup(stores, tmp_path / "one", locks=())
    before = content(stores.database)
    # As a kill leaves it: marked, and half of the documents there.
    write_layout(stores.database, 2, restoring="one")
    with shared_client(stores.database.uri) as client:
        client[stores.database.name]["tasks"].delete_many({"uuid": {"$gt": "u2"}})
    with pytest.raises(StoreError, match="run `hts db restore` again"):
        check_layout(stores.database)
    restore(stores.database, tmp_path / "one")
    assert content(stores.database) == before
    assert read_layout(stores.database).restoring is None
