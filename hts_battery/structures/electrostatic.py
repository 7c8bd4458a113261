"""Lowest electrostatic energy: where formal charges would order at 0 K."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.errors import OrderingError
from hts_battery.schemas.species import parse_species
from hts_battery.structures.cells import site_permutations
from hts_battery.structures.charge_order import (
    ChargeProblem,
    lowest_charge_orders,
    whole_energies,
)
from hts_battery.structures.decoration import canonical_decoration, occupation_of
from hts_battery.structures.ewald import ewald_matrix
from hts_battery.structures.prototypes import load_prototype
from hts_battery.structures.radii import lattice_scale

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hts_battery.structures.cells import Cell, IntMatrix
    from hts_battery.structures.charge_order import ChargeOrders
    from hts_battery.structures.sizes import SiteCounts

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


def electrostatic_energy(cell: Cell, decoration: Sequence[str]) -> float:
    """
    Ewald energy of a decoration's formal charges, in eV per cell.

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
    >>> from hts_battery.structures.cells import build_cell
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
    :data:`charge_order.EXACT_LIMIT`; otherwise replicas are searched by swaps within
    sublattices (:class:`charge_order.ChargeSwaps`) and each ends where no swap lowers
    its energy. Species of one charge are alike to electrostatics: where they sit is
    left to a shuffle.

    Parameters
    ----------
    cell
        The cell.
    counts
        Sublattice → species → number of sites.
    iterations
        Swaps carried out at most, over all replicas; the last descent is not counted.
    seed
        Start of the random streams.
    results
        Number of decorations returned at most.

    Returns
    -------
    list
        Different decorations, none a symmetry image of another, lowest energy first,
        of equals the smallest decoration.

    Raises
    ------
    OrderingError
        If every species has the same charge.

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
        sites = cell.sites_of(name)
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
            (cell.sites_of(name), charge, alike)
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
