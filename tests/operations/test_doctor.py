"""Every check finds what it is for, and is quiet where nothing is wrong."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from hts_battery.connections.database.clients import shared_client
from hts_battery.connections.database.health import large_documents
from hts_battery.connections.database.indexes import missing_indexes
from hts_battery.connections.database.layout import write_layout
from hts_battery.connections.records.worker_controls import pause_worker
from hts_battery.operations import database_checks, machine_checks
from hts_battery.operations.doctor import CHECKS, Examined, examine
from hts_battery.schemas.alert import Level
from hts_battery.schemas.worker_control import PausedBy
from hts_battery.settings import HTSBatterySettings

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores


@pytest.fixture
def settings(tmp_path: Path) -> HTSBatterySettings:
    return HTSBatterySettings(data_dir=tmp_path / "data")


@pytest.mark.mongo
def test_a_sound_installation_has_no_problem(
    stores: Stores, settings: HTSBatterySettings
) -> None:
    found = examine(Examined(settings, stores, None, fix=False))
    assert {one.check for one in found} == {name for name, _ in CHECKS}
    problems = [one for one in found if one.level is Level.PROBLEM]
    assert [one for one in problems if one.check != "disk"] == []


@pytest.mark.mongo
def test_a_layout_of_another_version(stores: Stores) -> None:
    assert list(database_checks.layout(stores)) == []
    write_layout(stores.database, 1)
    (found,) = database_checks.layout(stores)
    assert "has layout 1, written by another" in found.what


@pytest.mark.mongo
def test_missing_and_unknown_indexes(stores: Stores) -> None:
    tasks = stores.tasks.collection
    tasks.drop_index("metadata.step_1")
    tasks.create_index([("nobody", 1)])
    missing, unknown = database_checks.indexes(stores, fix=False)
    assert missing.level is Level.PROBLEM
    assert "tasks: metadata.step" in missing.what
    assert "tasks: nobody_1" in unknown.what
    fixed, _ = database_checks.indexes(stores, fix=True)
    assert fixed.fixed
    assert missing_indexes(stores) == ()


@pytest.mark.mongo
def test_a_lock_of_a_dead_process_is_dropped(stores: Stores) -> None:
    now = datetime.now(UTC)
    lock = {"name": "build", "token": "t", "holder": "build 1", "host": "elsewhere"}
    stores.locks.collection.insert_one(
        {**lock, "pid": 1, "process": "1:1", "taken_at": now, "beat_at": now}
    )
    assert list(database_checks.locks(stores, fix=True)) == []
    old = datetime(2020, 1, 1, tzinfo=UTC)
    stores.locks.collection.update_one({"name": "build"}, {"$set": {"beat_at": old}})
    (found,) = database_checks.locks(stores, fix=False)
    assert "build 1" in found.what
    assert not found.fixed
    (found,) = database_checks.locks(stores, fix=True)
    assert found.fixed
    assert stores.locks.count() == 0


@pytest.mark.mongo
def test_a_document_near_the_limit(stores: Stores) -> None:
    stores.blobs.update({"blob_uuid": "b", "data": "x" * 13_000_000}, key="blob_uuid")
    (found,) = database_checks.document_sizes(stores)
    assert "13.0 MB" in found.what
    assert "blobs" in found.where


@pytest.mark.mongo
def test_every_document_is_measured_up_to_the_number_sampled(stores: Stores) -> None:
    docs = [
        {"uuid": f"{n % 256:02x}{n}", "index": 1, "x": "y" * 50} for n in range(600)
    ]
    stores.tasks.collection.insert_many(docs)

    def measured(sampled: int) -> int:
        found = large_documents(
            stores.database, above=10, at_most=1000, sampled=sampled
        )
        return sum(one.name == "tasks" for one in found)

    assert measured(600) == 600
    assert 100 <= measured(200) <= 300


@pytest.mark.mongo
def test_writes_of_a_server_by_uri(stores: Stores) -> None:
    # The server of the tests is reached by its URI here, as any MongoDB is.
    (found,) = database_checks.durable_writes(stores)
    assert found.level is Level.WARNING
    assert "journal=true" in found.action


def test_pins_that_decide_energies_are_problems(tmp_path: Path) -> None:
    file = tmp_path / "constraints.txt"
    file.write_text("# tested\npymatgen==0.0.1\nrich==0.0.1\nno-such-package==1\n")
    deciding, other = machine_checks.pins(file)
    assert deciding.level is Level.PROBLEM
    assert "pymatgen" in deciding.what
    assert other.level is Level.WARNING
    assert "rich" in other.what


def test_a_settings_file_that_others_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: HTSBatterySettings
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("mongo_uri: mongodb://me:secret@host\n")
    file.chmod(0o644)
    monkeypatch.setenv("HTS_BATTERY_CONFIG_FILE", str(file))
    (found,) = machine_checks.secrets(settings)
    assert found.level is Level.PROBLEM
    assert "secret" not in found.what
    file.chmod(0o600)
    assert list(machine_checks.secrets(settings)) == []


def test_torn_lines_and_stale_files(settings: HTSBatterySettings) -> None:
    settings.execution_folder.mkdir(parents=True)
    (settings.execution_folder / "host-1-1.jsonl").write_text('{"event": "sta')
    (found,) = machine_checks.execution_record(settings)
    assert "1 lines were cut off" in found.what
    stale = settings.data_dir / "snapshot.part"
    stale.write_text("half")
    now = time.time()
    assert list(machine_checks.stale_files(settings, now=now, fix=True)) == []
    os.utime(stale, (now - 2e5, now - 2e5))
    (found,) = machine_checks.stale_files(settings, now=now, fix=True)
    assert found.fixed
    assert not stale.exists()


@pytest.mark.mongo
def test_a_check_that_fails_is_a_finding(
    stores: Stores, settings: HTSBatterySettings
) -> None:
    with shared_client(stores.database.uri) as client:
        client[stores.database.name]["submissions"].insert_one({"campaign": "odd"})
    found = examine(Examined(settings, stores, None, fix=False))
    assert any(one.check == "backlog" for one in found)


@pytest.mark.mongo
def test_what_is_held_and_by_whom(stores: Stores) -> None:
    assert list(database_checks.holds(stores)) == []
    pause_worker(stores, "pbs", "maintenance")
    pause_worker(stores, "slurm", "no job begins: python: not found", PausedBy.BRAKE)
    by_hand, braked = database_checks.holds(stores)
    assert (by_hand.level, braked.level) == (Level.OK, Level.PROBLEM)
    assert "worker pbs is paused by the operator: maintenance" in by_hand.what
    assert "paused by the brake: no job begins: python: not found" in braked.what
    assert "hts worker resume slurm" in braked.action
