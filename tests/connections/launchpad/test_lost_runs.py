"""By what a launch is known to be lost: every combination of its witnesses."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import pytest

from hts_battery.connections.launchpad.lost_runs import Watcher, Witnesses, loss_reason
from hts_battery.connections.launchpad.queues import (
    JobAnswer,
    asked_job,
    queue_kinds,
    queue_of,
)
from hts_battery.connections.processes import (
    ProcessState,
    host_name,
    own_process,
    process_identity,
    process_scope,
)
from hts_battery.connections.records.launch_files import write_mark
from hts_battery.schemas.launch import LaunchMark
from hts_battery.schemas.recovery import LossReason

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.connections.launchpad.queues import QueueKind

RECENT, SILENCE = 100.0, 1000.0
SEEN = [
    Witnesses(*values)
    for values in product(
        ("RUNNING", "RESERVED"),
        (10.0, 500.0, 5000.0),
        ProcessState,
        (None, True, False),
        JobAnswer,
        (False, True),
    )
]


def decided(seen: Witnesses) -> LossReason | None:
    return loss_reason(seen, recent=RECENT, silence=SILENCE)


def test_nothing_outweighs_a_process_that_is_there_or_a_job_that_is_listed() -> None:
    for seen in SEEN:
        there = seen.process in {ProcessState.ALIVE, ProcessState.STOPPED}
        if there or seen.is_listed:
            assert decided(seen) is None, seen


def test_a_young_ping_outweighs_whatever_a_queue_says() -> None:
    for seen in SEEN:
        if seen.silent <= RECENT and seen.process is not ProcessState.GONE:
            assert decided(seen) is None, seen


def test_a_listing_alone_decides_nothing() -> None:
    """Only the answer to its number, or silence, does: never that it is not listed."""
    for seen in SEEN:
        if seen.is_listed is False:
            assert decided(seen) is decided(replace(seen, is_listed=None)), seen


def test_every_loss_has_its_evidence() -> None:
    for seen in SEEN:
        why = decided(seen)
        if why is LossReason.PROCESS_GONE:
            assert seen.process is ProcessState.GONE, seen
        elif why is LossReason.QUEUE_JOB_GONE:
            assert seen.answer is JobAnswer.GONE, seen
            assert seen.silent > RECENT, seen
        elif why is LossReason.SILENT:
            assert seen.answer is JobAnswer.CANNOT_ASK, seen
            assert seen.silent > SILENCE, seen
            assert not (seen.state == "RESERVED" and seen.has_number), seen
        else:
            assert why is None, seen


def test_what_is_surely_lost_is_found() -> None:
    for seen in SEEN:
        if seen.is_listed or seen.process is not ProcessState.UNKNOWN:
            continue
        if seen.answer is JobAnswer.GONE and seen.silent > RECENT:
            assert decided(seen) is LossReason.QUEUE_JOB_GONE, seen
        unheard = seen.answer is JobAnswer.CANNOT_ASK and seen.silent > SILENCE
        if unheard and seen.state == "RUNNING":
            assert decided(seen) is LossReason.SILENT, seen


class Launch:
    """A launch of Firework 1 in a folder, and a look at it."""

    def __init__(
        self, folder: Path, script: str, *, number: str | None = "815"
    ) -> None:
        self.folder, self.number = folder, number
        self.state = "RUNNING"
        self.asked: list[tuple[str, str | None]] = []
        (folder / "FW_submit.script").write_text(script)

    def mark(self, **fields: object) -> None:
        given = {"fw_id": 1, "host": "node7", "pid": 1, "process": "1:0:", **fields}
        write_mark(
            self.folder, LaunchMark.model_validate({"uuid": "u", "index": 1, **given})
        )

    def why(
        self,
        listing: str | None,
        *,
        silent: float = 0.0,
        answer: JobAnswer = JobAnswer.GONE,
        here: str | None = "first",
        **history: object,
    ) -> LossReason | None:
        def asked(_kind: QueueKind, job: str, cluster: str | None) -> JobAnswer:
            self.asked.append((job, cluster))
            return answer

        now = datetime.now(UTC)
        sign = (now - timedelta(seconds=silent)).isoformat()
        entry = {"state": self.state, "created_on": sign, "updated_on": sign, **history}
        if self.number is not None:
            entry["reservation_id"] = self.number
        watcher = Watcher(
            launchpad=None,
            silence=3600,
            listed=lambda kind: None if listing is None else kind.jobs(listing),
            now=now,
            asked=asked,
            here=lambda _: here,
        )
        return watcher._why(  # noqa: SLF001 - one launch is looked at
            {"fw_id": 1},
            {
                "launch_dir": str(self.folder),
                "state": self.state,
                "launch_id": 1,
                "state_history": [entry],
            },
        )


SLURM = "#SBATCH --nodes=1\n"


def test_a_job_of_another_cluster_that_pinged_now(tmp_path: Path) -> None:
    """The case of the field: the listing here is empty of it."""
    launch = Launch(tmp_path, f"{SLURM}#SBATCH --clusters=second\n")
    assert launch.why("4711\n") is None
    assert launch.asked == []


@pytest.mark.parametrize(
    "line",
    [
        "--clusters=second",
        "--clusters second",
        "-M second",
        "-Msecond",
        "--cluster=second",
        "--time=1 -M second",
        '--clusters="second"',
    ],
)
def test_a_job_is_asked_for_on_the_cluster_of_its_script(
    tmp_path: Path, line: str
) -> None:
    launch = Launch(tmp_path, f"{SLURM}#SBATCH {line}\n")
    # The same number is listed here: it is another job.
    assert launch.why("815\n", silent=3000, answer=JobAnswer.KNOWN) is None
    assert launch.asked == [("815", "second")]
    gone = launch.why("815\n", silent=3000)
    assert gone is LossReason.QUEUE_JOB_GONE
    assert launch.why("815\n", silent=3000, answer=JobAnswer.CANNOT_ASK) is None


def test_the_mark_names_job_and_cluster_before_the_reservation(tmp_path: Path) -> None:
    launch = Launch(tmp_path, SLURM)
    launch.mark(queue_id="814", cluster="second")
    assert launch.why("815\n", silent=3000, answer=JobAnswer.KNOWN) is None
    assert launch.asked == [("814", "second")]
    launch.mark(queue_id="814", cluster="first")
    assert launch.why("814\n", silent=3000) is None, "this is the first cluster"
    launch.mark(queue_id="814", cluster="first", fw_id=2)
    assert launch.why("814\n", silent=3000) is LossReason.QUEUE_JOB_GONE
    assert launch.asked[-1] == ("815", None), "a mark of another Firework says nothing"


@pytest.mark.parametrize("silent", [0, 10, 2600])
@pytest.mark.parametrize("listing", ["", "4711\n", None])
def test_a_running_job_is_not_put_back_some_seconds_after_a_ping(
    tmp_path: Path, listing: str | None, silent: float
) -> None:
    launch = Launch(tmp_path, SLURM)
    assert launch.why(listing, silent=silent) is None
    assert launch.asked == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (JobAnswer.KNOWN, None),
        (JobAnswer.NO_ANSWER, None),
        (JobAnswer.CANNOT_ASK, LossReason.SILENT),
        (JobAnswer.GONE, LossReason.QUEUE_JOB_GONE),
    ],
)
@pytest.mark.parametrize("listing", ["", "4711\n", None])
def test_an_empty_listing_is_followed_by_the_question(
    tmp_path: Path, listing: str | None, answer: JobAnswer, why: LossReason | None
) -> None:
    launch = Launch(tmp_path, SLURM)
    assert launch.why(listing, silent=5000, answer=answer) is why
    assert launch.asked == [("815", None)]


def test_several_intervals_are_those_of_its_own_pings(tmp_path: Path) -> None:
    launch = Launch(tmp_path, SLURM)
    assert launch.why("", silent=100, hts_ping_seconds=60) is None
    gone = launch.why("", silent=200, hts_ping_seconds=60)
    assert gone is LossReason.QUEUE_JOB_GONE


def test_a_reservation_that_its_queue_does_not_know_yet(tmp_path: Path) -> None:
    launch = Launch(tmp_path, SLURM)
    launch.state = "RESERVED"
    assert launch.why("", silent=30) is None
    assert launch.why("", silent=600) is LossReason.QUEUE_JOB_GONE
    assert launch.why("", silent=9e5, answer=JobAnswer.NO_ANSWER) is None
    assert launch.why("", silent=9e5, answer=JobAnswer.CANNOT_ASK) is None


def test_a_process_that_would_not_be_seen_from_here_is_not_gone(tmp_path: Path) -> None:
    launch = Launch(tmp_path, "no queue", number=None)
    gone = {"host": host_name(), "pid": 2**22 + 1, "process": "gone"}
    launch.mark(**gone, scope=process_scope())
    assert launch.why(None) is LossReason.PROCESS_GONE
    launch.mark(**gone, scope="0@pid:[1]")
    assert launch.why(None) is None
    assert launch.why(None, silent=5000) is LossReason.SILENT
    me = {"pid": os.getpid(), "process": process_identity(os.getpid())}
    launch.mark(host=host_name(), **me)
    assert launch.why(None, silent=1e6) is None


def test_a_rocket_that_was_killed_before_it_left_a_mark(tmp_path: Path) -> None:
    launch = Launch(tmp_path, "no queue", number=None)
    here = own_process()
    gone = {"hts_process": here | {"pid": 2**22 + 1, "process": "gone"}}
    assert launch.why(None, **gone) is LossReason.PROCESS_GONE
    assert launch.why(None, hts_process=here, silent=10) is None
    # Alive, but perhaps with other work: its silence counts as anybody's.
    assert launch.why(None, hts_process=here, silent=1e6) is LossReason.SILENT
    elsewhere = {"hts_process": here | {"host": "node7", "process": "gone"}}
    assert launch.why(None, **elsewhere) is None
    launch.mark(host=host_name(), pid=here["pid"], process=here["process"])
    assert launch.why(None, **gone) is None  # the run's own mark comes first


ANSWERS = [
    ("SLURM", 0, "JobId=815 JobName=hts\n   JobState=RUNNING Reason=None", "known"),
    ("SLURM", 0, "   JobState=COMPLETING Reason=None", "known"),
    ("SLURM", 0, "   JobState=REQUEUED Reason=None", "known"),
    ("SLURM", 0, "   JobState=TIMEOUT Reason=TimeLimit", "gone"),
    ("SLURM", 0, "   JobState=NODE_FAIL Reason=None", "gone"),
    ("SLURM", 1, "slurm_load_jobs error: Invalid job id specified", "gone"),
    ("SLURM", 1, "slurm_load_jobs error: Socket timed out on send/recv", "no answer"),
    (
        "SLURM",
        1,
        "slurm_load_jobs error: Unable to contact slurm controller",
        "no answer",
    ),
    ("PBS", 0, "815.pbs   hts   me   00:01:02 R workq", "known"),
    ("PBS", 0, "815.pbs   hts   me   00:01:02 F workq", "gone"),
    ("PBS", 153, "qstat: Unknown Job Id 815.pbs", "gone"),
    ("PBS", 35, "qstat: 815.pbs Job has finished, use -x or -H to obtain", "gone"),
    (
        "PBS",
        255,
        "Connection refused\nqstat: cannot connect to server pbs",
        "no answer",
    ),
    ("SGE", 0, "job_number:                 815", "known"),
    ("SGE", 1, "Following jobs do not exist: \n815", "gone"),
    ("SGE", 1, "error: commlib error: got select error", "no answer"),
    ("LoadSharingFacility", 0, "RUN", "known"),
    ("LoadSharingFacility", 0, "UNKWN", "known"),
    ("LoadSharingFacility", 0, "EXIT", "gone"),
    ("LoadSharingFacility", 255, "Job <815> is not found", "gone"),
    ("LoadSharingFacility", 255, "LSF is down. Please wait ...", "no answer"),
]


@pytest.mark.parametrize(("queue", "status", "text", "answer"), ANSWERS)
def test_what_queues_say_of_a_job(
    queue: str, status: int, text: str, answer: str
) -> None:
    kind = next(one for one in queue_kinds() if one.kind == queue)
    assert kind.answer(status, text) is JobAnswer(answer)


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_queue_is_asked_by_number_and_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm, *_ = queue_kinds()
    program(tmp_path, "scontrol", 'echo "$@" > asked; echo JobState=RUNNING')
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    monkeypatch.chdir(tmp_path)
    ask = partial(asked_job, slurm, "815", environment=environment)
    assert ask(None) is JobAnswer.KNOWN
    assert (tmp_path / "asked").read_text() == "show job 815\n"
    assert ask("second") is JobAnswer.KNOWN
    assert (tmp_path / "asked").read_text() == "-M second show job 815\n"
    program(tmp_path, "scontrol", "echo no such cluster >&2; exit 1")
    assert ask(None) is JobAnswer.NO_ANSWER
    assert ask("second") is JobAnswer.CANNOT_ASK
    nowhere = {"PATH": str(tmp_path / "nothing")}
    assert asked_job(slurm, "815", None, environment=nowhere) is JobAnswer.CANNOT_ASK


def test_the_queue_of_a_folder(tmp_path: Path) -> None:
    assert queue_of(tmp_path) is None
    (tmp_path / "FW_submit.script").write_text("#PBS -l nodes=1\n")
    found = queue_of(tmp_path)
    assert found is not None
    assert (found.kind.kind, found.cluster) == ("PBS", None)
