"""Documents of thermodynamics: what competes, stability, Gibbs energies."""

from __future__ import annotations

from enum import StrEnum
from math import isfinite

from pydantic import Field, field_validator

from hts_battery.schemas.base import Document
from hts_battery.schemas.entropy import EntropyOptions, EntropyResult
from hts_battery.schemas.uncertainty import UncertaintyTerms


class StabilityLabel(StrEnum):
    """Labels of 10.1038/s41467-021-26006-3 at one temperature."""

    GROUND_STATE = "GS"
    """On or below the hull without entropy."""
    LIKELY_SYNTHESIZABLE = "LS"
    """On or below the hull once entropy is counted."""
    UNSTABLE = "US"
    """Above the hull even with entropy."""


class OrderingKind(StrEnum):
    """How the ordering of a computed cell was chosen."""

    LOW_ENERGY = "low_energy"
    """By low energy, for example of its electrostatics: optimistic."""
    RANDOM = "random"
    """To resemble a random solution (SQS): conservative with ideal entropy."""
    SMALL_CELL = "small_cell"
    """In a cell too small for a random solution: a compound, no bound from above."""


class ReferencesAtTemperature(StrEnum):
    """What is said about the competing phases at temperature."""

    NONE = "none"
    """Nothing: they keep their energies of 0 K."""
    GIBBS = "gibbs"
    """Gibbs energies of solids and of O2 and F2 beside the default, never in it."""


class LeftOutReferences(StrEnum):
    """References that a candidate is not compared with."""

    OWN_COMPOSITION = "own_composition"
    """Those of exactly its composition, whatever their structure; nothing else."""
    OWN_PHASE = "own_phase"
    """Members of its family of exactly its composition: its polymorphs compete."""
    OWN_FAMILY = "own_family"
    """All members of its family besides: what is left are other structures."""


class OrderingScope(StrEnum):
    """Whose orderings of a candidate its numbers are made from."""

    CAMPAIGN = "campaign"
    """Those that the campaign's file asks for, made with its settings."""
    POOLED = "pooled"
    """Besides them whatever was made of the candidate with the same engine,
    relaxation and pre-relaxation, by any campaign; counted by campaign."""


class StabilityOptions(Document):
    """Which phases a candidate is compared with, and what is known at temperature."""

    left_out_references: LeftOutReferences = Field(
        default=LeftOutReferences.OWN_COMPOSITION,
        description="References that it is not compared with: those of its own "
        "composition, only those that are its own phase, or its whole family; no "
        "unit.",
    )
    orderings: OrderingScope = Field(
        default=OrderingScope.CAMPAIGN,
        description="Whose orderings of a candidate count: campaign, its own, or "
        "pooled, those of all campaigns; no unit.",
    )

    own_orderings: bool = Field(
        default=False,
        description="Whether a candidate's other orderings take part as ordered "
        "phases of their own, without entropy; no unit.",
    )
    other_candidates: bool = Field(
        default=False,
        description="Whether other candidates take part, each with its own -T·S; no "
        "unit.",
    )
    references_at_temperature: ReferencesAtTemperature = Field(
        default=ReferencesAtTemperature.NONE,
        description="Whether Gibbs energies are computed beside the default; no unit.",
    )
    gas_pressures: dict[str, float] = Field(
        default_factory=lambda: {"O2": 1.0, "F2": 1.0},
        examples=[{"O2": 0.21}],
        description="Gas (O2, F2) → partial pressure in bar; used by the Gibbs "
        "energies only.",
    )
    calculator_error: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        json_schema_extra={"unit": "eV/atom"},
        description="Standard deviation of the calculator's E_hull in eV/atom, instead "
        "of the engine's own; null takes that of the engine, where it has one.",
    )
    largest_system: int = Field(
        default=2,
        ge=1,
        description="Largest number of elements of the chemical systems that are "
        "listed where they hold no reference.",
    )

    @field_validator("gas_pressures")
    @classmethod
    def _pressures_of_known_gases(cls, value: dict[str, float]) -> dict[str, float]:
        for gas, pressure in value.items():
            if gas not in ("O2", "F2"):
                raise ValueError(f"gas {gas!r}: pressures are given for O2 and F2")
            if not (isfinite(pressure) and pressure > 0):
                raise ValueError(f"pressure of {gas}: {pressure} bar is not above zero")
        return {"O2": 1.0, "F2": 1.0} | value


class OtherMixing(Document):
    """The same energies, had another mixing been counted."""

    options: EntropyOptions = Field(description="What would be counted.")
    entropy: float = Field(ge=0, description="Ideal mixing entropy in eV/K per atom.")
    energy_above_hull: float = Field(
        description="E_hull at the temperature in eV/atom; signed, never clipped."
    )
    label: StabilityLabel = Field(
        description="GS, LS or US at the temperature; no unit."
    )


