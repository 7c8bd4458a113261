"""What an export says of itself, so that it can be cited and read again."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from hts_battery.schemas.base import Document


class ExportManifest(Document):
    """What stands in a file of summaries, where it came from, and its digest."""

    digest: str = Field(
        description="SHA-256 over the rows as text, the same for every format."
    )
    n_rows: int = Field(ge=0, description="Number of rows; no unit.")
    n_structures: int = Field(
        0, ge=0, description="Number of structures beside the rows; no unit."
    )
    columns: tuple[str, ...] = Field(description="Names of the columns, in order.")
    file_format: str = Field(description="csv, json, parquet, optimade, cif or poscar.")
    created_at: datetime = Field(description="UTC.")
    filter: str | None = Field(
        description="Filter that chose the rows, as it was written; null for all."
    )
    sort: tuple[str, ...] = Field((), description="Order, as it was asked for.")
    limit: int = Field(0, ge=0, description="Most rows asked for; 0 is no limit.")
    campaigns: dict[str, dict[str, object]] = Field(
        description="Campaign → engine, temperatures (K), entropy and stability "
        "options of the last build."
    )
    calculators: dict[str, int] = Field(
        description="Calculator with versions → rows; no unit."
    )
    hull_versions: dict[str, int] = Field(
        description="Digest of the references → rows assessed on it; no unit."
    )
    run_id: str | None = Field(
        description="Last run of the builders; null where none has a manifest."
    )
    code_version: str | None = Field(description="Version of the builders' code then.")
    package_versions: dict[str, str] = Field(
        description="Package → version: those of the build, and of the export."
    )

    @property
    def citation(self) -> str:
        """One line that names this snapshot."""
        date = self.created_at.date().isoformat()
        return f"hts_battery snapshot sha256:{self.digest} ({self.n_rows} rows, {date})"
