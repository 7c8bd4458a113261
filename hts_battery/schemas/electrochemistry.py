"""What a campaign says about its electrochemistry."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from hts_battery.errors import CompositionError
from hts_battery.schemas.base import Document
from hts_battery.schemas.formula import ELEMENTS, parse_formula


class ElectrodeSpec(Document):
    """An electrode that candidates touch."""

    formula: str = Field(description="Formula; it is taken on the hull.")
    voltage: float | None = Field(
        None,
        ge=0,
        description="At which the carrier is exchanged, V against its metal; null: "
        "nothing is exchanged.",
    )

    @field_validator("formula")
    @classmethod
    def _is_formula(cls, value: str) -> str:
        try:
            parse_formula(value)
        except CompositionError as err:
            raise ValueError(str(err)) from err
        return value


class ElectrochemistryOptions(Document):
    """Carrier, ceilings of charges, tolerance, oxygen and electrodes."""

    carrier: str | None = Field(
        None,
        description="Element that passes through the circuit; by default the alkali "
        "metal of which there is most, of NASICON Na.",
    )
    ceilings: Literal["reachable", "conservative"] | dict[str, int] = Field(
        "reachable",
        description="Table of the highest charges of metals, or charges that replace "
        "those of `reachable`.",
    )
    tolerance: float = Field(
        0.0, ge=0, description="Decomposition energy that counts as stable, eV/atom."
    )
    oxygen_temperature: float | None = Field(
        None,
        ge=100,
        le=2000,
        description="At which O2 leaves, K; null: its energy of 0 K.",
    )
    oxygen_pressure: float = Field(1.0, gt=0, description="Of O2, bar.")
    electrodes: tuple[ElectrodeSpec, ...] = Field(
        (), description="Electrodes with which reactions are looked for."
    )

    @field_validator("ceilings")
    @classmethod
    def _are_elements(cls, value: str | dict[str, int]) -> str | dict[str, int]:
        unknown = sorted(set(value) - ELEMENTS) if isinstance(value, dict) else []
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no element")
        return value
