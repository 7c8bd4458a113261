"""A workflow of FireWorks as it is kept once it has ended: small, one document."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from hts_battery.schemas.base import Document


class ArchivedLaunch(Document):
    """One launch of a Firework."""

    launch_id: int = Field(description="Number of the launch.")
    fw_id: int = Field(description="Firework that was launched.")
    state: str = Field(description="State of the launch; RUNNING if it was lost.")
    worker: str | None = Field(None, description="Worker that launched it.")
    host: str | None = Field(None, description="Host it ran on.")
    folder: str | None = Field(None, description="Launch folder.")
    queue_id: str | None = Field(
        None, description="Number of its queue job, where one was reserved."
    )
    started: AwareDatetime | None = Field(None, description="When it began, UTC.")
    seconds: float = Field(
        0.0,
        ge=0,
        description="Wall time in s, to its last sign of life if it was lost.",
    )
    error: str | None = Field(None, description="Traceback of what it raised, if so.")


class ArchivedFirework(Document):
    """One Firework of a workflow, without its tasks."""

    fw_id: int = Field(description="Number of the Firework.")
    name: str = Field(description="Its name.")
    state: str = Field(description="Its last state.")
    worker: str | None = Field(None, description="Worker it was routed to.")
    step: str | None = Field(None, description="Step of the candidate, or chunk.")
    content_keys: tuple[str, ...] = Field((), description="What it computed.")
    ordering_id: str | None = Field(None, description="Ordered cell, if of one.")
    n_orderings: int | None = Field(None, description="Orderings of the candidate.")
    queue: dict[str, object] = Field(
        default_factory=dict, description="What its queue job asked for."
    )


class ArchivedWorkflow(Document):
    """A workflow that ended, with every launch of it."""

    fw_id: int = Field(description="Its first Firework.")
    dispatch_id: str = Field(description="Key of what was sent.")
    campaign: str = Field(description="Campaign it was sent for.")
    name: str = Field(description="Its name.")
    state: str = Field(description="Its last state.")
    created: AwareDatetime | None = Field(None, description="When it was made, UTC.")
    archived: AwareDatetime = Field(description="When it was archived, UTC.")
    fireworks: tuple[ArchivedFirework, ...] = Field(description="Its Fireworks.")
    launches: tuple[ArchivedLaunch, ...] = Field(
        description="All their launches, lost and repeated ones too."
    )

    @property
    def seconds(self) -> float:
        """Wall time of all launches in s."""
        return sum(launch.seconds for launch in self.launches)
