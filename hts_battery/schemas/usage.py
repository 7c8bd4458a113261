"""What a campaign used, step by step: time, memory, and how much of it was of use."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from hts_battery.schemas.base import Document


class UsageSource(StrEnum):
    """From what it is counted."""

    LAUNCHES = "launches"
    """Launches of Fireworks, archived and present: what queue jobs took."""
    EXECUTIONS = "executions"
    """The execution record of this data folder: what single calculations took."""


class StepUsage(Document):
    """What one step of a campaign used."""

    source: UsageSource = Field(description="From what it is counted.")
    step: str = Field(description="Step of the candidate, or chunk.")
    runs: int = Field(description="Launches or executions that began.")
    completed: int = Field(description="Those that came to their end.")
    failed: int = Field(description="Those that raised an error.")
    lost: int = Field(description="Those that were killed or lost.")
    running: int = Field(0, description="Those that run now, or elsewhere unseen.")
    hours: float = Field(description="Wall time of all of them in h.")
    node_hours: float | None = Field(
        None, description="The same times nodes; null where no queue job was counted."
    )
    median_seconds: float | None = Field(
        None, description="Median wall time in s of those that came to their end."
    )
    useful: float | None = Field(
        None, description="Share of the wall time spent on what came to its end."
    )
    asked_seconds: float | None = Field(
        None, description="Median wall time in s that queue jobs asked for."
    )
    used_of_asked: float | None = Field(
        None, description="Median share of it that was used; null where none asked."
    )
    asked_memory: float | None = Field(
        None, description="Median memory in GB that queue jobs asked for."
    )
    memory: float | None = Field(
        None, description="Largest memory of a task in GB, by the accounting."
    )
    cpu: float | None = Field(
        None, description="CPU time over wall time and CPUs, by the accounting."
    )
    accounted: int = Field(0, description="Runs that the accounting knows.")


class CampaignUsage(Document):
    """What a campaign used, and of what nothing was written down."""

    campaign: str = Field(description="Name of the campaign.")
    steps: tuple[StepUsage, ...] = Field(description="By source and step.")
    missing: tuple[str, ...] = Field(description="What is not known, in words.")

    @property
    def node_hours(self) -> float:
        """Node-hours of all queue jobs."""
        return sum(one.node_hours or 0.0 for one in self.steps)
