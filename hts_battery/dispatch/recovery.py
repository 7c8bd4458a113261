"""
Recovery: what outages, kills and lost nodes left behind is put right, without a human.

The order keeps results from being computed again: outputs on disk go into the store
before anything is put back, and a launch that has ended is completed, not repeated.
Killed anywhere, the next call goes on.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.durable_files import move_aside
from hts_battery.connections.launchpad.lost_runs import (
    GRACE_SECONDS,
    Watcher,
    children_have_not_run,
    complete,
    give_up,
    has_ended,
    is_outage,
    is_whole,
    launches_of,
    put_back,
)
from hts_battery.connections.launchpad.queues import (
    JobAnswer,
    QueueKind,
    asked_job,
    listed_jobs,
    this_cluster,
)
from hts_battery.connections.launchpad.stale_locks import (
    release_locks,
    remove_orphaned_fireworks,
)
from hts_battery.connections.records.launch_files import (
    LEFT_ACTION,
    left_action,
    remove_action,
)
from hts_battery.errors import BrokenFileError, DatabaseOutageError, StoreError
from hts_battery.flows.execution.failures import is_here, loss, next_action
from hts_battery.flows.execution.launch_folders import marked_folders, tidy
from hts_battery.flows.execution.queue_requests import added_factors, larger_request
from hts_battery.flows.execution.recorded import loss_of
from hts_battery.flows.execution.spool import SPOOL, store_spooled
from hts_battery.schemas.failure import Verb
from hts_battery.schemas.recovery import (
    RecoveredRun,
    RecoveryAction,
    RecoveryReport,
)
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.schemas.failure import FailureDoc, FailurePolicy
    from hts_battery.schemas.launch import LaunchAction
    from hts_battery.schemas.launchpad_rows import ActionRow, StoredDataRow
    from hts_battery.schemas.recovery import LeftAction, LostRun

logger = logging.getLogger(__name__)


def tidy_queue(
    folder: Path, stores: Stores, launchpad: ExactLaunchPad, *, dry_run: bool = False
) -> list[tuple[Path, LaunchAction]]:
    """
    Tidy the launch folders below a folder whose workflows have ended.

    A calculation of a workflow reads the files of the one before it, so nothing of a
    workflow is touched while any of it may run. Nor is a folder that holds what the
    database has not been told. Returns launch folders, and what was done to each.
    """
    done = []
    ended: dict[int, bool] = {}
    for launch, mark in list(marked_folders(folder)):
        if mark.fw_id is None or not launch.is_dir():
            continue  # inside the folder of a chunk, which goes as a whole
        if mark.fw_id not in ended:
            ended[mark.fw_id] = has_ended(launchpad, mark.fw_id)
        untold = any(launch.rglob(LEFT_ACTION)) or any(launch.rglob(SPOOL))
        if ended[mark.fw_id] and not untold:
            done += tidy(launch, stores.tasks, dry_run=dry_run)
    return done


_LOCK_MARGIN = 60.0  # s: one operation of a rocket that has waited as long as it may
_LONGEST_WALLTIME = 24.0  # h, where no submission says more


def recover(  # noqa: PLR0913 - each is named by its caller
    stores: Stores,
    launchpad: ExactLaunchPad,
    *,
    launch_folders: Sequence[Path] = (),
    now: datetime | None = None,
    listed: Callable[[QueueKind], frozenset[str] | None] = listed_jobs,
    asked: Callable[[QueueKind, str, str | None], JobAnswer] = asked_job,
    here: Callable[[QueueKind], str | None] = this_cluster,
    grace: float = GRACE_SECONDS,
    policy: FailurePolicy | None = None,
    dry_run: bool = False,
) -> RecoveryReport:
    """
    Find what was lost, and put it right.

    Outputs on disk are taken in; launches whose end could not be told are completed;
    locks that nobody holds are released; Fireworks without a rocket run again, as often
    as the failure policy says, and count as failed after that.

    Parameters
    ----------
    stores, launchpad
        Open stores, and the launchpad of the same database.
    launch_folders
        Where outputs are searched for, besides the folders of launches that were lost.
    now, listed, asked, here, grace
        The time it is; what asks a queue for its jobs, for one job and which cluster it
        is; how long in s a queue is given to know a job.
    policy
        What is done about losses; the project's own by default.
    dry_run
        Only say what would be done.

    Raises
    ------
    DatabaseOutageError
        If the database does not answer: the next call goes on.
    """
    settings = get_settings()
    recovery = _Recovery(
        stores,
        launchpad,
        watcher=Watcher(
            launchpad,
            silence=settings.lost_after,
            listed=listed,
            now=now or datetime.now(UTC),
            asked=asked,
            here=here,
            grace=grace,
        ),
        policy=policy,
        dry_run=dry_run,
    )
    with translated_outages(stores.database.uri, "recovering"):
        return recovery.run(launch_folders, age=settings.outage_patience + _LOCK_MARGIN)


def log_recovery(report: RecoveryReport) -> None:
    """Log what was put right."""
    for one in report.runs:
        logger.warning("Firework %d %s: %s", one.fw_id, one.action, one.reason)
    if report.outputs:
        logger.warning("%d outputs were found on disk", len(report.outputs))
    for problem in report.problems:
        logger.warning("%s", problem)


@dataclass
class _Recovery:
    """One search for what was lost."""

    stores: Stores
    launchpad: ExactLaunchPad
    watcher: Watcher
    policy: FailurePolicy | None
    dry_run: bool
    outputs: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def run(self, folders: Sequence[Path], *, age: float) -> RecoveryReport:
        """Do everything, in the order that computes nothing twice."""
        now, dry = self.watcher.now, self.dry_run
        for folder in folders:
            self._ingest(folder)
        orphans: tuple[int, ...] = ()
        unlocked = release_locks(
            self.launchpad, age, now=now, dry_run=True, stamp=not dry
        )
        if unlocked:  # its holder was killed, in the middle of adding jobs perhaps
            orphans = remove_orphaned_fireworks(
                self.launchpad, age, now=now, dry_run=dry
            )
            unlocked = release_locks(self.launchpad, age, now=now, dry_run=dry)
        runs = [*self._refreshed()]
        for lost in self.watcher.lost():
            runs += self._settled(lost)
        for lost in self.watcher.failed_by_outage():
            runs += self._settled(lost, outage=True)
        return RecoveryReport(
            runs=tuple(runs),
            outputs=tuple(self.outputs),
            unlocked=unlocked,
            orphans=orphans,
            problems=tuple(self.problems),
        )

    def _ingest(self, folder: Path) -> None:
        """Take in the outputs in and below a folder."""
        try:
            self.outputs += store_spooled(
                folder,
                self.stores.job_store,
                dry_run=self.dry_run,
                report=self.problems.append,
            )
        except DatabaseOutageError:
            raise
        except (StoreError, OSError) as err:
            self.problems.append(str(err))

    def _refreshed(self) -> Iterator[RecoveredRun]:
        """Tell workflows of launches that have ended."""
        for fw_id, launch in list(self.watcher.unnoticed()):
            if not is_whole(self.launchpad, fw_id):
                self.problems.append(
                    f"the workflow of Firework {fw_id} is not whole: somebody deleted "
                    "one of its Fireworks; hts launchpad feed ends it"
                )
                continue
            if loss_of(launch) is not None and launch["state"] == "FIZZLED":
                action = RecoveryAction.PUT_BACK
                reason = "a recovery was interrupted that put it back"
            else:
                action = RecoveryAction.REFRESHED
                reason = f"its launch is {launch['state']}"
            if not self.dry_run:
                # Both go through FireWorks' own lock and rules.
                if action is RecoveryAction.PUT_BACK:
                    self.launchpad.rerun_fw(fw_id)  # type: ignore[no-untyped-call]
                else:
                    self.launchpad._refresh_wf(fw_id)  # noqa: SLF001 - no public name
            yield RecoveredRun(
                fw_id=fw_id,
                name=str(launch.get("name") or fw_id),
                action=action,
                reason=reason,
                folder=launch["launch_dir"],
            )

    def _settled(
        self, lost: LostRun, *, outage: bool = False
    ) -> Iterator[RecoveredRun]:
        """Decide what becomes of one lost Firework, and do it."""
        left = None
        if is_here(lost):
            folder = Path(str(lost.folder))
            self._ingest(folder)
            left = self._left(folder, lost)
        if left is not None and not _is_outage(left):
            yield self._completed(lost, left)
            return
        outage = outage or left is not None
        if outage and not children_have_not_run(self.launchpad, lost.fw_id):
            return  # what follows has begun without it: collected as it is
        history = self._history(lost)
        failure = loss(lost, len(history) + 1, outage=outage)
        remedy = next_action([*history, failure], self.policy)
        again = remedy.verb is Verb.REPEAT or lost.launch_id is None
        done = RecoveredRun(
            fw_id=lost.fw_id,
            name=lost.name,
            action=RecoveryAction.PUT_BACK if again else RecoveryAction.GIVEN_UP,
            failure_class=failure.failure_class,
            reason=failure.reason if again else f"{remedy.reason} ({failure.reason})",
            folder=lost.folder,
            losses=len(history) + 1,
            campaign=lost.campaign,
        )
        if self.dry_run or self._do(lost, done, history, failure):
            yield done

    def _do(
        self,
        lost: LostRun,
        done: RecoveredRun,
        history: Sequence[FailureDoc],
        failure: FailureDoc,
    ) -> bool:
        """Put a Firework back or give it up; say whether that was still right."""
        note: StoredDataRow = {"hts_lost": failure.model_dump(mode="json")}
        if done.action is RecoveryAction.GIVEN_UP:
            kind, words = failure.failure_class, done.reason
            trace = f"hts_battery.errors.CalculationError: {kind}: {words}"
            give_up(
                self.launchpad, lost, {**note, "_exception": {"_stacktrace": trace}}
            )
            return True
        request = self._request(lost, history, failure)
        if not put_back(self.launchpad, lost, note, request):
            return False
        if lost.folder is not None:
            try:
                remove_action(Path(lost.folder))
            except OSError as err:
                # It does no harm: it names a launch that has been put back.
                self.problems.append(f"{lost.folder}: {err.strerror}")
        return True

    def _left(self, folder: Path, lost: LostRun) -> LeftAction | None:
        """Read what the launch could not tell, if it is this launch's."""
        try:
            left = left_action(folder)
        except BrokenFileError as err:
            # The launch is put back: what it could not tell is not missed.
            aside = LEFT_ACTION
            if not self.dry_run:
                aside = move_aside(folder / LEFT_ACTION).name
            self.problems.append(f"{err}; kept as {aside}")
            return None
        except (StoreError, OSError) as err:
            self.problems.append(str(err))
            return None
        return left if left is not None and left.launch_id == lost.launch_id else None

    def _completed(self, lost: LostRun, left: LeftAction) -> RecoveredRun:
        """Tell the launchpad how a launch ended."""
        folder = Path(str(lost.folder))
        if not self.dry_run:
            complete(self.launchpad, left)
            remove_action(folder)
        return RecoveredRun(
            fw_id=lost.fw_id,
            name=lost.name,
            action=RecoveryAction.COMPLETED,
            reason=f"it was {left.state} while the launchpad was away",
            folder=lost.folder,
            campaign=lost.campaign,
        )

    def _history(self, lost: LostRun) -> list[FailureDoc]:
        """Return how earlier launches of the same Firework were lost."""
        found = map(loss_of, launches_of(self.launchpad, lost.fw_id))
        return [one for one in found if one is not None]

    def _request(
        self, lost: LostRun, history: Sequence[FailureDoc], failure: FailureDoc
    ) -> dict[str, object] | None:
        """Return what the queue is asked for, where the policy asks for more."""
        classes = [one.failure_class for one in (*history, failure)]
        factors = added_factors(classes, self.policy)
        if not factors:
            return None
        firework = self.launchpad.fireworks.find_one(
            {"fw_id": lost.fw_id}, ["spec._queueadapter"]
        )
        request = ((firework or {}).get("spec") or {}).get("_queueadapter")
        if not request:
            return None
        submission = self.stores.submissions.query_one({"campaign": lost.campaign})
        limits = submission or {}
        return larger_request(
            request,
            factors,
            max_hours=limits.get("max_walltime") or _LONGEST_WALLTIME,
            max_memory=limits.get("max_memory"),
        )


def _is_outage(left: LeftAction) -> bool:
    """Say whether a launch ended only because the database was away."""
    action = cast("ActionRow | None", left.action)
    return left.state == "FIZZLED" and is_outage(action)
