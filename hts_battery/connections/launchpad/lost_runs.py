"""Fireworks that nobody works on any more: found, put back or given up."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fireworks import FWAction

from hts_battery.connections.launchpad.checkout import CAMPAIGN
from hts_battery.connections.launchpad.queues import (
    JobAnswer,
    QueueKind,
    asked_job,
    listed_jobs,
    queue_of,
    this_cluster,
)
from hts_battery.connections.launchpad.workflows import (
    last_sign,
    launch_document,
    queue_number,
    utc,
)
from hts_battery.connections.processes import ProcessState, process_state
from hts_battery.connections.queue_job import job_number
from hts_battery.connections.records.launch_files import mark_of
from hts_battery.errors import DatabaseOutageError
from hts_battery.schemas.launchpad_rows import job_uuid, stored_data
from hts_battery.schemas.recovery import LossReason, LostRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from fireworks import LaunchPad

    from hts_battery.schemas.launch import LaunchMark
    from hts_battery.schemas.launchpad_rows import ActionRow, FireworkRow, LaunchRow
    from hts_battery.schemas.recovery import LeftAction

ACTIVE = ("RUNNING", "RESERVED")
_ENDED = ("COMPLETED", "FIZZLED")
_FIREWORK_FIELDS = (
    "fw_id",
    "name",
    "state",
    "launches",
    "archived_launches",
    "updated_on",
    "spec._tasks.job.uuid",
    "spec.step",
    f"spec.{CAMPAIGN}",
)
GRACE_SECONDS = 120.0
"""How long a queue is given to know a job that it took."""
_INTERVALS = 3  # of pings: one may be late, and the next one, too
_PINGS_OF_SILENCE = 4  # as the setting says what it is
_OFFLINE, _PING = "FW_offline.json", "FW_ping.json"  # FireWorks' own, without database
_CHECKOUT = timedelta(minutes=10)
"""Longer than any rocket needs from taking a Firework to writing down its launch."""


@dataclass(frozen=True)
class Witnesses:
    """Everything that is known of a launch that somebody should be working on."""

    state: str
    """RUNNING, or RESERVED: its queue job has not begun."""
    silent: float
    """Seconds since its last sign of life."""
    process: ProcessState = ProcessState.UNKNOWN
    """Its rocket, where that would be seen from here."""
    is_listed: bool | None = None
    """Whether its queue lists its job; none where the listing says nothing of it."""
    answer: JobAnswer = JobAnswer.CANNOT_ASK
    """What the queue says of the job by its number."""
    has_number: bool = False
    """Whether the number of its queue job is known at all."""


def loss_reason(seen: Witnesses, *, recent: float, silence: float) -> LossReason | None:
    """
    Say by what a launch is known to be lost; none if it is not, or nobody knows.

    ``recent``: a sign of life younger than this in s outweighs what a queue says of a
    number. ``silence``: so long without one a launch that runs is lost where neither
    its queue nor its process can be asked.
    """
    is_there = seen.process in {ProcessState.ALIVE, ProcessState.STOPPED}
    if is_there or seen.is_listed:
        return None
    if seen.process is ProcessState.GONE:
        return LossReason.PROCESS_GONE
    if seen.silent <= recent:
        return None
    if seen.answer is JobAnswer.GONE:
        return LossReason.QUEUE_JOB_GONE
    # What waits may do so for days, and a queue that does not answer says nothing.
    waits = seen.state == "RESERVED" and seen.has_number
    if seen.answer is not JobAnswer.CANNOT_ASK or waits or seen.silent <= silence:
        return None
    return LossReason.SILENT


@dataclass
class Watcher:
    """
    Looks after every Firework that somebody should be working on.

    Parameters
    ----------
    launchpad
        An open launchpad.
    silence
        Time in s without a sign of life after which a launch is lost, where neither a
        queue nor a process table can say more: four intervals of the slowest pings.
    listed, asked, here
        Ask a queue for its jobs, for one job by its number, and which cluster it is.
    now
        Time of the look.
    grace
        Time in s that a queue is given to know a job that it took.
    """

    launchpad: LaunchPad
    silence: float
    listed: Callable[[QueueKind], frozenset[str] | None] = listed_jobs
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    asked: Callable[[QueueKind, str, str | None], JobAnswer] = asked_job
    here: Callable[[QueueKind], str | None] = this_cluster
    grace: float = GRACE_SECONDS

    def __post_init__(self) -> None:
        self._queues: dict[str, frozenset[str] | None] = {}
        self._clusters: dict[str, str | None] = {}
        self._mute: dict[tuple[str, str | None], JobAnswer] = {}

    def lost(self) -> Iterator[LostRun]:
        """Yield the Fireworks that are RUNNING or RESERVED with nobody behind them."""
        fireworks, launches = self._active()
        for firework in fireworks:
            mine = [launches[one] for one in firework["launches"] if one in launches]
            launch = next((one for one in mine if one["state"] in ACTIVE), None)
            if launch is not None:
                why = self._why(firework, launch)
                if why is not None:
                    yield self._described(firework, launch, why)
            elif not mine and self.now - utc(firework["updated_on"]) > _CHECKOUT:
                yield self._described(firework, None, LossReason.NEVER_LAUNCHED)

    def unnoticed(self) -> Iterator[tuple[int, LaunchRow]]:
        """Yield Fireworks whose launch has ended without their noticing, with it."""
        fireworks, launches = self._active("FIZZLED")
        for firework in fireworks:
            mine = [launches[one] for one in firework["launches"] if one in launches]
            for launch in mine[-1:]:
                # FireWorks calls a Firework failed when it could not refresh it.
                ended = ("COMPLETED",) if firework["state"] == "FIZZLED" else _ENDED
                late = self.now - last_sign(launch) > timedelta(minutes=1)
                if launch["state"] in ended and late:
                    yield firework["fw_id"], launch

    def failed_by_outage(self) -> Iterator[LostRun]:
        """Yield Fireworks that failed because the database was away."""
        for firework in self.launchpad.fireworks.find(
            {"state": "FIZZLED"}, list(_FIREWORK_FIELDS)
        ):
            for launch in self._launches(firework["launches"][-1:]).values():
                if is_outage(launch.get("action")):
                    yield self._described(firework, launch, LossReason.SILENT)

    def _active(self, *more: str) -> tuple[list[FireworkRow], dict[int, LaunchRow]]:
        fireworks: list[FireworkRow] = [
            firework
            for state in (*ACTIVE, *more)
            for firework in self.launchpad.fireworks.find(
                {"state": state}, list(_FIREWORK_FIELDS)
            )
        ]
        numbers = [one for firework in fireworks for one in firework["launches"]]
        return fireworks, self._launches(numbers)

    def _launches(self, numbers: Sequence[int]) -> dict[int, LaunchRow]:
        if not numbers:
            return {}
        query = {"launch_id": {"$in": list(numbers)}}
        return {one["launch_id"]: one for one in self.launchpad.launches.find(query)}

    def _why(self, firework: FireworkRow, launch: LaunchRow) -> LossReason | None:
        """Say by what a launch is known to be lost; none if it is not."""
        folder = Path(launch["launch_dir"])
        if _has_ended_offline(folder):
            return None  # its result waits to be taken in
        mark = mark_of(folder, firework["fw_id"])
        silent = (self.now - self._last_sign(launch)).total_seconds()
        recent = self._recent(launch)
        process = _process_of(mark, launch)
        seen = Witnesses(launch["state"], silent, process)
        if process is not ProcessState.GONE and silent <= recent:
            return None  # whatever a queue may say of a number
        return loss_reason(
            self._with_queue(seen, folder, launch, mark),
            recent=recent,
            silence=self.silence,
        )

    def _recent(self, launch: LaunchRow) -> float:
        """Return how young a sign of life outweighs what a queue says."""
        if launch["state"] == "RESERVED":
            return self.grace
        slowest = self.silence / _PINGS_OF_SILENCE
        told = [
            one["hts_ping_seconds"]
            for one in launch["state_history"]
            if one.get("hts_ping_seconds")
        ]
        return _INTERVALS * min(float(told[-1]) if told else slowest, slowest)

    def _with_queue(
        self, seen: Witnesses, folder: Path, launch: LaunchRow, mark: LaunchMark | None
    ) -> Witnesses:
        """Ask the queue of a launch for its job: by the listing, then by its number."""
        queue_id, queue = queue_number(launch, mark), queue_of(folder)
        number = job_number(queue_id)
        if queue_id is None or number is None:
            return seen
        seen = replace(seen, has_number=True)
        if queue is None or not _is_ours(folder):
            return seen  # another user's jobs may be hidden
        kind = queue.kind
        cluster = (mark.cluster if mark is not None else None) or queue.cluster
        if cluster is not None and cluster == self._cluster(kind):
            cluster = None
        if cluster is None:  # of another cluster the listing here says nothing
            jobs = self._listing(kind)
            if jobs is not None:
                seen = replace(seen, is_listed=number in jobs)
        if seen.is_listed or seen.process is ProcessState.GONE:
            return seen
        return replace(seen, answer=self._answer(kind, queue_id, cluster))

    def _listing(self, kind: QueueKind) -> frozenset[str] | None:
        if kind.kind not in self._queues:
            self._queues[kind.kind] = self.listed(kind)
        return self._queues[kind.kind]

    def _cluster(self, kind: QueueKind) -> str | None:
        if kind.kind not in self._clusters:
            self._clusters[kind.kind] = self.here(kind)
        return self._clusters[kind.kind]

    def _answer(self, kind: QueueKind, queue_id: str, cluster: str | None) -> JobAnswer:
        """Ask for a job; a queue that did not answer is not asked again at once."""
        place = kind.kind, cluster
        if place in self._mute:
            return self._mute[place]
        answer = self.asked(kind, queue_id, cluster)
        if answer in {JobAnswer.NO_ANSWER, JobAnswer.CANNOT_ASK}:
            self._mute[place] = answer
        return answer

    def _last_sign(self, launch: LaunchRow) -> datetime:
        sign = last_sign(launch)
        try:
            pinged = (Path(launch["launch_dir"]) / _PING).stat().st_mtime
        except OSError:
            return sign
        return max(sign, datetime.fromtimestamp(pinged, UTC))

    def _described(
        self, firework: FireworkRow, launch: LaunchRow | None, why: LossReason
    ) -> LostRun:
        spec = firework.get("spec") or {}
        sign = utc(firework["updated_on"])
        if launch is not None:
            sign = self._last_sign(launch)
        lost = LostRun(
            fw_id=firework["fw_id"],
            name=firework["name"],
            state=firework["state"],
            why=why,
            seconds=max(0.0, (self.now - sign).total_seconds()),
            last_ping=sign,
            job_uuid=job_uuid(spec),
            step=spec.get("step"),
            campaign=spec.get("hts_campaign"),
        )
        if launch is None:
            return lost
        seen = launch_document(launch, self.now)
        mark = mark_of(Path(launch["launch_dir"]), firework["fw_id"])
        return lost.model_copy(
            update={
                "launch_id": seen.launch_id,
                "launch_state": seen.state,
                "worker": seen.worker,
                "host": seen.host,
                "folder": seen.folder,
                "queue_id": queue_number(launch, mark),
                "started": seen.started,
            }
        )


def is_outage(action: ActionRow | None) -> bool:
    """Say whether the action of a launch is the error that its database was away."""
    details = (stored_data(action).get("_exception") or {}).get("_details") or {}
    return details.get("error_class") == DatabaseOutageError.__name__


def _process_of(mark: LaunchMark | None, launch: LaunchRow) -> ProcessState:
    """
    Look for the process of a launch: by its mark, or as its rocket began.

    A rocket that is there may have left this launch for others: without a mark of the
    run only its end says something.
    """
    if mark is not None:
        return process_state(mark.host, mark.pid, mark.process, mark.scope)
    began = [
        one["hts_process"] for one in launch["state_history"] if one.get("hts_process")
    ]
    if launch["state"] != "RUNNING" or not began:
        return ProcessState.UNKNOWN
    gone = process_state(**began[-1]) is ProcessState.GONE
    return ProcessState.GONE if gone else ProcessState.UNKNOWN


def _is_ours(folder: Path) -> bool:
    try:
        return folder.stat().st_uid == os.getuid()
    except OSError:
        return False


def _has_ended_offline(folder: Path) -> bool:
    try:
        return '"fwaction"' in (folder / _OFFLINE).read_text("utf-8")
    except OSError:
        return False


def launches_of(launchpad: LaunchPad, fw_id: int) -> list[LaunchRow]:
    """Return every launch of a Firework, the lost ones too, in order."""
    found: Iterable[LaunchRow] = launchpad.launches.find({"fw_id": fw_id})
    return sorted(found, key=lambda one: one["launch_id"])


def put_back(
    launchpad: LaunchPad,
    lost: LostRun,
    note: Mapping[str, object],
    request: Mapping[str, object] | None = None,
) -> bool:
    """
    Let a lost Firework run again; its launches stay counted.

    Its launch keeps the note as ``stored_data``: why it ended. From now on the queue is
    asked for ``request``, if one is given. It is not put back if it moved on meanwhile,
    or its workflow is being changed or is not whole: the next look decides again.
    """
    if is_locked(launchpad, lost.fw_id) or not is_whole(launchpad, lost.fw_id):
        return False
    # Its children must not see it failed, or those that may run without it would.
    if lost.launch_id is not None and not _end_launch(launchpad, lost, note):
        return False
    here = {"fw_id": lost.fw_id, "state": lost.state}
    if launchpad.fireworks.find_one(here, ["fw_id"]) is None:
        return False
    if request:
        launchpad.fireworks.update_one(
            here, {"$set": {"spec._queueadapter": dict(request)}}
        )
    launchpad.rerun_fw(lost.fw_id)
    return True


def _end_launch(
    launchpad: LaunchPad, lost: LostRun, note: Mapping[str, object]
) -> bool:
    """Write down that a launch has ended, in one step, unless it moved on."""
    now = datetime.now(UTC).isoformat()
    ended = launchpad.launches.find_one_and_update(
        {"launch_id": lost.launch_id, "state": lost.launch_state or lost.state},
        {
            "$set": {
                "state": "FIZZLED",
                "action": FWAction(stored_data=dict(note)).to_dict(),
            },
            "$push": {
                "state_history": {
                    "state": "FIZZLED",
                    "created_on": now,
                    "updated_on": (lost.last_ping or datetime.now(UTC)).isoformat(),
                }
            },
        },
    )
    launchpad.forget_offline(lost.launch_id, launch_mode=True)
    return ended is not None


def give_up(launchpad: LaunchPad, lost: LostRun, note: Mapping[str, object]) -> None:
    """Let a lost Firework count as failed; its launch keeps the note."""
    launchpad.forget_offline(lost.launch_id, launch_mode=True)
    launchpad.complete_launch(
        lost.launch_id, FWAction(stored_data=dict(note), exit=True), "FIZZLED"
    )


def complete(launchpad: LaunchPad, left: LeftAction) -> None:
    """Tell a launchpad how a launch ended that could not tell it."""
    action = None if left.action is None else FWAction.from_dict(left.action)
    launch = launchpad.complete_launch(left.launch_id, action, left.state)
    history = launch["state_history"]
    # It took as long as it took, not until somebody found out.
    history[-1]["created_on"] = history[-1]["updated_on"] = left.time.isoformat()
    launchpad.launches.update_one(
        {"launch_id": left.launch_id}, {"$set": {"state_history": history}}
    )


def is_locked(launchpad: LaunchPad, fw_id: int) -> bool:
    """Say whether somebody changes the workflow of a Firework now."""
    found = launchpad.workflows.find_one(
        {"nodes": fw_id, "locked": {"$exists": True}}, ["_id"]
    )
    return found is not None


def is_whole(launchpad: LaunchPad, fw_id: int) -> bool:
    """Say whether the workflow of a Firework has every Firework that it names."""
    workflow = launchpad.workflows.find_one({"nodes": fw_id}, ["nodes"])
    if workflow is None:
        return False
    nodes = workflow["nodes"]
    found = launchpad.fireworks.count_documents({"fw_id": {"$in": nodes}})
    return bool(found == len(nodes))


def has_ended(launchpad: LaunchPad, fw_id: int) -> bool:
    """Say whether nothing of the workflow of a Firework is left to run."""
    workflow = launchpad.workflows.find_one({"nodes": fw_id}, ["fw_states"])
    if workflow is None:
        return True  # it was archived, which comes after the end
    return {"COMPLETED"}.issuperset(workflow["fw_states"].values())


def children_have_not_run(launchpad: LaunchPad, fw_id: int) -> bool:
    """Say whether nothing that follows a Firework has begun."""
    workflow = launchpad.workflows.find_one({"nodes": fw_id}, ["links", "fw_states"])
    if workflow is None:
        return False
    states = [
        workflow["fw_states"][str(child)] for child in workflow["links"][str(fw_id)]
    ]
    return all(state in {"WAITING", "READY"} for state in states)
