"""The tables of a candidate's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from dash import dcc, html

from hts_battery.dashboard.parts import MEV, aria, card, cards, millis, table
from hts_battery.query.builds import label_words
from hts_battery.query.electrochemistry import electrochemistry_answers
from hts_battery.query.properties import COLUMNS, property_rows
from hts_battery.schemas.entropy import EntropyOptions
from hts_battery.schemas.property import PropertyDoc
from hts_battery.thermo.entropy import mixing_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from hts_battery.dashboard.candidate_data import CandidateData
    from hts_battery.schemas.rows import ResultRow, SummaryRow, ThermoRow

_SHORT = 12
_PERCOLATION = (
    ("accessible_li", "accessible", "share, carriers at random"),
    ("percolation_excess", "above the threshold", "carriers per formula unit"),
    ("wrap_probability", "cells that wrap", "share; between 0 and 1: two kinds"),
    ("accessible_li_simulated", "accessible, with order", "metals repel F by 2.5 kT"),
    ("li4_fraction_random", "Li4 tetrahedra", "share, at random; alone it misleads"),
    ("li4_fraction_simulated", "Li4, with order", "share; alone it misleads"),
)
"""Property, its name on a card, and what it is."""


def _successful(data: CandidateData) -> list[tuple[ThermoRow, ResultRow]]:
    """Return the records that have a result, and that."""
    return [
        (record, result)
        for record in data.thermo
        if (result := record["result"]) is not None
    ]


def terms(data: CandidateData) -> Component:
    """Show every term of E_hull(T), one column per campaign and temperature."""
    records = _successful(data)
    results = [cast("Mapping[str, float | None]", result) for _, result in records]
    headings = [f"{doc['temperature']:g} K, {doc['campaign']}" for doc, _ in records]
    rows = (
        ("energy of the candidate", "energy_per_atom", 1.0, "eV/atom"),
        ("energy of the competing phases", "hull_energy", 1.0, "eV/atom"),
        ("E_hull without entropy", "energy_above_hull_0k", MEV, "meV/atom"),
        ("-T·S", "entropy_term", MEV, "meV/atom"),
        ("competition of other candidates", "competition_term", MEV, "meV/atom"),
        ("E_hull(T)", "energy_above_hull", MEV, "meV/atom"),
        ("with the lowest ordering", "energy_above_hull_lowest", MEV, "meV/atom"),
        ("with the mean of random ones", "energy_above_hull_random", MEV, "meV/atom"),
        ("standard uncertainty", "uncertainty", MEV, "meV/atom"),
        ("may fall by known compositions", "hull_depth_risk", MEV, "meV/atom"),
        ("may fall by reported ones", "hull_depth_risk_reported", MEV, "meV/atom"),
        ("probability of E_hull(T) ≤ 0", "probability_stable", 1.0, ""),
    )
    return table(
        ("term", "unit", *headings),
        [
            (name, unit, *(_number(values.get(field), scale) for values in results))
            for name, field, scale, unit in rows
        ]
        + [
            (
                "label",
                "",
                *(label_words(one["label"], is_open=one["open"]) for _, one in records),
            ),
            *_other_mixings([result for _, result in records]),
        ],
        caption="How E_hull(T) is made; all signed",
        numbers=headings,
        row_headings=True,
    )


def _other_mixings(results: list[ResultRow]) -> list[tuple[str, ...]]:
    """Write E_hull(T) under other mixings, a row each."""
    named = [
        {
            mixing_words(EntropyOptions.model_validate(other["options"])): other
            for other in result["other_mixings"]
        }
        for result in results
    ]
    return [
        (
            f"E_hull(T), {words}",
            "meV/atom",
            *(
                _number(found[words]["energy_above_hull"], MEV)
                if words in found
                else "-"
                for found in named
            ),
        )
        for words in dict.fromkeys(words for found in named for words in found)
    ]


def _number(value: float | None, scale: float) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if scale == 1.0 else f"{scale * value:+.1f}"


def entropy_terms(data: CandidateData) -> Component:
    """Show the entropy of each sublattice, with what mixes there."""
    records = _successful(data)
    if not records:
        return html.P("No stability is known.")
    rows = [
        (
            term["sublattice"],
            str(term["sites"]),
            ", ".join(f"{name} {share}" for name, share in term["fractions"].items()),
            f"{1e6 * term['entropy_per_formula_unit']:.1f}",
            "yes" if term["counted"] else "no",
        )
        for term in records[0][1]["entropy_terms"]["terms"]
    ]
    return table(
        ("sublattice", "sites", "mixes", "µeV/K", "counted"),
        rows,
        caption="Ideal mixing entropy per formula unit; counted: "
        + data.summaries[0]["mixing"],
        numbers=("µeV/K",),
        row_headings=True,
    )


def decomposition(data: CandidateData) -> Component:
    """Show what the candidate decomposes into, and what was not compared with."""
    summary = data.summaries[0]
    phases = summary["decomposition"]
    bar = html.Div(
        [
            html.Span(
                phase["formula"],
                style={"flexGrow": str(round(phase["amount"], 4))},
                title=f"{phase['formula']}: {100 * phase['amount']:.1f} % of the atoms",
            )
            for phase in phases
        ],
        className="shares",
        role="img",
        **aria(
            label="Shares of atoms: "
            + ", ".join(
                f"{phase['formula']} {100 * phase['amount']:.1f} %" for phase in phases
            )
        ),
    )
    listing = table(
        ("phase", "atoms (%)", "kind", "gas", "reference"),
        [
            (
                phase["formula"],
                f"{100 * phase['amount']:.2f}",
                phase["kind"],
                "yes" if phase["gas"] else "",
                phase["reference_id"],
            )
            for phase in phases
        ],
        caption=f"Decomposition among {summary['n_references']} competing phases, hull "
        f"{summary['hull_version']}",
        numbers=("atoms (%)",),
        row_headings=True,
    )
    return html.Div([bar, listing, *_left_out(summary)])


def _left_out(summary: SummaryRow) -> list[Component]:
    left_out = summary["excluded_references"]
    if not left_out:
        return []
    return [
        html.P(
            "Not compared with, for they are what it is itself by the options of the "
            f"campaign: {', '.join(left_out)}."
        )
    ]


def orderings(data: CandidateData) -> Component:
    """Show each calculated ordering; rejected ones with their reason."""
    energies = [
        entry["energy"]["energy_per_atom"]
        for entry in data.entries
        if entry["energy"] is not None
    ]
    lowest = min(energies, default=0.0)
    rows = []
    for entry in data.entries:
        energy = entry["energy"]
        above = None if energy is None else energy["energy_per_atom"] - lowest
        volume = entry["volume_per_atom"]
        rows.append(
            (
                _short(entry["entry_id"]),
                entry["ordering_method"] or "-",
                "-" if entry["ordering_seed"] is None else str(entry["ordering_seed"]),
                millis(above),
                "-" if volume is None else f"{volume:.2f}",
                entry["relaxed"]["verdict"] if entry["relaxed"] else "-",
                entry["reason"] or "used",
            )
        )
    return table(
        ("entry", "method", "seed", "meV/atom", "Å³/atom", "relaxed cell", "state"),
        rows,
        caption="Orderings: energy above the lowest, volume, what became of the cell",
        numbers=("seed", "meV/atom", "Å³/atom"),
    )


def percolation(data: CandidateData) -> Component:
    """Show what percolates in the candidate: accessible carriers beside Li4."""
    found = {
        str(doc["name"]): PropertyDoc.model_validate(doc) for doc in data.properties
    }
    share = found.get("accessible_li")
    if share is None:
        return html.P("Percolation is not computed: `hts build percolation`.")
    if not isinstance(share.value, (int, float)):
        return html.P(f"Percolation is not known: {share.reason}.")
    shown = [
        card(words, _value_words(doc), note)
        for name, words, note in _PERCOLATION
        if (doc := found.get(name)) is not None and doc.value is not None
    ]
    verdict = (
        f"{share.value:.0%} of its carriers are in a cluster that wraps the crystal"
        if share.value
        else "Nothing percolates: every cluster of carriers ends somewhere"
    )
    return html.Div(
        [
            html.P(f"{verdict}, where they stand at random: {share.notes[0]}."),
            cards(shown),
        ],
        id="candidate-percolation",
    )


def _value_words(doc: PropertyDoc) -> str:
    """Write a number with its uncertainty."""
    error = "" if doc.uncertainty is None else f" ± {doc.uncertainty:.2g}"
    return f"{doc.value:.3g}{error}"


def electrochemistry(data: CandidateData) -> list[Component]:
    """Answer what one asks of a cathode or an electrolyte; nothing where none is."""
    found = electrochemistry_answers(map(PropertyDoc.model_validate, data.properties))
    if not found:
        return []
    return [
        html.H2("Electrochemistry"),
        table(
            ("question", "answer", "because"),
            list(found),
            caption="Voltages against the metal of the carrier.",
            row_headings=True,
        ),
    ]


def properties(data: CandidateData) -> Component:
    """Show the properties of the candidate, and why some are not known."""
    found = [PropertyDoc.model_validate(doc) for doc in data.properties]
    return table(
        COLUMNS,
        property_rows(found),
        caption="Properties: mean, uncertainty, number of cells or samples.",
        numbers=("value", "±", "n"),
        row_headings=True,
    )


def provenance(data: CandidateData) -> Component:
    """Show the jobs that the numbers come from."""
    rows = []
    for task in data.tasks:
        output = task.get("output")
        if not isinstance(output, dict):  # the orderings of a candidate are a list
            output = {}
        metadata = task.get("metadata") or {}
        engine = (metadata.get("calculation") or {}).get("engine", "")
        rows.append(
            (
                metadata.get("step", "-"),
                engine,
                output.get("forcefield_version") or "-",
                str(task.get("completed_at") or "-")[:19],
                _short(task["uuid"]),
                output.get("dir_name") or "-",
            )
        )
    return table(
        ("step", "engine", "version", "ended", "job", "folder"),
        rows,
        caption=f"{len(rows)} jobs, in the order in which they ended",
    )


def _short(name: str) -> Component:
    return html.Span(f"{name[:_SHORT]}…" if len(name) > _SHORT else name, title=name)


def queries(summary: SummaryRow) -> Component:
    """Show how the same numbers are asked for elsewhere."""
    name, campaign = summary["candidate_id"], summary["campaign"]
    found = {
        "Command line": f"hts query show {name} --campaign {campaign}",
        "Python": "from hts_battery.query import ScreeningDatabase\n\n"
        "with ScreeningDatabase() as screening:\n"
        f'    summaries = screening.get("{name}", campaign="{campaign}")',
        "JSON": f"/api/v1/candidates/{name}?campaign={campaign}",
        "OPTIMADE": f"/optimade/v1/structures/{campaign}-{name}",
        "MongoDB": "db.thermo.find("
        f'{{campaign: "{campaign}", candidate_id: "{name}"}})',
    }
    parts: list[Component] = []
    for number, (title, text) in enumerate(found.items()):
        block = f"query-{number}"
        shown = html.A(text, href=text) if text.startswith("/") else text
        parts += [
            html.H3(title),
            html.Div(
                [
                    html.Pre(html.Code(shown), id=block, tabIndex=0),
                    dcc.Clipboard(
                        target_id=block, title=f"Copy: {title}", className="copy"
                    ),
                ],
                className="code",
            ),
        ]
    return html.Div(parts)
