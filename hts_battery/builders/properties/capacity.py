"""Capacity of candidates from their composition, as properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.builders.property_builder import (
    CandidateInputs,
    PropertyBuilder,
    Value,
)
from hts_battery.electrochemistry import capacity
from hts_battery.electrochemistry.carriers import alkali_carrier, other_alkali
from hts_battery.schemas.species import VACANCY
from hts_battery.schemas.species_table import species_properties

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc

_CARRIER_OF_FAMILY = {"nasicon": "Na"}
_CATHODE_FAMILIES = frozenset({"hedrx", "layered"})
_REDOX_CENTRE = "redox centre"


def carrier_of(candidate: CandidateDoc, campaign: CampaignSpec) -> str:
    """Name the element that is open: as the campaign says, or the usual one."""
    usual = _CARRIER_OF_FAMILY.get(candidate.family, "Li")
    asked = campaign.electrochemistry.carrier
    return asked or alkali_carrier(candidate.amounts, default=usual)


def _is_cathode(candidate: CandidateDoc) -> bool:
    """Tell whether its family is one of cathodes, or a metal of it changes charge."""
    species = {s for here in candidate.assignments[0].values() for s in here}
    roles = {species_properties(name).role for name in species - {VACANCY}}
    return candidate.family in _CATHODE_FAMILIES or _REDOX_CENTRE in roles


class CapacityBuilder(PropertyBuilder):
    """Count electrons and carriers of each cathode: no energy takes part."""

    name = "capacity"
    names = ("capacity_carrier", "capacity_metal_redox", "capacity_oxygen_redox")
    code_version = "1"

    def common(self) -> tuple[object, object]:
        """Read nothing; the campaign's options decide."""
        options = self.campaign.electrochemistry
        return None, [options.carrier, options.ceilings]

    def values(self, found: CandidateInputs) -> Iterator[Value]:
        """Yield the capacity and its two parts, null for an electrolyte."""
        candidate = found.candidate
        if not _is_cathode(candidate):
            why = f"{candidate.family} without a metal that changes charge: no cathode"
            yield from (Value(name, reason=why) for name in self.names)
            return
        carrier = carrier_of(candidate, self.campaign)
        counted = capacity(
            candidate.formula,
            carrier,
            ceilings=self.campaign.electrochemistry.ceilings,
        )
        notes = (
            f"if every {carrier} leaves; {still_inside(candidate.formula, carrier)}",
            f"ceilings: {counted.ceilings}",
            *counted.flags,
        )
        numbers = (counted.carrier, counted.metal_redox, counted.oxygen_redox)
        for name, value in zip(self.names, numbers, strict=True):
            yield Value(name, value, notes=notes)


def still_inside(formula: str, carrier: str) -> str:
    """Name other alkali metals, which are not open."""
    others = other_alkali(formula, carrier)
    return f"{', '.join(others)} stays inside" if others else "no other alkali metal"
