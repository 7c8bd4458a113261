"""Conditions on the columns of the table of summaries, as Arrow's expressions."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import reduce
from math import isfinite
from operator import and_, eq, ge, gt, le, lt, ne, or_
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from hts_battery.errors import QueryError
from hts_battery.query.query_fields import normal
from hts_battery.schemas.field_spec import FieldSpec, Kind
from hts_battery.schemas.summary_table import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Sequence

ONCE = "same_cell_as"
"""Null where a candidate stands for its own calculated cell."""
_COMPARE = {"=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_LARGEST_INTEGER = 2**53
_PIECES = {
    "STARTS": pc.starts_with,
    "CONTAINS": pc.match_substring,
    "ENDS": pc.ends_with,
}


def comparison(field: FieldSpec, operator: str, value: object) -> pc.Expression:
    """
    Compare a field with a value; what is unknown fulfils no comparison.

    ``field``: a field that is no list. ``operator``: one of ``= != < <= > >=``.
    ``value``: number, text, TRUE or FALSE. Raises QueryError if the field cannot be
    compared with that.

    Examples
    --------
    >>> field = FieldSpec("t_mix", "E_hull/S", "K", path="mixing_temperature")
    >>> print(comparison(field, "<=", 900))
    (mixing_temperature <= 900)
    """
    if field.kind is Kind.LIST:
        raise QueryError(
            f'{field.name} is a list: write {field.name} HAS "…", HAS ALL, HAS ANY or '
            "HAS ONLY"
        )
    path, wanted = field.column, checked_value(field, value)
    if operator in ("=", "!="):
        path = field.equal_path or path
        if field.spelling is not None:
            wanted = normal(field, str(wanted))
    elif field.kind is Kind.BOOLEAN:
        raise QueryError(f"{field.name} is TRUE or FALSE: compare it with = or !=")
    found: pc.Expression = _COMPARE[operator](_column(field, path), wanted)
    return found


def checked_value(
    field: FieldSpec, value: object
) -> float | int | str | bool | datetime:
    """
    Return a value of the kind that a field holds.

    Raises QueryError if it is of another kind, not finite, or none of the field's
    choices.
    """
    if field.kind is Kind.BOOLEAN:
        if not isinstance(value, bool):
            raise QueryError(f"{field.name} is TRUE or FALSE, not {value!r}")
        return value
    if field.kind in (Kind.NUMBER, Kind.INTEGER):
        return _checked_number(field, value)
    if not isinstance(value, str):
        raise QueryError(f'{field.name} is text: write it in quotes, "{value}"')
    if field.kind is Kind.TIME:
        return _time(field, value)
    if field.choices and value not in field.choices:
        raise QueryError(
            f"{field.name} is one of {', '.join(field.choices)}, not {value!r}"
        )
    return value


def _checked_number(field: FieldSpec, value: object) -> float | int:
    unit = f" in {field.unit_words}" if field.unit_words else ""
    if isinstance(value, bool):
        raise QueryError(f"{field.name} is a number{unit}, not TRUE or FALSE")
    if not isinstance(value, int | float):
        raise QueryError(f"{field.name} is a number{unit}, not {value!r}")
    if not isfinite(value):
        raise QueryError(f"{field.name}: the number is too large")
    if field.kind is Kind.NUMBER:
        return float(value)
    if value != int(value) or abs(value) > _LARGEST_INTEGER:
        raise QueryError(f"{field.name} is a whole number, not {value!r}")
    return int(value)


def _time(field: FieldSpec, value: str) -> datetime:
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise QueryError(
            f"{field.name} is compared with a time like 2026-01-31T12:00:00Z"
        ) from None


def _column(field: FieldSpec, path: str) -> pc.Expression:
    """Name a column of the table, or write what every row has."""
    return pc.field(path) if field.constant is None else pc.scalar(field.constant)


def known(field: FieldSpec) -> pc.Expression:
    """Say that a field has a value."""
    return _column(field, field.column).is_valid()


def text_part(field: FieldSpec, place: str, value: object) -> pc.Expression:
    """
    Look for a piece of text, taken literally.

    ``field``: a text field. ``place``: ``STARTS``, ``CONTAINS`` or ``ENDS``. Raises
    QueryError if the field or the value is no text.
    """
    if field.kind is not Kind.TEXT:
        raise QueryError(f"{field.name} is not text: {place} cannot be asked of it")
    if not isinstance(value, str):
        raise QueryError(f'{field.name} is text: write it in quotes, "{value}"')
    return _PIECES[place](_column(field, field.column), value)


def has(field: FieldSpec, how: str, values: Sequence[object]) -> pc.Expression:
    """
    Say what a list holds; a list that is missing holds nothing.

    ``field``: a field that is a list. ``how``: ``ALL``, ``ANY`` or ``ONLY``.
    ``values``: at least one value. Raises QueryError if the field is no list, or a
    value can stand in none.
    """
    if field.kind is not Kind.LIST:
        raise QueryError(f"{field.name} is no list: compare it with = instead of HAS")
    wanted = list(dict.fromkeys(_item(field, value) for value in values))
    column = pc.field(field.column)
    if how == "ONLY":
        choices = "|".join(map(re.escape, wanted))
        pattern = f"^{SEPARATOR}(?:(?:{choices}){SEPARATOR})*$"
        return pc.match_substring_regex(column, pattern)
    items = [
        pc.match_substring(column, f"{SEPARATOR}{one}{SEPARATOR}") for one in wanted
    ]
    found = reduce(and_ if how == "ALL" else or_, items)
    return pc.coalesce(found, pc.scalar(value=False))


def _item(field: FieldSpec, value: object) -> str:
    if isinstance(value, int | float) and field.spelling is None:
        return str(value)
    return normal(field, str(checked_value(field, value)))


def list_length(field: FieldSpec, operator: str, value: Any) -> pc.Expression:  # noqa: ANN401 - any value
    """Compare the number of items of a list."""
    if field.kind is not Kind.LIST:
        raise QueryError(f"LENGTH can be asked of lists, not of {field.name}")
    length = FieldSpec(f"{field.name} LENGTH", "", kind=Kind.INTEGER)
    found: pc.Expression = _COMPARE[operator](
        pc.count_substring(pc.field(field.column), SEPARATOR),
        checked_value(length, value) + 1,  # type: ignore[operator]
    )
    return found


NOTHING: pc.Expression = pc.scalar(pa.scalar(None, pa.bool_()))
"""Of what nothing is known, neither a condition nor its negation holds."""
EVERYTHING: pc.Expression = pc.scalar(value=True)
"""No condition."""


def one_of(path: str, values: Sequence[object]) -> pc.Expression:
    """
    Say that a column holds one of some values.

    Examples
    --------
    >>> print(one_of("campaign", []))
    invert(true)
    """
    return pc.field(path).isin(list(values)) if values else ~EVERYTHING
