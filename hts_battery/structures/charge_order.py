"""Where charges order: every arrangement where they are few, tabu search elsewhere."""

from __future__ import annotations

from itertools import combinations
from math import factorial, prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.errors import OrderingError
from hts_battery.structures.tabu import TabuSearch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

EXACT_LIMIT = 200_000
"""Arrangements of charges up to which all are tried, so that the lowest is certain."""

# Energies are whole multiples of this many eV, held as floats: their sums are exact
# in any order, so every machine and every BLAS takes the same decisions.
RESOLUTION_EV = 1e-9
# Pairs that symmetry makes equal differ by this much in eV where coordinates are
# rounded; they get one value, so that images of one arrangement tie exactly.
_SAME_ENERGY_EV = 1e-7
_EXACT_FLOAT = 2**53
# Replicas: more of small cells, where each is cheap.
_MOST_REPLICAS, _FEWEST_REPLICAS, _REPLICA_SITES = 32, 8, 2560
# Steps for which a site that was swapped stays: one of these numbers. Of 2, 4, 6, 8
# and 11 in the mean, 4 ended lowest on cells of 80 to 400 sites.
_SHORTEST_TENURE, _TENURES = 2, 5
# The search ends when so many replicas have met the same lowest energy ...
_AGREEING = 8
# ... or after so many steps per site without a lower one.
_FRUITLESS_STEPS = 4
_QUENCH_LIMIT = 10_000


class ChargeProblem(NamedTuple):
    """Charges to arrange: on which sites, and what stands around them."""

    matrix: NDArray[np.float64]
    """Pair energies of unit charges in units of :data:`RESOLUTION_EV`, whole."""
    background: NDArray[np.float64]
    """Charge of every site that is not arranged; 0 on those that are."""
    groups: tuple[tuple[NDArray[np.intp], tuple[tuple[int, int], ...]], ...]
    """For each sublattice its sites and, for each charge, on how many of them."""


class ChargeOrders(NamedTuple):
    """Arrangements of charges, the lowest energy first."""

    charges: NDArray[np.int8]
    """Charge of every site of the cell, one arrangement a row."""
    energies: NDArray[np.float64]
    """In units of :data:`RESOLUTION_EV`, whole; of the whole cell."""
    exact: bool
    """Whether every arrangement was tried."""
    tried: int
    """Arrangements enumerated, or swaps carried out."""


