"""Ranking that does not depend on the order of rows: its accuracy, its exact fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.stats import kendalltau

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

_STEPS = 100
_CONVERGED = 1e-9
_HALVINGS = 40
_MANY, _EVERY = 1000, 8


def pair_accuracy(scores: ArrayLike, energies: ArrayLike) -> float:
    """
    Share of pairs of rows that scores order as energies do.

    A tie in either counts one half, so neither the order of rows nor an intercept can
    change it: with differences taken in the order of a file and an intercept the
    published share of the NASICON table is 0.8417, without 0.8379.

    Parameters
    ----------
    scores, energies
        Shape (rows,), finite.

    Returns
    -------
    float
        1 for the same order, 0 for the opposite one, 1/2 for no order.

    Examples
    --------
    >>> pair_accuracy([1, 2, 3], [10, 30, 20]), pair_accuracy([0, 0], [1, 2])
    (0.6666666666666666, 0.5)
    """
    first, second = np.asarray(scores, float), np.asarray(energies, float)
    if first.shape != second.shape or first.ndim != 1:
        raise ConfigurationError("scores and energies must be two rows of one length")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ConfigurationError("scores and energies must be finite: leave rows out")
    pairs = len(first) * (len(first) - 1) // 2
    if not pairs:
        raise ConfigurationError("fewer than two rows have no pairs")
    untied = [pairs - _tied(one) for one in (first, second)]
    if not min(untied):
        return 0.5
    tau = float(kendalltau(first, second).statistic)
    # Whole numbers of pairs, so that rounding cannot show.
    surplus = round(tau * np.sqrt(untied[0]) * np.sqrt(untied[1]))
    return float((pairs + surplus) / (2 * pairs))


def _tied(values: Array) -> int:
    counts = np.unique(values, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


class RankingSVM:
    r"""
    Linear ranking by all pairs of rows with different targets, without an intercept.

    .. math:: \min_w \tfrac12 w^2 + C \sum_{y_i > y_j}
        \max(0, 1 - w \cdot (x_i - x_j))^2

    The sum over pairs needs n log n operations: rows are sorted by score within blocks
    that one binary digit of the rank of the target separates.

    Parameters
    ----------
    C
        Weight of the sum (not the mean) over pairs.

    Examples
    --------
    >>> model = RankingSVM().fit([[0.0], [1.0], [3.0]], [5.0, 6.0, 9.0])
    >>> model.decision_function([[0.0], [2.0]]).round(3).tolist()
    [0.0, 1.333]
    """

    coef_: Array

    def __init__(self, C: float = 1.0) -> None:  # noqa: N803 - scikit-learn's name
        self.C = C

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803 - as above
        """
        Fit by Newton's method to the exact minimum.

        Parameters
        ----------
        X
            Shape (rows, features), finite.
        y
            Shape (rows,); higher targets get higher scores.

        Raises
        ------
        ConfigurationError
            If shapes differ, a value is not finite, or all targets are equal.
        """
        features, targets = np.asarray(X, float), np.asarray(y, float)
        if features.ndim != 2 or len(features) != len(targets):  # noqa: PLR2004
            raise ConfigurationError("X must be rows of features, one for each of y")
        if not (np.isfinite(features).all() and np.isfinite(targets).all()):
            raise ConfigurationError("features and targets must be finite")
        levels, ranks = np.unique(targets, return_inverse=True)
        if len(levels) < 2:  # noqa: PLR2004
            raise ConfigurationError("all targets are equal: nothing to rank")
        features = features - features.mean(axis=0)  # differences stay what they are
        self.coef_ = _minimum(features, ranks, self.C)
        return self

    def decision_function(self, X: ArrayLike) -> Array:  # noqa: N803 - as above
        """Return scores, shape (rows,)."""
        return np.asarray(np.asarray(X, float) @ self.coef_)

    predict = decision_function


def _minimum(features: Array, ranks: NDArray[np.intp], weight: float) -> Array:
    """Descend by Newton's steps, halved where they overshoot."""
    found = np.zeros(features.shape[1])
    if len(features) > _MANY:  # a few rows say nearly where it is
        few = np.unique(ranks[::_EVERY], return_inverse=True)[1]
        found = _minimum(features[::_EVERY], few, weight * _EVERY**2)
    loss, gradient, hessian = _loss(features, ranks, weight, found)
    for _ in range(_STEPS):
        step = np.linalg.solve(hessian, -gradient)
        if -gradient @ step <= _CONVERGED * max(loss, 1e-300):
            break
        for _ in range(_HALVINGS):
            here = _loss(features, ranks, weight, found + step)
            if here[0] <= loss:
                break
            step = step / 2
        else:
            break
        found = found + step
        loss, gradient, hessian = here
    return found


def _loss(
    features: Array, ranks: NDArray[np.intp], weight: float, coefficients: Array
) -> tuple[float, Array, Array]:
    """Return the loss, its gradient and its Hessian on the active pairs."""
    scores = features @ coefficients
    columns = np.column_stack([np.ones(len(scores)), scores, scores**2, features])
    ascending = np.argsort(scores, kind="stable")
    lower = np.zeros_like(columns)
    """For each row the sums over the rows that it must beat by one more."""
    beaten = np.zeros((len(scores), 2))
    """For each row: by how many it is to be beaten, and the sum of their scores."""
    for digit in range(int(ranks.max()).bit_length()):
        _add_pairs(columns, ranks, digit, ascending, lower, beaten)
    count = lower[:, 0]
    # Σ (1 - (s_i - s_j))² over active pairs, i above j.
    gap = 1 - scores
    loss = float((count * gap**2 + 2 * gap * lower[:, 1] + lower[:, 2]).sum())
    push = count * gap + lower[:, 1]
    pull = beaten[:, 0] * (1 + scores) - beaten[:, 1]
    gradient = coefficients - 2 * weight * (features.T @ (push - pull))
    cross = features.T @ lower[:, 3:]
    both = features.T @ ((count + beaten[:, 0])[:, None] * features)
    hessian = np.eye(len(coefficients)) + 2 * weight * (both - cross - cross.T)
    return float(coefficients @ coefficients / 2 + weight * loss), gradient, hessian


def _add_pairs(
    columns: Array,
    ranks: NDArray[np.intp],
    digit: int,
    ascending: NDArray[np.intp],
    lower: Array,
    beaten: Array,
) -> None:
    """Add the active pairs of rows that this digit of their ranks separates."""
    block = (ranks >> (digit + 1))[ascending]
    order = ascending[np.argsort(block.astype(np.int32), kind="stable")]
    block = ranks[order] >> (digit + 1)
    is_high = (ranks[order] >> digit) & 1 > 0
    scores = columns[order, 1]
    # Blocks one after the other on one axis, further apart than scores reach.
    along = block * (float(np.ptp(scores)) + 4) + scores
    high, low = np.flatnonzero(is_high), np.flatnonzero(~is_high)
    ends = np.searchsorted(block[low], block[high], side="right")
    starts = np.searchsorted(along[low], along[high] - 1, "right")
    sums = np.vstack(
        [np.zeros(columns.shape[1]), np.cumsum(columns[order[low]], axis=0)]
    )
    lower[order[high]] += sums[ends] - sums[np.minimum(starts, ends)]
    begins = np.searchsorted(block[high], block[low], side="left")
    stops = np.searchsorted(along[high], along[low] + 1, "left")
    sums = np.vstack([np.zeros(2), np.cumsum(columns[order[high], :2], axis=0)])
    beaten[order[low]] += sums[np.maximum(stops, begins)] - sums[begins]
