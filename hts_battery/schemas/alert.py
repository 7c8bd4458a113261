"""Messages to the operator, and what is remembered so that none is sent twice."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from hts_battery.schemas.base import Document


class AlertKind(StrEnum):
    """What a message is about."""

    FAILURES = "failures"
    """The share of candidates that fail has jumped."""
    BUDGET_NEAR = "budget near"
    """Four fifths of the node-hours are spent."""
    BUDGET_REACHED = "budget reached"
    """The node-hours are spent and nothing more is sent."""
    ENDED = "ended"
    """Everything that was sent has ended, and nothing waits."""
    BUILD_FAILED = "build failed"
    """A run of the builders failed or was interrupted."""
    HELD = "held"
    """A brake or a launcher holds a campaign or a worker."""
    NO_LAUNCHER = "no launcher"
    """Work is ready for an hour, and no launcher looks for it."""
    NIGHT = "night"
    """What a night did, or that it did not end."""
    TEST = "test"
    """Somebody tries whether messages arrive."""


class Alert(Document):
    """One message."""

    kind: AlertKind = Field(description="What it is about.")
    title: str = Field(description="One line.")
    body: str = Field(description="What happened and what to do.")


class AlertFacts(Document):
    """What the rules look at, of one campaign at one moment."""

    campaign: str = Field(description="Name of the campaign.")
    failed: tuple[bool, ...] = Field(
        description="Of each dispatch that ended computed, gated or failed, in the "
        "order of time: whether it failed."
    )
    failure_class: str | None = Field(
        None, description="Most frequent class among the last failures."
    )
    node_hours: float = Field(ge=0, description="Node-hours spent.")
    budget: float | None = Field(None, ge=0, description="Node-hours allowed, if set.")
    unfinished: int = Field(
        ge=0, description="Candidates that wait or were sent and have not ended."
    )
    ended: int = Field(ge=0, description="Candidates whose dispatch ended.")
    is_held: bool = Field(default=False, description="Whether it is paused or held.")
    failed_build: str | None = Field(
        None, description="Id of the last run of the builders, if it failed."
    )
    build_error: str | None = Field(None, description="What ended that run.")
    holds: dict[str, str] = Field(
        default_factory=dict,
        description="Campaign or worker that a brake or a launcher holds → why.",
    )
    unlaunched: dict[str, float] = Field(
        default_factory=dict,
        description="Worker for which work is ready and no launcher looks → hours.",
    )


class AlertMemory(Document):
    """Which messages were sent about a campaign, so that none is repeated."""

    campaign: str = Field(description="Name of the campaign.")
    is_failing: bool = Field(
        default=False, description="Whether a jump of failures was told and lasts."
    )
    told_budget: float | None = Field(
        None, description="Budget of which the last message about it spoke."
    )
    told_share: float = Field(
        0.0, description="Share of that budget that was spent when it was sent."
    )
    told_ended: int | None = Field(
        None, description="Candidates that had ended when the end was told."
    )
    told_build: str | None = Field(
        None, description="Run of the builders whose failure was told."
    )
    told_holds: tuple[str, ...] = Field(
        (), description="Campaigns and workers whose hold was told and lasts."
    )
    told_unlaunched: tuple[str, ...] = Field(
        (), description="Workers whose missing launcher was told and is missing still."
    )
