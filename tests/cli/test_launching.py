"""Launching from the command line: statuses, words of the queue, plans."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from fakes import FakeTask
from fireworks import Firework, Workflow
from slurm.rendered_worker import MODEST, TEMPLATES

from hts_battery.connections.launchpad.launchpad import open_launchpad

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Answer

    from hts_battery.connections.database.database import Database

pytestmark = pytest.mark.mongo

QOS = "sbatch: error: QOSMaxSubmitJobPerUserLimit"


class FakeQueue:
    """Commands of a Slurm that says what it is told, first on the path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()
        self.says("squeue", "exit 0")
        self.says("scancel", "exit 0")
        self.takes()

    def says(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def takes(self) -> None:
        self.says(
            "sbatch",
            'test "$1" = --test-only && exit 0\n'
            f"n=$(cat {self.folder}/n 2>/dev/null || echo 40)\n"
            f"n=$((n+1)); echo $n > {self.folder}/n; echo Submitted batch job $n",
        )

    def refuses(self, words: str = QOS) -> None:
        self.says("sbatch", f"echo '{words}' >&2; exit 1")


@pytest.fixture
def queue(on_server: Path, monkeypatch: pytest.MonkeyPatch) -> FakeQueue:
    made = FakeQueue(on_server)
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    # Named fakes are imported by the processes of the runner.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    for name, value in MODEST.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def rendered(hts: Callable[..., Answer], queue: FakeQueue) -> FakeQueue:
    answer = hts("launchpad", "render", "slurm", "--templates", TEMPLATES)
    assert answer.status == 0, answer.err
    return queue


@pytest.fixture
def ready(database: Database) -> list[int]:
    """Add two Fireworks for the worker slurm."""
    made = []
    with open_launchpad(database, outage_seconds=0) as launchpad:
        for number in range(2):
            spec = {"_fworker": "slurm"}
            firework = Firework(FakeTask(error=""), name=f"n{number}", spec=spec)
            launchpad.add_wf(Workflow([firework]))
            made.append(firework.fw_id)
    return made


def states(database: Database) -> list[str]:
    with open_launchpad(database, outage_seconds=0) as launchpad:
        return sorted(doc["state"] for doc in launchpad.fireworks.find({}, ["state"]))


def test_a_look_submits_and_says_which_jobs(
    hts: Callable[..., Answer],
    rendered: FakeQueue,
    ready: list[int],
    database: Database,
    folder: Path,
) -> None:
    planned = hts("launchpad", "launch", "slurm", "--dry-run")
    assert planned.out == "would submit 2 Fireworks: 1, 2\n"
    assert states(database) == ["READY", "READY"]
    (done,) = hts("launchpad", "launch", "slurm", "--once", "-m", "1", "--json").lines
    assert done == {
        "worker": "slurm", "submitted": ["41"], "queued": 1, "written": True
    }  # fmt: skip
    assert states(database) == ["READY", "RESERVED"]
    assert len(list((folder / "hts-data" / "queue" / "slurm").glob("*/fw1_*"))) == 1
    by_folder = hts("launchpad", "launch", folder / "hts-data/workers/slurm", "--once")
    assert by_folder.out == "slurm: submitted 42; 2 of its jobs in the queue\n"
    assert rendered.folder.is_dir()
    assert len(ready) == 2


@pytest.mark.parametrize("command", ["sbatch", "squeue"])
def test_a_refusal_is_told_in_its_own_words_with_status_1(
    hts: Callable[..., Answer],
    rendered: FakeQueue,
    ready: list[int],
    database: Database,
    command: str,
) -> None:
    assert ready
    rendered.says(command, f"echo '{QOS}' >&2; exit 1")
    answer = hts("launchpad", "launch", "slurm", "--once")
    assert answer.status == 1
    assert "QOSMaxSubmitJobPerUserLimit" in answer.err
    assert len(answer.err.splitlines()) == 1
    # Where the queue cannot say that it did not take it, it stays reserved.
    assert states(database) == ["READY", "READY"]


def test_a_paused_worker_submits_nothing_with_status_1(
    hts: Callable[..., Answer], rendered: FakeQueue, ready: list[int]
) -> None:
    assert rendered
    assert ready
    where = ("--templates", TEMPLATES)
    hts("worker", "pause", "slurm", "--reason", "maintenance", *where)
    answer = hts("launchpad", "launch", "slurm", "--once")
    assert answer.status == 1
    assert "worker slurm is paused: maintenance" in answer.err
    planned = hts("launchpad", "launch", "slurm", "--dry-run")
    assert planned.out == "slurm is paused: maintenance\n"
    hts("worker", "resume", "slurm", *where)
    assert hts("launchpad", "launch", "slurm", "--once").status == 0


def test_a_worker_that_was_never_rendered(
    hts: Callable[..., Answer], queue: FakeQueue
) -> None:
    assert queue
    answer = hts("launchpad", "launch", "slurm", "--once")
    assert answer.status == 2
    assert "workers/slurm/my_qadapter.yaml" in answer.err
    assert "hts launchpad render" in answer.err


def test_render_says_what_a_job_would_fail_by(
    hts: Callable[..., Answer],
    queue: FakeQueue,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
) -> None:
    words = ("launchpad", "render", "slurm", "--templates", TEMPLATES)
    queue.refuses("allocation failure: node configuration is not available")
    answer = hts(*words)
    assert answer.status == 2
    assert "its queue would not take a job: sbatch: allocation failure" in answer.err
    monkeypatch.setenv("HTS_PYTHON", "/opt/absent/python")
    monkeypatch.setenv("HTS_BATTERY_MONGO_URI", "mongodb://USER:PASSWORD@HOST/")
    answer = hts(*words)
    assert answer.status == 2
    assert "/opt/absent/python is not there" in answer.err
    assert "placeholder USER" in answer.err
    assert (folder / "hts-data" / "workers" / "slurm" / "my_fworker.yaml").is_file()


def test_a_worker_is_tested_with_words(
    hts: Callable[..., Answer], rendered: FakeQueue, database: Database
) -> None:
    planned = hts("worker", "test", "slurm", "--dry-run", "--json").lines
    assert [one["stage"] for one in planned] == ["node", "outputs", "ionic"]
    rendered.says(
        "sbatch", f"test \"$1\" = --test-only && exit 0; echo '{QOS}' >&2; exit 1"
    )
    answer = hts("worker", "test", "slurm", "--json")
    assert answer.status == 1
    told = {one["stage"]: one["state"] for one in answer.lines}
    assert told == {"node": "failed", "outputs": "not run", "ionic": "failed"}
    assert "QOSMaxSubmitJobPerUserLimit" in answer.err
    assert states(database) == []


def test_the_worker_without_a_queue_runs_rockets_here(
    hts: Callable[..., Answer],
    on_server: Path,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert on_server
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    hts("launchpad", "render", "local", "--templates", TEMPLATES)
    with open_launchpad(database, outage_seconds=0) as launchpad:
        firework = Firework(FakeTask(error=""), spec={"_fworker": "local"})
        launchpad.add_wf(Workflow([firework]))
    answer = hts("launchpad", "launch", "local", "--once")
    assert answer.status == 0, answer.err
    assert states(database) == ["COMPLETED"]


def test_the_runner_is_planned_and_asked(
    hts: Callable[..., Answer], rendered: FakeQueue, folder: Path
) -> None:
    assert rendered
    planned = hts("runner", "start", "slurm", "--dry-run")
    assert "feeder: " in planned.out
    assert "launchpad launch slurm --supervised" in planned.out
    assert hts("runner", "start", "moon", "--dry-run").status == 2
    assert hts("runner", "start", "slurm", "slurm", "--dry-run").status == 2
    assert "no runner was ever started" in hts("runner", "status").out
    assert hts("runner", "stop").out == "no runner is running\n"
    unit = hts("runner", "unit", "slurm")
    assert '"runner" "start" "--foreground" "slurm"' in unit.out
    assert "--env-file" in unit.err
    assert hts("runner", "unit", "slurm", "--env-file", "absent").status == 2
    answer = hts("runner", "logs", "slurm")
    assert answer.status == 2
    assert "there is no log of slurm" in answer.err
    assert not (folder / "hts-data" / "runner").exists()


def test_the_runner_feeds_and_launches_until_it_is_stopped(
    hts: Callable[..., Answer],
    rendered: FakeQueue,
    ready: list[int],
    database: Database,
    wait_until: Callable[[Callable[[], bool], str], None],
) -> None:
    assert ready
    (started,) = hts("runner", "start", "slurm", "--json").lines
    try:
        assert started["children"] == ["feeder", "slurm"]
        wait_until(lambda: states(database) == ["RESERVED", "RESERVED"], "two jobs")
        (status,) = hts("runner", "status", "--json").lines
        assert status["running"]
        assert sorted(status["alive"]) == ["feeder", "slurm"]
        assert "running as process" in hts("runner", "status").out
        again = hts("runner", "start", "slurm")
        assert again.status == 1
        assert f"process {started['pid']}" in again.err
        words = "slurm: submitted 41, 42; 2 in the queue"
        wait_until(lambda: words in hts("runner", "logs", "slurm").out, "its words")
    finally:
        (ended,) = hts("runner", "stop", "--json").lines
    assert started["pid"] in ended["pids"]
    (status,) = hts("runner", "status", "--json").lines
    assert not status["running"]
    assert status["alive"] == status["orphans"] == []
    assert rendered.folder.is_dir()
