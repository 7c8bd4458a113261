"""The states of a candidate in a campaign, and what an operator does about each."""

from __future__ import annotations

from enum import StrEnum


class CandidateState(StrEnum):
    """Where a candidate of a campaign stands; derived, never stored."""

    DECLARED = "declared"
    """Named by the campaign file, not yet in the database: run or submit it."""
    WAITING = "waiting"
    """In the database, nothing or not everything computed, not sent: run or feed."""
    QUEUED = "queued"
    """Sent, in the launchpad, nothing of it runs now: look at the queue."""
    RUNNING = "running"
    """A process of this machine or a queue job computes it now: wait."""
    RETURNED = "returned"
    """Its queue job has ended and nobody collected it: `hts launchpad feed`."""
    HELD = "held"
    """Waits in a campaign that is paused or has spent its budget: resume or submit."""
    CANCELLED = "cancelled"
    """Taken back by an operator: submit the campaign again to go on."""
    FAILED = "failed"
    """Its last execution raised an error: read the reason, then `--retry-failed`."""
    GATED = "gated"
    """Its pre-relaxed energy is above the gate: `hts campaign release` lets it by."""
    COMPUTED = "computed"
    """Has an energy that no builder has read yet: `hts build all`."""
    REJECTED = "rejected"
    """Its energy may not be used, the entry says why: change the settings."""
    UNJUDGED = "unjudged"
    """Has an energy but no stability, the record says why: add references."""
    RANKED = "ranked"
    """Has a summary, or the properties of its recipe: nothing left to do."""


NEEDS_NOTHING = frozenset(
    {
        CandidateState.FAILED,
        CandidateState.GATED,
        CandidateState.COMPUTED,
        CandidateState.REJECTED,
        CandidateState.UNJUDGED,
        CandidateState.RANKED,
    }
)
"""States in which nothing more is computed unless somebody asks for it."""
