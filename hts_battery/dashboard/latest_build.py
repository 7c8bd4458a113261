"""What the pages show, in columns: read once a build, and then asked in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, cast

import numpy as np

from hts_battery.schemas.formula import parse_formula

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hts_battery.connections.database.bounded_reader import BoundedReader
    from hts_battery.schemas.rows import SummaryRow

FIELDS = (
    "campaign",
    "candidate_id",
    "formula",
    "family",
    "elements",
    "energy_above_hull",
    "energy_above_hull_at",
    "energy_above_hull_upper_at",
    "energy_above_hull_other_at",
    "entropy",
    "mixing_temperature",
    "uncertainty",
    "n_orderings",
    "n_random_orderings",
    "calculated_formula",
    "deviation",
    "hull_depth_risk",
    "mixing",
    "other_mixing",
    "flags",
)
"""Fields of a summary that are held in memory."""

_ASK_AGAIN_SECONDS = 10.0

_MOST_ORDERS = 32


@dataclass(frozen=True)
class Columns:
    """
    Every summary, one row each, in the order of campaign and candidate.

    E_hull at a temperature that the builders used is theirs; at another one it is
    E_hull - T·S of the stored terms, which is the same wherever other candidates take
    no part in the hull.
    """

    rows: tuple[SummaryRow, ...]
    """The fields that tables show."""
    energies: NDArray[np.float64]
    """E_hull without entropy, eV/atom."""
    entropies: NDArray[np.float64]
    """Ideal mixing entropy, eV/K per atom."""
    stored: Mapping[float, NDArray[np.float64]]
    """Temperature in K → E_hull there as built, eV/atom; NaN where not built."""
    gaps: NDArray[np.float64]
    """Mean of the random orderings minus the lowest one, eV/atom; NaN without any."""
    uncertainties: NDArray[np.float64]
    """Standard deviation of E_hull, eV/atom; NaN where not known."""
    other_entropies: NDArray[np.float64]
    """Mixing entropy that is counted minus that of the other convention, eV/K per
    atom; NaN where that is not known."""
    risks: NDArray[np.float64]
    """How much E_hull may fall by known compositions, eV/atom; NaN where not known."""
    elements: tuple[str, ...]
    """Symbols of the columns of ``amounts``, alphabetical."""
    amounts: NDArray[np.float32]
    """Atoms of each element per formula unit."""
    campaigns: tuple[str, ...]
    """Names, alphabetical."""
    campaign_numbers: NDArray[np.int32]
    """Campaign of each row, as its place in ``campaigns``."""
    _orders: dict[tuple[str, float], NDArray[np.int64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, docs: Sequence[SummaryRow]) -> Columns:
        """Turn documents of the ``summary`` collection into columns."""
        ordered = sorted(docs, key=lambda doc: (doc["campaign"], doc["candidate_id"]))
        elements = sorted({symbol for doc in ordered for symbol in doc["elements"]})
        campaigns = sorted({doc["campaign"] for doc in ordered})
        keys = sorted({key for doc in ordered for key in doc["energy_above_hull_at"]})
        return cls(
            rows=tuple(ordered),
            energies=np.array([doc["energy_above_hull"] for doc in ordered], float),
            entropies=np.array([doc["entropy"] for doc in ordered], float),
            stored={
                kelvin(key): np.array(
                    [doc["energy_above_hull_at"].get(key, np.nan) for doc in ordered],
                    float,
                )
                for key in keys
            },
            gaps=_floats(map(_gap, ordered)),
            uncertainties=_floats(doc["uncertainty"] for doc in ordered),
            risks=_floats(doc["hull_depth_risk"] for doc in ordered),
            other_entropies=_floats(map(_other_entropy, ordered)),
            elements=tuple(elements),
            amounts=_amounts(ordered, elements),
            campaigns=tuple(campaigns),
            campaign_numbers=np.array(
                [campaigns.index(doc["campaign"]) for doc in ordered], np.int32
            ),
        )

    def at(self, temperature: float) -> NDArray[np.float64]:
        """Return E_hull of every row at a temperature in K, in eV/atom."""
        linear = self.energies - temperature * self.entropies
        built = self.stored.get(temperature)
        return linear if built is None else np.where(np.isnan(built), linear, built)

    def upper(self, temperature: float) -> NDArray[np.float64]:
        """Return the mean of the random orderings at a temperature, eV/atom."""
        return self.at(temperature) + self.gaps

    def other(self, temperature: float) -> NDArray[np.float64]:
        """Return E_hull at a temperature had the other mixing been counted, eV/atom."""
        return self.at(temperature) + temperature * self.other_entropies

    def open(self, temperature: float) -> NDArray[np.bool_]:
        """
        Say which labels may turn at a temperature in K.

        As :func:`~hts_battery.thermo.estimates.is_open`; what is not known opens none.
        """
        hot = self.at(temperature)
        near = np.abs(hot) < self.uncertainties
        crossed = ~np.isnan(self.gaps) & ((hot <= 0) != (hot + self.gaps <= 0))
        return np.asarray(near | crossed)

    def stable(self, campaign: str | None, temperature: float) -> tuple[int, int]:
        """Count what is stable at a temperature, and what of it is certain."""
        below = self.of_campaign(campaign) & (self.at(temperature) <= 0)
        return int(below.sum()), int((below & ~self.open(temperature)).sum())

    def of_campaign(self, campaign: str | None) -> NDArray[np.bool_]:
        """Say which rows belong to a campaign; nothing belongs to none."""
        if campaign is None or campaign not in self.campaigns:
            return np.zeros(len(self), bool)
        return np.equal(self.campaign_numbers, self.campaigns.index(campaign))

    def ranking(self, campaign: str | None, temperature: float) -> NDArray[np.int64]:
        """Return the rows of a campaign, the most stable at a temperature first."""
        key = (campaign or "", temperature)
        known = self._orders.get(key)
        if known is None:
            chosen = np.flatnonzero(self.of_campaign(campaign))
            order = np.argsort(self.at(temperature)[chosen], kind="stable")
            known = chosen[order]
            if len(self._orders) >= _MOST_ORDERS:
                self._orders.clear()
            self._orders[key] = known
        return known


def _floats(values: Iterable[float | None]) -> NDArray[np.float64]:
    """Write what is not known as NaN."""
    return np.array([np.nan if one is None else one for one in values], float)


def _gap(doc: SummaryRow) -> float | None:
    """Bounds lie equally far apart at every temperature."""
    for key, upper in doc["energy_above_hull_upper_at"].items():
        return float(upper - doc["energy_above_hull_at"][key])
    return None


def _other_entropy(doc: SummaryRow) -> float | None:
    """Divide what the other convention adds by the temperature of a stored one."""
    for key, other in doc["energy_above_hull_other_at"].items():
        if temperature := kelvin(key):
            return float(other - doc["energy_above_hull_at"][key]) / temperature
    return None


def kelvin(key: str) -> float:
    """
    Read the temperature that a field is named by.

    Examples
    --------
    >>> kelvin("1273_15K")
    1273.15
    """
    return float(key.removesuffix("K").replace("_", "."))


def _amounts(
    docs: Sequence[SummaryRow], elements: Sequence[str]
) -> NDArray[np.float32]:
    place = {symbol: number for number, symbol in enumerate(elements)}
    found = np.zeros((len(docs), len(elements)), np.float32)
    for row, doc in enumerate(docs):
        for symbol, amount in parse_formula(doc["formula"]).items():
            found[row, place[symbol]] = float(amount)
    return found


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
    """Everything that is held in memory, and the build that it belongs to."""

    run_id: str | None
    """The latest run of the builders; none before the first."""
    columns: Columns
    progress: tuple[CampaignCounts, ...]
    reported: frozenset[frozenset[str]]
    """Pairs of elements that stand together in a competing phase."""
    campaigns: tuple[str, ...] = ()
    """Those that were built, the newest build first."""

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
        self._latest = read_latest_build(reader)

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
            self._latest = read_latest_build(self._reader)


def latest_run(reader: BoundedReader) -> str | None:
    """Return the id of the latest run of the builders that ended well."""
    found = reader.find_one(
        "builds", {"state": "finished"}, fields=["run_id"], sort={"run_id": -1}
    )
    return None if found is None else str(found["run_id"])


def read_latest_build(reader: BoundedReader) -> LatestBuild:
    """Read all that the pages show of every candidate."""
    run_id = latest_run(reader)
    # A calculated cell that several candidates share is shown once.
    own = {"same_cell_as": None}
    found = reader.find("summary", own, fields=FIELDS)
    columns = Columns.of(cast("list[SummaryRow]", found))
    references = reader.find("entries", {"kind": "reference"}, fields=["elements"])
    progress = tuple(_progress(reader, columns))
    return LatestBuild(
        run_id,
        columns,
        progress,
        frozenset(
            frozenset((one, other))
            for doc in references
            for one in doc["elements"]
            for other in doc["elements"]
            if one < other
        ),
        _newest_first(reader, columns),
    )


def _newest_first(reader: BoundedReader, columns: Columns) -> tuple[str, ...]:
    """Order campaigns by their last build, those of one build by registration."""
    registered = [
        doc["name"]
        for doc in reader.find("campaigns", {}, fields=["name"], sort={"_id": 1})
    ]
    built = {name: _last_run(reader, name) for name in registered}
    names = [
        *sorted(set(columns.campaigns) - built.keys()),
        *(name for name in registered if built[name] or name in columns.campaigns),
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


def _progress(reader: BoundedReader, columns: Columns) -> list[CampaignCounts]:
    found = []
    for doc in reader.find(
        "campaigns", {}, fields=["name", "spec.engine"], sort={"name": 1}
    ):
        name = doc["name"]
        failed = reader.find(
            "thermo", {"campaign": name, "state": "failed"}, fields=["candidate_id"]
        )
        found.append(
            CampaignCounts(
                campaign=name,
                engine=str(doc["spec"].get("engine", "")),
                candidates=reader.count("members", {"campaign": name}),
                ranked=int(columns.of_campaign(name).sum()),
                unjudged=len({one["candidate_id"] for one in failed}),
            )
        )
    return found
