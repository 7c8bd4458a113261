"""Tables of hts query: chosen fields, the terms of a candidate, comparisons."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

from hts_battery.cli import formatting
from hts_battery.query.builds import label_words
from hts_battery.query.properties import shown_value
from hts_battery.query.query_fields import query_field
from hts_battery.query.tables import (
    MEV_PER_EV,
    campaigns_text,
    count_words,
    decomposition_text,
)
from hts_battery.schemas.uncertainty import UncertaintyTerms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hts_battery.query.comparison import Comparison, Pair
    from hts_battery.query.explanation import Explanation
    from hts_battery.schemas.rows import SummaryRow

_NARROWEST = 8
_WIDEST = 26
_NARROW_FORMULA = 16
_BETWEEN = 3
"""Blanks beside a column."""


def selection(
    rows: Sequence[Mapping[str, object]], names: Sequence[str], *, title: str
) -> None:
    """
    Print chosen fields of summaries as a table, units in the headings.

    ``rows``: name of a field → value. ``names``: names of the fields, in order.
    ``title``: line above the table.
    """
    plain = [query_field(name).unit for name in names]
    cells = [
        [_short(row[name], unit) for name, unit in zip(names, plain, strict=True)]
        for row in rows
    ]
    units = [query_field(name).unit_words for name in names]
    headings = [
        f"{name}\n{unit}" if unit else name
        for name, unit in zip(names, units, strict=True)
    ]
    right = [
        heading
        for heading, name in zip(headings, names, strict=True)
        if query_field(name).is_axis
    ]
    least = {
        heading: max(
            len(name) if heading in right else 0,
            min(
                max((len(_text(row[column])) for row in cells), default=0),
                _WIDEST if name in {"formula", "candidate_id"} else _NARROWEST,
            ),
        )
        for column, (heading, name) in enumerate(zip(headings, names, strict=True))
    }
    if sum(least.values()) + _BETWEEN * len(names) > formatting.width():
        formatting.line(title)
        for row in cells:
            _record(names, units, row)
        return
    formatting.table(headings, cells, title=title, right=right, least=least)


def _record(
    names: Sequence[str], units: Sequence[str], values: Sequence[object]
) -> None:
    """Print a row that is wider than the terminal: nothing of it may disappear."""
    first, *rest = (
        f"{name} -" if value in {None, ""} else f"{name} {value} {unit}".rstrip()
        for name, unit, value in zip(names, units, values, strict=True)
    )
    formatting.line(first if names[0] != "formula" else _text(values[0]))
    for line in wrap(", ".join(rest), formatting.width() - 2, break_on_hyphens=False):
        formatting.line(f"  {line}")


def _text(value: object) -> str:
    return "" if value is None else str(value)


def whose(document: SummaryRow | Explanation) -> str:
    """
    Say whose numbers a document holds.

    Examples
    --------
    >>> whose({"campaign": "first", "engine": "chgnet"})
    'campaign first, engine chgnet'
    """
    return f"campaign {document['campaign']}, engine {document['engine']}"


def side_by_side(summaries: Sequence[SummaryRow]) -> None:
    """Print what several campaigns say of one candidate, a column each."""
    names = [f"{doc['campaign']}\n{doc['engine']}" for doc in summaries]
    keys = dict.fromkeys(key for doc in summaries for key in doc["label_at"])
    rows: list[tuple[object, ...]] = [
        ("E_hull in meV/atom", *(_in_millis(d["energy_above_hull"]) for d in summaries))
    ]
    for key in keys:
        kelvin = key.replace("_", ".").replace("K", " K")
        hot = [doc["energy_above_hull_at"].get(key) for doc in summaries]
        rows += [
            (f"E_hull({kelvin})", *map(_in_millis, hot)),
            (
                f"  random mean at {kelvin}",
                *(
                    _in_millis(d["energy_above_hull_upper_at"].get(key))
                    for d in summaries
                ),
            ),
            (
                f"label at {kelvin}",
                *(
                    label_words(
                        doc["label_at"].get(key), is_open=bool(doc["open_at"].get(key))
                    )
                    for doc in summaries
                ),
            ),
            (
                f"P(E_hull({kelvin}) <= 0)",
                *(_chance(doc["probability_stable_at"].get(key)) for doc in summaries),
            ),
        ]
    rows += [
        ("±", *(_in_millis(doc["uncertainty"]) for doc in summaries)),
        ("E_hull may fall by", *(_in_millis(d["hull_depth_risk"]) for d in summaries)),
        (
            "  by reported compounds",
            *(_in_millis(doc["hull_depth_risk_reported"]) for doc in summaries),
        ),
        ("orderings", *(doc["n_orderings"] for doc in summaries)),
        (
            "calculated",
            *(
                f"{'≈ ' if doc['deviation'] else ''}{doc['calculated_formula']}"
                for doc in summaries
            ),
        ),
    ]
    formatting.table(
        ("", *names),
        rows,
        title=f"{summaries[0]['formula']} in {len(summaries)} campaigns; --campaign "
        "shows one",
        right=names,
    )


def _short(value: object, unit: str | None) -> object:
    """Write a value for a table: numbers short, lists in one line."""
    if isinstance(value, float):
        return shown_value(value, unit)
    if isinstance(value, list):
        return " ".join(map(str, value))
    return value


def explanation(found: Explanation) -> None:
    """
    Print how a candidate's E_hull was made.

    ``found``: what :func:`~hts_battery.query.explanation.explanation` says of one
    campaign.
    """
    formatting.line(
        f"{found['formula']}  {found['candidate_id']}  campaign {found['campaign']}"
    )
    if found["deviation"]:
        formatting.line(
            f"≈ calculated: {found['calculated_formula']}, to which all numbers belong"
        )
    if found["same_cell_as"]:
        formatting.line(f"the same cell is ranked as {found['same_cell_as']}")
    formatting.line(f"calculator  {found['calculator']}")
    formatting.line(f"decomposes into  {decomposition_text(found['decomposition'])}")
    _terms(found)
    _doubt(found)
    formatting.line(f"mixing counted  {found['mixing']}")
    formatting.table(
        ("sublattice", "S in 1e-5 eV/K\nper formula unit", "counted", "fractions"),
        (
            (
                term["sublattice"],
                f"{1e5 * term['entropy_per_formula_unit']:.3f}",
                "yes" if term["counted"] else "no",
                ", ".join(f"{name} {n}" for name, n in term["fractions"].items()),
            )
            for term in found["entropy_terms"]
        ),
        right=("S in 1e-5 eV/K\nper formula unit",),
    )
    cell = found["energy_per_cell"]
    named = [f"{one['name']} {one['value']:.4f}" for one in cell["corrections"]]
    rest = {
        "energy of the cell in eV": cell["uncorrected_energy"],
        "atoms of the cell": cell["n_atoms"],
        "corrections in eV": ", ".join(named) or f"none ({cell['scheme']})",
        "orderings": f"{len(found['orderings'])}: "
        + campaigns_text(found["orderings_by_campaign"]),
        "ordering spread in eV/atom": found["ordering_spread"],
        "uncertainty in eV/atom": found["uncertainty"],
        "its source": UncertaintyTerms.model_validate(found["uncertainty_terms"]).words,
        "references": found["references"]["n_references"],
        "not compared with": ", ".join(found["references"]["excluded"]) or "itself",
        **_depth(found["references"]),
        "hull version": found["references"]["hull_version"],
        "flags": "; ".join(found["flags"]) or "none",
    }
    formatting.fields(rest)


def _depth(references: Mapping[str, Any]) -> dict[str, str]:
    """Say how much E_hull may fall, and by what, or why that is not known."""
    heading = "E_hull may fall by"
    risk = references["hull_depth_risk"]
    if risk is None:
        return {heading: f"not known: {references['hull_depth_reason']}"}
    reported = references["hull_depth_risk_reported"]
    missing = references["missing_compositions"]
    named = [f"{amount:.3f} {formula}" for formula, amount in missing.items()]
    return {
        heading: f"{MEV_PER_EV * risk:.1f} meV/atom ({MEV_PER_EV * reported:.1f} by "
        "reported compounds)",
        "compositions without reference": " + ".join(named) or "none",
        "systems without reference": ", ".join(
            references["needed_systems_without_reference"]
        )
        or "none",
    }


def _terms(found: Explanation) -> None:
    """Print the terms that add up to E_hull(T)."""
    competes = any(terms["competition_term"] for terms in found["terms"])
    names = ["energy", "hull", "-T·S", *(["others"] if competes else []), "E_hull(T)"]
    keys = ["energy_per_atom", "hull_energy", "entropy_term", "energy_above_hull"]
    if competes:
        keys.insert(3, "competition_term")
    formatting.table(
        ("T in K", *names, "label", "rank"),
        (
            (
                f"{terms['temperature']:g}",
                *(f"{terms[key]:.4f}" for key in keys),
                label_words(terms["label"], is_open=terms["open"]),
                found["rank"][f"{terms['temperature']:g}"],
            )
            for terms in found["terms"]
        ),
        title="eV/atom: E_hull(T) = energy - hull - T·S"
        + (" + what others' entropy takes" if competes else ""),
        right=("T in K", *names, "rank"),
    )


def _doubt(found: Explanation) -> None:
    """Print the bounds of E_hull(T), its error, and what other mixings make of it."""
    unsure = found["uncertainty"]
    columns = ("T in K", "lowest", "random mean", "±", "P(<= 0)")
    formatting.table(
        columns,
        (
            (
                f"{terms['temperature']:g}",
                _in_millis(terms["energy_above_hull_lowest"]),
                _in_millis(terms["energy_above_hull_random"]),
                _in_millis(unsure),
                _chance(terms["probability_stable"]),
            )
            for terms in found["terms"]
        ),
        title="E_hull(T) in meV/atom: bounds and error",
        right=columns,
    )
    kelvins = [f"{terms['temperature']:g} K" for terms in found["terms"]]
    others = zip(
        found["other_mixings"],
        *(terms["other_mixings"] for terms in found["terms"]),
        strict=True,
    )
    formatting.table(
        ("mixing counted instead", *kelvins),
        (
            (
                name,
                *(
                    _other_words(other, terms, unsure)
                    for other, terms in zip(at, found["terms"], strict=True)
                ),
            )
            for name, *at in others
        ),
        title="E_hull(T) in meV/atom, had another mixing been counted",
        right=kelvins,
    )


def _other_words(
    other: Mapping[str, Any], terms: Mapping[str, Any], unsure: float | None
) -> str:
    """Write E_hull(T) and the label of another mixing, which moves both bounds."""
    from hts_battery.thermo.estimates import is_open

    energy = other["energy_above_hull"]
    moved = energy - terms["energy_above_hull"]
    random = terms["energy_above_hull_random"]
    doubtful = is_open(
        energy,
        lower=terms["energy_above_hull_lowest"] + moved,
        upper=None if random is None else random + moved,
        uncertainty=unsure,
    )
    return f"{_in_millis(energy)} {label_words(other['label'], is_open=doubtful)}"


def comparison(
    found: Comparison, pairs: Sequence[Pair], formulas: Mapping[str, str]
) -> None:
    """
    Print what two campaigns or engines say of the same candidates.

    ``found``: the comparison. ``pairs``: those to list. ``formulas``: candidate →
    formula.
    """
    kelvin = f"{found.temperature:g} K"
    formatting.line(
        f"{found.n_common} candidates assessed by both at {kelvin}; stable for one "
        "only: " + count_words(found.n_disagree, found.n_disagree_certain)
    )
    for name, counts in (
        (found.first, found.first_stable),
        (found.second, found.second_stable),
    ):
        formatting.line(f"stable for {name}: {count_words(*counts)}")
    if found.mean_difference is not None and found.mean_absolute_difference is not None:
        formatting.line(
            f"{found.second} minus {found.first}: mean "
            f"{1000 * found.mean_difference:.1f}, mean absolute "
            f"{1000 * found.mean_absolute_difference:.1f} meV/atom"
        )
    if found.rank_correlation is not None:
        formatting.line(f"rank correlation {found.rank_correlation:.3f}")
    numbers = (found.first, found.second, "difference", "ranks")
    stable = "stable for"
    formatting.table(
        ("candidate", *numbers, stable),
        (
            (
                formulas.get(pair.candidate_id, pair.candidate_id),
                _in_millis(pair.first),
                _in_millis(pair.second),
                _in_millis(pair.difference),
                f"{pair.first_rank}, {pair.second_rank}",
                _stable_for(found, pair),
            )
            for pair in pairs
        ),
        title=f"E_hull({kelvin}) in meV/atom, largest difference first",
        right=numbers,
        least={"candidate": _NARROW_FORMULA, stable: len("both (open)")},
    )


def _stable_for(found: Comparison, pair: Pair) -> str:
    names = [found.first] * (pair.first <= 0) + [found.second] * (pair.second <= 0)
    stable = "both" if len(names) > 1 else "".join(names) or "none"
    return stable if pair.is_certain else f"{stable} (open)"


def _chance(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _in_millis(value: float | None) -> str:
    return "-" if value is None else f"{MEV_PER_EV * value:.1f}"
