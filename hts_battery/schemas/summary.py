"""Summaries: one flat document per candidate and campaign, for analysts."""

from __future__ import annotations

from pydantic import Field

from hts_battery.schemas.base import Document
from hts_battery.schemas.thermo import DecompositionPhase


def temperature_key(temperature: float) -> str:
    """
    Name a temperature in K as a field name, which may hold no dot.

    Examples
    --------
    >>> temperature_key(1473.0), temperature_key(1273.15)
    ('1473K', '1273_15K')
    """
    return f"{temperature:g}K".replace(".", "_")


class SummaryDoc(Document):
    """What an analyst asks first of a candidate."""

    campaign: str = Field(description="Name of the campaign.")
    candidate_id: str = Field(description="Key of the candidate.")
    formula: str = Field(description="Formula for people, per formula unit.")
    canonical_formula: str = Field(
        description="Symbols alphabetical, smallest integers, 1 written."
    )
    family: str = Field(description="Family whose sublattices it fills.")
    elements: tuple[str, ...] = Field(description="Symbols, alphabetical.")
    n_elements: int = Field(description="Number of elements.")
    engine: str = Field(description="Engine of every energy in this document.")
    calculator: str = Field(description="Calculator with versions.")
    energy_per_atom: float = Field(
        description="Energy of the lowest ordering with all adjustments, eV/atom."
    )
    energy_above_hull: float = Field(
        description="E_hull without entropy, eV/atom; signed."
    )
    energy_above_hull_at: dict[str, float] = Field(
        description="Temperature (like 1473K) → E_hull(T) = E_hull - T·S, eV/atom."
    )
    entropy: float = Field(description="Ideal mixing entropy, eV/K per atom.")
    entropy_by_sublattice: dict[str, float] = Field(
        description="Sublattice → counted ideal mixing entropy, eV/K per formula unit."
    )
    mixing_temperature: float | None = Field(
        description="T_mix = E_hull/S in K; null where S is 0 or E_hull is not "
        "positive."
    )
    decomposition: tuple[DecompositionPhase, ...] = Field(
        description="Competing phases by falling atomic fraction."
    )
    n_orderings: int = Field(description="Orderings whose energy was used.")
    n_references: int = Field(
        description="Competing phases inside the candidate's elements."
    )
    hull_version: str = Field(description="Digest of all references of the hull.")
    flags: tuple[str, ...] = Field((), description="Warnings, as words.")
    input_digest: str = Field(
        description="Digest of everything this document was made from."
    )
