"""READ: one immutable picture of a campaign, its backlog and its launchpad."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from hts_battery.campaign.local_run import released_ids
from hts_battery.connections.launchpad.workflows import (
    SentWorkflow,
    read_ended,
    read_workflows,
)
from hts_battery.connections.records.backlog import keys_sent
from hts_battery.errors import StoreError
from hts_battery.flows.recipes.calculated import Calculated, read_some
from hts_battery.flows.recipes.chunk import CHUNK_STEP
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.dispatch import BacklogItem, ChunkReport

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.schemas.archive import ArchivedWorkflow
    from hts_battery.schemas.dispatch import Submission
    from hts_battery.schemas.structure import OrderingMethod

Chunk = tuple[BacklogItem, ...]
"""Candidates of one dispatch: several in a chunk, one in steps."""

_BATCH = 100  # the embedded server compares every document with every key
_ENDED_AT_ONCE = 50
_SECONDS_PER_HOUR = 3600


def by_dispatch(items: Iterable[BacklogItem]) -> dict[str, Chunk]:
    """Sort candidates that were sent by the dispatch."""
    found: dict[str, Chunk] = {}
    for item in items:
        if item.dispatch_id is not None:
            found[item.dispatch_id] = (*found.get(item.dispatch_id, ()), item)
    return found


@dataclass(frozen=True)
class Snapshot:
    """What control document, backlog and launchpad say of a campaign at one moment."""

    submission: Submission
    now: datetime
    items: tuple[BacklogItem, ...] = ()
    """Its candidates, in sending order."""
    workflows: Mapping[str, SentWorkflow] = field(default_factory=dict)
    """Dispatch id → what the launchpad holds of it."""
    inserted: int = 0
    """Fireworks that were, or are to be, inserted since the launchpad was read."""

    @cached_property
    def in_hand(self) -> dict[str, Chunk]:
        """What was sent and has not ended, by dispatch id."""
        return by_dispatch(item for item in self.items if item.ending is None)

    @cached_property
    def waiting(self) -> Chunk:
        """The candidates that wait to be sent."""
        return tuple(
            item
            for item in self.items
            if item.dispatch_id is None and item.ending is None
        )

    @property
    def over(self) -> list[SentWorkflow]:
        """The workflows of which nothing will run again."""
        return [one for one in self.workflows.values() if one.is_over]

    @property
    def missing(self) -> dict[str, Chunk]:
        """What is in hand and not in the launchpad, by dispatch id."""
        return {
            name: items
            for name, items in self.in_hand.items()
            if name not in self.workflows or self.workflows[name].is_empty
        }

    @property
    def fireworks(self) -> int:
        """Number of Fireworks of unfinished work in the launchpad."""
        there = sum(len(workflow.states) for workflow in self.workflows.values())
        return there + self.inserted

    @property
    def node_hours(self) -> float:
        """Node-hours spent so far, those of running launches included."""
        ended = sum(
            ending.node_hours
            for item in self.items
            for ending in (*item.earlier, item.ending)
            if ending is not None
        )
        running = sum(
            workflow.seconds
            for name, workflow in self.workflows.items()
            if name in self.in_hand
        )
        return ended + running * self.submission.nodes / _SECONDS_PER_HOUR

    def with_items(self, changed: Iterable[BacklogItem]) -> Snapshot:
        """Return it with some candidates as they are now."""
        new = {item.content_key: item for item in changed}
        if not new:
            return self
        items = tuple(new.get(item.content_key, item) for item in self.items)
        return replace(self, items=items)

    def without(self, dispatch_ids: Collection[str]) -> Snapshot:
        """Return it without workflows that have left the launchpad."""
        left = {k: v for k, v in self.workflows.items() if k not in dispatch_ids}
        return replace(self, workflows=left)


@dataclass(frozen=True)
class Terms:
    """What a campaign asks for, and on which terms it is sent."""

    submission: Submission
    spec: CampaignSpec
    """The campaign as it was last registered."""
    released: frozenset[str]
    """Candidates that the operator lets pass the gate."""
    now: datetime

    @property
    def wanted(self) -> Mapping[OrderingMethod, int]:
        """Method → orderings that are asked for."""
        return self.spec.structure.n_orderings


@dataclass(frozen=True)
class Prepared:
    """What is known of some candidates before they are sent."""

    candidates: Mapping[str, CandidateDoc] = field(default_factory=dict)
    """Candidate id → candidate."""
    known: Mapping[str, Calculated] = field(default_factory=dict)
    """Content key → what is known of its calculation, other campaigns' too."""

    def all_of(self, item: BacklogItem) -> Calculated:
        """Return what is known of a candidate, orderings of other campaigns too."""
        return self.known.get(item.content_key, Calculated())

    def asked_of(self, item: BacklogItem, terms: Terms) -> Calculated:
        """Return what is known of the orderings of a candidate that are asked for."""
        return self.all_of(item).asked_for(terms.wanted)


