"""
The feeder: snapshot, decide, apply, for each submitted campaign in turn.

What ended is collected, what was half sent is completed, and as much is sent as the
window, the budget and the operator allow. It can be killed anywhere: whatever it was
doing is found and completed the next time.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.database.locks import Lease
from hts_battery.connections.launchpad.cancellation import cancel_queue_jobs
from hts_battery.connections.records.backlog import (
    LOCK_PATIENCE,
    Backlog,
    dispatching,
    read_submission,
    read_submissions,
    write_submission,
)
from hts_battery.connections.records.stored_documents import readable
from hts_battery.dispatch.apply import Desk, apply_all
from hts_battery.dispatch.decide import (
    Cancel,
    Collect,
    End,
    InsertAgain,
    PutBack,
    RecordNumbers,
    Submit,
    decide_collection,
    decide_control,
    decide_sending,
    predicted,
)
from hts_battery.dispatch.recovery import log_recovery, recover
from hts_battery.dispatch.snapshot import (
    read_again,
    read_prepared,
    read_snapshot,
    read_what_ended,
)
from hts_battery.errors import (
    ConfigurationError,
    SubmissionError,
    UnreadableDocumentError,
)
from hts_battery.flows.recipes.registry import maker_of
from hts_battery.schemas.cancellation import CancelState
from hts_battery.schemas.dispatch import EndingKind, FeedReport, Hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.cancellation import Queues
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.dispatch.decide import Action
    from hts_battery.dispatch.snapshot import Snapshot
    from hts_battery.flows.recipes.recipe import RecipeMaker
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.dispatch import Submission

logger = logging.getLogger(__name__)


def feed(
    stores: Stores,
    launchpad: ExactLaunchPad,
    *,
    campaigns: Iterable[str] | None = None,
    candidates: Mapping[str, CandidateDoc] | None = None,
    make_maker: Callable[[CampaignSpec], RecipeMaker] = maker_of,
    wait: bool = True,
) -> list[FeedReport]:
    """
    Go once over every submitted campaign, and do what there is to do.

    Parameters
    ----------
    stores, launchpad
        Open stores, and the launchpad of the same database.
    campaigns
        Only these campaigns.
    candidates
        Candidates by their ids, where the caller has them: those are not read again.
    make_maker
        How the maker of a campaign is made.
    wait
        Whether to wait for a while where another process feeds.

    Raises
    ------
    BusyError
        If another process feeds, and goes on doing so.
    StoreError
        If the database went away: the next pass goes on.
    ConfigurationError, SubmissionError
        If one of the named campaigns cannot be sent. Where none is named, the report
        of that campaign says so, and the others are seen to.
    """
    with (
        translated_outages(stores.database.uri, "feeding the launchpad"),
        dispatching(
            stores, "hts launchpad feed", patience=LOCK_PATIENCE if wait else 0.0
        ) as lease,
    ):
        return _feed_all(
            stores, launchpad, lease, campaigns, candidates or {}, make_maker
        )


def _feed_all(
    stores: Stores,
    launchpad: ExactLaunchPad,
    lease: Lease,
    campaigns: Iterable[str] | None,
    candidates: Mapping[str, CandidateDoc],
    make_maker: Callable[[CampaignSpec], RecipeMaker],
) -> list[FeedReport]:
    """Make a pass under a lock that is held."""
    reports, problem = [], _Problems(campaigns is not None)
    submissions = read_submissions(stores, campaigns, problem=problem)
    # Before anything is collected that an outage has stopped, as if it had failed.
    log_recovery(recover(stores, launchpad))
    for one in submissions:
        with problem.of(one):
            backlog = Backlog.read(stores, one.campaign)
            desk = Desk(stores, launchpad, lease, backlog, make_maker, candidates)
            reports.append(_pass(one, desk))
    return sorted([*reports, *problem.reports], key=lambda one: one.campaign)


def plan_feeding(
    stores: Stores,
    launchpad: ExactLaunchPad,
    *,
    campaigns: Iterable[str] | None = None,
) -> list[FeedReport]:
    """
    Say what the next pass would do, as far as the launchpad shows it; write nothing.

    Actions and what they come to are those of the pass, but for workflows that it would
    first take back, stop or repair. What waits, is in hand and was spent is as it is
    now, Fireworks without those that would be archived.
    """
    reports, problem = [], _Problems(campaigns is not None)
    nobody = Lease("none", "none")
    for one in read_submissions(stores, campaigns, problem=problem):
        with problem.of(one):
            backlog = Backlog.read(stores, one.campaign)
            desk = Desk(stores, launchpad, nobody, backlog, dry_run=True)
            reports.append(_pass(one, desk))
    return sorted([*reports, *problem.reports], key=lambda one: one.campaign)


class _Problems:
    """Campaigns of which a pass is broken off; what nobody named stops no other."""

    def __init__(self, is_named: bool) -> None:
        self._is_named = is_named
        self.reports: list[FeedReport] = []

    def __call__(self, campaign: str, why: str, hold: Hold | None = None) -> None:
        """Report a campaign, or raise where it was asked for by name."""
        if self._is_named:
            raise UnreadableDocumentError(why)
        logger.error("campaign %s: %s", campaign, why)
        self.reports.append(FeedReport(campaign=campaign, hold=hold, problem=why))

    @contextmanager
    def of(self, submission: Submission) -> Iterator[None]:
        """Report what breaks off a pass over one campaign."""
        name = submission.campaign
        try:
            with readable(f"a document of {name}"):
                yield
        except (ConfigurationError, SubmissionError, UnreadableDocumentError) as err:
            # An engine that is not installed here, for example.
            if self._is_named:
                raise
            self(name, str(err), submission.hold)


def _pass(submission: Submission, desk: Desk) -> FeedReport:
    """Bring launchpad and backlog together: three rounds of reading and deciding."""
    stores, launchpad = desk.stores, desk.launchpad
    now = datetime.now(UTC)
    snapshot = read_snapshot(submission, desk.backlog.items, now, stores, launchpad)
    seen = snapshot
    control = decide_control(snapshot)
    if control:
        snapshot = predicted(snapshot, control)
        apply_all(control, desk)
        # What a rocket took meanwhile was not taken back: only the launchpad knows.
        snapshot = read_again(snapshot, launchpad)
    ended = read_what_ended(snapshot, stores, launchpad)
    collection = decide_collection(snapshot, ended)
    snapshot = predicted(snapshot, collection)
    apply_all(collection, desk)
    fireworks = snapshot.fireworks
    prepared = read_prepared(snapshot, stores, desk.candidates)
    sending = decide_sending(snapshot, prepared)
    snapshot = predicted(snapshot, sending)
    apply_all(sending, desk)
    actions = [*control, *collection, *sending]
    if desk.dry_run:
        return _report(seen, actions, fireworks)
    return _report(snapshot, actions, snapshot.fireworks)


def _counted(actions: Iterable[Action[Any]]) -> Counter[str]:
    """Count what actions come to, by the fields of a :class:`FeedReport`."""
    counts: Counter[str] = Counter()
    for action in actions:
        if isinstance(action, RecordNumbers | PutBack | InsertAgain):
            counts["repaired"] += len(action.workflows)
        elif isinstance(action, Submit):
            counts["sent"] += len(action.items)
        elif isinstance(action, Collect):
            again = sum(item.ending is None for item in action.items)
            ended = len(action.items) - again
            counts.update(archived=len(action.workflows), again=again, ended=ended)
        elif isinstance(action, Cancel):
            counts["ended"] += len(action.items)
        elif isinstance(action, End):
            # What the campaign file no longer has did not end: it was never to be sent.
            counts["ended"] += sum(
                item.ending is not None and item.ending.kind is not EndingKind.CANCELLED
                for item in action.items
            )
    return counts


def _report(
    snapshot: Snapshot, actions: Sequence[Action[Any]], fireworks: int
) -> FeedReport:
    return FeedReport(
        campaign=snapshot.submission.campaign,
        **_counted(actions),
        waiting=len(snapshot.waiting),
        in_hand=sum(map(len, snapshot.in_hand.values())),
        fireworks=fireworks,
        node_hours=snapshot.node_hours,
        hold=snapshot.submission.hold,
        drained=tuple(sorted(snapshot.drained & snapshot.workers)),
        actions=tuple(one.planned for one in actions),
    )


def pause(stores: Stores, launchpad: ExactLaunchPad, campaign: str) -> FeedReport:
    """
    Take back what has not begun and send nothing more; what runs runs to its end.

    Raises
    ------
    SubmissionError
        If it was never submitted, or is cancelled.
    """
    return _hold(stores, launchpad, campaign, Hold.PAUSED)


def resume(
    stores: Stores,
    launchpad: ExactLaunchPad,
    campaign: str,
    *,
    make_maker: Callable[[CampaignSpec], RecipeMaker] = maker_of,
) -> FeedReport:
    """
    Go on after a pause.

    Raises
    ------
    SubmissionError
        If it was never submitted, or is held for another reason.
    """
    return _hold(stores, launchpad, campaign, None, make_maker)


def cancel(
    stores: Stores,
    launchpad: ExactLaunchPad,
    campaign: str,
    *,
    keep_running: bool = False,
    queues: Queues | None = None,
) -> FeedReport:
    """
    Take back what has not begun and end its queue jobs, for good.

    A new submission is needed to go on.

    Parameters
    ----------
    stores, launchpad, campaign
        Open stores, their launchpad, and the campaign.
    keep_running
        Whether queue jobs that have begun run to their end.
    queues
        How queues are spoken to.

    Raises
    ------
    SubmissionError
        If it was never submitted.
    """
    report = _hold(stores, launchpad, campaign, Hold.CANCELLED)
    with translated_outages(stores.database.uri, f"ending queue jobs of {campaign}"):
        jobs = cancel_queue_jobs(
            launchpad, campaign, keep_running=keep_running, queues=queues
        )
    if any(one.state is CancelState.CANCELLED for one in jobs):
        (report,) = feed(stores, launchpad, campaigns=[campaign])
    return report.model_copy(update={"queue_jobs": tuple(jobs)})


def _hold(
    stores: Stores,
    launchpad: ExactLaunchPad,
    campaign: str,
    hold: Hold | None,
    make_maker: Callable[[CampaignSpec], RecipeMaker] = maker_of,
) -> FeedReport:
    with (
        translated_outages(stores.database.uri, f"holding {campaign}"),
        dispatching(stores, f"holding {campaign}") as lease,
    ):
        submission = read_submission(stores, campaign)
        if submission is None:
            raise SubmissionError(f"the campaign {campaign} was never submitted")
        if hold is not Hold.CANCELLED and submission.hold in (
            Hold.CANCELLED,
            Hold.BUDGET,
        ):
            raise SubmissionError(
                f"the campaign {campaign} is held: {submission.hold}; submit it again "
                "to go on"
            )
        if submission.hold is not hold:
            changes: dict[str, object] = {"hold": hold, "hold_reason": ""}
            if hold is None:
                changes["resumed"] = datetime.now(UTC)
            submission = submission.model_copy(update=changes)
            write_submission(stores, submission, lease)
        # Under the same lock: nobody waits twice.
        (report,) = _feed_all(stores, launchpad, lease, [campaign], {}, make_maker)
    return report
