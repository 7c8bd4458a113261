"""The base class of every stored document."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    model_validator,
)


class Document(BaseModel):
    """A frozen, closed document: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_type_tags(cls, data: object) -> object:
        """Drop the tags by which monty knows a class in the outputs of jobs."""
        if isinstance(data, dict) and "@class" in data:
            return {name: data[name] for name in data if not name.startswith("@")}
        return data


@lru_cache(maxsize=10_000)
def _fraction(text: str) -> Fraction:
    """Read a number; documents of a campaign repeat the same few thousand times."""
    return Fraction(text)


def _to_fraction(value: object) -> Fraction:
    """Read an exact rational from an integer, a fraction, a decimal or its text."""
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(  # noqa: TRY004 - what pydantic reports
            f"{value!r} is not a number"
        )
    try:
        return _fraction(str(value))
    except (ValueError, ZeroDivisionError) as err:
        raise ValueError(f"{value!r} is not a number; write 0.1, 2 or 1/10") from err


Rational = Annotated[
    Fraction, BeforeValidator(_to_fraction), PlainSerializer(str, return_type=str)
]
"""
An exact rational field.

Read from ``0.1`` (as the decimal written, never its binary neighbour), ``2``,
``"1/10"``; stored as text (``"1/10"``).
"""
