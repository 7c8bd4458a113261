"""Magnetic moments that a calculation starts from, decided by the species alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.schemas.species_table import species_properties

if TYPE_CHECKING:
    from collections.abc import Sequence


def ferromagnetic_moments(decoration: Sequence[str]) -> tuple[float, ...]:
    """
    Give every site the spin-only moment of its species, all parallel.

    The moment depends on the species and on nothing else, so every ordering of one
    composition starts in the same magnetic state. Spin states stand in the species
    table: octahedral Co3+ and Ni3+ are not high spin.

    Parameters
    ----------
    decoration
        Species of each site; vacancies allowed.

    Returns
    -------
    tuple[float, ...]
        Moments in Bohr magnetons, one a site.

    Examples
    --------
    >>> ferromagnetic_moments(["Li+", "Mn3+", "Co3+", "O2-"])
    (0.0, 4.0, 0.0, 0.0)
    """
    return tuple(
        float(species_properties(species).unpaired_electrons) for species in decoration
    )
