"""Summaries become one table: Parquet in the database, swapped in one write."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, NotRequired, TypedDict, Unpack, cast

from hts_battery.builders.screening_builder import Made, ScreeningBuilder
from hts_battery.connections.database.content_digests import query_values
from hts_battery.schemas.optimade import structure_properties
from hts_battery.schemas.summary_table import (
    HEAD,
    PART_ROWS,
    CampaignTable,
    TableHead,
    TablePart,
    arrow_schema,
    cell_row,
    is_property,
    property_columns,
    table_row,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    import pyarrow as pa
    from maggma.core import Store

    from hts_battery.builders.screening_builder import Options
    from hts_battery.schemas.rows import PropertyRow, SummaryRow

    Row = Mapping[str, object]

LARGEST_PART = 8_000_000
"""Bytes of a part, far below the 16 MB that a document may have."""
_AT_ONCE = 2_500
_OF_PROPERTY = ("subject_id", "name", "conditions", "value", "uncertainty")
_KEY = "candidate_id"
_DIGEST = "input_digest"


def arrow_table(rows: Sequence[Row]) -> pa.Table:
    """
    Make a table of rows; a column that a row lacks is null there.

    ``rows``: path → value, as :func:`~hts_battery.schemas.summary_table.table_row`
    makes them.
    """
    import pyarrow as pa  # noqa: PLC0415 - half a second that other builders do not need

    schema = arrow_schema(dict.fromkeys(path for row in rows for path in row))
    values = [
        pa.array([row.get(field.name) for row in rows], field.type) for field in schema
    ]
    return pa.Table.from_arrays(values, schema=schema)


def part_documents(
    campaign: str, version: str, first_row: int, table: pa.Table
) -> list[dict[str, object]]:
    """Write a table as documents of one Parquet file each, none near 16 MB."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", row_group_size=PART_ROWS)
    if buffer.tell() > LARGEST_PART and len(table) > 1:
        half = len(table) // 2
        return [
            *part_documents(campaign, version, first_row, table[:half]),
            *part_documents(campaign, version, first_row + half, table[half:]),
        ]
    part = TablePart(
        part_id=f"{campaign} {version} {first_row:09d}",
        campaign=campaign,
        version=version,
        first_row=first_row,
        n_rows=len(table),
    )
    return [{**part.model_dump(), "data": buffer.getvalue()}]


class _Item(TypedDict):
    """Rows of one campaign, or, in the end, the head."""

    campaign: NotRequired[CampaignTable]
    first_row: NotRequired[int]
    table: NotRequired[pa.Table]
    head: NotRequired[TableHead]


