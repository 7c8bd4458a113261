"""How far a decoration is from random: pair correlations, shell by shell."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.structures.cells import build_cell
from hts_battery.structures.neighbours import neighbour_pairs
from hts_battery.structures.prototypes import load_prototype

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hts_battery.structures.cells import Cell, IntMatrix

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

    Parameters
    ----------
    prototype_name
        Name of the parent lattice; its file states the number of shells.
    supercell
        Supercell vectors in units of the primitive ones, one a row.

    Examples
    --------
    >>> shells = pair_shells("rocksalt", ((2, 0, 0), (0, 2, 0), (0, 0, 2)))
    >>> shells[1].first, shells[1].second
    ('anion', 'cation')
    >>> shells[1].counts.sum(axis=2)[:, 0].tolist()
    [6.0, 8.0, 24.0, 30.0]
    """
    cell = build_cell(prototype_name, supercell)
    edges = _shell_edges(prototype_name)
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
def _shell_edges(
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
    far as can be.

    Parameters
    ----------
    counts
        Images of site j in each shell of site i: (shells, i, j).
    first, second
        Occupations as zeros and ones, (…, sites, species), of rows and columns.

    Returns
    -------
    ndarray
        Shape (…, shells), dimensionless.

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
    """
    Write the species of some sites as zeros and ones, one column a species.

    Examples
    --------
    >>> occupations(["Li+", "Mn3+", "Li+"]).tolist()
    [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    columns = sorted(set(species)) if order is None else order
    same = np.array(species)[:, None] == np.array(columns)[None, :]
    return np.asarray(same, dtype=np.float64)


def correlation_errors(
    cell: Cell, decoration: Sequence[str]
) -> dict[str, tuple[float, ...]]:
    """
    Pair-correlation error per shell of every pair of mixed sublattices.

    Returns
    -------
    dict
        ``first/second`` → errors of :func:`pair_errors`, shell by shell; a
        sublattice with one species correlates with nothing and is left out.
    """
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
    """
    Round objectives so that equal ones are equal whatever order summed them.

    Examples
    --------
    >>> one, other = comparable(np.array([0.1 + 0.2, 0.3]))
    >>> bool(one == other)
    True
    """
    return np.asarray(np.round(objectives / _OBJECTIVE_UNIT) * _OBJECTIVE_UNIT)


def warren_cowley(
    cell: Cell, decoration: Sequence[str]
) -> dict[str, tuple[dict[str, float], ...]]:
    r"""
    Warren-Cowley short-range-order parameters of every pair of species.

    .. math:: \alpha_{ab}^s = 1 - \frac{p_{ab}^s}{x_a x_b}

    0 for a random alloy, negative where a and b attract each other.

    Returns
    -------
    dict
        ``first/second`` sublattices → for each shell ``a/b`` → parameter.
    """
    texts = np.array(decoration)
    found: dict[str, tuple[dict[str, float], ...]] = {}
    for shells in pair_shells(cell.prototype, cell.supercell):
        rows = texts[cell.sites_of(shells.first)]
        columns = texts[cell.sites_of(shells.second)]
        a_names, b_names = sorted(set(rows)), sorted(set(columns))
        if len(a_names) == 1 and len(b_names) == 1:
            continue
        a, b = occupations(list(rows)), occupations(list(columns))
        paired = np.einsum("ia,sij,jb->sab", a, shells.counts, b, optimize=True)
        paired /= shells.counts.sum(axis=(1, 2)).reshape(-1, 1, 1)
        alpha = 1 - paired / np.outer(a.mean(axis=0), b.mean(axis=0))
        found[f"{shells.first}/{shells.second}"] = tuple(
            {
                f"{x}/{y}": float(alpha[s, m, n])
                for m, x in enumerate(a_names)
                for n, y in enumerate(b_names)
                if shells.first != shells.second or m <= n
            }
            for s in range(len(shells.distances))
        )
    return found
