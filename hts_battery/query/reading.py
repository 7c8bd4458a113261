"""Summaries of a database by filter and order: rows of the table, documents by id."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import pyarrow.compute as pc

from hts_battery.connections.database.content_digests import query_values
from hts_battery.errors import QueryError
from hts_battery.query.expressions import EVERYTHING, ONCE, one_of
from hts_battery.query.filters import read_filter
from hts_battery.query.selection import DEFAULT_ORDER, order_of
from hts_battery.query.summary_table import SummaryTable, TableCache, in_order
from hts_battery.schemas.summary import temperature_key
from hts_battery.schemas.summary_table import row_summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from hts_battery.connections.database.stores import SharedMongoStore, Stores
    from hts_battery.schemas.rows import SummaryRow

ENERGY_AT = "energy_above_hull_at."
OPEN_AT = "open_at."
_KEYS = ("campaign", "candidate_id")
_AT_ONCE = 100


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


class SummaryReader:
    """
    Answers from the table what it holds, and from documents what it does not.

    ``time_limit``: seconds that the server may take for one query; none if not given.
    """

    def __init__(self, stores: Stores, *, time_limit: float | None = None) -> None:
        self._stores = stores
        self._time_limit = time_limit
        self._tables = TableCache(self._read)

    def _read(
        self,
        collection: str,
        criteria: Mapping[str, object],
        fields: Sequence[str] | None = None,
    ) -> Iterator[Mapping[str, object]]:
        store: SharedMongoStore = getattr(self._stores, collection)
        stages: list[dict[str, object]] = [{"$match": dict(criteria)}]
        if fields is not None:
            stages.append({"$project": dict.fromkeys(fields, 1)})
        yield from store.aggregated(stages, time_limit=self._time_limit)

    def table(self) -> SummaryTable:
        """Return the table of the last build."""
        return self._tables.get()

    def where(self, words: str | None, campaign: str | None = None) -> pc.Expression:
        """Read a filter; of one campaign, where that is named."""
        if words is not None and not isinstance(words, str):
            raise QueryError(
                "a filter is text in OPTIMADE's language, like n_metals = 5 AND "
                f"e_hull <= 0; not {words!r}"
            )
        found = read_filter(words or "", temperatures=self.table().temperatures or None)
        return found if campaign is None else found & one_of("campaign", [campaign])

    def rows(
        self,
        where: pc.Expression,
        columns: Sequence[str] | None,
        *,
        sort: Sequence[str] | None = None,
        limit: int = 0,
    ) -> pa.Table:
        """Return columns of the rows that fulfil a filter, in an order."""
        table = self.table()
        order = DEFAULT_ORDER
        if sort is not None:
            order = order_of(sort, temperatures=table.temperatures)
        wanted = None if columns is None else [*columns, *order, *_KEYS]
        found = in_order(table.rows(where, wanted), order)
        return found.slice(0, limit or None)

    def summaries(
        self, where: pc.Expression, *, sort: Sequence[str] | None = None, limit: int = 0
    ) -> list[SummaryRow]:
        """Return summaries in an order, as far as the table goes."""
        found = self.rows(where, None, sort=sort, limit=limit)
        return [row_summary(row) for row in found.to_pylist()]

    def documents(self, rows: pa.Table) -> Iterator[SummaryRow]:
        """Yield the whole documents of some rows, in their order."""
        at_once = len(rows) if 0 < self.table().count() < 2 * len(rows) else _AT_ONCE
        for start in range(0, len(rows), at_once):
            part = rows.slice(start, at_once)
            pairs = list(zip(*(part[name].to_pylist() for name in _KEYS), strict=True))
            found: dict[tuple[str, str], SummaryRow] = {}
            for campaign in dict.fromkeys(campaign for campaign, _ in pairs):
                names = [name for one, name in pairs if one == campaign]
                for doc in self._of_campaign(campaign, names):
                    found[campaign, doc["candidate_id"]] = doc
            # One that was removed since the last build is not there any more.
            yield from (found[pair] for pair in pairs if pair in found)

    def _of_campaign(self, campaign: str, names: Sequence[str]) -> Iterable[SummaryRow]:
        criteria: dict[str, object] = {"campaign": campaign}
        if len(names) > _AT_ONCE:
            docs: Iterable[dict[str, object]] = query_values(
                self._stores.summary, "candidate_id", names, criteria=criteria
            )
        else:
            criteria["candidate_id"] = {"$in": names}
            docs = cast("Iterable[dict[str, object]]", self._read("summary", criteria))
        for doc in docs:
            doc.pop("_id", None)
            yield cast("SummaryRow", doc)

    def of_candidate(self, candidate_id: str) -> list[SummaryRow]:
        """Return the documents of one candidate, by campaign."""
        found = list(self._read("summary", {"candidate_id": candidate_id}))
        for doc in found:
            cast("dict[str, object]", doc).pop("_id", None)
        return sorted(
            cast("list[SummaryRow]", found), key=lambda doc: str(doc["campaign"])
        )

    def counted(
        self, where: pc.Expression, energy: str, columns: Sequence[str]
    ) -> pa.Table:
        """Return rows that have an energy at a temperature, each cell once."""
        table = self.table()
        if energy not in table.columns:
            return table.rows(~EVERYTHING, columns)
        where &= pc.field(energy).is_valid() & pc.field(ONCE).is_null()
        return table.rows(where, columns)

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
        key = temperature_key(temperature)
        energy = f"{ENERGY_AT}{key}"
        columns = (energy, "candidate_id", "campaign", f"{OPEN_AT}{key}")
        rows = self.counted(where, energy, columns)
        if threshold is not None:
            rows = rows.filter(pc.less_equal(rows[energy], threshold))
        return in_order(rows, {energy: 1, "candidate_id": 1})
