"""Pausing, resuming and cancelling a campaign that was submitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.records.backlog import (
    dispatching,
    read_submission,
    write_submission,
)
from hts_battery.dispatch.feeder import feed
from hts_battery.errors import SubmissionError
from hts_battery.flows.recipes.screen import ScreenMaker
from hts_battery.schemas.dispatch import Hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.dispatch import FeedReport


def pause(stores: Stores, launchpad: ExactLaunchPad, campaign: str) -> FeedReport:
    """
    Take back what has not begun and send nothing more; what runs runs to its end.

    Parameters
    ----------
    stores
        Open stores.
    launchpad
        The launchpad of the same database.
    campaign
        Name of the campaign.

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

    Parameters
    ----------
    stores, launchpad, campaign
        As for :func:`pause`.
    make_maker
        As for the feeder, which is called at the end.

    Raises
    ------
    SubmissionError
        If it was never submitted, or is held for another reason.
    """
    return _hold(stores, launchpad, campaign, None, make_maker)


def cancel(stores: Stores, launchpad: ExactLaunchPad, campaign: str) -> FeedReport:
    """
    Take back what has not begun, for good: a new submission is needed to go on.

    Parameters
    ----------
    stores, launchpad, campaign
        As for :func:`pause`.

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
