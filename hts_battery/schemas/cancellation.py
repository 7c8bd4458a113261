"""What became of queue jobs that were to be ended."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from hts_battery.schemas.base import Document


class CancelState(StrEnum):
    """What became of a queue job that was to be ended."""

    PLANNED = "would be cancelled"
    """Nothing was done: a dry run."""
    CANCELLED = "cancelled"
    """Its queue does not know it any more; its Firework is free."""
    ASKED = "asked to end"
    """Its queue has taken the request and still knows the job."""
    REFUSED = "refused"
    """Its queue said no; its words are kept."""
    UNREACHABLE = "not reachable from here"
    """Nobody knows its number or its queue here."""


class QueueCancellation(Document):
    """One queue job that was to be ended, with the Fireworks that ran in it."""

    queue_id: str | None = Field(None, description="Number of the job, if known.")
    cluster: str | None = Field(None, description="Its cluster, where it has a name.")
    fw_ids: tuple[int, ...] = Field(description="Fireworks that it runs.")
    running: bool = Field(description="Whether any of them had begun.")
    state: CancelState = Field(description="What became of it.")
    words: str = Field("", description="What its queue said, where it refused.")
