"""Summaries become what a campaign adds up to: rankings, columns, counts."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from math import floor
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast

from hts_battery.builders.screening_builder import (
    Made,
    ScreeningBuilder,
    dumped,
    input_digest,
)
from hts_battery.connections.database.content_digests import write_documents
from hts_battery.schemas.aggregate import (
    BLOCK_SIZE,
    COLUMN_BLOCK_SIZE,
    COLUMN_FIELDS,
    COLUMN_LISTS,
    COLUMN_MAPS,
    HISTOGRAM_WIDTH,
    AggregateDoc,
    ColumnBlock,
    GroupCount,
    Histogram,
    RankingBlock,
)
from hts_battery.schemas.summary import temperature_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from maggma.core import Store

    from hts_battery.builders.screening_builder import Options
    from hts_battery.schemas.rows import SummaryRow as Row

_FIELDS = (*COLUMN_FIELDS, *COLUMN_MAPS, "element_keys", "input_digest")
_GRID_STEP = 25
_GRID_END = 2500


def column_paths(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """
    Name the columns of some summaries: fields, and every key of the maps among them.

    Examples
    --------
    >>> column_paths([{"label_at": {"0K": "US"}}])[-1]
    'label_at.0K'
    """
    maps = [
        f"{field}.{key}"
        for field in COLUMN_MAPS
        for key in sorted({key for row in rows for key in row.get(field, ())})
    ]
    return (*COLUMN_FIELDS, *maps)


def column_blocks(
    campaign: str, rows: Sequence[Mapping[str, Any]], *, version: str
) -> Iterator[ColumnBlock]:
    """Turn the summaries of a campaign into columns, in the order of their keys."""
    ordered = sorted(rows, key=lambda row: row["candidate_id"])
    for path in column_paths(ordered):
        field, _, key = path.partition(".")
        for start in range(0, len(ordered), COLUMN_BLOCK_SIZE):
            part = ordered[start : start + COLUMN_BLOCK_SIZE]
            values = [row[field].get(key) if key else row[field] for row in part]
            yield ColumnBlock(
                column_id=f"{campaign} {version} {path} {start:07d}",
                campaign=campaign,
                version=version,
                path=path,
                first_row=start,
                # Lists as texts, which a reader takes apart one by one.
                values=_dumps(
                    [_dumps(value) for value in values]
                    if field in COLUMN_LISTS
                    else values
                ),
            )


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


class _Batch(TypedDict):
    rows: list[Row]
    input_digest: str


class AggregatesBuilder(ScreeningBuilder):
    """
    Count one campaign, and put its candidates in order at every temperature.

    A ranking is kept in blocks, so that one candidate that moves rewrites the blocks
    between its two places and no summary. Columns are written whole under the digest
    of the summaries. The aggregate is written last: it holds the digest by which
    readers find the columns, and the next run sees that all is done. One worker does a
    whole campaign.

    Written are ``aggregates``, keyed by campaign, ``rankings`` by campaign, temperature
    and first rank, ``summary_columns`` by campaign, version, path and first row.
    """

    def __init__(
        self,
        summary: Store,
        aggregates: Store,
        rankings: Store,
        summary_columns: Store,
        *,
        campaign: str,
        temperatures: Sequence[float],
        **options: Unpack[Options],
    ) -> None:
        self.summary = summary
        self.aggregates = aggregates
        self.rankings = rankings
        self.summary_columns = summary_columns
        self.campaign = campaign
        self.temperatures = tuple(temperatures)
        super().__init__(
            [summary],
            [aggregates, rankings, summary_columns],
            key=[],
            scope={"campaign": campaign},
            options=options,
        )
        self._blocks: dict[str, str] = {}

    def get_items(self) -> Iterator[_Batch]:
        """Yield the summaries of the campaign, if any has changed."""
        if not self.mine(self.campaign):
            return
        rows = list(self.summary.query(self.scope, properties=list(_FIELDS)))
        for row in rows:
            row.pop("_id", None)
            self.saw(row["input_digest"])
        stored = self.aggregates.query_one(self.scope, properties=["input_digest"])
        self._blocks = {
            doc["ranking_id"]: doc["input_digest"]
            for doc in self.rankings.query(
                self.scope, properties=["ranking_id", "input_digest"]
            )
        }
        if stored is not None:
            self.knows()
        if not rows:
            self._remove_all(stored is not None)
            return
        digest = input_digest(
            sorted((row["candidate_id"], row["input_digest"]) for row in rows),
            sorted(self.temperatures),
        )
        n_blocks = -(-len(rows) // BLOCK_SIZE) * len(set(self.temperatures))
        n_columns = -(-len(rows) // COLUMN_BLOCK_SIZE) * len(column_paths(rows))
        if (
            stored is not None
            and stored["input_digest"] == digest
            and len(self._blocks) == n_blocks
            and self.summary_columns.count({**self.scope, "version": digest})
            == n_columns
        ):
            self.unchanged += len(rows)
            return
        yield {"rows": cast("list[Row]", rows), "input_digest": digest}

    def _remove_all(self, stored: bool) -> None:
        """Remove what was counted of candidates that are all gone."""
        if stored or self._blocks:
            self._about_to_write()
            self.rankings.remove_docs(self.scope)
            self.aggregates.remove_docs(self.scope)
            self.summary_columns.remove_docs(self.scope)
            self.removed += stored + len(self._blocks)

    def process_item(self, item: _Batch) -> Made:
        """Count and rank the campaign."""
        rows = item["rows"]
        aggregate = campaign_aggregate(
            self.campaign,
            rows,
            temperatures=self.temperatures,
            digest=item["input_digest"],
        )
        blocks = [
            block
            for temperature in sorted(set(self.temperatures))
            for block in ranking_blocks(self.campaign, rows, temperature=temperature)
        ]
        columns = column_blocks(self.campaign, rows, version=item["input_digest"])
        return {
            "documents": dumped([aggregate]),
            "rankings": dumped(blocks),
            "columns": dumped(columns),
            "failed": 0,
        }

    def update_targets(self, items: list[Made]) -> None:
        """Write all, and take away the columns that nobody vouches for any more."""
        super().update_targets(items)
        for item in items:
            version = item["documents"][0]["input_digest"]
            self.summary_columns.remove_docs(
                {"campaign": self.campaign, "version": {"$ne": version}}
            )

    def write_history(self, items: list[Made]) -> None:
        """Write the blocks that changed, before the aggregate that vouches for them."""
        for item in items:
            blocks = item["rankings"]
            changed = [
                block
                for block in blocks
                if self._blocks.get(str(block["ranking_id"])) != block["input_digest"]
            ]
            known = {(name,) for name in self._blocks}
            write_documents(self.rankings, changed, ["ranking_id"], known=known)
            gone = set(self._blocks) - {block["ranking_id"] for block in blocks}
            if gone:
                self.rankings.remove_docs({"ranking_id": {"$in": sorted(gone)}})
            self.written += len(changed)
            self.removed += len(gone)
            # Left by a run that was killed; columns are copies and are not counted.
            version = item["documents"][0]["input_digest"]
            self.summary_columns.remove_docs({**self.scope, "version": version})
            write_documents(
                self.summary_columns, item["columns"], ["column_id"], known=()
            )


def ranking_blocks(
    campaign: str, rows: Iterable[Row], *, temperature: float
) -> list[RankingBlock]:
    """
    Put candidates in the order of E_hull at a temperature and cut them into blocks.

    ``rows``: summaries, or those of their fields that are counted. ``temperature``: in
    K; summaries without it are left out, and those whose cell is ranked under another
    candidate.
    """
    key = temperature_key(temperature)
    ranked = sorted(
        (row["energy_above_hull_at"][key], row["candidate_id"])
        for row in rows
        if key in row["energy_above_hull_at"] and row["same_cell_as"] is None
    )
    return [
        _block(campaign, temperature, start + 1, ranked[start : start + BLOCK_SIZE])
        for start in range(0, len(ranked), BLOCK_SIZE)
    ]


def _block(
    campaign: str,
    temperature: float,
    first_rank: int,
    part: Sequence[tuple[float, str]],
) -> RankingBlock:
    energies = tuple(energy for energy, _ in part)
    names = tuple(name for _, name in part)
    return RankingBlock(
        ranking_id=f"{campaign} {temperature_key(temperature)} {first_rank:07d}",
        campaign=campaign,
        temperature=temperature,
        first_rank=first_rank,
        lowest=energies[0],
        highest=energies[-1],
        candidate_ids=names,
        energies=energies,
        input_digest=input_digest(names, energies),
    )


def campaign_aggregate(
    campaign: str, rows: Sequence[Row], *, temperatures: Sequence[float], digest: str
) -> AggregateDoc:
    """
    Count the summaries of a campaign.

    ``rows``: summaries, or those of their fields that are counted. ``temperatures``: in
    K. ``digest``: digest of the inputs.
    """
    kelvin = tuple(sorted(set(temperatures)))
    keys = tuple(temperature_key(value) for value in kelvin)
    grid = tuple(float(value) for value in range(0, _GRID_END + 1, _GRID_STEP))
    every, rows = rows, [row for row in rows if row["same_cell_as"] is None]
    return AggregateDoc(
        campaign=campaign,
        n_candidates=len(every),
        n_same_cell=len(every) - len(rows),
        temperatures=kelvin,
        labels={key: _labels(rows, key) for key in keys},
        open={
            key: _labels([row for row in rows if row["open_at"].get(key)], key)
            for key in keys
        },
        histograms={
            key: _histogram([row["energy_above_hull_at"].get(key) for row in rows])
            for key in keys
        },
        grid_temperatures=grid,
        grid_stable=tuple(
            sum(row["energy_above_hull"] <= value * row["entropy"] for row in rows)
            for value in grid
        ),
        n_metals=_groups(rows, keys, lambda row: [str(row["n_metals"])]),
        elements=_groups(rows, keys, lambda row: row["elements"]),
        pairs=_groups(
            rows,
            keys,
            lambda row: [name for name in row["element_keys"] if "-" in name],
        ),
        families=dict(Counter(row["family"] for row in rows)),
        flags=dict(Counter(flag for row in rows for flag in row["flags"])),
        hull_versions=dict(Counter(row["hull_version"] for row in rows)),
        columns=column_paths(every),
        input_digest=digest,
    )


def _labels(rows: Iterable[Row], key: str) -> dict[str, int]:
    """Count labels at one temperature."""
    return dict(Counter(row["label_at"][key] for row in rows if key in row["label_at"]))


def _histogram(energies: Sequence[float | None]) -> Histogram:
    """Count energies in bins whose edges are whole multiples of the width."""
    bins = Counter(
        floor(energy / HISTOGRAM_WIDTH) for energy in energies if energy is not None
    )
    first, last = (min(bins), max(bins)) if bins else (0, -1)
    return Histogram(
        first_edge=first * HISTOGRAM_WIDTH,
        width=HISTOGRAM_WIDTH,
        counts=tuple(bins[number] for number in range(first, last + 1)),
    )


def _groups(
    rows: Sequence[Row], keys: Sequence[str], names: Callable[[Row], Iterable[str]]
) -> dict[str, GroupCount]:
    """Count candidates by each of the names that a row belongs to."""
    members: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        for name in names(row):
            members[name].append(row)
    return {name: _group(found, keys) for name, found in sorted(members.items())}


def _group(rows: Sequence[Row], keys: Sequence[str]) -> GroupCount:
    """Count candidates that share something."""
    found = {
        key: [
            (row["energy_above_hull_at"][key], bool(row["open_at"].get(key)))
            for row in rows
            if key in row["energy_above_hull_at"]
        ]
        for key in keys
    }
    stable = {
        key: [is_open for energy, is_open in known if energy <= 0]
        for key, known in found.items()
    }
    return GroupCount(
        n_candidates=len(rows),
        n_stable={key: len(known) for key, known in stable.items()},
        n_certain={key: known.count(False) for key, known in stable.items()},
        lowest={key: min(known)[0] for key, known in found.items() if known},
    )
