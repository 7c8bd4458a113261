"""Killed with kill -9 at any moment and started again, a campaign ends the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from hts_battery.connections.database import embedded
from hts_battery.connections.records.executions import ledger, read_executions
from hts_battery.schemas.execution import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.mongo, pytest.mark.chaos, pytest.mark.slow]

DRIVER = Path(__file__).with_name("run_with_fake.py")
FORMULAS = (
    "Li1.3Mn0.4Ti0.3O1.7F0.3",
    "Li1.2Mn0.4Ti0.4O2",
    "Li1.2Mn0.6Ti0.2O1.8F0.2",
    "Li1.1Mn0.7Ti0.2O2",
)
RELAX = "fake relax"
PATIENCE = 180  # seconds, far more than any step takes


@dataclass
class Runs:
    """Runs of one campaign on one data folder, each in a process of its own."""

    campaign_file: Path
    data_dir: Path

    @property
    def table(self) -> Path:
        return self.data_dir / "table.csv"

    @property
    def executions(self) -> Path:
        return self.data_dir / "executions"

    def start(self, seconds: float = 0.0, processes: int = 1) -> subprocess.Popen[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HTS_BATTERY_")}
        return subprocess.Popen(  # noqa: S603 - our own interpreter, our own words
            [
                sys.executable,
                str(DRIVER),
                str(self.campaign_file),
                str(seconds),
                str(self.table),
                str(processes),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=kept
            | {
                "HTS_BATTERY_DATA_DIR": str(self.data_dir),
                # The fakes, and the code beside them.
                "PYTHONPATH": os.pathsep.join(map(str, DRIVER.parents[1:3])),
            },
        )

    def finish(self) -> tuple[str, str]:
        """Run to the end; return the last line it printed and the table."""
        process = self.start()
        output, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
        return output.splitlines()[-1], self.table.read_text()

    def relaxations(self, outcome: Outcome) -> Counter[str | None]:
        """Count the relaxations with an outcome, by candidate."""
        return Counter(
            one.start.candidate_id
            for one in read_executions(self.executions).executions
            if one.start.name == RELAX and one.outcome is outcome
        )


@pytest.fixture
def make_runs(
    tmp_path: Path, campaign_file: Callable[..., Path]
) -> Iterator[Callable[..., Runs]]:
    formulas = ("Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2", ", ".join(FORMULAS))
    made: list[Runs] = []

    def make(name: str, *changes: tuple[str, str]) -> Runs:
        path = campaign_file(formulas, *changes)
        made.append(Runs(path, tmp_path / name))
        return made[-1]

    yield make
    for runs in made:
        # A killed process leaves its server behind, for the next one to adopt.
        embedded.down(runs.data_dir)
        assert not embedded.status(runs.data_dir).running


def kill(process: subprocess.Popen[str]) -> None:
    assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL


def kill_while_building(runs: Runs, delay: float) -> None:
    """Kill a run that has nothing to compute, so many seconds into its builders."""
    process = runs.start()
    wait_for_line(process, "to compute: 0")
    time.sleep(delay)
    process.kill()  # a fast machine may be done by now: then nothing is lost
    process.communicate(timeout=PATIENCE)


def wait_for_line(process: subprocess.Popen[str], start: str, count: int = 1) -> None:
    """Read what a run prints until so many lines begin with a text."""
    assert process.stdout is not None
    for line in process.stdout:
        count -= line.startswith(start)
        if not count:
            return
    raise AssertionError(f"it ended before it said {start!r}")


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_campaign_killed_again_and_again_ends_with_the_same_table(
    make_runs: Callable[..., Runs],
) -> None:
    _, expected = make_runs("whole").finish()
    assert len(expected.splitlines()) == 1 + len(FORMULAS)

    runs = make_runs("killed")
    # Before anything: the database has only just been opened.
    process = runs.start()
    wait_for_line(process, "opened")
    kill(process)
    assert runs.relaxations(Outcome.COMPLETED) == {}

    # In the first relaxation.
    process = runs.start(seconds=PATIENCE)
    wait_until(lambda: runs.relaxations(Outcome.RUNNING).total() == 1)
    kill(process)
    assert runs.relaxations(Outcome.INTERRUPTED).total() == 1
    assert runs.relaxations(Outcome.COMPLETED) == {}

    # In the middle: two are done, the third runs.
    process = runs.start(seconds=1.0)
    wait_for_line(process, "computed", 2)
    wait_until(lambda: runs.relaxations(Outcome.RUNNING).total() == 1)
    kill(process)
    assert runs.relaxations(Outcome.COMPLETED).total() == 2

    # As the builders work: nothing more is to be computed.
    process = runs.start()
    wait_for_line(process, "computed", 2)
    kill(process)
    for delay in (0.1, 0.3):
        kill_while_building(runs, delay)

    assert runs.finish() == ("done: 0", expected)

    # Each was relaxed to its end once, whatever was interrupted before.
    completed = runs.relaxations(Outcome.COMPLETED)
    assert set(completed.values()) == {1}
    assert len(completed) == len(FORMULAS)
    assert runs.relaxations(Outcome.INTERRUPTED).total() == 2
    counted = ledger(runs.executions)
    assert counted.computed_twice == ()
    assert (counted.total.failed, counted.total.running) == (0, 0)


def test_of_several_orderings_only_the_missing_ones_are_computed_again(
    make_runs: Callable[..., Runs],
) -> None:
    orderings = ("atoms: 40", "n_orderings: {random: 3}, atoms: 40")
    _, expected = make_runs("whole", orderings).finish()
    runs = make_runs("killed", orderings)
    process = runs.start(seconds=1.0)
    # The second ordering of the second candidate runs.
    wait_until(lambda: runs.relaxations(Outcome.COMPLETED).total() == 4)
    wait_until(lambda: runs.relaxations(Outcome.RUNNING).total() == 1)
    kill(process)
    completed = runs.relaxations(Outcome.COMPLETED).total()
    assert 4 <= completed < 3 * len(FORMULAS)
    last, table = runs.finish()
    assert table == expected
    assert last == f"done: {len(FORMULAS) - completed // 3}"
    assert set(runs.relaxations(Outcome.COMPLETED).values()) == {3}
    assert ledger(runs.executions).computed_twice == ()


def test_two_runs_at_once_share_the_work(make_runs: Callable[..., Runs]) -> None:
    _, expected = make_runs("alone").finish()
    runs = make_runs("shared")
    processes = [runs.start(seconds=1.0) for _ in range(2)]
    for process in processes:
        output, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
        assert output.splitlines()[-1].startswith("done: ")
    completed = runs.relaxations(Outcome.COMPLETED)
    assert completed.total() == len(FORMULAS)
    assert set(completed.values()) == {1}
    assert runs.finish() == ("done: 0", expected)


def test_processes_that_compute_end_with_the_run_that_started_them(
    make_runs: Callable[..., Runs],
) -> None:
    runs = make_runs("shared")
    for ending in (signal.SIGINT, signal.SIGKILL):
        process = runs.start(seconds=2 * PATIENCE, processes=2)
        wait_until(
            lambda run=process: (  # type: ignore[misc]
                run.poll() is not None or runs.relaxations(Outcome.RUNNING).total() == 2
            )
        )
        computing = [
            one
            for one in psutil.Process(process.pid).children()
            if "hts_battery.campaign.local_processes" in one.cmdline()
        ]
        assert len(computing) == 2
        process.send_signal(ending)
        process.communicate(timeout=PATIENCE)
        gone, alive = psutil.wait_procs(computing, timeout=PATIENCE)
        assert (len(gone), alive) == (2, [])
        assert runs.relaxations(Outcome.RUNNING) == {}

    process = runs.start(processes=2)
    output, errors = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0, errors
    assert output.splitlines()[-1] == f"done: {len(FORMULAS)}"
    completed = runs.relaxations(Outcome.COMPLETED)
    assert set(completed.values()) == {1}
    assert len(completed) == len(FORMULAS)
    assert ledger(runs.executions).computed_twice == ()


def test_a_campaign_whose_server_was_killed_too_goes_on(
    make_runs: Callable[..., Runs],
) -> None:
    # As a power cut would: whatever was acknowledged is on the disk.
    runs = make_runs("dark")
    process = runs.start(seconds=1.0)
    wait_for_line(process, "computed", 2)
    server = embedded.status(runs.data_dir).pid
    assert server is not None
    kill(process)
    os.kill(server, signal.SIGKILL)

    last, table = runs.finish()
    assert last == "done: 2"
    assert len(table.splitlines()) == 1 + len(FORMULAS)
    assert set(runs.relaxations(Outcome.COMPLETED).values()) == {1}
    again, same = runs.finish()
    assert (again, same) == ("done: 0", table)


def test_a_server_that_stands_still_for_a_while_costs_nothing(
    make_runs: Callable[..., Runs],
) -> None:
    """Stopped, as by a full disk or a snapshot of its machine, it answers nobody."""
    runs = make_runs("still")
    process = runs.start(seconds=1.0)
    wait_for_line(process, "computed", 1)
    server = embedded.status(runs.data_dir).pid
    assert server is not None
    os.kill(server, signal.SIGSTOP)
    try:
        time.sleep(6)
    finally:
        os.kill(server, signal.SIGCONT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors

    last, table = runs.finish()
    assert last == "done: 0"  # the run went on by itself
    assert len(table.splitlines()) == 1 + len(FORMULAS)
    completed = runs.relaxations(Outcome.COMPLETED)
    assert set(completed.values()) == {1}
    assert len(completed) == len(FORMULAS)
    assert ledger(runs.executions).computed_twice == ()
