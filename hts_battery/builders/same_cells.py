"""Candidates whose calculated cells hold the same: which one stands for the cell."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from hts_battery.schemas.candidate import candidate_id
from hts_battery.schemas.formula import canonical_formula

if TYPE_CHECKING:
    from collections.abc import Mapping


def cell_of(candidate: Mapping[str, Any], deviation: Mapping[str, str]) -> str:
    """
    Name what was calculated for a candidate: the candidate that its cell would hold.

    Parameters
    ----------
    candidate
        Its ``family`` and ``amounts`` per formula unit.
    deviation
        Element → cell minus candidate, exact number per formula unit.

    Examples
    --------
    >>> found = {"family": "hedrx", "amounts": {"Li": "1.1", "Mn": "0.9", "O": "2"}}
    >>> cell_of(found, {"Li": "-1/10", "Mn": "1/10"}) == candidate_id(
    ...     "hedrx", "Li1Mn1O2"
    ... )
    True
    """
    amounts = {el: Fraction(amount) for el, amount in candidate["amounts"].items()}
    for element, amount in deviation.items():
        amounts[element] = amounts.get(element, Fraction(0)) + Fraction(amount)
    held = {el: amount for el, amount in amounts.items() if amount}
    return candidate_id(candidate["family"], canonical_formula(held))


def largest_deviation(deviation: Mapping[str, Fraction | str]) -> float:
    """
    Say how far a cell is from a candidate, in atoms per formula unit.

    Parameters
    ----------
    deviation
        Element → cell minus candidate, exact number per formula unit.

    Examples
    --------
    >>> largest_deviation({"Li": "-1/20", "O": "1/20"})
    0.05
    """
    return float(max((abs(Fraction(one)) for one in deviation.values()), default=0))


def same_cells(
    cells: Mapping[str, str], deviations: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """
    Choose under which candidate each shared cell is ranked: the nearest one.

    Parameters
    ----------
    cells
        Candidate → what was calculated for it, as :func:`cell_of` names it.
    deviations
        Candidate → cell minus candidate, elements per formula unit.

    Returns
    -------
    dict
        Candidate → the one that stands for its cell; those that stand for their own
        are not in it.

    Examples
    --------
    >>> same_cells({"a": "b", "b": "b"}, {"a": {"Li": "1/10"}, "b": {}})
    {'a': 'b'}
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name, cell in cells.items():
        groups[cell].append(name)
    found: dict[str, str] = {}
    for names in groups.values():
        nearest, *others = sorted(
            names, key=lambda name: (largest_deviation(deviations[name]), name)
        )
        found |= dict.fromkeys(others, nearest)
    return found
