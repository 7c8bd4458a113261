"""Warren-Cowley order parameters of a decorated lattice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hts_battery.disorder.cells import element_of, species_names
from hts_battery.disorder.lattice_sites import FCC, lattice_sites, shell_steps
from hts_battery.disorder.torus import cycles

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.disorder.torus import Cycles, Torus

_SUBLATTICES = (("cations", "cations"), ("anions", "anions"), ("cations", "anions"))


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
    """
    Return the parameters of a decoration given point by point.

    Pairs are counted for every step at once, as correlations by Fourier transform, and
    rounded: the counts are exact.

    Parameters
    ----------
    cell
        In units of the primitive vectors.
    kind
        ``fcc`` or ``simple_cubic``.
    cations, anions
        Name of the species on each point; no anions where the lattice has none.
    shells
        Number of shells of each pair of sublattices.
    """
    values = PairValues()
    ring = cycles(cell)
    places = tuple((cell.points() @ ring.points % ring.orders).T)
    names, waves = {}, {}
    for side, texts in (("cations", cations), ("anions", anions)):
        names[side] = np.unique(texts)
        waves[side] = [
            np.fft.rfftn(_on_grid(texts == one, places, ring)) for one in names[side]
        ]
    for first, second in _SUBLATTICES:
        rows, columns = names[first], names[second]
        if not (len(rows) and len(columns)) or len(rows) == len(columns) == 1:
            continue
        between = first != second
        steps = shell_steps(kind, shells, between=between)
        reached = [tuple((step @ ring.points % ring.orders).T) for step in steps]
        pairs = len(cations) * np.array([len(step) for step in steps])
        for i, one in enumerate(rows):
            for j, other in enumerate(columns):
                if not between and i > j:
                    continue
                product = np.conj(waves[first][i]) * waves[second][j]
                counts = np.rint(
                    np.fft.irfftn(product, ring.orders.tolist(), (0, 1, 2))
                )
                ideal = _share(waves[first][i], cell) * _share(waves[second][j], cell)
                found = np.array([counts[where].sum() for where in reached])
                alpha = 1 - found / pairs / ideal
                values[str(one), str(other)] = alpha.tolist()
    return values


def _on_grid(
    occupied: NDArray[np.bool_], places: tuple[NDArray[np.int64], ...], ring: Cycles
) -> NDArray[np.float64]:
    """Put the points that a species holds on a grid of the cell's cycles."""
    grid = np.zeros(ring.orders)
    grid[places] = occupied
    return grid


def _share(wave: NDArray[np.complex128], cell: Torus) -> float:
    """Return the fraction of the points that a species holds: its wave at zero."""
    return float(np.rint(wave.flat[0].real)) / cell.size
