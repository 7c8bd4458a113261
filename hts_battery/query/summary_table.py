"""The table of summaries as the last build left it: the one evaluator of filters."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from tempfile import NamedTemporaryFile
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from hts_battery.errors import QueryError, StoreError
from hts_battery.query.expressions import EVERYTHING, ONCE, one_of
from hts_battery.query.filters import read_filter
from hts_battery.query.query_fields import fields_at, query_field
from hts_battery.query.selection import DEFAULT_ORDER, order_of
from hts_battery.schemas.summary import temperature_key
from hts_battery.schemas.summary_table import (
    AMOUNTS,
    CELL,
    HEAD,
    CampaignTable,
    TableHead,
    arrow_schema,
    summaries_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hts_battery.schemas.field_spec import FieldSpec
    from hts_battery.schemas.rows import SummaryRow

    class ReadDocuments(Protocol):
        """Reads documents of a collection, some of their fields."""

        def __call__(
            self,
            collection: str,
            criteria: Mapping[str, object],
            fields: Sequence[str] | None = None,
            /,
        ) -> Iterable[Mapping[str, object]]:
            """Read."""


ENERGY_AT = "energy_above_hull_at."
OPEN_AT = "open_at."
COLLECTION = "summary_table"
_KEYS = ("campaign", "candidate_id")
_TRIES = 3
"""A build may replace the parts between the two readings of one try."""
_FORMAT = ds.ParquetFileFormat()
_ALWAYS = (
    *("canonical_formula", "uncertainty_source", "mixing", "other_mixing"),
    *("hull_depth_reason", "decomposition.amount", "input_digest", "cell.id"),
    *("cell.elements", "cell.nelements", "cell.nsites", "cell.last_modified"),
)

logger = logging.getLogger(__name__)


class RankedCandidate(NamedTuple):
    """The place of one candidate in the order of its campaign."""

    energy: float
    """E_hull at the temperature, eV/atom."""
    candidate_id: str
    campaign: str
    rank: int
    """1 is the most stable."""
    is_open: bool
    """Whether its label may turn."""


@dataclass(frozen=True)
class SummaryTable:
    """
    Every summary, one row each, in the order of campaign and candidate.

    The parts stand in files, of which a question reads the columns that it names, so
    that memory does not grow with the table.
    """

    head: TableHead
    """What it holds, and of which run."""
    files: tuple[tuple[str, pa.NativeFile], ...] = ()
    """Campaign and file of each part, in order; the files have no names any more."""

    @property
    def campaigns(self) -> dict[str, CampaignTable]:
        """What is held of each campaign, by name."""
        return {one.campaign: one for one in self.head.campaigns}

    @cached_property
    def temperatures(self) -> tuple[float, ...]:
        """Temperatures in K at which E_hull is a column of any campaign."""
        found = {kelvin for one in self.head.campaigns for kelvin in one.temperatures}
        return tuple(sorted(found))

    @cached_property
    def fields(self) -> list[FieldSpec]:
        """Everything that can be asked for: fields, at the temperatures stored."""
        return fields_at(self.temperatures, self._properties)

    @cached_property
    def _properties(self) -> dict[str, list[float]]:
        """Property → temperatures in K at which it is a column of any campaign."""
        found: dict[str, set[float]] = {}
        for one in self.head.campaigns:
            for name, kelvins in one.properties.items():
                found.setdefault(name, set()).update(kelvins)
        return {name: sorted(kelvins) for name, kelvins in found.items()}

    def field(self, name: str) -> FieldSpec:
        """Find a field by its name; refuse a temperature at which nothing is stored."""
        return query_field(
            name, temperatures=self.temperatures, properties=self._properties
        )

    @cached_property
    def _dataset(self) -> ds.FileSystemDataset:
        """All parts; a column that one of them lacks is null there."""
        fragments = [
            _FORMAT.make_fragment(file, None, ds.field("campaign") == campaign)
            for campaign, file in self.files
        ]
        known = [fragment.physical_schema for fragment in fragments]
        paths = dict.fromkeys(name for schema in known for name in schema.names)
        paths |= dict.fromkeys((*(one.column for one in self.fields), *_ALWAYS))
        return ds.FileSystemDataset(fragments, arrow_schema(paths), _FORMAT)

    @cached_property
    def stored_columns(self) -> frozenset[str]:
        """Names of the columns that a part holds; the others are null everywhere."""
        return frozenset(
            name
            for fragment in self._dataset.get_fragments()
            for name in fragment.physical_schema.names
        )

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return list(self._dataset.schema.names)

    def assessed_at(self, temperature: float) -> tuple[str, str]:
        """Name the columns of E_hull at a temperature in K and of open labels."""
        key = temperature_key(temperature)
        energy = self.field(f"e_hull_{key.removesuffix('K')}").column
        return energy, f"{OPEN_AT}{key}"

    def rows(
        self, where: pc.Expression = EVERYTHING, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """
        Return the rows that fulfil a filter, in the order of campaign and candidate.

        ``columns``: those to read; a column that does not exist is null. All if none
        are named.
        """
        names = self.columns if columns is None else list(dict.fromkeys(columns))
        missing = [name for name in names if name not in self._dataset.schema.names]
        found = self._dataset.to_table(
            columns=[name for name in names if name not in missing], filter=where
        )
        for column in arrow_schema(missing):
            found = found.append_column(column, pa.nulls(len(found), column.type))
        return found.select(names)

    def count(self, where: pc.Expression = EVERYTHING) -> int:
        """Count the rows that fulfil a filter."""
        return int(self._dataset.count_rows(filter=where))

    def where(self, words: str | None, campaign: str | None = None) -> pc.Expression:
        """Read a filter; of one campaign, where that is named."""
        if words is not None and not isinstance(words, str):
            raise QueryError(
                "a filter is text in OPTIMADE's language, like n_metals = 5 AND "
                f"e_hull <= 0; not {words!r}"
            )
        found = read_filter(words or "", self.field)
        return found if campaign is None else found & one_of("campaign", [campaign])

    def sorted_rows(
        self,
        where: pc.Expression,
        columns: Sequence[str],
        *,
        sort: Sequence[str] | None = None,
        limit: int = 0,
    ) -> pa.Table:
        """
        Return columns of the rows that fulfil a filter, the most stable first.

        ``sort``: names of fields to sort by instead. Campaign and key are read, too.
        """
        order = DEFAULT_ORDER
        if sort is not None:
            order = order_of(sort, self.field)
        found = self.rows(where, [*columns, *order, *_KEYS])
        return self._in_order(found, order).slice(0, limit or None)

    def summaries(
        self,
        where: pc.Expression,
        *,
        sort: Sequence[str] | None = None,
        limit: int = 0,
    ) -> list[SummaryRow]:
        """Return summaries in an order, as far as the table goes."""
        paths = [path for path in self.columns if not path.startswith((AMOUNTS, CELL))]
        found = self.sorted_rows(where, paths, sort=sort, limit=limit)
        return summaries_of(found.to_pydict())

    def counted(
        self, where: pc.Expression, energy: str, columns: Sequence[str]
    ) -> pa.Table:
        """Return rows that have an energy at a temperature, each cell once."""
        if energy not in self.columns:
            return self.rows(~EVERYTHING, columns)
        where &= pc.field(energy).is_valid() & pc.field(ONCE).is_null()
        return self.rows(where, columns)

    def ranking(
        self,
        where: pc.Expression,
        temperature: float,
        *,
        threshold: float | None = None,
    ) -> pa.Table:
        """
        Return rows by rising E_hull at a temperature in K, each calculated cell once.

        ``threshold``: largest E_hull there in eV/atom. Returns: E_hull, key, campaign,
        and whether the label is open; no row where nothing was assessed.
        """
        energy, is_open = self.assessed_at(temperature)
        columns = (energy, "candidate_id", "campaign", is_open)
        rows = self.counted(where, energy, columns)
        if threshold is not None:
            rows = rows.filter(pc.less_equal(rows[energy], threshold))
        return self._in_order(rows, {energy: 1, "candidate_id": 1})

    def ranked(self, campaign: str, temperature: float) -> Iterator[RankedCandidate]:
        """Yield the candidates of a campaign by rising E_hull, each cell once."""
        rows = self.ranking(one_of("campaign", [campaign]), temperature)
        columns = rows.to_pydict().values()
        for rank, (energy, name, _, is_open) in enumerate(
            zip(*columns, strict=True), 1
        ):
            yield RankedCandidate(energy, name, campaign, rank, bool(is_open))

    def rank(self, campaign: str, temperature: float, candidate_id: str) -> int | None:
        """Return the rank of a candidate; None where it is not ranked."""
        rows = self.ranking(one_of("campaign", [campaign]), temperature)
        place = int(pc.index(rows["candidate_id"], candidate_id).as_py())
        return None if place < 0 else place + 1

    def _in_order(self, rows: pa.Table, order: Mapping[str, int]) -> pa.Table:
        """Sort rows, which lie in the order of the keys where there is one campaign."""
        *others, last = order.items()
        if last == ("candidate_id", 1) and len(self.campaigns) == 1:
            order = dict(others)
        return in_order(rows, order) if order else rows


def in_order(rows: pa.Table, order: Mapping[str, int]) -> pa.Table:
    """
    Sort rows; what is unknown is the lowest, equal ones stay in their order.

    ``order``: column → 1 or -1, the most important first.

    Examples
    --------
    >>> rows = pa.table({"entropy": [2.0, None, 1.0]})
    >>> in_order(rows, {"entropy": -1})["entropy"].to_pylist()
    [2.0, 1.0, None]
    """
    keys: list[tuple[str, str]] = []
    by = rows.select(list(order))
    for path, direction in order.items():
        way = "ascending" if direction > 0 else "descending"
        if rows[path].null_count:
            by = by.append_column(f"{path} known", rows[path].is_valid())
            keys.append((f"{path} known", way))
        keys.append((path, way))
    return rows.take(pc.sort_indices(by, sort_keys=keys))


class TableCache:
    """The table, read again when a build has swapped it; ``read`` reads documents."""

    def __init__(self, read: ReadDocuments) -> None:
        self._read = read
        self._lock = Lock()
        self._known = SummaryTable(TableHead(run_id=None, campaigns=()))

    def get(self) -> SummaryTable:
        """Return the table that is valid now; it has no rows before any build."""
        with self._lock:
            for _ in range(_TRIES):
                head = self._head()
                if head == self._known.head:
                    return self._known
                found = self._loaded(head)
                if found is not None:
                    self._known = found
                    self._say_if_outdated(head)
                    return found
        raise StoreError(
            "the table of summaries is not whole: a build may be writing it; try "
            "again, or `hts build summary-table`"
        )

    def _head(self) -> TableHead:
        for doc in self._read(COLLECTION, {"part_id": HEAD}):
            plain = {name: doc[name] for name in doc if name != "_id"}
            return TableHead.model_validate(plain)
        return TableHead(run_id=None, campaigns=())

    def _loaded(self, head: TableHead) -> SummaryTable | None:
        """Read every part, one at a time; None where they are not all there."""
        files: list[tuple[str, pa.NativeFile]] = []
        for one in head.campaigns:
            of_it = {"campaign": one.campaign, "version": one.version}
            parts = list(self._read(COLLECTION, of_it, ["part_id", "n_rows"]))
            if sum(int(str(part["n_rows"])) for part in parts) != one.n_rows:
                return None
            for name in sorted(str(part["part_id"]) for part in parts):
                data = self._data(name)
                if data is None:
                    return None
                files.append((one.campaign, _file_of(data)))
        return SummaryTable(head, tuple(files))

    def _data(self, part_id: str) -> bytes | None:
        for doc in self._read(COLLECTION, {"part_id": part_id}):
            found = doc["data"]
            return found if isinstance(found, bytes) else None
        return None

    def _say_if_outdated(self, head: TableHead) -> None:
        for words in outdated(self._read, head):
            logger.warning("%s", words)


def _file_of(data: bytes) -> pa.NativeFile:
    """Put a part into a file that goes with whoever reads it."""
    with NamedTemporaryFile(prefix="hts-table-") as file:
        file.write(data)
        file.flush()
        return pa.OSFile(file.name)


def outdated(read: ReadDocuments, head: TableHead) -> Iterator[str]:
    """Say that summaries were written after the table, if they were."""
    later = {"run_id": {"$gt": head.run_id or ""}}
    for doc in read("builds", later, ["run_id", "reports"]):
        reports = doc["reports"]
        summary = reports.get("summary", {}) if isinstance(reports, dict) else {}
        if summary.get("written") or summary.get("removed"):
            yield (
                f"the table of summaries is of run {head.run_id or 'none'}, older than "
                f"the summaries of run {doc['run_id']}: `hts build summary-table`"
            )
            return
