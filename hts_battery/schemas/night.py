"""What one night did."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from hts_battery.schemas.base import Document


class NightReport(Document):
    """The last file that a night writes; without it the night did not end."""

    night: str = Field(
        description="Date of the night, YYYY-MM-DD, and a number if there were several."
    )
    started_at: datetime = Field(description="UTC.")
    finished_at: datetime = Field(description="UTC.")
    run_id: str = Field(description="Run of the builders that ended it.")
    since: str | None = Field(
        description="Run of the builders of the last night that ended; what changed "
        "since then is in diff.jsonl. Empty for the first night."
    )
    made_up_for: int = Field(
        ge=0, description="Nights that began after that one and did not end."
    )
    references: int = Field(ge=0, description="References in the database.")
    written: dict[str, int] = Field(description="Builder → documents written.")
    failed: dict[str, int] = Field(description="Builder → documents that say why not.")
    changes: int = Field(ge=0, description="Rows of diff.jsonl.")
    flipped: int = Field(ge=0, description="Labels that flipped.")
    flipped_certain: int = Field(
        ge=0, description="Those of them that were open neither before nor after."
    )
    summaries: int = Field(ge=0, description="Rows of the snapshot.")
    snapshot_digest: str = Field(description="Digest of the rows of the snapshot.")
    headline: str = Field(description="What changed, in one line.")
