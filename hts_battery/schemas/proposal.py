"""Compositions proposed to be computed next, and why."""

from __future__ import annotations

from pydantic import Field

from hts_battery.schemas.base import Document


class ProposedMember(Document):
    """One composition of a batch."""

    formula: str = Field(description="Formula for people, per formula unit.")
    candidate_id: str = Field(description="Key of the candidate.")
    index: int = Field(description="Its place in the space.")
    e_hull: float = Field(
        description="Predicted E_hull at the temperature, eV/atom: predicted energy "
        "less the exact hull of the references, less T times the ideal entropy."
    )
    interval: tuple[float, float] = Field(
        description="90 % of one more energy about the fit, eV/atom; what the hull may "
        "lack is not in it."
    )
    probability: float = Field(
        description="Chance that it is at most zero, by the same fit."
    )
    hull_depth_risk: float | None = Field(
        description="How much E_hull may rise by compositions that the references "
        "lack, eV/atom; it counted against the member. None if not known."
    )
    nearest: str = Field(description="The computed candidate nearest in composition.")
    nearest_distance: float = Field(
        description="Half the sum of differences of atomic fractions, 0 to 1."
    )
    nearest_e_hull: float = Field(
        description="E_hull of that candidate at the temperature, eV/atom."
    )
    reason: str = Field(description="Why it is in the batch, in words.")


class ElementCoverage(Document):
    """What intervals held of compositions with an element when it was left out."""

    element: str = Field(description="Symbol.")
    rows: int = Field(description="Computed compositions that hold it.")
    covered: int = Field(description="Of these, energies within their 90 % interval.")
    interval: tuple[float, float] = Field(description="95 % interval of the share.")


class Proposal(Document):
    """A batch of compositions out of a whole space."""

    temperature: float = Field(description="K.")
    visited: int = Field(description="Members of the space that were ranked.")
    ranked: int = Field(description="The best of them that were looked at closely.")
    removed: dict[str, int] = Field(description="Reason → members of these removed.")
    rows: int = Field(description="Computed candidates that the fit used.")
    calculator: str = Field(description="Calculator of all of them.")
    hull_version: str = Field(description="Hull that all energies refer to.")
    error: float = Field(description="Standard deviation about the fit, eV/atom.")
    outside: dict[str, str] = Field(
        description="Element of the space that was not proposed → why."
    )
    capped: tuple[str, ...] = Field(description="Elements that reached their share.")
    coverage: tuple[ElementCoverage, ...] = Field(
        description="Intervals tried on each metal by leaving it out."
    )
    members: tuple[ProposedMember, ...] = Field(description="The batch, best first.")


class IterationTerms(Document):
    """What was agreed before the first round; every later start must agree."""

    campaign: str = Field(description="Campaign that the batches extend.")
    temperature: float = Field(description="K.")
    batch: int = Field(description="Compositions of a batch.")
    least_probability: float = Field(
        description="The rounds end when the best proposed is less likely stable."
    )
    node_hours: float | None = Field(
        description="The rounds end before the planned sum exceeds it; None: no end."
    )


class ProposalRound(Document):
    """One batch: proposed, priced, computed, and what became of it."""

    batch: str = Field(description="Name of its campaign.")
    members: int = Field(description="Compositions in it.")
    best_probability: float = Field(description="Of the likeliest, as predicted.")
    node_hours: float = Field(description="As `hts campaign plan` prices it.")
    evaluated: int = Field(description="Members that need nothing more; failed ones.")
    failed: int = Field(description="Of these, without an energy.")
    stable: int = Field(description="Of these, at or below the hull at temperature.")
    expected_stable: float = Field(description="As predicted: sum of probabilities.")
    error: float | None = Field(
        description="Mean absolute error of E_hull that was predicted, eV/atom."
    )
