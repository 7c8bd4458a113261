"""A campaign file: what is screened, how it is ordered, computed and judged."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from hts_battery.schemas.base import Document
from hts_battery.schemas.space import Selection
from hts_battery.schemas.thermo import EntropyOptions

_KEY_SCHEME = "hts_battery content key 1"

Temperature = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class StructureSpec(Document):
    """How a candidate's ordered cells are made."""

    method: Literal["sqs"] = Field(
        "sqs", description="Special quasirandom structure on all sublattices at once."
    )
    atoms: int | None = Field(
        40,
        gt=0,
        description="Number of atoms in the cell; null takes the smallest cell that "
        "holds each candidate.",
    )
    iterations: int = Field(
        100_000, gt=0, description="Arrangements tried by the SQS search."
    )
    seed: int = Field(0, ge=0, description="Seed of the search.")


class RelaxationSpec(Document):
    """When a relaxation counts as done."""

    fmax: float = Field(
        0.05, gt=0, description="Largest force component norm allowed, in eV/angstrom."
    )
    steps: int = Field(
        500, gt=0, description="Ionic steps after which a relaxation is unconverged."
    )
    relax_cell: bool = Field(
        default=True, description="Whether cell shape and volume move."
    )


class CampaignSpec(Document):
    """One campaign, complete: the same file gives the same candidates and numbers."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        description="Short name: lower-case letters, digits, - and _.",
    )
    description: str = Field("", description="What the campaign is for.")
    space: dict[str, Any] | str = Field(
        description="The composition space, or the file that holds it."
    )
    selection: Selection = Field(description="Which members are screened.")
    structure: StructureSpec = Field(
        default_factory=StructureSpec, description="How ordered cells are made."
    )
    engine: str = Field("chgnet", description="Engine that gives energies.")
    relaxation: RelaxationSpec = Field(
        default_factory=RelaxationSpec, description="Relaxation settings."
    )
    temperatures: tuple[Temperature, ...] | None = Field(
        None,
        min_length=1,
        description="Temperatures in K; the default stands in the settings.",
    )
    entropy: EntropyOptions = Field(
        default_factory=EntropyOptions, description="Convention of the mixing entropy."
    )
    filters: tuple[dict[str, Any], ...] = Field(
        (), description="Named rules that remove members before they cost anything."
    )

    @field_validator("temperatures")
    @classmethod
    def _each_once(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError("each temperature stands once")
        return value

    @property
    def calculation(self) -> dict[str, Any]:
        """What, besides the composition, decides the energy: the settings of a key."""
        return {
            "structure": self.structure.model_dump(mode="json"),
            "engine": self.engine,
            "relaxation": self.relaxation.model_dump(mode="json"),
        }


def content_key(candidate_id: str, calculation: dict[str, Any]) -> str:
    """
    Digest a calculation: what is computed, how it is ordered, engine and settings.

    Two submissions with one key are one calculation; a second is not run.

    Parameters
    ----------
    candidate_id
        Digest of the composition.
    calculation
        Structure, engine and relaxation settings, JSON types only.

    Examples
    --------
    >>> len(content_key("bc6f833a1ab682dccbc6", {"engine": "chgnet"}))
    24
    """
    text = json.dumps([_KEY_SCHEME, candidate_id, calculation], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:24]
