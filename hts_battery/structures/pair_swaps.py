"""Swaps of species that bring a decoration's pair correlations nearer to random."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.structures.correlations import (
    comparable,
    pair_shells,
    shell_weights,
)
from hts_battery.structures.tabu import TabuSearch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.structures.cells import Cell
    from hts_battery.structures.sizes import SiteCounts

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
        """
        Objective as it is, and after every swap.

        Infinite for a swap of two sites with one species.
        """
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
        """
        Search from a decoration and keep the best one met, which no swap improves.

        Parameters
        ----------
        decoration
            Species of each site of the cell.
        steps
            Swaps after the last improvement.

        Returns
        -------
        tuple
            Objective, :func:`correlations.comparable`, and decoration.
        """
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
