"""What may be chosen when a campaign is handed to a queue: light, for help."""

from __future__ import annotations

from enum import StrEnum

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
    BRAKE = "brake"
    """Its last dispatches all failed in one way: `hts campaign resume` goes on."""
