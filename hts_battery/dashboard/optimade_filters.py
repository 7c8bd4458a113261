"""What the optimade library's filters leave out of the standard, for our documents."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lark import v_args
from optimade.exceptions import BadRequest, NotImplementedResponse
from optimade.filtertransformers.mongo import MongoTransformer, recursive_postprocessing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHANGED = "last_modified"
OF_THE_CELL = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species",
    "species_at_sites",
)
"""Properties that are read from the task: they can be had, and asked whether known."""
_LISTS = frozenset(
    ("elements", "elements_ratios", "dimension_types", "structure_features", "flags")
)
_TYPE = "type"
_ENTRY = "structures"
_NO_ENTRY: dict[str, Any] = {"$in": []}
_INVERSE = {
    "$eq": "$ne",
    "$ne": "$eq",
    "$lt": "$gte",
    "$gte": "$lt",
    "$gt": "$lte",
    "$lte": "$gt",
}


class LiteralTransformer(MongoTransformer):
    """
    Takes texts as they stand, not as patterns, and refuses what is no time.

    Negates HAS ONLY and LENGTH, knows LENGTH != and the property ``type``, and says of
    what it cannot answer that it cannot.
    """

    def fuzzy_string_op_rhs(self, arg: list[Any]) -> dict[str, Any]:
        """Escape what is compared with CONTAINS, STARTS and ENDS."""
        *words, text = arg
        found: dict[str, Any] = super().fuzzy_string_op_rhs(  # type: ignore[no-untyped-call]
            [*words, re.escape(str(text))]
        )
        return found

    def bool(self, words: list[Any]) -> bool:
        """Read TRUE and FALSE, which the library does not."""
        return str(words[0]) == "TRUE"

    def length_op_rhs(self, arg: list[Any]) -> dict[str, Any]:
        """Read a length with any operator, that of equality included."""
        _, *operator, value = arg
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise BadRequest(detail="a LENGTH is compared with an integer, 0 or more")
        return {
            "$size": {self.operator_map[str(operator[0])] if operator else "$eq": value}
        }

    @v_args(inline=True)
    def property_first_comparison(
        self, quantity: str, query: dict[str, Any]
    ) -> dict[str, Any]:
        """Compare a property, and refuse what cannot be asked of it."""
        if quantity in OF_THE_CELL and "#known" not in query:
            raise NotImplementedResponse(
                detail=f"{quantity} can be had and not asked for, but for IS KNOWN"
            )
        if quantity in _LISTS and query.keys() & {*_INVERSE, "$regex"}:
            raise BadRequest(detail=f"{quantity} is a list: ask with HAS or LENGTH")
        if "$size" in query and quantity == "elements":
            return {"nelements": query["$size"]}
        if "$ne" in query:
            return {"$and": [{quantity: query}, {quantity: {"$ne": None}}]}
        return {quantity: query}

    def _recursive_expression_phrase(self, arg: list[Any]) -> dict[str, Any]:
        """Negate what the library cannot; what is null or missing matches neither."""
        if len(arg) > 1 and len(arg[1]) == 1:
            ((name, compared),) = arg[1].items()
            if isinstance(compared, dict) and "$size" in compared:
                ((operator, value),) = compared["$size"].items()
                return {name: {"$size": {_INVERSE[operator]: value}}}
            if isinstance(compared, dict) and "#only" in compared:
                return {name: {"#others": compared["#only"]}}
        found: dict[str, Any] = super()._recursive_expression_phrase(arg)
        return found

    def postprocess(self, query: dict[str, Any]) -> dict[str, Any]:
        """Finish a filter: lengths, HAS ONLY, ``type``, the cell, then the library."""
        for condition, made in (
            ("$size", _lengths),
            ("#others", _others),
        ):
            query = recursive_postprocessing(query, _holds(condition), _replacing(made))
        query = recursive_postprocessing(
            query, lambda name, _: name == _TYPE, _replacing(_of_the_type)
        )
        found: dict[str, Any] = super().postprocess(query)  # type: ignore[no-untyped-call]
        return recursive_postprocessing(
            found, lambda name, _: name in OF_THE_CELL, _replacing(_of_the_cell)
        )

    def _apply_length_operators(self, filter_: dict[str, Any]) -> dict[str, Any]:
        """Leave lengths alone: they are done."""
        return filter_

    def _apply_mongo_date_filter(self, filter_: dict[str, Any]) -> dict[str, Any]:
        """Read times: the library fails on what is none, and on IS KNOWN."""
        found: dict[str, Any] = recursive_postprocessing(
            filter_,
            lambda name, _: name == CHANGED,
            lambda part, name, _: {**part, name: _times(part[name])},
        )
        return found


def _holds(key: str) -> Callable[[str, object], bool]:
    return lambda _, compared: isinstance(compared, dict) and key in compared


def _replacing(
    made: Callable[[str, dict[str, Any]], dict[str, Any]],
) -> Callable[[dict[str, Any], str, dict[str, Any]], dict[str, Any]]:
    """Put what is made of one comparison in its place."""

    def replace(
        part: dict[str, Any], name: str, compared: dict[str, Any]
    ) -> dict[str, Any]:
        rest = {key: value for key, value in part.items() if key != name}
        return {"$and": [rest, made(name, compared)]} if rest else made(name, compared)

    return replace


def _lengths(name: str, compared: Mapping[str, Any]) -> dict[str, Any]:
    """Compare the length of a list in words of MongoDB: by its n-th element."""
    ((operator, value),) = compared["$size"].items()
    known = {name: {"$ne": None}}
    if operator in {"$eq", "$ne"}:
        size = {"$size": value}
        return {"$and": [{name: {"$not": size} if operator == "$ne" else size}, known]}
    first = value if operator in {"$gte", "$lt"} else value + 1
    is_there = operator in {"$gt", "$gte"}
    if first == 0:  # every list has at least none
        return known if is_there else {name: _NO_ENTRY}
    element = {f"{name}.{first - 1}": {"$exists": is_there}}
    return {"$and": [element, known]}


def _others(name: str, compared: Mapping[str, Any]) -> dict[str, Any]:
    """Match lists that hold something else, or nothing at all."""
    other = {name: {"$elemMatch": {"$nin": compared["#others"]}}}
    return {"$or": [other, {name: {"$size": 0}}]}


def _of_the_type(_name: str, compared: Mapping[str, Any]) -> dict[str, Any]:
    """Answer for ``type``, which is the same for every entry and stored of none."""
    ((operator, value),) = compared.items()
    holds = {
        "$eq": value == _ENTRY,
        "$ne": value != _ENTRY,
        "$in": isinstance(value, list) and _ENTRY in value,
        "#known": bool(value),
        "$regex": isinstance(value, str) and re.search(value, _ENTRY) is not None,
    }.get(operator)
    if holds is None:
        raise NotImplementedResponse(detail="type is compared with = or !=")
    return {} if holds else {"id": _NO_ENTRY}


def _of_the_cell(_name: str, compared: Mapping[str, Any]) -> dict[str, Any]:
    """Answer whether a property of the cell is known: it always is."""
    return {} if compared in ({"$ne": None}, {"$exists": True}) else {"id": _NO_ENTRY}


def _times(compared: object) -> object:
    """Read the times that a property is compared with, below any operator."""
    if isinstance(compared, dict):
        return {name: _times(value) for name, value in compared.items()}
    if compared is None or isinstance(compared, bool):
        return compared
    try:
        found = datetime.fromisoformat(str(compared))
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(
            detail=f"{CHANGED} is compared with a time like 2026-01-31T12:00:00Z"
        ) from None
