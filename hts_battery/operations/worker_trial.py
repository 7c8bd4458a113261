"""`hts worker test`: a real job of each stage through the real queue."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hts_battery.connections.database.clients import redact
from hts_battery.connections.launchpad.ended_runs import last_words
from hts_battery.connections.launchpad.launchpad import submit
from hts_battery.connections.launchpad.trials import read_trial, remove_trial
from hts_battery.connections.queue_job import job_number
from hts_battery.connections.workers.launch import LOCAL
from hts_battery.dispatch.offline import ingest
from hts_battery.errors import ConfigurationError, QueueRefusalError
from hts_battery.flows.recipes.worker_check import STAGE, worker_check_flows
from hts_battery.schemas.worker_trial import StageResult, StageState, WorkerTrialReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from hts_battery.connections.launchpad.trials import TrialRun
    from hts_battery.dispatch.launcher import Launcher

POLL_SECONDS = 1.0
_GRACE = 5
"""Looks in a row at which a job is not in the queue before it counts as gone."""
_ENDED = frozenset({StageState.DONE, StageState.FAILED, StageState.NOT_RUN})


@dataclass
class WorkerTrial:
    """
    The test of one worker.

    Parameters
    ----------
    launcher
        Launcher of the worker; it submits the jobs of the test and no others.
    engines
        Engines that are to relax a small cell.
    offline_folder
        Where an offline worker leaves its outputs.
    timeout
        Time in s after which what has not ended counts as not run.
    sleep, clock
        Wait some seconds; the time in s.
    """

    launcher: Launcher
    engines: Sequence[str]
    offline_folder: Path
    timeout: float = 3600.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _missing: dict[int, int] = field(default_factory=dict)
    _refused: dict[int, str] = field(default_factory=dict)

    def run(
        self, tell: Callable[[StageResult], None] = lambda _result: None
    ) -> WorkerTrialReport:
        """
        Send a job of each stage, wait for them, and remove everything again.

        ``tell`` is told of each stage when it has ended.

        Raises
        ------
        ConfigurationError
            If the worker has no queue.
        """
        launcher = self.launcher
        if launcher.worker.name == LOCAL:
            raise ConfigurationError(
                "the worker local has no queue to be tested: `hts campaign run` "
                "computes here"
            )
        offline = launcher.worker.is_offline
        flows = worker_check_flows(self.engines, reads=not offline)
        numbers = submit(flows, launcher.launchpad, launcher.worker.name)
        roots = [min(one.values()) for one in numbers]
        told: dict[int, StageResult] = {}
        try:
            results = self._wait(roots, told, tell)
        finally:
            removed = self._remove(roots)
        return WorkerTrialReport(
            worker=launcher.worker.name, stages=tuple(results), removed=removed
        )

    def _wait(
        self,
        roots: Sequence[int],
        told: dict[int, StageResult],
        tell: Callable[[StageResult], None],
    ) -> list[StageResult]:
        deadline = self.clock() + self.timeout
        while True:
            results = [one for root in roots for one in self._look(root)]
            over = self.clock() >= deadline
            if over:
                results = [_timed_out(one) for one in results]
            for one in results:
                if one.state in _ENDED and one.fw_id not in told:
                    told[one.fw_id] = one
                    tell(one)
            if all(one.state in _ENDED for one in results):
                return results
            self.sleep(POLL_SECONDS)

    def _look(self, root: int) -> list[StageResult]:
        """Submit what is ready of one workflow, and see how all of it stands."""
        launcher = self.launcher
        if launcher.worker.is_offline:
            ingest(self.offline_folder, launcher.stores, launcher.launchpad)
        for run in read_trial(launcher.launchpad, root, STAGE):
            if run.state == "READY" and not run.launches:
                self._submit(run.fw_id)
        runs = read_trial(launcher.launchpad, root, STAGE)
        listed = self._listed()
        results = [self._result(run, listed) for run in runs]
        if any(one.state is StageState.FAILED for one in results):
            # What follows it would wait for ever.
            results = [
                one.model_copy(update={"state": StageState.NOT_RUN})
                if run.state == "WAITING"
                else one
                for run, one in zip(runs, results, strict=True)
            ]
        return results

    def _submit(self, fw_id: int) -> None:
        try:
            self.launcher.submit_one(fw_id)
        except (QueueRefusalError, OSError) as err:
            self._refused[fw_id] = str(err)
        else:
            self._refused.pop(fw_id, None)

    def _listed(self) -> frozenset[str] | None:
        try:
            return self.launcher.scheduler.jobs()
        except QueueRefusalError:
            return None

    def _result(self, run: TrialRun, listed: frozenset[str] | None) -> StageResult:
        state, words = self._state(run, listed)
        if state is StageState.FAILED and not words and run.folder is not None:
            words = last_words(run.folder) or "it left no word"
        return StageResult(
            stage=run.tag or run.name,
            fw_id=run.fw_id,
            state=state,
            queue_id=run.queue_id,
            host=run.host if run.began else None,
            waited=_seconds(run.reserved, run.began),
            ran=_seconds(run.began, run.ended),
            words=redact(words),
            folder=None if run.folder is None else str(run.folder),
        )

    def _state(
        self, run: TrialRun, listed: frozenset[str] | None
    ) -> tuple[StageState, str]:
        if run.state == "COMPLETED":
            return StageState.DONE, ""
        if run.state == "FIZZLED":
            return StageState.FAILED, run.error
        if run.fw_id in self._refused:
            return StageState.FAILED, self._refused[run.fw_id]
        if run.state == "READY" and run.launches:
            return StageState.FAILED, ""  # lost, and a feeder has put it back
        if run.state in {"RESERVED", "RUNNING"} and self._is_gone(run, listed):
            return StageState.FAILED, ""
        running = run.state == "RUNNING"
        return (StageState.RUNS if running else StageState.WAITS), ""

    def _is_gone(self, run: TrialRun, listed: frozenset[str] | None) -> bool:
        """Say whether the queue does not know a job any more, look after look."""
        number = job_number(run.queue_id)
        if listed is None or number is None or number in listed:
            self._missing[run.fw_id] = 0
            return False
        self._missing[run.fw_id] = self._missing.get(run.fw_id, 0) + 1
        return self._missing[run.fw_id] >= _GRACE

    def _remove(self, roots: Sequence[int]) -> bool:
        """Remove jobs, Fireworks, outputs and folders; say whether all are gone."""
        launcher = self.launcher
        runs = [
            run for root in roots for run in read_trial(launcher.launchpad, root, STAGE)
        ]
        listed = self._listed() or frozenset()
        gone = True
        for run in runs:
            number = job_number(run.queue_id)
            if number in listed:
                try:
                    launcher.scheduler.withdraw(str(number))
                except QueueRefusalError:
                    gone = False
        for root in roots:
            remove_trial(launcher.launchpad, root)
        uuids = [run.uuid for run in runs if run.uuid is not None]
        launcher.stores.job_store.remove_docs({"uuid": {"$in": uuids}})
        for run in runs:
            if run.folder is not None and launcher.launches in run.folder.parents:
                shutil.rmtree(run.folder, ignore_errors=True)
        return gone


def _timed_out(result: StageResult) -> StageResult:
    if result.state in _ENDED:
        return result
    words = f"the time was over; its job {result.state}"
    return result.model_copy(update={"state": StageState.NOT_RUN, "words": words})


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    if begin is None or end is None:
        return None
    return max(0.0, (end - begin).total_seconds())
