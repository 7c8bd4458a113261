"""Lowest electrostatic energy: where formal charges would order at 0 K."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, Species, Structure

from hts_battery.errors import OrderingError
from hts_battery.schemas.species import parse_species
from hts_battery.structures.cells import build_cell
from hts_battery.structures.decoration import canonical_decoration, occupation_of
from hts_battery.structures.prototypes import load_prototype
from hts_battery.structures.radii import lattice_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.structures.cells import Cell, IntMatrix
    from hts_battery.structures.sizes import SiteCounts

_REPLICAS = 32
# Energies are whole multiples of this many eV during the search, so that sums do
# not depend on their order and every machine takes the same decisions.
_RESOLUTION_EV = 1e-9
# First temperature as a fraction of the spread of the first swaps' energies, and
# last temperature as a fraction of the first: of those tried on 80-atom oxyfluoride
# cells, where charges freeze.
_HOT = 0.2
_COLD = 0.1
_QUENCH_LIMIT = 10_000


class ElectrostaticResult(NamedTuple):
    """One decoration that a search for low electrostatic energy ended in."""

    decoration: tuple[str, ...]
    """Species of each site of the cell, the smallest of its symmetry images."""
    energy: float
    """Ewald energy in eV per cell at the lattice set by ionic radii."""


@lru_cache(maxsize=64)
def ewald_matrix(prototype_name: str, supercell: IntMatrix) -> NDArray[np.float64]:
    r"""
    Pairwise Ewald energies of unit charges on every site of a cell.

    The energy of any neutral decoration is
    :math:`E = \sum_{ij} q_i M_{ij} q_j`, its self-interaction on the diagonal.

    Parameters
    ----------
    prototype_name
        Name of the parent lattice.
    supercell
        Supercell vectors in units of the primitive ones, one a row.

    Returns
    -------
    ndarray
        Symmetric, in eV, at the reference compound's lattice; a lattice f times as
        large has energies 1/f times as large.

    Examples
    --------
    >>> matrix = ewald_matrix("rocksalt", ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    >>> charges = np.array([1, -1])
    >>> distance = 4.2112 / 2
    >>> round(float(-charges @ matrix @ charges * distance / 14.399645), 5)
    1.74756
    """
    cell = build_cell(prototype_name, supercell)
    # Every site carries one positive charge: the pair terms then are the matrix.
    # The charged cell's background is no part of it and vanishes for neutral ones.
    structure = Structure(
        Lattice(cell.lattice),
        [Species("H", 1)] * len(cell.sublattices),
        cell.coordinates,
    )
    ewald: EwaldSummation = EwaldSummation(structure)  # type: ignore[no-untyped-call] # pymatgen has no hints here
    matrix = ewald.total_energy_matrix
    return np.asarray((matrix + matrix.T) / 2)


def site_charges(decoration: Sequence[str]) -> NDArray[np.int64]:
    """
    Formal charge of the species on each site; 0 for a vacancy.

    Examples
    --------
    >>> site_charges(["Li+", "Nb5+", "Vac", "O2-"]).tolist()
    [1, 5, 0, -2]
    """
    return np.array([parse_species(species).charge for species in decoration])


def electrostatic_energy(cell: Cell, decoration: Sequence[str]) -> float:
    """
    Ewald energy of a decoration's formal charges, in eV per cell.

    Parameters
    ----------
    cell
        The cell.
    decoration
        Species of each of its sites; their charges add up to zero.

    Returns
    -------
    float
        At the lattice that ionic radii set, the one calculations start from.

    Raises
    ------
    OrderingError
        If the cell is charged.

    Examples
    --------
    >>> cell = build_cell("rocksalt", ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    >>> round(electrostatic_energy(cell, ["Mg2+", "O2-"]), 2)
    -47.8
    """
    charges = site_charges(decoration)
    if charges.sum():
        raise OrderingError(f"the cell has charge {charges.sum():+d}, not zero")
    scale = lattice_scale(
        load_prototype(cell.prototype), occupation_of(cell, decoration)
    )
    matrix = ewald_matrix(cell.prototype, cell.supercell)
    return float(charges @ matrix @ charges) / scale


def lowest_electrostatic(
    cell: Cell, counts: SiteCounts, *, iterations: int, seed: int
) -> list[ElectrostaticResult]:
    r"""
    Anneal the decoration of a cell towards its lowest electrostatic energy.

    Replicas start from shuffles and swap two species of one sublattice at a time. A
    swap of the charges on i and j costs
    :math:`2 d (\phi_i - \phi_j) + d^2 (M_{ii} + M_{jj} - 2 M_{ij})` with
    :math:`d = q_j - q_i` and the potentials :math:`\phi = M q`, which are updated
    when a swap is taken. The temperature falls geometrically from the spread of the
    first swaps; each replica then descends to a minimum against all swaps. Species
    of one charge are alike to electrostatics: where they sit is left to the shuffle.

    Parameters
    ----------
    cell
        The cell.
    counts
        Sublattice → species → number of sites.
    iterations
        Swaps tried, over all replicas; the descent is not counted.
    seed
        Start of the random stream.

    Returns
    -------
    list
        Different decorations, none a symmetry image of another, lowest energy first.

    Examples
    --------
    >>> from hts_battery.structures.cells import compact_supercell
    >>> cell = build_cell("rocksalt", compact_supercell("rocksalt", 4))
    >>> counts = {"cation": {"Li+": 2, "Co3+": 2}, "anion": {"O2-": 4}}
    >>> found = lowest_electrostatic(cell, counts, iterations=2000, seed=0)
    >>> found[0].decoration[:4]
    ('Co3+', 'Co3+', 'Li+', 'Li+')
    """
    species = sorted({s for occupation in counts.values() for s in occupation})
    if len({parse_species(s).charge for s in species}) == 1:
        raise OrderingError("every species has the same charge: nothing to order")
    pairs = _swappable(cell, counts)
    codes = _shuffled(cell, counts, species, seed=seed)
    if len(pairs):
        matrix = np.round(
            ewald_matrix(cell.prototype, cell.supercell) / _RESOLUTION_EV
        ).astype(np.int64)
        search = _Search(matrix, site_charges(species), pairs, codes)
        search.anneal(steps=max(1, iterations // _REPLICAS), seed=seed)
        search.quench()
        codes = search.codes
    unique = np.unique(codes, axis=0)
    decorations = {
        canonical_decoration(cell, [species[code] for code in row]) for row in unique
    }
    found = [
        ElectrostaticResult(d, round(electrostatic_energy(cell, d), 9))
        for d in decorations
    ]
    return sorted(
        found, key=lambda result: (round(result.energy, 6), result.decoration)
    )


def _swappable(cell: Cell, counts: SiteCounts) -> NDArray[np.intp]:
    """Pairs of sites of one sublattice that holds several charges."""
    pairs = [
        pair
        for name, occupation in counts.items()
        if len({parse_species(s).charge for s in occupation}) > 1
        for pair in combinations(cell.sites_of(name).tolist(), 2)
    ]
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)


def _uniform(seed: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers in (0, 1] from the raw stream, which no version of numpy changes."""
    size = int(np.prod(shape))
    raw = np.random.PCG64(seed).random_raw(size)
    mantissa = (np.asarray(raw) >> np.uint64(11)).astype(np.float64)
    return np.asarray((mantissa + 1.0) * 2.0**-53).reshape(shape)


def _shuffled(
    cell: Cell, counts: SiteCounts, species: Sequence[str], *, seed: int
) -> NDArray[np.intp]:
    """Random decorations, one a replica, as indices into species."""
    keys = _uniform(2 * seed, (_REPLICAS, len(cell.sublattices)))
    codes = np.zeros(keys.shape, dtype=np.intp)
    for name, occupation in counts.items():
        sites = cell.sites_of(name)
        filling = np.array(
            [species.index(s) for s in sorted(occupation) for _ in range(occupation[s])]
        )
        order = np.argsort(keys[:, sites], axis=1, kind="stable")
        codes[:, sites] = filling[order]
    return codes


class _Search:
    """Replicas of one cell's decoration and their potentials, in whole energy units."""

    def __init__(
        self,
        matrix: NDArray[np.int64],
        charges: NDArray[np.int64],
        pairs: NDArray[np.intp],
        codes: NDArray[np.intp],
    ) -> None:
        self.matrix = matrix
        self.charges = charges
        self.pairs = pairs
        self.codes = codes
        i, j = pairs.T
        self.curvature = matrix[i, i] + matrix[j, j] - 2 * matrix[i, j]
        self.q = charges[codes]
        self.potentials = self.q @ matrix
        self.rows = np.arange(len(codes))

    def costs(self) -> NDArray[np.int64]:
        """Energy of every swap in every replica: (replicas, pairs)."""
        i, j = self.pairs.T
        d = self.q[:, j] - self.q[:, i]
        slope = 2 * (self.potentials[:, i] - self.potentials[:, j])
        return np.asarray(d * (slope + d * self.curvature))

    def swap(self, rows: NDArray[np.intp], chosen: NDArray[np.intp]) -> None:
        """Carry out one swap in each of some replicas."""
        i, j = self.pairs[chosen].T
        d = self.q[rows, j] - self.q[rows, i]
        self.potentials[rows] += d[:, None] * (self.matrix[i] - self.matrix[j])
        for values in (self.codes, self.q):
            values[rows, i], values[rows, j] = values[rows, j], values[rows, i]

    def anneal(self, *, steps: int, seed: int) -> None:
        """Metropolis swaps at a falling temperature, one trial a step and replica."""
        uniform = _uniform(2 * seed + 1, (2, steps, len(self.codes)))
        chosen = (uniform[0] * len(self.pairs)).astype(np.intp) % len(self.pairs)
        start = _HOT * float(np.std(self.costs()))
        temperatures = start * _COLD ** (np.arange(steps) / max(steps - 1, 1))
        # A swap is taken if its cost is below -T ln u.
        allowed = np.floor(-temperatures[:, None] * np.log(uniform[1]))
        first, second = self.pairs.T
        for trial, limit in zip(chosen, allowed, strict=True):
            i, j = first[trial], second[trial]
            d = self.q[self.rows, j] - self.q[self.rows, i]
            slope = self.potentials[self.rows, i] - self.potentials[self.rows, j]
            cost = d * (2 * slope + d * self.curvature[trial])
            taken = np.flatnonzero((cost <= limit) & (d != 0))
            if len(taken):
                self.swap(taken, trial[taken])

    def quench(self) -> None:
        """Take the best swap in every replica until none lowers its energy."""
        for _ in range(_QUENCH_LIMIT):
            costs = self.costs()
            best = costs.argmin(axis=1)
            falling = np.flatnonzero(costs[self.rows, best] < 0)
            if not len(falling):
                return
            self.swap(falling, best[falling])
        raise OrderingError("the descent to an electrostatic minimum did not end")
