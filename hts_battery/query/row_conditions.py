"""Checked MongoDB filters, tested on columns as a server would on documents."""

from __future__ import annotations

import re
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any, Protocol

from hts_battery.query.conditions import parts_of
from hts_battery.schemas.summary import element_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hts_battery.query.conditions import Criteria

    Test = Callable[[Any], bool]

_JOINS = ("$and", "$or", "$nor")
_ORDERINGS = {"$lt": lt, "$lte": le, "$gt": gt, "$gte": ge}
_KEYS = "element_keys"


class Column(Protocol):
    """The values of one path, by row."""

    def __getitem__(self, row: int, /) -> Any: ...  # noqa: ANN401 - any JSON value


def without_keys(criteria: Criteria) -> Criteria | None:
    """
    Say of the elements what a filter says of their indexed keys.

    Returns: None where a condition on the keys says more than that.

    Examples
    --------
    >>> without_keys({"element_keys": "Mn-Ti"})
    {'$and': [{'elements': {'$all': ['Mn', 'Ti']}}]}
    """
    found: Criteria = {}
    every: list[Criteria] = []
    for path, value in criteria.items():
        if path in _JOINS:
            parts = [without_keys(part) for part in parts_of(value)]
            if None in parts:
                return None
            found[path] = parts
        elif path == _KEYS:
            condition = _of_elements(value)
            if condition is None:
                return None
            every.append({"elements": condition})
        else:
            found[path] = value
    if every:
        found["$and"] = [*parts_of(found.get("$and", [])), *every]
    return found


def _of_elements(value: object) -> object | None:
    if isinstance(value, str):
        symbols = value.split("-")
        if len(symbols) == 1:
            return value
        return {"$all": symbols} if element_pairs(symbols) == (value,) else None
    if isinstance(value, dict) and list(value) == ["$in"]:
        singles = all(isinstance(one, str) and "-" not in one for one in value["$in"])
        return value if singles else None
    return None


def paths_of(criteria: Criteria) -> set[str]:
    """
    Name every path that a filter looks at.

    Examples
    --------
    >>> sorted(paths_of({"$or": [{"a": 1}, {"b.c": {"$gt": 2}}]}))
    ['a', 'b.c']
    """
    found = set()
    for path, value in criteria.items():
        if path in _JOINS:
            found |= {name for part in parts_of(value) for name in paths_of(part)}
        else:
            found.add(path)
    return found


def matching(
    criteria: Criteria, columns: Mapping[str, Column], rows: Iterable[int]
) -> list[int]:
    """
    Return the rows that fulfil a filter, in their order.

    ``criteria``: a checked filter; a path of it that is a map's holds null where it is
    missing. ``columns``: path → value of every row. ``rows``: those that are tested.
    """
    left = list(rows)
    for path, value in criteria.items():
        if path == "$and":
            for part in parts_of(value):
                left = matching(part, columns, left)
        elif path in ("$or", "$nor"):
            some = {
                row for part in parts_of(value) for row in matching(part, columns, left)
            }
            left = [row for row in left if (row in some) == (path == "$or")]
        else:
            test, column = _test(value, is_map="." in path), columns[path]
            left = [row for row in left if test(column[row])]
    return left


def _test(value: object, *, is_map: bool) -> Test:
    """Make the test that a condition is of one value, which may be a list."""
    if not isinstance(value, dict):
        return _equals(value)
    tests = [_operator(name, operand, is_map=is_map) for name, operand in value.items()]
    if len(tests) == 1:
        return tests[0]
    return lambda found: all(test(found) for test in tests)


def _operator(name: str, operand: Any, *, is_map: bool) -> Test:  # noqa: ANN401 - any JSON value
    if name in _ORDERINGS:
        return _ordered(name, operand)
    if name in ("$not", "$ne", "$nin"):
        opposite = {"$not": operand, "$ne": {"$eq": operand}, "$nin": {"$in": operand}}
        inner = _test(opposite[name], is_map=is_map)
        return lambda found: not inner(found)
    if name == "$elemMatch":
        if list(operand) == ["$nin"]:
            others = frozenset(operand["$nin"])
            return lambda found: (
                isinstance(found, list) and not others.issuperset(found)
            )
        each = _test(operand, is_map=is_map)
        return lambda found: isinstance(found, list) and any(map(each, found))
    if name in ("$in", "$all"):
        return _listed(name, operand)
    makers: dict[str, Callable[[], Test]] = {
        "$eq": lambda: _equals(operand),
        "$exists": lambda: lambda found: (found is not None or not is_map) == operand,
        "$regex": lambda: _pattern(operand),
        "$size": lambda: (
            lambda found: isinstance(found, list) and len(found) == operand
        ),
    }
    return makers[name]()


def _equals(wanted: object) -> Test:
    if isinstance(wanted, str):
        return lambda found: (
            wanted in found if isinstance(found, list) else found == wanted
        )
    kind = isinstance(wanted, bool)

    def test(found: object) -> bool:
        if isinstance(found, list):
            return any(one == wanted and isinstance(one, bool) == kind for one in found)
        return found == wanted and isinstance(found, bool) == kind

    return test


def _listed(name: str, wanted: Sequence[Any]) -> Test:
    if name == "$all":
        every = frozenset(wanted)
        if every and all(isinstance(one, str) for one in every):
            return lambda found: every.issubset(
                found if isinstance(found, list) else (found,)
            )
        tests = [_equals(one) for one in wanted]
        return lambda found: bool(tests) and all(test(found) for test in tests)
    # True equals 1 here and not in MongoDB: a set that holds either is not used.
    if any(isinstance(one, bool) for one in wanted):
        each = [_equals(one) for one in wanted]
        return lambda found: any(test(found) for test in each)
    known = frozenset(wanted)

    def test(found: object) -> bool:
        if isinstance(found, list):
            return not known.isdisjoint(found)
        return found in known

    return test


def _ordered(name: str, bound: Any) -> Test:  # noqa: ANN401 - any JSON value
    """Compare numbers with numbers and text with text; anything else is false."""
    compare = _ORDERINGS[name]
    kind = str if isinstance(bound, str) else (int, float)
    if bound is None or isinstance(bound, bool):
        equal = name in ("$lte", "$gte")
        same = _equals(bound)
        return lambda found: equal and same(found)

    def test(found: Any) -> bool:  # noqa: ANN401 - any JSON value
        if isinstance(found, list):
            return any(test(one) for one in found)
        return isinstance(found, kind) and compare(found, bound)

    return test


def _pattern(text: str) -> Test:
    search = re.compile(text).search

    def test(found: object) -> bool:
        if isinstance(found, list):
            return any(test(one) for one in found)
        return isinstance(found, str) and search(found) is not None

    return test
