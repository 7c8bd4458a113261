"""What came of the test of a worker."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from hts_battery.schemas.base import Document


class StageState(StrEnum):
    """How the job of a stage stands."""

    WAITS = "waits"
    """It is in the queue, or not submitted yet."""
    RUNS = "runs"
    """It runs."""
    DONE = "done"
    """It ended well."""
    FAILED = "failed"
    """It failed, or ended without having begun."""
    NOT_RUN = "not run"
    """What it needs has failed, or the time was over."""


class StageResult(Document):
    """One stage: a real job through the queue of the worker."""

    stage: str = Field(description="node, outputs, or an engine.")
    fw_id: int = Field(description="Its Firework.")
    state: StageState = Field(description="How it stands.")
    queue_id: str | None = Field(None, description="Number of its queue job.")
    host: str | None = Field(None, description="Host that it ran on.")
    waited: float | None = Field(None, description="Time in the queue, in s.")
    ran: float | None = Field(None, description="Time from its begin to its end, in s.")
    words: str = Field("", description="Why it failed: its own last words.")
    folder: str | None = Field(None, description="Where it ran; removed afterwards.")


class WorkerTrialReport(Document):
    """The stages of a test, in order."""

    worker: str = Field(description="The worker.")
    stages: tuple[StageResult, ...] = Field(description="Each stage.")
    removed: bool = Field(description="Whether everything it left was removed.")

    @property
    def passed(self) -> bool:
        """Whether every stage ended well."""
        return all(one.state is StageState.DONE for one in self.stages)
