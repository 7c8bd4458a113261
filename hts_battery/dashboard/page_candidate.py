"""One candidate: its cell, every energy term, its orderings, jobs and the query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from dash import Input, Output, State, dcc, html
from pydantic import Field

from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.candidate_data import (
    CandidateData,
    final_structures,
    read_candidate,
)
from hts_battery.dashboard.candidate_tables import (
    decomposition,
    electrochemistry,
    entropy_terms,
    orderings,
    percolation,
    properties,
    provenance,
    queries,
    terms,
)
from hts_battery.dashboard.figures import lines_figure, orderings_figure
from hts_battery.dashboard.parts import (
    HIGHEST_TEMPERATURE,
    Kelvin,
    Page,
    Sources,
    aria,
    candidate_link,
    card,
    cards,
    figure,
    formula_parts,
    labelled,
    millis,
    table,
)
from hts_battery.dashboard.structure_view import structure_figure, structure_words
from hts_battery.errors import ForeignClassError
from hts_battery.query.builds import label_words
from hts_battery.query.tables import campaigns_text
from hts_battery.schemas.decoding import read_structure
from hts_battery.thermo.estimates import is_open, probability_stable, stability_label

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from dash import Dash
    from dash.development.base_component import Component

    from hts_battery.schemas.rows import SummaryRow

Shown = Annotated[
    str, Field(max_length=200, pattern=r"^[A-Za-z0-9-]{1,60}(/[a-z0-9][a-z0-9_-]*)?$")
]
"""A candidate, and after a slash the campaign whose numbers are shown."""
Degrees = Annotated[float, Field(ge=0, le=360, allow_inf_nan=False)]
EntryId = Annotated[str, Field(max_length=100)]

_TURNS = {angle: str(angle) for angle in range(0, 361, 90)}
_GRID = np.linspace(0, HIGHEST_TEMPERATURE, 26)


def _read(sources: Sources, shown: str) -> tuple[str, CandidateData]:
    """Read a candidate, and leave what the campaign says that is shown, if one is."""
    candidate_id, _, campaign = shown.partition("/")
    data = read_candidate(sources.reader, candidate_id)
    return candidate_id, data.of(campaign) if campaign else data


def _layout(sources: Sources, shown: str) -> Component:
    candidate_id, data = _read(sources, shown)
    if not data.summaries:
        return html.Div(
            [
                html.H1("No such candidate", tabIndex=-1),
                html.P(
                    f"No builder has assessed a candidate {candidate_id}; "
                    f"{len(data.tasks)} of its jobs are known.",
                    className="lead",
                ),
                provenance(data),
            ]
        )
    if len(data.summaries) > 1:
        return _choice(candidate_id, data)
    first = data.summaries[0]
    data = data.of(first["campaign"])
    return html.Div(
        [
            dcc.Store(id="shown-candidate", data=f"{candidate_id}/{first['campaign']}"),
            html.H1(formula_parts(first["formula"]), tabIndex=-1),
            html.P(
                f"{first['family']}, {first['calculator']}; candidate {candidate_id}. "
                f"Numbers of campaign {first['campaign']} with engine "
                f"{first['engine']}, from {_whose(first)}.",
                className="lead",
            ),
            *_warnings(first),
            *_calculated(first),
            html.Div(id="candidate-cards", **aria(live="polite")),
            html.Div(
                [_cell_panel(data), figure("candidate-lines", "E_hull over T.")],
                className="grid",
            ),
            *electrochemistry(data),
            html.H2("Energy terms"),
            html.P(f"Uncertainty: {first['uncertainty_source']}.", className="note"),
            terms(data),
            entropy_terms(data),
            html.H2("Decomposition"),
            decomposition(data),
            html.H2("Percolation"),
            percolation(data),
            html.H2("Orderings"),
            _ordering_figure(data),
            orderings(data),
            properties(data),
            html.H2("Where it comes from"),
            provenance(data),
            html.H2("Ask for it yourself"),
            queries(first),
        ]
    )


def _whose(summary: SummaryRow) -> str:
    """Say how many orderings of which campaigns the numbers are made from."""
    numbers = summary.get("orderings_by_campaign") or {}
    total = summary["n_orderings"]
    noun = "ordering" if total == 1 else "orderings"
    if numbers.keys() <= {summary["campaign"]}:
        return f"{total} {noun} of its own"
    return f"{total} pooled {noun}: {campaigns_text(numbers)}"


def _choice(candidate_id: str, data: CandidateData) -> Component:
    """Show side by side what several campaigns say; each leads to its own page."""
    first = data.summaries[0]
    keys = list(dict.fromkeys(key for doc in data.summaries for key in doc["label_at"]))
    hot = [f"E_hull({key.replace('_', '.').replace('K', ' K')})" for key in keys]
    return html.Div(
        [
            html.H1(formula_parts(first["formula"]), tabIndex=-1),
            html.P(
                f"{first['family']}; candidate {candidate_id}. "
                f"{len(data.summaries)} campaigns have assessed it, each from its own "
                "orderings: choose one.",
                className="lead",
            ),
            table(
                ("campaign", "engine", "orderings", "E_hull", *hot, "labels"),
                [
                    (
                        candidate_link(
                            candidate_id, doc["campaign"], campaign=doc["campaign"]
                        ),
                        doc["engine"],
                        str(doc["n_orderings"]),
                        millis(doc["energy_above_hull"]),
                        *(millis(doc["energy_above_hull_at"].get(key)) for key in keys),
                        ", ".join(
                            label_words(
                                doc["label_at"].get(key),
                                is_open=bool(doc["open_at"].get(key)),
                            )
                            for key in keys
                        ),
                    )
                    for doc in data.summaries
                ],
                caption="What each campaign says (meV/atom)",
                numbers=("orderings", "E_hull", *hot),
                row_headings=True,
            ),
        ]
    )


def _warnings(summary: SummaryRow) -> list[Component]:
    if not summary["flags"]:
        return []
    return [
        html.Div(
            [html.Strong("Mind: "), "; ".join(summary["flags"])],
            className="warning",
            role="note",
        )
    ]


def _calculated(summary: SummaryRow) -> list[Component]:
    """Say what was calculated, where that is not the candidate."""
    if not summary["deviation"]:
        return []
    shared = summary["same_cell_as"]
    words = (
        f" off by {summary['deviation']:g} atoms of an element per formula unit: all "
        "numbers are those of the calculated cell."
    )
    ranked = (
        (" It is ranked as ", candidate_link(shared, shared), ".") if shared else ()
    )
    return [
        html.Div(
            [
                html.Strong("Calculated: "),
                *formula_parts(summary["calculated_formula"]),
                words,
                *ranked,
            ],
            className="warning",
            role="note",
        )
    ]


def _cell_panel(data: CandidateData) -> Component:
    used = [entry for entry in data.entries if entry["state"] == "used"]
    options = [
        {"label": f"{number}: {entry['ordering_method']}", "value": entry["entry_id"]}
        for number, entry in enumerate(used, 1)
    ]
    return html.Div(
        [
            labelled(
                "Ordering, the lowest energy first",
                dcc.Dropdown(
                    id="shown-entry",
                    options=options,
                    value=data.summaries[0]["entry_id"],
                    clearable=False,
                    searchable=False,
                ),
            ),
            figure("structure", "Relaxed cell."),
            labelled(
                "Turn (degrees)",
                dcc.Slider(id="turn", min=0, max=360, step=5, value=25, marks=_TURNS),
            ),
        ],
        className="panel",
    )


def _ordering_figure(data: CandidateData) -> Component:
    used = [
        (energy["energy_per_atom"], entry["ordering_method"] or "unknown")
        for entry in data.entries
        if (energy := entry["energy"]) is not None
    ]
    spread = data.summaries[0]["ordering_spread"]
    return figure(
        "orderings",
        f"{len(used)} orderings; ordering spread (standard deviation of the random "
        f"ones) {millis(spread)} meV/atom.",
        orderings_figure([at for at, _ in used], [method for _, method in used]),
    )


def _register(app: Dash, sources: Sources) -> None:
    @app.callback(
        Output("structure", "figure"),
        Output("structure-words", "children"),
        Input("shown-entry", "value"),
        Input("turn", "value"),
    )
    @in_thread
    def show_cell(
        entry_id: EntryId, turn: Degrees
    ) -> tuple[go.Figure | dict[str, object], str]:
        cells = final_structures(sources.reader, [entry_id])
        if entry_id not in cells:
            return {}, "The cell of this ordering is not in the database."
        try:
            cell = read_structure(cells[entry_id])
        except ForeignClassError as err:
            return {}, f"The cell of this ordering cannot be read: {err}"
        return structure_figure(cell, turn), structure_words(cell)

    @app.callback(
        Output("candidate-cards", "children"),
        Output("candidate-lines", "figure"),
        Output("candidate-lines-words", "children"),
        Input("temperature", "value"),
        State("shown-candidate", "data"),
    )
    @in_thread
    def show_energies(
        temperature: Kelvin, shown_candidate: Shown
    ) -> tuple[Component, go.Figure, str]:
        _, data = _read(sources, shown_candidate)
        summary = data.summaries[0]
        shown = _lines(data)
        hot = summary["energy_above_hull"] - temperature * summary["entropy"]
        verdict = "on or below" if hot <= 0 else "above"
        return (
            _cards(summary, temperature, hot),
            lines_figure([float(kelvin) for kelvin in _GRID], shown, temperature),
            (
                f"E_hull falls by the mixing entropy times T; at {temperature:g} K it "
                f"is {millis(hot)} meV/atom, {verdict} the hull."
            ),
        )


def _cards(summary: SummaryRow, temperature: float, hot: float) -> Component:
    mixing = summary["mixing_temperature"]
    unsure = summary["uncertainty"]
    gap = next(
        (
            upper - summary["energy_above_hull_at"][key]
            for key, upper in summary["energy_above_hull_upper_at"].items()
        ),
        None,
    )
    upper = None if gap is None else hot + gap
    label = stability_label(
        summary["energy_above_hull"], summary["entropy"], temperature
    )
    doubtful = is_open(hot, lower=hot, upper=upper, uncertainty=unsure)
    chance = probability_stable(hot, unsure)
    return cards(
        [
            card("E_hull", f"{millis(summary['energy_above_hull'])}", "meV/atom"),
            card(f"E_hull({temperature:g} K)", millis(hot), "meV/atom"),
            card("T_mix", "-" if mixing is None else f"{mixing:.0f}", "K"),
            card("entropy", f"{1e6 * summary['entropy']:.1f}", "µeV/K per atom"),
            card("random mean", millis(upper), _orderings_words(summary)),
            card("uncertainty", f"±{millis(unsure)}", "meV/atom, of the engine"),
            card("ordering spread", millis(summary["ordering_spread"]), "meV/atom"),
            card(
                f"label at {temperature:g} K",
                label_words(label, is_open=doubtful),
                "P(stable) " + ("not known" if chance is None else f"{chance:.2f}"),
            ),
            card(
                "E_hull may fall by",
                millis(summary["hull_depth_risk"]),
                "meV/atom, "
                f"{millis(summary['hull_depth_risk_reported'])} by reported compounds",
            ),
        ]
    )


def _orderings_words(summary: SummaryRow) -> str:
    return (
        f"meV/atom, {summary['n_random_orderings']} of {summary['n_orderings']} "
        "orderings"
    )


def _lines(data: CandidateData) -> list[tuple[str, list[float], str]]:
    """Return the bounds of E_hull over temperature: lowest ordering, random mean."""
    summary = data.summaries[0]
    entropy = summary["entropy"]
    lines = [("lowest ordering", summary["energy_above_hull"], "solid")]
    upper = summary["energy_above_hull_upper_at"]
    if upper:
        key, value = next(iter(upper.items()))
        kelvin = float(key.removesuffix("K").replace("_", "."))
        lines.append(("mean of random orderings", value + kelvin * entropy, "dash"))
    return [
        (name, [float(start - kelvin * entropy) for kelvin in _GRID], dash)
        for name, start, dash in lines
    ]


PAGE = Page("/candidate", "Candidate", _layout, _register, listed=False)
