"""
The feeder: snapshot, decide, apply, for each submitted campaign in turn.

What ended is collected, what was half sent is completed, and as much is sent as the
window, the budget and the operator allow. It can be killed anywhere: whatever it was
doing is found and completed the next time.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.database.locks import Lease
from hts_battery.connections.records.backlog import (
    Backlog,
    dispatching,
    read_submission,
    read_submissions,
    write_submission,
)
from hts_battery.dispatch.apply import Desk, apply_all
from hts_battery.dispatch.decide import (
    Collect,
    counted,
    decide_control,
    decide_work,
    predicted,
)
from hts_battery.dispatch.recovery import log_recovery, recover
from hts_battery.dispatch.snapshot import Snapshot, read_evidence, read_launchpad
from hts_battery.errors import ConfigurationError, SubmissionError
from hts_battery.flows.recipes.screen import ScreenMaker
from hts_battery.schemas.dispatch import FeedReport, Hold

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.dispatch.decide import Action
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
    make_maker: Callable[[CampaignSpec], ScreenMaker] = ScreenMaker.from_campaign,
    wait: bool = True,
) -> list[FeedReport]:
    """
    Go once over every submitted campaign, and do what there is to do.

    Parameters
    ----------
    stores
        Open stores.
    launchpad
        The launchpad of the same database.
    campaigns
        Only these campaigns.
    candidates
        Candidates by their ids, where the caller has them: those are not read again.
    make_maker
        How the maker of a campaign is made.
    wait
        Whether to wait while another process feeds.

    Returns
    -------
    list[FeedReport]
        What was done for each campaign.

    Raises
    ------
    BusyError
        If another process feeds, and one does not wait.
    StoreError
        If the database went away: the next pass goes on.
    ConfigurationError, SubmissionError
        If one of the named campaigns cannot be sent. Where none is named, the report
        of that campaign says so, and the others are seen to.
    """
    with (
        translated_outages(stores.database.uri, "feeding the launchpad"),
        dispatching(stores, "hts launchpad feed", wait=wait) as lease,
    ):
        # Before anything is collected that an outage has stopped, as if it had failed.
        log_recovery(recover(stores, launchpad))
        reports = []
        for submission in _submissions(stores, campaigns):
            backlog = Backlog.read(stores, submission.campaign)
            desk = Desk(stores, launchpad, lease, backlog, make_maker, candidates or {})
            try:
                reports.append(_feed_campaign(submission, desk))
            except (ConfigurationError, SubmissionError) as err:
                if campaigns is not None:
                    raise
                # An engine that is not installed here stops its campaign, no other.
                logger.error("campaign %s: %s", submission.campaign, err)  # noqa: TRY400 - the message says it all
                reports.append(
                    FeedReport(
                        campaign=submission.campaign,
                        hold=submission.hold,
                        problem=str(err),
                    )
                )
        return reports


def _submissions(stores: Stores, campaigns: Iterable[str] | None) -> list[Submission]:
    wanted = None if campaigns is None else set(campaigns)
    return [
        one
        for one in read_submissions(stores)
        if wanted is None or one.campaign in wanted
    ]


def _feed_campaign(submission: Submission, desk: Desk) -> FeedReport:
    """Bring launchpad and backlog of one campaign together."""
    snapshot = _snapshot(submission, desk)
    control = decide_control(snapshot)
    if control:
        apply_all(control, desk)
        # What a rocket took meanwhile was not taken back: only the launchpad knows.
        snapshot = read_launchpad(predicted(snapshot, control), desk.launchpad)
    evidence = read_evidence(snapshot, desk.stores, desk.launchpad, desk.candidates)
    work = decide_work(snapshot, evidence)
    counts = apply_all(work, desk)
    left = replace(
        predicted(snapshot, (one for one in work if isinstance(one, Collect))),
        items=tuple(desk.backlog.items),
        inserted=counts["inserted"],
    )
    return _report(left, left.fireworks, counts, [*control, *work])


def _snapshot(submission: Submission, desk: Desk) -> Snapshot:
    snapshot = Snapshot(submission, datetime.now(UTC), tuple(desk.backlog.items))
    return read_launchpad(snapshot, desk.launchpad)


def _report(
    snapshot: Snapshot,
    fireworks: int,
    counts: Counter[str],
    actions: Sequence[Action],
) -> FeedReport:
    return FeedReport(
        campaign=snapshot.submission.campaign,
        sent=counts["sent"],
        repaired=counts["repaired"],
        ended=counts["ended"],
        again=counts["again"],
        archived=counts["archived"],
        waiting=len(snapshot.waiting),
        in_hand=sum(map(len, snapshot.in_hand.values())),
        fireworks=fireworks,
        node_hours=snapshot.node_hours,
        hold=snapshot.submission.hold,
        actions=tuple(one.planned for one in actions),
    )


def plan_feeding(
    stores: Stores,
    launchpad: ExactLaunchPad,
    *,
    campaigns: Iterable[str] | None = None,
) -> list[FeedReport]:
    """
    Say what the next pass would do, as far as the launchpad shows it; write nothing.

    What would be taken back, stopped or repaired is collected in the same pass, and is
    not counted as collected here.

    Parameters
    ----------
    stores
        Open stores.
    launchpad
        The launchpad of the same database.
    campaigns
        Only these campaigns.
    """
    reports = []
    for submission in _submissions(stores, campaigns):
        backlog = Backlog.read(stores, submission.campaign)
        desk = Desk(stores, launchpad, Lease("none", "none"), backlog)
        snapshot = _snapshot(submission, desk)
        control = decide_control(snapshot)
        held = predicted(snapshot, control)
        work = decide_work(held, read_evidence(held, stores, launchpad, {}))
        fireworks = predicted(held, work).fireworks
        reports.append(_report(snapshot, fireworks, counted(work), [*control, *work]))
    return reports


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
    make_maker: Callable[[CampaignSpec], ScreenMaker] = ScreenMaker.from_campaign,
) -> FeedReport:
    """
    Go on after a pause.

    Raises
    ------
    SubmissionError
        If it was never submitted, or is held for another reason.
    """
    return _hold(stores, launchpad, campaign, None, make_maker)


def cancel(stores: Stores, launchpad: ExactLaunchPad, campaign: str) -> FeedReport:
    """
    Take back what has not begun, for good: a new submission is needed to go on.

    Raises
    ------
    SubmissionError
        If it was never submitted.
    """
    return _hold(stores, launchpad, campaign, Hold.CANCELLED)


def _hold(
    stores: Stores,
    launchpad: ExactLaunchPad,
    campaign: str,
    hold: Hold | None,
    make_maker: Callable[[CampaignSpec], ScreenMaker] = ScreenMaker.from_campaign,
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
            submission = submission.model_copy(update={"hold": hold})
            write_submission(stores, submission, lease)
    (report,) = feed(stores, launchpad, campaigns=[campaign], make_maker=make_maker)
    return report
