"""Outages, kills and lost nodes: nothing is lost, and nothing is computed twice."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeRelaxMaker
from fireworks import FWAction, FWorker
from jobflow import Flow, Job
from pymatgen.io.vasp import Poscar
from rocket_jobs import COMPUTED, GO, STARTED, add, grow, wait_and_compute
from rockets import PATIENCE, WORKER, Rockets, wait_until
from vasp_runs import quick_options, run_flow, small_cell

from hts_battery.connections.database.database import database as open_database
from hts_battery.connections.database.embedded import embedded_server
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.stores import open_stores
from hts_battery.connections.launchpad.launchpad import (
    ExactLaunchPad,
    open_launchpad,
    submit,
)
from hts_battery.connections.launchpad.queues import JobAnswer
from hts_battery.connections.processes import host_name
from hts_battery.connections.records.executions import read_executions
from hts_battery.connections.records.launch_files import (
    LEFT_ACTION,
    left_action,
    write_mark,
)
from hts_battery.dispatch.recovery import recover
from hts_battery.errors import DatabaseOutageError
from hts_battery.flows.engines.vasp.jobs import mp_gga_maker
from hts_battery.flows.execution.recorded import recorded
from hts_battery.flows.execution.spool import SPOOL
from hts_battery.flows.recipes.screen import ScreenMaker
from hts_battery.schemas.execution import Outcome
from hts_battery.schemas.failure import FailureClass, RunRecord
from hts_battery.schemas.launch import LaunchMark
from hts_battery.schemas.recovery import RecoveryAction
from hts_battery.vasp_standin.faults import SECONDS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.queues import QueueKind
    from hts_battery.schemas.recovery import RecoveryReport

pytestmark = [pytest.mark.mongo, pytest.mark.chaos]


@pytest.fixture
def rockets(tmp_path: Path) -> Iterator[Rockets]:
    """Return rockets on an embedded server that belongs to this test alone."""
    with (
        embedded_server(tmp_path / "data") as server,
        open_database(server.uri, name="hts", data_dir=tmp_path / "unused") as opened,
        open_stores(opened) as stores,
    ):
        ensure_indexes(stores)
        yield Rockets(server, stores, tmp_path)


@pytest.fixture
def waiting(rockets: Rockets) -> Iterator[str]:
    """Submit a job that waits in the middle; return its uuid."""
    one = recorded(wait_and_compute(str(rockets.folder), 7))
    with open_launchpad(rockets.stores.database) as launchpad:
        submit([one], launchpad, WORKER)
        yield one.uuid


@pytest.fixture
def launchpad(stores: Stores) -> Iterator[ExactLaunchPad]:
    with open_launchpad(stores.database) as opened:
        yield opened


def no_queue(_: QueueKind) -> None:
    raise AssertionError("there is no queue to be asked")


def look(stores: Stores, **options: Any) -> RecoveryReport:  # noqa: ANN401 - those of recover
    with open_launchpad(stores.database) as launchpad:
        return recover(stores, launchpad, **{"listed": no_queue, **options})


def states(stores: Stores) -> list[str]:
    with open_launchpad(stores.database) as launchpad:
        return [
            firework["state"]
            for firework in launchpad.fireworks.find({}, ["state"], sort=[("fw_id", 1)])
        ]


def outcomes(rockets: Rockets) -> list[Outcome]:
    return [one.outcome for one in read_executions(rockets.executions).executions]


def test_a_rocket_waits_out_a_short_outage(rockets: Rockets, waiting: str) -> None:
    process = rockets.start("launch")
    wait_until((rockets.folder / STARTED).exists, process, "the job runs")
    rockets.kill_server()
    (rockets.folder / GO).touch()
    wait_until(
        (rockets.folder / "launch" / SPOOL).exists, process, "the output is on disk"
    )
    assert process.poll() is None
    rockets.server.revive()
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert states(rockets.stores) == ["COMPLETED"], output
    assert rockets.stores.job_store.get_output(waiting) == {"number": 7}
    assert outcomes(rockets) == [Outcome.COMPLETED]
    assert not (rockets.folder / "launch" / SPOOL).exists()
    assert look(rockets.stores).found_nothing


def test_what_finished_in_a_long_outage_is_taken_in_and_not_computed_again(
    rockets: Rockets, waiting: str
) -> None:
    process = rockets.start("launch", patience=1.0)
    wait_until((rockets.folder / STARTED).exists, process, "the job runs")
    rockets.kill_server()
    (rockets.folder / GO).touch()
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "told by `hts launchpad recover`" in output
    rockets.server.revive()
    assert states(rockets.stores) == ["RUNNING"]
    assert look(rockets.stores, dry_run=True).outputs == (waiting,)
    assert states(rockets.stores) == ["RUNNING"]
    report = look(rockets.stores)
    assert report.outputs == (waiting,)
    assert [(one.action, one.failure_class) for one in report.runs] == [
        (RecoveryAction.PUT_BACK, FailureClass.NODE)
    ]
    assert rockets.stores.job_store.get_output(waiting) == {"number": 7}
    assert states(rockets.stores) == ["READY"]
    rockets.run("again")
    assert states(rockets.stores) == ["COMPLETED"]
    assert (rockets.folder / COMPUTED).read_text() == "."
    assert outcomes(rockets) == [Outcome.COMPLETED, Outcome.REUSED]
    assert look(rockets.stores).found_nothing


def test_a_killed_rocket_is_put_back_and_its_launches_stay_counted(
    rockets: Rockets, waiting: str
) -> None:
    process = rockets.start("launch")
    wait_until((rockets.folder / STARTED).exists, process, "the job runs")
    assert look(rockets.stores).found_nothing, "it is alive"
    rockets.kill(process)
    (rockets.folder / GO).touch()
    (lost,) = look(rockets.stores).runs
    assert (lost.action, lost.failure_class) == (
        RecoveryAction.PUT_BACK,
        FailureClass.NODE,
    )
    assert "process gone" in lost.reason
    rockets.run("again")
    assert states(rockets.stores) == ["COMPLETED"]
    assert rockets.stores.job_store.get_output(waiting) == {"number": 7}
    assert outcomes(rockets) == [Outcome.INTERRUPTED, Outcome.COMPLETED]
    with open_launchpad(rockets.stores.database) as launchpad:
        assert launchpad.launches.count_documents({}) == 2


@pytest.mark.filterwarnings("ignore:No POTCAR file with matching TITEL:UserWarning")
def test_a_killed_relaxation_goes_on_where_it_was_killed(
    rockets: Rockets, tmp_path: Path
) -> None:
    def relaxation() -> Job:
        maker = mp_gga_maker(quick_options()).relax_maker.relax_maker1
        made = recorded(maker.make(small_cell()))
        assert isinstance(made, Job)
        return made

    whole = run_flow(relaxation(), tmp_path).run(0)["n_steps"]
    assert whole > 6, "too short to be killed in the middle"
    one = relaxation()
    with open_launchpad(rockets.stores.database) as launchpad:
        submit([one], launchpad, WORKER)
    process = rockets.start("launch", variables={SECONDS_VARIABLE: "0.5"})
    printed = rockets.folder / "launch" / "OSZICAR"
    wait_until(
        lambda: printed.is_file() and printed.read_text().count("F=") >= whole - 3,
        process,
        "most steps are done",
    )
    rockets.kill(process)
    (lost,) = look(rockets.stores).runs
    assert lost.action is RecoveryAction.PUT_BACK
    rockets.run("again")
    output = rockets.stores.job_store.get_output(one.uuid)
    run = RunRecord.model_validate(output["run"])
    assert run.converged
    assert run.attempts == 2
    assert run.failures[0].failure_class is FailureClass.NODE
    assert run.failures[0].step == "relax 1"
    assert run.n_steps is not None
    assert run.n_steps < whole - 2
    last = Poscar.from_file(rockets.folder / "launch" / "CONTCAR").structure
    again = Poscar.from_file(rockets.folder / "again" / "POSCAR.orig.gz").structure
    assert again == last


KILLED_BEFORE_THE_WORKFLOW_KNOWS = """
import os, sys
from hts_battery.connections.launchpad import fireworks_commands
from hts_battery.connections.launchpad import launchpad

