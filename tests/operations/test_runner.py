"""The runner: what ends starts again, what is stopped is gone, none goes on unseen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import psutil
import pytest

from hts_battery.connections.processes import process_identity
from hts_battery.errors import BusyError, StoreError
from hts_battery.operations.runner import (
    Runner,
    RunnerFolder,
    runner_status,
    start_runner,
    stop_runner,
    systemd_unit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hts_battery.schemas.runner import RunnerState

PATIENCE = 60
STAYS = (
    "import subprocess, sys, time\n"
    "from hts_battery.operations.runner import end_with_runner\n"
    "end_with_runner()\n"
    # A process of its own that it started, as sbatch would be.
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
    "print('up', flush=True)\n"
    "time.sleep(300)\n"
)
ENDS = "import sys; print('cannot', flush=True); sys.exit(3)"


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunnerFolder]:
    made = RunnerFolder(tmp_path / "runner")
    yield made
    stop_runner(made)


def run_elsewhere(
    folder: RunnerFolder, commands: Mapping[str, list[str]]
) -> subprocess.Popen[bytes]:
    """Run a runner in a process of its own."""
    script = (
        "import signal\n"
        "from pathlib import Path\n"
        "from hts_battery.operations.runner import Runner, RunnerFolder\n"
        f"folder = RunnerFolder(Path({str(folder.folder)!r}))\n"
        f"runner = Runner(folder, {dict(commands)})\n"
        "signal.signal(signal.SIGTERM, lambda *_: runner.stopping.set())\n"
        "runner.run()\n"
    )
    process = subprocess.Popen(python(script), start_new_session=True)  # noqa: S603 - our own
    Thread(target=process.wait, daemon=True).start()
    return process


def written(folder: RunnerFolder) -> RunnerState:
    found = folder.read()
    assert found is not None
    return found


def children_are_up(folder: RunnerFolder, count: int) -> bool:
    return folder.state.exists() and len(runner_status(folder).alive) == count


def test_what_ends_is_started_again_and_what_it_said_is_kept(
    folder: RunnerFolder,
) -> None:
    runner = Runner(folder, {"feeder": python(ENDS)})

    def stop() -> None:
        wait_until(
            lambda: folder.state.exists() and written(folder).children[0].restarts > 1,
            "a second start",
        )
        runner.stopping.set()

    thread = Thread(target=stop)
    thread.start()
    runner.run()
    thread.join()
    (child,) = written(folder).children
    assert child.last_status == 3
    text = folder.log("feeder").read_text()
    assert text.count("cannot") >= 2
    assert "ended with status 3; started again in 1 s" in text
    assert "started again in 2 s" in text, "later and later"


def test_stop_ends_the_tree_and_nothing_else(folder: RunnerFolder) -> None:
    other = subprocess.Popen(python("import time; time.sleep(300)"))  # noqa: S603 - our own
    try:
        process = run_elsewhere(
            folder, {"feeder": python(STAYS), "slurm": python(STAYS)}
        )
        wait_until(lambda: children_are_up(folder, 2), "both children")
        wait_until(
            lambda: len(psutil.Process(process.pid).children(recursive=True)) == 4,
            "what they start",
        )
        status = runner_status(folder)
        assert status.running
        assert status.orphans == ()
        with pytest.raises(BusyError, match=f"process {process.pid}"):
            Runner(folder, {}).run()
        ended = stop_runner(folder)
        assert process.pid in ended
        assert len(ended) == 5
        assert [pid for pid in ended if process_identity(pid) is not None] == []
        assert other.poll() is None
        after = runner_status(folder)
        assert (after.running, after.alive, after.orphans) == (False, (), ())
        assert stop_runner(folder) == ()
    finally:
        other.kill()
        other.wait()


def test_a_killed_runner_takes_its_children_along(folder: RunnerFolder) -> None:
    process = run_elsewhere(folder, {"slurm": python(STAYS)})
    wait_until(lambda: children_are_up(folder, 1), "the child")
    wait_until(lambda: "up" in folder.log("slurm").read_text(), "the child's watch")
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not runner_status(folder).alive, "the child to notice")
    assert not runner_status(folder).running


def test_a_child_that_does_not_notice_is_told_and_ended(folder: RunnerFolder) -> None:
    stubborn = "import signal, time\nprint('up', flush=True)\ntime.sleep(300)\n"
    process = run_elsewhere(folder, {"slurm": python(stubborn)})
    wait_until(lambda: children_are_up(folder, 1), "the child")
    wait_until(lambda: "up" in folder.log("slurm").read_text(), "its first word")
    pid = written(folder).children[0].pid
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not runner_status(folder).running, "the runner to be gone")
    assert runner_status(folder).orphans == (pid,)
    assert stop_runner(folder) == (pid,)
    assert runner_status(folder).orphans == ()


def test_one_of_another_host_is_left_to_it(folder: RunnerFolder) -> None:
    folder.create()
    Runner(folder, {}, stopping=_set()).run()
    state = written(folder).model_copy(update={"host": "elsewhere"})
    folder.state.write_text(state.model_dump_json())
    assert runner_status(folder).elsewhere
    with pytest.raises(StoreError, match="started on elsewhere"):
        stop_runner(folder)
    folder.state.unlink()


def _set() -> object:
    from threading import Event  # noqa: PLC0415 - a moment's

    event = Event()
    event.set()
    return event


def test_a_runner_that_cannot_start_says_why(
    folder: RunnerFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HTS_BATTERY_DATA_DIR", str(tmp_path))
    with pytest.raises(StoreError, match=r"my_qadapter\.yaml"):
        start_runner(folder, ["nobody"])


@pytest.mark.parametrize(
    ("folder", "written"),
    [
        ("/home/me/hts", "/home/me/hts"),
        ("/home/me/my data", "/home/me/my data"),
        ("/home/100%/x", "/home/100%%/x"),
    ],
)
def test_a_unit_is_quoted_for_systemd(folder: str, written: str) -> None:
    text = systemd_unit(["slurm", "a b"], Path(folder), Path("/home/me/hts.env"))
    assert f"WorkingDirectory={written}\n" in text
    assert "EnvironmentFile=/home/me/hts.env\n" in text
    assert '"runner" "start" "--foreground" "slurm" "a b"\n' in text
    assert text.index("[Unit]") < text.index("[Service]") < text.index("[Install]")
    named = systemd_unit(["slurm"], Path(folder), profile="big")
    assert '"--profile" "big" "runner"' in named
    assert "EnvironmentFile" not in systemd_unit(["slurm"], Path(folder))
