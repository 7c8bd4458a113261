"""What leaving one competing phase out does to a candidate's stability."""

from __future__ import annotations

from pydantic import Field

from hts_battery.schemas.base import Document


class LeftOutPhase(Document):
    """One product of a decomposition, and the candidate compared without it."""

    phase_id: str = Field(description="Id of the phase in the hull.")
    formula: str = Field(description="Its formula.")
    amount: float = Field(
        gt=0, description="Atomic fraction of the decomposition in this phase."
    )
    gas: bool = Field(description="Whether it is a gas at room temperature.")
    energy_above_hull: float | None = Field(
        description="E_hull at the temperature in eV/atom without this phase, signed; "
        "null where reason says why."
    )
    stable_without: bool | None = Field(
        description="Whether that is not above 0; no unit."
    )
    decomposition: dict[str, float] = Field(
        default_factory=dict,
        description="What the candidate then decomposes into, in atomic fractions.",
    )
    energy_above_hull_without_composition: float | None = Field(
        description="The same in eV/atom without every phase of this composition: no "
        "other form takes its place."
    )
    stable_without_composition: bool | None = Field(
        description="Whether that is not above 0; no unit."
    )
    least_error: float | None = Field(
        ge=0,
        description="How much too low the energy of this phase would have to be, in "
        "eV/atom of it, at least, for the candidate to be stable; 0 where it is.",
    )
    reason: str | None = Field(
        default=None, description="Why there is no number; null where there is one."
    )


class LeftOutTable(Document):
    """Each product of one candidate left out in turn, at one temperature."""

    candidate_id: str = Field(description="Key of the candidate.")
    formula: str = Field(description="Formula of what was calculated.")
    campaign: str = Field(description="Campaign whose build it is.")
    engine: str = Field(description="Engine of every energy.")
    temperature: float = Field(ge=0, description="In K.")
    energy_above_hull: float = Field(description="As built, eV/atom, signed.")
    hull_version: str = Field(description="Digest of the references.")
    phases: tuple[LeftOutPhase, ...] = Field(description="By falling amount.")
    reason: str | None = Field(
        default=None, description="Why phases is empty; null where it is not."
    )
