"""Which elements go together: in stable candidates, and in reported compounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from dash import Input, Output, dcc, html
from pydantic import Field

from hts_battery.compositions.reported import reported_pairs
from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.campaign_numbers import (
    CARRIERS_AND_ANIONS,
    pair_counts,
    read_numbers,
)
from hts_battery.dashboard.chord import (
    REPORTED,
    ChordPairs,
    chord_figure,
    pair_name,
)
from hts_battery.dashboard.figures import pair_figure
from hts_battery.dashboard.learned_data import effects, learned_rows, reported_like
from hts_battery.dashboard.learned_figures import effects_figure
from hts_battery.dashboard.page_rules import campaign_rules
from hts_battery.dashboard.parts import (
    EMPTY_LAYOUT,
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
    from collections.abc import Mapping, Sequence

    from dash import Dash
    from dash.development.base_component import Component

    from hts_battery.compositions.reported import ReportedCompound
    from hts_battery.dashboard.campaign_numbers import PairCounts
    from hts_battery.dashboard.latest_build import LatestBuild
    from hts_battery.dashboard.learned_data import Learned
    from hts_battery.learning.rules import RuleReport
    from hts_battery.schemas.rules import ElementEffect

_LISTED = 30
_FEW = 10
_LIKE_CAMPAIGN, _ALL_TYPES = "", "*"
NO_METALS = frozenset(("Si", "P", "S"))
"""Centres of polyanions."""
StructureType = Annotated[str, Field(max_length=100)]


def _layout(sources: Sources, _rest: str) -> Component:
    types = sorted({one.structure_type for one in sources.reported})
    return html.Div(
        [
            *heading(
                "Element compatibility",
                "A pair is predicted where a candidate that holds both is on or below "
                "the hull at the temperature, and reported where both stand in one of "
                "the reported compounds. Carriers, anions, Si, P and S are left out.",
            ),
            html.Div(
                [
                    _choice(
                        "Colour of the map",
                        "pair-colour",
                        [
                            ("share that is stable", "share"),
                            ("number of candidates", "number"),
                        ],
                    ),
                    _choice(
                        "Reported compounds",
                        "reported-types",
                        [
                            ("of the structure of the campaign", _LIKE_CAMPAIGN),
                            ("all", _ALL_TYPES),
                            *((one, one) for one in types),
                        ],
                    ),
                ],
                className="controls-row",
            ),
            html.Div(
                [
                    figure("reported-chords", "Reported pairs of elements.", tall=True),
                    figure("chords", "Predicted pairs of elements.", tall=True),
                    figure("pair-map", "Pairs of elements.", tall=True),
                    figure("element-effects", "Effect of each metal.", tall=True),
                ],
                className="grid",
            ),
            html.Div(id="pair-effects"),
            html.Div(id="pair-tables"),
        ]
    )


def _choice(words: str, name: str, options: Sequence[tuple[str, str]]) -> Component:
    return labelled(
        words,
        dcc.Dropdown(
            id=name,
            options=[{"label": label, "value": value} for label, value in options],
            value=options[0][1],
            clearable=False,
            searchable=False,
        ),
    )


def _register(app: Dash, sources: Sources) -> None:
    @app.callback(
        Output("pair-map", "figure"),
        Output("pair-map-words", "children"),
        Output("chords", "figure"),
        Output("chords-words", "children"),
        Output("reported-chords", "figure"),
        Output("reported-chords-words", "children"),
        Output("pair-tables", "children"),
        Input("campaign", "value"),
        Input("temperature", "value"),
        Input("pair-colour", "value"),
        Input("reported-types", "value"),
    )
    @in_thread
    def show(
        campaign: CampaignChoice,
        temperature: Kelvin,
        colour: Literal["share", "number"],
        types: StructureType,
    ) -> tuple[object, ...]:
        latest = sources.cache.get()
        name = chosen(latest, campaign)
        counts = pair_counts(
            latest.table,
            campaign=name,
            temperature=temperature,
            left_out=CARRIERS_AND_ANIONS | NO_METALS,
        )
        compounds = _of_type(sources, latest, name, types)
        reported = reported_pairs(compounds)
        pairs = chord_pairs(counts, frozenset(reported))
        own = f" Of {latest.whose(name)}."
        return (
            pair_figure(counts, shares=colour == "share"),
            _map_words(counts, temperature, shares=colour == "share") + own,
            chord_figure(pairs),
            _chord_words(pairs, temperature) + own,
            chord_figure(pairs.turned(reported), REPORTED),
            _reported_words(pairs, reported, compounds),
            _tables(pairs),
        )

    @app.callback(
        Output("element-effects", "figure"),
        Output("element-effects-words", "children"),
        Output("pair-effects", "children"),
        Input("campaign", "value"),
        Input("temperature", "value"),
    )
    @in_thread
    def show_effects(
        campaign: CampaignChoice, temperature: Kelvin
    ) -> tuple[object, ...]:
        latest = sources.cache.get()
        name = chosen(latest, campaign)
        key = ("effects", latest.run_id, name, temperature)
        found = sources.learned.get(
            key, lambda: _effects(learned_rows(latest, name, temperature))
        )
        rules = campaign_rules(sources, latest, name, temperature)
        if isinstance(found, str):
            return {"layout": EMPTY_LAYOUT}, found, None
        effects, words = found
        pairs = rules if isinstance(rules, str) else pair_effects_table(rules)
        return effects_figure(effects), words, pairs


def _effects(rows: Learned) -> tuple[tuple[ElementEffect, ...], str]:
    """Fit the effects of metals, and say what they are of."""
    found = effects(rows)
    known = [one for one in found if one.effect is not None]
    unknown = [one for one in found if one.effect is None]
    held = ", ".join(rows.held) or "nothing else"
    few = "".join(
        f" {one.element}: {one.reason or one.verdict} ({one.n} candidates)."
        for one in unknown
    )
    supported = sum(one.verdict == "supported" for one in known)
    return found, (
        f"E_hull of candidates that hold a metal minus those that do not, all other "
        f"metals and the amounts of {held} held, with 95 % intervals (least squares, "
        f"errors HC3; {rows.words}). {supported} of {len(known)} are supported at a "
        f"false-discovery rate of 0.05.{few}"
    )


def pair_effects_table(report: RuleReport) -> Component:
    """List pairs that do more than their members, at the stated rate."""
    tested = [one for one in report.pairs if one.q_value is not None]
    found = [one for one in tested if one.verdict == "supported"]
    words = (
        f"{len(found)} of {len(tested)} pairs of metals do more, or less, for "
        "stability than their members say, at a false-discovery rate of "
        f"{report.false_discovery_rate:g}; {len(report.pairs) - len(tested)} more are "
        "in too few candidates, or cannot be told from single metals."
    )
    first = sorted(tested, key=lambda one: (one.q_value or 0.0, one.elements))
    rows = [
        (
            "-".join(one.elements),
            one.n,
            one.stable,
            "" if one.odds_ratio is None else f"{one.odds_ratio:.2f}",
            "" if one.interval is None else f"{one.interval[0]:.2f}",
            "" if one.interval is None else f"{one.interval[1]:.2f}",
            f"{one.q_value:.2g}",
            one.verdict,
        )
        for one in (found or first[:_FEW])
    ]
    columns = ("pair", "n", "stable", "odds ratio", "from", "to", "q", "verdict")
    return html.Div(
        [
            html.P(words),
            table(
                columns,
                rows,
                caption="Odds with both over the odds that the single metals and the "
                "descriptors give, with its 95 % interval"
                + ("" if found else "; the pairs with the lowest q"),
                numbers=columns[1:7],
                row_headings=True,
            ),
        ]
    )


def _of_type(
    sources: Sources, latest: LatestBuild, campaign: str | None, types: str
) -> tuple[ReportedCompound, ...]:
    """Choose reported compounds by their structure type."""
    if types == _ALL_TYPES:
        return sources.reported
    if types != _LIKE_CAMPAIGN:
        return tuple(one for one in sources.reported if one.structure_type == types)
    families = read_numbers(latest.table, campaign, ("family",)).rows["family"]
    names = set(families.to_pylist())
    return reported_like(sources.reported, names.pop() if len(names) == 1 else None)


def _reported_words(
    pairs: ChordPairs,
    reported: Mapping[frozenset[str], int],
    compounds: Sequence[ReportedCompound],
) -> str:
    here = frozenset(pairs.elements)
    elsewhere = sum(not pair <= here for pair in reported)
    types = ", ".join(sorted({one.structure_type for one in compounds})) or "none"
    sources = len({one.doi for one in compounds})
    return (
        f"Ribbons are as wide as the number of reported compounds with both elements: "
        f"{len(compounds)} compounds ({types}) of {sources} sources. {elsewhere} "
        "reported pairs hold an element that the campaign has not."
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
        f"{temperature:g} K: {len(pairs.both)} pairs were also reported "
        f"(blue), {len(pairs.new)} were not (orange), the {len(pairs.drawn)} most "
        f"frequent are drawn; {len(pairs.missing)} reported pairs are in no stable "
        "candidate."
    )


def chord_pairs(counts: PairCounts, reported: frozenset[frozenset[str]]) -> ChordPairs:
    """
    Compare predicted pairs with reported ones.

    ``counts``: counts of the elements that are shown. ``reported``: pairs in reported
    compounds.
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
