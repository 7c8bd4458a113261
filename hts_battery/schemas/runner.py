"""The runner: feeder and launchers as one tree of processes."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from hts_battery.schemas.base import Document


class RunnerChild(Document):
    """One process that the runner keeps alive."""

    name: str = Field(description="feeder, or the name of a worker.")
    pid: int | None = Field(None, description="Its process; none while it waits.")
    identity: str | None = Field(
        None, description="Boot and start time: tells a recycled pid."
    )
    started: AwareDatetime | None = Field(None, description="When it began, UTC.")
    restarts: int = Field(0, ge=0, description="Times it was started again.")
    last_status: int | None = Field(
        None, description="How it last ended: 0 well, below 0 by that signal."
    )
    due: AwareDatetime | None = Field(
        None, description="When it is started again, UTC, while it waits."
    )


class RunnerState(Document):
    """What a runner writes down of itself."""

    pid: int = Field(description="Its process.")
    identity: str = Field(description="Boot and start time: tells a recycled pid.")
    host: str = Field(description="Host on which it runs.")
    started: AwareDatetime = Field(description="When it began, UTC.")
    ended: AwareDatetime | None = Field(
        None, description="When it was told to end and did, UTC."
    )
    children: tuple[RunnerChild, ...] = Field((), description="What it keeps alive.")


class RunnerStatus(Document):
    """How a runner stands now."""

    running: bool = Field(description="Whether its process is there.")
    state: RunnerState | None = Field(None, description="What it wrote down, if ever.")
    alive: tuple[str, ...] = Field(
        (), description="Names of its processes that are there."
    )
    orphans: tuple[int, ...] = Field(
        (), description="Processes that are there without the runner that started them."
    )
    elsewhere: bool = Field(
        default=False, description="Whether it was started on another host."
    )
