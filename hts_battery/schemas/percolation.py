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
    value: float = Field(description="The threshold, by the criterion.")
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
        ge=0,
        le=1,
        description="Carriers in clusters that wrap any axis, of all carriers.",
    )
    carriers: int = Field(description="Carriers of the cell.")
    sites: int = Field(description="Sites that the carrier may take.")
    wraps: tuple[bool, bool, bool] = Field(
        description="For each axis of the cell, whether a cluster wraps along it."
    )
    clusters: int = Field(description="Number of clusters that wrap any axis.")
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
    threshold: float = Field(
        description="Filling at which carriers percolate: one axis, by the universal "
        "wrapping probability; on ordered parents the middle between any and all axes."
    )
    threshold_error: float = Field(ge=0, description="Standard error.")
    excess: float = Field(
        description="Carriers per formula unit above the threshold; negative below."
    )
    accessible: float = Field(
        ge=0,
        le=1,
        description="Carriers in clusters that wrap any axis, of all carriers.",
    )
    accessible_error: float = Field(ge=0, description="Standard error.")
    accessible_per_formula_unit: float = Field(
        ge=0, description="The same, times them."
    )
    wrap_probability: float = Field(
        ge=0,
        le=1,
        description="How often a cell of this size wraps any axis; between 0 "
        "and 1 the mean of accessible hides two kinds of cells.",
    )
    sites: int = Field(description="Sites (or bonds) filled at random in a cell.")
    samples: int = Field(description="Cells.")
    seed: int = Field(description="Seed of their random numbers.")
    kernel: str = Field(description="Name and version of what counted.")
    caveat: str = Field(description="What the numbers are not.")


class SimulatedOrder(Document):
    """What percolates in cells with a short-range order from given pair energies."""

    lithium: float = Field(ge=0, le=2, description="Carriers in two cations.")
    fluorine: float = Field(ge=0, le=2, description="F in two anions.")
    rule: str = Field(description="What joins carriers.")
    energies: dict[str, tuple[float, ...]] = Field(
        description="Unlike pair → energy in kT on shells 1, 2, …; negative: they "
        "attract. Li is the carrier, M every other cation."
    )
    accessible: float = Field(
        ge=0,
        le=1,
        description="Carriers in clusters that wrap any axis, of all carriers.",
    )
    accessible_error: float = Field(ge=0, description="Standard error over cells.")
    wrap_probability: float = Field(
        ge=0, le=1, description="Cells with a cluster that wraps any axis, of all."
    )
    li4: float = Field(
        ge=0, le=1, description="Tetrahedra with four carriers, of all; alone it "
        "misleads: what counts is whether they touch."
    )  # fmt: skip
    li4_error: float = Field(ge=0, description="Standard error over cells.")
    li4_random: float = Field(description="The same in a random alloy.")
    alpha: dict[str, tuple[float, ...]] = Field(
        description="Pair → Warren-Cowley parameters of four shells, mean over cells."
    )
    alpha_errors: dict[str, tuple[float, ...]] = Field(
        description="Their standard errors."
    )
    li_around_f: float | None = Field(
        description="Carriers among the six cations around F; null without F."
    )
    sites: int = Field(description="Cation sites of a cell.")
    cells: int = Field(description="Independent cells.")
    attempts: int = Field(description="Swaps tried for each mixed site.")
    seed: int = Field(description="Seed of the random numbers.")
    kernel: str = Field(description="Name and version of what counted.")
    caveat: str = Field(description="What the numbers are not.")
