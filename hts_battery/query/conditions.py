"""Conditions on summaries, each with its negation, in the forms that indexes serve."""

from __future__ import annotations

import re
from itertools import combinations
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from hts_battery.errors import CompositionError, QueryError
from hts_battery.query.query_fields import Kind, QueryField
from hts_battery.schemas.formula import ELEMENTS, canonical_formula, parse_formula
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.summary import UNPAIRED_ELEMENTS, element_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

Criteria = dict[str, object]
"""A MongoDB filter."""

_OPERATORS = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_LARGEST_INTEGER = 2**53
# A thousand subsets are looked up at once; more elements are tested one by one.
_MOST_SYSTEMS_OF = 10


class Condition(NamedTuple):
    """A condition and its negation; what is unknown fulfils neither."""

    positive: Criteria
    negative: Criteria


def all_of(parts: Sequence[Condition]) -> Condition:
    """Join conditions by AND."""
    return Condition(
        conjunction([part.positive for part in parts]),
        disjunction([part.negative for part in parts]),
    )


def any_of(parts: Sequence[Condition]) -> Condition:
    """Join conditions by OR."""
    return Condition(
        disjunction([part.positive for part in parts]),
        conjunction([part.negative for part in parts]),
    )


def parts_of(value: object) -> list[Criteria]:
    """Return the filters that an operator joins."""
    return cast("list[Criteria]", value)


def conjunction(parts: Sequence[Criteria]) -> Criteria:
    """
    Join filters by AND in one flat document, as far as that is the same.

    Examples
    --------
    >>> conjunction([{"a": {"$gt": 1}}, {"a": {"$lt": 3}}, {"b": 2}])
    {'a': {'$gt': 1, '$lt': 3}, 'b': 2}
    >>> conjunction([{"a": 1}, {"a": 2}])
    {'a': 1, '$and': [{'a': 2}]}
    """
    joined: Criteria = {}
    others: list[Criteria] = []
    pending = [item for part in parts for item in part.items()]
    while pending:
        path, value = pending.pop(0)
        if path == "$and":
            pending[:0] = [item for part in parts_of(value) for item in part.items()]
        elif path not in joined:
            joined[path] = value
        elif (both := _both_operators(joined[path], value)) is not None:
            joined[path] = both
        elif joined[path] != value:
            others.append({path: value})
    if others:
        joined["$and"] = others
    return joined


def _both_operators(first: object, second: object) -> Criteria | None:
    """Join two conditions on one path; None unless their operators do not collide."""
    if not isinstance(first, dict) or not isinstance(second, dict):
        return None
    return first | second if first.keys().isdisjoint(second) else None


def disjunction(parts: Sequence[Criteria]) -> Criteria:
    """
    Join filters by OR; values of one field become a list, which an index serves.

    Examples
    --------
    >>> disjunction([{"family": "hedrx"}, {"family": "nasicon"}])
    {'family': {'$in': ['hedrx', 'nasicon']}}
    """
    if len(parts) == 1:
        return parts[0]
    values = [_values(part) for part in parts]
    paths = {path for part in parts for path in part}
    if len(paths) == 1 and None not in values:
        listed = [value for found in values for value in found or ()]
        return {paths.pop(): {"$in": list(dict.fromkeys(listed))}}
    return {"$or": list(parts)}


def _values(part: Criteria) -> list[Any] | None:
    """Values of one field that a filter allows; None if it is another filter."""
    if len(part) != 1:
        return None
    ((path, value),) = part.items()
    if path.startswith("$"):
        return None
    if isinstance(value, dict):
        return value["$in"] if list(value) == ["$in"] else None
    return [value]


def known(field: QueryField) -> Condition:
    """Say that a field has a value."""
    return Condition({field.path: {"$ne": None}}, {field.path: None})


def comparison(field: QueryField, operator: str, value: object) -> Condition:
    """
    Compare a field with a value.

    ``field``: a field that is no list. ``operator``: one of ``= != < <= > >=``.
    ``value``: number or text. Raises QueryError if the field cannot be compared with
    that.
    """
    if field.kind is Kind.LIST:
        raise QueryError(
            f'{field.name} is a list: write {field.name} HAS "…", HAS ALL, HAS ANY or '
            "HAS ONLY"
        )
    if operator in ("=", "!="):
        path, wanted = _equal(field, value)
        found = Condition({path: wanted}, {path: {"$nin": [wanted, None]}})
        return found if operator == "=" else Condition(found.negative, found.positive)
    if field.kind is Kind.BOOLEAN:
        raise QueryError(f"{field.name} is TRUE or FALSE: compare it with = or !=")
    if field.kind is Kind.TEXT:
        raise QueryError(
            f"{field.name} is text: compare it with =, !=, STARTS WITH, CONTAINS or "
            "ENDS WITH"
        )
    wanted = checked_value(field, value)
    return Condition(
        {field.path: {_OPERATORS[operator]: wanted}},
        {field.path: {_OPERATORS[_OPPOSITE[operator]]: wanted}},
    )


def _equal(field: QueryField, value: object) -> tuple[str, Any]:
    wanted = checked_value(field, value)
    if field.name == "formula":
        try:
            return "canonical_formula", canonical_formula(parse_formula(str(wanted)))
        except CompositionError as err:
            raise QueryError(f"formula: {err}") from err
    if field.name == "chemical_system":
        symbols = [_element(field, part) for part in str(wanted).split("-")]
        return field.path, "-".join(sorted(set(symbols)))
    return field.path, wanted


