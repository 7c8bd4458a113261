"""The first page: how far the campaigns are, and what is most stable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import Input, Output, html

from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.parts import (
    CampaignChoice,
    Kelvin,
    Page,
    Sources,
    aria,
    candidate_link,
    card,
    cards,
    chosen,
    heading,
    table,
)
from hts_battery.dashboard.ranked_rows import table_row
from hts_battery.schemas.state import CandidateState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash import Dash
    from dash.development.base_component import Component

    from hts_battery.dashboard.latest_build import Columns, LatestBuild
    from hts_battery.schemas.status import CampaignStatus

_SHOWN = 10
_DONE = CandidateState.RANKED


def _layout(_sources: Sources, _rest: str) -> Component:
    return html.Div(
        [
            *heading(
                "Overview",
                "How far the campaigns are, and which candidates mixing entropy "
                "stabilises.",
            ),
            html.Div(id="overview", **aria(live="polite")),
        ]
    )


def _register(app: Dash, sources: Sources) -> None:
    @app.callback(
        Output("overview", "children"),
        Input("campaign", "value"),
        Input("temperature", "value"),
    )
    @in_thread
    def show(campaign: CampaignChoice, temperature: Kelvin) -> list[Component]:
        states = sources.states.get(patience=0)
        return overview(sources.cache.get(), chosen(campaign), temperature, states)


def overview(
    latest: LatestBuild,
    campaign: str | None,
    temperature: float,
    states: Mapping[str, CampaignStatus],
) -> list[Component]:
    """
    Show counts, progress and the first of the ranking.

    Parameters
    ----------
    latest
        What is known.
    campaign
        Name; all if none.
    temperature
        In K.
    states
        Where campaigns stand now, by name; those that are not known are absent.
    """
    columns = latest.columns
    mine = columns.of_campaign(campaign)
    hot = columns.at(temperature)[mine]
    members = sum(
        one.candidates for one in latest.progress if campaign in (None, one.campaign)
    )
    stable, certain = columns.stable(campaign, temperature)
    always, always_certain = columns.stable(campaign, 0.0)
    share = f", {100 * stable / len(hot):.1f} % of the ranked" if len(hot) else ""
    return [
        cards(
            [
                card("candidates", f"{members:,}"),
                card("ranked", f"{len(hot):,}", "with a stability"),
                card(
                    f"stable at {temperature:g} K",
                    f"{stable:,}",
                    f"of them {certain:,} certain{share}",
                ),
                card(
                    "stable without entropy",
                    f"{always:,}",
                    f"of them {always_certain:,} certain",
                ),
                card("by entropy alone", f"{stable - always:,}", "open ones included"),
            ]
        ),
        _progress(latest, campaign, states),
        _first(columns, campaign, temperature),
        html.P(f"Latest build: {latest.run_id or 'none yet'}", className="note"),
    ]


def _progress(
    latest: LatestBuild, campaign: str | None, states: Mapping[str, CampaignStatus]
) -> Component:
    rows = [
        (
            one.campaign,
            one.engine,
            f"{one.candidates:,}",
            f"{one.ranked:,}",
            f"{one.unjudged:,}",
            f"{one.open:,}",
            _now(states.get(one.campaign)),
            html.Progress(
                value=str(one.ranked),
                max=str(max(one.candidates, 1)),
                **aria(label=f"{one.campaign}: {one.ranked} of {one.candidates}"),
            ),
        )
        for one in latest.progress
        if campaign in (None, one.campaign)
    ]
    counted = ("candidates", "ranked", "unjudged", "left")
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


def _first(columns: Columns, campaign: str | None, temperature: float) -> Component:
    order = columns.ranking(campaign, temperature)[:_SHOWN]
    found = [
        table_row(columns, int(row), rank, temperature)
        for rank, row in enumerate(order, 1)
    ]
    rows = [
        (
            one["rank"],
            candidate_link(
                one["candidate_id"], one["formula"], campaign=one["campaign"]
            ),
            one["campaign"],
            f"{one['cold']:.1f}",
            f"{one['hot']:.1f}",
            *(
                one[name]
                for name in ("upper", "n", "unsure", "label", "chance", "other")
            ),
            "-" if one["mixing"] is None else one["mixing"],
        )
        for one in found
    ]
    numbers = ("E_hull", f"at {temperature:g} K", "random mean", "n", "±")
    notes = dict.fromkeys(
        (columns.rows[row]["mixing"], columns.rows[row]["other_mixing"])
        for row in order
    )
    return html.Div(
        [
            table(
                ("", "candidate", "campaign", *numbers, "label", *_LAST),
                rows,
                caption=f"Most stable at {temperature:g} K (E_hull in meV/atom, T_mix "
                "in K): lowest of n orderings, mean of the random ones, standard "
                "uncertainty, P of E_hull(T) ≤ 0, and had the other mixing been "
                "counted",
                numbers=("", *numbers, *_LAST),
            ),
            *(
                html.P(f"Mixing counted: {counted}; other: {other}.", className="note")
                for counted, other in notes
            ),
        ]
    )


_LAST = ("P", "other mixing", "T_mix")


PAGE = Page("/", "Overview", _layout, _register)
