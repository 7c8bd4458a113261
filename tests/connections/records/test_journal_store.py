from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from jobflow import JobStore, job, run_locally

from hts_battery.connections.records.journal_store import (
    JournalStore,
    journals,
    read_journal,
)
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in the launch folder of Firework 7."""
    folder = tmp_path / "launch"
    folder.mkdir()
    (folder / "FW.json").write_text(json.dumps({"fw_id": 7}))
    monkeypatch.chdir(folder)
    return folder


def job_store(folder: Path) -> JobStore:
    return JobStore(
        JournalStore(str(folder / "offline"), "tasks", key="uuid"),
        additional_stores={
            "data": JournalStore(str(folder / "offline"), "blobs", key="blob_uuid")
        },
    )


@job(data="large")
def large_job(number: int) -> dict[str, object]:
    return {"number": number, "large": [float("nan"), 1.5] * 3}


@pytest.mark.usefixtures("launch")
def test_a_later_launch_finds_what_an_earlier_one_stored(tmp_path: Path) -> None:
    first = large_job(1)
    run_locally(first, store=job_store(tmp_path), log=False)
    later = job_store(tmp_path)
    later.connect()
    output = later.get_output(first.uuid, load=True)
    assert output["number"] == 1
    assert output["large"][1::2] == [1.5] * 3
    assert later.query_one({"uuid": first.uuid})["index"] == 1
    assert journals(tmp_path / "offline", "tasks") == {
        7: tmp_path / "offline" / "firework-7.tasks.jsonl"
    }


@pytest.mark.usefixtures("launch")
def test_what_a_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    store = JournalStore(str(tmp_path), "tasks")
    store.connect()
    store.update(
        [{"uuid": "a", "n": 1}, {"uuid": "b", "at": datetime(2026, 1, 2, tzinfo=UTC)}]
    )
    with store.journal.open("ab") as file:
        file.write(b'{"key": "uuid", "document": {"uuid": "c"')
    again = JournalStore(str(tmp_path), "tasks")
    again.connect()
    again.update({"uuid": "a", "n": 2})
    assert [doc["uuid"] for doc, _ in read_journal(store.journal)] == ["a", "b", "a"]
    assert again.query_one({"uuid": "a"})["n"] == 2
    assert again.count() == 2


@pytest.mark.usefixtures("launch")
def test_an_output_without_its_large_part_is_left_out(tmp_path: Path) -> None:
    # jobflow writes the output first and its large part after it.
    one, two = large_job(1), large_job(2)
    run_locally(one, store=job_store(tmp_path), log=False)
    run_locally(two, store=job_store(tmp_path), log=False)
    blobs = journals(tmp_path / "offline", "blobs")[7]
    blobs.write_text(blobs.read_text().splitlines()[0] + "\n")
    store = job_store(tmp_path)
    store.connect()
    assert store.distinct("uuid") == [one.uuid]


def test_without_a_firework_there_is_one_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = JournalStore(str(tmp_path / "offline"))
    with pytest.raises(StoreError, match="not connected"):
        _ = store.journal
    store.connect()
    store.update({"uuid": "a"})
    assert list(journals(tmp_path / "offline", "tasks")) == [None]
    with pytest.raises(StoreError, match="only grows"):
        store.remove_docs({})


def test_a_journal_that_cannot_be_written_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "offline").write_text("a file")
    store = JournalStore(str(tmp_path / "offline"))
    store.connect()
    with pytest.raises(StoreError, match="cannot be written"):
        store.update({"uuid": "a"})