def checked_value(field: QueryField, value: object) -> float | int | str | bool:
    """
    Return a value of the kind that a field holds.

    Raises QueryError if it is of another kind, not finite, or none of the field's
    choices.
    """
    if field.kind in (Kind.TEXT, Kind.LIST):
        return _checked_text(field, value)
    if field.kind is Kind.BOOLEAN:
        return _checked_boolean(field, value)
    return _checked_number(field, value)


def _checked_boolean(field: QueryField, value: object) -> bool:
    if not isinstance(value, bool):
        raise QueryError(f"{field.name} is TRUE or FALSE, not {value!r}")
    return value


def _checked_number(field: QueryField, value: object) -> float | int:
    unit = f" in {field.unit}" if field.unit else ""
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


def _checked_text(field: QueryField, value: object) -> str:
    if not isinstance(value, str):
        raise QueryError(f'{field.name} is text: write it in quotes, "{value}"')
    if field.choices and value not in field.choices:
        raise QueryError(
            f"{field.name} is one of {', '.join(field.choices)}, not {value!r}"
        )
    return value


def text_part(field: QueryField, place: str, value: object) -> Condition:
    """
    Look for a piece of text, taken literally.

    ``field``: a text field. ``place``: ``STARTS``, ``CONTAINS`` or ``ENDS``. Raises
    QueryError if the field or the value is no text.
    """
    if field.kind is not Kind.TEXT:
        raise QueryError(f"{field.name} is not text: {place} cannot be asked of it")
    if not isinstance(value, str):
        raise QueryError(f'{field.name} is text: write it in quotes, "{value}"')
    literal = re.escape(value)
    pattern = {"STARTS": f"^{literal}", "ENDS": f"{literal}$"}.get(place, literal)
    return Condition(
        {field.path: {"$regex": pattern}},
        {field.path: {"$not": {"$regex": pattern}, "$ne": None}},
    )


def has(field: QueryField, how: str, values: Sequence[object]) -> Condition:
    """
    Say what a list holds.

    ``field``: a field that is a list. ``how``: ``ALL``, ``ANY`` or ``ONLY``.
    ``values``: at least one value. Raises QueryError if the field is no list, or a
    value can stand in none.
    """
    if field.kind is not Kind.LIST:
        raise QueryError(f"{field.name} is no list: compare it with = instead of HAS")
    wanted = list(dict.fromkeys(_item(field, value) for value in values))
    path = field.path
    if how == "ONLY":
        # A list of nothing else; a field that is missing is none.
        offending: Criteria = {"$nin": wanted}
        if field.name == "decomposition":
            # A list of phases, not of texts: the condition is on each phase.
            path, _, inner = path.partition(".")
            offending = {inner: offending}
        only = {"$not": {"$elemMatch": offending}, "$exists": True}
        other: Criteria = {path: {"$elemMatch": offending}}
        return Condition(conjunction([_systems(field, wanted), {path: only}]), other)
    if how == "ANY" or len(wanted) == 1:
        one: object = wanted[0] if len(wanted) == 1 else {"$in": wanted}
        exact = {} if field.name == "elements" else {path: one}
        keys = _keys(field, wanted, every=False)
        return Condition(conjunction([keys, exact]), {path: {"$nin": wanted}})
    keys = _keys(field, wanted, every=True)
    exact = {path: {"$all": wanted}}
    return Condition(conjunction([keys, exact]), {path: {"$not": {"$all": wanted}}})


def list_length(field: QueryField, operator: str, value: int) -> Condition:
    """Compare the number of elements."""
    if field.name != "elements":
        raise QueryError(f"LENGTH can be asked of elements, not of {field.name}")
    length = QueryField("elements LENGTH", "n_elements", Kind.INTEGER, None, "")
    return comparison(length, operator, value)


def _item(field: QueryField, value: object) -> str:
    text = _checked_text(field, value)
    if field.name == "species":
        try:
            return str(parse_species(text))
        except CompositionError as err:
            raise QueryError(f"species: {err}") from err
    if _of_elements(field):
        return _element(field, text)
    return text


def _of_elements(field: QueryField) -> bool:
    return field.path == "elements" or field.path.startswith("roles.")


def _element(field: QueryField, symbol: str) -> str:
    if symbol not in ELEMENTS:
        raise QueryError(f"{field.name}: {symbol!r} is not an element")
    return symbol


def _keys(field: QueryField, values: Sequence[str], *, every: bool) -> Criteria:
    """Return what the indexed keys of elements say of a list, if anything."""
    if field.name == "species":
        symbols = sorted({parse_species(value).element for value in values})
    elif _of_elements(field):
        symbols = sorted(values)
    else:
        return {}
    if not every:
        return {"element_keys": symbols[0] if len(symbols) == 1 else {"$in": symbols}}
    pairs = element_pairs(symbols)
    # The rarest of them cannot be known here; a single metal is rarer than a carrier.
    single = sorted(symbols, key=lambda symbol: symbol in UNPAIRED_ELEMENTS)
    return {"element_keys": pairs[0] if pairs else single[0]}


def _systems(field: QueryField, wanted: Sequence[str]) -> Criteria:
    """Return the chemical systems of some elements, where they are few."""
    if field.path != "elements":
        return {}
    if len(wanted) > _MOST_SYSTEMS_OF:
        return {"n_elements": {"$lte": len(wanted)}}
    systems = [
        "-".join(found)
        for size in range(1, len(wanted) + 1)
        for found in combinations(sorted(wanted), size)
    ]
    return {"chemical_system": {"$in": systems}}