class Killed(launchpad.ExactLaunchPad):
    def _update_wf(self, wf, updated_ids):
        if any(state == "COMPLETED" for state in wf.fw_states.values()):
            self.workflows.find_one_and_replace = lambda *_: os._exit(9)
        super()._update_wf(wf, updated_ids)

fireworks_commands.WorkerLaunchPad = Killed
sys.exit(fireworks_commands.main())
"""


def test_a_rocket_killed_while_it_adds_jobs_adds_them_once(rockets: Rockets) -> None:
    with open_launchpad(rockets.stores.database) as launchpad:
        submit([recorded(grow(1))], launchpad, WORKER)
    process = rockets.start("launch", script=KILLED_BEFORE_THE_WORKFLOW_KNOWS)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 9, output
    # The Firework is COMPLETED, its addition is READY, and no workflow knows.
    assert states(rockets.stores) == ["COMPLETED", "READY"]
    assert look(rockets.stores).found_nothing, "the lock may still be somebody's"
    report = look(rockets.stores, now=later(hours=1))
    assert report.unlocked == (1,)
    assert report.orphans == (2,)
    assert [one.action for one in report.runs] == [RecoveryAction.REFRESHED]
    assert states(rockets.stores) == ["COMPLETED", "READY"]
    rockets.run("addition")
    assert states(rockets.stores) == ["COMPLETED", "COMPLETED"]
    assert rockets.stores.tasks.count({"output": 2}) == 1


KILLED_BEFORE_ITS_END_IS_TOLD = """
import os, sys
from hts_battery.connections.launchpad import fireworks_commands
from hts_battery.connections.launchpad import launchpad

