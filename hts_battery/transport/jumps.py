"""Jumps of ions: how often each left its place, and who never did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.special import bdtrc, gammaincinv

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEFT = 0.6
"""Share of a jump length beyond which an ion has left its place."""

_SHORTEST, _LONGEST = 4, 32  # frames that are looked through at once
_BY_CHANCE = 1e-4
_MANY = 4  # jumps of each ion that moved: below, a few that rattle may be all of it


def count_jumps(ways: NDArray[np.float64], jump_length: float) -> NDArray[np.int64]:
    """
    Count how often each ion left its place.

    A place is where the ion was when it left the last one; it leaves it with the first
    frame more than 0.6 jump lengths away, back jumps and jumps that fail half way
    included. A step of several lengths counts as many.

    Parameters
    ----------
    ways
        Unwrapped positions, frames x ions x 3, in Å.
    jump_length
        In Å.

    Examples
    --------
    >>> way = np.zeros((5, 1, 3))
    >>> way[2:, 0, 0] = 3.0
    >>> int(count_jumps(way, 3.0)[0])
    1
    """
    frames, ions, _ = ways.shape
    counts = np.zeros(ions, dtype=int)
    at = np.ones(ions, dtype=int)  # the next frame of each ion
    place = ways[0].copy()
    window = _LONGEST
    active = np.flatnonzero(at < frames)
    while active.size:
        ahead = np.arange(window)
        seen = np.minimum(at[active, None] + ahead, frames - 1)
        moved = ways[seen, active[:, None]] - place[active, None]
        squared = np.einsum("iwk,iwk->iw", moved, moved)
        left = squared > (LEFT * jump_length) ** 2
        first = left.argmax(axis=1)
        has = left[np.arange(len(active)), first]
        gone, when = active[has], first[has]
        lengths = np.sqrt(squared[has, when]) / jump_length
        counts[gone] += np.maximum(np.rint(lengths).astype(int), 1)
        place[gone] = ways[seen[has, when], gone]
        at[active] += np.where(has, first + 1, window)
        active = active[at[active] < frames]
        stay = 2 * at.sum() // (counts.sum() + 1)
        window = int(np.clip(stay, _SHORTEST, _LONGEST))
    return counts


def never_moved(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """
    Return who never moved, where so many of them are no chance.

    Those that moved did so four times each or more, and with their rate (a Poisson
    distribution without its zero) so many that did not have a probability below 1e-4;
    otherwise nobody is returned.

    Examples
    --------
    >>> int(never_moved(np.array([0] * 12 + [9] * 12)).sum())
    12
    >>> int(never_moved(np.array([0, 0, 1, 2, 1, 3, 0, 2])).sum())
    0
    """
    still = counts == 0
    mean = float(counts[~still].mean()) if not still.all() else 0.0
    if not still.any() or mean < _MANY:
        return np.zeros(len(counts), dtype=bool)
    rate = brentq(lambda rate: rate / -np.expm1(-rate) - mean, 1e-9, mean)
    chance = bdtrc(int(still.sum()) - 1, len(counts), float(np.exp(-rate)))
    return still if chance < _BY_CHANCE else np.zeros(len(counts), dtype=bool)


def most_jumps(jumps: int) -> float:
    """
    Return the 95 % upper bound of the expected number where some were counted.

    Examples
    --------
    >>> round(most_jumps(0), 3)
    2.996
    """
    return float(gammaincinv(jumps + 1, 0.95))
