"""What is asked for besides the filter: order, fields, number."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from math import isfinite
from typing import TYPE_CHECKING

from hts_battery.errors import QueryError
from hts_battery.query.conditions import Criteria, conjunction
from hts_battery.query.filters import filter_criteria
from hts_battery.query.query_fields import Kind, QueryField, query_field, value_at
from hts_battery.schemas.summary import SummaryDoc

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    Filter = str | Mapping[str, object]
    """Text in OPTIMADE's language, or a MongoDB filter."""

LONGEST = 50_000
"""Characters of a filter written as JSON."""
DEEPEST = 10
"""Levels of documents inside documents."""
MOST_PARTS = 5000
"""Values and operators in a filter."""
_LONGEST_TEXT = 200
_LARGEST_INTEGER = 2**63 - 1
_COMPARE = frozenset({"$eq", "$ne", "$gt", "$gte", "$lt", "$lte"})
_LISTS = frozenset({"$in", "$nin", "$all"})
_JOIN = frozenset({"$and", "$or", "$nor"})
_OTHERS = frozenset({"$exists", "$size", "$not", "$elemMatch", "$regex"})
OPERATORS = _COMPARE | _LISTS | _JOIN | _OTHERS
"""Every operator that is let through."""
# Literal characters, anchored or not: nothing that a matcher could go back over.
_PLAIN_PATTERN = re.compile(r"\^?(?:[\w ,:/=-]|\\\W)*\$?", re.ASCII)
_FIELD = re.compile(r"[A-Za-z0-9_+. -]{1,100}")

_MOST_FIELDS = 100
_AT_TEMPERATURE = ("e_hull", "e_hull_upper", "label", "open", "p_stable")


def mongo_criteria(raw: str | Mapping[str, object]) -> Criteria:
    """
    Check a MongoDB filter on summaries.

    ``raw``: JSON text, or what it holds. Returns: the same filter. Raises QueryError if
    it is no JSON object, too long or deep, names an unknown field, or uses an operator
    that is not in :data:`OPERATORS` (``$where``, ``$expr``, ``$function`` and ``$text``
    are not), or a pattern that is more than literal text.

    Examples
    --------
    >>> mongo_criteria('{"energy_above_hull_at.1473K": {"$lte": 0.025}}')
    {'energy_above_hull_at.1473K': {'$lte': 0.025}}
    """
    found = _read(raw) if isinstance(raw, str) else raw
    if not isinstance(found, dict):
        raise QueryError('a MongoDB filter is a JSON object: {"family": "hedrx"}')
    checker = _Checker()
    checker.criteria(found, depth=0)
    return dict(found)


