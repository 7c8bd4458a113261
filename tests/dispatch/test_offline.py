"""Outputs that came as files, put into the database once and never backwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeTask
from fireworks import Firework, FWorker, Workflow
from fireworks.queue.queue_launcher import setup_offline_job

from hts_battery.connections.launchpad import fireworks_commands
from hts_battery.connections.launchpad.launchpad import (
    ExactLaunchPad,
    open_launchpad,
)
from hts_battery.connections.records.journal_store import JournalStore
from hts_battery.dispatch.offline import INGESTED, ingest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores

type_doc = dict[str, Any]

pytestmark = pytest.mark.mongo


@pytest.fixture
def launchpad(stores: Stores) -> Iterator[ExactLaunchPad]:
    with open_launchpad(stores.database) as opened:
        yield opened


@pytest.fixture
def reserve(
    launchpad: ExactLaunchPad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, int]]:
    """Prepare an offline launch as qlaunch does; stay in its folder."""

    def call(error: str = "") -> tuple[int, int]:
        launchpad.add_wf(Workflow([Firework(FakeTask(error=error))]))
        folder = tmp_path / f"launch-{launchpad.fireworks.count_documents({})}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        firework, launch_id = launchpad.reserve_fw(FWorker(), str(folder))
        setup_offline_job(launchpad, firework, launch_id)
        return firework.fw_id, launch_id

    return call


def run_here() -> None:
    assert fireworks_commands.main(["rlaunch", "-s", "singleshot", "--offline"]) == 0


def output(
    uuid: str, *, day: int = 1, index: int = 1, value: int = 0
) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "index": index,
        "output": {"value": value},
        "metadata": {},
        "completed_at": f"2026-03-{day:02d}T00:00:00.000001",
    }


def journal(folder: Path, collection: str = "tasks") -> JournalStore:
    key = "uuid" if collection == "tasks" else "blob_uuid"
    store = JournalStore(str(folder), collection, key=key)
    store.connect()
    return store


def values(stores: Stores) -> dict[tuple[str, int], int]:
    return {
        (doc["uuid"], doc["index"]): doc["output"]["value"]
        for doc in stores.tasks.query()
    }


def test_outputs_are_taken_in_and_the_firework_completed(
    launchpad: ExactLaunchPad,
    reserve: Callable[..., tuple[int, int]],
    stores: Stores,
    tmp_path: Path,
) -> None:
    fw_id, _ = reserve()
    blob = {"blob_uuid": "blob", "job_uuid": "a", "job_index": 1, "data": [1, 2]}
    whole = output("a") | {"output": {"value": 0, "large": {"blob_uuid": "blob"}}}
    journal(tmp_path / "o").update([whole, output("b")], key=["uuid", "index"])
    journal(tmp_path / "o", "blobs").update([blob], key="blob_uuid")

    before = ingest(tmp_path / "o", stores, launchpad)  # it has not begun
    assert (before.outputs, before.blobs, before.waiting) == (2, 1, 1)
    assert launchpad.get_fw_by_id(fw_id).state == "RESERVED"

    run_here()
    would = ingest(tmp_path / "o", stores, launchpad, dry_run=True)
    assert (would.outputs, would.known, would.completed) == (0, 2, 1)
    assert launchpad.get_fw_by_id(fw_id).state == "RESERVED"

    after = ingest(tmp_path / "o", stores, launchpad)
    assert (after.outputs, after.known, after.completed) == (0, 2, 1)
    assert after.put_away == 1
    assert launchpad.get_fw_by_id(fw_id).state == "COMPLETED"
    assert stores.blobs.count({"blob_uuid": "blob"}) == 1
    assert len(list((tmp_path / "o" / INGESTED).iterdir())) == 2

    again = ingest(tmp_path / "o", stores, launchpad)
    assert (again.journals, again.outputs, again.completed) == (0, 0, 0)


def test_a_newer_result_is_never_overwritten(
    launchpad: ExactLaunchPad,
    reserve: Callable[..., tuple[int, int]],
    stores: Stores,
    tmp_path: Path,
) -> None:
    reserve()
    stores.tasks.update(
        [output("a", day=9, value=9), output("b", day=1, value=9)],
        key=["uuid", "index"],
    )
    journal(tmp_path).update(
        [
            output("a", day=5, value=5),
            output("b", day=5, value=5),
            output("b", day=3, value=3),
            output("a", day=5, index=2, value=5),
        ],
        key=["uuid", "index"],
    )
    report = ingest(tmp_path, stores, launchpad)
    assert values(stores) == {("a", 1): 9, ("b", 1): 5, ("a", 2): 5}
    assert (report.outputs, report.known) == (2, 1)


def test_a_failed_launch_fails_its_firework(
    launchpad: ExactLaunchPad,
    reserve: Callable[..., tuple[int, int]],
    stores: Stores,
    tmp_path: Path,
) -> None:
    fw_id, _ = reserve("no")
    run_here()
    report = ingest(tmp_path, stores, launchpad)
    assert (report.failed, report.completed) == (1, 0)
    assert launchpad.get_fw_by_id(fw_id).state == "FIZZLED"


@pytest.mark.parametrize("ping", [True, False])
def test_a_running_launch_is_seen_and_a_killed_one_can_be_put_back(
    *,
    ping: bool,
    launchpad: ExactLaunchPad,
    reserve: Callable[..., tuple[int, int]],
    stores: Stores,
    tmp_path: Path,
) -> None:
    fw_id, launch_id = reserve()
    begun = {"launch_id": launch_id, "started_on": "2026-03-01T00:00:00+00:00"}
    folder = tmp_path / "launch-1"
    (folder / "FW_offline.json").write_text(json.dumps(begun))
    if ping:
        seen = {"ping_time": "2026-03-01T00:01:00+00:00"}
        (folder / "FW_ping.json").write_text(json.dumps(seen))
    journal(tmp_path).update([output("a")], key=["uuid", "index"])
    report = ingest(tmp_path, stores, launchpad)
    assert (report.running, report.outputs, report.put_away) == (1, 1, 0)
    assert launchpad.get_fw_by_id(fw_id).state == "RUNNING"

    lost, _, _ = launchpad.detect_lostruns(expiration_secs=1, rerun=True)
    assert lost == [launch_id]
    # The late end of the launch that was put back changes nothing.
    run_here()
    again = ingest(tmp_path, stores, launchpad)
    assert (again.completed, again.running, again.waiting) == (0, 0, 0)
    assert launchpad.get_fw_by_id(fw_id).state == "READY"


def test_a_file_cut_off_counts_as_not_begun(
    launchpad: ExactLaunchPad,
    reserve: Callable[..., tuple[int, int]],
    stores: Stores,
    tmp_path: Path,
) -> None:
    reserve()
    (tmp_path / "launch-1" / "FW_offline.json").write_text('{"launch_id": 1, "sta')
    assert ingest(tmp_path, stores, launchpad).waiting == 1


def test_no_folder_is_nothing_to_do(
    launchpad: ExactLaunchPad, stores: Stores, tmp_path: Path
) -> None:
    report = ingest(tmp_path / "nowhere", stores, launchpad)
    assert (report.journals, report.outputs) == (0, 0)