class OrderingEstimates(Document):
    """What several orderings of one composition say about its energy."""

    lowest: float = Field(description="Lowest energy of any ordering, eV/atom.")
    lowest_kind: OrderingKind = Field(description="Kind of the lowest ordering.")
    random_mean: float | None = Field(
        default=None,
        description="Mean energy of the orderings chosen to be random, eV/atom.",
    )
    random_spread: float | None = Field(
        default=None,
        description="Standard deviation of the same (n - 1), eV/atom; null below two.",
    )
    n_orderings: int = Field(ge=1, description="Number of orderings of any kind.")
    n_random: int = Field(ge=0, description="Number of orderings chosen to be random.")


class CompetitorKind(StrEnum):
    """What a phase in a decomposition is."""

    REFERENCE = "reference"
    """A competing phase of the reference library."""
    CANDIDATE = "candidate"
    """Another candidate, with its own -T·S."""
    ORDERING = "ordering"
    """Another ordering of the same candidate, without entropy."""


class DecompositionPhase(Document):
    """One competing phase that a candidate decomposes into."""

    formula: str = Field(description="Formula of the phase.")
    reference_id: str = Field(description="Id of the phase in the hull.")
    kind: CompetitorKind = Field(
        default=CompetitorKind.REFERENCE, description="What the phase is; no unit."
    )
    amount: float = Field(
        gt=0, description="Atomic fraction of the mixture in this phase."
    )
    gas: bool = Field(description="Whether the phase is a gas at room temperature.")


class GasTerms(Document):
    """What was added to the energy of a gas of one element."""

    pressure: float = Field(gt=0, description="Partial pressure in bar.")
    temperature_term: float = Field(
        description="Tabulated Gibbs energy at 1 bar in eV/atom of gas."
    )
    pressure_term: float = Field(description="kB·T·ln(p / 1 bar)/2 in eV/atom of gas.")


class GibbsStability(Document):
    """Stability with Gibbs energies of all phases; beside the default, never in it."""

    energy_above_hull: float | None = Field(
        description="Gibbs energy of the candidate minus that of the lowest mixture, "
        "eV/atom, signed; null where reason says why."
    )
    reason: str | None = Field(
        default=None, description="Why there is no answer; null where there is one."
    )
    solid_term: float | None = Field(
        default=None, description="Descriptor of the candidate's Gibbs energy, eV/atom."
    )
    entropy_term: float | None = Field(
        default=None, description="-T·S of ideal mixing of the candidate, eV/atom."
    )
    hull_energy: float | None = Field(
        default=None,
        description="Lowest Gibbs energy of any mixture at the composition, on the "
        "scale of the energies, eV/atom.",
    )
    gases: dict[str, GasTerms] = Field(
        default_factory=dict, description="Gas → what was added to it, in eV/atom."
    )
    decomposition: tuple[DecompositionPhase, ...] = Field(
        default=(), description="Competing phases by falling amount."
    )
    n_references: int = Field(
        default=0, ge=0, description="Phases compared with, inside the elements."
    )
    left_out: tuple[str, ...] = Field(
        default=(),
        description="Ids of phases inside the elements whose Gibbs energy is not "
        "known: the number is optimistic.",
    )
    source: str = Field(
        default="10.1038/s41467-018-06682-4",
        description="DOI of the descriptor; elements from pymatgen's table.",
    )
    package_versions: dict[str, str] = Field(
        default_factory=dict, description="Package → version of the tables."
    )


