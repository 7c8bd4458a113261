"""Shares, orders and rates with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy.stats import binomtest, false_discovery_control, rankdata

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def share_interval(stable: int, rows: int) -> tuple[float, float]:
    """
    Return Wilson's 95 % interval of a share; all of it where there are no rows.

    Examples
    --------
    >>> share_interval(0, 0), [round(end, 3) for end in share_interval(5, 10)]
    ((0.0, 1.0), [0.237, 0.763])
    """
    if not rows:
        return 0.0, 1.0
    found = binomtest(stable, rows).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def area_under_curve(scores: Array, label: Array) -> float:
    """
    Return the chance that a labelled row scores above another; a tie is one half.

    Examples
    --------
    >>> import numpy as np
    >>> area_under_curve(np.array([0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0]))
    0.75
    """
    positive = float(label.sum())
    negative = len(label) - positive
    if not positive or not negative:
        return float("nan")
    above = float(rankdata(scores)[label > 0].sum()) - positive * (positive + 1) / 2
    return above / (positive * negative)


def discovery_rates(p_values: Sequence[float | None]) -> list[float | None]:
    """
    Return the false-discovery rate at which each p value counts; Benjamini-Hochberg.

    Examples
    --------
    >>> discovery_rates([0.01, None, 0.5])
    [0.02, None, 0.5]
    """
    known = [value for value in p_values if value is not None]
    if not known:
        return [None] * len(p_values)
    rates = iter(false_discovery_control(known))
    return [None if value is None else float(next(rates)) for value in p_values]
