from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fireworks import FWorker
from rocket_jobs import add

from hts_battery.connections.launchpad.cancellation import Queues, cancel_queue_jobs
from hts_battery.connections.launchpad.checkout import CAMPAIGN
from hts_battery.connections.launchpad.launchpad import open_launchpad, submit
from hts_battery.connections.launchpad.queues import JobAnswer, cancel_job, queue_kinds
from hts_battery.schemas.cancellation import CancelState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.connections.launchpad.queues import QueueKind

KINDS = {kind.kind: kind for kind in queue_kinds()}


@pytest.mark.parametrize(
    ("kind", "queue_id", "cluster", "expected"),
    [
        ("SLURM", "4711", None, "scancel 4711"),
        ("SLURM", "4711", "second", "scancel -M second 4711"),
        ("PBS", "4711.server", None, "qdel 4711.server"),
        ("SGE", "4711", None, "qdel 4711"),
        ("LoadSharingFacility", "4711", None, "bkill 4711"),
    ],
)
def test_each_queue_is_told_in_its_own_words(
    tmp_path: Path, kind: str, queue_id: str, cluster: str | None, expected: str
) -> None:
    # Named as the real program, writes down what it was asked.
    name = expected.split(maxsplit=1)[0]
    program = tmp_path / name
    program.write_text(f'#!/bin/sh\necho "$(basename $0) $@" >> {tmp_path}/asked\n')
    program.chmod(0o700)
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    found = KINDS[kind].model_copy(
        update={"withdraw": (str(program), *KINDS[kind].withdraw[1:])}
    )
    assert cancel_job(found, queue_id, cluster, environment=path) is None
    assert (tmp_path / "asked").read_text().strip() == expected


def test_what_a_queue_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    program = tmp_path / "scancel"
    program.write_text("#!/bin/sh\necho 'Access/permission denied' >&2\nexit 1\n")
    program.chmod(0o700)
    kind = KINDS["SLURM"].model_copy(update={"withdraw": (str(program), "{job}")})
    assert cancel_job(kind, "1", None) == "Access/permission denied"
    gone = KINDS["SLURM"].model_copy(update={"withdraw": ("no-such-program", "{job}")})
    assert "cannot ask" in (cancel_job(gone, "1", None) or "")
    pbs = KINDS["PBS"]
    assert "cannot reach the cluster far" in (cancel_job(pbs, "1", "far") or "")


class FakeQueues:
    """A queue that is told what to answer, and remembers what it was asked."""

    def __init__(self, answer: JobAnswer, refusal: str | None = None) -> None:
        self.answer, self.refusal = answer, refusal
        self.cancelled: list[tuple[str, str | None]] = []

    def cancel(
        self, _kind: QueueKind, queue_id: str, cluster: str | None
    ) -> str | None:
        self.cancelled.append((queue_id, cluster))
        return self.refusal

    def ask(self, _kind: QueueKind, _id: str, _cluster: str | None) -> JobAnswer:
        return self.answer

    def __call__(self) -> Queues:
        return Queues(self.cancel, self.ask, lambda _kind: "here", patience=0.0)


@pytest.fixture
def launchpad(stores: Stores) -> Iterator[ExactLaunchPad]:
    with open_launchpad(stores.database) as opened:
        yield opened


def _insert(
    launchpad: ExactLaunchPad,
    folder: Path,
    fw_id: int,
    state: str,
    *,
    number: str | None = "4711",
    script: str = "#SBATCH --nodes=1",
) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "FW_submit.script").write_text(f"#!/bin/sh\n{script}\n")
    ((known,),) = (ids.values() for ids in submit([add(1, 2)], launchpad, "w"))
    assert known == fw_id
    launchpad.fireworks.update_one(
        {"fw_id": fw_id}, {"$set": {f"spec.{CAMPAIGN}": "small"}}
    )
    worker = FWorker(name="w")
    taken = launchpad.reserve_fw(worker, str(folder), fw_id=fw_id)
    assert taken is not None
    launch_id = taken[1]
    history = launchpad.launches.find_one({"launch_id": launch_id})["state_history"]
    history[-1]["reservation_id"] = number
    changes: dict[str, Any] = {"state_history": history, "launch_dir": str(folder)}
    if state == "RUNNING":
        history.append({**history[-1], "state": "RUNNING"})
        changes["state"] = state
        launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"state": state}})
        launchpad.workflows.update_one(
            {"nodes": fw_id}, {"$set": {f"fw_states.{fw_id}": state}}
        )
    launchpad.launches.update_one({"launch_id": launch_id}, {"$set": changes})


def _state(launchpad: ExactLaunchPad, fw_id: int) -> str:
    return str(launchpad.fireworks.find_one({"fw_id": fw_id})["state"])


