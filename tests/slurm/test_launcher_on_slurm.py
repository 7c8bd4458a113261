"""Our launcher, the brake and the test of a worker on a real Slurm."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
import yaml
from fakes import FakeTask
from fireworks import Firework, Workflow
from slurm.rendered_worker import RenderedWorker

from hts_battery.connections.launchpad.ended_runs import last_runs, last_words
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.connections.launchpad.queue_worker import QueueWorker
from hts_battery.connections.launchpad.queues import asked_job, this_cluster
from hts_battery.connections.launchpad.scheduler import QueueScheduler
from hts_battery.connections.records.worker_controls import read_worker_control
from hts_battery.dispatch.launcher import Launcher
from hts_battery.dispatch.recovery import recover
from hts_battery.errors import QueueRefusalError
from hts_battery.operations.worker_checks import examine_worker
from hts_battery.operations.worker_trial import WorkerTrial
from hts_battery.schemas.finding import Level
from hts_battery.schemas.worker_trial import StageState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from slurm.one_node_slurm import OneNodeSlurm

    from hts_battery.connections.database.stores import Stores

pytestmark = [pytest.mark.slurm, pytest.mark.mongo, pytest.mark.slow]

ABSENT = "/opt/absent/bin/python"


@pytest.fixture
def launcher(slurm: OneNodeSlurm, stores: Stores, tmp_path: Path) -> Iterator[Launcher]:
    database = stores.database
    rendered = RenderedWorker("slurm", slurm, tmp_path, database.uri, database.name)
    worker = QueueWorker.read(rendered.config)
    queue = QueueScheduler(worker.adapter, rendered.environment)
    with open_launchpad(database) as launchpad:
        yield Launcher(
            worker,
            stores,
            launchpad,
            rendered.launches,
            queue,
            jobs=2,
            sleep=lambda _seconds: None,
        )
    slurm.cancel_all()


def with_interpreter(launcher: Launcher, python: str) -> Launcher:
    """Let the jobs of a worker start with another interpreter."""
    path = launcher.worker.config / "my_qadapter.yaml"
    content = yaml.safe_load(path.read_text())
    words = content["rocket_launch"].split(" ")
    content["rocket_launch"] = " ".join([python, *words[1:]])
    path.write_text(yaml.safe_dump(content))
    return replace(launcher, worker=QueueWorker.read(launcher.worker.config))


def add(launcher: Launcher, count: int) -> list[int]:
    made = []
    for number in range(count):
        spec = {"_fworker": "slurm"}
        firework = Firework(FakeTask(error=""), name=f"n{number}", spec=spec)
        launcher.launchpad.add_wf(Workflow([firework]))
        made.append(firework.fw_id)
    return made


def test_one_round_up_to_the_cap_and_what_a_refusing_queue_says(
    slurm: OneNodeSlurm, launcher: Launcher
) -> None:
    add(launcher, 3)
    slurm.run("scontrol", "update", "PartitionName=debug", "State=DRAIN")
    try:
        with pytest.raises(QueueRefusalError, match="Required partition not avail"):
            launcher.once()
    finally:
        slurm.run("scontrol", "update", "PartitionName=debug", "State=UP")
    launchpad = launcher.launchpad
    assert len(launchpad.get_fw_ids({"state": "READY"})) == 3
    state = read_worker_control(launcher.stores, "slurm").launcher
    assert state is not None
    assert "Required partition not available" in state.words
    done = launcher.once()
    assert len(done.submitted) == 2
    assert set(done.submitted) <= set(slurm.jobs()) | set(
        (slurm.home / "finished.log").read_text().replace("=", " ").split()
        if (slurm.home / "finished.log").exists()
        else ()
    )
    slurm.wait_for_jobs(timeout=240)
    assert len(launchpad.get_fw_ids({"state": "COMPLETED"})) == 2
    assert launcher.once().queued == 1
    slurm.wait_for_jobs(timeout=240)
    assert len(launchpad.get_fw_ids({"state": "COMPLETED"})) == 3
    told = [json.loads(one.read_text()) for one in launcher.launches.rglob("told.json")]
    assert {one["SLURM_JOB_ID"] for one in told} > set(done.submitted)
    assert launchpad.launches.count_documents({}) == 3, "a refusal leaves no launch"


def test_a_broken_interpreter_is_found_before_by_the_test_and_by_the_brake(
    slurm: OneNodeSlurm, launcher: Launcher
) -> None:
    broken = with_interpreter(launcher, ABSENT)
    (problem,) = examine_worker(broken.worker.config, scheduler=broken.scheduler)  # type: ignore[arg-type] # it is one
    assert problem.level is Level.PROBLEM
    assert ABSENT in problem.what
    report = WorkerTrial(broken, ["ionic"], broken.launches, timeout=120).run()
    assert report.stages[0].state is StageState.FAILED
    assert "No such file" in report.stages[0].words
    assert broken.launchpad.fireworks.count_documents({}) == 0

    add(broken, 2)
    broken.once()
    slurm.wait_for_jobs(timeout=120)
    folders = [run.folder for run in last_runs(broken.launchpad, "slurm", 2)]
    assert folders == [], "they wait, by the launchpad"
    recover(
        broken.stores,
        broken.launchpad,
        listed=lambda _kind: frozenset(slurm.jobs()),
        asked=partial(asked_job, environment=slurm.environment),
        here=partial(this_cluster, environment=slurm.environment),
        grace=0.0,
    )
    runs = last_runs(broken.launchpad, "slurm", 2)
    assert [one.began for one in runs] == [False, False]
    assert "No such file" in (last_words(runs[0].folder) or "")


def test_a_worker_that_works_passes_and_leaves_nothing(
    slurm: OneNodeSlurm, launcher: Launcher
) -> None:
    findings = examine_worker(launcher.worker.config, scheduler=launcher.scheduler)  # type: ignore[arg-type] # it is one
    assert findings == []
    report = WorkerTrial(launcher, ["ionic"], launcher.launches, timeout=240).run()
    assert report.passed, report
    assert [one.stage for one in report.stages] == ["node", "outputs", "ionic"]
    assert {one.host for one in report.stages} == {slurm.host}
    assert all(one.queue_id and one.ran is not None for one in report.stages)
    assert launcher.launchpad.fireworks.count_documents({}) == 0
    assert launcher.stores.tasks.count() == 0
    assert launcher.stores.blobs.count() == 0
    assert list(launcher.launches.glob("*/*")) == []


def test_an_impossible_request_is_found_before(
    launcher: Launcher, slurm: OneNodeSlurm
) -> None:
    path = launcher.worker.config / "my_qadapter.yaml"
    content = yaml.safe_load(path.read_text()) | {"ntasks": 500}
    path.write_text(yaml.safe_dump(content))
    (found,) = examine_worker(launcher.worker.config, scheduler=launcher.scheduler)  # type: ignore[arg-type] # it is one
    assert "its queue would not take a job: sbatch: " in found.what
    assert slurm.jobs() == []
