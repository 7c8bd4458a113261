"""Summaries in OPTIMADE's words: entry structures of specification 1.2."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, cast

from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.summary import SummaryDoc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hts_battery.schemas.rows import SummaryRow


PREFIX = "hts"
"""Our prefix of property names, between underscores."""

_FIELDS: dict[str, tuple[str, str, str | None]] = {
    "campaign": ("campaign", "string", None),
    "candidate_id": ("candidate_id", "string", None),
    "formula": ("formula", "string", None),
    "family": ("family", "string", None),
    "engine": ("engine", "string", None),
    "calculator": ("calculator", "string", None),
    "energy_per_atom": ("energy_per_atom", "float", "eV/atom"),
    "e_hull": ("energy_above_hull", "float", "eV/atom"),
    "uncertainty": ("uncertainty", "float", "eV/atom"),
    "entropy": ("entropy", "float", "eV/K"),
    "t_mix": ("mixing_temperature", "float", "K"),
    "n_orderings": ("n_orderings", "integer", None),
    "n_random_orderings": ("n_random_orderings", "integer", None),
    "ordering_spread": ("ordering_spread", "float", "eV/atom"),
    "hull_depth_risk": ("hull_depth_risk", "float", "eV/atom"),
    "hull_depth_risk_reported": ("hull_depth_risk_reported", "float", "eV/atom"),
    "uncertainty_source": ("uncertainty_source", "string", None),
    "mixing": ("mixing", "string", None),
    "other_mixing": ("other_mixing", "string", None),
    "calculated_formula": ("calculated_formula", "string", None),
    "deviation": ("deviation", "float", None),
    "same_cell_as": ("same_cell_as", "string", None),
    "n_references": ("n_references", "integer", None),
    "hull_version": ("hull_version", "string", None),
    "entry_id": ("entry_id", "string", None),
    "flags": ("flags", "list", None),
}
"""Our property, named as in `hts query`, → field of a summary, type and unit."""

_AT_TEMPERATURE: dict[str, tuple[str, str, str | None, str]] = {
    "e_hull": (
        "energy_above_hull_at",
        "float",
        "eV/atom",
        "E_hull({} K) = E_hull - T·S of the lowest ordering, signed.",
    ),
    "e_hull_upper": (
        "energy_above_hull_upper_at",
        "float",
        "eV/atom",
        "E_hull({} K) with the mean energy of the random orderings, signed.",
    ),
    "e_hull_other": (
        "energy_above_hull_other_at",
        "float",
        "eV/atom",
        "E_hull({} K) had the other mixing been counted, signed.",
    ),
    "label": ("label_at", "string", None, "GS, LS or US at {} K, by the value alone."),
    "open": (
        "open_at",
        "boolean",
        None,
        "Whether the label may turn at {} K: open bounds, or E_hull near 0.",
    ),
    "p_stable": (
        "probability_stable_at",
        "float",
        None,
        "Probability that E_hull({} K) <= 0, normal error of the uncertainty.",
    ),
}
"""The same of properties at a temperature, with a description of it."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def temperature_property(name: str, key: str) -> str:
    """
    Name a property at a temperature as `hts query` does.

    Examples
    --------
    >>> temperature_property("e_hull", "1273_15K")
    'e_hull_1273_15'
    """
    return f"{name}_{key.removesuffix('K')}"


def provider_fields(keys: Iterable[str]) -> list[dict[str, object]]:
    """
    Describe our own properties: name without prefix, type, unit, description.

    ``keys``: temperatures as :func:`~hts_battery.schemas.summary.temperature_key` names
    them.
    """
    described = [
        _described(name, kind, unit, str(SummaryDoc.model_fields[field].description))
        for name, (field, kind, unit) in _FIELDS.items()
    ]
    for key in keys:
        kelvin = key.removesuffix("K").replace("_", ".")
        described += [
            _described(
                temperature_property(name, key), kind, unit, description.format(kelvin)
            )
            for name, (_, kind, unit, description) in _AT_TEMPERATURE.items()
        ]
    return described


def _described(
    name: str, kind: str, unit: str | None, description: str
) -> dict[str, object]:
    unit_part = {} if unit is None else {"unit": unit}
    return {"name": name, "type": kind, "description": description, **unit_part}


def structure_id(campaign: str, candidate_id: str) -> str:
    """
    Name the structure of one candidate of one campaign.

    Examples
    --------
    >>> structure_id("quickstart", "bc6f833a1ab682dccbc6")
    'quickstart-bc6f833a1ab682dccbc6'
    """
    return f"{campaign}-{candidate_id}"


def structure_properties(
    summary: SummaryRow, *, cell_formula: str, n_atoms: int
) -> dict[str, object]:
    """
    Say of the lowest ordering of a candidate what can be asked for.

    The positions are not in it: they stand in the task, once.

    ``summary``: document of the ``summary`` collection. ``cell_formula``: what the cell
    of the lowest ordering holds. ``n_atoms``: atoms of that cell. Returns: OPTIMADE's
    own properties by their names, ours without the prefix.
    """
    parts = parse_formula(cell_formula)
    total = sum(parts.values())
    counts = {
        symbol: round(n_atoms * parts[symbol] / total) for symbol in sorted(parts)
    }
    divisor = gcd(*counts.values())
    stored: Mapping[str, object] = summary
    reduced = {symbol: count // divisor for symbol, count in counts.items()}
    return {
        "id": structure_id(summary["campaign"], summary["candidate_id"]),
        "elements": list(counts),
        "nelements": len(counts),
        "elements_ratios": [count / n_atoms for count in counts.values()],
        "chemical_formula_descriptive": summary["formula"],
        "chemical_formula_reduced": _formula(reduced),
        "chemical_formula_hill": _formula(_hill_order(counts)),
        "chemical_formula_anonymous": _anonymous(reduced),
        "nsites": n_atoms,
        "nperiodic_dimensions": 3,
        "dimension_types": [1, 1, 1],
        "structure_features": [],
        **{name: stored[field] for name, (field, _, _) in _FIELDS.items()},
        **{
            temperature_property(name, key): value
            for name, (field, *_) in _AT_TEMPERATURE.items()
            for key, value in cast("Mapping[str, object]", stored[field]).items()
        },
    }


def _formula(counts: Mapping[str, int]) -> str:
    return "".join(
        symbol if count == 1 else f"{symbol}{count}" for symbol, count in counts.items()
    )


def _hill_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Carbon, then hydrogen, then the alphabet; the alphabet where there is none."""
    first = [symbol for symbol in ("C", "H") if "C" in counts and symbol in counts]
    return {symbol: counts[symbol] for symbol in dict.fromkeys([*first, *counts])}


def _anonymous(reduced: Mapping[str, int]) -> str:
    """
    Replace symbols by letters, the most frequent element first.

    Examples
    --------
    >>> _anonymous({"Li": 1, "O": 2, "Ti": 1})
    'A2BC'
    """
    falling = sorted(reduced.values(), reverse=True)
    return _formula(dict(zip(_LETTERS, falling, strict=False)))
