"""One Firework, one run: whatever queue jobs and rockets there are of it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from fireworks import FWAction, FWorker
from jobflow import job
from rockets import PATIENCE, Rockets

from hts_battery.connections.database.database import database as open_database
from hts_battery.connections.database.embedded import embedded_server
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.stores import open_stores
from hts_battery.connections.launchpad.launchpad import (
    ExactLaunchPad,
    open_launchpad,
    submit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hts_battery.connections.database.database import Database

    Take = Callable[..., bool]

pytestmark = pytest.mark.mongo

HERE = FWorker(name="here")
SLURM = "SLURM_JOB_ID"


@job
def add(a: int, b: int) -> int:
    return a + b


@pytest.fixture
def launchpad(database: Database) -> Iterator[ExactLaunchPad]:
    with open_launchpad(database) as opened:
        submit([add(1, 2)], opened, "here")
        yield opened


@pytest.fixture
def take(
    database: Database, launchpad: ExactLaunchPad, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Take]:
    """Take Firework 1 as a rocket of a queue job does; each has a launchpad."""
    assert launchpad
    opened = []

    def rocket(number: str | None, fw_id: int | None = 1) -> bool:
        monkeypatch.delenv(SLURM, raising=False)
        if number is not None:
            monkeypatch.setenv(SLURM, number)
        mine = ExactLaunchPad(host=database.uri, name=database.name, uri_mode=True)
        opened.append(mine)
        firework, launch = mine.checkout_fw(HERE, f"/folder/{number}", fw_id)
        monkeypatch.delenv(SLURM, raising=False)
        assert (firework is None) == (launch is None)
        return firework is not None

    yield rocket
    for one in opened:
        one.connection.close()


def reserve(launchpad: ExactLaunchPad, number: int | None = None) -> int:
    """Reserve a Firework as ``qlaunch -r`` does; write the number if there is one."""
    _, launch = launchpad.reserve_fw(HERE, "/folder")
    assert launch is not None
    if number is not None:
        launchpad.set_reservation_id(launch, number)
    return launch


def state(launchpad: ExactLaunchPad) -> tuple[str, list[str], str | None]:
    """Return the states of Firework 1 and its launches, and its queue job."""
    firework = launchpad.get_fw_by_id(1)
    found = launchpad.get_reservation_id_from_fw_id(1)
    return firework.state, [one.state for one in firework.launches], found


def test_of_two_queue_jobs_of_one_firework_the_reserved_one_runs(
    launchpad: ExactLaunchPad, take: Take, caplog: pytest.LogCaptureFixture
) -> None:
    reserve(launchpad, 815)
    assert not take("814")
    assert "reserved for queue job 815" in caplog.text
    assert state(launchpad) == ("RESERVED", ["RESERVED"], "815")
    assert take("815")
    assert not take("815"), "a job that its queue started again"
    assert not take("816")
    assert state(launchpad) == ("RUNNING", ["RUNNING"], "815")


def test_without_a_number_the_first_rocket_writes_its_own(
    launchpad: ExactLaunchPad, take: Take, caplog: pytest.LogCaptureFixture
) -> None:
    launch = reserve(launchpad)
    assert take("814")
    assert state(launchpad) == ("RUNNING", ["RUNNING"], "814")
    assert not take("815")
    # The launcher comes late with what it thinks is the number.
    launchpad.set_reservation_id(launch, 815)
    assert "run by queue job 814: queue job 815 is one too many" in caplog.text
    assert state(launchpad) == ("RUNNING", ["RUNNING"], "814")
    caplog.clear()
    launchpad.set_reservation_id(launch, "814.server")
    assert not caplog.text


def test_a_submission_that_failed_and_did_not(
    launchpad: ExactLaunchPad, take: Take
) -> None:
    """`sbatch: Socket timed out`, and Slurm took the job all the same."""
    first = reserve(launchpad)
    launchpad.cancel_reservation(first)
    second = reserve(launchpad, 815)
    assert second != first
    assert not take("814")
    assert take("815")


def test_a_job_that_runs_is_not_reserved_again(
    launchpad: ExactLaunchPad, take: Take, caplog: pytest.LogCaptureFixture
) -> None:
    launch = reserve(launchpad)
    assert take("814")
    launchpad.change_launch_dir(launch, "/another/folder")
    launchpad.cancel_reservation(launch)
    assert "has begun although its submission failed" in caplog.text
    assert state(launchpad) == ("RUNNING", ["RUNNING"], "814")
    assert launchpad.get_launch_by_id(launch).launch_dir == "/folder/814"
    assert launchpad.reserve_fw(HERE, "/folder") == (None, None)
    assert not take("815")


def test_outside_a_queue_one_rocket_takes_it(
    launchpad: ExactLaunchPad, take: Take
) -> None:
    reserve(launchpad, 815)
    assert take(None)
    assert not take("815")
    assert not take(None)


@pytest.mark.parametrize("fw_id", [1, None])
def test_a_ready_firework_is_taken_once(
    launchpad: ExactLaunchPad, take: Take, fw_id: int | None
) -> None:
    assert take("814", fw_id)
    assert not take("815", fw_id)
    assert state(launchpad) == ("RUNNING", ["RUNNING"], "814")


def test_a_rocket_stopped_while_it_takes_one(
    launchpad: ExactLaunchPad, database: Database, take: Take
) -> None:
    """It found the Firework, was stopped, and wakes when that runs elsewhere."""

    class Stopped(ExactLaunchPad):
        def get_new_launch_id(self) -> int:
            launchpad.rerun_fw(1)  # as recovery does with what never was launched
            assert take("815")
            return int(super().get_new_launch_id())

    slow = Stopped(host=database.uri, name=database.name, uri_mode=True)
    assert slow.checkout_fw(HERE, "/slow") == (None, None)
    assert state(launchpad) == ("RUNNING", ["RUNNING"], "815")
    assert launchpad.launches.count_documents({}) == 1
    slow.connection.close()


def test_one_that_was_put_back_tells_nobody_how_it_ended(
    launchpad: ExactLaunchPad,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = ExactLaunchPad(host=database.uri, name=database.name, uri_mode=True)
    _, launch = first.checkout_fw(HERE, "/first")
    launchpad.launches.update_one({"launch_id": launch}, {"$set": {"state": "FIZZLED"}})
    launchpad.rerun_fw(1)
    _, second = launchpad.checkout_fw(HERE, "/second")
    assert launch is not None
    assert second is not None
    first.complete_launch(launch, FWAction(), "COMPLETED")
    assert "is not this rocket's any more" in caplog.text
    first.restore_backup_data(launch, 1)
    assert state(launchpad)[:2] == ("RUNNING", ["RUNNING"])
    launchpad.complete_launch(second, FWAction(), "COMPLETED")
    assert state(launchpad)[0] == "COMPLETED"
    first.connection.close()


def test_what_cannot_be_imported_fails(launchpad: ExactLaunchPad, take: Take) -> None:
    reserve(launchpad, 815)
    launchpad.fireworks.update_one(
        {"fw_id": 1}, {"$set": {"spec._tasks": [{"_fw_name": "{{no.such.Task}}"}]}}
    )
    assert not take("815")
    assert launchpad.fireworks.find_one({"fw_id": 1})["state"] == "FIZZLED"


def test_a_queue_job_too_many_ends_in_words(tmp_path: Path) -> None:
    """The whole way: `rlaunch singleshot --fw_id` in a job of another number."""
    with (
        embedded_server(tmp_path / "data") as server,
        open_database(server.uri, name="hts", data_dir=tmp_path / "no") as opened,
        open_stores(opened) as stores,
        open_launchpad(opened) as launchpad,
    ):
        ensure_indexes(stores)
        submit([job(os.path.basename)("a/b")], launchpad, "local")
        _, launch = launchpad.reserve_fw(FWorker(name="local"), str(tmp_path))
        assert launch is not None
        rockets = Rockets(server, stores, tmp_path)
        rockets.run("warm")  # nothing is READY: only the configuration is made
        words = ["-m", "hts_battery.connections.launchpad.fireworks_commands"]
        for number, ran in (("814", True), ("815", False)):
            folder = tmp_path / number
            folder.mkdir()
            config = tmp_path / "config"
            done = subprocess.run(  # noqa: S603 - our own words
                [
                    *(sys.executable, *words, "rlaunch", "-c", str(config)),
                    *("singleshot", "--fw_id", "1"),
                ],
                capture_output=True,
                text=True,
                check=True,
                cwd=folder,
                timeout=PATIENCE,
                env={
                    **os.environ,
                    SLURM: number,
                    "FW_CONFIG_FILE": str(config / "FW_config.yaml"),
                    "JOBFLOW_CONFIG_FILE": str(config / "jobflow.yaml"),
                },
            )
            assert (folder / "FW.json").exists() == ran
            assert ("is not run" in done.stderr) != ran, (done.stdout, done.stderr)
        assert launchpad.get_launch_by_id(launch).state == "COMPLETED"
        assert launchpad.launches.count_documents({}) == 1


def test_an_offline_launch_that_was_given_back_does_not_start(
    launchpad: ExactLaunchPad, tmp_path: Path
) -> None:
    _, launch = launchpad.reserve_fw(HERE, str(tmp_path))
    assert launch is not None
    for name in ("FW.json", "FW_offline.json"):
        (tmp_path / name).write_text("{}")
    launchpad.cancel_reservation(launch)
    assert not (tmp_path / "FW.json").exists()
    assert state(launchpad)[0] == "READY"


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("jobflow").setLevel(logging.WARNING)