def _read(text: str) -> object:
    if len(text) > LONGEST:
        raise QueryError(f"a filter has at most {LONGEST} characters, not {len(text)}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as err:
        raise QueryError(f"the MongoDB filter is no JSON: {err}") from err


class _Checker:
    """Walks a filter once and counts its parts."""

    def __init__(self) -> None:
        self.parts = 0

    def criteria(self, found: object, *, depth: int) -> None:
        """Check a document of fields and joining operators."""
        self._count(depth)
        if not isinstance(found, dict):
            raise QueryError(f"a filter is an object of fields, not {found!r}")
        for name, value in found.items():
            if name in _JOIN:
                if not isinstance(value, list) or not value:
                    raise QueryError(f"{name} takes a list of filters")
                for part in value:
                    self.criteria(part, depth=depth + 1)
                continue
            _check_name(name)
            self.condition(name, value, depth=depth + 1)

    def condition(self, place: str, value: object, *, depth: int) -> None:
        """Check what a field is compared with."""
        self._count(depth)
        if not isinstance(value, dict):
            self.value(place, value)
            return
        if not value:
            raise QueryError(f"{place}: an empty object compares with nothing")
        for operator, operand in value.items():
            self._operator(place, str(operator), operand, depth=depth)

    def _operator(
        self, place: str, operator: str, operand: object, *, depth: int
    ) -> None:
        if operator not in OPERATORS - _JOIN:
            raise QueryError(
                f"{place}: {operator} is not let through; known operators are "
                f"{', '.join(sorted(OPERATORS))}"
            )
        if operator in _COMPARE:
            self.value(place, operand)
        elif operator in _LISTS:
            if not isinstance(operand, list):
                raise QueryError(f"{place}: {operator} takes a list")
            for item in operand:
                self.value(place, item)
        elif operator in ("$not", "$elemMatch"):
            self._inner(place, operator, operand, depth=depth)
        else:
            _check_operand(place, operator, operand)

    def _inner(self, place: str, operator: str, operand: object, *, depth: int) -> None:
        if not isinstance(operand, dict):
            raise QueryError(f"{place}: {operator} takes an object")
        if operator == "$elemMatch" and not any(
            str(name).startswith("$") for name in operand
        ):
            for name, value in operand.items():
                if _FIELD.fullmatch(str(name)) is None:
                    raise QueryError(f"{place}: {name!r} is no field")
                self.condition(f"{place}.{name}", value, depth=depth + 1)
            return
        self.condition(place, operand, depth=depth + 1)

    def value(self, place: str, value: object) -> None:
        """Check one value that is compared with."""
        self._count(0)
        if isinstance(value, str):
            _check_text(place, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            if not isfinite(value) or abs(value) > _LARGEST_INTEGER:
                raise QueryError(f"{place}: the number is too large")
        elif value is not None and not isinstance(value, bool):
            raise QueryError(f"{place}: {value!r} is no number, text, true or null")

    def _count(self, depth: int) -> None:
        self.parts += 1
        if depth > DEEPEST:
            raise QueryError(f"a filter has at most {DEEPEST} levels")
        if self.parts > MOST_PARTS:
            raise QueryError(f"a filter has at most {MOST_PARTS} parts")


def _check_name(name: object) -> None:
    """Refuse a field that summaries do not have."""
    text = str(name)
    if text.startswith("$"):
        raise QueryError(f"{text} is not let through here")
    first = text.split(".", maxsplit=1)[0]
    if first in SummaryDoc.model_fields and _FIELD.fullmatch(text):
        return
    near = get_close_matches(first, SummaryDoc.model_fields, n=4, cutoff=0.4)
    known = near or sorted(SummaryDoc.model_fields)
    raise QueryError(f"summaries have no field {text!r}; near it: {', '.join(known)}")


def _check_operand(place: str, operator: str, operand: object) -> None:
    if operator == "$exists" and not isinstance(operand, bool):
        raise QueryError(f"{place}: $exists takes true or false")
    if operator == "$size" and (
        isinstance(operand, bool) or not isinstance(operand, int) or operand < 0
    ):
        raise QueryError(f"{place}: $size takes a whole number")
    if operator == "$regex":
        if not isinstance(operand, str):
            raise QueryError(f"{place}: $regex takes text")
        _check_text(place, operand)
        if _PLAIN_PATTERN.fullmatch(operand) is None:
            raise QueryError(
                f"{place}: a pattern is literal text, with ^ before and $ behind it if "
                "wanted and \\ before signs; repetitions, groups and classes are not "
                "let through"
            )


def _check_text(place: str, text: str) -> None:
    if len(text) > _LONGEST_TEXT:
        raise QueryError(f"{place}: a text has at most {_LONGEST_TEXT} characters")
    if not text.isprintable():
        raise QueryError(f"{place}: {text!r} is not plain text")


def criteria_of(
    asked: Filter | None, *, temperatures: Collection[float] | None = None
) -> Criteria:
    """
    Read a filter of either language.

    ``asked``: text in OPTIMADE's language, a MongoDB filter, or nothing.
    ``temperatures``: stored temperatures in K, as for
    :func:`~hts_battery.query.filters.filter_criteria`. Raises QueryError if it is
    refused.
    """
    if asked is None:
        return {}
    if isinstance(asked, str):
        return filter_criteria(asked, temperatures=temperatures)
    return mongo_criteria(asked)


def joined(*parts: Criteria) -> Criteria:
    """Join filters by AND."""
    return conjunction([part for part in parts if part])


def fields_of(
    names: Sequence[str], *, temperatures: Collection[float] | None = None
) -> list[QueryField]:
    """
    Find the fields of a list of names.

    Raises QueryError if one is unknown, or there are too many.

    Examples
    --------
    >>> [field.path for field in fields_of(["formula", "e_hull_0"])]
    ['formula', 'energy_above_hull_at.0K']
    """
    if len(names) > _MOST_FIELDS:
        raise QueryError(f"at most {_MOST_FIELDS} fields, not {len(names)}")
    return [query_field(name, temperatures=temperatures) for name in names]


def default_fields(temperatures: Iterable[float]) -> tuple[str, ...]:
    """
    Name the fields of a table for which none are asked for.

    ``temperatures``: stored temperatures in K.

    Examples
    --------
    >>> default_fields([0.0, 1473.0])[4:8]
    ('e_hull', 'e_hull_1473', 'e_hull_upper_1473', 'label_1473')
    """
    hot = [f"{kelvin:g}".replace(".", "_") for kelvin in temperatures if kelvin > 0]
    return (
        *("candidate_id", "campaign", "formula", "n_metals", "e_hull"),
        *(f"{name}_{kelvin}" for kelvin in hot for name in _AT_TEMPERATURE),
        *("uncertainty", "n_orderings", "t_mix", "entropy", "engine"),
        *("hull_depth_risk", "hull_depth_risk_reported"),
        *("deviation", "calculated_formula", "flags"),
    )


def order_of(
    names: Sequence[str], *, temperatures: Collection[float] | None = None
) -> dict[str, int]:
    """
    Read an order: names of fields, falling ones with a minus before them.

    The key of the candidate comes last, so that an order is complete.

    Raises QueryError if a field is unknown, or a list, which has no order.

    Examples
    --------
    >>> order_of(["-t_mix"])
    {'mixing_temperature': -1, 'candidate_id': 1}
    """
    order: dict[str, int] = {}
    for field in fields_of(
        [name.removeprefix("-") for name in names], temperatures=temperatures
    ):
        if field.kind is Kind.LIST:
            raise QueryError(f"{field.name} is a list and has no order")
        order[field.path] = -1 if f"-{field.name}" in names else 1
    return {**order, "candidate_id": order.get("candidate_id", 1)}


def split_names(text: str | None) -> list[str]:
    """
    Split names at commas.

    Examples
    --------
    >>> split_names("formula, -e_hull")
    ['formula', '-e_hull']
    """
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def selected_rows(
    summaries: Iterable[Mapping[str, object]], fields: Sequence[QueryField]
) -> list[dict[str, object]]:
    """Return the chosen fields of summaries, by the names that were asked for."""
    return [
        {field.name: value_at(doc, field.path) for field in fields} for doc in summaries
    ]


def flat_rows(rows: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    """
    Write lists as text, so that a row fits into a table.

    Examples
    --------
    >>> flat_rows([{"elements": ["Li", "O"], "e_hull": 0.1}])
    [{'elements': 'Li; O', 'e_hull': 0.1}]
    """
    return [
        {
            name: "; ".join(map(str, value)) if isinstance(value, list) else value
            for name, value in row.items()
        }
        for row in rows
    ]
