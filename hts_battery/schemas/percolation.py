"""What percolates on a lattice: thresholds and accessible carriers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hts_battery.schemas.base import Document

Criterion = Literal["one axis", "bracket"]


class PercolationThreshold(Document):
    """Threshold of a rule on a parent lattice, filled at random."""

    parent: str = Field(description="Parent lattice.")
    rule: str = Field(description="What joins carriers.")
    unit: Literal["x of Li(x)M(2-x)O2", "open fraction"] = Field(
        description="What value and bracket are given in."
    )
    value: float = Field(description="The threshold.")
    standard_error: float = Field(
        ge=0, description="Of the value, from the spread over samples."
    )
    criterion: Criterion = Field(
        description="one axis: where the probability that a cluster wraps along one "
        "axis is 0.2578, the universal value of near-cubic periodic cells; bracket: "
        "the middle of the bracket, which moves with the size of the cell."
    )
    bracket: tuple[float, float] = Field(
        description="Mean filling when a cluster first wraps any axis, and all axes."
    )
    bracket_errors: tuple[float, float] = Field(
        description="Standard errors of the two."
    )
    sites: int = Field(description="Sites (or bonds) that are filled at random.")
    supercell: tuple[tuple[int, int, int], ...] = Field(
        description="Vectors in units of the conventional cell, one a row."
    )
    samples: int = Field(description="Fillings that were followed.")
    seed: int = Field(description="Seed of their random numbers.")
    kernel: str = Field(description="Name and version of what counted.")
    caveat: str = Field(description="What the number is not.")


class AccessibleCarriers(Document):
    """Carriers of one cell that a wrapping cluster holds."""

    rule: str = Field(description="What joins carriers.")
    carrier: str = Field(description="Element that moves.")
    fraction: float = Field(
        ge=0, le=1, description="Carriers in wrapping clusters, of all carriers."
    )
    carriers: int = Field(description="Carriers of the cell.")
    sites: int = Field(description="Sites that the carrier may take.")
    wraps: tuple[bool, bool, bool] = Field(
        description="For each axis of the cell, whether a cluster wraps along it."
    )
    clusters: int = Field(description="Number of wrapping clusters.")
    tetrahedra: tuple[float, ...] | None = Field(
        description="Fractions of cation tetrahedra with 0, 1, 2, 3, 4 carriers; null "
        "for a rule without tetrahedra."
    )
    reason: str | None = Field(
        description="Why nothing is accessible, or what limits the number."
    )
    kernel: str = Field(description="Name and version of what counted.")
