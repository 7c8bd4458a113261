"""The launcher: caps, refusals, waiting, pausing; what it never does twice."""

from __future__ import annotations

import os
import signal
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from fakes import FakeScheduler, FakeTask
from fireworks import Firework, Workflow
from slurm.rendered_worker import MODEST, TEMPLATES

from hts_battery.connections.database.database import database as open_database
from hts_battery.connections.database.embedded import embedded_server
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.server_process import ServerFolder
from hts_battery.connections.database.stores import open_stores
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.connections.launchpad.queue_worker import QueueWorker
from hts_battery.connections.launchpad.reservations import worker_loads
from hts_battery.connections.records.worker_controls import (
    change_worker_control,
    pause_worker,
    read_worker_control,
    resume_worker,
)
from hts_battery.connections.workers.configs import render_worker
from hts_battery.dispatch.launcher import Launcher
from hts_battery.errors import BusyError, QueueRefusalError, SubmissionError
from hts_battery.schemas.worker_control import PausedBy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hts_battery.connections.database.embedded import EmbeddedServer
    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad

QOS = "Batch job submission failed: Job violates accounting/QOS policy"

pytestmark = pytest.mark.mongo


@dataclass
class Bench:
    """A worker whose queue is a fake one, and its launchpad."""

    stores: Stores
    launchpad: ExactLaunchPad
    folder: Path
    scheduler: FakeScheduler = field(default_factory=FakeScheduler)
    waits: list[float] = field(default_factory=list)
    worker: str = "slurm"

    def launcher(self, **options: Any) -> Launcher:  # noqa: ANN401 - those of a launcher
        config = self.folder / self.worker
        if not config.exists():
            given = {
                **MODEST,
                "HTS_BATTERY_MONGO_URI": self.stores.database.uri,
                "HTS_BATTERY_DATABASE": self.stores.database.name,
                "HTS_BATTERY_EXECUTION_RECORD": str(self.folder / "executions"),
                "HTS_OFFLINE_FOLDER": str(self.folder / "offline"),
            }
            render_worker(TEMPLATES, self.worker, config, given)
        return Launcher(
            QueueWorker.read(config),
            self.stores,
            self.launchpad,
            self.folder / "launches",
            self.scheduler,
            sleep=self.waits.append,
            **options,
        )

    def add(self, *workers: str | None, **spec: object) -> list[int]:
        """Add a Firework for each of some workers."""
        made = []
        for number, worker in enumerate(workers):
            routed = {} if worker is None else {"_fworker": worker}
            firework = Firework(
                FakeTask(error=""), name=f"n{number}", spec={**routed, **spec}
            )
            self.launchpad.add_wf(Workflow([firework]))
            made.append(firework.fw_id)
        return made

    def states(self) -> dict[int, str]:
        found = self.launchpad.fireworks.find({}, ["fw_id", "state"])
        return {doc["fw_id"]: doc["state"] for doc in found}


@pytest.fixture
def bench(stores: Stores, tmp_path: Path) -> Iterator[Bench]:
    with open_launchpad(stores.database, outage_seconds=0) as launchpad:
        yield Bench(stores, launchpad, tmp_path)


def test_what_is_ready_is_submitted_up_to_the_cap_of_this_worker(bench: Bench) -> None:
    mine = bench.add("slurm", "slurm", "slurm")
    other = bench.add("pbs")
    launcher = bench.launcher(jobs=2)
    done = launcher.once()
    assert done.submitted == ("100", "101")
    assert [bench.states()[one] for one in mine] == ["RESERVED", "RESERVED", "READY"]
    assert bench.states()[other[0]] == "READY"
    assert launcher.once().submitted == (), "the cap is reached"
    script = bench.scheduler.submitted["100"]
    assert f"--fw_id {mine[0]}" in script.read_text()
    assert stat.S_IMODE(script.parent.stat().st_mode) == 0o700
    launch = bench.launchpad.launches.find_one({"fw_id": mine[0]})
    assert launch["launch_dir"] == str(script.parent)
    assert launch["state_history"][0]["reservation_id"] == "100"
    # Jobs of others do not count, whoever they are: 100 of another worker run.
    bench.launchpad.fireworks.update_one(
        {"fw_id": other[0]}, {"$set": {"state": "RUNNING"}}
    )
    change_worker_control(bench.stores, "slurm", cap=3)
    assert launcher.once().submitted == ("102",)
    state = read_worker_control(bench.stores, "slurm").launcher
    assert state is not None
    assert (state.queued, state.submitted, state.refusals) == (3, 3, 0)
    assert worker_loads(bench.launchpad)["slurm"].in_queue == 3


