"""Pairs of elements: what both do together beyond what each does alone."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from hts_battery.learning.logit import fit_logit
from hts_battery.learning.shares import discovery_rates
from hts_battery.learning.tables import independent
from hts_battery.schemas.rules import PairEffect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.learning.tables import LabelledTable

    Array = NDArray[np.float64]

MIN_PAIR_ROWS = 8
"""Rows with both elements below which nothing is said of a pair."""
_COUNTED = 200
"""Rows with both up to which chances are counted exactly."""
_TESTABLE = 1e-8


class _Singles(NamedTuple):
    """The fit of single elements, and what is held beside them."""

    design: Array
    chance: Array
    label: Array
    groups: NDArray[np.int64] | None


def pair_effects(
    table: LabelledTable,
    elements: Sequence[str],
    held: Array,
    *,
    false_discovery_rate: float,
) -> tuple[PairEffect, ...]:
    """
    Test every pair against the model of single elements.

    The p value is the larger of two: of the score with the larger of the two variances
    that the fit and the groups give, and, for few rows, of the exact distribution of
    the number of stable rows.

    Parameters
    ----------
    table
        Rows with the elements as columns of zeros and ones.
    elements
        Names of these columns.
    held
        Further columns of the model of single elements, shape (n, k).
    false_discovery_rate
        Share of false ones among the supported pairs.
    """
    pairs = list(combinations(elements, 2))
    if table.too_few:
        return tuple(_silent(table, pair) for pair in pairs)
    columns = [table.columns[name] for name in elements]
    design = np.column_stack([np.ones(len(table.label)), *columns, held])
    design = design[:, independent(design)]
    fit = fit_logit(design, table.label)
    chance = expit(design @ fit.coefficients)
    singles = _Singles(design, chance, table.label, table.groups)
    tested = [_tested(table, pair, singles) for pair in pairs]
    rates = discovery_rates([pair.p_value for pair in tested])
    return tuple(
        pair.model_copy(
            update={
                "q_value": rate,
                "verdict": "supported"
                if rate is not None and rate <= false_discovery_rate
                else pair.verdict,
            }
        )
        for pair, rate in zip(tested, rates, strict=True)
    )


def _silent(table: LabelledTable, pair: tuple[str, str]) -> PairEffect:
    both = (table.columns[pair[0]] > 0) & (table.columns[pair[1]] > 0)
    return PairEffect(
        elements=pair,
        n=int(both.sum()),
        stable=int(table.label[both].sum()),
        odds_ratio=None,
        interval=None,
        p_value=None,
        q_value=None,
        verdict="too few rows",
    )


def _tested(
    table: LabelledTable, pair: tuple[str, str], singles: _Singles
) -> PairEffect:
    found = _silent(table, pair)
    if found.n < MIN_PAIR_ROWS:
        return found
    both = ((table.columns[pair[0]] > 0) & (table.columns[pair[1]] > 0)).astype(float)
    p_value = _probability(both, singles)
    if p_value is None:  # single elements say it already
        return found.model_copy(update={"verdict": "not supported"})
    design = np.column_stack([singles.design[:, :1], both, singles.design[:, 1:]])
    ratio, interval = fit_logit(design, table.label, table.groups).odds_ratio(1)
    numbers = {"odds_ratio": ratio, "interval": interval, "p_value": p_value}
    return found.model_copy(update={**numbers, "verdict": "not supported"})


def _probability(both: Array, singles: _Singles) -> float | None:
    """Return the two-sided p value of no effect beyond single elements."""
    design, chance, label, groups = singles
    weight = chance * (1 - chance)
    weighted = design * weight[:, None]
    fitted = np.linalg.solve(design.T @ weighted, weighted.T @ both)
    beyond = both - design @ fitted
    score, variance = float(beyond @ (label - chance)), float(beyond**2 @ weight)
    if beyond.std() < _TESTABLE or variance <= 0:
        return None
    if groups is not None:
        within = np.bincount(groups, weights=beyond * (label - chance))
        variance = max(variance, float(within @ within))
    found = float(2 * norm.sf(abs(score) / np.sqrt(variance)))
    rows = both > 0
    if rows.sum() > _COUNTED:
        return found
    return max(found, counted_probability(chance[rows], int(label[rows].sum())))


def counted_probability(chances: Array, stable: int) -> float:
    """
    Return the two-sided chance of a number of stable rows at least as far out.

    Examples
    --------
    >>> counted_probability(np.full(4, 0.5), 4)
    0.125
    """
    counts = np.ones(1)
    for chance in chances:
        counts = np.convolve(counts, [1 - chance, chance])
    return min(1.0, 2 * float(min(counts[: stable + 1].sum(), counts[stable:].sum())))
