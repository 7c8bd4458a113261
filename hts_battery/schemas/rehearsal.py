"""What a rehearsal of a campaign came to."""

from __future__ import annotations

from pydantic import Field

from hts_battery.schemas.base import Document


class FailureCount(Document):
    """How often one class of failure was seen, and what the policy did."""

    failure_class: str = Field(description="Class, as the policy names it.")
    attempts: int = Field(ge=0, description="Failed attempts.")
    repeated: int = Field(ge=0, description="Of these, repeated with a remedy.")
    kept: int = Field(ge=0, description="Of these, kept with the flag.")
    given_up: int = Field(ge=0, description="Of these, given up.")


class RehearsalReport(Document):
    """One rehearsal, from the campaign's file to its ranking."""

    campaign: str = Field(description="Name that the documents of the rehearsal carry.")
    engine: str = Field(description="Stand-in that computed.")
    database: str = Field(description="Where the documents were, no credentials.")
    folder: str = Field(description="Data folder of the rehearsal.")
    kept: bool = Field(description="Whether database and folder are still there.")
    candidates: int = Field(ge=0, description="Candidates that were rehearsed.")
    states: dict[str, int] = Field(description="State → number of candidates.")
    ranked: int = Field(ge=0, description="Candidates in the ranking.")
    references: int = Field(ge=0, description="Competing phases computed.")
    jobs: int = Field(ge=0, description="Executions of jobs, repetitions included.")
    seconds: float = Field(ge=0, description="Wall time in s, references included.")
    failures: tuple[FailureCount, ...] = Field(description="By class.")
    unexpected: tuple[str, ...] = Field(
        description="Failures that were not asked for, and candidates not ranked."
    )
    launch_bytes: int = Field(ge=0, description="Disk used by launch folders.")
    database_bytes: int = Field(
        ge=0, description="Disk used by the rehearsal's database; 0 on a server."
    )
    lacking: tuple[str, ...] = Field(
        description="What the production run lacks on this machine."
    )
