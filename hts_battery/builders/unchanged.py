"""Whether a build may skip what the last one already found to be right."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

from hts_battery.builders.registry import collections_of
from hts_battery.builders.screening_builder import input_digest
from hts_battery.connections.database.content_digests import content_digests
from hts_battery.schemas.build import (
    BuildManifest,
    BuildReport,
    BuildState,
    HullSummary,
)
from hts_battery.schemas.thermo import OrderingScope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hts_battery.connections.database.stores import Stores

_GROWING = frozenset(("hulls", "changes"))
"""What a run that changes nothing may add to, or lacks until something has changed."""


def document_counts(stores: Stores) -> dict[str, int]:
    """Count the documents of the collections that builders write, by metadata."""
    counted = sorted(set(collections_of("writes")) - _GROWING)
    return {name: stores.store(name).estimated_count() for name in counted}


@dataclass
class LastRun:
    """
    The run before this one, if its results can be trusted as they stand.

    They can where it ended well, nothing was written since, and no document that it
    left has disappeared; then equal digests of everything that goes in mean that
    nothing has to be read that comes out.

    ``now``: manifest of the run that has just begun. ``verify``: whether nothing is to
    be trusted.
    """

    stores: Stores
    now: BuildManifest
    verify: bool = False

    @cached_property
    def manifest(self) -> BuildManifest | None:
        """Its manifest; None if it cannot be trusted."""
        if self.now.retry_failed or self.verify:
            return None
        before = {"run_id": {"$lt": self.now.run_id}}
        doc = self.stores.builds.query_one(before, sort={"run_id": -1})
        if doc is None or doc["state"] != BuildState.FINISHED:
            return None
        doc.pop("_id")
        found = BuildManifest.model_validate(doc)
        same = (
            found.only is None
            and found.versions == self.now.versions
            and found.document_counts == document_counts(self.stores)
            # What could not be made is tried again, and said again.
            and not any(report.unmade for report in found.reports.values())
        )
        # Builders run by mrun leave changes under a run without a manifest.
        later = {"run_id": {"$gt": found.run_id}}
        return found if same and not self.stores.changes.count(later) else None

    def has_seen(self, place: str, digest: str) -> bool:
        """Say whether a builder had the same inputs then."""
        known = self.manifest
        return known is not None and known.input_digests.get(place) == digest

    def hulls(self, campaign: str) -> tuple[HullSummary, ...]:
        """Return the hulls that were used for a campaign."""
        found = self.manifest.hulls if self.manifest else ()
        return tuple(hull for hull in found if hull.campaign == campaign)

    def report(self, place: str, seconds: float) -> BuildReport:
        """Return the counts of a builder that was skipped."""
        read = self.manifest.input_counts.get(place, 0) if self.manifest else 0
        return BuildReport(
            read=read, written=0, failed=0, unchanged=read, removed=0, seconds=seconds
        )


@dataclass
class ChainInputs:
    """Digests of all that the stabilities of a campaign are made from."""

    stores: Stores

    @cached_property
    def _candidates(self) -> str:
        found = content_digests(self.stores.candidates, {}, ["candidate_id"])
        return input_digest(sorted(digest for _, digest in found))

    @cached_property
    def results(self) -> str:
        """Digest of what recipes found out, whatever campaign asked for it."""
        found = content_digests(self.stores.tasks, {"metadata.step": "result"}, [])
        return input_digest(sorted(digest for _, digest in found))

    def digest(self, campaign: str, entries: str, options: dict[str, object]) -> str:
        """
        Digest entries, candidates, members and options of one campaign.

        ``entries``: digest of what all entries are made from. ``options``: those of the
        campaign.
        """
        stability = cast("Mapping[str, object]", options["stability"])
        pooled = stability["orderings"] == OrderingScope.POOLED
        scope = {} if pooled else {"campaign": campaign}
        members = content_digests(self.stores.members, scope, ["candidate_id"])
        listed = sorted(digest for _, digest in members)
        return input_digest(entries, self._candidates, listed, options)
