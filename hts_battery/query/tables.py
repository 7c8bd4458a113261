"""Summaries as flat rows: what tables, CSV files and frames show."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from hts_battery.schemas.field_spec import PROPERTY
from hts_battery.schemas.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hts_battery.schemas.rows import PhaseRow, SummaryRow

MEV_PER_EV = 1000.0

_KELVIN = re.compile(r"_\d+(?:_\d+)?K?$")

_BY_TEMPERATURE = {
    "energy_above_hull_upper": "energy_above_hull_upper_at",
    "energy_above_hull_other": "energy_above_hull_other_at",
    "label": "label_at",
    "open": "open_at",
    "probability_stable": "probability_stable_at",
}
"""Name of a column before its temperature → field of a summary."""


class GroupBy(StrEnum):
    """What summaries can be grouped by."""

    ELEMENT = "element"
    """Each symbol; a candidate counts for every one it holds."""
    ELEMENT_SET = "element-set"
    """Chemical system."""
    N_METALS = "n-metals"
    """Number of different metals."""

    @property
    def column(self) -> str:
        """Column of the table that it is read from."""
        return {
            GroupBy.ELEMENT: "elements",
            GroupBy.ELEMENT_SET: "chemical_system",
            GroupBy.N_METALS: "n_metals",
        }[self]


def decomposition_text(phases: Sequence[PhaseRow]) -> str:
    """
    Write a decomposition in one line, atomic fractions first.

    Examples
    --------
    >>> decomposition_text([{"formula": "LiF", "amount": 0.25},
    ...                     {"formula": "TiO2", "amount": 0.75}])
    '0.250 LiF + 0.750 TiO2'
    """
    return " + ".join(f"{phase['amount']:.3f} {phase['formula']}" for phase in phases)


def campaigns_text(numbers: Mapping[str, int]) -> str:
    """
    Write whose orderings were used, in one line.

    Examples
    --------
    >>> campaigns_text({"second": 2, "first": 1})
    '1 of first, 2 of second'
    """
    return ", ".join(f"{n} of {name}" for name, n in sorted(numbers.items()))


def marked_formula(summary: SummaryRow) -> str:
    """
    Write a formula, and behind ≈ what was calculated instead.

    Examples
    --------
    >>> marked_formula(
    ...     {"formula": "Li1.1F0.9", "deviation": 0.2, "calculated_formula": "LiF"}
    ... )
    'Li1.1F0.9 ≈ LiF'
    """
    if not summary["deviation"]:
        return str(summary["formula"])
    return f"{summary['formula']} ≈ {summary['calculated_formula']}"


def count_words(stable: int, certain: int) -> str:
    """
    Write a count of stable candidates with the certain ones among them.

    Examples
    --------
    >>> count_words(418, 310)
    '418, of them 310 certain'
    """
    return f"{stable:,}, of them {certain:,} certain"


def stable_counts(summaries: Iterable[SummaryRow], key: str) -> tuple[int, int]:
    """
    Count what is stable at a temperature, and what of it is certain.

    ``summaries``: documents of the ``summary`` collection; a shared cell counts once.
    ``key``: temperature like ``1473K``.
    """
    is_open = [
        bool(doc["open_at"].get(key))
        for doc in summaries
        if doc["same_cell_as"] is None and doc["energy_above_hull_at"].get(key, 1) <= 0
    ]
    return len(is_open), is_open.count(False)


def mixing_notes(summaries: Iterable[SummaryRow]) -> Iterator[str]:
    """Say which mixing is counted and which is the other, one line for each pair."""
    pairs = dict.fromkeys((doc["mixing"], doc["other_mixing"]) for doc in summaries)
    for counted, other in pairs:
        yield f"mixing counted: {counted}" + (f"; other: {other}" if other else "")


def column_units(columns: Iterable[str]) -> dict[str, str]:
    """
    Say the unit of each column of rows, where it has one.

    ``columns``: names of :func:`summary_rows`, or of fields.

    Examples
    --------
    >>> column_units(["formula", "energy_above_hull_1473K", "t_mix", "alpha_LiM_1"])
    {'energy_above_hull_1473K': 'eV/atom', 't_mix': 'K', 'alpha_LiM_1': '1'}
    """
    units: dict[str, str] = {}
    for spec in FIELDS:
        if spec.unit:
            plain = spec.column.removeprefix(f"{PROPERTY}.").removesuffix("_at")
            units |= {plain: spec.unit, spec.name: spec.unit}
    found = ((name, _KELVIN.sub("", name)) for name in columns)
    return {
        name: units.get(name) or units[base]
        for name, base in found
        if name in units or base in units
    }


def summary_rows(summaries: Iterable[SummaryRow]) -> list[dict[str, object]]:
    """
    Flatten summaries into rows of plain values.

    ``summaries``: documents of the ``summary`` collection. Returns: one row each.
    ``energy_above_hull``, ``energy_above_hull_<T>K`` (lowest ordering),
    ``energy_above_hull_upper_<T>K`` (mean of random orderings),
    ``energy_above_hull_other_<T>K`` (with ``other_mixing``), ``uncertainty``,
    ``ordering_spread`` and how much E_hull may fall (``hull_depth_risk``,
    ``hull_depth_risk_reported``) in eV/atom, ``entropy`` in eV/K per atom,
    ``entropy_<sublattice>`` in eV/K per formula unit, ``mixing_temperature`` in K,
    ``deviation`` (of ``calculated_formula``, to which all numbers belong) in atoms per
    formula unit; properties, in the units of their fields, come last.
    """
    rows = []
    for doc in cast("Iterable[Mapping[str, Any]]", summaries):
        row: dict[str, object] = {
            name: doc[name]
            for name in (
                "formula",
                "calculated_formula",
                "deviation",
                "candidate_id",
                "campaign",
                "family",
                "chemical_system",
                "n_metals",
                "engine",
                "calculator",
                "energy_per_atom",
                "energy_above_hull",
            )
        }
        row |= {
            f"energy_above_hull_{key}": value
            for key, value in doc["energy_above_hull_at"].items()
            if key != "0K"
        }
        for name, field in _BY_TEMPERATURE.items():
            row |= {f"{name}_{key}": value for key, value in doc[field].items()}
        row |= {
            name: doc[name]
            for name in (
                "uncertainty",
                "ordering_spread",
                "hull_depth_risk",
                "hull_depth_risk_reported",
                "hull_depth_reason",
                "mixing",
                "other_mixing",
                "entropy",
            )
        }
        row |= {
            f"entropy_{name}": value
            for name, value in doc["entropy_by_sublattice"].items()
        }
        row |= {
            "mixing_temperature": doc["mixing_temperature"],
            "decomposition": decomposition_text(doc["decomposition"]),
            "n_orderings": doc["n_orderings"],
            "n_random_orderings": doc["n_random_orderings"],
            "orderings_by_campaign": campaigns_text(
                doc.get("orderings_by_campaign") or {}
            ),
            "deviation_by_element": " ".join(
                f"{el}{n}" for el, n in doc["deviation_by_element"].items()
            ),
            "same_cell_as": doc["same_cell_as"],
            "n_references": doc["n_references"],
            "hull_version": doc["hull_version"],
            "flags": "; ".join(doc["flags"]),
        }
        row |= {
            name.replace(".", "_"): value
            for name, value in sorted((doc.get(PROPERTY) or {}).items())
        }
        rows.append(row)
    return rows
