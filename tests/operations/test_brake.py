"""What does nothing but fail is held, once, with its last words; nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeRelaxMaker, FakeTask
from fireworks import Firework, FWorker, Workflow

from hts_battery.campaign.dispatched import Dispatched
from hts_battery.connections.launchpad.ended_runs import (
    EndedRun,
    completed_since,
    last_runs,
    last_words,
)
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.connections.records.backlog import read_submission
from hts_battery.connections.records.launch_files import write_mark
from hts_battery.connections.records.worker_controls import (
    read_worker_control,
    resume_worker,
)
from hts_battery.dispatch.feeder import resume
from hts_battery.operations.alerts import tell
from hts_battery.operations.brake import (
    BrakeLimits,
    brake,
    never_began,
    same_failure,
)
from hts_battery.schemas.alert import AlertKind
from hts_battery.schemas.dispatch import EndingKind, Hold
from hts_battery.schemas.launch import LaunchMark
from hts_battery.schemas.worker_control import PausedBy

if TYPE_CHECKING:
    from dispatched import Dispatch

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.schemas.rows import EndingRow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BROKEN = "slurm_script: line 12: /opt/python: No such file or directory"


def run(number: int, *, began: bool) -> EndedRun:
    """Return a run that ended some minutes after noon."""
    return EndedRun(
        number, number, Path("/nowhere"), NOON + timedelta(minutes=number), began
    )


@pytest.mark.parametrize(
    ("newest_first", "since", "held"),
    [
        ("nnn", None, True),
        ("nnnb", None, True),
        ("nn", None, False),
        ("nbn", None, False),
        ("bnnn", None, False),
        ("", None, False),
        ("nnn", 1, False),  # resumed after the first of them
        ("nnnn", 1, True),
    ],
)
def test_runs_in_a_row(newest_first: str, since: int | None, held: bool) -> None:
    count = len(newest_first)
    runs = [
        run(count - place, began=letter == "b")
        for place, letter in enumerate(newest_first)
    ]
    moment = None if since is None else NOON + timedelta(minutes=since)
    assert never_began(runs, 3, since=moment) is held


def ending(minute: int, kind: str, failure_class: str | None = None) -> EndingRow:
    return {
        "kind": kind,
        "reason": f"reason {minute}",
        "failure_class": failure_class,
        "lost_with": None,
        "node_hours": 0.0,
        "time": (NOON + timedelta(minutes=minute)).isoformat(),
    }


@pytest.mark.parametrize(
    ("history", "since", "found"),
    [
        (["walltime"] * 3, None, "walltime"),
        (["walltime"] * 2, None, None),
        (["walltime", "memory", "walltime"], None, None),
        (["memory", "walltime", "walltime", "walltime"], None, "walltime"),
        (["walltime", None, "walltime", "walltime"], None, None),
        # What was taken back says nothing.
        (["walltime", "cancelled", "walltime", "walltime"], None, "walltime"),
        (["walltime"] * 4, 0, "walltime"),
        (["walltime"] * 3, 0, None),
    ],
)
def test_failures_of_one_class_in_a_row(
    history: list[str | None], since: int | None, found: str | None
) -> None:
    endings = [
        ending(minute, "computed")
        if word is None
        else ending(minute, "cancelled")
        if word == "cancelled"
        else ending(minute, "failed", word)
        for minute, word in enumerate(history)
    ]
    moment = None if since is None else NOON + timedelta(minutes=since)
    kind, reason = same_failure(reversed(endings), 3, since=moment)
    assert kind == found
    assert reason == (f"reason {len(history) - 1}" if found else "")


def test_a_chunk_that_was_lost_is_one_failure() -> None:
    lost = [ending(n // 50, "failed", "node") for n in range(100)]
    for number, one in enumerate(lost):
        one["lost_with"] = number // 50
    assert same_failure(lost, 3) == (None, "")
    assert same_failure([*lost, ending(2, "failed", "node")], 3)[0] == "node"


def test_the_last_words_are_those_of_the_error_file(tmp_path: Path) -> None:
    assert last_words(tmp_path) is None
    (tmp_path / "f1l1-x-7.out").write_text("some output\n")
    assert last_words(tmp_path) == "some output"
    (tmp_path / "f1l1-x-7.error").write_text(f"module: not found\n{BROKEN}\n\n")
    assert last_words(tmp_path) == BROKEN
    (tmp_path / "f1l1-x-7.error").write_text("cannot reach mongodb://u:secret@h/\n")
    assert last_words(tmp_path) == "cannot reach mongodb://***@h/"
    assert last_words(tmp_path / "absent") is None


class Runs:
    """Launches of the worker ``here``, made as a launcher and a recovery make them."""

    def __init__(self, stores: Stores, launchpad: ExactLaunchPad, folder: Path) -> None:
        self.stores, self.launchpad, self.folder = stores, launchpad, folder

    def make(self, *histories: str, mark: bool = False, words: str = "") -> None:
        for history in histories:
            firework = Firework(FakeTask(error=""), spec={"_fworker": "here"})
            self.launchpad.add_wf(Workflow([firework]))
            folder = self.folder / f"launch{firework.fw_id}"
            folder.mkdir()
            _, number = self.launchpad.reserve_fw(
                FWorker(name="here"), str(folder), fw_id=firework.fw_id
            )
            states = history.split()
            self.launchpad.launches.update_one(
                {"launch_id": number},
                {
                    "$set": {
                        "state": states[-1],
                        "state_history": [
                            {"state": one, "created_on": datetime.now(UTC).isoformat()}
                            for one in states
                        ],
                    }
                },
            )
            if mark:
                write_mark(folder, LaunchMark(uuid="u", index=1, fw_id=firework.fw_id))
            if words:
                (folder / "f.error").write_text(words)


@pytest.fixture
def runs(stores: Stores, tmp_path: Path) -> Any:  # noqa: ANN401 - yields a Runs
    with open_launchpad(stores.database, outage_seconds=0) as launchpad:
        yield Runs(stores, launchpad, tmp_path)


@pytest.mark.mongo
def test_what_counts_as_a_run_that_began(runs: Runs) -> None:
    runs.make("RESERVED FIZZLED")  # its queue job was gone before a rocket took it
    runs.make("RESERVED RUNNING FIZZLED")  # a rocket took it and no job began
    runs.make("RESERVED RUNNING FIZZLED", mark=True)
    runs.make("RESERVED RUNNING COMPLETED")
    runs.make("RESERVED", "RESERVED RUNNING")  # waits; has only just begun
    runs.make("RESERVED RUNNING", mark=True)
    found = last_runs(runs.launchpad, "here", 9)
    assert [one.began for one in found] == [True, True, True, False, False]
    assert last_runs(runs.launchpad, "elsewhere", 9) == []
    assert len(last_runs(runs.launchpad, "here", 2)) == 2
    (runs.folder / "launch2").rmdir()
    assert last_runs(runs.launchpad, "here", 9)[3].began, "nobody here can say"


@pytest.mark.mongo
def test_a_success_that_was_archived_meanwhile_counts(stores: Stores) -> None:
    launch = {"worker": "here", "state": "COMPLETED", "launch_id": 7}
    failed = {"worker": "here", "state": "FIZZLED", "launch_id": 9}
    other = {"worker": "there", "state": "COMPLETED", "launch_id": 9}
    stores.archived_workflows.update(
        {"fw_id": 1, "launches": [launch, failed, other]}, key="fw_id"
    )
    assert completed_since(stores, "here", 6)
    assert not completed_since(stores, "here", 7)
    assert not completed_since(stores, "nowhere", 0)


@pytest.mark.mongo
def test_a_worker_whose_jobs_do_not_begin_is_held_and_released(
    dispatch: Dispatch, tmp_path: Path
) -> None:
    dispatch.submit(chunk=3)
    report = dispatch.feed()
    runs = Runs(dispatch.stores, dispatch.launchpad, tmp_path)
    limits = BrakeLimits(runs=2, failures=0)
    runs.make("RESERVED RUNNING COMPLETED", "RESERVED FIZZLED", words=BROKEN)
    assert tell(dispatch.stores, [report], (), limits=limits) == []
    runs.make("RESERVED FIZZLED", words=BROKEN)
    (alert,) = tell(dispatch.stores, [report], (), limits=limits)
    assert alert.kind is AlertKind.HELD
    assert BROKEN in alert.body
    assert "hts worker resume here" in alert.body
    control = read_worker_control(dispatch.stores, "here")
    assert (control.paused, control.paused_by) == (True, PausedBy.BRAKE)
    assert tell(dispatch.stores, [report], (), limits=limits) == [], "told once"

    resume_worker(dispatch.stores, "here")
    assert tell(dispatch.stores, [report], (), limits=limits) == []
    assert not read_worker_control(dispatch.stores, "here").paused, "forgiven"
    runs.make("RESERVED FIZZLED", "RESERVED FIZZLED", words=BROKEN)
    assert tell(dispatch.stores, [report], (), limits=limits)
    assert read_worker_control(dispatch.stores, "here").paused


@pytest.mark.mongo
def test_a_campaign_that_fails_in_one_way_is_held_and_goes_on_when_resumed(
    dispatch: Dispatch,
) -> None:
    dispatch.relax_maker = FakeRelaxMaker(error="no such functional")
    dispatch.submit(chunk=1)
    report = dispatch.finish()
    name = dispatch.campaign.spec.name
    limits = BrakeLimits(runs=0, failures=3)
    read = Dispatched.read(dispatch.stores, name)
    assert {one["ending"]["kind"] for one in read.own if one["ending"]} == {
        EndingKind.FAILED
    }
    found = tell(dispatch.stores, [report], (), limits=limits)
    assert AlertKind.HELD in [one.kind for one in found]
    submission = read_submission(dispatch.stores, name)
    assert submission is not None
    assert submission.hold is Hold.BRAKE
    assert "the last 3 candidates failed by" in submission.hold_reason
    assert not brake(dispatch.stores, Dispatched.read(dispatch.stores, name), limits)
    # Submitting more does not release it; an operator does, and it counts from there.
    dispatch.submit(chunk=1, retry_failed=True)
    assert dispatch.feed().hold is Hold.BRAKE
    resume(dispatch.stores, dispatch.launchpad, name, make_maker=dispatch.make_maker)
    again = read_submission(dispatch.stores, name)
    assert again is not None
    assert (again.hold, again.hold_reason) == (None, "")
    read = Dispatched.read(dispatch.stores, name)
    assert not brake(dispatch.stores, read, limits)