def test_priority_goes_first_and_then_the_order_of_the_workers_file(
    bench: Bench,
) -> None:
    first, second = bench.add("slurm", "slurm")
    (urgent,) = bench.add("slurm", _priority=5)
    assert bench.launcher(jobs=2).once().submitted
    assert bench.states() == {first: "RESERVED", second: "READY", urgent: "RESERVED"}
    # FW_config.yaml of the worker counts, and no variable of this process.
    path = bench.folder / "slurm" / "FW_config.yaml"
    path.write_text(
        yaml.safe_dump(yaml.safe_load(path.read_text()) | {"SORT_FWS": "FILO"})
    )
    third, fourth = bench.add("slurm", "slurm")
    assert bench.launcher(jobs=3).once().submitted
    assert bench.states()[fourth] == "RESERVED"
    assert bench.states()[third] == bench.states()[second] == "READY"


def test_a_refused_job_is_given_back_with_the_words_of_the_queue(bench: Bench) -> None:
    (fw_id,) = bench.add("slurm")
    bench.scheduler.refusals = [QOS]
    launcher = bench.launcher()
    with pytest.raises(QueueRefusalError, match="QOS policy"):
        launcher.once()
    assert bench.states() == {fw_id: "READY"}
    assert bench.launchpad.launches.count_documents({}) == 0
    assert list((bench.folder / "launches").glob("*/*")) == []
    state = read_worker_control(bench.stores, "slurm").launcher
    assert state is not None
    assert QOS in state.words
    assert state.refusals == 1
    assert launcher.once().submitted == ("100",)


def test_what_was_refused_and_taken_all_the_same_is_not_submitted_twice(
    bench: Bench,
) -> None:
    bench.add("slurm")
    bench.scheduler.refusals = ["Socket timed out on send/recv operation"]
    bench.scheduler.has = True
    launcher = bench.launcher()
    assert launcher.once().submitted == ("100",)
    assert launcher.once().submitted == ()
    assert len(bench.scheduler.submitted) == 1
    launch = bench.launchpad.launches.find_one({})
    assert launch["state_history"][0]["reservation_id"] == "100"


@pytest.mark.parametrize("has", [True, False])
def test_where_nobody_knows_it_stays_reserved_until_the_queue_says(
    bench: Bench, *, has: bool
) -> None:
    (fw_id,) = bench.add("slurm")
    bench.scheduler.refusals = ["Socket timed out on send/recv operation"]
    bench.scheduler.has, bench.scheduler.mute = has, True
    launcher = bench.launcher()
    with pytest.raises(QueueRefusalError, match="Socket timed out"):
        launcher.once()
    assert bench.states() == {fw_id: "RESERVED"}
    assert launcher.once().submitted == (), "nobody can say yet"
    bench.scheduler.mute = bench.scheduler.has = False
    done = launcher.once()
    assert done.submitted == (() if has else ("100",))
    assert bench.states() == {fw_id: "RESERVED"}
    launch = bench.launchpad.launches.find_one({"state": "RESERVED"})
    assert launch["state_history"][0]["reservation_id"] == "100"
    assert len(bench.scheduler.submitted) == 1


def test_one_impossible_request_does_not_keep_the_others(bench: Bench) -> None:
    bad, good = bench.add("slurm", "slurm")
    bench.scheduler.refusals = ["Requested time limit is invalid"]
    launcher = bench.launcher()
    # A single look says so: it does not end as if all were well.
    with pytest.raises(QueueRefusalError, match=f"Firework {bad}: .*time limit"):
        launcher.once()
    assert bench.states() == {bad: "READY", good: "RESERVED"}
    later = bench.add("slurm")[0]
    launcher.jobs = 2
    assert launcher.once().submitted == ("101",)
    assert bench.states()[later] == "RESERVED", "what was refused goes last"


def test_a_queue_that_is_away_costs_no_reservation(bench: Bench) -> None:
    (fw_id,) = bench.add("slurm")
    bench.scheduler.silent = True
    with pytest.raises(QueueRefusalError, match="Unable to contact"):
        bench.launcher().once()
    assert bench.states() == {fw_id: "READY"}
    assert bench.launchpad.launches.count_documents({}) == 0


