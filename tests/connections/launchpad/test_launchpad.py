from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import jobflow
import pytest
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire
from jobflow import Flow, Response, job
from pymongo.errors import AutoReconnect

from hts_battery.connections.launchpad import fireworks_commands
from hts_battery.connections.launchpad.launchpad import (
    ExactLaunchPad,
    open_launchpad,
    submit,
)
from hts_battery.connections.workers.configs import render_worker
from hts_battery.errors import SubmissionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fireworks import LaunchPad

    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


@job
def add(a: int, b: int) -> int:
    return a + b


@job(data="large")
def add_on_the_node(a: int) -> Response:
    return Response(output={"large": [a]}, addition=add(a, 100))


@pytest.fixture
def launchpad(database: Database) -> Iterator[LaunchPad]:
    with open_launchpad(database) as opened:
        yield opened


def launch(launchpad: LaunchPad, worker: str, folder: Path) -> None:
    rapidfire(launchpad, FWorker(name=worker), m_dir=str(folder), strm_lvl="CRITICAL")


def small_flow() -> Flow:
    first = add(1, 2)
    return Flow([first, add(first.output, 3)], name="small")


def test_flow_runs_to_its_end(
    launchpad: LaunchPad,
    stores: Stores,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", stores.job_store)
    monkeypatch.chdir(tmp_path)
    logging.getLogger("jobflow").setLevel(logging.WARNING)
    flow = small_flow()
    node = add_on_the_node(7)
    ids = submit([flow, node], launchpad, "here")
    assert [len(each) for each in ids] == [2, 1]
    assert set(ids[0]) == set(flow.job_uuids)
    launch(launchpad, "here", tmp_path)
    states = launchpad.fireworks.find({}, {"state": 1, "spec._fworker": 1})
    found = [(doc["state"], doc["spec"]["_fworker"]) for doc in states]
    assert found == [("COMPLETED", "here")] * 4
    assert stores.job_store.get_output(flow.job_uuids[1]) == 6
    assert stores.job_store.get_output(node.uuid, load=True) == {"large": [7]}
    assert stores.tasks.count({"output": 107}) == 1


def test_another_worker_leaves_it_alone(launchpad: LaunchPad, tmp_path: Path) -> None:
    submit([small_flow()], launchpad, "there", priority=5)
    launch(launchpad, "here", tmp_path)
    states = {doc["state"] for doc in launchpad.fireworks.find({}, {"state": 1})}
    assert states == {"READY", "WAITING"}
    assert launchpad.fireworks.find_one({"state": "READY"})["spec"]["_priority"] == 5


def test_no_store_and_so_no_password_in_a_firework(launchpad: LaunchPad) -> None:
    submit([small_flow()], launchpad, "here")
    for doc in launchpad.fireworks.find({}):
        assert doc["spec"]["_tasks"][0]["store"] is None
        assert "mongodb://" not in str(doc)


def test_nothing_to_submit(launchpad: LaunchPad) -> None:
    assert submit([], launchpad, "here") == []


def test_operators_who_begin_at_once_share_the_counters(database: Database) -> None:
    def begin(_: int) -> list[int]:
        with open_launchpad(database) as launchpad:
            ids = submit([small_flow()], launchpad, "here")
            return list(ids[0].values())

    with ThreadPoolExecutor(4) as pool:
        ids = [number for group in pool.map(begin, range(4)) for number in group]
    assert sorted(ids) == list(range(1, 9))


def test_no_launch_number_is_given_out_twice(
    launchpad: LaunchPad, database: Database
) -> None:
    assert launchpad.get_new_launch_id() == 1

    def take(_: int) -> list[int]:
        with open_launchpad(database) as opened:
            return [opened.get_new_launch_id() for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        taken = [number for group in pool.map(take, range(4)) for number in group]
    assert sorted(taken) == list(range(2, 82))


def test_rlaunch_with_exact_ids(
    launchpad: LaunchPad, database: Database, stores: Stores, tmp_path: Path
) -> None:
    environment = {"HTS_BATTERY_MONGO_URI": database.uri}
    environment |= {"HTS_BATTERY_DATABASE": database.name}
    environment |= {"HTS_PYTHON": sys.executable}
    environment |= {"HTS_BATTERY_EXECUTION_RECORD": str(tmp_path / "record")}
    templates = Path(__file__).resolve().parents[3] / "launchpad_configs"
    config = tmp_path / "config"
    render_worker(templates, "local", config, environment)
    # A job from this file could not be imported on a node; one of jobflow's can.
    submit([job(math.hypot)(3, 4)], launchpad, "local")
    command = [
        sys.executable,
        "-m",
        "hts_battery.connections.launchpad.fireworks_commands",
    ]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [*command, "rlaunch", "-c", str(config), "singleshot"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "FW_CONFIG_FILE": str(config / "FW_config.yaml"),
            "JOBFLOW_CONFIG_FILE": str(config / "jobflow.yaml"),
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr
    states = [doc["state"] for doc in launchpad.fireworks.find({}, {"state": 1})]
    assert states == ["COMPLETED"], done.stderr
    assert [doc["output"] for doc in stores.tasks.query()] == [5.0]


def test_command_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert fireworks_commands.main(["lpad"]) == 2
    assert fireworks_commands.main([]) == 2
    assert "rlaunch or qlaunch" in capsys.readouterr().err


def test_launchpad_file(tmp_path: Path, database: Database) -> None:
    path = tmp_path / "my_launchpad.yaml"
    path.write_text(f"host: {database.uri}\nname: x\nuri_mode: true\nstrm_lvl: ERROR\n")
    opened = ExactLaunchPad.from_file(str(path))
    assert isinstance(opened, ExactLaunchPad)
    assert opened.name == "x"
    opened.connection.close()


def test_counters_that_were_never_started(database: Database) -> None:
    opened = ExactLaunchPad(host=database.uri, name=database.name, uri_mode=True)
    with pytest.raises(ValueError, match="reset"):
        opened.get_new_launch_id()
    opened.connection.close()


def test_opening_again_deletes_nothing(database: Database) -> None:
    with open_launchpad(database) as launchpad:
        submit([small_flow()], launchpad, "here")
    with open_launchpad(database) as launchpad:
        assert launchpad.workflows.count_documents({}) == 1


def test_failed_insertion(
    launchpad: LaunchPad, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: object) -> None:
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(launchpad, "bulk_add_wfs", gone)
    with pytest.raises(SubmissionError, match=r"1 flows .* worker here: AutoReconnect"):
        submit([small_flow()], launchpad, "here")
