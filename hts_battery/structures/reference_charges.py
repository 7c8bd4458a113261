"""Formal charges of the atoms of competing phases, for engines that take charges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.structures.reference_library import (
    conventional_structure,
    reference_structure,
)
from hts_battery.structures.reference_moments import sites_of_atoms

if TYPE_CHECKING:
    from hts_battery.schemas.reference import ReferencePhase


def reference_charges(phase: ReferencePhase) -> tuple[float, ...]:
    """
    Give every atom of a phase the formal charge of its site.

    Parameters
    ----------
    phase
        A phase of the library.

    Returns
    -------
    tuple[float, ...]
        Elementary charges, in the order of
        :func:`~hts_battery.structures.reference_library.reference_structure`; a
        fraction where valences share a site.

    Examples
    --------
    >>> from hts_battery.structures.reference_library import reference_phase
    >>> reference_charges(reference_phase("TiO2-rutile"))
    (4.0, 4.0, -2.0, -2.0, -2.0, -2.0)
    """
    states = [float(site.oxidation_state) for site in phase.sites]
    sites = sites_of_atoms(reference_structure(phase), conventional_structure(phase))
    return tuple(states[site] for site in sites)
