"""
What the append-only execution record says about every run of a job.

One line of JSON for each event; a line is never changed. The format, version 1::

    {"schema_version": 1, "event": "start", "execution_id": …, "job_uuid": …,
     "name": …, "candidate_id": …, "content_key": …, "step": …, "ordering_id": …,
     "host": …, "pid": …, "process": …, "time": …}
    {"schema_version": 1, "event": "end", "execution_id": …, "outcome": …,
     "error_class": …, "error_message": …, "traceback": …, "time": …, "seconds": …}

A start without an end is an execution that runs still, or was killed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from hts_battery.schemas.base import Document

SCHEMA_VERSION: Literal[1] = 1


class Outcome(StrEnum):
    """How an execution ended, as far as the record tells."""

    COMPLETED = "completed"
    """The job returned, and its output is in the store or whole on disk."""
    REUSED = "reused"
    """Nothing was computed: an earlier execution had left the output."""
    FAILED = "failed"
    """The job raised an error."""
    INTERRUPTED = "interrupted"
    """The user or the system ended it: asked to stop, or killed without an end."""
    RUNNING = "running"
    """No end yet, and its process is alive on this host."""
    UNKNOWN = "unknown"
    """No end yet, and its process is on a host that cannot be seen from here."""


class ExecutionStart(Document):
    """The line written before a job runs."""

    schema_version: Literal[1] = Field(SCHEMA_VERSION, description="Line format.")
    event: Literal["start"] = Field("start", description="Kind of line.")
    execution_id: str = Field(description="Identifies this run of the job alone.")
    job_uuid: str = Field(description="The job, the same when it is run again.")
    name: str = Field(description="Name of the job.")
    candidate_id: str | None = Field(None, description="Candidate it works for.")
    content_key: str | None = Field(
        None, description="Digest of what is computed and how."
    )
    step: str | None = Field(None, description="Step of the candidate's flow.")
    ordering_id: str | None = Field(
        None, description="Ordered cell it computes, where it computes one."
    )
    host: str = Field(description="Host it runs on.")
    pid: int = Field(description="Process id on that host.")
    process: str = Field(description="Start and boot: tells a recycled pid.")
    scope: str | None = Field(None, description="User and namespace that see it.")
    time: AwareDatetime = Field(description="When it started, UTC by that host.")


class ExecutionEnd(Document):
    """The line written after a job ran, whether or not it succeeded."""

    schema_version: Literal[1] = Field(SCHEMA_VERSION, description="Line format.")
    event: Literal["end"] = Field("end", description="Kind of line.")
    execution_id: str = Field(description="The same as in its start.")
    outcome: Outcome = Field(description="Completed, reused, failed or interrupted.")
    error_class: str | None = Field(
        None, description="Full name of the class of the error."
    )
    error_message: str | None = Field(None, description="Its message, cut if long.")
    traceback: str | None = Field(
        None, description="Where it was raised: the last lines of its traceback."
    )
    time: AwareDatetime = Field(description="When it ended, UTC by that host.")
    seconds: float = Field(ge=0, description="Wall time in s, by a steady clock.")


class Execution(Document):
    """One run of a job: its start and, if it came, its end."""

    start: ExecutionStart = Field(description="Line written before it ran.")
    end: ExecutionEnd | None = Field(None, description="Line written after it ran.")
    outcome: Outcome = Field(description="What both tell, and the process table.")


class ExecutionCounts(Document):
    """How often something was executed, by outcome."""

    completed: int = Field(0, description="Executions that returned.")
    reused: int = Field(0, description="Executions that found their output there.")
    failed: int = Field(0, description="Executions that raised an error.")
    interrupted: int = Field(0, description="Executions that were ended or killed.")
    running: int = Field(0, description="Executions that run on this host now.")
    unknown: int = Field(0, description="Executions on other hosts without an end.")

    @property
    def executions(self) -> int:
        """Number of all executions."""
        return sum(getattr(self, outcome.value) for outcome in Outcome)


class Ledger(Document):
    """Every execution counted, from the record and nothing else."""

    total: ExecutionCounts = Field(description="All executions.")
    by_content_key: dict[str, ExecutionCounts] = Field(
        description="Executions of each computation that has a content key."
    )
    by_job: dict[str, ExecutionCounts] = Field(
        description="Executions of each job uuid."
    )
    error_classes: dict[str, int] = Field(
        description="Failed and interrupted ends by class of the error."
    )
    torn_lines: int = Field(
        description="Lines cut off by a kill or a full disk; each hides one event."
    )

    @property
    def computed_twice(self) -> tuple[str, ...]:
        """Uuids of jobs with more than one completed execution."""
        return tuple(
            sorted(job for job, tally in self.by_job.items() if tally.completed > 1)
        )
