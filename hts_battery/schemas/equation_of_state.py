"""An equation of state: energies of one cell at several volumes, and what fits them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from hts_battery.schemas.base import Document

EquationModel = Literal[
    "birch_murnaghan", "vinet", "murnaghan", "birch", "pourier_tarantola"
]
"""Names of pymatgen, which has the equations."""
PARAMETERS = 4
"""Of each equation: energy, bulk modulus, its derivative, volume."""


class EquationOfStateOptions(Document):
    """Options of the recipe ``equation_of_state``."""

    largest_strain: float = Field(
        0.03,
        gt=0,
        le=0.1,
        description="All lengths are scaled from 1 - this to 1 + this; no unit. "
        "Volumes differ by three times as much.",
    )
    points: int = Field(
        7,
        gt=PARAMETERS,
        le=51,
        description="Number of volumes, evenly spaced in length; more than the four "
        "parameters, so that the fit has an error.",
    )
    model: EquationModel = Field(
        "birch_murnaghan", description="Equation whose parameters are the result."
    )


class EquationFit(Document):
    """What one equation of state says of energies and volumes."""

    model: EquationModel = Field(description="Equation, by pymatgen's name.")
    bulk_modulus: float = Field(gt=0, description="At the minimum, in GPa.")
    bulk_modulus_error: float = Field(
        ge=0, description="Standard error of the least-squares fit, in GPa."
    )
    derivative: float = Field(description="dB/dP at the minimum; no unit.")
    volume: float = Field(gt=0, description="At the minimum, in angstrom^3 per atom.")
    volume_error: float = Field(
        ge=0, description="Standard error, angstrom^3 per atom."
    )
    energy: float = Field(description="At the minimum, in eV/atom, as calculated.")
    residual: float = Field(
        ge=0, description="Root of the mean squared residual, in eV/atom."
    )


class EquationOfState(EquationFit):
    """Energy against volume of one relaxed cell: what its recipe gives."""

    candidate_id: str = Field(description="Candidate whose cell it is.")
    entry_id: str = Field(description="Entry whose relaxed cell it starts from.")
    ordering_id: str = Field(description="Which of its orderings that is.")
    calculator: str = Field(description="Calculator with its version.")
    n_atoms: int = Field(gt=0, description="Atoms of the cell.")
    volumes: tuple[float, ...] = Field(
        description="In angstrom^3 per atom, rising; shape kept, atoms relaxed."
    )
    energies: tuple[float, ...] = Field(
        description="In eV/atom, as calculated: 0 K, no zero-point motion."
    )
    other_models: dict[EquationModel, float] = Field(
        description="Other equations → bulk modulus in GPa by the same points; left "
        "out where one does not fit."
    )

    @model_validator(mode="after")
    def _as_many_of_each(self) -> Self:
        if len(self.volumes) != len(self.energies):
            raise ValueError("each volume has one energy")
        return self

    @property
    def n_points(self) -> int:
        """Number of volumes."""
        return len(self.volumes)

    @property
    def spread_of_models(self) -> float:
        """Largest difference of another equation's bulk modulus, in GPa."""
        return max(
            (abs(one - self.bulk_modulus) for one in self.other_models.values()),
            default=0.0,
        )
