"""
Cells with carriers taken out: how many, which ones, and what became of the cell.

Which carriers leave first decides a voltage by 0.1 V, so they are not taken one by one:
of all ways to keep so many carriers on their sites those of the lowest Ewald energy are
taken, with the charges that metals and oxygen have once the others are gone.
"""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.electrochemistry.capacities import capacity, ceilings_table
from hts_battery.electrochemistry.carriers import carrier_charge
from hts_battery.errors import OrderingError
from hts_battery.schemas.charged_cells import ChargedFlag
from hts_battery.schemas.relaxed import RelaxationThresholds
from hts_battery.schemas.species_table import species_table
from hts_battery.structures.electrostatic import (
    RESOLUTION_EV,
    ChargeProblem,
    lowest_charge_orders,
    whole_energies,
)
from hts_battery.structures.ewald import pair_energies
from hts_battery.structures.neighbours import nearest_image, structure_pairs
from hts_battery.structures.relaxation.verdict import moment_bounds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    Ceilings = str | Mapping[str, int]

OXYGEN_MOMENT = 0.5
"""Above it, in Bohr magnetons, an oxygen has lost an electron."""
OXYGEN_CONTACT_ANGSTROM = 2.2
"""Two oxygens nearer than this have bonded."""
LEFT_SITE_ANGSTROM = 1.0
"""A carrier that moved farther against the framework left its site."""
VOLUME_JUMP = 0.03
"""Relative change of volume from one amount of carrier to the next that is told."""
_SAME_ENERGY_EV = 1e-4
_ANION = "O"


class Arrangement(NamedTuple):
    """Carriers that stay in a cell."""

    kept: tuple[int, ...]
    """Sites of the full cell on which they are."""
    energy: float
    """Ewald energy with the charges of the charged state, eV per cell."""
    exact: bool
    """Whether every arrangement was tried, so that none is lower."""


def metal_electrons(
    structure: Structure, carrier: str, ceilings: Ceilings = "reachable"
) -> int:
    """
    Carriers of a cell that can leave before oxygen is oxidised.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> cell = Structure(
    ...     Lattice.cubic(4.2),
    ...     ["Li", "Co", "Li", "Co", "O", "O", "O", "O"],
    ...     np.arange(24).reshape(8, 3) / 24,
    ... )
    >>> metal_electrons(cell, "Li")
    2
    """
    counted = capacity(cell_formula(structure), carrier, ceilings=ceilings)
    return floor(counted.metal_electrons / carrier_charge(carrier))


def cell_formula(structure: Structure) -> str:
    """Write the formula of a whole cell, not reduced."""
    counts = structure.composition.get_el_amt_dict()
    return "".join(f"{element}{round(n)}" for element, n in counts.items())


