"""Distributions of E_hull, and the set that a temperature makes stable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from dash import Input, Output, html

from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.campaign_numbers import read_numbers
from hts_battery.dashboard.figures import (
    distribution_figure,
    entropy_figure,
    stable_figure,
)
from hts_battery.dashboard.parts import (
    HIGHEST_TEMPERATURE,
    CampaignChoice,
    Kelvin,
    Page,
    Sources,
    aria,
    chosen,
    figure,
    heading,
)
from hts_battery.query.tables import count_words

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

_GRID = np.arange(0.0, HIGHEST_TEMPERATURE + 1, 50.0)


def _layout(_sources: Sources, _rest: str) -> Component:
    return html.Div(
        [
            *heading(
                "Stability",
                "E_hull(T) = E_hull - T·S from the stored terms, so any temperature "
                "can be asked for: move the slider.",
            ),
            html.P(id="stable-count", className="headline", **aria(live="polite")),
            html.Div(
                [
                    figure("distribution", "Distribution of E_hull."),
                    figure("entropy-map", "E_hull over mixing entropy."),
                    figure(
                        "stable-curve", "Number of stable candidates over temperature."
                    ),
                ],
                className="grid",
            ),
        ]
    )


def _register(app: Dash, sources: Sources) -> None:
    @app.callback(
        Output("stable-count", "children"),
        Output("distribution", "figure"),
        Output("distribution-words", "children"),
        Output("entropy-map", "figure"),
        Output("entropy-map-words", "children"),
        Output("stable-curve", "figure"),
        Input("campaign", "value"),
        Input("temperature", "value"),
    )
    @in_thread
    def show(campaign: CampaignChoice, temperature: Kelvin) -> tuple[object, ...]:
        latest = sources.cache.get()
        name = chosen(latest, campaign)
        numbers = read_numbers(latest.table, name)
        cold, hot = numbers.energies, numbers.at(temperature)
        stable, certain = numbers.stable(temperature)
        headline = (
            f"{stable:,} of {len(hot):,} candidates, of them {certain:,} certain, are "
            f"on or below the hull at {temperature:g} K; without entropy "
            f"{count_words(*numbers.stable(0.0))}. Shown: {latest.whose(name)}."
        )
        middle = (
            f"Half of the candidates lie below {1000 * np.median(hot):.0f} meV/atom at "
            f"{temperature:g} K, below {1000 * np.median(cold):.0f} without entropy."
            if len(hot)
            else "There is no candidate yet."
        )
        counts = numbers.stable_curve(_GRID)
        return (
            headline,
            distribution_figure(cold, hot, temperature),
            (
                "Distribution of E_hull without entropy (grey) and at "
                f"{temperature:g} K (blue). {middle}"
            ),
            entropy_figure(cold, numbers.entropies, temperature),
            (
                "Candidates by mixing entropy and E_hull without entropy. The line has "
                f"the slope {temperature:g} K; the {stable:,} below it are stable, "
                f"of them {certain:,} certain."
            ),
            stable_figure(_GRID, counts, temperature),
        )


PAGE = Page("/stability", "Stability", _layout, _register, compared=True)
