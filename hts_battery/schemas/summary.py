"""Summaries: one flat document per candidate and campaign, for analysts."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from pydantic import Field

from hts_battery.schemas.base import Document, Rational
from hts_battery.schemas.build import PreviousStability
from hts_battery.schemas.thermo import DecompositionPhase, OrderingKind, StabilityLabel

if TYPE_CHECKING:
    from collections.abc import Iterable

UNPAIRED_ELEMENTS = frozenset({"Li", "Na", "K", "O", "F"})
"""Charge carriers and anions: in nearly every candidate, so a pair tells nothing."""


def element_pairs(elements: Iterable[str]) -> tuple[str, ...]:
    """
    Name the pairs of elements by which candidates can be looked up.

    Carriers and anions (:data:`UNPAIRED_ELEMENTS`) form no pairs.

    Examples
    --------
    >>> element_pairs(["O", "Ti", "Mn", "Li"])
    ('Mn-Ti',)
    """
    paired = sorted(set(elements) - UNPAIRED_ELEMENTS)
    return tuple("-".join(pair) for pair in combinations(paired, 2))


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
    chemical_system: str = Field(
        description="Symbols, alphabetical, joined by hyphens."
    )
    element_keys: tuple[str, ...] = Field(
        description="What a set of elements is looked up by: every symbol, and every "
        "pair (like Mn-Ti) without Li, Na, K, O and F."
    )
    n_metals: int = Field(
        description="Number of different metals: elements of redox centres and charge "
        "compensators."
    )
    species: tuple[str, ...] = Field(
        description="Species of the chosen assignment, alphabetical; no vacancies."
    )
    roles: dict[str, tuple[str, ...]] = Field(
        description="Role (charge_carrier, redox_centre, charge_compensator, "
        "polyanion_centre, anion) → symbols of the chosen assignment."
    )
    engine: str = Field(description="Engine of every energy in this document.")
    calculator: str = Field(description="Calculator with versions.")
    energy_per_atom: float = Field(
        description="Energy of the lowest ordering with all adjustments, eV/atom."
    )
    energy_above_hull: float = Field(
        description="E_hull without entropy, eV/atom; signed."
    )
    energy_above_hull_at: dict[str, float] = Field(
        description="Temperature (like 1473K) → E_hull(T) = E_hull - T·S, eV/atom, of "
        "the lowest ordering: the lower bound."
    )
    energy_above_hull_upper_at: dict[str, float] = Field(
        description="Temperature → the same with the mean energy of the random "
        "orderings, eV/atom: the upper bound; empty where none is random."
    )
    label_at: dict[str, StabilityLabel] = Field(
        description="Temperature → GS, LS or US of the lowest ordering."
    )
    open_at: dict[str, bool] = Field(
        description="Temperature → whether the label may turn: the two bounds have "
        "different signs, or abs(E_hull(T)) is below one uncertainty."
    )
    probability_stable_at: dict[str, float] = Field(
        description="Temperature → probability that E_hull(T) is not above 0, under a "
        "normal error of standard deviation uncertainty; empty where that is not known."
    )
    uncertainty: float | None = Field(
        description="Standard uncertainty of E_hull, eV/atom: the error of the "
        "calculator; null where that is not known."
    )
    uncertainty_source: str = Field(
        description="Where the uncertainty comes from, or why none is known."
    )
    mixing: str = Field(description="Which mixing the entropy counts, in words.")
    other_mixing: str = Field(
        description="The other convention, in words; empty where there is none."
    )
    energy_above_hull_other_at: dict[str, float] = Field(
        description="Temperature → E_hull(T) with the entropy of the other convention, "
        "eV/atom; signed."
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
    n_random_orderings: int = Field(
        description="Those of them that resemble a random solution (sqs, random)."
    )
    orderings_by_campaign: dict[str, int] = Field(
        default_factory=dict,
        description="Campaign → number of its orderings among them: this campaign "
        "alone, unless its options pool.",
    )
    lowest_ordering_kind: OrderingKind | None = Field(
        description="How the lowest ordering was chosen; null where unknown."
    )
    ordering_spread: float | None = Field(
        description="Standard deviation over the candidate's own random orderings in "
        "eV/atom; null below two. No uncertainty of E_hull."
    )
    entry_id: str = Field(description="Entry of the lowest ordering.")
    calculated_formula: str = Field(
        description="What the calculated cell holds, per formula unit of the "
        "candidate: energy, entropy and labels are the cell's."
    )
    deviation: float = Field(
        ge=0,
        description="Largest difference of any element between calculated cell and "
        "candidate, atoms per formula unit; 0 where the cell holds the candidate.",
    )
    deviation_by_element: dict[str, Rational] = Field(
        description="Calculated cell minus candidate, elements per formula unit, "
        "where not zero."
    )
    same_cell_as: str | None = Field(
        description="Key of the candidate, nearer to the composition of the calculated "
        "cell, under which that cell is ranked and counted; null where it is this one."
    )
    hull_depth_risk: float | None = Field(
        None,
        description="How much E_hull may fall by known compositions that the competing "
        "phases lack, eV/atom, with machine-learned formation energies; null where "
        "hull_depth_reason says why.",
    )
    hull_depth_risk_reported: float | None = Field(
        None, description="The same by those that are reported as compounds, eV/atom."
    )
    hull_depth_reason: str | None = Field(
        None, description="Why hull_depth_risk is not known; null where it is."
    )
    n_references: int = Field(
        description="Competing phases inside the candidate's elements."
    )
    excluded_references: tuple[str, ...] = Field(
        description="References inside the candidate's elements that it is not "
        "compared with: by default those of exactly its composition."
    )
    hull_version: str = Field(
        description="Digest of the references on which E_hull was assessed."
    )
    previous_at: dict[str, PreviousStability] = Field(
        default_factory=dict,
        description="Temperature → what stood here before and why it changed; empty "
        "at first.",
    )
    flags: tuple[str, ...] = Field((), description="Warnings, as words.")
    input_digest: str = Field(
        description="Digest of everything this document was made from."
    )
