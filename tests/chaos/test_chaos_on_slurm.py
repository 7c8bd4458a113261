"""
What breaks on a real queue, broken on purpose.

After each the ledger is exact: every candidate ended in one way, and the execution
record, which no database holds, has no second completion of anything.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeRelaxMaker
from slurm.queued_campaign import QueuedCampaign

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.database.database import database
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.stores import open_stores
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.connections.records.backlog import dispatching
from hts_battery.connections.records.executions import read_executions
from hts_battery.dispatch.feeder import cancel
from hts_battery.schemas.execution import Outcome
from hts_battery.schemas.failure import FailureClass
from hts_battery.schemas.recovery import RecoveryAction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from slurm.one_node_slurm import OneNodeSlurm

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.recovery import RecoveredRun

    Queue = Callable[..., QueuedCampaign]

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.slurm,
    pytest.mark.mongo,
    pytest.mark.slow,
    pytest.mark.long,
]

SUBMIT = Path(__file__).with_name("submit_with_fake.py")
# Python sleeps until a moment of the steady clock; faketime takes that for a moment of
# the clock that it has moved, and refuses.
SLEEP = """\
import threading
import time


def sleep(seconds):
    threading.Event().wait(seconds)


time.sleep = sleep
"""
WIDER = ("Cr3+, Ti4+, Nb5+]", "Cr3+, V3+, Fe3+, Ti4+, Nb5+]")
_WAIT_SECONDS = 240


@pytest.fixture
def queue(
    slurm: OneNodeSlurm,
    stores: Stores,
    sampled_campaign_file: Callable[..., Path],
    tmp_path: Path,
) -> Iterator[Queue]:
    """Return a maker of campaigns that go through Slurm."""
    with open_launchpad(stores.database) as launchpad:

        def make(count: int, *changes: tuple[str, str], **more: Any) -> QueuedCampaign:  # noqa: ANN401 - fields
            campaign = load_campaign(sampled_campaign_file(count, *changes))
            return QueuedCampaign(
                campaign, stores, launchpad, slurm, tmp_path / "worker", **more
            )

        yield make
        slurm.cancel_all()


def wait_until(reached: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not reached():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.1)


def relaxing(queued: QueuedCampaign, outcome: Outcome = Outcome.RUNNING) -> int:
    """Count relaxations by the record alone."""
    executions = read_executions(queued.worker.executions).executions
    return sum(
        one.start.step == "relax" and one.outcome is outcome for one in executions
    )


def put_back(queued: QueuedCampaign) -> list[RecoveredRun]:
    return [
        run
        for report in queued.recoveries
        for run in report.runs
        if run.action is RecoveryAction.PUT_BACK
    ]


def test_rockets_killed_at_random_moments(queue: Queue, slurm: OneNodeSlurm) -> None:
    queued = queue(16, relax_maker=FakeRelaxMaker(seconds=1.5))
    queued.submit(chunk=4)
    chance = random.Random(20261125)  # noqa: S311 - nothing secret
    killed: set[int] = set()
    with queued.launching() as launcher:
        queued.look()
        while len(killed) < 4:
            wait_until(slurm.rockets, "a rocket")
            time.sleep(chance.uniform(0.0, 12.0))
            for pid in slurm.rockets()[:1]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
            launcher.keep()
            queued.look()
        queued.finish(launcher)
    queued.assert_exact(computed=16)
    # One killed before it took its Firework leaves it reserved, and that is put back.
    assert put_back(queued)


LYING_SBATCH = """\
#!/bin/sh
# Takes the job, and says that it did not: the first {lies} times. Such a job begins
# when the Firework is reserved again, for another job that waits a little longer.
echo . >> {folder}/calls
if [ $(wc -l < {folder}/calls) -le {lies} ]; then
    {sbatch} --begin=now+6 "$@" > /dev/null
    echo 'sbatch: error: Batch job submission failed: Socket timed out' >&2
    exit 1
