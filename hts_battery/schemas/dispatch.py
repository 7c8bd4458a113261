"""
How a campaign is handed to a queue: the submission, its backlog, and what came of it.

The backlog lives in blocks of a hundred candidates, in the order in which they are
sent, so that looking at a whole campaign reads hundreds of documents and not tens of
thousands. A block holds facts (what was sent, under which number, how it ended), never
the state of a candidate, which is derived.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, Field

from hts_battery.schemas.base import Document
from hts_battery.schemas.failure import FailureClass

BLOCK_SIZE = 100
"""Candidates of one block of the backlog."""


class DispatchMode(StrEnum):
    """How the calculations of candidates become Fireworks."""

    CHUNKS = "chunks"
    """Several whole candidates in one Firework and one queue job: cheap engines."""
    STEPS = "steps"
    """Each calculation of a candidate is a Firework of its own: expensive engines."""


class PriorityRule(StrEnum):
    """In which order the candidates of a campaign are sent."""

    FILE = "file"
    """As the campaign file selects them."""
    PRESCREENED = "prescreened"
    """Lowest E_hull that any other campaign found first; unknown ones last."""
    ENTROPY = "entropy"
    """Highest ideal mixing entropy first."""


class Hold(StrEnum):
    """Why nothing more of a campaign is sent."""

    PAUSED = "paused"
    """An operator asked for it: `hts campaign resume` goes on."""
    BUDGET = "budget"
    """The node-hours are spent: submit again with a larger budget."""
    CANCELLED = "cancelled"
    """An operator cancelled it: submit again to go on."""


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
    budget: float | None = Field(
        None, ge=0, description="Node-hours that may be spent; none is no limit."
    )
    hold: Hold | None = Field(None, description="Why nothing more is sent, if so.")
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
        None, description="First Firework of its workflow, once it was made."
    )
    ending: Ending | None = Field(None, description="How its dispatch ended, if so.")
    earlier: tuple[Ending, ...] = Field(
        (), description="Endings of earlier dispatches, the first one first."
    )


class BacklogBlock(Document):
    """A share of a campaign, in the order in which it is sent."""

    campaign: str = Field(description="Name of the campaign.")
    block: int = Field(ge=0, description="Number of the block, from 0.")
    items: tuple[BacklogItem, ...] = Field(
        max_length=BLOCK_SIZE, description="Candidates, in order."
    )
