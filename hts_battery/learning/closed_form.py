"""Least squares of one target on all pairs and triples of features, in closed form."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Indices = NDArray[np.intp]

COLLINEAR = 1e-9
"""Share of a feature that the others must leave free, in squares."""
_ROWS_AT_ONCE = 256


class Subset(NamedTuple):
    """Features of one least-squares fit, by their columns, and what it explains."""

    columns: tuple[int, ...]
    explained: float
    """Share of the squares of the target."""


def best_subsets(
    features: Array, target: Array, size: int, number: int
) -> list[Subset]:
    """
    Return the sets of one to three features with the smallest squared error.

    Correlations in double precision; features that others determine but for
    :data:`COLLINEAR` of their squares are left out of a set.

    Parameters
    ----------
    features
        Shape (rows, k), no column constant.
    target
        Shape (rows,).
    size
        Features in a set: 1, 2 or 3.
    number
        How many sets, best first.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(50, 6))
    >>> best_subsets(x, x[:, 4] - 2 * x[:, 1] + 3, 2, 1)[0].columns
    (1, 4)
    """
    centred = features - features.mean(axis=0)
    centred = centred / np.linalg.norm(centred, axis=0)
    rest = target - target.mean()
    rest = rest / np.linalg.norm(rest) if rest.any() else rest
    within, with_target = centred.T @ centred, centred.T @ rest
    if size == 1:
        singles = np.square(with_target)
        order = np.lexsort([np.arange(len(singles)), -singles])[:number]
        return [Subset((int(one),), float(singles[one])) for one in order]
    own = np.ones(len(within))
    if size == 2:  # noqa: PLR2004
        return _pairs(within, with_target, own, number)
    found: list[Subset] = []
    for first in range(len(within) - 2):
        found += _triples(first, within, with_target, number)
        found = _first(found, number)
    return found


def _triples(
    first: int, within: Array, with_target: Array, number: int
) -> list[Subset]:
    """Pairs of later features beside a first one, whose share is taken out of all."""
    later = slice(first + 1, None)
    shared = within[first, later]
    rest = within[later, later] - np.outer(shared, shared)
    target = with_target[later] - with_target[first] * shared
    own = 1 - shared**2
    gained = _pairs(rest, target, own, number)
    explained = float(with_target[first] ** 2)
    return [
        Subset(
            (first, *(one + first + 1 for one in pair.columns)),
            explained + pair.explained,
        )
        for pair in gained
    ]


def _pairs(within: Array, with_target: Array, own: Array, number: int) -> list[Subset]:
    """Best pairs of features with given products, in blocks of rows."""
    count = len(within)
    found: list[Subset] = []
    edges = [*range(0, count, _ROWS_AT_ONCE), count]
    floor = -1.0
    for start, stop in pairwise(edges):
        both = within[start:stop]
        mine, size = with_target[start:stop, None], own[start:stop, None]
        determinant = size * own - both**2
        with np.errstate(all="ignore"):  # masked below
            explained = (
                mine**2 * own + with_target**2 * size - 2 * mine * with_target * both
            ) / determinant
        free = np.minimum(size, own) * COLLINEAR
        bad = (determinant <= free) | (size <= COLLINEAR) | (own <= COLLINEAR)
        explained[bad] = -1.0
        upper = np.arange(start, stop)[:, None] < np.arange(count)
        explained[~upper] = -1.0
        places = np.flatnonzero(explained.ravel() > floor)
        if len(places) > number:
            values = explained.ravel()[places]
            places = places[np.argpartition(-values, number - 1)[:number]]
        found += [
            Subset((int(p // count) + start, int(p % count)), float(explained.flat[p]))
            for p in places
        ]
        found = _first(found, number)
        floor = found[-1].explained if len(found) == number else -1.0
    return found


def _first(found: list[Subset], number: int) -> list[Subset]:
    return sorted(found, key=lambda one: (-one.explained, one.columns))[:number]


def least_squares(features: Array, target: Array) -> tuple[Array, float]:
    """Return coefficients and intercept of the fit by all columns of features."""
    middle = features.mean(axis=0)
    width = np.linalg.norm(features - middle, axis=0)
    scaled = (features - middle) / width
    found = np.linalg.lstsq(scaled, target - target.mean(), rcond=None)[0] / width
    return found, float(target.mean() - middle @ found)
