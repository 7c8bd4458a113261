"""A week of nights, with every mishap, ends as one build from scratch would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hts_battery.campaign.build import build_all
from hts_battery.connections.database.clients import shared_client
from hts_battery.connections.database.database import database as open_database
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.locks import exclusive
from hts_battery.connections.database.stores import open_stores
from hts_battery.errors import BusyError
from hts_battery.operations.night import DIFF, LOCK, REPORT, SNAPSHOT, night
from hts_battery.query.snapshots import read_snapshot

if TYPE_CHECKING:
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

SCRIPT = Path(__file__).parents[2] / "workflows" / "nightly" / "nightly.py"
TEMPERATURES = (0.0, 1473.0)
INPUTS = ("campaigns", "members", "candidates", "tasks", "references")
OF_THE_PAST = {"_id", "previous", "previous_at", "hull_version", "n_references"}
"""What a record keeps of how it came about: a hull on which it was judged may be older
than today's where nothing new could matter to it (docs/builds.md)."""


def on(day: int) -> datetime:
    return datetime(2026, 11, day, 2, 15, tzinfo=UTC)


def sleep(stores: Stores, folder: Path, day: int) -> Any:  # noqa: ANN401 - a report
    return night(stores, folder, temperatures=TEMPERATURES, now=on(day))


def edit(stores: Stores, number: int, energy: float) -> None:
    """Change the energy of one relaxation, as a repeated calculation does."""
    tasks = sorted(
        stores.tasks.query({"metadata.step": "relax"}), key=lambda task: task["uuid"]
    )
    task = tasks[number]
    task["output"]["output"]["energy"] = energy
    stores.tasks.update(task, key=["uuid", "index"])


def today(value: Any) -> Any:  # noqa: ANN401 - any part of a document
    """Leave out, at any depth, what tells of the past."""
    if isinstance(value, dict):
        kept = value.keys() - OF_THE_PAST - {"input_digest"}
        return {key: today(value[key]) for key in sorted(kept)}
    return [today(one) for one in value] if isinstance(value, list) else value


def judged(stores: Stores) -> dict[str, list[dict[str, Any]]]:
    """Return what builders wrote, without what tells of the past."""
    return {
        name: sorted(
            (today(doc) for doc in getattr(stores, name).query({})),
            key=lambda doc: json.dumps(doc, sort_keys=True, default=str),
        )
        for name in ("entries", "thermo", "summary")
    }


def from_scratch(stores: Stores, tmp_path: Path) -> dict[str, list[dict[str, Any]]]:
    """Build the same inputs in a new database."""
    uri, name = stores.database.uri, f"{stores.database.name}_scratch"
    with open_database(uri, name=name, data_dir=tmp_path / "unused") as opened:
        try:
            with open_stores(opened) as fresh, shared_client(uri) as client:
                ensure_indexes(fresh)
                for collection in INPUTS:
                    docs = list(client[stores.database.name][collection].find())
                    if docs:
                        client[name][collection].insert_many(docs)
                build_all(fresh, temperatures=TEMPERATURES)
                return judged(fresh)
        finally:
            opened.drop()


def killed_night(stores: Stores, folder: Path, tmp_path: Path) -> None:
    """Begin a night in a process of its own and kill it when it has begun."""
    environment = {
        **os.environ,
        "HTS_BATTERY_MONGO_URI": stores.database.uri,
        "HTS_BATTERY_DATABASE": stores.database.name,
        "HTS_BATTERY_DATA_DIR": str(tmp_path / "unused"),
    }
    process = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, str(SCRIPT), str(folder)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not list(folder.glob("*.part")) and process.poll() is None:
        assert time.monotonic() < deadline, "the night did not begin"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(folder.glob("*.part")), "the night ended before it was killed"


@pytest.mark.slow
@pytest.mark.chaos
def test_a_week_ends_as_one_build_from_scratch(  # noqa: PLR0915 - a week is long
    computed: Campaign, stores: Stores, tmp_path: Path
) -> None:
    assert computed.spec.name == "small"
    folder = tmp_path / "nights"
    held_back = stores.tasks.query_one({"metadata.step": "relax"})
    stores.tasks.remove_docs({"uuid": held_back["uuid"]})

    first = sleep(stores, folder, 20)
    assert first.since is None
    assert first.summaries == 1

    stores.tasks.update(held_back, key=["uuid", "index"])  # an addition
    second = sleep(stores, folder, 21)
    assert second.since == first.run_id
    assert second.summaries == 2

    edit(stores, 0, -200.0)
    killed_night(stores, folder, tmp_path)  # the 22nd
    edit(stores, 1, -210.0)
    made_up = sleep(stores, folder, 24)  # and the 23rd was missed
    assert made_up.made_up_for == 1
    assert made_up.since == second.run_id
    assert made_up.changes > 0

    stores.tasks.collection.update_one(
        {"uuid": held_back["uuid"]}, {"$unset": {"output.structure": ""}}
    )
    failing = sleep(stores, folder, 25)
    assert failing.failed["entries"] == 1
    assert failing.summaries == 1

    stores.tasks.update(held_back, key=["uuid", "index"])
    # As if an older pymatgen had built so far: what it wrote is not trusted.
    stores.builds.collection.update_many(
        {}, {"$set": {"versions.pymatgen": "2020.1.1"}}
    )
    mended = sleep(stores, folder, 26)
    assert mended.summaries == 2

    reference = stores.references.query_one({"formula": "LiF"})
    reference["energy_per_atom"] -= 0.1
    stores.references.update(reference, key=["engine", "phase_id"])
    last = sleep(stores, folder, 27)
    assert last.written["thermo"] > 0
    quiet = sleep(stores, folder, 27)
    assert quiet.night == "2026-11-27-2"
    assert quiet.changes == 0
    assert quiet.snapshot_digest == last.snapshot_digest

    night_by_night, at_once = judged(stores), from_scratch(stores, tmp_path)
    for name in at_once:
        assert night_by_night[name] == at_once[name], name
    snapshot = read_snapshot(folder / quiet.night / SNAPSHOT)
    assert snapshot.verified
    assert len(snapshot.rows) == 2
    nights = sorted(path.name for path in folder.iterdir())
    assert not [name for name in nights if name.endswith(".part")]
    assert all(
        {REPORT, DIFF} <= {f.name for f in (folder / n).iterdir()} for n in nights
    )


def test_a_second_night_at_once_is_refused(stores: Stores, tmp_path: Path) -> None:
    with (
        exclusive(stores, LOCK, holder="the night of yesterday"),
        pytest.raises(BusyError, match="the night of yesterday is running"),
    ):
        sleep(stores, tmp_path, 20)
    assert not list(tmp_path.iterdir())
