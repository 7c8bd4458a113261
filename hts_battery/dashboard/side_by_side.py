"""Campaigns side by side: counts of each, and never a number of two together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import dcc, html

from hts_battery.dashboard.parts import aria, table
from hts_battery.query.tables import count_words
from hts_battery.schemas.state import CandidateState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dash.development.base_component import Component

    from hts_battery.dashboard.latest_build import CampaignCounts, LatestBuild
    from hts_battery.schemas.status import CampaignStatus

_DONE = CandidateState.RANKED


def side_by_side(
    latest: LatestBuild,
    temperature: float,
    states: Mapping[str, CampaignStatus],
    *,
    path: str,
) -> Component:
    """
    Compare campaigns by their counts; each leads to the page that shows it alone.

    Parameters
    ----------
    latest
        What is known.
    temperature
        In K.
    states
        Where campaigns stand now, by name; those that are not known are absent.
    path
        Address of the page.
    """
    return html.Div(
        [
            html.P(
                "Numbers of two campaigns come from other orderings, options or "
                "engines. They stand side by side here and are never ranked, added or "
                "drawn together: choose a campaign.",
                className="headline",
            ),
            progress_table(latest, latest.progress, temperature, states, path=path),
        ]
    )


def progress_table(
    latest: LatestBuild,
    shown: Iterable[CampaignCounts],
    temperature: float,
    states: Mapping[str, CampaignStatus],
    *,
    path: str = "",
) -> Component:
    """
    Show how far campaigns are and what of each is stable, a row each.

    Parameters
    ----------
    latest
        What is known.
    shown
        The campaigns.
    temperature
        In K.
    states
        Where campaigns stand now, by name; those that are not known are absent.
    path
        Address of the page to which the names lead; they lead nowhere if empty.
    """
    stable = f"stable at {temperature:g} K"
    rows = [
        (
            dcc.Link(one.campaign, href=f"{path}?campaign={one.campaign}")
            if path and one.campaign in latest.campaigns
            else one.campaign,
            one.engine,
            f"{one.candidates:,}",
            f"{one.ranked:,}",
            count_words(*latest.columns.stable(one.campaign, temperature)),
            f"{one.unjudged:,}",
            f"{one.open:,}",
            _now(states.get(one.campaign)),
            html.Progress(
                value=str(one.ranked),
                max=str(max(one.candidates, 1)),
                **aria(label=f"{one.campaign}: {one.ranked} of {one.candidates}"),
            ),
        )
        for one in shown
    ]
    counted = ("candidates", "ranked", stable, "unjudged", "left")
    return table(
        ("campaign", "engine", *counted, "now", "done"),
        rows,
        caption="Progress of campaigns: counted by the latest build, and now",
        numbers=counted,
        row_headings=True,
    )


def _now(status: CampaignStatus | None) -> str:
    """Name the states in which something is left to do or to look at."""
    if status is None:
        return ""
    left = {name: n for name, n in status.states.items() if name != _DONE}
    return ", ".join(f"{n:,} {name}" for name, n in left.items()) or "all ranked"
