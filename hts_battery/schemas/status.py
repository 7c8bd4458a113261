"""Where a campaign stands as a whole."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from hts_battery.schemas.base import Document


class DispatchStatus(Document):
    """What was sent of a campaign, and what it has cost."""

    worker: str = Field(description="Worker that computes it.")
    hold: str | None = Field(description="Why nothing more is sent, if so.")
    hold_reason: str = Field("", description="What happened, where a brake held it.")
    paused_workers: dict[str, str] = Field(
        default_factory=dict, description="Worker that is paused → why."
    )
    waiting: int = Field(description="Candidates that are still to be sent.")
    in_hand: int = Field(description="Candidates that were sent and have not ended.")
    ended: int = Field(description="Candidates whose dispatch ended.")
    fireworks: dict[str, int] = Field(
        description="State in FireWorks → Fireworks of the campaign in the launchpad."
    )
    failed: dict[str, int] = Field(
        description="Class of failure → candidates that ended with it."
    )
    repeated: dict[str, int] = Field(
        description="Class of failure → dispatches that were repeated because of it."
    )
    node_hours: float = Field(description="Node-hours of what ended.")
    node_hours_running: float = Field(
        description="Node-hours, until now, of what has not ended."
    )
    budget: float | None = Field(description="Node-hours that may be spent.")
    candidates_per_hour: float | None = Field(
        description="Candidates that ended in the last hour, per hour; none if none."
    )
    hours_left: float | None = Field(
        description="Hours until all have ended at that rate."
    )


class BuildStatus(Document):
    """The last run of the builders."""

    run_id: str = Field(description="Its id.")
    state: str = Field(description="How far it came.")
    finished: AwareDatetime | None = Field(description="When it ended, UTC.")
    error: str | None = Field(description="What ended it, if it failed.")


class CampaignStatus(Document):
    """Where every candidate of a campaign stands, counted."""

    campaign: str = Field(description="Name of the campaign.")
    candidates: int = Field(description="Its candidates.")
    states: dict[str, int] = Field(description="State → candidates in it.")
    reasons: dict[str, int] = Field(
        description="State and reason → candidates, the most frequent ones."
    )
    exact: bool = Field(
        description="Whether every output was read; else backlog, launchpad and the "
        "note of the last build were."
    )
    time: AwareDatetime = Field(description="When it was looked at, UTC.")
    dispatch: DispatchStatus | None = Field(
        description="What was sent; none where the campaign was not submitted."
    )
    last_build: BuildStatus | None = Field(description="None if none ran.")
    problem: str | None = Field(
        None, description="Why its documents cannot be read, if so; nothing is counted."
    )
