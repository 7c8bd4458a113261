"""What came back from compute nodes that do not reach the database."""

from __future__ import annotations

from pydantic import Field

from hts_battery.schemas.base import Document


class IngestReport(Document):
    """What one ingestion did, or would do."""

    folder: str = Field(description="Folder of the journals.")
    journals: int = Field(ge=0, description="Journals that were read.")
    outputs: int = Field(ge=0, description="Outputs put into the database.")
    known: int = Field(
        ge=0, description="Outputs that the database has already, as new or newer."
    )
    blobs: int = Field(ge=0, description="Large parts put into the database.")
    completed: int = Field(ge=0, description="Fireworks completed.")
    failed: int = Field(ge=0, description="Fireworks whose job raised an error.")
    running: int = Field(ge=0, description="Fireworks that have begun and not ended.")
    waiting: int = Field(ge=0, description="Fireworks that have not begun.")
    refused: int = Field(
        ge=0, description="Fireworks that ended and could not be completed now."
    )
    put_away: int = Field(
        ge=0, description="Journals of ended Fireworks, moved into ingested/."
    )
