"""A test of a worker ends with an answer, whatever its queue does; nothing is left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from dispatch.test_launcher import QOS, Bench
from fakes import FakeScheduler

from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.errors import ConfigurationError, QueueRefusalError
from hts_battery.operations.worker_checks import examine_worker
from hts_battery.operations.worker_trial import WorkerTrial
from hts_battery.schemas.finding import Level
from hts_battery.schemas.worker_trial import StageResult, StageState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

BROKEN = "slurm_script: line 12: /opt/python: No such file or directory"


@dataclass
class FakeDeadQueue(FakeScheduler):
    """Jobs of it end at once, with a word in their error file."""

    words: str = BROKEN

    def jobs(self) -> frozenset[str]:
        for script in self.submitted.values():
            if script.parent.is_dir():
                (script.parent / "f.error").write_text(f"{self.words}\n")
        return frozenset()


@pytest.fixture
def bench(stores: Stores, tmp_path: Path) -> Iterator[Bench]:
    with open_launchpad(stores.database, outage_seconds=0) as launchpad:
        yield Bench(stores, launchpad, tmp_path)


@dataclass
class Clock:
    """A clock that moves only by waiting."""

    now: float = 0.0
    told: list[StageResult] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def trial(bench: Bench) -> Callable[..., WorkerTrial]:
    def make(scheduler: FakeScheduler, timeout: float = 100.0) -> WorkerTrial:
        bench.scheduler = scheduler
        clock = Clock()
        return WorkerTrial(
            bench.launcher(),
            ["ionic"],
            bench.folder / "offline",
            timeout,
            sleep=clock.sleep,
            clock=lambda: clock.now,
        )

    return make


def assert_nothing_is_left(bench: Bench) -> None:
    for name in ("fireworks", "workflows", "launches", "offline_runs"):
        assert getattr(bench.launchpad, name).count_documents({}) == 0, name
    assert bench.stores.tasks.count() == 0
    assert list((bench.folder / "launches").glob("*/*")) == []


def states(report_stages: tuple[StageResult, ...]) -> dict[str, StageState]:
    return {one.stage: one.state for one in report_stages}


def test_jobs_that_end_without_having_begun(
    bench: Bench, trial: Callable[..., WorkerTrial]
) -> None:
    told: list[StageResult] = []
    report = trial(FakeDeadQueue()).run(told.append)
    assert states(report.stages) == {
        "node": StageState.FAILED,
        "outputs": StageState.NOT_RUN,
        "ionic": StageState.FAILED,
    }
    assert {one.words for one in told if one.state is StageState.FAILED} == {BROKEN}
    assert len(told) == 3
    assert not report.passed
    assert_nothing_is_left(bench)


def test_jobs_that_are_refused(bench: Bench, trial: Callable[..., WorkerTrial]) -> None:
    report = trial(FakeScheduler(refusals=[QOS] * 99)).run()
    assert {one.state for one in report.stages if one.stage != "outputs"} == {
        StageState.FAILED
    }
    assert all(QOS in one.words for one in report.stages if one.stage != "outputs")
    assert_nothing_is_left(bench)


def test_jobs_that_wait_too_long_are_withdrawn(
    bench: Bench, trial: Callable[..., WorkerTrial]
) -> None:
    queue = FakeScheduler()
    report = trial(queue, timeout=3).run()
    assert {one.state for one in report.stages} == {StageState.NOT_RUN}
    assert "the time was over; its job waits" in report.stages[0].words
    assert queue.submitted == {}
    assert_nothing_is_left(bench)


def test_work_of_others_is_not_touched(
    bench: Bench, trial: Callable[..., WorkerTrial]
) -> None:
    (other,) = bench.add("slurm")
    trial(FakeDeadQueue()).run()
    assert bench.states() == {other: "READY"}


def test_what_is_interrupted_is_removed_too(
    bench: Bench, trial: Callable[..., WorkerTrial]
) -> None:
    made = trial(FakeScheduler())

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    made.sleep = interrupt
    with pytest.raises(KeyboardInterrupt):
        made.run()
    assert_nothing_is_left(bench)


def test_a_worker_without_a_queue_is_refused(
    bench: Bench, trial: Callable[..., WorkerTrial]
) -> None:
    bench.worker = "local"
    with pytest.raises(ConfigurationError, match="no queue"):
        trial(FakeScheduler()).run()


@dataclass
class FakeAttempts:
    """A queue that says what it thinks of a script."""

    words: str | None = None
    silent: bool = False
    seen: str = ""

    def jobs(self) -> frozenset[str]:
        if self.silent:
            raise QueueRefusalError("squeue", "Unable to contact slurm controller")
        return frozenset()

    def attempt(self, script: Path) -> str | None:
        self.seen = script.read_text()
        return self.words


def test_the_queue_is_asked_whether_it_would_take_a_job(bench: Bench) -> None:
    config = bench.launcher().worker.config
    content = FakeAttempts()
    assert examine_worker(config, scheduler=content) == []  # type: ignore[arg-type] # named fake
    assert "#SBATCH --nodes=1\n" in content.seen
    refusing = FakeAttempts("allocation failure: node configuration not available")
    (found,) = examine_worker(config, scheduler=refusing)  # type: ignore[arg-type] # named fake
    assert found.level is Level.PROBLEM
    assert "node configuration not available" in found.what
    (found,) = examine_worker(config, scheduler=FakeAttempts(silent=True))  # type: ignore[arg-type] # named fake
    assert found.level is Level.WARNING
    assert "hts worker test slurm" in found.action


def test_an_interpreter_without_this_package_is_found(
    bench: Bench, tmp_path: Path
) -> None:
    config = bench.launcher().worker.config
    other = tmp_path / "python"
    other.write_text('#!/bin/sh\necho "ModuleNotFoundError: No module" >&2; exit 1\n')
    other.chmod(0o755)
    path = config / "my_qadapter.yaml"
    text = path.read_text()
    words = text.partition("rocket_launch: ")[2].split(" ")[0]
    path.write_text(text.replace(words, str(other)))
    (found,) = examine_worker(config, scheduler=FakeAttempts())  # type: ignore[arg-type] # named fake
    assert f"{other} cannot run a rocket: ModuleNotFoundError" in found.what
