"""Properties: one number, or array, of one subject, with all that it depends on."""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from json import dumps
from math import isfinite
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from hts_battery.schemas.base import Document
from hts_battery.schemas.summary import temperature_key

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPERATURE = "temperature"
"""Condition by which a property becomes several columns: its value is in K."""


def condition_key(conditions: Mapping[str, float | int | str]) -> str | None:
    """
    Name the column of a property under some conditions; None where it is no column.

    Examples
    --------
    >>> condition_key({}), condition_key({"temperature": 300})
    ('', '300K')
    >>> condition_key({"temperature": 300, "carrier": "Na"})
    """
    if not conditions:
        return ""
    kelvin = conditions.get(TEMPERATURE)
    if len(conditions) > 1 or kelvin is None:
        return None
    return temperature_key(float(kelvin))


class SubjectKind(StrEnum):
    """What a property is of."""

    CANDIDATE = "candidate"
    """A composition, as one campaign calculated it."""
    ENTRY = "entry"
    """One calculation: an ordering, or a competing phase."""
    STRUCTURE = "structure"
    """One cell, by the digest of its content."""


class Provenance(Document):
    """Where a property comes from: enough to make it again."""

    code_version: str = Field(description="Version of the builder's code.")
    recipe: str | None = Field(
        None, description="Recipe that computed it; null if none."
    )
    engine: str | None = Field(None, description="Engine; null where none took part.")
    calculator: str | None = Field(None, description="Calculator with versions.")
    method: str | None = Field(
        None, description="How its cells were ordered: sqs, electrostatic or random."
    )
    inputs: tuple[str, ...] = Field((), description="Ids of the entries it is made of.")
    seed: int | None = Field(None, description="Seed of its random numbers; no unit.")
    versions: dict[str, str] = Field(
        default_factory=dict, description="Package that can change it → version."
    )


class PropertyDoc(Document):
    """
    A property of a candidate, an entry or a structure.

    Examples
    --------
    >>> found = PropertyDoc(
    ...     property_id="p", subject_kind="candidate", subject_id="c", campaign="first",
    ...     builder="conduction", name="conductivity", conditions={"temperature": 300},
    ...     value=1e-4, unit="S/cm", uncertainty=2e-5, n=3, input_digest="d",
    ...     provenance={"code_version": "1", "seed": 0},
    ... )
    >>> condition_key(found.conditions), found.value
    ('300K', 0.0001)
    """

    property_id: str = Field(
        description="Digest of subject, campaign, builder, name and conditions."
    )
    subject_kind: SubjectKind = Field(description="Candidate, entry or structure.")
    subject_id: str = Field(description="Key of the subject.")
    campaign: str | None = Field(
        None, description="Campaign whose cells a candidate's is made of; null if none."
    )
    builder: str = Field(description="Builder that wrote it.")
    name: str = Field(description="Name, as declared among the fields.")
    conditions: dict[str, float | int | str] = Field(
        default_factory=dict,
        description="Under which it holds: temperature in K, carrier, supercell, …",
    )
    value: float | int | bool | str | None = Field(
        None, description="In the unit; null where array or reason is not."
    )
    array: tuple[float, ...] | tuple[tuple[float, ...], ...] | None = Field(
        None, description="Values of a property that is no single one, in the unit."
    )
    unit: str = Field(description="Unit of value, array and uncertainty; 1 for none.")
    uncertainty: float | None = Field(
        None, ge=0, description="As the field says what it is; null where not known."
    )
    n: int | None = Field(
        None, ge=0, description="Number of samples it is a mean of; null for no mean."
    )
    reason: str | None = Field(
        None, description="Why there is no value; null where there is one."
    )
    notes: tuple[str, ...] = Field((), description="What a reader must know, in words.")
    provenance: Provenance = Field(description="Where it comes from.")
    siblings: int = Field(
        1,
        ge=1,
        description="Properties that its builder made of the subject with it: where "
        "fewer stand there, it was interrupted.",
    )
    input_digest: str = Field(
        description="Digest of everything this document was made from."
    )

    @model_validator(mode="after")
    def _says_one_thing(self) -> PropertyDoc:
        given = [self.value is not None, self.array is not None]
        if sum(given) + (self.reason is not None) != 1:
            raise ValueError(f"{self.name}: exactly one of value, array and reason")
        if isinstance(self.value, float) and not isfinite(self.value):
            raise ValueError(f"{self.name}: {self.value} is not finite; say a reason")
        return self


def property_id(
    subject: tuple[SubjectKind, str],
    *,
    campaign: str | None,
    builder: str,
    name: str,
    conditions: Mapping[str, float | int | str],
) -> str:
    """
    Name a property by what it is of.

    Examples
    --------
    >>> property_id((SubjectKind.ENTRY, "e"), campaign=None, builder="b", name="n",
    ...     conditions={})
    '5461948965d1a64c7f8d5941'
    """
    held = sorted(
        (key, float(value) if isinstance(value, int) else value)
        for key, value in conditions.items()
    )
    text = dumps([*subject, campaign, builder, name, held])
    return sha256(text.encode()).hexdigest()[:24]
