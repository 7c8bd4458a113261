"""
The feeder: one look at a campaign brings launchpad and backlog together.

What ended is harvested, what was half sent is completed, and as much is sent as the
window, the budget and the operator allow. It can be killed anywhere: whatever it was
doing is found and completed the next time.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.database.locks import Lease
from hts_battery.connections.launchpad.changes import (
    resume_steps,
    stop_steps,
    take_back,
)
from hts_battery.connections.records.backlog import dispatching, read_submissions
from hts_battery.dispatch.collection import harvest
from hts_battery.dispatch.look import Look
from hts_battery.dispatch.recovery import recover
from hts_battery.dispatch.sending import repair, room, top_up
from hts_battery.errors import ConfigurationError, SubmissionError
from hts_battery.flows.recipes.screen import ScreenMaker
from hts_battery.schemas.dispatch import Ending, EndingKind, FeedReport, Hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.recovery import RecoveryReport

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
    Look once at every submitted campaign, and do what there is to do.

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
        If the database went away: the next look goes on.
    ConfigurationError, SubmissionError
        If one of the named campaigns cannot be sent. Where none is named, the report
        of that campaign says so, and the others are looked at.
    """
    wanted = None if campaigns is None else set(campaigns)
    with (
        translated_outages(stores.database.uri, "feeding the launchpad"),
        dispatching(stores, "hts launchpad feed", wait=wait) as lease,
    ):
        # Before the harvest, which would call failed what an outage has stopped.
        tell_recovery(recover(stores, launchpad))
        reports = []
        for submission in read_submissions(stores):
            if wanted is not None and submission.campaign not in wanted:
                continue
            try:
                look = Look(
                    stores, launchpad, lease, submission, make_maker, candidates or {}
                )
                reports.append(_look(look))
            except (ConfigurationError, SubmissionError) as err:
                if wanted is not None:
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


def tell_recovery(report: RecoveryReport) -> None:
    """Log what was put right."""
    for one in report.runs:
        logger.warning("Firework %d %s: %s", one.fw_id, one.deed, one.reason)
    if report.outputs:
        logger.warning("%d outputs were found on disk", len(report.outputs))
    for problem in report.problems:
        logger.warning("%s", problem)


def preview(stores: Stores, launchpad: ExactLaunchPad) -> list[FeedReport]:
    """
    Say what the next look would do, as far as the launchpad shows it; write nothing.

    Parameters
    ----------
    stores
        Open stores.
    launchpad
        The launchpad of the same database.
    """
    reports = []
    for submission in read_submissions(stores):
        look = Look(
            stores,
            launchpad,
            Lease("none", "none"),
            submission,
            ScreenMaker.from_campaign,
        )
        in_hand = look.backlog.in_hand()
        over = [one for one in look.workflows.values() if one.is_over]
        look.counts["archived"] = len(over)
        look.counts["ended"] = sum(
            len(in_hand.get(one.dispatch_id, ())) for one in over
        )
        look.inserted = -sum(len(one.states) for one in over)
        look.counts["sent"] = min(len(look.waiting()), room(look))
        reports.append(look.report())
    return reports


def _look(look: Look) -> FeedReport:
    """Do everything, in the order in which a kill does least harm."""
    repair(look)
    _stop_at_budget(look)
    _hold_or_resume(look)
    harvest(look)
    top_up(look)
    if look.submission.hold is Hold.CANCELLED:
        _cancel_waiting(look)
    return look.report()


def _stop_at_budget(look: Look) -> None:
    budget = look.submission.budget
    if look.submission.hold is not None or budget is None:
        return
    spent = look.node_hours()
    if spent < budget:
        return
    logger.warning(
        "campaign %s has spent %.3f of %.3f node-hours: nothing more is sent; submit "
        "it again with a larger --budget to go on",
        look.name,
        spent,
        budget,
    )
    look.hold(Hold.BUDGET)


def _hold_or_resume(look: Look) -> None:
    """Stop what has not begun of a held campaign; let what was paused go on."""
    workflows = list(look.workflows.values())
    begun = [one for one in workflows if one.has_begun]
    hold = look.submission.hold
    look.lease.check()
    if hold is None:
        changed = resume_steps(look.launchpad, begun)
    else:
        state = "DEFUSED" if hold is Hold.CANCELLED else "PAUSED"
        changed = len(take_back(look.launchpad, workflows))
        changed += stop_steps(look.launchpad, begun, state)
    if changed:
        look.read_workflows()


def _cancel_waiting(look: Look) -> None:
    ending = Ending(kind=EndingKind.CANCELLED, time=look.now)
    for item in look.waiting():
        look.backlog.change(item.content_key, ending=ending)
        look.counts["ended"] += 1
    look.backlog.save(look.lease)
