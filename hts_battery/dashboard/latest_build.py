"""What the latest build left: its table of summaries, and how far campaigns are."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, cast

import pyarrow.compute as pc

from hts_battery.query.expressions import ONCE, one_of
from hts_battery.query.summary_table import SummaryTable, TableCache, outdated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hts_battery.connections.database.bounded_reader import BoundedReader
    from hts_battery.schemas.rows import RegistrationRow

_ASK_AGAIN_SECONDS = 10.0


@dataclass(frozen=True)
class CampaignCounts:
    """How far one campaign is, counted in the database."""

    campaign: str
    engine: str
    candidates: int
    """Members of the campaign."""
    ranked: int
    """With a summary."""
    unjudged: int
    """With an energy but no stability."""

    @property
    def open(self) -> int:
        """Not computed yet, running, failed, gated or rejected."""
        return max(0, self.candidates - self.ranked - self.unjudged)


@dataclass(frozen=True)
class LatestBuild:
    """The table of summaries, what belongs to it, and the build that wrote it."""

    run_id: str | None
    """The latest run of the builders; none before the first."""
    table: SummaryTable
    progress: tuple[CampaignCounts, ...]
    campaigns: tuple[str, ...] = ()
    """Those that were built, the newest build first."""
    note: str = ""
    """Says that the table is older than the summaries, where it is."""

    def engine(self, campaign: str | None) -> str | None:
        """Return the engine of a campaign; none if it is not known."""
        found = (one.engine for one in self.progress if one.campaign == campaign)
        return next(found, None)

    def asked_or_newest(self, campaign: str | None) -> str | None:
        """
        Return the one campaign that a question is about.

        Numbers of two campaigns come from other orderings, options or engines, so
        they are never ranked, added or drawn together.

        ``campaign``: the one that is asked for; that of the newest build if none.
        Returns: its name; none if nothing was built.
        """
        return campaign or next(iter(self.campaigns), None)

    def whose(self, campaign: str | None) -> str:
        """Name a campaign with its engine, for what is shown of it."""
        if campaign is None:
            return "no campaign: nothing was built yet"
        return f"campaign {campaign}, engine {self.engine(campaign) or 'unknown'}"


class LatestBuildCache:
    """
    What the latest build left, read again in the background after a new one.

    ``clock``: seconds, for tests.
    """

    def __init__(
        self, reader: BoundedReader, clock: Callable[[], float] = monotonic
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._lock = Lock()
        self._asked = clock()
        self._tables = TableCache(reading(reader))
        self._latest = read_latest_build(reader, self._tables)

    def get(self) -> LatestBuild:
        """Return what is known; looks for a newer build now and then."""
        with self._lock:
            due = self._clock() - self._asked > _ASK_AGAIN_SECONDS
            if due:
                self._asked = self._clock()
        if due:
            Thread(target=self.refresh, name="latest build", daemon=True).start()
        return self._latest

    def refresh(self) -> None:
        """Read everything again if the builders ran since."""
        if latest_run(self._reader) != self._latest.run_id:
            self._latest = read_latest_build(self._reader, self._tables)


def reading(reader: BoundedReader) -> Callable[..., Sequence[Mapping[str, object]]]:
    """Let the table of summaries be read by a bounded reader."""
    return lambda collection, criteria, fields=None: reader.find(
        collection, criteria, fields=fields
    )


def latest_run(reader: BoundedReader) -> str | None:
    """Return the id of the latest run of the builders that ended well."""
    found = reader.find_one(
        "builds", {"state": "finished"}, fields=["run_id"], sort={"run_id": -1}
    )
    return None if found is None else str(found["run_id"])


def read_latest_build(
    reader: BoundedReader, tables: TableCache | None = None
) -> LatestBuild:
    """Read the table, and all that the pages show beside it."""
    run_id = latest_run(reader)
    table = (tables or TableCache(reading(reader))).get()
    return LatestBuild(
        run_id,
        table,
        tuple(_progress(reader, table)),
        _newest_first(reader, table),
        next(outdated(reading(reader), table.head), ""),
    )


def _newest_first(reader: BoundedReader, table: SummaryTable) -> tuple[str, ...]:
    """Order campaigns by their last build, those of one build by registration."""
    registered = [
        str(doc["name"])
        for doc in reader.find("campaigns", {}, fields=["name"], sort={"_id": 1})
    ]
    built = {name: _last_run(reader, name) for name in registered}
    names = [
        *sorted(set(table.campaigns) - built.keys()),
        *(name for name in registered if built[name] or name in table.campaigns),
    ]
    return tuple(sorted(names, key=lambda name: built.get(name, ""))[::-1])


def _last_run(reader: BoundedReader, campaign: str) -> str:
    """Return the id of the last run that built a campaign; empty if none did."""
    found = reader.find_one(
        "builds",
        {"state": "finished", f"options.{campaign}": {"$exists": True}},
        fields=["run_id"],
        sort={"run_id": -1},
    )
    return "" if found is None else str(found["run_id"])


def _progress(reader: BoundedReader, table: SummaryTable) -> list[CampaignCounts]:
    found = []
    fields = ["name", "spec.engine"]
    docs = reader.find("campaigns", {}, fields=fields, sort={"name": 1})
    for doc in cast("list[RegistrationRow]", docs):
        name = doc["name"]
        failed = reader.find(
            "thermo", {"campaign": name, "state": "failed"}, fields=["candidate_id"]
        )
        found.append(
            CampaignCounts(
                campaign=name,
                engine=str(doc["spec"].get("engine", "")),
                candidates=reader.count("members", {"campaign": name}),
                ranked=table.count(
                    one_of("campaign", [name]) & pc.field(ONCE).is_null()
                ),
                unjudged=len({one["candidate_id"] for one in failed}),
            )
        )
    return found
