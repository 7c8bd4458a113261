"""READ: one immutable picture of a campaign, its backlog and its launchpad."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from hts_battery.campaign.source import read_candidates
from hts_battery.connections.launchpad.workflows import read_ended, read_workflows
from hts_battery.connections.records.backlog import keys_sent
from hts_battery.connections.records.stored_documents import read_stored
from hts_battery.connections.records.worker_controls import read_worker_controls
from hts_battery.errors import UnreadableDocumentError
from hts_battery.flows.recipes.calculated import (
    Calculated,
    add_geometries,
    read_some,
    released_ids,
)
from hts_battery.flows.recipes.chunk import CHUNK_STEP
from hts_battery.flows.recipes.gate import GateHulls
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.dispatch import (
    BacklogItem,
    ChunkReport,
    DispatchMode,
    EndingKind,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.connections.launchpad.workflows import SentWorkflow
    from hts_battery.schemas.archive import ArchivedWorkflow
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.dispatch import Submission
    from hts_battery.schemas.structure import OrderingMethod

Chunk = tuple[BacklogItem, ...]
"""Candidates, mostly those of one dispatch: several in a chunk, one in steps."""

_ENDED_AT_ONCE = 50
_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class Snapshot:
    """What control document, backlog and launchpad say of a campaign at one moment."""

    submission: Submission
    """The control document: how it is sent, and why not, if so."""
    spec: CampaignSpec
    """The campaign as it was last registered."""
    now: datetime
    items: Chunk = ()
    """Its candidates, in sending order."""
    workflows: Mapping[str, SentWorkflow] = field(default_factory=dict)
    """Dispatch id → what the launchpad holds of it."""
    released: frozenset[str] = frozenset()
    """Candidates that the operator lets pass the gate."""
    drained: frozenset[str] = frozenset()
    """Workers to which nothing more is sent."""
    inserted: int = 0
    """Fireworks that were, or are to be, inserted since the launchpad was read."""

    @property
    def workers(self) -> frozenset[str]:
        """Workers that it is sent to."""
        submission = self.submission
        return frozenset((submission.worker, *submission.routes.values()))

    @property
    def wanted(self) -> Mapping[OrderingMethod, int]:
        """Method → orderings that are asked for."""
        return self.spec.orderings

    @property
    def steps(self) -> int:
        """Ionic steps that a relaxation is allowed."""
        return self.spec.relaxation.steps

    @cached_property
    def in_hand(self) -> dict[str, Chunk]:
        """What was sent and has not ended, by dispatch id."""
        found: dict[str, Chunk] = {}
        for item in self.items:
            if item.dispatch_id is not None and item.ending is None:
                found[item.dispatch_id] = (*found.get(item.dispatch_id, ()), item)
        return found

    @cached_property
    def waiting(self) -> Chunk:
        """The candidates that wait to be sent."""
        return tuple(
            item
            for item in self.items
            if item.dispatch_id is None and item.ending is None
        )

    @cached_property
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
    def room(self) -> int:
        """Number of candidates that window and quota leave room for."""
        submission = self.submission
        if submission.hold is not None or not self.workers.isdisjoint(self.drained):
            return 0
        free = submission.window - self.fireworks - len(self.missing)
        count = max(0, free) * submission.chunk
        if submission.max_candidates is None:
            return count
        used = sum(
            item.dispatch_id is not None
            and (item.ending is None or item.ending.kind is not EndingKind.CANCELLED)
            for item in self.items
        )
        return min(count, max(0, submission.max_candidates - used))

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


@dataclass(frozen=True)
class Ended:
    """What is stored of the workflows that are over."""

    workflows: tuple[ArchivedWorkflow, ...] = ()
    reports: Mapping[str, ChunkReport] = field(default_factory=dict)
    """Dispatch id → what its chunk reported."""
    known: Mapping[str, Calculated] = field(default_factory=dict)
    """Content key → what is stored of a candidate that no report names."""


@dataclass(frozen=True)
class Prepared:
    """What is known of candidates that may be sent now."""

    waiting: Chunk = ()
    """Those that wait and have room, in sending order."""
    candidates: Mapping[str, CandidateDoc] = field(default_factory=dict)
    """Candidate id → candidate, of what is missing in the launchpad too."""
    known: Mapping[str, Calculated] = field(default_factory=dict)
    """Content key → what is known of its calculation, other campaigns' too."""
    hulls: GateHulls | None = None
    """The competing phases of the gate, where there is one."""


