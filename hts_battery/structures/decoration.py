"""From the species of every site to the structure that a calculation starts from."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Lattice, Species, Structure

from hts_battery.errors import OrderingError
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.species_table import species_properties, species_table
from hts_battery.schemas.structure import MagneticOrder
from hts_battery.structures.cells import site_permutations
from hts_battery.structures.neighbours import minimum_distance
from hts_battery.structures.prototypes import load_prototype
from hts_battery.structures.radii import lattice_scale

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hts_battery.schemas.species_table import SpinState
    from hts_battery.structures.cells import Cell
    from hts_battery.structures.nearest_counts import SiteCounts


def starting_moments(
    decoration: Sequence[str],
    *,
    order: MagneticOrder = MagneticOrder.FERROMAGNETIC,
    overrides: Mapping[str, int] | None = None,
) -> tuple[float, ...]:
    r"""
    Give every site the spin-only moment of its species, with the sign of its species.

    .. math:: \mu_i = s_{k(i)}\, n_{k(i)}

    with n unpaired electrons of species k on an octahedral site (species table:
    octahedral Co3+ and Ni3+ are not high spin) and s its sign. Ferromagnetic: every
    sign is plus. Ferrimagnetic: see :func:`species_signs`. Both depend on how many
    sites each species has and not on which, so every ordering of one composition
    starts in the same magnetic state. Overrides are species → unpaired electrons.

    Examples
    --------
    >>> starting_moments(["Li+", "Mn3+", "Co3+", "O2-"])
    (0.0, 4.0, 0.0, 0.0)
    >>> starting_moments(["Ni2+", "Mn4+", "Ni2+"], order=MagneticOrder.FERRIMAGNETIC)
    (-2.0, 3.0, -2.0)
    """
    counts = Counter(decoration)
    unpaired = unpaired_electrons(counts, overrides)
    signs = dict.fromkeys(counts, 1)
    if order is MagneticOrder.FERRIMAGNETIC:
        signs |= species_signs({k: n * unpaired[k] for k, n in counts.items()})
    return tuple(float(signs[k] * unpaired[k]) for k in decoration)


def unpaired_electrons(
    species: Iterable[str], overrides: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Look up the unpaired electrons of each species, or take them from overrides."""
    given = dict(overrides or {})
    negative = sorted(k for k, n in given.items() if n < 0)
    if negative:
        raise ValueError(
            f"unpaired electrons of {', '.join(negative)} must not be negative; the "
            f"magnetic order decides signs"
        )
    return {
        k: given[k] if k in given else species_properties(k).unpaired_electrons
        for k in species
    }


def species_signs(moments: Mapping[str, int]) -> dict[str, int]:
    r"""
    Choose the sign of each magnetic species so that the cell's moment is smallest.

    All ions of one species are parallel. Of all signs with plus for the first
    species, those with the smallest :math:`|\sum_k s_k m_k|`; of these the first in
    the order that turns the last species first. Species stand in the order of the
    species table, others behind them by name. With one magnetic species nothing can
    be reversed: the start is ferromagnetic.

    Examples
    --------
    >>> species_signs({"Mn2+": 10, "Fe3+": 5, "Cr3+": 6, "Li+": 0})
    {'Cr3+': 1, 'Mn2+': -1, 'Fe3+': 1}
    """
    rank = {text: i for i, text in enumerate(species_table())}
    magnetic = sorted(
        (k for k, total in moments.items() if total),
        key=lambda k: (rank.get(k, len(rank)), k),
    )
    if not magnetic:
        return {}
    choices = ((1, *rest) for rest in product((1, -1), repeat=len(magnetic) - 1))
    best = min(
        choices,
        key=lambda signs: abs(
            sum(s * moments[k] for s, k in zip(signs, magnetic, strict=True))
        ),
    )
    return dict(zip(magnetic, best, strict=True))


MINIMUM_DISTANCE = 1.2
"""Angstrom; no two atoms of a starting cell may be closer."""
# Coordinates and vectors are rounded so that two machines write the same text.
_DECIMALS = 10


def occupation_of(cell: Cell, decoration: Sequence[str]) -> SiteCounts:
    """Count the species of a decoration, sublattice by sublattice."""
    counts: SiteCounts = {}
    for name, species in zip(cell.sublattices, decoration, strict=True):
        here = counts.setdefault(name, {})
        here[species] = here.get(species, 0) + 1
    return counts


def canonical_decoration(cell: Cell, decoration: Sequence[str]) -> tuple[str, ...]:
    """Smallest of all decorations that the cell's symmetry makes the same structure."""
    names = sorted(set(decoration))
    codes = np.array([names.index(species) for species in decoration])
    images = codes[site_permutations(cell.prototype, cell.supercell)]
    # The permutations form a group, so reading through them gives the same set of
    # images as writing through them.
    smallest = images[np.lexsort(images.T[::-1])[0]]
    return tuple(names[code] for code in smallest)


def decorated_structure(
    cell: Cell,
    decoration: Sequence[str],
    *,
    magnetic_order: MagneticOrder = MagneticOrder.FERROMAGNETIC,
    spin_states: Mapping[str, SpinState] | None = None,
) -> Structure:
    """
    Build the structure of a decorated cell, sized by ionic radii.

    Vacancies become empty sites; spin states set moments, and radii with them.

    Returns
    -------
    Structure
        Species with oxidation states; site properties ``sublattice``,
        ``site_label``, ``magmom`` (Bohr magnetons) and ``parent_site`` (index of the
        site in the decoration); sites of one species together.

    Raises
    ------
    OrderingError
        If the cell is charged or two atoms are closer than
        :data:`MINIMUM_DISTANCE`.

    Examples
    --------
    >>> from hts_battery.structures.cells import build_cell
    >>> cell = build_cell("rocksalt", ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    >>> structure = decorated_structure(cell, ["Mg2+", "O2-"])
    >>> structure.composition.formula, round(structure.volume * 4, 2)
    ('Mg1 O1', 74.68)
    """
    prototype = load_prototype(cell.prototype)
    charge = sum(parse_species(species).charge for species in decoration)
    if charge:
        raise OrderingError(f"the cell has charge {charge:+d}, not zero")
    filled = [i for i, species in enumerate(decoration) if species != VACANCY]
    names = list(dict.fromkeys(cell.sublattices))
    # Sublattices in the prototype's order, species together, then the cell's order.
    filled.sort(key=lambda i: (names.index(cell.sublattices[i]), decoration[i], i))
    unpaired = {k: s.unpaired_electrons for k, s in (spin_states or {}).items()}
    moments = starting_moments(decoration, order=magnetic_order, overrides=unpaired)
    species = [_pymatgen_species(decoration[i]) for i in filled]
    scale = lattice_scale(prototype, occupation_of(cell, decoration), spin_states)
    structure = Structure(
        Lattice(np.round(cell.lattice * scale, _DECIMALS)),
        species,
        np.round(cell.coordinates[filled], _DECIMALS) % 1.0,
        site_properties={
            "sublattice": [cell.sublattices[i] for i in filled],
            "site_label": [cell.labels[i] for i in filled],
            "magmom": [moments[i] for i in filled],
            "parent_site": filled,
        },
    )
    closest = minimum_distance(structure)
    if closest < MINIMUM_DISTANCE:
        raise OrderingError(
            f"two atoms are {closest:.2f} angstrom apart on prototype {prototype.name}"
        )
    return structure


def _pymatgen_species(text: str) -> Species:
    parsed = parse_species(text)
    return Species(parsed.element, parsed.charge)
