"""Short-range order of a decorated cell, from lists of its neighbouring pairs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.structures.cells import build_cell
from hts_battery.structures.correlations import shell_edges
from hts_battery.structures.neighbours import neighbour_pairs
from hts_battery.structures.prototypes import load_prototype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.structures.cells import Cell, IntMatrix

    Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]

_SAME_SHELL = 0.05
"""Distances of one shell agree to this, in angstrom at the reference lattice."""


class ShellPairs(NamedTuple):
    """Pairs of neighbours between two sublattices of a cell, or within one."""

    first: str
    second: str
    shells: tuple[Pairs, ...]
    """Sites of first and second of each pair, every periodic image, nearest first."""


@lru_cache(maxsize=64)
def shell_pairs(prototype_name: str, supercell: IntMatrix) -> tuple[ShellPairs, ...]:
    """
    List the neighbours of every site of a cell, shell by shell.

    Examples
    --------
    >>> found = shell_pairs("rocksalt", ((2, 0, 0), (0, 2, 0), (0, 0, 2)))
    >>> [len(rows) // 8 for rows, _ in found[1].shells]
    [6, 8, 24, 30]
    """
    cell = build_cell(prototype_name, supercell)
    edges = shell_edges(prototype_name)
    cutoff = max(upper for shells in edges.values() for _, upper in shells)
    i, j, _, lengths = neighbour_pairs(cell.lattice, cell.coordinates, cutoff)
    names = np.array(cell.sublattices)
    found = []
    for (first, second), shells in edges.items():
        chosen = (names[i] == first) & (names[j] == second)
        rows, columns, far = i[chosen], j[chosen], lengths[chosen]
        near = [(far > lower) & (far < upper) for lower, upper in shells]
        pairs = tuple((rows[one], columns[one]) for one in near)
        found.append(ShellPairs(first, second, pairs))
    return tuple(found)


def short_range_order(
    cell: Cell, decoration: Sequence[str]
) -> dict[str, tuple[dict[str, float], ...]]:
    r"""
    Return the Warren-Cowley parameters of every pair of species of a parent's cell.

    .. math:: \alpha_{ab}^s = 1 - \frac{p_{ab}^s}{x_a x_b}

    with :math:`p_{ab}^s` the fraction of the pairs of shell s that join a and b, x the
    fractions on the sublattices: dimensionless, 0 for a random alloy, negative where a
    and b attract each other (10.1103/PhysRev.77.669). Of any parent lattice; of large
    cells without one, :func:`hts_battery.disorder.warren_cowley`.

    Returns
    -------
    dict
        ``first/second`` sublattices → for each shell ``a/b`` → parameter.
    """
    texts = np.array(decoration)
    found: dict[str, tuple[dict[str, float], ...]] = {}
    for pairs in shell_pairs(cell.prototype, cell.supercell):
        a_names, a, x = _species(texts, cell.sites_of(pairs.first))
        b_names, b, y = _species(texts, cell.sites_of(pairs.second))
        if len(a_names) == 1 and len(b_names) == 1:
            continue
        found[f"{pairs.first}/{pairs.second}"] = tuple(
            {
                f"{one}/{other}": float(alpha[m, n])
                for m, one in enumerate(a_names)
                for n, other in enumerate(b_names)
                if pairs.first != pairs.second or m <= n
            }
            for alpha in (
                1 - _joined(shell, a, b, (len(x), len(y))) / np.outer(x, y)
                for shell in pairs.shells
            )
        )
    return found


def _species(
    texts: NDArray[np.str_], sites: NDArray[np.intp]
) -> tuple[list[str], NDArray[np.intp], NDArray[np.float64]]:
    """Return the species on some sites, the number of that of each site, fractions."""
    names, codes = np.unique(texts[sites], return_inverse=True)
    numbers = np.zeros(len(texts), dtype=np.intp)
    numbers[sites] = codes
    return names.tolist(), numbers, np.bincount(codes) / len(sites)


def _joined(
    shell: Pairs, a: NDArray[np.intp], b: NDArray[np.intp], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the share of the pairs of a shell that join each two species."""
    rows, columns = shell
    counts = np.bincount(a[rows] * shape[1] + b[columns], minlength=shape[0] * shape[1])
    return np.asarray(counts.reshape(shape) / len(rows))


class CationPairs(NamedTuple):
    """Neighbours among all cations of a parent, whatever their sublattices."""

    cations: NDArray[np.intp]
    anions: NDArray[np.intp]
    shells: tuple[Pairs, Pairs]
    """First and second shell of cations."""
    contacts: Pairs
    """Cations and the anions nearest to them."""


@lru_cache(maxsize=64)
def cation_pairs(prototype_name: str, supercell: IntMatrix) -> CationPairs:
    """List the first two shells of cations, and the contacts of cations and anions."""
    cell = build_cell(prototype_name, supercell)
    sublattices = load_prototype(prototype_name).sublattices
    positive = [n for n, one in sublattices.items() if one.reference.endswith("+")]
    is_cation = np.isin(cell.sublattices, positive)
    # No lattice of n points to a volume is sparser than this many cube edges.
    edge = (abs(np.linalg.det(cell.lattice)) / is_cation.sum()) ** (1 / 3)
    i, j, _, lengths = neighbour_pairs(cell.lattice, cell.coordinates, 2 * edge)
    alike = is_cation[i] & is_cation[j]
    nearest = lengths[alike].min()
    far = lengths[alike & (lengths > nearest + _SAME_SHELL)].min()
    contact = is_cation[i] & ~is_cation[j]
    bond = lengths[contact].min()
    first, second, bonds = (
        (i[chosen], j[chosen])
        for chosen in (
            alike & (lengths < nearest + _SAME_SHELL),
            alike & (abs(lengths - far) < _SAME_SHELL),
            contact & (lengths < bond + _SAME_SHELL),
        )
    )
    return CationPairs(
        np.flatnonzero(is_cation), np.flatnonzero(~is_cation), (first, second), bonds
    )


def lithium_order(
    cell: Cell, decoration: Sequence[str]
) -> tuple[list[float | None], float | None]:
    r"""
    Return the order of Li and all other cations, and of Li and F, over all cations.

    The parameters of Li with each other cation, averaged with their amounts; vacant
    sites are neither.

    Returns
    -------
    tuple
        For the first two shells of cations :math:`\alpha_{LiM}`, and for contacts
        :math:`\alpha_{LiF}`; None where there is none of the two.

    Examples
    --------
    Planes of Li and M along [111], as in LiCoO2:

    >>> cell = build_cell("rocksalt", ((1, 0, 0), (0, 1, 0), (0, 0, 2)))
    >>> lithium_order(cell, ["Li+", "Co3+", "O2-", "O2-"])
    ([0.0, -1.0], None)
    """
    pairs = cation_pairs(cell.prototype, cell.supercell)
    elements = np.array(
        [one if one == VACANCY else parse_species(one).element for one in decoration]
    )
    lithium = elements == "Li"
    metal = np.zeros(len(elements), dtype=bool)
    metal[pairs.cations] = ~np.isin(elements[pairs.cations], ("Li", VACANCY))
    metals = [_unlike(shell, lithium, metal, pairs.cations) for shell in pairs.shells]
    fluorine = _unlike(
        pairs.contacts, lithium, elements == "F", pairs.cations, pairs.anions
    )
    return metals, fluorine


def _unlike(
    shell: Pairs,
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp] | None = None,
) -> float | None:
    """Return the parameter of two kinds of sites; None where one is empty."""
    share = first[rows].mean() * second[rows if columns is None else columns].mean()
    if not share:
        return None
    return float(1 - (first[shell[0]] & second[shell[1]]).mean() / share)