def test_refused_for_long_the_worker_is_paused_and_goes_on_when_resumed(
    bench: Bench,
) -> None:
    bench.add("slurm")
    launcher = bench.launcher(tries=6)
    bench.scheduler.refusals = [QOS] * 6
    launcher.run(looks=2)
    control = read_worker_control(bench.stores, "slurm")
    assert control.paused
    assert control.paused_by is PausedBy.LAUNCHER
    assert QOS in control.reason
    assert bench.waits == [5, 10, 20, 40, 80, 60, 60], "later and later, then its own"
    with pytest.raises(SubmissionError, match=r"worker slurm is paused: .*QOS"):
        launcher.once()
    resume_worker(bench.stores, "slurm")
    assert launcher.once().submitted == ("100",)


def test_a_folder_that_cannot_be_written_costs_no_reservation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fw_id,) = bench.add("slurm")

    def refuse(**_: object) -> str:
        raise OSError(30, "Read-only file system", "launches")

    launcher = bench.launcher(tries=2)
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    launcher.run(looks=1)
    assert bench.states() == {fw_id: "READY"}
    assert "Read-only" in read_worker_control(bench.stores, "slurm").reason


def test_a_paused_worker_gets_nothing(bench: Bench) -> None:
    bench.add("slurm")
    pause_worker(bench.stores, "slurm", "maintenance")
    with pytest.raises(SubmissionError, match="maintenance"):
        bench.launcher().once()
    bench.launcher().run(looks=3)
    assert bench.scheduler.submitted == {}


def test_one_launcher_a_worker(bench: Bench) -> None:
    bench.add("slurm")
    second = bench.launcher()

    def while_it_runs(_seconds: float) -> None:
        with pytest.raises(BusyError, match="launch slurm is running"):
            second.once()

    first = bench.launcher()
    first.sleep = while_it_runs
    assert first.once().submitted == ("100",)


def test_nodes_are_left_out_where_the_queue_can(bench: Bench) -> None:
    bench.add("slurm")
    change_worker_control(bench.stores, "slurm", exclude_nodes=("n1", "n2"))
    bench.launcher().once()
    (script,) = bench.scheduler.submitted.values()
    assert "#SBATCH --exclude=n1,n2\n" in script.read_text()


def test_an_offline_job_finds_its_firework_beside_it(bench: Bench) -> None:
    bench.worker = "slurm_offline"
    (fw_id,) = bench.add("slurm_offline")
    bench.launcher().once()
    (script,) = bench.scheduler.submitted.values()
    assert f'"fw_id": {fw_id}' in (script.parent / "FW.json").read_text()
    assert "launch_id" in (script.parent / "FW_offline.json").read_text()
    assert bench.launchpad.offline_runs.count_documents({}) == 1


@dataclass
class FakeQueueBesideADyingServer(FakeScheduler):
    """A queue that answers; at its first answer the database server is killed."""

    server: EmbeddedServer | None = None

    def jobs(self) -> frozenset[str]:
        if self.server is not None:
            state = ServerFolder(self.server.data_dir).read_state()
            assert state is not None
            os.kill(state.pid, signal.SIGKILL)
            self.server = None
        return super().jobs()


def test_a_database_that_is_away_ends_no_launcher_and_nothing_is_sent_twice(
    tmp_path: Path,
) -> None:
    waits: list[float] = []
    with embedded_server(tmp_path / "server") as server:
        joint = "&" if "?" in server.uri else "/?"
        uri = f"{server.uri}{joint}serverSelectionTimeoutMS=500"
        with (
            open_database(uri, name="hts_away", data_dir=tmp_path) as opened,
            open_stores(opened) as stores,
            open_launchpad(opened, outage_seconds=0) as launchpad,
        ):
            ensure_indexes(stores)
            queue = FakeQueueBesideADyingServer(server=server)
            bench = Bench(stores, launchpad, tmp_path, queue)
            (fw_id,) = bench.add("slurm")

            def wait(seconds: float) -> None:
                waits.append(seconds)
                if len(waits) == 3:
                    server.revive()

            launcher = bench.launcher()
            launcher.sleep = wait
            launcher.run(looks=2)
            assert bench.states() == {fw_id: "RESERVED"}
            assert not read_worker_control(stores, "slurm").paused
    assert waits[:3] == [5, 10, 20]
    assert len(queue.submitted) == 1