class Killed(launchpad.ExactLaunchPad):
    def complete_launch(self, *args, **kwargs):
        os._exit(9)

fireworks_commands.WorkerLaunchPad = Killed
sys.exit(fireworks_commands.main())
"""


def test_what_a_killed_job_has_ordered_is_not_ordered_again(
    rockets: Rockets, small_campaign: Campaign
) -> None:
    maker = ScreenMaker.from_campaign(small_campaign.spec, relax_maker=FakeRelaxMaker())
    _, candidate = next(small_campaign.members())
    flow = maker.make(candidate)
    with open_launchpad(rockets.stores.database) as launchpad:
        submit([flow], launchpad, WORKER)
    process = rockets.start("launch", script=KILLED_BEFORE_ITS_END_IS_TOLD)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 9, output
    (ordered,) = rockets.stores.tasks.query({"metadata.step": "order"})
    report = look(rockets.stores, now=later(hours=1))
    assert [one.action for one in report.runs] == [RecoveryAction.PUT_BACK]
    rockets.run("again")
    assert outcomes(rockets) == [Outcome.COMPLETED, Outcome.REUSED]
    # Its jobs are made from what was ordered first, and run.
    rockets.run("relax")
    (relaxed,) = rockets.stores.tasks.query({"metadata.step": "relax"})
    (cell,) = ordered["output"]
    assert relaxed["metadata"]["ordering_id"] == cell["ordering_id"]
    assert outcomes(rockets) == [Outcome.COMPLETED, Outcome.REUSED, Outcome.COMPLETED]


def test_a_launch_that_could_not_tell_its_end_is_completed_later(
    rockets: Rockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(rockets.folder)
    first = recorded(add(1, 2))
    second = recorded(add(first.output, 3))
    with open_launchpad(rockets.stores.database) as launchpad:
        submit([Flow([first, second])], launchpad, WORKER)
    name = rockets.stores.database.name
    launchpad = ExactLaunchPad(
        host=rockets.quick_uri,
        name=name,
        uri_mode=True,
        strm_lvl="ERROR",
        outage_seconds=0,
    )
    worker = FWorker(name=WORKER)
    firework, launch = launchpad.checkout_fw(worker, str(rockets.folder))
    rockets.kill_server()
    launchpad.ping_launch(launch)  # a missed ping is no harm
    with pytest.raises(DatabaseOutageError, match=f"kept as .*{LEFT_ACTION}"):
        launchpad.complete_launch(launch, FWAction(stored_data={"a": 1}))
    # FireWorks takes that for the job's own failure, which it is not.
    launchpad.restore_backup_data(launch, firework.fw_id)
    with pytest.raises(DatabaseOutageError):
        launchpad.complete_launch(launch, FWAction(exit=True), "FIZZLED")
    left = left_action(rockets.folder)
    assert left is not None
    assert left.state == "COMPLETED"
    launchpad.connection.close()
    rockets.server.revive()
    report = look(rockets.stores, now=later(hours=2))
    assert [one.action for one in report.runs] == [RecoveryAction.COMPLETED]
    assert states(rockets.stores) == ["COMPLETED", "READY"]
    assert left_action(rockets.folder) is None


@pytest.fixture
def running(
    launchpad: ExactLaunchPad, tmp_path: Path
) -> tuple[ExactLaunchPad, int, Path]:
    """Return a Firework that was checked out in a folder, and nobody runs it."""
    parent = recorded(add(1, 2))
    child = recorded(add(parent.output, 3))
    ids = submit([Flow([parent, child])], launchpad, WORKER)
    folder = tmp_path / "launch"
    folder.mkdir()
    launchpad.checkout_fw(FWorker(name=WORKER), str(folder))
    return launchpad, ids[0][parent.uuid], folder


def take_again(launchpad: ExactLaunchPad, folder: Path) -> None:
    launchpad.checkout_fw(FWorker(name=WORKER), str(folder))


def dead(fw_id: int) -> LaunchMark:
    return LaunchMark(
        uuid="u", index=1, fw_id=fw_id, host=host_name(), pid=2**22 + 1, process="gone"
    )


def test_losses_are_counted_by_the_policy_and_given_up_in_the_end(
    stores: Stores, running: tuple[ExactLaunchPad, int, Path]
) -> None:
    launchpad, fw_id, folder = running
    write_mark(folder, dead(fw_id))
    for count in (1, 2, 3):
        (lost,) = recover(stores, launchpad, listed=no_queue).runs
        assert (lost.action, lost.losses) == (RecoveryAction.PUT_BACK, count)
        take_again(launchpad, folder)
    (lost,) = recover(stores, launchpad, listed=no_queue).runs
    assert (lost.action, lost.losses) == (RecoveryAction.GIVEN_UP, 4)
    assert states(stores) == ["FIZZLED", "WAITING"]
    last = launchpad.get_fw_by_id(fw_id).launches[-1].action.stored_data
    assert last["_exception"]["_stacktrace"].startswith(
        "hts_battery.errors.CalculationError: node or filesystem failure"
    )
    assert recover(stores, launchpad, listed=no_queue).found_nothing


def test_files_that_were_cut_off_are_moved_aside_and_the_run_is_put_back(
    stores: Stores, running: tuple[ExactLaunchPad, int, Path]
) -> None:
    launchpad, fw_id, folder = running
    write_mark(folder, dead(fw_id))
    for name in (LEFT_ACTION, SPOOL):
        (folder / name).write_bytes(b"\x1f\x8bhalf of it")
    tried = recover(stores, launchpad, listed=no_queue, dry_run=True)
    assert (folder / LEFT_ACTION).exists()
    report = recover(stores, launchpad, listed=no_queue)
    assert [one.action for one in report.runs] == [RecoveryAction.PUT_BACK]
    assert len(report.problems) == len(tried.problems) == 2
    for name, said in zip((SPOOL, LEFT_ACTION), report.problems, strict=True):
        assert f"{folder / name}: not a packed document" in said
        assert f"kept as {name}.broken-1" in said
        assert (folder / f"{name}.broken-1").exists()
    assert recover(stores, launchpad, listed=no_queue).problems == ()


def knows_nothing(_kind: QueueKind, _job: str, cluster: str | None) -> JobAnswer:
    """Answer as a queue that has no such job."""
    assert cluster is None
    return JobAnswer.GONE


def later(**spans: float) -> datetime:
    return datetime.now(UTC) + timedelta(**spans)


def queue_with(*numbers: str) -> Any:  # noqa: ANN401 - asks a queue
    def listed(kind: QueueKind) -> frozenset[str]:
        assert kind.kind == "SLURM"
        return frozenset(numbers)

    return listed


def in_queue(launchpad: ExactLaunchPad, folder: Path, number: str) -> None:
    """Make a launch look as ``qlaunch -r`` leaves it."""
    (folder / "FW_submit.script").write_text("#!/bin/bash\n#SBATCH --nodes=1\n")
    launchpad.launches.update_one(
        {"launch_dir": str(folder), "state": "RUNNING"},
        {"$set": {"state_history.0.reservation_id": number}},
    )


def test_the_queue_knows_best(
    stores: Stores, running: tuple[ExactLaunchPad, int, Path]
) -> None:
    launchpad, fw_id, folder = running
    in_queue(launchpad, folder, "41")
    options: dict[str, Any] = {"listed": queue_with("40", "41"), "asked": knows_nothing}
    alive = recover(stores, launchpad, now=later(days=3), **options)
    assert alive.found_nothing, "silent for days, but its queue job is there"
    (folder / "FW_job-41.error").write_text(
        "slurmstepd: error: *** JOB 41 ON n1 CANCELLED AT 2026-11-25T20:00:00 "
        "DUE TO TIME LIMIT ***\n"
    )
    launchpad.fireworks.update_one(
        {"fw_id": fw_id}, {"$set": {"spec._queueadapter": {"walltime": "02:00:00"}}}
    )
    options["listed"] = queue_with("40")
    assert recover(stores, launchpad, **options).found_nothing, "it has just pinged"
    for count in (1, 2, 3):
        (lost,) = recover(stores, launchpad, now=later(hours=1), **options).runs
        assert (lost.failure_class, lost.losses) == (FailureClass.WALLTIME, count)
        assert lost.action is RecoveryAction.PUT_BACK
        take_again(launchpad, folder)
        in_queue(launchpad, folder, "41")
    # The third remedy of the policy asks for twice the time.
    request = launchpad.get_fw_by_id(fw_id).spec["_queueadapter"]
    assert request == {"walltime": "04:00:00"}


def test_a_launch_lost_for_memory_asks_for_more(
    stores: Stores, running: tuple[ExactLaunchPad, int, Path]
) -> None:
    launchpad, fw_id, folder = running
    in_queue(launchpad, folder, "41")
    (folder / "FW_job.error").write_text(
        "=>> PBS: job killed: mem 38427376kb exceeded limit 33554432kb\n"
    )
    launchpad.fireworks.update_one(
        {"fw_id": fw_id},
        {"$set": {"spec._queueadapter": {"walltime": "02:00:00", "mem": "16G"}}},
    )
    options: dict[str, Any] = {"listed": queue_with("40"), "asked": knows_nothing}
    for memory in ("32G", "64G"):
        (lost,) = recover(stores, launchpad, now=later(hours=1), **options).runs
        assert lost.failure_class is FailureClass.OUT_OF_MEMORY
        request = launchpad.get_fw_by_id(fw_id).spec["_queueadapter"]
        assert request == {"walltime": "02:00:00", "mem": memory}
        take_again(launchpad, folder)
        in_queue(launchpad, folder, "41")
    (lost,) = recover(stores, launchpad, now=later(hours=1), **options).runs
    assert lost.action is RecoveryAction.GIVEN_UP


def test_a_queue_that_cannot_be_asked_says_nothing(
    stores: Stores, running: tuple[ExactLaunchPad, int, Path]
) -> None:
    launchpad, _, folder = running
    in_queue(launchpad, folder, "41")
    report = recover(stores, launchpad, listed=lambda _: None)
    assert report.found_nothing
    for answer, runs in ((JobAnswer.NO_ANSWER, 0), (JobAnswer.CANNOT_ASK, 1)):
        found = recover(
            stores,
            launchpad,
            listed=lambda _: None,
            asked=lambda *_, answer=answer: answer,
            now=later(hours=2),
        ).runs
        assert len(found) == runs, answer
    assert found[0].reason.startswith("silent")


def test_a_reservation_that_waits_is_not_lost_and_one_that_is_gone_is(
    stores: Stores, launchpad: ExactLaunchPad, tmp_path: Path
) -> None:
    submit([recorded(add(1, 2))], launchpad, WORKER)
    _, launch = launchpad.reserve_fw(FWorker(name=WORKER), str(tmp_path))
    launchpad.set_reservation_id(launch, 77)
    (tmp_path / "FW_submit.script").write_text("#SBATCH --nodes=1\n")
    for listed, answer in (
        (queue_with("77"), JobAnswer.GONE),
        (lambda _: None, JobAnswer.CANNOT_ASK),
        (queue_with(), JobAnswer.NO_ANSWER),
        (queue_with(), JobAnswer.KNOWN),
    ):
        assert recover(
            stores,
            launchpad,
            listed=listed,
            asked=lambda *_, answer=answer: answer,
            now=later(days=9),
        ).found_nothing
    options: dict[str, Any] = {"listed": queue_with(), "asked": knows_nothing}
    assert recover(stores, launchpad, **options).found_nothing, "just submitted"
    (lost,) = recover(stores, launchpad, now=later(minutes=5), **options).runs
    assert lost.reason.startswith("queue job gone")
    assert states(stores) == ["READY"]


def test_taken_and_never_launched(stores: Stores, launchpad: ExactLaunchPad) -> None:
    submit([recorded(add(1, 2))], launchpad, WORKER)
    launchpad.fireworks.update_one({"fw_id": 1}, {"$set": {"state": "RESERVED"}})
    assert recover(stores, launchpad, listed=no_queue).found_nothing
    soon = later(minutes=20)
    (lost,) = recover(stores, launchpad, listed=no_queue, now=soon).runs
    assert lost.reason.startswith("never launched")
    assert states(stores) == ["READY"]


def test_a_lock_of_another_client_counts_from_the_first_look(
    stores: Stores, launchpad: ExactLaunchPad
) -> None:
    submit([recorded(add(1, 2))], launchpad, WORKER)
    launchpad.workflows.update_one({"nodes": 1}, {"$set": {"locked": True}})
    now = datetime.now(UTC)
    assert recover(stores, launchpad, listed=no_queue, now=now).found_nothing
    report = recover(stores, launchpad, listed=no_queue, now=later(hours=1))
    assert report.unlocked == (1,)
    assert launchpad.workflows.count_documents({"locked": {"$exists": True}}) == 0


def test_a_damaged_file_keeps_nothing_else_from_being_recovered(
    stores: Stores, running: tuple[ExactLaunchPad, int, Path]
) -> None:
    launchpad, fw_id, folder = running
    write_mark(folder, dead(fw_id))
    (folder / SPOOL).write_bytes(b"not what it is called")
    report = recover(stores, launchpad, listed=no_queue)
    assert [one.action for one in report.runs] == [RecoveryAction.PUT_BACK]
    assert SPOOL in report.problems[0]


def test_the_process_of_a_launch_that_lives_is_not_lost_however_silent(
    stores: Stores, running: tuple[ExactLaunchPad, int, Path]
) -> None:
    from hts_battery.connections.processes import process_identity  # noqa: PLC0415

    launchpad, fw_id, folder = running
    mark = dead(fw_id).model_copy(
        update={"pid": os.getpid(), "process": process_identity(os.getpid())}
    )
    write_mark(folder, mark)
    assert recover(stores, launchpad, listed=no_queue, now=later(days=3)).found_nothing