def read_snapshot(
    submission: Submission,
    items: Iterable[BacklogItem],
    now: datetime,
    stores: Stores,
    launchpad: ExactLaunchPad,
) -> Snapshot:
    """
    Read what is to be known of a campaign before anything is decided.

    Raises
    ------
    UnreadableDocumentError
        If the campaign is not in the database, or cannot be read.
    """
    name = submission.campaign
    doc = stores.campaigns.query_one({"name": name}, properties=["spec"])
    if doc is None:
        raise UnreadableDocumentError(
            f"there is no campaign {name} in the database: submit its file"
        )
    spec = read_stored(CampaignSpec, doc.get("spec"), f"the campaign {name}")
    workflows = read_workflows(launchpad, name, now=now)
    released = frozenset(released_ids(name, stores) if spec.gate else ())
    drained = frozenset(one.worker for one in read_worker_controls(stores) if one.drain)
    return Snapshot(submission, spec, now, tuple(items), workflows, released, drained)


def read_again(snapshot: Snapshot, launchpad: ExactLaunchPad) -> Snapshot:
    """Return the picture with the launchpad as it is now."""
    name = snapshot.submission.campaign
    workflows = read_workflows(launchpad, name, now=snapshot.now)
    return replace(snapshot, workflows=workflows, inserted=0)


def read_what_ended(
    snapshot: Snapshot, stores: Stores, launchpad: ExactLaunchPad
) -> Ended:
    """Read what is stored of the workflows of which nothing will run again."""
    over = [one for one in snapshot.workflows.values() if one.is_over]
    workflows: list[ArchivedWorkflow] = []
    for start in range(0, len(over), _ENDED_AT_ONCE):
        workflows += read_ended(launchpad, over[start : start + _ENDED_AT_ONCE])
    ids = [
        one.dispatch_id
        for one in workflows
        # One that was deleted by hand while it ran does not say what it was.
        if {CHUNK_STEP, None}.issuperset(other.step for other in one.fireworks)
    ]
    reports = {
        doc["uuid"]: ChunkReport.model_validate(doc["output"])
        for start in range(0, len(ids), _ENDED_AT_ONCE)
        for doc in stores.tasks.query(
            {"uuid": {"$in": ids[start : start + _ENDED_AT_ONCE]}},
            properties=["uuid", "output", "metadata.step"],
        )
        if doc["metadata"]["step"] == CHUNK_STEP
    }
    unreported = [
        item.content_key
        for workflow in workflows
        # Nothing is stored of what never began.
        if workflow.launches
        for item in snapshot.in_hand.get(workflow.dispatch_id, ())
        if workflow.dispatch_id not in reports
        or item.content_key not in reports[workflow.dispatch_id].entries
    ]
    return Ended(tuple(workflows), reports, read_some(stores, unreported))


def read_prepared(
    snapshot: Snapshot, stores: Stores, at_hand: Mapping[str, CandidateDoc]
) -> Prepared:
    """Read what must be known of candidates before they are sent, in a few queries."""
    waiting: Chunk = ()
    if snapshot.waiting and snapshot.room:
        # What another campaign computes now is seen to when it has ended.
        elsewhere = keys_sent(stores, besides=snapshot.submission.campaign)
        free = [one for one in snapshot.waiting if one.content_key not in elsewhere]
        waiting = tuple(free[: snapshot.room])
    items = list(waiting)
    if snapshot.submission.hold is None:
        items += [item for chunk in snapshot.missing.values() for item in chunk]
    if not items:
        return Prepared()
    wanted = {item.candidate_id for item in items}
    candidates = {one: at_hand[one] for one in wanted if one in at_hand}
    spec = snapshot.spec
    candidates |= read_candidates(
        sorted(wanted - set(candidates)),
        stores,
        start=None if spec.screens else spec.name,
    )
    if gone := sorted(wanted - set(candidates)):
        raise UnreadableDocumentError(
            f"{len(gone)} candidates to be sent are not in the database, such as "
            f"{gone[0]}: submit the campaign's file again"
        )
    known = read_some(stores, [item.content_key for item in items])
    if snapshot.submission.mode is DispatchMode.CHUNKS:
        # A node without a database cannot look up where a relaxation goes on.
        add_geometries(stores, known.values(), snapshot.steps)
    hulls = GateHulls.of_campaign(snapshot.spec, stores)
    return Prepared(waiting, candidates, known, hulls)
