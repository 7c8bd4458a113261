"""How far a decoration is from random: pair correlations, shell by shell."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, combinations_with_replacement
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.structures.cells import build_cell
from hts_battery.structures.neighbours import neighbour_pairs
from hts_battery.structures.prototypes import load_prototype
from hts_battery.structures.tabu import TabuSearch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hts_battery.structures.cells import Cell, IntMatrix
    from hts_battery.structures.nearest_counts import SiteCounts

# Distances of one shell agree to this, in angstrom at the reference lattice.
_SHELL_WIDTH = 0.05
# Objectives are fractions with small denominators, so no two of them lie on different
# sides of a whole multiple of this by rounding errors alone.
_OBJECTIVE_UNIT = np.pi * 1e-10
_PRIMITIVE = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


class PairShells(NamedTuple):
    """Neighbour shells between two sublattices of a cell, or within one."""

    first: str
    """Sublattice of the rows."""
    second: str
    """Sublattice of the columns."""
    distances: tuple[float, ...]
    """Mean distance of each shell in angstrom at the reference lattice."""
    counts: NDArray[np.float64]
    """Number of images of site j in each shell of site i: (shells, i, j)."""


@lru_cache(maxsize=64)
def pair_shells(prototype_name: str, supercell: IntMatrix) -> tuple[PairShells, ...]:
    """
    Count the neighbours of every site of a cell, shell by shell.

    Every periodic image counts, a site's own images too: a small cell counts as
    the crystal that it stands for.

    Examples
    --------
    >>> shells = pair_shells("rocksalt", ((2, 0, 0), (0, 2, 0), (0, 0, 2)))
    >>> shells[1].counts.sum(axis=2)[:, 0].tolist()
    [6.0, 8.0, 24.0, 30.0]
    """
    cell = build_cell(prototype_name, supercell)
    edges = shell_edges(prototype_name)
    cutoff = max(upper for shells in edges.values() for _, upper in shells)
    i, j, _, distances = neighbour_pairs(cell.lattice, cell.coordinates, cutoff)
    found = []
    for (first, second), shells in edges.items():
        rows, columns = cell.sites_of(first), cell.sites_of(second)
        counts = np.zeros((len(shells), len(cell.sublattices), len(cell.sublattices)))
        for shell, (lower, upper) in enumerate(shells):
            near = (distances > lower) & (distances < upper)
            np.add.at(counts[shell], (i[near], j[near]), 1)
        means = tuple((lower + upper) / 2 for lower, upper in shells)
        found.append(PairShells(first, second, means, counts[:, rows][:, :, columns]))
    return tuple(found)


@lru_cache(maxsize=64)
def shell_edges(
    prototype_name: str,
) -> dict[tuple[str, str], tuple[tuple[float, float], ...]]:
    """Lower and upper distance of each shell of each pair of sublattices."""
    prototype = load_prototype(prototype_name)
    cell = build_cell(prototype_name, _PRIMITIVE)
    names = np.array(cell.sublattices)
    pairs = combinations_with_replacement(sorted(prototype.sublattices), 2)
    edges: dict[tuple[str, str], tuple[tuple[float, float], ...]] = {}
    for first, second in pairs:
        shells: list[tuple[float, float]] = []
        cutoff = 4.0
        while len(shells) <= prototype.shells:
            cutoff *= 1.25
            i, j, _, distances = neighbour_pairs(cell.lattice, cell.coordinates, cutoff)
            chosen = np.sort(distances[(names[i] == first) & (names[j] == second)])
            shells = _clusters(chosen)
        edges[first, second] = tuple(shells[: prototype.shells])
    return edges


def _clusters(distances: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Bounds of runs of distances without a gap wider than a shell."""
    if not len(distances):
        return []
    breaks = np.flatnonzero(np.diff(distances) > _SHELL_WIDTH) + 1
    runs = np.split(distances, breaks)
    half = _SHELL_WIDTH / 2
    return [(float(run[0]) - half, float(run[-1]) + half) for run in runs]


def shell_weights(shells: int) -> NDArray[np.float64]:
    """Weight of each shell in an objective: 1/s for the s-th."""
    return 1 / np.arange(1, shells + 1)


def pair_errors(
    counts: NDArray[np.float64],
    first: NDArray[np.float64],
    second: NDArray[np.float64],
) -> NDArray[np.float64]:
    r"""
    Distance of pair probabilities from those of a random alloy, per shell.

    .. math:: \epsilon_s = \tfrac12 \sum_{ab} |p_{ab}^s - x_a x_b|

    with :math:`p_{ab}^s` the fraction of the shell's pairs that join species a and
    b: the share of pairs that would have to change species. 0 is random, 1 is as
    far as can be. Counts are (shells, i, j), occupations (…, sites, species).

    Examples
    --------
    >>> chain = np.array([[[0.0, 2.0], [2.0, 0.0]]])
    >>> pair_errors(chain, np.eye(2), np.eye(2)).tolist()
    [0.5]
    """
    if first.ndim == second.ndim:
        paired = np.einsum(
            "...ia,sij,...jb->...sab", first, counts, second, optimize=True
        )
    else:  # one decoration of the rows against many of the columns
        around = np.einsum("ia,sij->saj", first, counts, optimize=True)
        paired = around @ second[..., None, :, :]
    paired = paired / counts.sum(axis=(1, 2)).reshape(-1, 1, 1)
    random = first.mean(axis=-2)[..., :, None] * second.mean(axis=-2)[..., None, :]
    return np.asarray(0.5 * np.abs(paired - random[..., None, :, :]).sum(axis=(-2, -1)))


