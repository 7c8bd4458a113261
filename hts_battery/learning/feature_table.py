"""Features of one operator, and those of two that are screened without being made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from hts_battery.learning.expressions import (
    BINARY,
    UNARY,
    Expression,
    allowed,
    column,
)
from hts_battery.learning.tables import is_constant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LARGEST = 1e50
"""Values beyond which products of two no longer fit into double precision."""


def is_usable(values: Array) -> bool:
    """Whether a feature is defined for all rows, not constant and not too large."""
    return bool(np.isfinite(values).all()) and (
        float(np.abs(values).max()) < LARGEST and not is_constant(values)
    )


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """
    Columns and all features of one operator, evaluated.

    Parameters
    ----------
    expressions
        One a feature.
    values
        Their values, shape (rows, features).
    columns
        Name → values, shape (rows,), of which they are made.
    """

    expressions: tuple[Expression, ...]
    values: Array
    columns: Mapping[str, Array]

    @cached_property
    def unit_classes(self) -> NDArray[np.int64]:
        """Number of the unit of each feature."""
        keys = [
            None if one.units is None else tuple(sorted(one.units.items()))
            for one in self.expressions
        ]
        numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        return np.array([numbers[key] for key in keys])


def feature_table(
    columns: Mapping[str, Array],
    units: Mapping[str, Mapping[str, Fraction]] | None = None,
) -> FeatureTable:
    """
    Evaluate columns and every feature of one operator; equal ones once.

    Parameters
    ----------
    columns
        Name → values, shape (rows,). Constant columns are left out.
    units
        Name → base unit → exponent; None: every operator is allowed.
    """
    start = [
        column(name, None if units is None else units.get(name, {}))
        for name in columns
        if is_usable(columns[name])
    ]
    expressions = [*start, *one_operator_more(start)]
    kept: list[Expression] = []
    values: list[Array] = []
    seen: set[bytes] = set()
    for expression in expressions:
        found = expression(columns)
        if is_usable(found) and (found.tobytes() not in seen):
            seen.add(found.tobytes())
            kept.append(expression)
            values.append(found)
    if not kept:
        return FeatureTable((), np.empty((0, 0)), dict(columns))
    return FeatureTable(tuple(kept), np.column_stack(values), dict(columns))


def one_operator_more(expressions: Sequence[Expression]) -> list[Expression]:
    """Apply every operator that units allow, once."""
    found = [
        Expression(name, (one,))
        for name in UNARY
        for one in expressions
        if allowed(name, one)
    ]
    for first, second in combinations(expressions, 2):
        found += [
            Expression(name, (first, second))
            for name in BINARY
            if allowed(name, first, second)
        ]
        found.append(Expression("/", (second, first)))
    return found
