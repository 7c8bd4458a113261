from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hts_battery.connections.records.journal_store import JournalStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Answer

    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores

TEMPLATES = Path(__file__).resolve().parents[2] / "launchpad_configs"


def test_render_fills_a_worker_and_says_what_is_missing(
    hts: Callable[..., Answer], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("launchpad", "render", "local", "--target", "out")
    where = ("--templates", str(TEMPLATES))
    missing = hts(*words, *where)
    assert missing.status == 2
    assert "HTS_BATTERY_MONGO_URI" in missing.err
    planned = hts(*words, *where, "--dry-run", "--json").lines
    assert {one["variable"]: one["set"] for one in planned} == {
        "HTS_BATTERY_DATABASE": True,
        "HTS_BATTERY_EXECUTION_RECORD": True,
        "HTS_BATTERY_MONGO_URI": False,
        "HTS_PYTHON": True,
    }
    assert not (folder / "out").exists()
    monkeypatch.setenv("HTS_BATTERY_MONGO_URI", "mongodb://127.0.0.1:9/")
    assert len(hts(*words, *where, "--json").lines) == 6
    assert (folder / "out" / "my_qadapter.yaml").is_file()


@pytest.mark.mongo
def test_ingest_takes_outputs_in_once(
    hts: Callable[..., Answer],
    database: Database,
    stores: Stores,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTS_BATTERY_MONGO_URI", database.uri)
    monkeypatch.setenv("HTS_BATTERY_DATABASE", database.name)
    offline = folder / "hts-data" / "offline"
    (folder / "FW.json").write_text(json.dumps({"fw_id": 5}))
    journal = JournalStore(str(offline), "tasks")
    journal.connect()
    output = {"uuid": "a", "index": 1, "completed_at": "2026-03-01T00:00:00"}
    journal.update(output, key=["uuid", "index"])

    planned = hts("launchpad", "ingest", "--dry-run")
    assert "would be ingested" in planned.out
    assert stores.tasks.count() == 0
    (report,) = hts("launchpad", "ingest", "--json").lines
    assert (report["outputs"], report["known"], report["put_away"]) == (1, 0, 1)
    assert stores.tasks.count({"uuid": "a"}) == 1
    (again,) = hts("launchpad", "ingest", str(offline), "--json").lines
    assert (again["journals"], again["outputs"]) == (0, 0)
