"""Warren-Cowley order parameters of a decorated lattice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hts_battery.disorder.cells import element_of, species_names
from hts_battery.disorder.lattice_sites import FCC, lattice_sites, shell_steps

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.disorder.torus import Torus


class PairValues(dict[tuple[str, str], list[float]]):
    """
    Values of pairs of species; a pair is found from both ends, by element too.

    Examples
    --------
    >>> values = PairValues({("Li", "Mn3+"): [0.1]})
    >>> values["Mn3+", "Li"], values["Li", "Mn"]
    ([0.1], [0.1])
    """

    def __missing__(self, pair: tuple[str, str]) -> list[float]:
        """Find a pair under another name of the same."""
        for asked in (sorted(pair), sorted(map(element_of, pair))):
            found = [
                values
                for names, values in self.items()
                if asked in (sorted(names), sorted(map(element_of, names)))
            ]
            if len(found) == 1:
                return found[0]
        known = ", ".join("-".join(names) for names in self)
        raise KeyError(f"no pair {'-'.join(pair)}; there are {known}")


def warren_cowley(structure: Structure, *, shells: int = 4) -> PairValues:
    r"""
    Return the Warren-Cowley parameters of every pair of species, shell by shell.

    .. math:: \alpha_{ab}^s = 1 - \frac{p_{ab}^s}{x_a x_b}

    with :math:`p_{ab}^s` the probability that first and second site of a pair of
    shell s hold a and b, and x their fractions on their sublattices. 0 for a random
    alloy, negative where a and b attract each other; over random cells of N sites on
    the sublattice the mean is :math:`-1/(N-1)`. A small cell, as an SQS, says what the
    cell has, not what the material has.

    Parameters
    ----------
    structure
        With cations on a face-centred cubic lattice and anions in its octahedra, or on
        a simple cubic one; any orientation, origin and order.
    shells
        Number of shells, from the nearest, of each pair of sublattices.

    Returns
    -------
    PairValues
        ``(species, species)`` → one value a shell. Elements where an element has one
        oxidation state, species (``Mn3+``) where it has several. Pairs of two
        sublattices with one species each say nothing and are left out.

    Raises
    ------
    OrderingError
        The structure is not on such a lattice.

    References
    ----------
    J. M. Cowley, Phys. Rev. 77, 669 (1950), 10.1103/PhysRev.77.669.
    """
    found = lattice_sites(structure)
    names = species_names(structure)
    cations = names[found.cations]
    anions = names[found.anions]
    kind = "fcc" if found.vectors is FCC else "simple_cubic"
    return pair_parameters(found.torus, kind, cations, anions, shells)


def pair_parameters(
    cell: Torus,
    kind: str,
    cations: NDArray[np.str_],
    anions: NDArray[np.str_],
    shells: int,
) -> PairValues:
    """Return the parameters of a decoration given point by point."""
    values = PairValues()
    points = cell.points()
    for first, second, between in (
        (cations, cations, False),
        (anions, anions, False),
        (cations, anions, True),
    ):
        if not (len(first) and len(second)):
            continue
        rows, a = np.unique(first, return_inverse=True)
        columns, b = np.unique(second, return_inverse=True)
        if len(rows) == len(columns) == 1:
            continue
        shares = np.outer(np.bincount(a) / len(first), np.bincount(b) / len(second))
        probabilities = [
            _pairs(cell, points, a, b, (len(rows), len(columns)), steps, not between)
            for steps in shell_steps(kind, shells, between=between)
        ]
        alpha = [1 - found / shares for found in probabilities]
        for i, one in enumerate(rows):
            for j, other in enumerate(columns):
                if between or i <= j:
                    pair = (str(one), str(other))
                    values[pair] = [float(shell[i, j]) for shell in alpha]
    return values


def _pairs(  # noqa: PLR0913, PLR0917
    cell: Torus,
    points: NDArray[np.int64],
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    shape: tuple[int, int],
    steps: NDArray[np.int64],
    both_ways: bool,
) -> NDArray[np.float64]:
    """Return the probability of each pair of species over the steps of a shell."""
    if both_ways:  # a step and its reverse join the same pairs
        steps = steps[: len(steps) // 2]
    counts = np.zeros(shape[0] * shape[1])
    for step in steps:
        there = b[cell.locate(points + step)[0]]
        counts += np.bincount(a * shape[1] + there, minlength=len(counts))
    found = counts.reshape(shape)
    if both_ways:
        found = (found + found.T) / 2
    return np.asarray(found / found.sum())