def occupations(
    species: Sequence[str], order: Sequence[str] | None = None
) -> NDArray[np.float64]:
    """Write the species of some sites as zeros and ones, one column a species."""
    columns = sorted(set(species)) if order is None else order
    same = np.array(species)[:, None] == np.array(columns)[None, :]
    return np.asarray(same, dtype=np.float64)


def correlation_errors(
    cell: Cell, decoration: Sequence[str]
) -> dict[str, tuple[float, ...]]:
    """Pair-correlation errors, by shell, of every pair ``first/second`` that mixes."""
    texts = np.array(decoration)
    by_name = {
        name: occupations(list(texts[cell.sites_of(name)]))
        for name in set(cell.sublattices)
    }
    return {
        f"{shells.first}/{shells.second}": tuple(
            float(e)
            for e in pair_errors(
                shells.counts, by_name[shells.first], by_name[shells.second]
            )
        )
        for shells in pair_shells(cell.prototype, cell.supercell)
        if by_name[shells.first].shape[1] > 1 and by_name[shells.second].shape[1] > 1
    }


def objective(errors: Mapping[str, Iterable[float]]) -> float:
    r"""
    Weighted sum of pair-correlation errors, lower is more random.

    .. math:: \sum_{AB} \sum_s \epsilon_s^{AB} / s

    Examples
    --------
    >>> objective({"cation/cation": (0.1, 0.2)})
    0.2
    """
    total = 0.0
    for values in errors.values():
        listed = list(values)
        total += float(np.dot(shell_weights(len(listed)), listed))
    return round(total, 12)


