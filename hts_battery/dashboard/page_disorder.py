"""What percolates in the candidates of a campaign, and what order does to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from dash import Input, Output, html

from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.campaign_numbers import elements_of, read_numbers
from hts_battery.dashboard.disorder_figures import (
    Percolation,
    accessible_maps,
    percolation_figure,
    tetrahedra_figure,
)
from hts_battery.dashboard.parts import (
    CampaignChoice,
    Page,
    Sources,
    aria,
    chosen,
    figure,
    heading,
)
from hts_battery.query.query_fields import query_field
from hts_battery.schemas.summary_table import AMOUNTS

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from hts_battery.query.summary_table import SummaryTable

_CARRIERS = ("Li", "Na")
_FIELDS = (
    "accessible_li",
    "accessible_li_simulated",
    "percolation_excess",
    "li4_fraction_simulated",
)


def _layout(_sources: Sources, _rest: str) -> Component:
    return html.Div(
        [
            *heading(
                "Disorder",
                "Lithium moves through a disordered rock salt along tetrahedra whose "
                "four corners all hold lithium; to the right of the dashed line enough "
                "of them touch that one cluster wraps the whole crystal, and its "
                "lithium is accessible. To the left every cluster ends somewhere and "
                "nothing is accessible, however many such tetrahedra there are.",
            ),
            html.P(id="percolation-count", className="headline", **aria(live="polite")),
            html.Div(
                [
                    figure("percolation", "Accessible carriers of each candidate."),
                    figure("accessible-maps", "Accessible carriers by composition."),
                    figure("tetrahedra", "Accessible carriers and tetrahedra of four."),
                ],
                className="grid",
            ),
        ]
    )


def read_percolation(table: SummaryTable, campaign: str | None) -> Percolation:
    """Read what percolates in the candidates of a campaign that have it."""
    paths = {name: query_field(name).column for name in _FIELDS}
    stored = [path for path in paths.values() if path in table.stored_columns]
    elements = [e for e in (*_CARRIERS, "F") if e in elements_of(table)]
    columns = (*stored, *(f"{AMOUNTS}{e}" for e in elements), "formula")
    numbers = read_numbers(table, campaign, columns)
    nothing = np.full(len(numbers), np.nan)
    values = {
        name: numbers.array(path) if path in stored else nothing
        for name, path in paths.items()
    }
    amounts = {
        e: numbers.amounts(e) if e in elements else np.zeros(len(numbers))
        for e in (*_CARRIERS, "F")
    }
    known = ~np.isnan(values["accessible_li"])
    formulas = np.array(numbers.rows["formula"].to_pylist(), object)
    lithium, sodium = (amounts[e] for e in _CARRIERS)
    return Percolation(
        formulas[known],
        np.where(lithium > 0, lithium, sodium)[known],
        amounts["F"][known],
        values["percolation_excess"][known],
        (values["accessible_li"][known], values["accessible_li_simulated"][known]),
        values["li4_fraction_simulated"][known],
    )


def _register(app: Dash, sources: Sources) -> None:
    @app.callback(
        Output("percolation-count", "children"),
        Output("percolation", "figure"),
        Output("percolation-words", "children"),
        Output("accessible-maps", "figure"),
        Output("accessible-maps-words", "children"),
        Output("tetrahedra", "figure"),
        Output("tetrahedra-words", "children"),
        Input("campaign", "value"),
    )
    @in_thread
    def show(campaign: CampaignChoice) -> tuple[object, ...]:
        latest = sources.cache.get()
        name = chosen(latest, campaign)
        found = read_percolation(latest.table, name)
        count, above = len(found.excess), int((found.excess > 0).sum())
        headline = (
            f"{above:,} of {count:,} candidates percolate with carriers at random. "
            f"Shown: {latest.whose(name)}."
            if count
            else "No candidate of this campaign has a percolation yet: run "
            "`hts build percolation` (extra `disorder`)."
        )
        return (
            headline,
            percolation_figure(found),
            (
                "Accessible carriers against carriers above the threshold of the "
                "parent lattice (left of the line: below it). Circles: carriers at "
                "random; diamonds: cells simulated with metals that repel fluorine by "
                "2.5 kT a pair, an assumption. Barriers are not in it."
            ),
            accessible_maps(found),
            (
                "The same over carriers and fluorine per formula unit. At random "
                "fluorine changes nothing; with order it does, and not one way only."
            ),
            tetrahedra_figure(found),
            (
                "Tetrahedra of four carriers alone mislead: with order, candidates "
                "with more of them can have less that is accessible, because they do "
                "not touch."
            ),
        )


PAGE = Page("/disorder", "Disorder", _layout, _register, compared=True)
