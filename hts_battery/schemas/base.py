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

from hts_battery.schemas.number_text import number_advice


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


class FieldError(ValueError):
    """
    A complaint of a validator that knows which of the fields inside is wrong.

    ``field``: path of it below what was validated, with dots.
    """

    def __init__(self, message: str, field: str) -> None:
        self.field = field
        super().__init__(message)


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
            f"{'nothing' if value is None else value} is not a number: write 0.1, 2 "
            "or 1/10"
        )
    try:
        return _fraction(str(value))
    except (ValueError, ZeroDivisionError) as err:
        advice = number_advice(value) or "write 0.1, 2 or 1/10"
        raise ValueError(f"{value!r} is not a number: {advice}") from err


def _no_truth(value: object) -> object:
    """Refuse true and false where a number stands: they would be 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(  # noqa: TRY004 - what pydantic reports
            f"{str(value).lower()} (yes, no, on and off, too) is not a number"
        )
    return value


Real = Annotated[float, BeforeValidator(_no_truth)]
"""A number of a file that people write."""
Whole = Annotated[int, BeforeValidator(_no_truth)]
"""A whole number of a file that people write."""

Rational = Annotated[
    Fraction, BeforeValidator(_to_fraction), PlainSerializer(str, return_type=str)
]
"""
An exact rational field.

Read from ``0.1`` (as the decimal written, never its binary neighbour), ``2``,
``"1/10"``; stored as text (``"1/10"``).
"""