def whole_energies(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Round pair energies to whole units, equal ones alike.

    Parameters
    ----------
    matrix
        In eV.

    Returns
    -------
    ndarray
        In units of :data:`RESOLUTION_EV`.

    Examples
    --------
    >>> whole_energies(np.array([[1.0, 0.5 + 1e-12], [0.5, 1.0]]))[0].tolist()
    [1000000000.0, 500000000.0]
    """
    values, inverse = np.unique(matrix, return_inverse=True)
    cluster = np.concatenate([[0], np.cumsum(np.diff(values) > _SAME_ENERGY_EV)])
    means = np.bincount(cluster, weights=values) / np.bincount(cluster)
    whole = np.round(means / RESOLUTION_EV)[cluster]
    return np.asarray(whole[inverse].reshape(matrix.shape))


def arrangements(counts: Sequence[int]) -> NDArray[np.int8]:
    """
    List every way to fill sites with given numbers of each kind.

    Examples
    --------
    >>> arrangements((2, 1)).tolist()
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    """
    sites = sum(counts)
    rows = np.zeros((1, sites), dtype=np.int8)
    left = np.array([counts], dtype=np.int64)
    for site in range(sites):
        grown_rows, grown_left = [], []
        for kind in range(len(counts)):
            open_rows = left[:, kind] > 0
            new_rows, new_left = rows[open_rows], left[open_rows]
            new_rows[:, site] = kind
            new_left[:, kind] -= 1
            grown_rows.append(new_rows)
            grown_left.append(new_left)
        rows, left = np.concatenate(grown_rows), np.concatenate(grown_left)
    return rows


def lowest_charge_orders(
    problem: ChargeProblem, *, swaps: int, seed: int
) -> ChargeOrders:
    """
    Find the arrangements of charges with the lowest energy.

    Parameters
    ----------
    problem
        The charges and their sites.
    swaps
        Swaps carried out at most, over all replicas, where there are too many
        arrangements to try them all.
    seed
        Start of the random stream; without effect on an enumeration.

    Raises
    ------
    OrderingError
        If energies are too large for exact sums.
    """
    largest = np.abs(problem.background)
    for sites, charges in problem.groups:
        largest[sites] = max(abs(charge) for charge, _ in charges)
    if largest @ np.abs(problem.matrix) @ largest >= _EXACT_FLOAT:
        raise OrderingError(
            f"{len(largest)} sites with charges up to {largest.max():.0f} have "
            "energies too large for exact sums: take a smaller cell"
        )
    number = prod(
        factorial(len(sites)) // prod(factorial(count) for _, count in charges)
        for sites, charges in problem.groups
    )
    if number <= EXACT_LIMIT:
        return _enumerated(problem)
    replicas = ChargeSwaps(problem, seed=seed)
    tried = replicas.run(swaps)
    replicas.quench()
    found, energies = replicas.arrangements, replicas.scores
    order = np.lexsort((*found.T[::-1], energies))
    return ChargeOrders(
        found[order].astype(np.int8), energies[order], exact=False, tried=tried
    )


def _enumerated(problem: ChargeProblem) -> ChargeOrders:
    """Try every arrangement, one sublattice after the other."""
    matrix, background, groups = problem
    potential = matrix @ background
    placed = np.zeros((1, 0), dtype=np.int8)
    where = np.array([], dtype=np.intp)
    energies = np.array([background @ potential])
    for sites, charges in groups:
        kinds = np.array([charge for charge, _ in charges], dtype=np.int8)
        rows = kinds[arrangements([count for _, count in charges])].astype(float)
        own = np.einsum("ki,ki->k", rows @ matrix[np.ix_(sites, sites)], rows)
        own += 2 * (rows @ potential[sites])
        across = rows @ matrix[np.ix_(sites, where)] @ placed.T.astype(float)
        energies = (energies[:, None] + (own[:, None] + 2 * across).T).ravel()
        old, new = np.divmod(np.arange(len(energies)), len(rows))
        placed = np.concatenate([placed[old], rows[new].astype(np.int8)], axis=1)
        where = np.concatenate([where, sites])
    order = np.argsort(energies, kind="stable")
    whole = np.tile(background.astype(np.int8), (len(order), 1))
    whole[:, where] = placed[order]
    return ChargeOrders(whole, energies[order], exact=True, tried=len(order))


class ChargeSwaps:
    r"""
    Replicas of an arrangement of charges, and what every swap of two costs.

    A swap of the charges on i and j of one sublattice costs
    :math:`2 d (\phi_i - \phi_j) + d^2 (M_{ii} + M_{jj} - 2 M_{ij})` with
    :math:`d = q_j - q_i` and the potentials :math:`\phi = M q`, which are updated
    when a swap is carried out.
    """

    def __init__(self, problem: ChargeProblem, *, seed: int) -> None:
        self.matrix = problem.matrix
        pairs = [pair for sites, _ in problem.groups for pair in combinations(sites, 2)]
        self.first, self.second = np.array(pairs, dtype=np.intp).T
        diagonal = np.diag(self.matrix)
        self.curvature = diagonal[self.first] + diagonal[self.second]
        self.curvature -= 2 * self.matrix[self.first, self.second]
        self.sites = sum(len(sites) for sites, _ in problem.groups)
        replicas = min(_MOST_REPLICAS, _REPLICA_SITES // self.sites)
        replicas = max(_FEWEST_REPLICAS, replicas)
        self._stream = np.random.PCG64(seed)
        placed = np.tile(problem.background, (replicas, 1))
        for sites, charges in problem.groups:
            filling = np.repeat(*np.array(charges).T)
            keys = self._raw(replicas * len(sites)).reshape(replicas, -1)
            placed[:, sites] = filling[np.argsort(keys, axis=1, kind="stable")]
        self._place(placed)
        self.rows = np.arange(replicas)

    def _place(self, arrangements: NDArray[np.float64]) -> None:
        self.arrangements = arrangements
        self.potentials = arrangements @ self.matrix
        self.scores = np.einsum("ri,ri->r", arrangements, self.potentials)

    def _raw(self, number: int) -> NDArray[np.uint64]:
        """Numbers of the raw stream, which no version of numpy changes."""
        return np.asarray(self._stream.random_raw(number))

    def costs(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Energy of every swap in some replicas: (replicas, pairs)."""
        q, potentials = self.arrangements[rows], self.potentials[rows]
        d = q.take(self.second, axis=1) - q.take(self.first, axis=1)
        cost = potentials.take(self.first, axis=1)
        cost -= potentials.take(self.second, axis=1)
        cost *= 2
        cost += d * self.curvature
        cost *= d
        # Exchanging equal charges is no swap.
        cost[d == 0] = np.inf
        return np.asarray(cost)

    def swap(
        self,
        rows: NDArray[np.intp],
        chosen: NDArray[np.intp],
        costs: NDArray[np.float64],
    ) -> None:
        """Carry out one swap in each of some replicas."""
        i, j, q = self.first[chosen], self.second[chosen], self.arrangements
        d = q[rows, j] - q[rows, i]
        self.potentials[rows] += d[:, None] * (self.matrix[i] - self.matrix[j])
        q[rows, i], q[rows, j] = q[rows, j], q[rows, i]
        self.scores[rows] += costs

    def run(self, swaps: int) -> int:
        """
        Search until replicas agree, nothing improves, or the swaps are used up.

        Leaves every replica at the lowest arrangement it met.

        Returns
        -------
        int
            Swaps carried out.
        """
        search, replicas = TabuSearch(self), len(self.rows)
        while (search.step + 1) * replicas <= swaps:
            tenures = _SHORTEST_TENURE + self._raw(replicas) % _TENURES
            search.advance(tenures.astype(np.int64))
            agreeing = np.count_nonzero(search.best == search.best.min())
            if (search.descended.all() and agreeing >= _AGREEING) or (
                search.step - search.improved > _FRUITLESS_STEPS * self.sites
            ):
                break
        self._place(search.arrangements)
        return search.step * replicas

    def quench(self) -> None:
        """Take the best swap in every replica until none lowers its energy."""
        falling = self.rows
        for _ in range(_QUENCH_LIMIT):
            costs = self.costs(falling)
            best = costs.argmin(axis=1)
            cost = costs[np.arange(len(falling)), best]
            down = cost < 0
            falling = falling[down]
            if not len(falling):
                return
            self.swap(falling, best[down], cost[down])
        raise OrderingError("the descent to an electrostatic minimum did not end")
