"""What `hts doctor` finds."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from hts_battery.schemas.base import Document


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    """Nothing to do."""
    WARNING = "warning"
    """Works, and may cost something later."""
    PROBLEM = "problem"
    """Results can be lost or wrong, or a command will fail."""


class Finding(Document):
    """One thing that was looked at."""

    check: str = Field(description="Name of the check.")
    level: Level = Field(description="How bad it is.")
    what: str = Field(description="What was found.")
    where: str = Field("", description="File, folder, collection or host.")
    action: str = Field("", description="What to do; empty where nothing.")
    fixed: bool = Field(default=False, description="Whether --fix has done it.")
