"""Formulas as rows of atomic fractions, the coordinates in which hulls are built."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hts_battery.errors import CompositionError
from hts_battery.schemas.formula import ELEMENTS, parse_formula

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    Formula = str | Mapping[str, Fraction | float]
    """Text such as ``Li1.3Mn0.4Ti0.3O1.7F0.3``, or element → amount."""

# Formulas without brackets are nearly all there are; reading them this way is ten
# times faster than through exact rationals and differs by rounding only.
_PLAIN = re.compile(r"(?:[A-Z][a-z]?(?:\d+(?:\.\d+)?)?)+", re.ASCII)
_REMEMBERED = 2**16  # formulas; each is asked for several times in a row
_PART = re.compile(r"([A-Z][a-z]?)(\d+(?:\.\d+)?)?", re.ASCII)


def _amounts(formula: Formula) -> Mapping[str, float | Fraction]:
    """Read the amount of each element, refusing what is not an element."""
    if isinstance(formula, str):
        if not _PLAIN.fullmatch(formula):
            return parse_formula(formula)
        amounts: dict[str, float] = {}
        for element, amount in _PART.findall(formula):
            amounts[element] = amounts.get(element, 0.0) + float(amount or 1)
        if not ELEMENTS.issuperset(amounts):
            return parse_formula(formula)  # for its error message
        return amounts
    unknown = [symbol for symbol in formula if symbol not in ELEMENTS]
    if unknown:
        raise CompositionError(f"{unknown[0]!r} in {dict(formula)} is not an element")
    return formula


def atomic_fractions(formula: Formula) -> dict[str, float]:
    """
    Atomic fraction of each element present.

    Parameters
    ----------
    formula
        Text, or element → amount; only ratios matter.

    Returns
    -------
    dict[str, float]
        Fractions that add up to one; elements with amount zero left out.

    Raises
    ------
    CompositionError
        If the formula cannot be read, has a negative or non-finite amount, or no
        atoms at all.

    Examples
    --------
    >>> atomic_fractions("LiCoO2")
    {'Li': 0.25, 'Co': 0.25, 'O': 0.5}
    """
    return dict(_of_text(formula) if isinstance(formula, str) else _of(formula))


@lru_cache(maxsize=_REMEMBERED)
def _of_text(formula: str) -> Mapping[str, float]:
    return _of(formula)


def _of(formula: Formula) -> Mapping[str, float]:
    amounts = {symbol: float(amount) for symbol, amount in _amounts(formula).items()}
    total = sum(amounts.values())
    if not (amounts and min(amounts.values()) >= 0.0 and 0.0 < total < np.inf):
        raise CompositionError(
            f"amounts in {formula!r} must be finite, not negative and not all zero"
        )
    return {symbol: amount / total for symbol, amount in amounts.items() if amount}


def fraction_rows(
    formulas: Sequence[Formula], elements: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """
    Write formulas as rows over given elements.

    Returns
    -------
    rows, inside
        Atomic fractions, one row per formula; and whether every element of the
        formula is among the columns (if not, its row adds up to less than one).

    Examples
    --------
    >>> rows, inside = fraction_rows(["Li2O", "NaF"], ["Li", "O", "F"])
    >>> inside.tolist()
    [True, False]
    """
    column = {symbol: index for index, symbol in enumerate(elements)}
    rows = np.zeros((len(formulas), len(elements)))
    inside = np.ones(len(formulas), dtype=bool)
    for number, formula in enumerate(formulas):
        for symbol, fraction in atomic_fractions(formula).items():
            index = column.get(symbol)
            if index is None:
                inside[number] = False
            else:
                rows[number, index] = fraction
    return rows, inside
