"""Runs of the builders, and what changed between two of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC
from typing import TYPE_CHECKING, cast

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hts_battery.connections.database.bounded_reader import BoundedReader
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.rows import BuildRow, ChangeRow, ChangeSetRow

MOST_SETS = 1000
"""Batches of changes that are read at once; a batch holds up to 250 changes."""
Key = tuple[str, str, float]
"""Campaign, candidate and temperature."""


@dataclass(frozen=True)
class Difference:
    """What became of one candidate at one temperature since a run."""

    campaign: str
    candidate_id: str
    formula: str | None
    temperature: float
    """In K."""
    before_label: str | None
    """GS, LS or US; None if it was not assessed."""
    after_label: str | None
    """The same now; None if it is gone or failed."""
    before_open: bool
    """Whether that label might turn."""
    after_open: bool
    """The same now."""
    before: float | None
    """E_hull at the temperature, eV/atom, signed."""
    after: float | None
    """The same now."""
    before_hull_version: str | None
    after_hull_version: str | None
    reasons: tuple[str, ...]
    """Why, over all runs since then."""
    run_ids: tuple[str, ...]
    """Runs that changed it."""

    @property
    def flipped(self) -> bool:
        """Whether a candidate that had a label has another one, or none."""
        return self.before_label not in (None, self.after_label)

    @property
    def certain(self) -> bool:
        """Whether it flipped and neither label was open."""
        return self.flipped and not (self.before_open or self.after_open)

    @property
    def labels(self) -> str:
        """Label before and now, each with the mark of an open one."""
        return (
            f"{label_words(self.before_label, is_open=self.before_open)} → "
            f"{label_words(self.after_label, is_open=self.after_open)}"
        )

    @property
    def change(self) -> float | None:
        """E_hull now minus then, eV/atom; None where one is missing."""
        if self.before is None or self.after is None:
            return None
        return self.after - self.before

    def as_dict(self) -> dict[str, object]:
        """Return all fields, the derived ones too."""
        return {
            **asdict(self),
            "change": self.change,
            "flipped": self.flipped,
            "certain": self.certain,
        }


def label_words(label: str | None, *, is_open: bool) -> str:
    """
    Write a label with its mark.

    Examples
    --------
    >>> label_words("LS", is_open=True), label_words(None, is_open=False)
    ('LS open', 'none')
    """
    return f"{label or 'none'} open" if is_open else label or "none"


@dataclass(frozen=True)
class Differences:
    """Everything that changed since a run."""

    since: str
    """The run."""
    rows: tuple[Difference, ...]
    """One per candidate and temperature, largest change first."""

    @property
    def headline(self) -> str:
        """Counts, in one line."""
        flipped = sum(row.flipped for row in self.rows)
        new = sum(row.before_label is None for row in self.rows)
        certain = sum(row.certain for row in self.rows)
        return (
            f"{flipped} labels flipped, of them {certain} certain, "
            f"{len(self.rows) - flipped - new} others changed, {new} are new"
        )


def runs(stores: Stores, *, limit: int = 0) -> list[BuildRow]:
    """
    Return the manifests of the runs of the builders, the latest first.

    ``limit``: number of manifests; 0 is no limit. Returns: fields of
    :class:`~hts_battery.schemas.build.BuildManifest`, and the wall time in ``seconds``.
    """
    found = []
    for doc in stores.builds.query({}, sort={"run_id": -1}, limit=limit):
        doc.pop("_id", None)
        ended = doc["finished_at"]
        seconds = None if ended is None else (ended - doc["started_at"]).total_seconds()
        found.append(cast("BuildRow", {**doc, "seconds": seconds}))
    return found


def differences(
    stores: Stores, *, since: str | None = None, campaign: str | None = None
) -> Differences:
    """
    Say what changed after a run, and why.

    ``since``: id of a run; the one before the latest if not given. ``campaign``: name
    of a campaign; all if not given. Raises ConfigurationError if there is no such run.
    """
    start = _run_before_latest(stores) if since is None else since
    if since is not None and stores.builds.query_one({"run_id": since}) is None:
        raise ConfigurationError(
            f"no run {since!r} of the builders; `hts build list` names them"
        )
    criteria: dict[str, object] = {"run_id": {"$gt": start}}
    if campaign is not None:
        criteria["campaign"] = campaign
    sets = stores.changes.query(criteria, sort={"run_id": 1})
    return Differences(start, ranked_changes(cast("Iterable[ChangeSetRow]", sets)))


def _run_before_latest(stores: Stores) -> str:
    """Return the second latest run, or a text that stands before the first one."""
    latest = [
        doc["run_id"]
        for doc in stores.builds.query(
            {}, properties=["run_id"], sort={"run_id": -1}, limit=2
        )
    ]
    if not latest:
        raise ConfigurationError("the builders have not run yet: `hts build all`")
    return latest[1] if len(latest) > 1 else ""


def read_builds(reader: BoundedReader, *, limit: int) -> list[BuildRow]:
    """Return the manifests of the builds, the latest first."""
    found = reader.find("builds", {}, sort={"run_id": -1}, limit=limit)
    builds = cast("list[BuildRow]", found)
    for one in builds:  # the database drops that it is UTC
        one["started_at"] = one["started_at"].replace(tzinfo=UTC)
        if (finished := one.get("finished_at")) is not None:
            one["finished_at"] = finished.replace(tzinfo=UTC)
    return builds


def read_changes(
    reader: BoundedReader, *, since: str | None, campaign: str | None
) -> Differences | None:
    """
    Join all changes after a build.

    ``since``: id of a run; the one before the latest if not given; before all of them
    if empty. ``campaign``: name of a campaign; nothing belongs to none. Returns:
    largest change first; none if there is no such build.
    """
    start = _shown_since(reader, since)
    if start is None:
        return None
    criteria = {"run_id": {"$gt": start}, "campaign": campaign}
    sets = reader.find("changes", criteria, sort={"run_id": 1}, limit=MOST_SETS)
    return Differences(start, ranked_changes(cast("Iterable[ChangeSetRow]", sets)))


def _shown_since(reader: BoundedReader, since: str | None) -> str | None:
    if since:
        found = reader.find_one("builds", {"run_id": since}, fields=["run_id"])
        return None if found is None else since
    latest = reader.find("builds", {}, fields=["run_id"], sort={"run_id": -1}, limit=2)
    if not latest:
        return None
    if since == "":
        return since
    return str(latest[1]["run_id"]) if len(latest) > 1 else ""


def ranked_changes(sets: Iterable[ChangeSetRow]) -> tuple[Difference, ...]:
    """Join the changes of several runs, flipped labels and large changes first."""
    return tuple(
        sorted(
            fold_changes(sets),
            key=lambda row: (
                not row.flipped,
                -abs(row.change or 0.0),
                row.candidate_id,
            ),
        )
    )


def fold_changes(sets: Iterable[ChangeSetRow]) -> list[Difference]:
    """
    Join the changes of several runs: first state, last state, every reason.

    A change that a killed run had written down but not done is written down again by
    the next one; joined, the two are one.

    ``sets``: documents of the ``changes`` collection, in the order of their runs.
    """
    first: dict[Key, ChangeRow] = {}
    last: dict[Key, ChangeRow] = {}
    why: dict[Key, dict[str, None]] = {}
    when: dict[Key, dict[str, None]] = {}
    for doc in sets:
        for change in doc["changes"]:
            key = (doc["campaign"], change["candidate_id"], change["temperature"])
            first.setdefault(key, change)
            last[key] = change
            why.setdefault(key, {}).update(dict.fromkeys(change["reasons"]))
            when.setdefault(key, {})[doc["run_id"]] = None
    return [
        _difference(key, first[key], last[key], tuple(why[key]), tuple(when[key]))
        for key in first
    ]


def _difference(
    key: Key,
    first: ChangeRow,
    last: ChangeRow,
    why: tuple[str, ...],
    when: tuple[str, ...],
) -> Difference:
    before = first["before"] or {}
    after = last["after"] or {}
    return Difference(
        campaign=key[0],
        candidate_id=key[1],
        formula=last["formula"] or first["formula"],
        temperature=key[2],
        before_label=before.get("label"),
        after_label=after.get("label"),
        before_open=bool(before.get("open")),
        after_open=bool(after.get("open")),
        before=before.get("energy_above_hull"),
        after=after.get("energy_above_hull"),
        before_hull_version=before.get("hull_version"),
        after_hull_version=after.get("hull_version"),
        reasons=why,
        run_ids=when,
    )