class SummaryTableBuilder(ScreeningBuilder):
    """
    Write the table of all summaries, from which every question is answered.

    Rows of summaries that have not changed are taken from the table that is there.
    Parts are written under the digest of the summaries; the head, which names that
    digest, is written last, and then the parts of the table before it are removed.

    Parameters
    ----------
    summary
        Summaries.
    entries
        Entries, for the size of the cell.
    properties
        Properties of candidates, which are columns.
    summary_table
        Store that is written: the head, and parts by campaign, version and row.
    campaigns
        Name of each campaign → temperatures in K; what the table holds of others
        stays.
    options
        As in :class:`~hts_battery.builders.screening_builder.Options`; one worker does
        the whole table.
    """

    code_version = "8"

    def __init__(
        self,
        summary: Store,
        entries: Store,
        properties: Store,
        summary_table: Store,
        *,
        campaigns: Mapping[str, Sequence[float]],
        **options: Unpack[Options],
    ) -> None:
        self.summary = summary
        self.entries = entries
        self.properties = properties
        self.summary_table = summary_table
        self.campaigns = {name: tuple(at) for name, at in campaigns.items()}
        super().__init__(
            [summary, entries, properties],
            [summary_table],
            key=["part_id"],
            options=options,
        )

    def get_items(self) -> Iterator[_Item]:
        """Yield the rows of each campaign that has changed, and then the head."""
        if not self.mine(HEAD):
            return
        stored = self.summary_table.query_one({"part_id": HEAD})
        known: dict[str, CampaignTable] = {}
        if stored is not None:
            stored.pop("_id", None)
            head = TableHead.model_validate(stored)
            known = {one.campaign: one for one in head.campaigns}
        valid = dict(known)
        for name, temperatures in self.campaigns.items():
            digests = self._digests_of(name)
            held, mark = self._properties_of(name, digests)
            found = CampaignTable(
                campaign=name,
                version=self.digest(
                    sorted(digests.items()), sorted(temperatures), mark
                ),
                n_rows=len(digests),
                temperatures=tuple(sorted(set(temperatures))),
                properties=held,
            )
            old = known.pop(name, None)
            if not digests:
                continue
            known[name] = found
            if old == found and self._is_whole(found):
                self.unchanged += len(digests)
                continue
            valid.pop(name, None)
            yield from self._items(found, digests, old)
        if known != valid:
            campaigns = tuple(known[name] for name in sorted(known))
            yield {"head": TableHead(run_id=self._run_id, campaigns=campaigns)}

    def _digests_of(self, campaign: str) -> dict[str, str]:
        found = {
            doc[_KEY]: doc[_DIGEST]
            for doc in self.summary.query(
                {"campaign": campaign}, properties=[_KEY, _DIGEST]
            )
        }
        for digest in found.values():
            self.saw(digest)
        return found

    def _properties_of(
        self, campaign: str, wanted: Container[str]
    ) -> tuple[dict[str, tuple[float, ...]], str]:
        """Name the properties that are columns, with temperatures, and digest all."""
        held: dict[str, set[float]] = {}
        total = 0
        for doc in self.properties.query(
            {"campaign": campaign}, properties=list(_OF_PROPERTY)
        ):
            columns = property_columns([cast("PropertyRow", doc)])
            if columns and doc["subject_id"] in wanted:
                kelvins = held.setdefault(doc["name"], set())
                kelvins |= {float(kelvin) for kelvin in doc["conditions"].values()}
                # A sum, so that the order in which they come does not matter.
                total += int(self.digest(doc["subject_id"], columns), 16)
        return {name: tuple(sorted(held[name])) for name in sorted(held)}, f"{total:x}"

    def _is_whole(self, found: CampaignTable) -> bool:
        parts = self.summary_table.query(_of(found), properties=["n_rows"])
        return found.n_rows == sum(int(part["n_rows"]) for part in parts)

    def _items(
        self,
        found: CampaignTable,
        digests: Mapping[str, str],
        old: CampaignTable | None,
    ) -> Iterator[_Item]:
        """Yield the rows of a campaign, those of changed summaries made again."""
        import pyarrow as pa  # noqa: PLC0415 - as above
        import pyarrow.compute as pc  # noqa: PLC0415 - as above

        kept = list(self._kept(old, digests)) if old is not None else []
        names = {name for table in kept for name in table[_KEY].to_pylist()}
        ordered = sorted(digests)
        for start in range(0, len(ordered), PART_ROWS):
            part = ordered[start : start + PART_ROWS]
            in_part = pc.field(_KEY).isin(part)
            tables = [table.filter(in_part) for table in kept]
            tables += self._made(found.campaign, [n for n in part if n not in names])
            whole = pa.concat_tables(tables, promote_options="default").sort_by(_KEY)
            whole = self._with_properties(whole, found.campaign, part)
            yield {"campaign": found, "first_row": start, "table": whole}

    def _with_properties(
        self, table: pa.Table, campaign: str, names: Sequence[str]
    ) -> pa.Table:
        """Put the properties of the candidates of a part beside their summaries."""
        rows: dict[str, list[PropertyRow]] = {name: [] for name in names}
        for doc in query_values(
            self.properties,
            "subject_id",
            names,
            criteria={"campaign": campaign},
            properties=_OF_PROPERTY,
        ):
            rows[doc["subject_id"]].append(cast("PropertyRow", doc))
        columns = [property_columns(rows[name]) for name in table[_KEY].to_pylist()]
        added = arrow_table(columns)
        kept = [name for name in table.column_names if not is_property(name)]
        table = table.select(kept)
        for column in added.schema:
            table = table.append_column(column, added[column.name])
        return table

    def _kept(
        self, old: CampaignTable, digests: Mapping[str, str]
    ) -> Iterator[pa.Table]:
        """Read the rows of the table that is there whose summaries are the same."""
        import pyarrow as pa  # noqa: PLC0415 - as above
        import pyarrow.parquet as pq  # noqa: PLC0415 - as above

        for part in list(self.summary_table.query(_of(old), properties=["part_id"])):
            doc = self.summary_table.query_one({"part_id": part["part_id"]})
            table = pq.read_table(io.BytesIO(doc["data"]))
            keys = zip(table[_KEY].to_pylist(), table[_DIGEST].to_pylist(), strict=True)
            same = [digests.get(name) == digest for name, digest in keys]
            yield table.filter(pa.array(same, pa.bool_()))

    def _made(self, campaign: str, names: Sequence[str]) -> Iterator[pa.Table]:
        """Read summaries anew and write them as tables."""
        now = datetime.now(UTC)
        docs = cast(
            "Iterator[SummaryRow]",
            query_values(self.summary, _KEY, names, criteria={"campaign": campaign}),
        )
        while part := list(islice(docs, _AT_ONCE)):
            found = query_values(
                self.entries,
                "entry_id",
                [doc["entry_id"] for doc in part],
                criteria={},
                properties=["energy.formula", "energy.n_atoms"],
            )
            cells = {doc["entry_id"]: doc.get("energy") for doc in found}
            rows = [_row(doc, cells.get(doc["entry_id"]), now) for doc in part]
            yield arrow_table(rows)

    def process_item(self, item: _Item) -> Made:
        """Return the documents of one part, or the head."""
        if "head" in item:
            return {"documents": [], "failed": 0, "head": item["head"]}
        found = item["campaign"]
        parts = part_documents(
            found.campaign, found.version, item["first_row"], item["table"]
        )
        return {"documents": parts, "failed": 0}

    def update_targets(self, items: list[Made]) -> None:
        """Write parts; the head in one write, and then remove the parts before it."""
        super().update_targets(items)
        for head in (item["head"] for item in items if "head" in item):
            self._about_to_write()
            self.target.update(head.model_dump(mode="json"), key="part_id")
            self.written += 1
            valid = {one.version for one in head.campaigns}
            for name in self.campaigns:
                parts = self.target.query({"campaign": name}, properties=["version"])
                stale = sorted({part["version"] for part in parts} - valid)
                if stale:
                    self.target.remove_docs(
                        {"campaign": name, "version": {"$in": stale}}
                    )


def _of(found: CampaignTable) -> dict[str, object]:
    """Return the criteria of the parts of a campaign."""
    return {"campaign": found.campaign, "version": found.version}


def _row(
    summary: SummaryRow, energy: Mapping[str, object] | None, now: datetime
) -> dict[str, object]:
    """Write a summary as a row; without an entry nothing is known of the cell."""
    row = table_row(summary)
    if energy is not None:
        cell = structure_properties(
            summary,
            cell_formula=str(energy["formula"]),
            n_atoms=int(cast("int", energy["n_atoms"])),
        )
        row |= cell_row({**cell, "last_modified": now})
    return row