pytestmark = pytest.mark.mongo


@pytest.mark.parametrize("state", ["RESERVED", "RUNNING"])
def test_a_job_that_is_gone_leaves_its_firework_free(
    launchpad: ExactLaunchPad, tmp_path: Path, state: str
) -> None:
    _insert(launchpad, tmp_path / "a", 1, state)
    queues = FakeQueues(JobAnswer.GONE)
    (found,) = cancel_queue_jobs(launchpad, "small", queues=queues())
    assert (found.queue_id, found.state, found.running) == (
        "4711",
        CancelState.CANCELLED,
        state == "RUNNING",
    )
    assert queues.cancelled == [("4711", None)]
    assert _state(launchpad, 1) == "READY"


@pytest.mark.parametrize(
    ("answer", "refusal", "expected"),
    [
        (JobAnswer.KNOWN, None, CancelState.ASKED),
        (JobAnswer.KNOWN, "permission denied", CancelState.REFUSED),
        (JobAnswer.NO_ANSWER, "controller away", CancelState.REFUSED),
        # It had ended by itself: what scancel says of it is no matter.
        (JobAnswer.GONE, "Invalid job id", CancelState.CANCELLED),
    ],
)
def test_what_its_queue_still_knows_is_left_to_recovery(
    launchpad: ExactLaunchPad,
    tmp_path: Path,
    answer: JobAnswer,
    refusal: str | None,
    expected: CancelState,
) -> None:
    _insert(launchpad, tmp_path / "a", 1, "RUNNING")
    queues = FakeQueues(answer, refusal)
    (found,) = cancel_queue_jobs(launchpad, "small", queues=queues())
    assert found.state is expected
    gone = expected is CancelState.CANCELLED
    assert found.words == ("" if gone or refusal is None else refusal)
    assert _state(launchpad, 1) == ("READY" if gone else "RUNNING")


def test_several_rockets_of_one_job_are_ended_once(
    launchpad: ExactLaunchPad, tmp_path: Path
) -> None:
    for fw_id in (1, 2):
        _insert(launchpad, tmp_path / f"{fw_id}", fw_id, "RUNNING")
    queues = FakeQueues(JobAnswer.GONE)
    (found,) = cancel_queue_jobs(launchpad, "small", queues=queues())
    assert found.fw_ids == (1, 2)
    assert len(queues.cancelled) == 1


def test_another_cluster_is_named_and_this_one_is_not(
    launchpad: ExactLaunchPad, tmp_path: Path
) -> None:
    script = "#SBATCH --clusters={}".format
    _insert(launchpad, tmp_path / "a", 1, "RESERVED", script=script("far"))
    _insert(
        launchpad, tmp_path / "b", 2, "RESERVED", number="12", script=script("here")
    )
    queues = FakeQueues(JobAnswer.GONE)
    cancel_queue_jobs(launchpad, "small", queues=queues())
    assert queues.cancelled == [("4711", "far"), ("12", None)]


def test_what_runs_may_be_kept_and_a_dry_run_does_nothing(
    launchpad: ExactLaunchPad, tmp_path: Path
) -> None:
    _insert(launchpad, tmp_path / "a", 1, "RUNNING", number="1")
    _insert(launchpad, tmp_path / "b", 2, "RESERVED", number="2")
    queues = FakeQueues(JobAnswer.GONE)
    planned = cancel_queue_jobs(launchpad, "small", dry_run=True, queues=queues())
    assert [one.state for one in planned] == [CancelState.PLANNED] * 2
    assert not queues.cancelled
    (kept,) = cancel_queue_jobs(launchpad, "small", keep_running=True, queues=queues())
    assert kept.fw_ids == (2,)
    assert _state(launchpad, 1) == "RUNNING"


@pytest.mark.parametrize(
    ("number", "script", "words"),
    [
        (None, "#SBATCH", "no number of a queue job"),
        ("4711", "echo nothing", "there is no submission script"),
    ],
)
def test_what_nobody_can_end_is_said(
    launchpad: ExactLaunchPad,
    tmp_path: Path,
    number: str | None,
    script: str,
    words: str,
) -> None:
    _insert(launchpad, tmp_path / "a", 1, "RESERVED", number=number, script=script)
    (found,) = cancel_queue_jobs(
        launchpad, "small", queues=FakeQueues(JobAnswer.GONE)()
    )
    assert found.state is CancelState.UNREACHABLE
    assert words in found.words
    assert _state(launchpad, 1) == "RESERVED"


def test_other_campaigns_are_left_alone(
    launchpad: ExactLaunchPad, tmp_path: Path
) -> None:
    _insert(launchpad, tmp_path / "a", 1, "RUNNING")
    assert cancel_queue_jobs(launchpad, "other") == []
