"""Octahedral Shannon radii of species in their spin states, and how they differ."""

from __future__ import annotations

from functools import cache
from math import sqrt
from typing import TYPE_CHECKING

from hts_battery.schemas.species import parse_species
from hts_battery.schemas.species_table import species_properties

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def size_mismatch(amounts: Sequence[float], radii: Sequence[float]) -> float:
    """
    Root mean square deviation of radii from their mean, relative to the mean.

    Examples
    --------
    >>> size_mismatch([1, 1], [0.9, 1.1])  # doctest: +ELLIPSIS
    0.1...
    """
    total = sum(amounts)
    if not total:
        return 0.0
    mean = sum(n * r for n, r in zip(amounts, radii, strict=True)) / total
    return sqrt(
        sum(
            n / total * (1 - r / mean) ** 2 for n, r in zip(amounts, radii, strict=True)
        )
    )
