"""Filters and orders answered from columns: dozens of documents instead of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import orjson

from hts_battery.query.query_fields import value_at
from hts_battery.query.row_conditions import matching, paths_of, without_keys
from hts_battery.schemas.aggregate import COLUMN_FIELDS, COLUMN_LISTS, COLUMN_MAPS

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from hts_battery.connections.database.stores import Stores
    from hts_battery.query.conditions import Criteria
    from hts_battery.query.row_conditions import Column
    from hts_battery.schemas.rows import SummaryRow

    Row = dict[str, object]
    """Path → value, of one summary."""

RowT = TypeVar("RowT")
_CAMPAIGN = "campaign"
_KEY = "candidate_id"
_VOUCHED = (_CAMPAIGN, "n_candidates", "columns", "input_digest")
"""What an aggregate says of the columns."""
_TRIES = 2
"""A build may replace the columns between the two readings of one try."""


def is_column(path: str) -> bool:
    """
    Say whether a path of a summary is kept as a column.

    Examples
    --------
    >>> is_column("label_at.1473K"), is_column("decomposition.formula")
    (True, False)
    """
    field, _, key = path.partition(".")
    if key:
        return field in COLUMN_MAPS and "." not in key
    return path in (*COLUMN_FIELDS, _CAMPAIGN)


@dataclass(frozen=True)
class ColumnReader:
    """
    Answers filters from what the last build left in columns.

    ``time_limit``: seconds that the server may take for one query; none if not given.
    """

    stores: Stores
    time_limit: float | None = None

    def rows(self, criteria: Criteria, paths: Collection[str]) -> list[Row] | None:
        """
        Return some fields of the summaries that fulfil a filter.

        ``criteria``: a checked filter. ``paths``: fields, dotted. Returns: None where
        there are no columns for that: before a build, or of a field that is not kept as
        one.
        """
        wanted = without_keys(criteria)
        if wanted is None:
            return None
        needed = paths_of(wanted) | set(paths) | {_KEY}
        if not all(map(is_column, needed)):
            return None
        for _ in range(_TRIES):
            found = self._read(wanted, needed, paths)
            if found is not None:
                return found
        return None

    def _read(
        self, criteria: Criteria, needed: set[str], paths: Collection[str]
    ) -> list[Row] | None:
        found: list[Row] = []
        stages = [{"$project": dict.fromkeys(_VOUCHED, 1)}]
        campaigns = list(self.stores.aggregates.aggregated(stages))
        if not campaigns:
            return None
        for doc in sorted(campaigns, key=lambda one: str(one[_CAMPAIGN])):
            if not _may_hold(criteria, doc[_CAMPAIGN]):
                continue
            columns = self._columns(doc, needed)
            if columns is None:
                return None
            kept = matching(criteria, columns, range(doc["n_candidates"]))
            chosen = {path: columns[path] for path in paths}
            found += [
                {path: values[row] for path, values in chosen.items()} for row in kept
            ]
        return found

    def _columns(
        self, doc: Mapping[str, Any], needed: Collection[str]
    ) -> dict[str, Column] | None:
        """Read the columns of one campaign; None where one is not whole."""
        count = doc["n_candidates"]
        known = set(doc.get("columns", ())) & set(needed)
        match = {
            _CAMPAIGN: doc[_CAMPAIGN],
            "version": doc["input_digest"],
            "path": {"$in": sorted(known)},
        }
        stages = [
            {"$match": match},
            {"$project": {"first_row": 1, "path": 1, "values": 1}},
        ]
        columns: dict[str, list[Any]] = {path: [] for path in known}
        blocks = self.stores.summary_columns.aggregated(
            stages, time_limit=self.time_limit
        )
        for block in sorted(blocks, key=lambda one: int(one["first_row"])):
            columns[block["path"]] += orjson.loads(block["values"])
        missing = [path for path in needed if path not in known and path != _CAMPAIGN]
        if any(len(values) != count for values in columns.values()) or any(
            "." not in path for path in missing
        ):
            return None
        empty = [None] * count
        return {
            _CAMPAIGN: [doc[_CAMPAIGN]] * count,
            **{
                path: _Packed(values) if _is_packed(path) else values
                for path, values in columns.items()
            },
            **dict.fromkeys(missing, empty),
        }


@dataclass(frozen=True)
class _Packed:
    """
    Values that are lists, taken apart when one is asked for.

    Tens of thousands of lists at once would keep the garbage collector busy for as
    long as everything else takes.
    """

    texts: Sequence[str]

    def __getitem__(self, row: int) -> Any:  # noqa: ANN401 - a list, or null
        return orjson.loads(self.texts[row])


def _is_packed(path: str) -> bool:
    return path.partition(".")[0] in COLUMN_LISTS


def _may_hold(criteria: Criteria, campaign: str) -> bool:
    """Say whether a campaign need be read; a filter may name another one."""
    named = {_CAMPAIGN: criteria[_CAMPAIGN]} if _CAMPAIGN in criteria else {}
    return bool(matching(named, {_CAMPAIGN: [campaign]}, [0]))


def in_order(rows: Sequence[Row], order: Mapping[str, int]) -> list[Row]:
    """
    Sort rows as a server does: what is unknown is the lowest.

    ``rows``: with every path of the order. ``order``: path → 1 or -1, the most
    important first.

    Examples
    --------
    >>> in_order([{"a": 2}, {"a": None}, {"a": 1}], {"a": -1})
    [{'a': 2}, {'a': 1}, {'a': None}]
    """
    return _sorted(rows, order, lambda row, path: row[path])


def sorted_documents(
    docs: Iterable[SummaryRow], order: Mapping[str, int]
) -> list[SummaryRow]:
    """
    Sort summaries as a server does.

    Examples
    --------
    >>> sorted_documents([{"at": {"0K": 2}}, {"at": {"0K": 1}}], {"at.0K": 1})
    [{'at': {'0K': 1}}, {'at': {'0K': 2}}]
    """
    return _sorted(docs, order, cast("Callable[[SummaryRow, str], Any]", value_at))


def _sorted(
    rows: Iterable[RowT], order: Mapping[str, int], value_of: Callable[[RowT, str], Any]
) -> list[RowT]:
    found = list(rows)
    for path, direction in reversed(list(order.items())):
        found.sort(
            key=lambda row: _sortable(value_of(row, path)), reverse=direction < 0
        )
    return found


def _sortable(value: object) -> tuple[bool, Any]:
    return value is not None, 0 if value is None else value


def documents(rows: Sequence[Row]) -> Iterator[SummaryRow]:
    """
    Write rows as the summaries that they are of, as far as they go.

    Examples
    --------
    >>> list(documents([{"formula": "LiF", "label_at.0K": "GS"}]))
    [{'formula': 'LiF', 'label_at': {'0K': 'GS'}}]
    """
    for row in rows:
        doc: dict[str, Any] = {}
        for path, value in row.items():
            field, _, key = path.partition(".")
            if not key:
                doc[field] = value
            elif value is not None:
                doc.setdefault(field, {})[key] = value
        yield cast("SummaryRow", doc)
