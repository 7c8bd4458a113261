"""What every reference phase must satisfy before anything is computed with it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.analysis.molecule_structure_comparator import CovalentRadius
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from hts_battery.schemas.formula import canonical_formula
from hts_battery.structures.neighbours import lattice_vectors
from hts_battery.structures.references.geometry import (
    SITE_OF_ATOM,
    mean_valence_radius,
    primitive_cell,
)
from hts_battery.structures.references.library import conventional_structure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymatgen.core import Structure

    from hts_battery.schemas.reference import ReferencePhase

SYMMETRY_TOLERANCE_ANGSTROM = 0.1
SHORTEST_BOND = 0.72
"""Shortest cation-anion distance over the sum of Shannon radii, at least."""
LONGEST_BOND = 1.35
"""Distance of a cation to its nearest anion over that sum, at most."""
SHORTEST_ANION_CONTACT_ANGSTROM = 1.9
SHORTEST_PEROXIDE_CONTACT_ANGSTROM = 1.3
SHORTEST_SUPEROXIDE_CONTACT_ANGSTROM = 1.2
SHORTEST_CATION_CONTACT_ANGSTROM = 2.0
ELEMENT_BOND = (0.7, 1.6)
"""Nearest distance in an element over twice its covalent radius, from and to."""
_COORDINATION = 6  # radii of the bounds; the bounds leave room for other numbers
_SHORT_OXYGEN = {
    Fraction(-1): SHORTEST_PEROXIDE_CONTACT_ANGSTROM,
    Fraction(-1, 2): SHORTEST_SUPEROXIDE_CONTACT_ANGSTROM,
}


def phase_problems(phase: ReferencePhase) -> tuple[str, ...]:
    """
    Say everything that is wrong with a phase; nothing if it may be used.

    Parameters
    ----------
    phase
        A phase of the library, or one of the same form.

    Returns
    -------
    tuple[str, ...]
        One sentence a problem: composition, charge, distances, symmetry.

    Examples
    --------
    >>> from hts_battery.structures.references.library import reference_phase
    >>> phase_problems(reference_phase("TiO2-rutile"))
    ()
    """
    return tuple(_problems(phase))


def _problems(phase: ReferencePhase) -> Iterator[str]:
    conventional = conventional_structure(phase)
    primitive = primitive_cell(conventional, phase.space_group_symbol)
    yield from composition_problems(phase, primitive)
    yield from charge_problems(phase, conventional)
    yield from distance_problems(phase, primitive)
    yield from symmetry_problems(phase, primitive)


def composition_problems(phase: ReferencePhase, structure: Structure) -> Iterator[str]:
    """Compare the atoms of the cell with the formula."""
    amounts = {
        element: Fraction(round(amount))
        for element, amount in structure.composition.get_el_amt_dict().items()
    }
    found, stated = canonical_formula(amounts), canonical_formula(phase.amounts)
    if found != stated:
        yield f"the cell holds {found}, the formula says {stated}"


def charge_problems(phase: ReferencePhase, structure: Structure) -> Iterator[str]:
    """Add up oxidation states over the conventional cell."""
    charge = sum(
        (
            phase.sites[index].oxidation_state
            for index in structure.site_properties[SITE_OF_ATOM]
        ),
        Fraction(0),
    )
    if charge:
        yield f"oxidation states add up to {charge} in the conventional cell"


def symmetry_problems(phase: ReferencePhase, structure: Structure) -> Iterator[str]:
    """Compare the space group found with the one stated."""
    expected = phase.supergroup or phase.space_group_number
    found = SpacegroupAnalyzer(
        structure, symprec=SYMMETRY_TOLERANCE_ANGSTROM
    ).get_space_group_number()
    if found != expected:
        yield f"space group {found} is found, {expected} is stated"


def distance_problems(phase: ReferencePhase, structure: Structure) -> Iterator[str]:
    """
    Compare shortest distances with radii.

    Cation to anion within ``SHORTEST_BOND`` and ``LONGEST_BOND`` of the sum of
    Shannon radii; like ions apart; elements near twice the covalent radius.
    """
    charges = charge_of_element(phase)
    distances = _distances(structure)
    symbols = np.array([site.specie.symbol for site in structure])
    if len(phase.elements) == 1:
        yield from _element_distances(symbols[0], float(distances.min()))
        return
    yield from _lonely_cations(charges, symbols, distances)
    kinds = sorted(phase.elements)
    for index, first in enumerate(kinds):
        for second in kinds[index:]:
            block = distances[np.ix_(symbols == first, symbols == second)]
            pair = ((first, charges[first]), (second, charges[second]))
            yield from _pair_distances(pair, block)


def _distances(structure: Structure) -> np.ndarray:
    """Distances between sites; of a site to its own images on the diagonal."""
    matrix = np.array(structure.distance_matrix)
    lattice = structure.lattice
    images = np.linalg.norm(
        lattice_vectors(lattice.matrix, min(lattice.abc) + 0.1), axis=1
    )
    np.fill_diagonal(matrix, images[images > SHORTEST_BOND].min())
    return matrix


def charge_of_element(phase: ReferencePhase) -> dict[str, Fraction]:
    """Mean oxidation state of each element of a phase."""
    charges: dict[str, list[Fraction]] = {}
    for site in phase.sites:
        charges.setdefault(site.element, []).append(site.oxidation_state)
    return {
        element: sum(values, Fraction(0)) / len(values)
        for element, values in charges.items()
    }


def _element_distances(symbol: str, nearest: float) -> Iterator[str]:
    bond = 2 * float(CovalentRadius.radius[symbol])
    low, high = (factor * bond for factor in ELEMENT_BOND)
    if not low <= nearest <= high:
        yield (
            f"{symbol}-{symbol} is {nearest:.2f} angstrom, outside "
            f"{low:.2f} to {high:.2f}"
        )


def _lonely_cations(
    charges: dict[str, Fraction], symbols: np.ndarray, distances: np.ndarray
) -> Iterator[str]:
    """Find cations whose nearest anion is farther than any bond of theirs."""
    anions = [element for element in charges if charges[element] < 0]
    for cation in (element for element in charges if charges[element] > 0):
        nearest = {
            anion: float(distances[np.ix_(symbols == cation, symbols == anion)].min())
            / radii_sum((cation, charges[cation]), (anion, charges[anion]))
            for anion in anions
        }
        anion = min(nearest, key=lambda element: nearest[element])
        if nearest[anion] > LONGEST_BOND:
            yield (
                f"{cation} is {nearest[anion]:.2f} times the sum of radii away from "
                f"the nearest {anion}, too far"
            )


def radii_sum(first: tuple[str, Fraction], second: tuple[str, Fraction]) -> float:
    """Sum of two Shannon radii in angstrom."""
    return mean_valence_radius(*first, _COORDINATION) + mean_valence_radius(
        *second, _COORDINATION
    )


def _pair_distances(
    pair: tuple[tuple[str, Fraction], tuple[str, Fraction]], block: np.ndarray
) -> Iterator[str]:
    (first, charge), (second, other) = pair
    nearest = float(block.min())
    names = f"{first}-{second}"
    if charge * other < 0:
        total = radii_sum(*pair)
        if nearest < SHORTEST_BOND * total:
            yield f"{names} is {nearest:.2f} angstrom, the radii say {total:.2f}"
        return
    if charge > 0:
        bound = SHORTEST_CATION_CONTACT_ANGSTROM
    elif first == second == "O" and charge in _SHORT_OXYGEN:
        bound = _SHORT_OXYGEN[charge]
    else:
        bound = SHORTEST_ANION_CONTACT_ANGSTROM
    if nearest < bound:
        yield f"{names} is {nearest:.2f} angstrom, less than {bound:.2f}"