fi
exec {sbatch} --begin=now+8 "$@"
"""


def test_jobs_submitted_twice_and_a_listing_that_is_empty(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `sbatch` calls a failure runs all the same; `squeue` knows of nothing."""
    lies = 4
    sbatch = shutil.which("sbatch")
    wrapper = tmp_path / "bin" / "sbatch"
    wrapper.parent.mkdir()
    wrapper.write_text(
        LYING_SBATCH.format(lies=lies, folder=wrapper.parent, sbatch=sbatch)
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    queued = queue(8, relax_maker=FakeRelaxMaker(seconds=3.0))
    monkeypatch.setattr(queued, "listed", lambda _kind: frozenset())
    queued.submit(chunk=2)
    with queued.launching() as launcher:
        queued.finish(launcher)
    assert len((wrapper.parent / "calls").read_text().split()) > lies
    queued.assert_exact(computed=8)
    assert relaxing(queued, Outcome.COMPLETED) == 8
    assert not put_back(queued), "nothing that ran was taken for lost"


def test_walltime(queue: Queue) -> None:
    queued = queue(4, relax_maker=FakeRelaxMaker(seconds=25.0))
    # The shortest that Slurm knows: one minute, and up to half a minute of grace.
    queued.submit(chunk=4, max_walltime=1 / 60)
    with queued.launching() as launcher:
        queued.finish(launcher)
    queued.assert_exact(computed=4)
    assert {run.failure_class for run in put_back(queued)} == {FailureClass.WALLTIME}
    assert relaxing(queued, Outcome.COMPLETED) == 4
    assert relaxing(queued, Outcome.INTERRUPTED) >= 1


def test_database_killed_and_restarted(
    slurm: OneNodeSlurm, sampled_campaign_file: Callable[..., Path], tmp_path: Path
) -> None:
    campaign = load_campaign(sampled_campaign_file(8))
    with (
        database(name="hts_chaos", data_dir=tmp_path / "data") as opened,
        open_stores(opened) as stores,
        open_launchpad(opened) as launchpad,
    ):
        ensure_indexes(stores)
        queued = QueuedCampaign(
            campaign,
            stores,
            launchpad,
            slurm,
            tmp_path / "worker",
            relax_maker=FakeRelaxMaker(seconds=3.0),
        )
        queued.submit(chunk=2)
        with queued.launching() as launcher:
            queued.look()
            wait_until(lambda: relaxing(queued, Outcome.COMPLETED), "a relaxation")
            assert opened.server is not None
            state = (tmp_path / "data" / "server" / "state.json").read_text()
            os.kill(int(state.split('"pid":')[1].split(",")[0]), signal.SIGKILL)
            # Shorter than the minute of real outages, longer than any one operation.
            time.sleep(20)
            opened.server.revive()
            queued.finish(launcher)
        queued.assert_exact(computed=8)
        slurm.cancel_all()


def test_node_lost(queue: Queue, slurm: OneNodeSlurm) -> None:
    queued = queue(6, relax_maker=FakeRelaxMaker(seconds=4.0))
    queued.submit(chunk=3)
    with queued.launching() as launcher:
        queued.look()
        wait_until(lambda: relaxing(queued), "a relaxation")
        slurm.kill_node()
        slurm.kill_jobs()
        try:
            slurm.wait_for_node("down")
            queued.look()
        finally:
            slurm.start_node()
        queued.finish(launcher)
    queued.assert_exact(computed=6)
    assert {run.failure_class for run in put_back(queued)} == {FailureClass.NODE}


def test_slurmd_killed_and_its_jobs_alive(queue: Queue, slurm: OneNodeSlurm) -> None:
    queued = queue(4, relax_maker=FakeRelaxMaker(seconds=4.0))
    queued.submit(chunk=2)
    with queued.launching() as launcher:
        queued.look()
        wait_until(lambda: relaxing(queued), "a relaxation")
        slurm.kill_node()
        queued.look()
        slurm.start_node()
        queued.finish(launcher)
    queued.assert_exact(computed=4)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of four megabytes."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, check=False).returncode:  # noqa: S603 - our own words
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["/bin/umount", "-l", str(folder)], check=True)  # noqa: S603 - likewise