@dataclass(frozen=True)
class Evidence:
    """What must be known before anything is collected or sent."""

    terms: Terms
    ended: tuple[ArchivedWorkflow, ...] = ()
    """The workflows that are over."""
    reports: Mapping[str, ChunkReport] = field(default_factory=dict)
    """Dispatch id → what its chunk reported."""
    known: Mapping[str, Calculated] = field(default_factory=dict)
    """Content key → what is stored of a candidate that no report names."""
    missing: Prepared = field(default_factory=Prepared)
    """What is in hand and not in the launchpad."""
    elsewhere: frozenset[str] = frozenset()
    """Content keys that other campaigns compute now."""


def read_launchpad(snapshot: Snapshot, launchpad: ExactLaunchPad) -> Snapshot:
    """Return a snapshot with the launchpad as it is now."""
    workflows = read_workflows(
        launchpad, snapshot.submission.campaign, now=snapshot.now
    )
    return replace(snapshot, workflows=workflows, inserted=0)


def read_evidence(
    snapshot: Snapshot,
    stores: Stores,
    launchpad: ExactLaunchPad,
    at_hand: Mapping[str, CandidateDoc],
) -> Evidence | None:
    """Read what is needed to collect and to send; None where there is neither."""
    submission, over = snapshot.submission, snapshot.over
    missing = () if submission.hold else _joined(snapshot.missing.values())
    may_send = (
        submission.hold is None
        and bool(snapshot.waiting or missing or over)
        and snapshot.without({one.dispatch_id for one in over}).fireworks
        < submission.window
    )
    if not over and not missing and not may_send:
        return None
    name = submission.campaign
    terms = Terms(
        submission,
        stored_spec(stores, name),
        frozenset(released_ids(name, stores)),
        snapshot.now,
    )
    ended = [
        one
        for start in range(0, len(over), _ENDED_AT_ONCE)
        for one in read_ended(launchpad, over[start : start + _ENDED_AT_ONCE])
    ]
    reports = _read_reports(stores, ended)
    return Evidence(
        terms=terms,
        ended=tuple(ended),
        reports=reports,
        known=read_some(stores, _unreported(snapshot, ended, reports)),
        missing=read_prepared(stores, missing, at_hand) if missing else Prepared(),
        elsewhere=frozenset(keys_sent(stores, besides=name) if may_send else ()),
    )


def _joined(chunks: Iterable[Chunk]) -> Chunk:
    return tuple(item for items in chunks for item in items)


def stored_spec(stores: Stores, campaign: str) -> CampaignSpec:
    """
    Read the file of a campaign as it was last registered.

    Raises
    ------
    StoreError
        If it is not in the database.
    """
    doc = stores.campaigns.query_one({"name": campaign})
    if doc is None:
        raise StoreError(
            f"there is no campaign {campaign} in the database: submit its file"
        )
    return CampaignSpec.model_validate(doc["spec"])


def _read_reports(
    stores: Stores, ended: Sequence[ArchivedWorkflow]
) -> dict[str, ChunkReport]:
    """Read what chunks reported, by dispatch id."""
    ids = [
        one.dispatch_id
        for one in ended
        # One that was deleted by hand while it ran does not say what it was.
        if {CHUNK_STEP, None}.issuperset(other.step for other in one.fireworks)
    ]
    found = {}
    for start in range(0, len(ids), _ENDED_AT_ONCE):
        for doc in stores.tasks.query(
            {"uuid": {"$in": ids[start : start + _ENDED_AT_ONCE]}},
            properties=["uuid", "output", "metadata.step"],
        ):
            if doc["metadata"]["step"] == CHUNK_STEP:
                found[doc["uuid"]] = ChunkReport.model_validate(doc["output"])
    return found


def _unreported(
    snapshot: Snapshot,
    ended: Sequence[ArchivedWorkflow],
    reports: Mapping[str, ChunkReport],
) -> list[str]:
    """List the content keys that no report names; nothing of what never began."""
    return [
        item.content_key
        for workflow in ended
        if workflow.launches
        for item in snapshot.in_hand.get(workflow.dispatch_id, ())
        if workflow.dispatch_id not in reports
        or item.content_key not in reports[workflow.dispatch_id].entries
    ]


def read_prepared(
    stores: Stores, items: Sequence[BacklogItem], at_hand: Mapping[str, CandidateDoc]
) -> Prepared:
    """Read what must be known of candidates that are sent, in a few queries."""
    wanted = {item.candidate_id for item in items}
    candidates = {one: at_hand[one] for one in wanted if one in at_hand}
    ids = sorted(wanted - set(candidates))
    for start in range(0, len(ids), _BATCH):
        some = {"candidate_id": {"$in": ids[start : start + _BATCH]}}
        for doc in stores.candidates.query(some):
            doc.pop("_id", None)
            candidates[doc["candidate_id"]] = CandidateDoc.model_validate(doc)
    return Prepared(candidates, read_some(stores, [item.content_key for item in items]))
