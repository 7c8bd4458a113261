"""An older backup is put back while queue jobs of the time after it still live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fireworks import FWAction, FWorker

from hts_battery.connections.database.backups import backup, restore
from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
from hts_battery.connections.records.backlog import Backlog

if TYPE_CHECKING:
    from pathlib import Path

    from dispatched import Dispatch

pytestmark = [pytest.mark.mongo, pytest.mark.chaos]


def put_back(dispatch: Dispatch, folder: Path) -> None:
    """Lose the database and restore the backup of a folder."""
    dispatch.stores.database.drop()
    restore(dispatch.stores.database, folder)


def counters(dispatch: Dispatch) -> dict[str, int]:
    (found,) = dispatch.launchpad.fw_id_assigner.find({})
    return {name: found[name] for name in ("next_fw_id", "next_launch_id")}


def test_nothing_is_computed_twice_or_failed_for_good(
    dispatch: Dispatch, execution_folder: Path, tmp_path: Path
) -> None:
    dispatch.submit(chunk=2, window=2)
    dispatch.feed()
    backup(dispatch.stores, tmp_path / "old", locks=())
    dispatch.launch()
    dispatch.feed()
    # The last chunk was sent after the backup, and a rocket has taken it.
    database = dispatch.stores.database
    rocket = ExactLaunchPad(host=database.uri, name=database.name, uri_mode=True)
    firework, launch = rocket.checkout_fw(FWorker(name="here"), str(tmp_path))
    assert firework is not None
    assert launch is not None
    given_out = counters(dispatch)
    outputs = list(dispatch.stores.tasks.collection.find({}))
    put_back(dispatch, tmp_path / "old")
    now = counters(dispatch)
    assert all(now[name] >= 1_000_000 > given_out[name] for name in now)
    # What was computed since came in again, or comes in now: by its content.
    dispatch.stores.tasks.collection.insert_many(outputs)
    dispatch.feed()
    dispatch.launch()
    dispatch.feed()
    later = {doc["launch_id"] for doc in dispatch.launchpad.launches.find({})}
    assert launch not in later
    rocket.complete_launch(launch, FWAction(), "FIZZLED")
    assert {doc["launch_id"] for doc in dispatch.launchpad.launches.find({})} == later
    dispatch.finish()
    dispatch.assert_each_once(execution_folder)
    rocket.connection.close()


def test_the_same_backup_put_back_twice(dispatch: Dispatch, tmp_path: Path) -> None:
    """The same numbers are given out again, in another epoch: a token tells."""
    dispatch.submit(chunk=2)
    backup(dispatch.stores, tmp_path / "old", locks=())
    database, held, epochs = dispatch.stores.database, [], []
    for number in range(2):
        put_back(dispatch, tmp_path / "old")
        dispatch.feed()
        rocket = ExactLaunchPad(host=database.uri, name=database.name, uri_mode=True)
        _, launch = rocket.checkout_fw(FWorker(name="here"), f"/folder/{number}")
        assert launch is not None
        history = rocket.launches.find_one({"launch_id": launch})["state_history"]
        epochs.append(history[-1]["hts_epoch"])
        held.append((rocket, launch))
    (first, one), (second, other) = held
    assert one == other
    assert epochs[0] != epochs[1]
    first.complete_launch(one, FWAction(), "FIZZLED")
    assert first.get_launch_by_id(one).state == "RUNNING"
    second.complete_launch(other, FWAction(), "FIZZLED")
    assert first.get_launch_by_id(one).state == "FIZZLED"
    assert len(Backlog.read(dispatch.stores, dispatch.campaign.spec.name)) == 6
    for rocket, _ in held:
        rocket.connection.close()
