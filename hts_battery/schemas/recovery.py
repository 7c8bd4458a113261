"""What outages, kills and lost nodes leave behind, and what was done about it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from hts_battery.schemas.base import Document
from hts_battery.schemas.failure import FailureClass

SPOOL_FORMAT: Literal[1] = 1


class ResponseKind(StrEnum):
    """What a job returned; written as ``metadata.response`` of its output."""

    OUTPUT = "output"
    """Its output alone: run again, the job takes it from the store."""
    CONTINUED = "continued"
    """More jobs too, which are nowhere else: run again, the job makes them anew."""


class SpooledOutput(Document):
    """The output of a job that no database could be found for: a file beside it."""

    file_format: Literal[1] = Field(SPOOL_FORMAT, description="Format of the file.")
    uuid: str = Field(description="Job.")
    index: int = Field(ge=1, description="Which attempt of it.")
    response: ResponseKind = Field(description="What the job returned.")
    task: dict[str, object] = Field(description="Its document in `tasks`.")
    blobs: dict[str, list[dict[str, object]]] = Field(
        default_factory=dict,
        description="Additional store → large parts of the output, by blob_uuid.",
    )


class LeftAction(Document):
    """How a launch ended when its launchpad could not be told: a file beside it."""

    file_format: Literal[1] = Field(1, description="Format of the file.")
    launch_id: int = Field(description="Launch.")
    state: str = Field(description="COMPLETED or FIZZLED.")
    action: dict[str, Any] | None = Field(description="FireWorks' FWAction.")
    time: AwareDatetime = Field(description="When it ended, UTC by its host.")


class LossReason(StrEnum):
    """By what it is known that nobody works on a Firework any more."""

    QUEUE_JOB_GONE = "queue job gone"
    """The queue does not know its job any more."""
    PROCESS_GONE = "process gone"
    """Its rocket ran on this host and is no process any more."""
    SILENT = "silent"
    """No sign of life for too long, and nothing here can say more."""
    NEVER_LAUNCHED = "never launched"
    """It was taken, and its launch was never written down."""


class LostRun(Document):
    """A Firework that is RUNNING or RESERVED, and nobody works on it."""

    fw_id: int = Field(description="Firework.")
    name: str = Field(description="Its name.")
    state: str = Field(description="RUNNING or RESERVED.")
    launch_id: int | None = Field(None, description="Launch, if it has one.")
    launch_state: str | None = Field(
        None, description="Its state, where it is not that of the Firework."
    )
    worker: str | None = Field(None, description="Worker that launched it.")
    host: str | None = Field(None, description="Host of the launch.")
    folder: str | None = Field(None, description="Launch folder on that host.")
    queue_id: str | None = Field(None, description="Job of the queue, where known.")
    why: LossReason = Field(description="By what it is known.")
    seconds: float = Field(ge=0, description="Since its last sign of life, in s.")
    last_ping: AwareDatetime | None = Field(
        None, description="Its last sign of life, UTC."
    )
    started: AwareDatetime | None = Field(
        None, description="When it began to run, UTC; none if it only waited."
    )
    job_uuid: str | None = Field(None, description="jobflow job that it runs.")
    step: str | None = Field(None, description="Step of that job.")
    campaign: str | None = Field(None, description="Campaign it belongs to.")


class RecoveryAction(StrEnum):
    """What was done about a Firework."""

    PUT_BACK = "put back"
    """It is ready to run again."""
    GIVEN_UP = "given up"
    """The policy has nothing left to try: it counts as failed."""
    COMPLETED = "completed"
    """It had ended; its launchpad knows now."""
    REFRESHED = "refreshed"
    """Its launch had ended, and its workflow did not know."""


class RecoveredRun(Document):
    """What was done about one Firework, and why."""

    fw_id: int = Field(description="Firework.")
    name: str = Field(description="Its name.")
    action: RecoveryAction = Field(description="What was done.")
    failure_class: FailureClass | None = Field(
        None, description="Kind of the failure that lost it, if one did."
    )
    reason: str = Field(description="How it is known, for people.")
    folder: str | None = Field(None, description="Launch folder.")
    losses: int = Field(0, ge=0, description="Times it was lost, this one included.")
    campaign: str | None = Field(None, description="Campaign it belongs to.")


class RecoveryReport(Document):
    """What one search for losses found and did."""

    runs: tuple[RecoveredRun, ...] = Field((), description="Fireworks, each once.")
    outputs: tuple[str, ...] = Field(
        (), description="Jobs whose output was found on disk and put into the store."
    )
    unlocked: tuple[int, ...] = Field(
        (), description="First Fireworks of workflows whose lock nobody held."
    )
    orphans: tuple[int, ...] = Field(
        (), description="Fireworks of no workflow, half-made by a kill, removed."
    )
    problems: tuple[str, ...] = Field(
        (), description="What could not be done, for people; the rest was done."
    )

    @property
    def found_nothing(self) -> bool:
        """Whether there was nothing to do."""
        return not any(
            (self.runs, self.outputs, self.unlocked, self.orphans, self.problems)
        )

    def count(self, action: RecoveryAction) -> int:
        """Return for how many Fireworks something was done."""
        return sum(one.action is action for one in self.runs)


class FailureGroup(Document):
    """Candidates that failed in the same way, with one of them as an example."""

    failure_class: FailureClass = Field(description="Kind of the failure.")
    candidates: int = Field(ge=1, description="Candidates whose dispatch it ended.")
    campaigns: tuple[str, ...] = Field(description="Campaigns they belong to.")
    node_hours: float = Field(
        ge=0, description="Node-hours that these dispatches took."
    )
    formula: str = Field(description="Formula of the example.")
    reason: str | None = Field(None, description="Why the example failed.")
    fw_id: int | None = Field(None, description="First Firework of the example.")
    folder: str | None = Field(None, description="A launch folder of the example.")
    has_remedies: bool = Field(description="Whether the policy tries such a one again.")
    policy: str = Field(description="What the policy does about it, for people.")
