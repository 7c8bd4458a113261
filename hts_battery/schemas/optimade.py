"""Summaries in OPTIMADE's words: entry structures of specification 1.2."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from hts_battery.schemas.formula import parse_formula

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hts_battery.schemas.rows import SummaryRow


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


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
    own properties by their names.
    """
    parts = parse_formula(cell_formula)
    total = sum(parts.values())
    counts = {
        symbol: round(n_atoms * parts[symbol] / total) for symbol in sorted(parts)
    }
    divisor = gcd(*counts.values())
    reduced = {symbol: count // divisor for symbol, count in counts.items()}
    return {
        "id": structure_id(summary["campaign"], summary["candidate_id"]),
        "elements": list(counts),
        "nelements": len(counts),
        "elements_ratios": [count / n_atoms for count in counts.values()],
        "chemical_formula_reduced": _formula(reduced),
        "chemical_formula_hill": _formula(_hill_order(counts)),
        "chemical_formula_anonymous": _anonymous(reduced),
        "nsites": n_atoms,
        "nperiodic_dimensions": 3,
        "dimension_types": [1, 1, 1],
        "structure_features": [],
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
