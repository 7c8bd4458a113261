"""
The launcher: what is READY for a worker becomes jobs of its queue, up to its cap.

Each look asks the control document first, then the queue, and only then takes
Fireworks: where the queue does not answer, nothing is reserved. A queue that refuses is
tried again, later and later; after an hour or so the worker is paused with the
queue's own words, and the launcher waits until somebody resumes it.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.database.locks import exclusive
from hts_battery.connections.launchpad.reservations import (
    Reservation,
    give_back,
    jobs_in_queue,
    ready,
    reserve,
)
from hts_battery.connections.processes import host_name
from hts_battery.connections.records.worker_controls import (
    change_worker_control,
    pause_worker,
    read_worker_control,
)
from hts_battery.connections.workers.launch import LOCAL, launch_ready
from hts_battery.errors import QueueRefusalError, StoreError, SubmissionError
from hts_battery.schemas.worker_control import LauncherState, PausedBy

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tenacity import RetryCallState

    from hts_battery.connections.database.locks import Lease
    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.connections.launchpad.queue_worker import QueueWorker
    from hts_battery.connections.launchpad.scheduler import Scheduler
    from hts_battery.schemas.worker_control import WorkerControl

logger = logging.getLogger(__name__)

JOBS = 20
"""Most jobs of a worker in its queue, where nobody says otherwise."""
TRIES = 16
"""Looks in a row that may fail before the worker is paused: about an hour."""
LOCK = "launcher of {}"
"""Name of the lock that the launcher of a worker holds."""
_SHORTEST_S, _LONGEST_S = 5.0, 300.0
_REFUSED_IN_A_ROW = 3
"""Refusals of one look after which the queue itself, and no single job, is at fault."""
_FAILURES = (QueueRefusalError, StoreError, OSError)


class Round(NamedTuple):
    """What one look of a launcher did."""

    submitted: tuple[str, ...] = ()
    """Numbers of the jobs that were submitted."""
    queued: int = 0
    """Jobs of this worker in its queue afterwards."""
    refused: tuple[str, ...] = ()
    """What the queue said of Fireworks that it did not take while it took others."""
    paused: str | None = None
    """Why nothing was submitted, where the worker is paused."""


class _Unsure(NamedTuple):
    """A job of which nobody knows whether the queue took it."""

    reservation: Reservation
    name: str
    folder: Path


@dataclass
class Launcher:
    """
    Submits what is READY for one worker.

    Parameters
    ----------
    worker
        The rendered worker.
    stores, launchpad
        Open, of one database.
    launches
        Folder in which its jobs run, each in a folder of its own.
    scheduler
        Its queue.
    jobs
        Most jobs of it in the queue; the control document may say another number.
    tries
        Looks in a row that may fail before the worker is paused.
    sleep
        Waits some seconds.
    say
        Told in a line what changed.
    """

    worker: QueueWorker
    stores: Stores
    launchpad: ExactLaunchPad
    launches: Path
    scheduler: Scheduler
    jobs: int = JOBS
    tries: int = TRIES
    sleep: Callable[[float], None] = time.sleep
    say: Callable[[str], None] = logger.info
    submitted: int = 0
    _refusals: int = 0
    _refused: dict[int, str] = field(default_factory=dict)
    _unsure: list[_Unsure] = field(default_factory=list)
    _shown: str = ""

    def once(self) -> Round:
        """
        Look once, and submit what there is.

        Raises
        ------
        QueueRefusalError
            If the queue refused a job or does not answer, in its own words.
        SubmissionError
            If the worker is paused.
        StoreError
            If the database went away.
        """
        with self._alone():
            try:
                done = self.look()
            except _FAILURES as err:
                self._note(err)
                raise
        if done.paused is not None:
            raise SubmissionError(
                f"worker {self.worker.name} is paused: {done.paused} (`hts worker "
                f"resume {self.worker.name}` goes on)"
            )
        if done.refused:
            raise QueueRefusalError("submitted others, not these", done.refused[0])
        return done

    def run(self, *, looks: int | None = None) -> None:
        """
        Look again and again, whatever happens; for ever, or some times.

        Raises
        ------
        BusyError
            If another launcher of this worker runs.
        """
        with self._alone() as lease:
            while looks is None or looks > 0:
                lease.check()
                looks = None if looks is None else looks - 1
                self._survive()
                self.sleep(self.worker.pause_seconds)

    def _alone(self) -> AbstractContextManager[Lease]:
        name = self.worker.name
        holder = f"hts launchpad launch {name}"
        return exclusive(self.stores, LOCK.format(name), holder=holder)

    def _survive(self) -> None:
        """Look until it works; pause the worker where it does not for too long."""
        retrying = Retrying(
            retry=retry_if_exception_type(_FAILURES),
            wait=wait_exponential(_SHORTEST_S, max=_LONGEST_S, min=_SHORTEST_S),
            stop=stop_after_attempt(self.tries),
            sleep=self.sleep,
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            self._show(retrying(self.look))
        except StoreError as err:
            # There is nowhere to write a pause; it goes on when the database is back.
            logger.error("%s; looking again", err)  # noqa: TRY400 - the message says it all
        except (QueueRefusalError, OSError) as err:
            self._give_up(err)

    def _tell(self, call: RetryCallState) -> None:
        """Say what went wrong before it is tried again, and write it down."""
        err = call.outcome.exception() if call.outcome is not None else None
        wait = call.next_action.sleep if call.next_action is not None else 0.0
        logger.warning("%s; looking again in %.0f s", err, wait)
        if err is not None:
            self._note(err)

    def _note(self, err: BaseException) -> None:
        """Write down what a queue or a file system said; not where nobody can."""
        self._refusals += 1
        words = err.words if isinstance(err, QueueRefusalError) else str(err)
        try:
            self._write(words=words)
        except StoreError as gone:
            logger.debug("not written down: %s", gone)

    def _give_up(self, err: Exception) -> None:
        reason = f"{err} ({self.tries} times in a row)"
        name = self.worker.name
        try:
            self._write(words=str(err))
            pause_worker(self.stores, name, reason, PausedBy.LAUNCHER)
        except StoreError as gone:
            logger.error("%s", gone)  # noqa: TRY400 - the message says it all
            return
        logger.error(
            "worker %s is paused: %s. Put it right, then `hts worker resume %s`",
            name,
            reason,
            name,
        )

    def _show(self, done: Round) -> None:
        """Print a line when something changed."""
        if done.paused is not None:
            text = f"paused: {done.paused}"
        elif done.submitted:
            text = f"submitted {', '.join(done.submitted)}; {done.queued} in the queue"
        else:
            text = f"nothing to submit; {done.queued} in the queue"
        for words in done.refused:
            logger.warning("refused: %s", words)
        if text != self._shown:
            self.say(f"{self.worker.name}: {text}")
        self._shown = text

    def look(self) -> Round:
        """Look once: settle what is unsure, then submit what there is room for."""
        with translated_outages(
            self.stores.database.uri, f"launching for {self.worker.name}"
        ):
            control = read_worker_control(self.stores, self.worker.name)
            if not control.may_submit:
                self._write(words=control.reason)
                return Round(paused=control.reason or "an operator asked for it")
            self.scheduler.jobs()  # nothing is reserved where it does not answer
            self._settle()
            return self._submit(control)

    def plan(self) -> tuple[list[int], str | None]:
        """Return what the next look would submit, or why nothing; write nothing."""
        control = read_worker_control(self.stores, self.worker.name)
        if not control.may_submit:
            return [], control.reason or "an operator asked for it"
        return self._waiting(control)[1], None

    def _waiting(self, control: WorkerControl) -> tuple[int, list[int]]:
        """Count the jobs in the queue, and choose what there is room for."""
        cap = self.jobs if control.cap is None else control.cap
        queued = jobs_in_queue(self.launchpad, self.worker.name)
        room = max(0, cap - queued)
        if not room:
            return queued, []
        return queued, ready(self.launchpad, self.worker, room, last=self._refused)

    def _submit(self, control: WorkerControl) -> Round:
        queued, waiting = self._waiting(control)
        numbers: list[str] = []
        refused: dict[int, str] = {}
        for fw_id in waiting:
            try:
                number = self._submit_one(fw_id, control)
            except QueueRefusalError as err:
                refused[fw_id] = f"Firework {fw_id}: {err}"
                if err.may_have_it or len(refused) >= _REFUSED_IN_A_ROW:
                    break
                continue
            if number is not None:
                numbers.append(number)
                self.sleep(self.worker.update_seconds)
        self._refused = refused
        self.submitted += len(numbers)
        if refused and not numbers:
            words = next(iter(refused.values()))
            raise QueueRefusalError(f"queue of {self.worker.name}", words)
        self._refusals = 0
        queued += len(numbers)
        self._write(queued=queued, words=next(iter(refused.values()), ""))
        return Round(tuple(numbers), queued, tuple(refused.values()))

    def submit_one(self, fw_id: int) -> str | None:
        """
        Submit one READY Firework, whatever the cap; return the number of its job.

        None if somebody else had taken it. QueueRefusalError in the queue's words.
        """
        control = read_worker_control(self.stores, self.worker.name)
        return self._submit_one(fw_id, control)

    def _submit_one(self, fw_id: int, control: WorkerControl) -> str | None:
        """Reserve one Firework and submit its job; none if it was gone."""
        folder = self._folder(fw_id)
        taken = reserve(self.launchpad, self.worker, fw_id, folder, host_name())
        if taken is None:
            folder.rmdir()
            return None
        name = self.worker.job_name(*taken)
        try:
            script = folder / self.worker.script_name
            text = self.worker.script(
                taken.firework, name, folder, control.exclude_nodes
            )
            script.write_text(text, encoding="utf-8")
            number = self.scheduler.submit(script)
        except QueueRefusalError as err:
            number = self._after_refusal(err, _Unsure(taken, name, folder))
        except BaseException:
            self._release(taken, folder)
            raise
        self.launchpad.set_reservation_id(taken.launch_id, number)
        return number

    def _after_refusal(self, err: QueueRefusalError, job: _Unsure) -> str:
        """Return the number of a job that was taken all the same; else give it back."""
        found = self.scheduler.named(job.name) if err.may_have_it else frozenset()
        if found:
            logger.warning("%s; it has the job all the same", err)
            return min(found, key=int)
        if found is None:
            # It stays reserved: nobody may run it a second time until it is known.
            self._unsure.append(job)
        else:
            self._release(job.reservation, job.folder)
        raise QueueRefusalError(
            "submitting", err.words, may_have_it=found is None
        ) from None

    def _settle(self) -> None:
        """Ask for the jobs of which it was not known whether the queue took them."""
        for job in list(self._unsure):
            found = self.scheduler.named(job.name)
            if found is None:
                continue
            if found:
                number = min(found, key=int)
                self.launchpad.set_reservation_id(job.reservation.launch_id, number)
            else:
                self._release(job.reservation, job.folder)
            self._unsure.remove(job)

    def _release(self, taken: Reservation, folder: Path) -> None:
        if give_back(self.launchpad, taken):
            shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, fw_id: int) -> Path:
        """Make a launch folder before anything is reserved: a full disk says so."""
        day = self.launches / f"{datetime.now(UTC):%Y-%m-%d}"
        day.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"fw{fw_id}_", dir=day))

    def _write(self, *, queued: int | None = None, words: str = "") -> None:
        """Write down that the launcher looks, and what it was told."""
        state = LauncherState(
            host=host_name(),
            pid=os.getpid(),
            looked_at=datetime.now(UTC),
            queued=queued or 0,
            submitted=self.submitted,
            refusals=self._refusals,
            words=words,
        )
        change_worker_control(
            self.stores, self.worker.name, launcher=state.model_dump(mode="json")
        )


@dataclass
class LocalLauncher(Launcher):
    """
    The launcher of the worker that has no queue: its rockets run here, one by one.

    Rockets take whatever is ready until nothing is; ``jobs`` does not limit them.
    """

    def _submit(self, control: WorkerControl) -> Round:
        queued, waiting = self._waiting(control)
        if waiting:
            try:
                launch_ready(LOCAL, self.worker.config, self.launches, jobs=1)
            except SubmissionError as err:
                raise QueueRefusalError("rlaunch", str(err)) from None
        self._refusals = 0
        self.submitted += len(waiting)
        self._write(queued=queued)
        return Round(queued=queued)


class NoQueue:
    """The queue of the worker that has none."""

    def jobs(self) -> frozenset[str]:
        """Nothing waits in it."""
        return frozenset()

    def submit(self, script: Path) -> str:
        """Refuse: rockets run here."""
        raise QueueRefusalError(str(script), "the worker local has no queue")

    def named(self, name: str) -> frozenset[str] | None:
        """Nothing is named so."""
        del name
        return frozenset()

    def withdraw(self, job: str) -> None:
        """There is nothing to cancel."""


def launcher_of(
    worker: QueueWorker,
    stores: Stores,
    launchpad: ExactLaunchPad,
    launches: Path,
    **options: Any,  # noqa: ANN401 - those of a launcher
) -> Launcher:
    """Return the launcher of a worker, with a queue or without."""
    if worker.name == LOCAL:
        return LocalLauncher(worker, stores, launchpad, launches, NoQueue(), **options)
    return Launcher(worker, stores, launchpad, launches, worker.scheduler, **options)
