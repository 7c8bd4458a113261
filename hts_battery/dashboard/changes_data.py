"""What changed between two builds, for its page and its endpoint."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from hts_battery.query.builds import Difference, Differences, fold_changes

if TYPE_CHECKING:
    from hts_battery.connections.database.bounded_reader import BoundedReader

MOST_SETS = 1000
"""Batches of changes that are read at once; a batch holds up to 250 changes."""


def read_builds(reader: BoundedReader, *, limit: int) -> list[dict[str, Any]]:
    """Return the manifests of the builds, the latest first."""
    docs = reader.find("builds", {}, sort={"run_id": -1}, limit=limit)
    for doc in docs:
        for name in ("started_at", "finished_at"):
            if doc.get(name) is not None:  # the database drops that it is UTC
                doc[name] = doc[name].replace(tzinfo=UTC)
    return docs


def read_changes(
    reader: BoundedReader, *, since: str | None, campaign: str | None
) -> Differences | None:
    """
    Join all changes after a build.

    Parameters
    ----------
    reader
        Where to read.
    since
        Id of a run; the one before the latest if not given; before all of them if
        empty.
    campaign
        Name of a campaign; nothing belongs to none.

    Returns
    -------
    Differences or None
        Largest change first; none if there is no such build.
    """
    start = _start(reader, since)
    if start is None:
        return None
    criteria = {"run_id": {"$gt": start}, "campaign": campaign}
    sets = reader.find("changes", criteria, sort={"run_id": 1}, limit=MOST_SETS)
    ranked = sorted(fold_changes(sets), key=_by_weight)
    return Differences(start, tuple(ranked))


def _start(reader: BoundedReader, since: str | None) -> str | None:
    if since:
        found = reader.find_one("builds", {"run_id": since}, fields=["run_id"])
        return None if found is None else since
    latest = reader.find("builds", {}, fields=["run_id"], sort={"run_id": -1}, limit=2)
    if not latest:
        return None
    if since == "":
        return since
    return str(latest[1]["run_id"]) if len(latest) > 1 else ""


def _by_weight(row: Difference) -> tuple[bool, float, str]:
    return (not row.flipped, -abs(row.change or 0.0), row.candidate_id)
