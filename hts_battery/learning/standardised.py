"""Shares in bins of a column, had every bin the same of all other columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit

from hts_battery.learning.logit import fit_logit
from hts_battery.learning.tables import MIN_ROWS, MIN_STABLE, independent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.schemas.rules import Interval

    Array = NDArray[np.float64]
    Share = tuple[int, float, Interval]

MOST_BINS = 6
_TWO_SIDED = 1.959963984540054


def quantile_edges(values: Array, bins: int = MOST_BINS) -> list[float]:
    """
    Return bounds of bins with about as many rows each; a few values get one each.

    Examples
    --------
    >>> quantile_edges(np.array([0.0, 0.0, 1.0]))
    [0.0, 1.0, 2.0]
    >>> [round(x, 3) for x in quantile_edges(np.arange(12.0), 3)]
    [0.0, 3.667, 7.333, 11.0]
    """
    levels = np.unique(values)
    if len(levels) <= bins:
        return [*levels.tolist(), float(levels[-1]) + 1.0] if len(levels) else []
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))
    edges[-1] = np.nextafter(edges[-1], np.inf)
    return [float(one) for one in edges]


def standardised_shares(
    bins: NDArray[np.int64], count: int, label: Array, held: Array
) -> list[Share]:
    """
    Average, over all rows, the chance that each bin would give them.

    Parameters
    ----------
    bins
        Bin of each row; what is below 0 or not below ``count`` is in none.
    count
        Number of bins.
    label
        Zeros and ones.
    held
        Columns that every bin shall have alike, shape (rows, k).

    Returns
    -------
    list
        A bin each: rows, share, 95 % interval by the delta method on logits.
    """
    inside = (bins >= 0) & (bins < count)
    bins, label, held = bins[inside], label[inside], held[inside]
    sizes = np.bincount(bins, minlength=count)
    filled = np.flatnonzero(sizes)
    stable = float(label.sum())
    few = len(label) < MIN_ROWS or min(stable, len(label) - stable) < MIN_STABLE
    unknown = (float("nan"), (0.0, 1.0))
    found: dict[int, tuple[float, Interval]] = {}
    if not few and len(filled) > 1:
        found = _standardised(bins, filled, label, held)
    return [(int(sizes[n]), *found.get(n, unknown)) for n in range(count)]


def _standardised(
    bins: NDArray[np.int64], filled: Sequence[int], label: Array, held: Array
) -> dict[int, tuple[float, Interval]]:
    first, *others = filled
    parts = [np.ones((len(label), 1)), np.column_stack([bins == n for n in others])]
    design = np.column_stack([*parts, held])
    kept = independent(design)
    fit = fit_logit(design[:, kept], label)
    found = {}
    for number in (first, *others):
        moved = design.copy()
        moved[:, 1 : 1 + len(others)] = [float(number == n) for n in others]
        moved = moved[:, kept]
        chance = expit(moved @ fit.coefficients)
        mean = float(chance.mean())
        gradient = (chance * (1 - chance)) @ moved / len(label) / (mean * (1 - mean))
        half = _TWO_SIDED * float(np.sqrt(gradient @ fit.covariance @ gradient))
        low, high = (float(expit(logit(mean) + end)) for end in (-half, half))
        found[int(number)] = (mean, (low, high))
    return found
