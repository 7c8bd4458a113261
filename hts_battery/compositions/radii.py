"""Octahedral Shannon radii of species in their spin states."""

from __future__ import annotations

from functools import cache

from hts_battery.schemas.species import parse_species
from hts_battery.schemas.species_table import species_properties

_OCTAHEDRAL = "VI"
_SPIN_NAMES = {"high": "High Spin", "low": "Low Spin"}


@cache
def octahedral_radius(species: str) -> float | None:
    """
    Octahedral Shannon radius of a species in its spin state, in angstrom, if tabulated.

    Examples
    --------
    >>> octahedral_radius("Mn3+"), octahedral_radius("Co3+")
    (0.645, 0.545)
    """
    from pymatgen.core import Element  # noqa: PLC0415 - a second to import

    parsed = parse_species(species)
    radii = Element(parsed.element).data.get("Shannon radii", {})
    entries = radii.get(str(parsed.charge), {}).get(_OCTAHEDRAL, {})
    spin = species_properties(species).spin
    for name in (_SPIN_NAMES.get(spin or ""), "", "High Spin"):
        if name in entries:
            return float(entries[name]["ionic_radius"])
    return None
