"""
How a campaign is handed to a queue: the submission, its backlog, and what came of it.

The backlog lives in blocks of a hundred candidates, in the order in which they are
sent, so that one reads of a whole campaign hundreds of documents and not tens of
thousands. A block holds facts (what was sent, under which number, how it ended), never
the state of a candidate, which is derived.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, Field

from hts_battery.schemas.base import Document
from hts_battery.schemas.cancellation import QueueCancellation
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.dispatch_options import (
    BLOCK_SIZE,
    DispatchMode,
    Hold,
    PriorityRule,
)
from hts_battery.schemas.failure import FailureClass
from hts_battery.schemas.gate import HullSnapshot
from hts_battery.schemas.structure import OrderingMethod, covers

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BLOCK_SIZE",
    "BacklogBlock",
    "BacklogItem",
    "CellTime",
    "ChunkEntry",
    "ChunkReport",
    "ChunkRequest",
    "ChunkWork",
    "DispatchMode",
    "Ending",
    "EndingKind",
    "FeedReport",
    "Hold",
    "PlannedAction",
    "PriorityRule",
    "QueueRule",
    "Submission",
    "Unconverged",
]


class Submission(Document):
    """How one campaign is sent to its worker."""

    campaign: str = Field(description="Name of the campaign.")
    worker: str = Field(description="Worker that its Fireworks are routed to.")
    routes: dict[str, str] = Field(
        default_factory=dict,
        description="Step (prerelax) → other worker that computes it.",
    )
    mode: DispatchMode = Field(description="How candidates become Fireworks.")
    chunk: int = Field(ge=1, description="Candidates of one Firework; 1 with steps.")
    window: int = Field(
        ge=1, description="Most Fireworks of unfinished work in the launchpad at once."
    )
    rule: PriorityRule = Field(
        PriorityRule.FILE, description="Order in which candidates are sent."
    )
    priority: int | None = Field(
        None, description="Priority in FireWorks: the larger, the earlier."
    )
    nodes: int = Field(1, ge=1, description="Nodes of one queue job of the worker.")
    max_walltime: float = Field(
        24.0, gt=0, description="Longest time in h that a queue job may ask for."
    )
    max_memory: float | None = Field(
        None,
        gt=0,
        description="Most memory in GB of a node that a queue job may ask for; none is "
        "no limit.",
    )
    budget: float | None = Field(
        None, ge=0, description="Node-hours that may be spent; none is no limit."
    )
    max_candidates: int | None = Field(
        None, ge=0, description="Most candidates that are sent; none is no limit."
    )
    hold: Hold | None = Field(None, description="Why nothing more is sent, if so.")
    hold_reason: str = Field("", description="What happened, where a brake held it.")
    resumed: AwareDatetime | None = Field(
        None, description="When it was last resumed: the brake counts from there, UTC."
    )
    time: AwareDatetime = Field(description="When it was last submitted, UTC.")
    host: str = Field(description="Host from which it was last submitted.")


class EndingKind(StrEnum):
    """How what was sent of a candidate ended."""

    COMPUTED = "computed"
    """Every ordering has an energy or a recorded failure, one at least an energy."""
    GATED = "gated"
    """It did not pass the gate."""
    FAILED = "failed"
    """No ordering has an energy; the class says why."""
    CANCELLED = "cancelled"
    """An operator took it back before it began."""


class Ending(Document):
    """How one dispatch of a candidate ended."""

    kind: EndingKind = Field(description="How it ended.")
    failure_class: FailureClass | None = Field(
        None, description="Kind of the failure, where something failed."
    )
    reason: str | None = Field(None, description="The first failure, for people.")
    lost_with: int | None = Field(
        None,
        description="First Firework of the chunk that was lost with all that it had "
        "not computed: one failure of one run, however many candidates it held.",
    )
    seconds: float = Field(
        0.0, ge=0, description="Wall time of all its launches in s, repeated ones too."
    )
    node_hours: float = Field(
        0.0, ge=0, description="Node-hours of all its launches, repeated ones too."
    )
    launches: int = Field(0, ge=0, description="Launches, those that were lost too.")
    time: AwareDatetime = Field(description="When it was noticed, UTC.")


class BacklogItem(Document):
    """One candidate in the backlog: what was sent of it, and what came back."""

    content_key: str = Field(description="Key of the calculation.")
    candidate_id: str = Field(description="Key of the candidate.")
    formula: str = Field(description="Its formula, for people.")
    dispatch_id: str | None = Field(
        None,
        description="Key of the chunk in which it was sent; none while it waits. "
        "Written before the Firework is made.",
    )
    fw_id: int | None = Field(
        None, description="First Firework of its workflow. Written before it is made."
    )
    asked: dict[OrderingMethod, int] = Field(
        default_factory=dict,
        description="Method → orderings asked for when it was last sent; empty before.",
    )
    asked_steps: int = Field(
        0, description="Ionic steps allowed when it was last sent; 0 before."
    )
    retry: bool = Field(
        default=False, description="Whether what failed before is tried again."
    )
    request: dict[str, str] = Field(
        default_factory=dict,
        description="What its queue jobs ask for instead, as an operator said; sent "
        "alone then.",
    )
    ending: Ending | None = Field(None, description="How its dispatch ended, if so.")
    earlier: tuple[Ending, ...] = Field(
        (), description="Endings of earlier dispatches, the first one first."
    )

    def covers(self, wanted: Mapping[OrderingMethod, int], steps: int) -> bool:
        """Say whether it was sent with so many orderings and ionic steps, or more."""
        return covers(self.asked, wanted) and self.asked_steps >= steps


class BacklogBlock(Document):
    """Some candidates of a campaign, in the order in which they are sent."""

    campaign: str = Field(description="Name of the campaign.")
    block: int = Field(ge=0, description="Number of the block, from 0.")
    revision: int = Field(
        0, ge=0, description="Times it was replaced: no stale block replaces a new one."
    )
    items: tuple[BacklogItem, ...] = Field(
        max_length=BLOCK_SIZE, description="Candidates, in order."
    )


class DispatchState(StrEnum):
    """Whether somebody has a dispatch in hand."""

    SENT = "sent"
    """It waits in the launchpad or runs."""
    ENDED = "ended"
    """It was collected, taken back or given up."""


class Dispatch(Document):
    """
    One sending of some candidates: written once, before its Firework is made.

    Nothing else decides who sends and who runs it: a feeder that was stopped and wakes
    when another one has sent the same finds it here, and so does a rocket.
    """

    dispatch_id: str = Field(description="Its key.")
    campaign: str = Field(description="Name of the campaign.")
    content_keys: tuple[str, ...] = Field(
        description="What it computes; each is in one dispatch that is sent, at most."
    )
    fw_id: int = Field(description="Its first Firework: no other one is run.")
    token: str = Field(description="Lock under which it was last written.")
    state: DispatchState = Field(description="Whether it is in hand.")
    time: AwareDatetime = Field(description="When it was last written, UTC.")


class Unconverged(Document):
    """A relaxation that used up its steps, and where it goes on."""

    uuid: str = Field(description="Job whose output is its last geometry.")
    steps: int = Field(
        ge=0, description="Ionic steps that it was allowed, all jobs together."
    )
    structure: dict[str, object] | None = Field(
        None,
        description="That geometry as pymatgen writes it, for a node that has no "
        "outputs of other jobs.",
    )


class ChunkRequest(Document):
    """One candidate of a chunk, and what was known of it when it was sent."""

    candidate: CandidateDoc = Field(description="The candidate.")
    hull: str | None = Field(
        None, description="Digest of its competing phases, where there is a gate."
    )
    released: bool = Field(
        default=False, description="Whether the operator lets it pass the gate."
    )
    retry: bool = Field(
        default=False, description="Whether what failed before is tried again."
    )
    failures: tuple[dict[str, object], ...] = Field(
        (), description="What failed before: step, ordering_id, error."
    )
    finished: tuple[str, ...] = Field(
        (), description="Orderings that have an energy already, wherever it was made."
    )
    unconverged: dict[str, Unconverged] = Field(
        default_factory=dict,
        description="Ordering id → where its relaxation goes on.",
    )


class ChunkWork(Document):
    """Everything that one chunk needs on a node, beside how it is computed."""

    hulls: dict[str, HullSnapshot] = Field(
        default_factory=dict, description="Digest → competing phases, each set once."
    )
    requests: tuple[ChunkRequest, ...] = Field(description="Candidates, in order.")


class ChunkEntry(Document):
    """What a chunk found out about one candidate."""

    kind: EndingKind = Field(description="How it ended.")
    failures: tuple[dict[str, object], ...] = Field(
        (), description="Everything that failed and has no energy since."
    )
    seconds: float = Field(ge=0, description="Wall time it took in s; 0 if known.")


class ChunkReport(Document):
    """What came of every candidate of a chunk: the output of its job."""

    entries: dict[str, ChunkEntry] = Field(description="Content key → what came of it.")
    seconds: float = Field(ge=0, description="Wall time of the chunk in s.")
    folder: str = Field(description="Launch folder, host:path.")


class CellTime(Document):
    """How long a calculation of a cell takes at most."""

    atoms: int | None = Field(
        None, gt=0, description="Largest number of atoms it holds for; null is any."
    )
    hours: float = Field(
        gt=0, description="Wall time in h of one candidate (chunks) or one step."
    )
    memory: float | None = Field(
        None, gt=0, description="Memory in GB for such a cell; null is the rule's."
    )


class QueueRule(Document):
    """How an engine is sent to a queue unless the operator says otherwise."""

    engine: str = Field(description="Name of the engine, with * and ? as wildcards.")
    mode: DispatchMode = Field(description="How its candidates become Fireworks.")
    chunk: int = Field(ge=1, description="Candidates of one Firework.")
    window: int = Field(ge=1, description="Fireworks of unfinished work at once.")
    times: tuple[CellTime, ...] = Field(
        min_length=1, description="By size of the cell, smallest first."
    )
    memory: float = Field(gt=0, description="Memory in GB of a node's job.")

    def hours(self, atoms: int | None) -> float:
        """Return the wall time in h for a cell; the longest where it is unknown."""
        return self._row(atoms).hours

    def memory_of(self, atoms: int | None) -> float:
        """Return the memory in GB for a cell; the largest where it is unknown."""
        return self._row(atoms).memory or self.memory

    def _row(self, atoms: int | None) -> CellTime:
        for row in self.times:
            if row.atoms is None or (atoms is not None and atoms <= row.atoms):
                return row
        return self.times[-1]


class PlannedAction(Document):
    """One action of the feeder, counted."""

    action: str = Field(description="What is done, in words.")
    workflows: int = Field(0, description="Workflows it is done to.")
    candidates: int = Field(0, description="Candidates it is done to.")


class FeedReport(Document):
    """What one pass of the feeder over one campaign did."""

    campaign: str = Field(description="Name of the campaign.")
    sent: int = Field(0, description="Candidates that were sent.")
    repaired: int = Field(0, description="Chunks whose sending was completed.")
    ended: int = Field(0, description="Candidates that ended.")
    again: int = Field(0, description="Candidates put back to be sent again.")
    archived: int = Field(0, description="Workflows moved to the archive.")
    waiting: int = Field(0, description="Candidates that wait to be sent.")
    in_hand: int = Field(0, description="Candidates sent and not ended.")
    fireworks: int = Field(0, description="Fireworks of unfinished work.")
    node_hours: float = Field(0.0, description="Node-hours spent, running ones too.")
    hold: Hold | None = Field(None, description="Why nothing more is sent, if so.")
    drained: tuple[str, ...] = Field(
        (), description="Its workers to which nothing more is sent."
    )
    problem: str | None = Field(
        None, description="Why the pass was broken off; the next one goes on."
    )
    actions: tuple[PlannedAction, ...] = Field(
        (), description="What is done, in order."
    )
    queue_jobs: tuple[QueueCancellation, ...] = Field(
        (), description="Queue jobs that were to be ended, with a cancellation."
    )

    @property
    def is_done(self) -> bool:
        """Whether there is nothing more to do, or nothing that may be done."""
        if self.problem is not None:
            return False
        return self.in_hand == 0 and (self.waiting == 0 or self.hold is not None)
