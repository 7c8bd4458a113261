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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hts_battery.structures.cells import Cell
    from hts_battery.structures.sizes import SiteCounts

# Steps for which a site that was swapped stays.
_TENURE = 4


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
    sites: NDArray[np.intp]
    species: tuple[str, ...]
    first: NDArray[np.intp]
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
        self.sublattices: dict[str, _Sublattice] = {}
        for name, occupation in mixed.items():
            sites = cell.sites_of(name)
            pairs = np.array(list(combinations(range(len(sites)), 2)), dtype=np.intp)
            first, second = pairs.T
            sides = tuple(
                _side(name, other, images, mixed, (first, second))
                for other, images in seen[name].items()
            )
            self.sublattices[name] = _Sublattice(
                sites, tuple(sorted(occupation)), first, second, sides
            )

    @property
    def work(self) -> int:
        """Numbers computed to judge every swap once."""
        return sum(
            side.curvature.size * side.target[0].size
            for lattice in self.sublattices.values()
            for side in lattice.sides
        )

    def codes(self, decoration: Sequence[str]) -> dict[str, NDArray[np.intp]]:
        """Write the species on each mixed sublattice as indices."""
        return {
            name: np.array(
                [lattice.species.index(decoration[i]) for i in lattice.sites]
            )
            for name, lattice in self.sublattices.items()
        }

    def objectives(
        self, codes: Mapping[str, NDArray[np.intp]]
    ) -> tuple[float, dict[str, NDArray[np.float64]]]:
        """
        Objective as it is, and after every swap on every mixed sublattice.

        Infinite for a swap of two sites with one species.
        """
        ones = {
            name: np.eye(len(lattice.species))[codes[name]]
            for name, lattice in self.sublattices.items()
        }
        total = 0.0
        changes = {}
        for name, lattice in self.sublattices.items():
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
            change[codes[name][lattice.first] == codes[name][lattice.second]] = np.inf
            changes[name] = change
        return total, {name: total + change for name, change in changes.items()}

    def improve(
        self, decoration: Sequence[str], *, steps: int
    ) -> tuple[float, tuple[str, ...]]:
        """
        Take the best swap again and again, uphill too, and keep the best decoration.

        Sites just swapped stay for some steps unless that is the best yet; the result
        is one that no swap improves.

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
        codes = self.codes(decoration)
        names = list(self.sublattices)
        lengths = np.cumsum([0, *(len(self.sublattices[n].first) for n in names)])
        until = {name: np.zeros(len(codes[name]), dtype=int) for name in names}
        best, best_codes, improved, step = np.inf, codes, 0, 0
        while True:
            now, after = self.objectives(codes)
            now = float(comparable(np.array(now)))
            if now < best:
                best, improved = now, step
                best_codes = {name: values.copy() for name, values in codes.items()}
            if step - improved > steps:
                break
            scores = comparable(np.concatenate([after[n] for n in names]))
            held = np.concatenate([self._held(n, until[n] > step) for n in names])
            scores[held & (scores >= best)] = np.inf
            index = int(scores.argmin())
            if not np.isfinite(scores[index]):
                break
            which = int(np.searchsorted(lengths, index, side="right")) - 1
            name, swap = names[which], index - lengths[which]
            lattice = self.sublattices[name]
            i, j = lattice.first[swap], lattice.second[swap]
            codes[name][[i, j]] = codes[name][[j, i]]
            step += 1
            until[name][[i, j]] = step + _TENURE
        return best, self._decoration(decoration, best_codes)

    def _held(self, name: str, held: NDArray[np.bool_]) -> NDArray[np.bool_]:
        lattice = self.sublattices[name]
        return np.asarray(held[lattice.first] | held[lattice.second])

    def _decoration(
        self, decoration: Sequence[str], codes: Mapping[str, NDArray[np.intp]]
    ) -> tuple[str, ...]:
        species = list(decoration)
        for name, lattice in self.sublattices.items():
            for site, code in zip(lattice.sites, codes[name], strict=True):
                species[site] = lattice.species[code]
        return tuple(species)


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
