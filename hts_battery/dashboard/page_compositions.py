"""Maps of composition: the lowest E_hull over the amounts of two elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from dash import Input, Output, dcc, html
from dash.exceptions import PreventUpdate
from pydantic import Field

from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.campaign_numbers import elements_of, read_numbers
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
from hts_battery.schemas.summary_table import AMOUNTS

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from hts_battery.query.summary_table import SummaryTable

Symbol = Annotated[str, Field(max_length=3)]


def _layout(sources: Sources, _rest: str) -> Component:
    latest = sources.cache.get()
    elements = elements_of(latest.table)
    first, second = _most_varied(latest.table, latest.asked_or_newest(None))
    return html.Div(
        [
            *heading(
                "Composition maps",
                "Each square holds the candidates with these amounts of two elements; "
                "its colour is the lowest E_hull among them: blue is below the hull.",
            ),
            html.Div(
                [
                    labelled("Across", _choice("element-x", elements, first)),
                    labelled("Up", _choice("element-y", elements, second)),
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
    table: SummaryTable, campaign: str | None
) -> tuple[str | None, str | None]:
    """Return the two elements with most different amounts in a campaign."""
    elements = elements_of(table)
    numbers = read_numbers(table, campaign, [f"{AMOUNTS}{one}" for one in elements])
    varied = [len(np.unique(np.round(numbers.amounts(one), 4))) for one in elements]
    order = sorted(range(len(varied)), key=lambda number: -varied[number])
    names: list[str | None] = [elements[number] for number in order[:2]]
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
        name = chosen(latest, campaign)
        if not {across, up} <= set(elements_of(latest.table)):
            raise PreventUpdate
        paths = [f"{AMOUNTS}{one}" for one in (across, up)]
        numbers = read_numbers(latest.table, name, paths)
        x, y = numbers.amounts(across), numbers.amounts(up)
        hot = numbers.at(temperature)
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
