"""How a worker may be used now, and what its launcher last said."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, Field

from hts_battery.schemas.base import Document


class PausedBy(StrEnum):
    """Who paused a worker."""

    OPERATOR = "operator"
    """A person asked for it."""
    LAUNCHER = "launcher"
    """Its queue refused jobs for too long."""
    BRAKE = "brake"
    """Its runs end without beginning, or all fail in one way."""


class LauncherState(Document):
    """What the launcher of a worker last did; written by it alone."""

    host: str = Field(description="Host it runs on.")
    pid: int = Field(description="Its process there.")
    looked_at: AwareDatetime = Field(description="When it last looked, UTC.")
    queued: int = Field(0, ge=0, description="Jobs of this worker in its queue then.")
    submitted: int = Field(0, ge=0, description="Jobs it submitted since it began.")
    refusals: int = Field(
        0, ge=0, description="Times in a row that nothing could be submitted."
    )
    words: str = Field(
        "", description="What the submit command, or the database, last said of it."
    )


class WorkerControl(Document):
    """
    How a worker may be used now.

    One document a worker; a worker without one has these defaults.
    """

    worker: str = Field(description="Name of the worker.")
    paused: bool = Field(
        default=False, description="Whether nothing more is submitted to its queue."
    )
    reason: str = Field("", description="Why it is paused or drained, for people.")
    paused_by: PausedBy | None = Field(None, description="Who paused it, if paused.")
    paused_at: AwareDatetime | None = Field(
        None, description="When it was paused, UTC, if paused."
    )
    resumed_at: AwareDatetime | None = Field(
        None, description="When it was last resumed: runs before do not count, UTC."
    )
    drain: bool = Field(
        default=False,
        description="Whether nothing more is sent to it; what was sent runs.",
    )
    cap: int | None = Field(
        None, ge=0, description="Most jobs of it in the queue; none is its own file's."
    )
    exclude_nodes: tuple[str, ...] = Field(
        (), description="Nodes on which its jobs must not run."
    )
    launcher: LauncherState | None = Field(
        None, description="What its launcher last did; none where none ever ran."
    )

    @property
    def may_submit(self) -> bool:
        """Whether jobs may be submitted to its queue now."""
        return not self.paused
