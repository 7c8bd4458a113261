"""Launch folders: which job ran there, what is in them, what becomes of it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from hts_battery.schemas.base import Document


class LaunchMark(Document):
    """Which job runs in a folder; written there before it starts."""

    uuid: str = Field(description="Job.")
    index: int = Field(ge=1, description="Which attempt of it.")
    engine: str | None = Field(
        None, description="Engine; null where the job uses none, as ordering."
    )
    step: str | None = Field(None, description="Step of the job.")
    content_key: str | None = Field(None, description="What is computed.")
    ordering_id: str | None = Field(None, description="Of which ordered cell.")
    fw_id: int | None = Field(
        None, description="Firework that runs it; null outside a launchpad."
    )
    host: str | None = Field(None, description="Host it runs on.")
    pid: int | None = Field(None, description="Process on that host.")
    process: str | None = Field(
        None, description="Start and boot: tells a recycled pid."
    )
    scope: str | None = Field(
        None, description="User and namespace of the process: who would see it."
    )
    queue_id: str | None = Field(None, description="Job of the queue, where in one.")
    cluster: str | None = Field(
        None, description="Cluster of that queue, where it has a name."
    )


class LaunchState(StrEnum):
    """What the job store says of the job of a folder."""

    ABSENT = "absent"
    """Its output is not in the store."""
    FAILED = "failed"
    """The store holds the document of an attempt that failed, and no later success."""
    SUPERSEDED = "superseded"
    """It failed or has no output, and the same calculation succeeded since."""
    STORED = "stored"
    """Its output is in the store and it succeeded."""


class LaunchFile(Document):
    """One file of a launch folder."""

    name: str = Field(description="Path below the folder.")
    size: int = Field(ge=0, description="In bytes.")


class LaunchVerb(StrEnum):
    """What is done with a file."""

    COMPRESS = "compress"
    DELETE = "delete"


class LaunchAction(Document):
    """What is done with one file."""

    verb: LaunchVerb = Field(description="What is done.")
    name: str = Field(description="Path below the folder.")
    size: int = Field(ge=0, description="In bytes.")


class LaunchRule(Document):
    """What stays of the launch folders of an engine."""

    engine: str = Field(description="Shell pattern of its name.")
    keep: tuple[str, ...] = Field(description="Stays after success.")
    compress: tuple[str, ...] = Field(description="What of it is packed.")
    restart: tuple[str, ...] = Field(
        description="Stays as it is after a failure, until the calculation succeeded."
    )
