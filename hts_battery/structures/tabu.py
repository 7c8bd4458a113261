"""Tabu search over swaps: the best one at every step, uphill too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Swaps(Protocol):
    """Replicas of an arrangement, and what every swap of two sites would do to them."""

    first: NDArray[np.intp]
    """One site of each swap."""
    second: NDArray[np.intp]
    """The other one."""
    arrangements: NDArray[Any]
    """What stands on each site: (replicas, sites)."""
    scores: NDArray[np.float64]
    """Of each replica; lower is better."""

    def costs(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Change of the score by every swap in some replicas; infinite for none."""
        ...

    def swap(
        self,
        rows: NDArray[np.intp],
        chosen: NDArray[np.intp],
        costs: NDArray[np.float64],
    ) -> None:
        """Carry out one swap in each of some replicas."""
        ...


class TabuSearch:
    """
    Walks of replicas that take the best swap at every step, even uphill.

    The sites just swapped stay for some steps, unless a swap gives the lowest score
    that the replica has met, so that a replica climbs out of a minimum instead of
    falling back into it (Glover, 10.1287/ijoc.1.3.190).
    """

    def __init__(self, swaps: Swaps) -> None:
        self._swaps = swaps
        self._rows = np.arange(len(swaps.scores))
        self._until = np.zeros(swaps.arrangements.shape, dtype=np.int64)
        self.best = swaps.scores.copy()
        """Lowest score that each replica met."""
        self.arrangements = swaps.arrangements.copy()
        """Where each replica met it."""
        self.descended = np.zeros(len(self._rows), dtype=bool)
        """Whether each replica has come to a minimum."""
        self.step = 0
        self.improved = 0
        """Step of the lowest score of all."""

    def advance(self, tenures: NDArray[np.int64]) -> bool:
        """Take one step in every replica that has a swap left; say if any had."""
        swaps, lowest = self._swaps, self.best.min()
        costs = swaps.costs(self._rows)
        held = self._until > self.step
        barred = held.take(swaps.first, axis=1) | held.take(swaps.second, axis=1)
        barred &= costs >= (self.best - swaps.scores)[:, None]
        costs[barred] = np.inf
        chosen = costs.argmin(axis=1)
        cost = costs[self._rows, chosen]
        moved = np.flatnonzero(np.isfinite(cost))
        self.descended |= cost >= 0
        swaps.swap(moved, chosen[moved], cost[moved])
        self.step += 1
        for sites in (swaps.first, swaps.second):
            self._until[moved, sites[chosen[moved]]] = self.step + tenures[moved]
        better = swaps.scores < self.best
        self.best[better] = swaps.scores[better]
        self.arrangements[better] = swaps.arrangements[better]
        if self.best.min() < lowest:
            self.improved = self.step
        return bool(len(moved))
