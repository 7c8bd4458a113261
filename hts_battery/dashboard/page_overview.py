"""The first page: how far a campaign is, and what of it is most stable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import Input, Output, dcc, html

from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.campaign_numbers import CampaignNumbers, read_numbers
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
from hts_battery.dashboard.summaries import ROW_COLUMNS, table_rows
from hts_battery.query.tables import count_words
from hts_battery.schemas.state import CandidateState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dash import Dash
    from dash.development.base_component import Component

    from hts_battery.dashboard.latest_build import CampaignCounts, LatestBuild
    from hts_battery.schemas.status import CampaignStatus

_DONE = CandidateState.RANKED

_SHOWN = 10
_LAST = ("P", "other mixing", "T_mix")


def side_by_side(
    latest: LatestBuild,
    temperature: float,
    states: Mapping[str, CampaignStatus],
    *,
    path: str,
) -> Component:
    """
    Compare campaigns by their counts; each leads to the page that shows it alone.

    ``latest``: what is known. ``temperature`` in K. ``states``: where campaigns stand
    now, by name; those that are not known are absent. ``path``: address of the page.
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

    ``latest``: what is known. ``shown``: the campaigns. ``temperature`` in K.
    ``states``: where campaigns stand now, by name; those that are not known are absent.
    ``path``: address of the page to which the names lead; they lead nowhere if empty.
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
            count_words(*read_numbers(latest.table, one.campaign).stable(temperature)),
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
        caption="CampaignCounts of campaigns: counted by the latest build, and now",
        numbers=counted,
        row_headings=True,
    )


def _now(status: CampaignStatus | None) -> str:
    """Name the states in which something is left to do or to look at."""
    if status is None:
        return ""
    if status.problem is not None:
        return status.problem
    left = {name: n for name, n in status.states.items() if name != _DONE}
    return ", ".join(f"{n:,} {name}" for name, n in left.items()) or "all ranked"


def _layout(_sources: Sources, _rest: str) -> Component:
    return html.Div(
        [
            *heading(
                "Overview",
                "How far a campaign is, and which of its candidates mixing entropy "
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
        latest, states = sources.cache.get(), sources.states.get(patience=0)
        return overview(latest, chosen(latest, campaign), temperature, states)


def overview(
    latest: LatestBuild,
    campaign: str | None,
    temperature: float,
    states: Mapping[str, CampaignStatus],
) -> list[Component]:
    """
    Show counts, progress and the first of the ranking of one campaign.

    ``latest``: what is known. ``campaign``: name; none if nothing was built.
    ``temperature`` in K. ``states``: where campaigns stand now, by name; those that
    are not known are absent.
    """
    if campaign is None:
        return [
            html.P("Nothing was built yet.", className="headline"),
            progress_table(latest, latest.progress, temperature, states),
        ]
    own = [one for one in latest.progress if one.campaign == campaign]
    numbers = read_numbers(latest.table, campaign, ROW_COLUMNS)
    hot = numbers.at(temperature)
    members = sum(one.candidates for one in own)
    stable, certain = numbers.stable(temperature)
    always, always_certain = numbers.stable(0.0)
    by_entropy = (hot <= 0) & (numbers.at(0.0) > 0)
    entropic = int(by_entropy.sum())
    entropic_certain = int((by_entropy & ~numbers.open(temperature)).sum())
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
                card(
                    "by entropy alone",
                    f"{entropic:,}",
                    f"of them {entropic_certain:,} certain",
                ),
            ]
        ),
        progress_table(latest, own, temperature, states),
        _first(latest, campaign, numbers, temperature),
        html.P(f"Latest build: {latest.run_id or 'none yet'}", className="note"),
        *([html.P(latest.note, className="note")] if latest.note else []),
    ]


def _first(
    latest: LatestBuild, campaign: str, numbers: CampaignNumbers, temperature: float
) -> Component:
    order = numbers.ranking(temperature)[:_SHOWN]
    found = table_rows(numbers, order, range(1, len(order) + 1), temperature)
    rows = [
        (
            one["rank"],
            candidate_link(
                one["candidate_id"], one["formula"], campaign=one["campaign"]
            ),
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
    named = ("E_hull", f"at {temperature:g} K", "random mean", "n", "±")
    both = numbers.rows.select(["mixing", "other_mixing"]).take(order).to_pydict()
    notes = dict.fromkeys(zip(*both.values(), strict=True))
    return html.Div(
        [
            table(
                ("", "candidate", *named, "label", *_LAST),
                rows,
                caption=f"Most stable at {temperature:g} K of {latest.whose(campaign)} "
                "(E_hull in meV/atom, T_mix in K): lowest of n orderings, mean of the "
                "random ones, standard uncertainty, P of E_hull(T) ≤ 0, and had the "
                "other mixing been counted",
                numbers=("", *named, *_LAST),
            ),
            *(
                html.P(f"Mixing counted: {counted}; other: {other}.", className="note")
                for counted, other in notes
            ),
        ]
    )


PAGE = Page("/", "Overview", _layout, _register, compared=True)
