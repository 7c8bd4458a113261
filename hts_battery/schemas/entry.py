"""Entries: calculated energies that a hull may use, or the reason why not."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from hts_battery.schemas.base import Document, Rational
from hts_battery.schemas.energy import ComparableEnergy
from hts_battery.schemas.relaxed import RelaxedCell

SMALL_CELL = "cell too small for a random solution"
"""Flag of an ordering that is a compound: never part of a bound from above."""


class EntryKind(StrEnum):
    """What a calculation is of."""

    CANDIDATE = "candidate"
    """An ordered cell of a candidate."""
    REFERENCE = "reference"
    """A competing phase."""


class EntryState(StrEnum):
    """Whether an energy takes part in hulls."""

    USED = "used"
    """Comparable with the others of its calculator."""
    REJECTED = "rejected"
    """Kept with its reason, never in a hull."""


class EntryDoc(Document):
    """One calculation, used or rejected; none is dropped."""

    entry_id: str = Field(
        description="Job uuid of a candidate's calculation, engine and phase id of a "
        "reference."
    )
    kind: EntryKind = Field(description="Candidate or reference.")
    candidate_id: str | None = Field(None, description="Key of the candidate.")
    phase_id: str | None = Field(None, description="Key of the competing phase.")
    candidate_family: str | None = Field(
        None,
        description="Family that a competing phase is itself a member of; null where "
        "it is of none.",
    )
    content_key: str | None = Field(None, description="Key of the calculation.")
    formula: str | None = Field(
        description="Formula of the calculated cell; null where it cannot be read."
    )
    elements: tuple[str, ...] = Field(description="Symbols, alphabetical.")
    engine: str = Field(description="Name of the engine.")
    calculator: str | None = Field(
        None, description="Calculator with versions; entries of one hull share it."
    )
    calculation: dict[str, object] = Field(
        description="Settings that decide the energy: engine, relaxation, and for a "
        "candidate how its cell was ordered."
    )
    state: EntryState = Field(description="Used or rejected.")
    reason: str | None = Field(None, description="Why it was rejected.")
    energy: ComparableEnergy | None = Field(
        None, description="Energy with every adjustment; null where rejected."
    )
    ordering_id: str | None = Field(None, description="Ordering that was relaxed.")
    ordering_method: str | None = Field(
        None, description="How it was ordered: sqs, electrostatic or random."
    )
    ordering_series: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Method → ids of the candidate's orderings with these settings, in "
        "the order in which the method gives them; says which of them an entry is.",
    )
    assignment: dict[str, dict[str, Rational]] | None = Field(
        None,
        description="Sublattice → species → amount per formula unit that the cell "
        "holds; null where the ordering is unknown.",
    )
    deviation: dict[str, Rational] = Field(
        default_factory=dict,
        description="Cell minus candidate, elements per formula unit, where not zero.",
    )
    ordering_score: float | None = Field(
        None, description="Objective of the ordering method; 0 is a perfect SQS."
    )
    ordering_seed: int | None = Field(None, description="Seed of the ordering.")
    electrostatic_energy: float | None = Field(
        None,
        description="Ewald energy of the formal charges in eV/atom at the starting "
        "lattice of the ordering; null where the ordering is unknown.",
    )
    relaxed: RelaxedCell | None = Field(
        None, description="Comparison of the relaxed cell with the ordered one."
    )
    volume_per_atom: float | None = Field(
        None, gt=0, description="Volume after relaxation in cubic angstrom per atom."
    )
    oxidation_states: dict[str, float] = Field(
        default_factory=dict,
        description="Element → mean formal charge in e, of a phase of the library; "
        "empty where not known.",
    )
    flags: tuple[str, ...] = Field((), description="Warnings, as words.")
    n_steps: int | None = Field(None, description="Ionic steps of the relaxation.")
    input_digest: str = Field(
        description="Digest of everything this document was made from."
    )

    @model_validator(mode="after")
    def _state_matches_content(self) -> EntryDoc:
        if (self.state is EntryState.USED) == (self.energy is None):
            raise ValueError("an entry holds an energy exactly if it is used")
        if (self.state is EntryState.REJECTED) == (self.reason is None):
            raise ValueError("an entry has a reason exactly if it is rejected")
        if self.state is EntryState.USED and self.formula is None:
            raise ValueError("an entry that is used has a formula")
        return self
