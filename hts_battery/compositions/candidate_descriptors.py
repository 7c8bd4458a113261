"""All descriptors of a composition that are kept as properties of a candidate."""

from __future__ import annotations

from math import isnan, log
from typing import TYPE_CHECKING, get_args

from hts_battery.compositions.descriptors import (
    DescriptorName,
    composition_descriptors,
    is_metal,
    metal_ranges,
    species_without_radius,
)
from hts_battery.compositions.reported import (
    distance_to_reported,
    reported_species,
)
from hts_battery.schemas.species_table import species_properties

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from fractions import Fraction

    from hts_battery.schemas.species_table import Role

_REDOX: Role = "redox centre"
_COMPENSATOR: Role = "charge compensator"
FURTHER = (
    *("metal_electronegativity_range", "metal_charge_mean", "metal_charge_range"),
    *("metal_mixing", "polyanion_mixing"),
    *("redox_centre_distance", "charge_compensator_distance"),
)
"""Descriptors beside those that rules are mined of."""
DESCRIPTORS: tuple[str, ...] = (*get_args(DescriptorName), *FURTHER)


def candidate_descriptors(species: Mapping[str, Fraction]) -> dict[str, float | str]:
    """
    Describe a composition by its species; what is not known says why.

    Parameters
    ----------
    species
        Species → amount, exact, in any unit.

    Returns
    -------
    dict
        Name → number, or the reason why there is none: those of
        :func:`composition_descriptors`; range of electronegativity and charge and mean
        charge of the metals; mixing of metals and of polyanion centres, -Σ x ln x per
        site; how far, in angstrom, the least usual redox centre and charge compensator
        are from the nearest radius that occurs in a reported compound.

    Examples
    --------
    >>> from fractions import Fraction
    >>> amounts = {"Na+": 3, "Zr4+": 2, "Si4+": 2, "P5+": 1, "O2-": 12}
    >>> found = candidate_descriptors({s: Fraction(n) for s, n in amounts.items()})
    >>> found["metal_mixing"], round(found["polyanion_mixing"], 4)
    (0.0, 0.6365)
    """
    numbers: dict[str, float | None] = {**composition_descriptors(species)}
    metals = {name: amount for name, amount in species.items() if is_metal(name)}
    ranges = metal_ranges(metals)
    centres = [n for s, n in species.items() if _role(s) == "polyanion centre"]
    numbers |= {
        "metal_electronegativity_range": ranges.electronegativity,
        "metal_charge_mean": ranges.charge_mean,
        "metal_charge_range": ranges.charge,
        "metal_mixing": _mixing(metals.values()),
        "polyanion_mixing": _mixing(centres),
        "redox_centre_distance": distance_to_reported(
            metals, _REDOX, reported_species(_REDOX)
        ),
        "charge_compensator_distance": distance_to_reported(
            metals, _COMPENSATOR, reported_species(_COMPENSATOR)
        ),
    }
    why = _reason(species, metals)
    return {
        name: why if value is None or isnan(value) else value
        for name, value in numbers.items()
    }


def _role(species: str) -> str | None:
    return species_properties(species).role


def _mixing(amounts: Iterable[Fraction]) -> float:
    """Ideal mixing of one kind of site, in units of kB per site."""
    known = [n for n in amounts if n]
    total = sum(known)
    return -sum(float(n / total) * log(n / total) for n in known) + 0.0


def _reason(species: Mapping[str, Fraction], metals: Mapping[str, Fraction]) -> str:
    if not metals:
        return "there are no metals in it"
    without = species_without_radius(species)
    if without:
        return f"no octahedral Shannon radius of {', '.join(without)}"
    return "an electronegativity of one of its metals is not known"
