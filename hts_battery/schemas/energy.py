"""Documents of calculated energies: which may enter a hull, corrected by what."""

from __future__ import annotations

from collections import Counter
from typing import Self

from pydantic import Field, model_validator

from hts_battery.schemas.base import Document


class EnergyAdjustment(Document):
    """One correction that was added to a calculated energy."""

    name: str = Field(description="Name of the correction.")
    value: float = Field(description="What was added, in eV per cell.")
    uncertainty: float | None = Field(
        default=None, description="Its stated uncertainty in eV per cell."
    )
    reason: str = Field(description="Why it applies.")


class TaskValidation(Document):
    """Whether a calculation was made with the settings that its hull asks for."""

    valid: bool = Field(description="Whether no reason was found; no unit.")
    reasons: tuple[str, ...] = Field(
        description="What is wrong: such an energy enters no hull."
    )
    warnings: tuple[str, ...] = Field(
        default=(), description="What is unusual, and allowed."
    )
    package_versions: dict[str, str] = Field(
        description="Package → version that checked."
    )


class ComparableEnergy(Document):
    """An energy that may enter a hull, with every adjustment that made it so."""

    entry_id: str = Field(description="Key of the calculation.")
    formula: str = Field(description="Formula of the calculated cell.")
    calculator: str = Field(
        description="Calculator and scheme; equal for all entries of one hull."
    )
    uncorrected_energy: float = Field(
        description="Energy as calculated, in eV per cell."
    )
    n_atoms: int = Field(ge=1, description="Atoms in the calculated cell.")
    energy_per_atom: float = Field(
        description="Energy with all adjustments, in eV/atom."
    )
    adjustments: tuple[EnergyAdjustment, ...] = Field(
        description="Every correction by name and value, in eV per cell."
    )
    correction_scheme: str = Field(
        description="Name of the scheme; says so where nothing was to be corrected."
    )
    package_versions: dict[str, str] = Field(
        description="Package → version that supplied the correction values."
    )
    pseudopotentials: dict[str, str] = Field(
        default_factory=dict,
        description="Title of each pseudopotential → its hash, empty where not known; "
        "in one hull every element has one.",
    )
    checks: dict[str, str] = Field(
        default_factory=dict,
        description="What was checked before a VASP energy was taken → what was found: "
        "run type, pseudopotentials, settings.",
    )
    flags: tuple[str, ...] = Field(
        default=(), description="Warnings about the energy, as words."
    )


class RejectedEnergy(Document):
    """A calculated energy that may not enter a hull, and why."""

    entry_id: str = Field(description="Key of the calculation.")
    formula: str = Field(description="Formula of the calculated cell.")
    reason: str = Field(description="Why it was rejected.")


class CorrectionAudit(Document):
    """Every energy that went in, used or rejected; none is dropped."""

    n_energies: int = Field(ge=0, description="Number of energies that went in.")
    used: tuple[ComparableEnergy, ...] = Field(
        description="Energies that may enter a hull, adjustments in eV per cell."
    )
    rejected: tuple[RejectedEnergy, ...] = Field(
        description="Energies that may not, with the reason."
    )

    @model_validator(mode="after")
    def _nothing_is_dropped(self) -> Self:
        if len(self.used) + len(self.rejected) != self.n_energies:
            raise ValueError(
                f"{self.n_energies} energies went in, but {len(self.used)} were used "
                f"and {len(self.rejected)} rejected"
            )
        return self

    @property
    def adjustments(self) -> dict[str, float]:
        """Name of each correction → its sum over all energies in use, in eV."""
        total: dict[str, float] = {}
        for energy in self.used:
            for adjustment in energy.adjustments:
                total[adjustment.name] = (
                    total.get(adjustment.name, 0.0) + adjustment.value
                )
        return total

    @property
    def rejections(self) -> dict[str, int]:
        """Reason → number of energies rejected for it, the commonest first."""
        return dict(Counter(found.reason for found in self.rejected).most_common())
