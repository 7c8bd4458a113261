"""Which elements go together: pairs in stable candidates, and in known phases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from dash import Input, Output, dcc, html

from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.campaign_numbers import CARRIERS_AND_ANIONS, pair_counts
from hts_battery.dashboard.chord import ChordPairs, chord_figure, pair_name
from hts_battery.dashboard.figures import pair_figure
from hts_battery.dashboard.parts import (
    CampaignChoice,
    Kelvin,
    Page,
    Sources,
    chosen,
    figure,
    heading,
    labelled,
    table,
)

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from hts_battery.dashboard.campaign_numbers import PairCounts

_LISTED = 30


def _layout(_sources: Sources, _rest: str) -> Component:
    return html.Div(
        [
            *heading(
                "Element compatibility",
                "A pair is predicted where a candidate that holds both is on or below "
                "the hull at the temperature, and reported where both stand in one of "
                "the competing phases. Carriers and anions are left out.",
            ),
            labelled(
                "Colour of the map",
                dcc.Dropdown(
                    id="pair-colour",
                    options=[
                        {"label": "share that is stable", "value": "share"},
                        {"label": "number of candidates", "value": "number"},
                    ],
                    value="share",
                    clearable=False,
                    searchable=False,
                ),
            ),
            html.Div(
                [
                    figure("pair-map", "Pairs of elements.", tall=True),
                    figure("chords", "Predicted pairs of elements.", tall=True),
                ],
                className="grid",
            ),
            html.Div(id="pair-tables"),
        ]
    )


def _register(app: Dash, sources: Sources) -> None:
    @app.callback(
        Output("pair-map", "figure"),
        Output("pair-map-words", "children"),
        Output("chords", "figure"),
        Output("chords-words", "children"),
        Output("pair-tables", "children"),
        Input("campaign", "value"),
        Input("temperature", "value"),
        Input("pair-colour", "value"),
    )
    @in_thread
    def show(
        campaign: CampaignChoice,
        temperature: Kelvin,
        colour: Literal["share", "number"],
    ) -> tuple[object, ...]:
        latest = sources.cache.get()
        name = chosen(latest, campaign)
        counts = pair_counts(
            latest.table,
            campaign=name,
            temperature=temperature,
            left_out=CARRIERS_AND_ANIONS,
        )
        pairs = chord_pairs(counts, latest.reported)
        own = f" Of {latest.whose(name)}."
        return (
            pair_figure(counts, shares=colour == "share"),
            _map_words(counts, temperature, shares=colour == "share") + own,
            chord_figure(pairs),
            _chord_words(pairs, temperature) + own,
            _tables(pairs),
        )


def _map_words(counts: PairCounts, temperature: float, *, shares: bool) -> str:
    what = "share" if shares else "number"
    which = f" that is stable at {temperature:g} K" if shares else ""
    return (
        f"{len(counts.elements)} elements; colour: {what} of the candidates with both "
        f"elements{which}. On the diagonal, the element itself."
    )


def _chord_words(pairs: ChordPairs, temperature: float) -> str:
    return (
        "Ribbons are as wide as the number of stable candidates with both elements at "
        f"{temperature:g} K: {len(pairs.both)} pairs also stand in a known phase "
        f"(blue), {len(pairs.new)} do not (orange), the {len(pairs.drawn)} most "
        f"frequent are drawn; {len(pairs.missing)} known pairs are in no stable "
        "candidate."
    )


def chord_pairs(counts: PairCounts, reported: frozenset[frozenset[str]]) -> ChordPairs:
    """
    Compare predicted pairs with reported ones.

    ``counts``: counts of the elements that are shown. ``reported``: pairs in competing
    phases.
    """
    names = counts.elements
    rows, columns = np.triu_indices(len(names), k=1)
    return ChordPairs(
        names,
        {
            frozenset((names[row], names[column])): int(counts.stable[row, column])
            for row, column in zip(rows, columns, strict=True)
        },
        reported,
        {
            frozenset((names[row], names[column])): int(counts.certain[row, column])
            for row, column in zip(rows, columns, strict=True)
        },
    )


def _tables(pairs: ChordPairs) -> Component:
    named = [
        *((pair, "predicted and reported") for pair in pairs.both),
        *((pair, "predicted only") for pair in pairs.new),
        *((pair, "reported only") for pair in pairs.missing),
    ]
    kinds = ("predicted only", "predicted and reported", "reported only")
    return html.Details(
        [
            html.Summary("The pairs as a table"),
            *(
                table(
                    ("pair", "stable candidates", "of them certain"),
                    [
                        (
                            pair_name(pair),
                            f"{pairs.predicted.get(pair, 0):,}",
                            f"{pairs.certain.get(pair, 0):,}",
                        )
                        for pair, found in named
                        if found == kind
                    ][:_LISTED],
                    caption=f"{kind}, the {_LISTED} most frequent",
                    numbers=("stable candidates", "of them certain"),
                    row_headings=True,
                )
                for kind in kinds
            ),
        ]
    )


PAGE = Page("/elements", "Elements", _layout, _register, compared=True)