def comparable(objectives: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round objectives so that equal ones are equal whatever order summed them."""
    return np.asarray(np.round(objectives / _OBJECTIVE_UNIT) * _OBJECTIVE_UNIT)


# Steps for which a site that was swapped stays.
_TENURE = np.array([4])


class _Side(NamedTuple):
    """What one sublattice sees of another, or of itself."""

    other: str
    counts: NDArray[np.float64]
    """Images of site j of the other in each shell of site i: (shells, i, j)."""
    weights: NDArray[np.float64]
    """Objective of one pair too many or too few, by shell."""
    curvature: NDArray[np.float64]
    """(shells, swaps); 0 between two sublattices."""
    target: NDArray[np.float64]
    """Pairs of each two species in the random alloy: (shells, here, there)."""


class _Sublattice(NamedTuple):
    species: tuple[str, ...]
    codes: slice
    """Where its sites stand among all that are mixed."""
    first: NDArray[np.intp]
    """One site of each swap, among its own."""
    second: NDArray[np.intp]
    sides: tuple[_Side, ...]


class PairSwaps:
    r"""
    The objective of every decoration one swap away from a given one.

    With the decoration as zeros and ones X, the pairs of a shell are
    :math:`n = X^T C X`, and a swap of i and j changes X by :math:`u v^T`,
    :math:`u = e_i - e_j`, v the change of species at i. Then

    .. math:: n' = n + v w^T + w v^T + (u^T C u)\, v v^T, \quad w = X^T C u

    and, towards another sublattice Y, :math:`n' = n + v\, (u^T C Y)`. The objective is
    :func:`correlations.objective`.

    Parameters
    ----------
    cell
        The cell.
    counts
        Sublattice → species → number of sites.
    """

    def __init__(self, cell: Cell, counts: SiteCounts) -> None:
        mixed = {name: c for name, c in sorted(counts.items()) if len(c) > 1}
        seen: dict[str, dict[str, NDArray[np.float64]]] = {name: {} for name in mixed}
        for shells in pair_shells(cell.prototype, cell.supercell):
            if shells.first in mixed and shells.second in mixed:
                seen[shells.first][shells.second] = shells.counts
                seen[shells.second][shells.first] = shells.counts.transpose(0, 2, 1)
        self._sublattices: dict[str, _Sublattice] = {}
        sites = [cell.sites_of(name) for name in mixed]
        starts = np.cumsum([0, *map(len, sites)]).tolist()
        for (name, occupation), here, start in zip(
            mixed.items(), sites, starts[:-1], strict=True
        ):
            pairs = np.array(list(combinations(range(len(here)), 2)), dtype=np.intp)
            first, second = pairs.T
            sides = tuple(
                _side(name, other, images, mixed, (first, second))
                for other, images in seen[name].items()
            )
            self._sublattices[name] = _Sublattice(
                tuple(sorted(occupation)),
                slice(start, start + len(here)),
                first,
                second,
                sides,
            )
        lattices = self._sublattices.values()
        self.sites = np.concatenate(sites)
        """Sites of all mixed sublattices; swaps are of places among these."""
        self.first = np.concatenate([one.first + one.codes.start for one in lattices])
        self.second = np.concatenate([one.second + one.codes.start for one in lattices])

    @property
    def work(self) -> int:
        """Numbers computed to score every swap once."""
        return sum(
            side.curvature.size * side.target[0].size
            for lattice in self._sublattices.values()
            for side in lattice.sides
        )

    def codes(self, decoration: Sequence[str]) -> NDArray[np.intp]:
        """Write the species on every mixed site as an index among its sublattice's."""
        return np.array(
            [
                lattice.species.index(decoration[site])
                for lattice in self._sublattices.values()
                for site in self.sites[lattice.codes]
            ]
        )

    def objectives(self, codes: NDArray[np.intp]) -> tuple[float, NDArray[np.float64]]:
        """Objective as it is, and after every swap; infinite for equal species."""
        ones = {
            name: np.eye(len(lattice.species))[codes[lattice.codes]]
            for name, lattice in self._sublattices.items()
        }
        total = 0.0
        changes = []
        for name, lattice in self._sublattices.items():
            here = ones[name]
            v = here[lattice.second] - here[lattice.first]
            change = np.zeros(len(v))
            for side in lattice.sides:
                around = side.counts @ ones[side.other]
                off = here.T @ around - side.target
                now = float(np.abs(off).sum(axis=(1, 2)) @ side.weights)
                w = around[:, lattice.first] - around[:, lattice.second]
                moved = _moved(v, w, side if side.other == name else None)
                moved += off[:, None]
                change += side.weights @ np.abs(moved).sum(axis=(2, 3)) - now
                total += now if side.other >= name else 0.0
            changes.append(change)
        after = total + np.concatenate(changes)
        after[codes[self.first] == codes[self.second]] = np.inf
        return total, after

    def improve(
        self, decoration: Sequence[str], *, steps: int
    ) -> tuple[float, tuple[str, ...]]:
        """Search from a decoration; return the best one met, which no swap improves."""
        search = TabuSearch(_Walk(self, self.codes(decoration)))
        while search.step - search.improved <= steps and search.advance(_TENURE):
            pass
        species = list(decoration)
        for lattice in self._sublattices.values():
            codes = search.arrangements[0, lattice.codes]
            for site, code in zip(self.sites[lattice.codes], codes, strict=True):
                species[site] = lattice.species[code]
        return float(search.best[0]), tuple(species)


class _Walk:
    """One decoration on the way of a tabu search."""

    def __init__(self, swaps: PairSwaps, codes: NDArray[np.intp]) -> None:
        self._swaps = swaps
        self.first, self.second = swaps.first, swaps.second
        self.arrangements = codes[None]
        self._evaluate()

    def _evaluate(self) -> None:
        now, after = self._swaps.objectives(self.arrangements[0])
        self.scores = comparable(np.array([now]))
        self._costs = comparable(after)[None] - self.scores

    def costs(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        return self._costs[rows]

    def swap(
        self,
        rows: NDArray[np.intp],
        chosen: NDArray[np.intp],
        costs: NDArray[np.float64],  # noqa: ARG002 - evaluated anew
    ) -> None:
        if len(rows):
            pair = [self.first[chosen[0]], self.second[chosen[0]]]
            self.arrangements[0, pair] = self.arrangements[0, pair[::-1]]
            self._evaluate()


def _moved(
    v: NDArray[np.float64], w: NDArray[np.float64], own: _Side | None
) -> NDArray[np.float64]:
    """Change of the pairs by each swap: (shells, swaps, here, there)."""
    moved = v[None, :, :, None] * w[:, :, None, :]
    if own is None:
        return np.asarray(moved)
    moved = moved + moved.swapaxes(2, 3)
    moved += own.curvature[:, :, None, None] * (v[:, :, None] * v[:, None, :])
    return np.asarray(moved)


def _side(
    name: str,
    other: str,
    images: NDArray[np.float64],
    mixed: SiteCounts,
    swaps: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> _Side:
    pairs = images.sum(axis=(1, 2))
    here, there = (
        np.array([mixed[n][s] for s in sorted(mixed[n])], dtype=float)
        for n in (name, other)
    )
    random = np.outer(here / here.sum(), there / there.sum())
    first, second = swaps
    curvature = np.zeros((len(images), len(first)))
    if name == other:
        own = np.diagonal(images, axis1=1, axis2=2)
        curvature = own[:, first] + own[:, second] - 2 * images[:, first, second]
    return _Side(
        other,
        images,
        shell_weights(len(images)) / pairs / 2,
        np.asarray(curvature),
        pairs[:, None, None] * random,
    )
