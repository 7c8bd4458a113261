"""Maps of composition: the lowest E_hull over the amounts of two elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from dash import Input, Output, dcc, html
from dash.exceptions import PreventUpdate
from pydantic import Field

from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.figures import composition_figure
from hts_battery.dashboard.parts import (
    CampaignChoice,
    Kelvin,
    Page,
    Sources,
    chosen,
    figure,
    heading,
    labelled,
)

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from hts_battery.dashboard.latest_build import Columns

Symbol = Annotated[str, Field(max_length=3)]


def _layout(sources: Sources, _rest: str) -> Component:
    latest = sources.cache.get()
    columns = latest.columns
    first, second = _most_varied(columns, latest.asked_or_newest(None))
    return html.Div(
        [
            *heading(
                "Composition maps",
                "Each square holds the candidates with these amounts of two elements; "
                "its colour is the lowest E_hull among them: blue is below the hull.",
            ),
            html.Div(
                [
                    labelled("Across", _choice("element-x", columns.elements, first)),
                    labelled("Up", _choice("element-y", columns.elements, second)),
                ],
                className="controls-row",
            ),
            figure("composition-map", "Lowest E_hull by composition.", tall=True),
        ]
    )


def _choice(name: str, elements: tuple[str, ...], value: str | None) -> Component:
    return dcc.Dropdown(
        id=name, options=list(elements), value=value, clearable=False, searchable=False
    )


def _most_varied(
    columns: Columns, campaign: str | None
) -> tuple[str | None, str | None]:
    """Return the two elements with most different amounts in a campaign."""
    amounts = columns.amounts[columns.of_campaign(campaign)]
    varied = [len(np.unique(np.round(column, 4))) for column in amounts.T]
    order = sorted(range(len(varied)), key=lambda number: -varied[number])
    names: list[str | None] = [columns.elements[number] for number in order[:2]]
    first, second = (*names, None, None)[:2]
    return first, second


def _register(app: Dash, sources: Sources) -> None:
    @app.callback(
        Output("composition-map", "figure"),
        Output("composition-map-words", "children"),
        Input("campaign", "value"),
        Input("temperature", "value"),
        Input("element-x", "value"),
        Input("element-y", "value"),
    )
    @in_thread
    def show(
        campaign: CampaignChoice, temperature: Kelvin, across: Symbol, up: Symbol
    ) -> tuple[object, ...]:
        latest = sources.cache.get()
        columns, name = latest.columns, chosen(latest, campaign)
        if not {across, up} <= set(columns.elements):
            raise PreventUpdate
        mine = columns.of_campaign(name)
        amounts = columns.amounts[mine]
        x = amounts[:, columns.elements.index(across)]
        y = amounts[:, columns.elements.index(up)]
        hot = columns.at(temperature)[mine]
        squares = len({*zip(x.tolist(), y.tolist(), strict=True)})
        lowest = f"{1000 * hot.min():.1f} meV/atom" if len(hot) else "unknown"
        return (
            composition_figure(
                x, y, hot, (across, up), f"E_hull({temperature:g} K)<br>meV/atom"
            ),
            (
                f"{len(hot):,} candidates in {squares} squares of {across} and {up}; "
                f"the lowest E_hull at {temperature:g} K is {lowest}. Of "
                f"{latest.whose(name)}."
            ),
        )


PAGE = Page("/compositions", "Compositions", _layout, _register, compared=True)
