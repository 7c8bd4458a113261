"""A Firework as an operator sees it: what it computes, where it runs, how it ended."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from hts_battery.schemas.base import Document
from hts_battery.schemas.failure import FailureClass


class LaunchpadJob(Document):
    """One Firework with its last launch."""

    fw_id: int = Field(description="Number of the Firework, by which it is asked for.")
    name: str = Field(description="Its name.")
    campaign: str | None = Field(None, description="Campaign it was sent for.")
    dispatch_id: str | None = Field(None, description="Key of what was sent.")
    state: str = Field(description="Its state, in FireWorks' words.")
    since: AwareDatetime | None = Field(
        None, description="When it took that state, UTC."
    )
    worker: str | None = Field(None, description="Worker it is routed to.")
    queue_id: str | None = Field(
        None, description="Number of its queue job, if it was submitted."
    )
    host: str | None = Field(None, description="Node of its last launch.")
    folder: str | None = Field(None, description="Folder of its last launch.")
    launches: int = Field(0, ge=0, description="Launches, lost ones too.")
    seconds: float = Field(
        0.0, ge=0, description="Wall time of all its launches in s, until now."
    )
    last_seconds: float = Field(
        0.0, ge=0, description="Wall time of its last launch in s, until now."
    )
    step: str | None = Field(None, description="Step of the candidate, or chunk.")
    content_keys: tuple[str, ...] = Field((), description="What it computes.")
    ordering_id: str | None = Field(None, description="Ordered cell, if of one.")
    asked: dict[str, object] = Field(
        default_factory=dict, description="What its queue job asks for."
    )
    failure_class: FailureClass | None = Field(
        None, description="Kind of its failure, as far as the backlog says."
    )
    reason: str | None = Field(None, description="Its failure, for people.")
    error: str | None = Field(None, description="Traceback of its last launch.")
    archived: bool = Field(
        default=False, description="Whether it ended and left the launchpad."
    )


class JobFile(Document):
    """One file of a launch folder."""

    name: str = Field(description="Path below the folder.")
    size: int = Field(ge=0, description="In bytes.")
    changed: AwareDatetime = Field(description="When it was last written, UTC.")
