"""Pieces that pages are made of: cards, tables, figures with words beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from dash import dcc, html
from dash.exceptions import PreventUpdate
from pydantic import Field

from hts_battery.compositions.reported import ReportedCompound, reported_compounds
from hts_battery.dashboard.learned_cache import LearnedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import plotly.graph_objects as go
    from dash import Dash
    from dash.development.base_component import Component

    from hts_battery.connections.database.bounded_reader import BoundedReader
    from hts_battery.dashboard.campaign_states import CampaignStates
    from hts_battery.dashboard.latest_build import LatestBuild, LatestBuildCache

MEV = 1000.0
HIGHEST_TEMPERATURE = 2500
EVERY_CAMPAIGN = "*"

Kelvin = Annotated[float, Field(ge=0, le=HIGHEST_TEMPERATURE, allow_inf_nan=False)]
"""What the slider can say."""
CampaignChoice = Annotated[str, Field(max_length=100)]
"""What the list of campaigns can say."""

EMPTY_LAYOUT = {
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "xaxis": {"visible": False},
    "yaxis": {"visible": False},
}


@dataclass(frozen=True)
class Sources:
    """Where pages read."""

    reader: BoundedReader
    cache: LatestBuildCache
    states: CampaignStates
    reported: tuple[ReportedCompound, ...] = field(default_factory=reported_compounds)
    """Compounds that pages compare with."""
    learned: LearnedCache = field(default_factory=LearnedCache)


@dataclass(frozen=True)
class Page:
    """One page: its address, its name, what it holds and what makes it live."""

    path: str
    name: str
    layout: Callable[[Sources, str], Component]
    """Makes the page, given the rest of the address."""
    register: Callable[[Dash, Sources], None]
    """Adds its callbacks."""
    listed: bool = True
    """Whether the navigation names it."""
    compared: bool = False
    """Whether *all campaigns* is answered by their counts side by side instead."""


def aria(**names: str) -> dict[str, Any]:
    """
    Name attributes for screen readers, which hold a hyphen.

    Examples
    --------
    >>> aria(label="Pages")
    {'aria-label': 'Pages'}
    """
    return {f"aria-{name}": value for name, value in names.items()}


def compares(latest: LatestBuild, choice: str) -> bool:
    """Say whether several campaigns are asked for, which only stand side by side."""
    return choice == EVERY_CAMPAIGN and len(latest.campaigns) > 1


def chosen(latest: LatestBuild, choice: str) -> str | None:
    """
    Return the one campaign that a page shows.

    ``latest``: what is known. ``choice``: what the list of campaigns says. Returns: the
    choice; the campaign of the newest build if there is none such; none if nothing was
    built. Raises PreventUpdate if several are asked for: a page shows one.
    """
    if compares(latest, choice):
        raise PreventUpdate
    return latest.asked_or_newest(choice if choice in latest.campaigns else None)


def heading(title: str, explanation: str) -> list[Component]:
    """Begin a page: its name, and a sentence on what it shows."""
    return [html.H1(title, tabIndex=-1), html.P(explanation, className="lead")]


def card(label: str, value: object, note: str = "") -> Component:
    """Show one number with its name."""
    return html.Div(
        [
            html.Dt(label),
            html.Dd(str(value), className="value"),
            *([html.Dd(note, className="note")] if note else []),
        ],
        className="card",
    )


def cards(found: Iterable[Component]) -> Component:
    """Put cards side by side."""
    return html.Dl(list(found), className="cards")


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    caption: str,
    numbers: Sequence[str] = (),
    row_headings: bool = False,
) -> Component:
    """
    Show a small table; wide ones scroll inside their frame.

    ``columns``: headings. ``rows``: cells: text or components. ``caption``: what the
    table says. ``numbers``: headings of columns that are set right. ``row_headings``:
    whether the first cell names its row.
    """
    right = {place for place, name in enumerate(columns) if name in numbers}

    def cell(place: int, value: Any) -> Component:  # noqa: ANN401 - what Dash shows
        style = "number" if place in right else ""
        if row_headings and place == 0:
            return html.Th(value, scope="row", className=style)
        return html.Td(value, className=style)

    return html.Div(
        html.Table(
            [
                html.Caption(caption),
                html.Thead(
                    html.Tr(
                        [
                            html.Th(
                                name,
                                scope="col",
                                className="number" if place in right else "",
                            )
                            for place, name in enumerate(columns)
                        ]
                    )
                ),
                html.Tbody(
                    [html.Tr([cell(*item) for item in enumerate(row)]) for row in rows]
                ),
            ]
        ),
        className="scrolls",
        tabIndex=0,
        role="region",
        **aria(label=caption),
    )


def figure(
    name: str, words: str, shown: go.Figure | None = None, *, tall: bool = False
) -> Component:
    """
    Show a figure, with words for those who do not see it.

    ``name``: id of the figure. ``words``: what it shows; a callback may replace them
    under ``NAME-words``. ``shown``: the figure; a callback fills it in if none.
    ``tall``: whether it needs more height than usual.
    """
    return html.Figure(
        [
            html.Div(
                dcc.Graph(
                    id=name,
                    figure=shown if shown is not None else {"layout": EMPTY_LAYOUT},
                    config={"displaylogo": False, "responsive": True},
                    className="graph",
                    style={"height": "34rem" if tall else "24rem"},
                ),
                role="img",
                **aria(labelledby=f"{name}-words"),
            ),
            html.Figcaption(words, id=f"{name}-words"),
        ],
        className="figure tall" if tall else "figure",
    )


def labelled(label: str, control: Component, note: str = "") -> Component:
    """Name a control; a click on the name is one on the control."""
    name = str(getattr(control, "id", ""))
    words = [html.Label(label, htmlFor=name, id=f"{name}-label"), control]
    return html.Div([*words, html.Small(note)] if note else words, className="control")


def millis(value: float | None, *, sign: bool = False) -> str:
    """
    Write an energy in eV as meV.

    Examples
    --------
    >>> millis(0.0123), millis(-0.5, sign=True), millis(None)
    ('12.3', '-500.0', '-')
    """
    if value is None:
        return "-"
    return f"{MEV * value:+.1f}" if sign else f"{MEV * value:.1f}"


def candidate_link(
    candidate_id: str, text: str, *, campaign: str | None = None
) -> Component:
    """Lead to the page of a candidate, to what one campaign says of it where named."""
    rest = candidate_id if campaign is None else f"{candidate_id}/{campaign}"
    return dcc.Link(text, href=f"/candidate/{rest}")


def formula_parts(formula: str) -> list[str | int | float | Component | None]:
    """Write a formula with its amounts as subscripts."""
    parts: list[str | int | float | Component | None] = []
    text = ""
    for character in f"{formula} ":
        is_amount = character.isdigit() or character == "."
        was_amount = bool(text) and (text[-1].isdigit() or text[-1] == ".")
        if text and is_amount != was_amount:
            parts.append(html.Sub(text) if was_amount else text)
            text = ""
        text += character
    return parts
