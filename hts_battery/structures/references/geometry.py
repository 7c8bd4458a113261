"""From an asymmetric unit to atoms: conventional cell, primitive cell, radii."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.groups import SpaceGroup

from hts_battery.schemas.species import Species
from hts_battery.structures.neighbours import nearest_image
from hts_battery.structures.radii import between_charges, ionic_radius

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

SITE_OF_ATOM = "asymmetric_site"
"""Property of an atom of a conventional cell: its place in the asymmetric unit."""
_SAME_SITE = 1e-3  # fractional; coordinates are stored to four decimals
# Rows are primitive vectors in units of the conventional ones, by the centring
# letter of the international symbol (rhombohedral: obverse hexagonal axes).
_PRIMITIVE = {
    "P": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "I": ((-1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (1 / 2, 1 / 2, -1 / 2)),
    "F": ((0, 1 / 2, 1 / 2), (1 / 2, 0, 1 / 2), (1 / 2, 1 / 2, 0)),
    "C": ((1 / 2, 1 / 2, 0), (-1 / 2, 1 / 2, 0), (0, 0, 1)),
    "A": ((1, 0, 0), (0, 1 / 2, -1 / 2), (0, 1 / 2, 1 / 2)),
    "R": ((2 / 3, 1 / 3, 1 / 3), (-1 / 3, 1 / 3, 1 / 3), (-1 / 3, -2 / 3, 1 / 3)),
}


def conventional_cell(
    symbol: str,
    cell: Sequence[float],
    elements: Sequence[str],
    positions: Sequence[Sequence[float]],
) -> Structure:
    """
    Multiply an asymmetric unit by its space group.

    Hexagonal axes where rhombohedral, origin choice 1 where there are two; lengths in
    angstrom, angles in degree, positions fractional.

    Examples
    --------
    >>> salt = conventional_cell(
    ...     "Fm-3m", (4.03, 4.03, 4.03, 90, 90, 90), ["Li", "F"],
    ...     [(0, 0, 0), (0.5, 0.5, 0.5)],
    ... )
    >>> len(salt), salt.composition.reduced_formula
    (8, 'LiF')
    """
    a, b, c, alpha, beta, gamma = cell
    _kept_group(symbol)
    return Structure.from_spacegroup(
        symbol,
        Lattice.from_parameters(a, b, c, alpha, beta, gamma),
        list(elements),
        [list(position) for position in positions],
        site_properties={SITE_OF_ATOM: list(range(len(positions)))},
        tol=_SAME_SITE,
    )


@lru_cache(maxsize=256)
def _kept_group(symbol: str) -> SpaceGroup:
    """Keep a space group alive: pymatgen takes a quarter of a second to expand one."""
    return SpaceGroup(symbol)


def primitive_cell(structure: Structure, symbol: str) -> Structure:
    """
    Reduce a conventional cell by the centring that its symbol names.

    A fixed transformation and not a search, so that the same library gives the
    same cell, in the same order of sites, on every machine.
    """
    matrix = np.array(_PRIMITIVE[symbol[0]])
    lattice = Lattice(matrix @ structure.lattice.matrix)
    inverse = np.linalg.inv(matrix)
    places = np.mod(structure.frac_coords @ inverse, 1.0)
    numbers = np.array([site.specie.Z for site in structure])
    kept: list[int] = []
    for index, place in enumerate(places):
        apart = np.abs(nearest_image(places[kept] - place))
        same = apart.max(axis=1, initial=0.0) < _SAME_SITE
        if not np.any(same & (numbers[kept] == numbers[index])):
            kept.append(index)
    return Structure(
        lattice, [structure[index].specie.symbol for index in kept], places[kept]
    )


def mean_valence_radius(
    element: str, oxidation_state: Fraction, coordination: int
) -> float:
    """Shannon's ionic radius in angstrom, linear between integer charges."""
    return between_charges(
        oxidation_state,
        lambda charge: ionic_radius(str(Species(element, charge)), coordination),
    )
