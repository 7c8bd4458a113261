"""The table of a database, and the documents of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hts_battery.connections.database.content_digests import query_values
from hts_battery.query.summary_table import SummaryTable, TableCache

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from hts_battery.connections.database.stores import SharedMongoStore, Stores
    from hts_battery.schemas.rows import SummaryRow

_KEYS = ("campaign", "candidate_id")
_AT_ONCE = 100


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

    def documents(self, rows: pa.Table) -> Iterator[SummaryRow]:
        """Yield the whole documents of some rows, in their order."""
        every = sum(one.n_rows for one in self.table().head.campaigns)
        at_once = len(rows) if every < 2 * len(rows) else _AT_ONCE
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
