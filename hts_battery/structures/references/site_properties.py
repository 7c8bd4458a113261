"""Magnetic moments that competing phases start from, by the species on their sites."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from hts_battery.schemas.species import Species
from hts_battery.schemas.species_table import species_table
from hts_battery.structures.neighbours import nearest_image
from hts_battery.structures.radii import between_charges
from hts_battery.structures.references.geometry import SITE_OF_ATOM
from hts_battery.structures.references.library import (
    conventional_structure,
    reference_structure,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

    from hts_battery.schemas.reference import ReferencePhase


def reference_charges(phase: ReferencePhase) -> tuple[float, ...]:
    """
    Give every atom of a phase the formal charge of its site.

    Examples
    --------
    >>> from hts_battery.structures.references.library import reference_phase
    >>> reference_charges(reference_phase("TiO2-rutile"))
    (4.0, 4.0, -2.0, -2.0, -2.0, -2.0)
    """
    states = [float(site.oxidation_state) for site in phase.sites]
    sites = sites_of_atoms(reference_structure(phase), conventional_structure(phase))
    return tuple(states[site] for site in sites)


_FIRST_D_GROUP, _LAST_D_GROUP, _D_STATES = 3, 12, 10
# Unpaired electrons per atom of the oxygen molecule (two) and of superoxide (one on
# two atoms); ions have closed shells.
_OXYGEN = {Fraction(0): 1.0, Fraction(-1, 2): 0.5}


def reference_moments(phase: ReferencePhase) -> tuple[float, ...] | None:
    """
    Give every atom of a phase the spin-only moment of its species, all parallel.

    The same rule as for candidates, so that a phase and a candidate that hold the same
    species start in the same state. Where a site has a fraction of a charge, the moment
    lies between those of the two charges beside it.

    Returns
    -------
    tuple[float, ...] or None
        Bohr magnetons, in the order of
        :func:`~hts_battery.structures.references.library.reference_structure`; None for
        a metal, whose moment no charge decides.

    Examples
    --------
    >>> from hts_battery.structures.references.library import reference_phase
    >>> reference_moments(reference_phase("MnO-rocksalt"))
    (5.0, 0.0)
    >>> reference_moments(reference_phase("LiMn2O4-spinel"))[:6]
    (3.5, 3.5, 3.5, 3.5, 0.0, 0.0)
    >>> reference_moments(reference_phase("Mn-alpha")) is None
    True
    """
    states = [(site.element, site.oxidation_state) for site in phase.sites]
    if all(state == 0 and element != "O" for element, state in states):
        return None
    moments = [_moment(element, state) for element, state in states]
    atoms = reference_structure(phase)
    return tuple(
        moments[site] for site in sites_of_atoms(atoms, conventional_structure(phase))
    )


def sites_of_atoms(atoms: Structure, conventional: Structure) -> Sequence[int]:
    """Find the asymmetric site of each atom of the primitive cell."""
    positions = atoms.lattice.get_fractional_coords(conventional.cart_coords)
    numbers = np.array([site.specie.Z for site in conventional])
    found = []
    for atom in atoms:
        distance = np.abs(nearest_image(positions - atom.frac_coords)).max(axis=1)
        # Another element is never nearer than one cell.
        nearest = int(np.argmin(distance + (numbers != atom.specie.Z)))
        found.append(conventional.site_properties[SITE_OF_ATOM][nearest])
    return found


def _moment(element: str, state: Fraction) -> float:
    """Moment of a species, linear between integer charges."""
    if element == "O":
        return _OXYGEN.get(state, 0.0)
    return float(between_charges(state, lambda charge: _unpaired(element, charge)))


def _unpaired(element: str, charge: int) -> int:
    """Unpaired electrons of an ion: the species table's, else Hund's rule."""
    species = str(Species(element, charge))
    if species in species_table():
        return species_table()[species].unpaired_electrons
    # The table holds what candidates are made of; phases know lower valences, such as
    # Ti2+, and none of those has a choice of spin that the rule would miss.
    group = Element(element).group
    if not _FIRST_D_GROUP <= group <= _LAST_D_GROUP:
        return 0
    electrons = max(0, group - charge)
    return min(electrons, _D_STATES - electrons) if electrons <= _D_STATES else 0
