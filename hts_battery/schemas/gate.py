"""The gate before expensive calculations: the hull that travels, and the verdict."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from hts_battery.schemas.base import Document
from hts_battery.schemas.thermo import LeftOutReferences


class HullSnapshot(Document):
    """
    Competing phases of one candidate's elements, small enough to travel with a job.

    Phases above the hull of their own chemical system are left out: none of them can
    take part in a decomposition, unless what hides them is the candidate itself.
    """

    calculator: str = Field(
        description="Calculator of every energy, with its version: ``chgnet 0.4.2``."
    )
    phase_ids: tuple[str, ...] = Field(min_length=1, description="Keys of the phases.")
    formulas: tuple[str, ...] = Field(description="Their formulas, in that order.")
    energies_per_atom: tuple[float, ...] = Field(
        description="Their energies in eV/atom, in that order."
    )
    digest: str = Field(description="Digest of the hull of exactly these phases.")
    left_out_references: LeftOutReferences = Field(
        default=LeftOutReferences.OWN_COMPOSITION,
        description="References that a cell is not compared with; no unit.",
    )
    family: tuple[str, ...] = Field(
        default=(),
        description="Keys of the phases that are members of the candidate's family; "
        "none where the rule does not ask for it.",
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if not len(self.phase_ids) == len(self.formulas) == len(self.energies_per_atom):
            raise ValueError("each phase needs an id, a formula and an energy")
        return self


class GateAnswer(StrEnum):
    """What the gate said to a candidate."""

    PASSED = "passed"
    """At or below the threshold, or there is no threshold."""
    GATED = "gated"
    """Above the threshold: nothing expensive is computed."""
    RELEASED = "released"
    """Above the threshold, and let through by the operator."""


class GateVerdict(Document):
    """What the gate said of one candidate, with everything it was decided on."""

    candidate_id: str = Field(description="Key of the candidate.")
    verdict: GateAnswer = Field(description="Passed, gated or released.")
    energies_per_atom: dict[str, float] = Field(
        description="Ordering → pre-relaxed energy in eV/atom."
    )
    unconverged: tuple[str, ...] = Field(
        description="Orderings whose pre-relaxation ran out of steps: their energies "
        "are upper bounds."
    )
    calculator: str = Field(description="Calculator of the energies, with version.")
    ordering_id: str | None = Field(
        None, description="Ordering that decided: the lowest E_hull(T)."
    )
    energy_above_hull_0k: float | None = Field(
        None, description="Its E_hull without entropy in eV/atom, signed."
    )
    entropy: float | None = Field(
        None, description="Its ideal mixing entropy in eV/K per atom."
    )
    temperature: float | None = Field(None, ge=0, description="Temperature in K.")
    energy_above_hull: float | None = Field(
        None, description="Its E_hull(T) = E_hull - T·S in eV/atom, signed."
    )
    threshold: float | None = Field(
        None, description="Largest E_hull(T) that passes, in eV/atom."
    )
    hull_digest: str | None = Field(
        None, description="Digest of the hull it was compared with."
    )
    n_references: int | None = Field(
        None, description="Competing phases on that hull's snapshot."
    )
