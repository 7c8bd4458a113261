"""Documents of the ideal mixing entropy: what is counted, and each term of the sum."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from hts_battery.schemas.base import Document, Rational


class EntropyConvention(StrEnum):
    """How sites and atoms enter the ideal mixing entropy."""

    TEXTBOOK = "textbook"
    """Every site of a sublattice mixes, vacancies too; per atom present."""
    OUYANG2021 = "ouyang2021"
    """NASICON as published, 10.1038/s41467-021-26006-3: N·h(N/4) over N + 14."""


class SpeciesBasis(StrEnum):
    """What counts as one species when a sublattice mixes."""

    ELEMENT = "element"
    """Mn2+ and Mn3+ are the same."""
    OXIDATION_STATE = "oxidation_state"
    """Mn2+ and Mn3+ are different and mix."""


class SodiumSites(StrEnum):
    """How the sodium of a NASICON mixes with its vacancies."""

    TOGETHER = "together"
    """Over all four sites of a formula unit alike."""
    RESOLVED = "resolved"
    """On 6b and on 18e separately, with the occupancies of the calculated cells."""


class EntropyOptions(Document):
    """What is counted in the ideal mixing entropy."""

    convention: EntropyConvention = Field(
        default=EntropyConvention.TEXTBOOK,
        description="Sites and atoms that enter; no unit.",
    )
    species: SpeciesBasis = Field(
        default=SpeciesBasis.ELEMENT,
        description="Whether oxidation states of one element mix; no unit.",
    )
    count_anions: bool = Field(
        default=True,
        description="Whether sublattices that hold anions only are counted; no unit.",
    )
    sodium_sites: SodiumSites = Field(
        default=SodiumSites.TOGETHER,
        description="Whether sodium mixes over all four sites of a NASICON or on 6b "
        "and 18e separately; no unit.",
    )

    @model_validator(mode="after")
    def _resolved_sites_are_textbook(self) -> Self:
        if (
            self.convention is not EntropyConvention.TEXTBOOK
            and self.sodium_sites is SodiumSites.RESOLVED
        ):
            raise ValueError(
                "sodium_sites 'resolved' has a meaning in the textbook convention only"
            )
        return self


class SublatticeEntropy(Document):
    """The term of one sublattice in the ideal mixing entropy."""

    sublattice: str = Field(description="Name of the sublattice.")
    sites: Rational = Field(
        description="Sites that mix, exact number per formula unit."
    )
    fractions: dict[str, Rational] = Field(
        description="Species, element or Vac → exact fraction of the sublattice's "
        "sites, as told apart by the options."
    )
    counted: bool = Field(description="Whether the term enters the sum; no unit.")
    entropy_per_formula_unit: float = Field(
        description="Ideal mixing entropy of this sublattice in eV/K per formula "
        "unit, whether or not it is counted."
    )


class EntropyResult(Document):
    """Ideal mixing entropy of a candidate, with each sublattice's term."""

    entropy: float = Field(
        ge=0, description="Ideal mixing entropy in eV/K per atom; counted terms only."
    )
    entropy_per_formula_unit: float = Field(
        ge=0, description="Sum of the counted terms in eV/K per formula unit."
    )
    atoms_per_formula_unit: Rational = Field(
        description="Atoms the sum is divided by, exact number per formula unit; "
        "vacancies are not atoms."
    )
    terms: tuple[SublatticeEntropy, ...] = Field(
        description="One term per sublattice, in eV/K per formula unit."
    )
    options: EntropyOptions = Field(description="What was counted.")