def test_disk_full_in_the_job_folder(
    queue: Queue, slurm: OneNodeSlurm, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "worker" / "launches") as disk, ExitStack() as stack:
        queued = queue(6, relax_maker=FakeRelaxMaker(seconds=3.0))
        queued.submit(chunk=2)
        launcher = stack.enter_context(queued.launching(jobs=2))
        queued.look()
        wait_until(lambda: relaxing(queued), "a relaxation")
        ballast = disk / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        assert shutil.disk_usage(disk).free < 8192
        time.sleep(15)
        queued.look()
        ballast.unlink()
        queued.finish(launcher)
        queued.assert_exact(computed=6)
        slurm.cancel_all()


def submitter(queued: QueuedCampaign, spec: Path) -> subprocess.Popen[str]:
    database = queued.stores.database
    started = subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, str(SUBMIT), str(spec), database.uri, database.name, "4", "9"],
        env=queued.worker.environment,
        cwd=queued.worker.folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    with started.stdout as told:
        assert told.readline() == "ready\n"
    return started


def test_submitters_killed_half_way_and_two_at_once(
    queue: Queue, slurm: OneNodeSlurm, tmp_path: Path
) -> None:
    queued = queue(40, relax_maker=FakeRelaxMaker(seconds=0.2))
    spec = tmp_path / "sample.yaml"
    chance = random.Random(7)  # noqa: S311 - nothing secret
    for _ in range(4):
        started = submitter(queued, spec)
        time.sleep(chance.uniform(0.2, 2.5))
        started.kill()
        started.wait()
    both = [submitter(queued, spec) for _ in range(2)]
    assert [one.wait(_WAIT_SECONDS) for one in both] == [0, 0]
    # As a killer between the two insertions of FireWorks leaves it: the workflow is
    # there, its Firework is not, and nobody wrote down where it is.
    workflow = queued.launchpad.workflows.find_one({}, ["nodes"])
    lost = workflow["nodes"][0]
    queued.launchpad.fireworks.delete_one({"fw_id": lost})
    with dispatching(queued.stores, "test") as lease:
        backlog = queued.backlog
        for item in list(backlog.items):
            if item.fw_id == lost:
                backlog.change(item.content_key, fw_id=None)
        backlog.save(lease)
    with queued.launching() as launcher:
        queued.finish(launcher)
    queued.assert_exact(computed=40)
    slurm.wait_for_jobs()  # the last rocket may still be looking for work


def test_clocks_that_are_hours_off(queue: Queue, tmp_path: Path) -> None:
    faketime = shutil.which("faketime")
    if faketime is None:
        pytest.skip("faketime is not installed")
    (tmp_path / "sitecustomize.py").write_text(SLEEP)
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/bash\n"
        f'export PYTHONPATH="{tmp_path}:$PYTHONPATH"\n'
        "export FAKETIME_DONT_FAKE_MONOTONIC=1\n"
        "if (( SLURM_JOB_ID % 2 )); then skew=-3h; else skew=+3h; fi\n"
        f'exec {faketime} -f "$skew" {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    queued = queue(
        6, relax_maker=FakeRelaxMaker(seconds=3.0), more={"HTS_PYTHON": str(python)}
    )
    queued.submit(chunk=1)
    with queued.launching() as launcher:
        queued.finish(launcher)
    queued.assert_exact(computed=6)
    assert put_back(queued) == []
    hours = {
        round((one.end.time - one.start.time).total_seconds() / 3600)
        for one in read_executions(queued.worker.executions).executions
        if one.end is not None
    }
    assert hours == {0}


def test_five_hundred_cancelled_at_once(queue: Queue) -> None:
    queued = queue(500, WIDER, relax_maker=FakeRelaxMaker(seconds=2.0))
    queued.submit(chunk=1, window=500)
    report = queued.look()
    assert report.fireworks == 500
    with queued.launching(jobs=3):
        wait_until(lambda: relaxing(queued, Outcome.COMPLETED) > 1, "relaxations")
        began = time.monotonic()
        cancel(queued.stores, queued.launchpad, queued.campaign.spec.name)
        assert time.monotonic() - began < _WAIT_SECONDS
        wait_until(lambda: queued.look().is_done, "what runs to end")
    computed = relaxing(queued, Outcome.COMPLETED)
    assert 2 <= computed < 20
    queued.assert_exact(computed=computed, cancelled=500 - computed)
    assert queued.launchpad.fireworks.count_documents({}) == 0
