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


class RandomLimit(Document):
    """What percolates in a composition whose carriers stand at random."""

    formula: str = Field(description="Formula for people.")
    parent: str = Field(description="Parent lattice.")
    rule: str = Field(description="What joins carriers.")
    carrier: str = Field(description="Element that moves.")
    filling: float = Field(
        ge=0,
        le=1,
        description="Carriers of the sites that are filled at random: of all cation "
        "sites, or of 18e in NASICON, whose 6b are full.",
    )
    carriers_per_formula_unit: float = Field(ge=0, description="As the formula says.")
    sites_per_formula_unit: float = Field(
        gt=0, description="Sites that are filled at random, per formula unit."
    )
    threshold: float = Field(description="Filling at which carriers percolate.")
    threshold_error: float = Field(ge=0, description="Standard error.")
    excess: float = Field(
        description="Carriers per formula unit above the threshold; negative below."
    )
    accessible: float = Field(
        ge=0, le=1, description="Carriers in wrapping clusters, of all carriers."
    )
    accessible_error: float = Field(ge=0, description="Standard error.")
    accessible_per_formula_unit: float = Field(
        ge=0, description="The same, times them."
    )
    wrap_probability: float = Field(
        ge=0,
        le=1,
        description="How often a cell of this size has a wrapping cluster; between 0 "
        "and 1 the mean of accessible hides two kinds of cells.",
    )
    sites: int = Field(description="Sites (or bonds) filled at random in a cell.")
    samples: int = Field(description="Cells.")
    seed: int = Field(description="Seed of their random numbers.")
    kernel: str = Field(description="Name and version of what counted.")
    caveat: str = Field(description="What the numbers are not.")
