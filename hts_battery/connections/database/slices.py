"""
Reading large collections in slices.

The embedded server holds the whole answer to a question in memory, at about ten times
its size, so a question must never ask for a whole collection of outputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hts_battery.connections.database.collection_specs import SLICED_BY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pymongo.collection import Collection

SLICE = 250
"""About how many documents a slice holds at most."""


def bounds(count: int, size: int = SLICE) -> Iterator[dict[str, str]]:
    """
    Cut values that begin with random hexadecimal digits into slices of a size at most.

    Every text lies in one slice, also one that begins with something else. Bounds are
    in MongoDB's words; none where one slice is enough.

    Examples
    --------
    >>> cut = list(bounds(1000, 100))
    >>> cut[0], cut[1], cut[-1], len(cut)
    ({'$lt': '1'}, {'$gte': '1', '$lt': '2'}, {'$gte': 'f'}, 16)
    """
    digits = 0
    while count > size * 16**digits:
        digits += 1
    starts = [f"{number:0{digits}x}" for number in range(1, 16**digits)]
    for start, end in zip([None, *starts], [*starts, None], strict=True):
        both = {"$gte": start, "$lt": end}
        yield {word: bound for word, bound in both.items() if bound is not None}


def slices_of(collection: Collection[Any]) -> list[dict[str, object]]:
    """
    Return filters of which every document of a collection matches exactly one.

    Where it is none of ``SLICED_BY``, or lacks the index, the only filter matches all.
    A document whose field is neither a text nor missing matches none.
    """
    field = SLICED_BY.get(collection.name)
    cut = list(bounds(collection.estimated_document_count())) if field else []
    # Without the index each slice would cost as much as everything.
    if field is None or len(cut) == 1 or field not in _first_indexed(collection):
        return [{}]
    filters: list[dict[str, object]] = [{field: one} for one in cut]
    # The last one matches those that lack the field, which bounds do not.
    return [*filters, {field: None}]


def read_sliced(
    collection: Collection[Any], fields: Sequence[str] | None = None
) -> Iterator[Any]:
    """Yield every document of a collection, or some fields of each, slice by slice."""
    for criteria in slices_of(collection):
        yield from collection.find(criteria, fields)


def _first_indexed(collection: Collection[Any]) -> set[str]:
    """Name the fields with which indexes begin."""
    return {one["key"][0][0] for one in collection.index_information().values()}