def carriers_left(
    structure: Structure,
    carrier: str,
    *,
    ceilings: Ceilings = "reachable",
    shares: Sequence[Fraction] = (),
) -> tuple[int, ...]:
    """
    Numbers of carriers to compute a cell with, falling, from all of them.

    Without ``shares`` of the carriers: where metals have reached their ceilings, and
    one beyond, with half of what is left then.

    Raises
    ------
    OrderingError
        If the cell holds no carrier.
    """
    full = sum(site.specie.symbol == carrier for site in structure)
    if not full:
        raise OrderingError(
            f"the cell holds no {carrier}: there is nothing to take out"
        )
    if shares:
        wanted = {round(share * full) for share in shares}
    else:
        charged = full - metal_electrons(structure, carrier, ceilings)
        wanted = {charged, charged // 2}
    return tuple(sorted(wanted | {full}, reverse=True))


def charged_charges(
    structure: Structure,
    carrier: str,
    removed: int,
    *,
    ceilings: Ceilings = "reachable",
) -> NDArray[np.float64]:
    """
    Mean charge of every site once carriers are gone; carriers keep theirs.

    Metals give electrons in proportion to what is left to their ceilings, and what they
    cannot give is taken from all oxygen, or other anions, alike.

    Raises
    ------
    OrderingError
        If a site has no oxidation state.
    """
    _, table = ceilings_table(ceilings)
    charges = np.array([_charge(site) for site in structure])
    symbols = [site.specie.symbol for site in structure]
    room = np.array(
        [
            max(0.0, table.get(symbol, charge) - charge)
            if charge > 0 and symbol != carrier
            else 0.0
            for symbol, charge in zip(symbols, charges.tolist(), strict=True)
        ]
    )
    electrons = float(removed * carrier_charge(carrier))
    from_metals = min(electrons, float(room.sum()))
    if from_metals > 0:
        charges += room * (from_metals / room.sum())
    anions = np.array([s == _ANION for s in symbols])
    if not anions.any():
        anions = charges < 0
    if electrons > from_metals:
        charges[anions] += (electrons - from_metals) / max(1, anions.sum())
    return charges


def _charge(site: object) -> float:
    state = getattr(getattr(site, "specie", None), "oxi_state", None)
    if state is None:
        raise OrderingError(
            "the cell names no oxidation states: carriers are taken out by them"
        )
    return float(state)


def charged_arrangements(  # noqa: PLR0913 - one argument an option of the recipe
    structure: Structure,
    carrier: str,
    left: int,
    *,
    ceilings: Ceilings = "reachable",
    number: int = 3,
    swaps: int = 20_000,
    seed: int = 0,
) -> tuple[Arrangement, ...]:
    """
    Choose which carriers stay: the arrangements of lowest electrostatic energy.

    Parameters
    ----------
    structure
        The full cell, with oxidation states.
    carrier, left
        Element that leaves, and how many of it stay.
    ceilings
        Table of the highest charges.
    number
        Arrangements of different energy that are returned at most.
    swaps, seed
        Swaps of the search, where there are more than 200,000 arrangements.

    Returns
    -------
    tuple of Arrangement
        Lowest first; arrangements that tie to 0.1 meV per cell are taken for one.

    Raises
    ------
    OrderingError
        If a site has no oxidation state, or not so many carriers are there.
    """
    sites = np.flatnonzero([site.specie.symbol == carrier for site in structure])
    if not 0 <= left <= len(sites):
        raise OrderingError(f"{left} {carrier} cannot stay: the cell has {len(sites)}")
    charges = charged_charges(structure, carrier, len(sites) - left, ceilings=ceilings)
    matrix = _pair_matrix(structure)
    background = charges.copy()
    background[sites] = 0.0
    charge = carrier_charge(carrier)
    if left in (0, len(sites)):
        background[sites] = charge if left else 0.0
        energy = float(background @ matrix @ background)
        return (Arrangement(tuple(sites[:left].tolist()), energy, exact=True),)
    groups = ((sites, ((0, len(sites) - left), (charge, left))),)
    problem = ChargeProblem(whole_energies(matrix), background, groups)
    found = lowest_charge_orders(problem, swaps=swaps, seed=seed)
    energies = np.asarray(found.energies) * RESOLUTION_EV
    chosen: list[Arrangement] = []
    for row, energy in zip(found.charges, energies.tolist(), strict=True):
        if chosen and energy - chosen[-1].energy < _SAME_ENERGY_EV:
            continue
        kept = tuple(int(site) for site in sites if row[site])
        chosen.append(Arrangement(kept, energy, found.exact))
        if len(chosen) == number:
            break
    return tuple(chosen)


def _pair_matrix(structure: Structure) -> NDArray[np.float64]:
    """Ewald energies of unit charges on every pair of sites, eV."""
    places = structure.frac_coords
    vectors = (places[:, None, :] - places[None, :, :]).reshape(-1, 3)
    energies = pair_energies(structure.lattice.matrix, vectors)
    return energies.reshape(len(places), len(places))


def charged_structure(
    structure: Structure, carrier: str, kept: Sequence[int]
) -> Structure:
    """Leave out of a cell the carriers that are not kept; the rest in its order."""
    gone = [
        number
        for number, site in enumerate(structure)
        if site.specie.symbol == carrier and number not in set(kept)
    ]
    charged = structure.copy()
    charged.remove_sites(gone)
    return charged


def cell_flags(
    start: Structure,
    relaxed: Structure,
    *,
    carrier: str,
    moments: Sequence[float] | None = None,
) -> tuple[ChargedFlag, ...]:
    """
    Say what a relaxed charged cell shows: of its moments, contacts and carriers.

    ``start``: the cell before, sites in the same order. ``moments``: final, of each
    site, in Bohr magnetons; without them nothing is said of them.
    """
    symbols = [site.specie.symbol for site in relaxed]
    checks = {
        ChargedFlag.OXYGEN_MOMENT: any(
            symbol == _ANION and abs(moment) > OXYGEN_MOMENT
            for symbol, moment in zip(symbols, moments or (), strict=False)
        ),
        ChargedFlag.METAL_MOMENT: any(
            not _explained(symbol, moment)
            for symbol, moment in zip(symbols, moments or (), strict=False)
        ),
        ChargedFlag.OXYGEN_CONTACT: shortest_oxygen_contact(relaxed)
        < OXYGEN_CONTACT_ANGSTROM,
        ChargedFlag.CARRIER_MOVED: _farthest_carrier(start, relaxed, carrier)
        > LEFT_SITE_ANGSTROM,
    }
    return tuple(flag for flag, true in checks.items() if true)


def shortest_oxygen_contact(structure: Structure) -> float:
    """Shortest distance between two oxygens within 3 angstrom; else infinity."""
    first, second, _, lengths = structure_pairs(structure, 3.0)
    oxygen = np.array([site.specie.symbol == _ANION for site in structure])
    both = lengths[oxygen[first] & oxygen[second]]
    return float(both.min()) if len(both) else float("inf")


def _explained(symbol: str, moment: float) -> bool:
    """Tell whether a species of an element has such a moment; others are not asked."""
    unpaired = [
        row.unpaired_electrons
        for name, row in species_table().items()
        if name.rstrip("+-0123456789") == symbol
    ]
    if symbol == _ANION or not any(unpaired):
        return True
    limits = RelaxationThresholds()
    ranges = [moment_bounds(float(count), limits) for count in unpaired]
    return any(least <= abs(moment) <= largest for least, largest in ranges)


def _farthest_carrier(start: Structure, relaxed: Structure, carrier: str) -> float:
    """How far a carrier moved against the mean of the framework, angstrom."""
    moved = nearest_image(relaxed.frac_coords - start.frac_coords)
    carriers = np.array([site.specie.symbol == carrier for site in start])
    if not carriers.any() or carriers.all():
        return 0.0
    moved -= moved[~carriers].mean(axis=0)
    mean = (start.lattice.matrix + relaxed.lattice.matrix) / 2
    return float(np.linalg.norm(moved[carriers] @ mean, axis=1).max())


def volume_jump(volumes: Sequence[float]) -> float:
    """Largest relative change of volume from one state to the next; 0 of one state."""
    found = np.asarray(volumes, dtype=float)
    return float(np.abs(np.diff(found) / found[:-1]).max(initial=0.0))
