"""The states of a candidate in a campaign, and what an operator does about each."""

from __future__ import annotations

from enum import StrEnum


class CandidateState(StrEnum):
    """Where a candidate of a campaign stands; derived, never stored."""

    DECLARED = "declared"
    """Named by the campaign file, not yet in the database: run the campaign."""
    WAITING = "waiting"
    """In the database, nothing computed yet: run or resume the campaign."""
    RUNNING = "running"
    """A process of this machine is computing it now: wait."""
    FAILED = "failed"
    """Its last execution raised an error: read the reason, then `--retry-failed`."""
    GATED = "gated"
    """Its pre-relaxed energy is above the gate: `hts campaign release` lets it by."""
    COMPUTED = "computed"
    """Has an energy that no builder has judged yet: `hts build all`."""
    REJECTED = "rejected"
    """Its energy may not be used, the entry says why: change the settings."""
    UNJUDGED = "unjudged"
    """Has an energy but no stability, the record says why: add references."""
    RANKED = "ranked"
    """Has a summary: nothing left to do."""