class ThermoDoc(Document):
    """Stability of one candidate at one temperature."""

    candidate_id: str = Field(description="Key of the candidate.")
    formula: str = Field(description="Formula for people, per formula unit.")
    calculator: str = Field(
        description="Calculator and scheme of the candidate and of every reference."
    )
    temperature: float = Field(
        ge=0, description="Temperature in K; 0 is without entropy."
    )
    energy_per_atom: float = Field(
        description="Energy of the candidate without entropy, eV/atom."
    )
    hull_energy: float = Field(
        description="Lowest energy of any mixture of the competing phases at the "
        "composition at 0 K, eV/atom."
    )
    energy_above_hull_0k: float = Field(
        description="energy_per_atom - hull_energy in eV/atom; signed, negative "
        "below the hull, never clipped."
    )
    entropy: float = Field(
        ge=0, description="Ideal mixing entropy of the candidate in eV/K per atom."
    )
    entropy_term: float = Field(
        le=0, description="-T·S at the temperature, in eV/atom."
    )
    competition_term: float = Field(
        default=0.0,
        description="hull_energy minus the hull at the temperature in eV/atom: what "
        "the entropy of other candidates takes away; 0 where they take no part.",
    )
    energy_above_hull: float = Field(
        description="energy_above_hull_0k + entropy_term + competition_term in "
        "eV/atom: E_hull at the temperature; signed, never clipped."
    )
    mixing_temperature: float | None = Field(
        default=None,
        description="T_mix = E_hull(0 K)/S in K, above which the candidate is below "
        "the hull; a lower bound where other candidates take part; null where S is "
        "0 or E_hull(0 K) is not positive.",
    )
    label: StabilityLabel = Field(
        description="GS, LS or US at the temperature, by the value alone; no unit."
    )
    open: bool = Field(
        default=False,
        description="Whether the label may turn: the two bounds have different signs, "
        "or abs(energy_above_hull) is below one uncertainty. It changes no label and "
        "no count. No unit.",
    )
    probability_stable: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Probability that E_hull at the temperature is not above 0, under "
        "a normal error of energy_above_hull with standard deviation uncertainty; null "
        "where that is not known. No unit.",
    )
    other_mixings: tuple[OtherMixing, ...] = Field(
        default=(),
        description="E_hull in eV/atom had another mixing been counted, the one that "
        "tables show first.",
    )
    entropy_terms: EntropyResult = Field(
        description="Each sublattice's term, in eV/K per formula unit."
    )
    orderings: OrderingEstimates | None = Field(
        default=None,
        description="Energies of several orderings in eV/atom, where known.",
    )
    energy_above_hull_lowest: float | None = Field(
        default=None,
        description="Estimate of the lower bound in eV/atom at the temperature: "
        "lowest ordering calculated, with the full ideal entropy. A lower ordering "
        "may exist.",
    )
    energy_above_hull_random: float | None = Field(
        default=None,
        description="Estimate of the upper bound in eV/atom at the temperature: mean "
        "energy of random orderings, with the full ideal entropy.",
    )
    uncertainty: float | None = Field(
        default=None,
        description="Standard uncertainty of energy_above_hull in eV/atom: the error "
        "of the calculator; null where that is not known.",
    )
    uncertainty_terms: UncertaintyTerms = Field(
        default_factory=UncertaintyTerms, description="Its terms, in eV/atom."
    )
    energy_above_hull_gibbs: float | None = Field(
        default=None,
        description="gibbs.energy_above_hull in eV/atom; null where not asked for or "
        "not known. Not comparable with energy_above_hull.",
    )
    gibbs: GibbsStability | None = Field(
        default=None,
        description="Stability with Gibbs energies of solids and gases, in eV/atom; "
        "null where not asked for.",
    )
    decomposition: tuple[DecompositionPhase, ...] = Field(
        description="Competing phases by falling amount, in atomic fractions."
    )
    chemical_potentials: dict[str, float] = Field(
        description="Element → chemical potential on the hull, eV/atom."
    )
    releases_gas: bool = Field(
        description="Whether the decomposition contains a gas, whose entropy is not "
        "in the numbers; no unit."
    )
    changes_valence: bool | None = Field(
        default=None,
        description="Whether an element has other valences in the decomposition than "
        "in the candidate; null where some valence is not known. No unit.",
    )
    valence_changes: dict[str, float] = Field(
        default_factory=dict,
        description="Element → fraction of its atoms whose valence changes.",
    )
    valences_unknown: tuple[str, ...] = Field(
        default=(),
        description="Ids of phases of the decomposition whose valences are not known.",
    )
    flags: tuple[str, ...] = Field(
        default=(), description="Warnings about the stability, as words."
    )
    hull_depth_risk: float | None = Field(
        default=None,
        ge=0,
        description="How much E_hull may fall in eV/atom: hull of the references' "
        "compositions minus the hull of all known compositions, both with the same "
        "machine-learned formation energies; null where hull_depth_reason says why.",
    )
    hull_depth_risk_reported: float | None = Field(
        default=None,
        ge=0,
        description="The same in eV/atom with known compositions only that are "
        "reported as compounds.",
    )
    hull_depth_reason: str | None = Field(
        default=None, description="Why hull_depth_risk is not known; null where it is."
    )
    missing_compositions: dict[str, float] = Field(
        default_factory=dict,
        description="Known compositions that the references lack → atomic fraction in "
        "the lowest mixture of all known ones.",
    )
    needed_systems_without_reference: tuple[str, ...] = Field(
        default=(),
        description="Chemical systems of any size that hold no reference though known "
        "compositions ask for them: the candidate's own where a composition of it is "
        "known, and those of a tenth of the atoms of the lowest mixture of all known "
        "ones.",
    )
    n_references: int = Field(
        ge=0, description="Number of references inside the candidate's elements."
    )
    n_other_candidates: int | None = Field(
        default=None,
        ge=0,
        description="Number of other candidates inside the candidate's elements that "
        "took part; null where they take no part.",
    )
    other_candidates_digest: str | None = Field(
        default=None,
        description="Digest of ids, compositions, energies and entropies of all "
        "candidates that could take part; null where they take no part.",
    )
    n_own_orderings: int = Field(
        default=0, ge=0, description="Number of its own orderings that took part."
    )
    options: StabilityOptions = Field(
        default_factory=StabilityOptions,
        description="Which phases took part and what is known at temperature.",
    )
    excluded_references: tuple[str, ...] = Field(
        default=(),
        description="Ids of references left out for this candidate, inside its "
        "elements: by default those of exactly its composition.",
    )
    systems_without_reference: tuple[str, ...] = Field(
        description="Chemical systems inside the candidate's, up to "
        "largest_system_checked elements, that hold no reference: E_hull is "
        "optimistic there."
    )
    largest_system_checked: int = Field(
        ge=1, description="Largest number of elements of the systems looked at."
    )
    hull_version: str = Field(
        description="Digest of ids, compositions and energies of all references."
    )
