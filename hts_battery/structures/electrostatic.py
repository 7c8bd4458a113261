"""Lowest electrostatic energy: where formal charges would order at 0 K."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import combinations
from math import factorial, prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.errors import OrderingError
from hts_battery.schemas.species import parse_species
from hts_battery.structures.cells import site_permutations
from hts_battery.structures.decoration import canonical_decoration, occupation_of
from hts_battery.structures.ewald import ewald_matrix
from hts_battery.structures.prototypes import load_prototype
from hts_battery.structures.radii import lattice_scale
from hts_battery.structures.tabu import TabuSearch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hts_battery.structures.cells import Cell, IntMatrix
    from hts_battery.structures.nearest_counts import SiteCounts

_RESULTS = 32


class ElectrostaticResult(NamedTuple):
    """One decoration that a search for low electrostatic energy ended in."""

    decoration: tuple[str, ...]
    """Species of each site of the cell, the smallest of its symmetry images."""
    energy: float
    """Ewald energy in eV per cell at the lattice set by ionic radii."""
    exact: bool
    """Whether every arrangement of the charges was tried: the lowest is certain."""
    iterations: int
    """Arrangements tried, or swaps carried out, by the search that found it."""


@lru_cache(maxsize=64)
def _whole_matrix(prototype_name: str, supercell: IntMatrix) -> NDArray[np.float64]:
    """Round the Ewald matrix of a cell to whole units of energy."""
    return whole_energies(ewald_matrix(prototype_name, supercell))


def site_charges(decoration: Sequence[str]) -> NDArray[np.int64]:
    """
    Formal charge of the species on each site; 0 for a vacancy.

    Examples
    --------
    >>> site_charges(["Li+", "Nb5+", "Vac", "O2-"]).tolist()
    [1, 5, 0, -2]
    """
    return np.array([parse_species(species).charge for species in decoration])


def electrostatic_energy(
    cell: Cell, decoration: Sequence[str], *, scale: float | None = None
) -> float:
    """
    Ewald energy of formal charges in eV per cell.

    At the lattice that radii set, or ``scale`` times the reference compound's.
    """
    charges = site_charges(decoration)
    if charges.sum():
        raise OrderingError(f"the cell has charge {charges.sum():+d}, not zero")
    if scale is None:
        held = occupation_of(cell, decoration)
        scale = lattice_scale(load_prototype(cell.prototype), held)
    matrix = ewald_matrix(cell.prototype, cell.supercell)
    return float(charges @ matrix @ charges) / scale


def lowest_electrostatic(
    cell: Cell,
    counts: SiteCounts,
    *,
    iterations: int,
    seed: int,
    results: int = _RESULTS,
) -> list[ElectrostaticResult]:
    """
    Find the decorations of a cell with the lowest electrostatic energy.

    Every arrangement of the charges is tried where there are at most
    :data:`EXACT_LIMIT`; otherwise replicas are searched by swaps within sublattices
    (:class:`ChargeSwaps`, so many ``iterations`` at most) and each ends where no swap
    lowers its energy. Species of one charge are alike to electrostatics: where they
    sit is left to a shuffle. No decoration is a symmetry image of another; lowest
    energy first, of equals the smallest decoration.

    Examples
    --------
    >>> from hts_battery.structures.cells import build_cell, compact_supercell
    >>> cell = build_cell("rocksalt", compact_supercell("rocksalt", 4))
    >>> counts = {"cation": {"Li+": 2, "Co3+": 2}, "anion": {"O2-": 4}}
    >>> found = lowest_electrostatic(cell, counts, iterations=2000, seed=0)
    >>> found[0].decoration[:4], found[0].exact
    (('Co3+', 'Co3+', 'Li+', 'Li+'), True)
    """
    species = {s for occupation in counts.values() for s in occupation}
    if len({parse_species(s).charge for s in species}) == 1:
        raise OrderingError("every species has the same charge: nothing to order")
    orders = lowest_charge_orders(_problem(cell, counts), swaps=iterations, seed=seed)
    place = _Placing(cell, counts, seed=seed)
    # By the whole energies, which tie exactly: a longer list begins like a shorter one.
    decorations = sorted(
        {
            (energy, canonical_decoration(cell, place.species(charges)))
            for charges, energy in _inequivalent(cell, orders, results)
        }
    )
    return [
        ElectrostaticResult(
            d, round(electrostatic_energy(cell, d), 9), orders.exact, orders.tried
        )
        for _, d in decorations[:results]
    ]


def _problem(cell: Cell, counts: SiteCounts) -> ChargeProblem:
    """Tell the sites whose charges are arranged from those with one charge."""
    background = np.zeros(len(cell.sublattices))
    groups = []
    for name, occupation in sorted(counts.items()):
        sites = cell.sites[name]
        charges: dict[int, int] = {}
        for text, count in sorted(occupation.items()):
            charge = parse_species(text).charge
            charges[charge] = charges.get(charge, 0) + count
        if len(charges) == 1:
            background[sites] = next(iter(charges))
        else:
            groups.append((sites, tuple(sorted(charges.items()))))
    matrix = _whole_matrix(cell.prototype, cell.supercell)
    return ChargeProblem(matrix, background, tuple(groups))


def _inequivalent(
    cell: Cell, orders: ChargeOrders, results: int
) -> Iterator[tuple[NDArray[np.int8], float]]:
    """
    Pass on arrangements that are no symmetry images of earlier ones, with energies.

    As many as asked for, and beyond them all that tie with the last of these, so that
    which of equals is taken never hangs on their order or on how many are asked for.
    """
    permutations = site_permutations(cell.prototype, cell.supercell)
    known: set[bytes] = set()
    passed, last = 0, -math.inf
    for charges, energy in zip(orders.charges, orders.energies.tolist(), strict=True):
        if passed >= results and energy > last:
            return
        if charges.tobytes() in known:
            continue
        known.update(image.tobytes() for image in charges[permutations])
        passed, last = passed + 1, energy
        yield charges, energy


class _Placing:
    """Puts species on charges: of several with one charge, in shuffled order."""

    def __init__(self, cell: Cell, counts: SiteCounts, *, seed: int) -> None:
        self.keys = np.random.PCG64([seed, 1]).random_raw(len(cell.sublattices))
        self.groups = [
            (cell.sites[name], charge, alike)
            for name, occupation in sorted(counts.items())
            for charge, alike in _by_charge(occupation).items()
        ]

    def species(self, charges: NDArray[np.int8]) -> list[str]:
        """Species of every site of the cell."""
        placed = [""] * len(charges)
        for sites, charge, alike in self.groups:
            chosen = sites[charges[sites] == charge]
            shuffled = chosen[np.argsort(self.keys[chosen], kind="stable")]
            for site, text in zip(shuffled, alike, strict=True):
                placed[site] = text
        return placed


def _by_charge(occupation: dict[str, int]) -> dict[int, list[str]]:
    """Charge → its species, each as often as it occurs."""
    alike: dict[int, list[str]] = {}
    for text, count in sorted(occupation.items()):
        alike.setdefault(parse_species(text).charge, []).extend([text] * count)
    return alike


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
    """Round pair energies to whole :data:`RESOLUTION_EV`, equal ones alike."""
    values, inverse = np.unique(matrix, return_inverse=True)
    cluster = np.concatenate([[0], np.cumsum(np.diff(values) > _SAME_ENERGY_EV)])
    means = np.bincount(cluster, weights=values) / np.bincount(cluster)
    whole = np.round(means / RESOLUTION_EV)[cluster]
    return np.asarray(whole[inverse].reshape(matrix.shape))


def arrangements(counts: Sequence[int]) -> NDArray[np.int8]:
    """List every way to fill sites with given numbers of each kind."""
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
    """Find the lowest charge orders: all of few, else by so many swaps."""
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
        """Search until replicas agree, nothing improves, or the swaps are used up."""
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
