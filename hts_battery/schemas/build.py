"""What builders write beside results: counts of a run, and results with their state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from hts_battery.schemas.base import Document
from hts_battery.schemas.thermo import ThermoDoc

if TYPE_CHECKING:
    from collections.abc import Iterable


class BuildReport(Document):
    """Counts of one run of one builder."""

    read: int = Field(description="Inputs looked at.")
    written: int = Field(description="Documents written.")
    failed: int = Field(description="Documents written as rejected or failed.")
    unchanged: int = Field(description="Inputs whose document was already right.")
    removed: int = Field(description="Documents removed because their input is gone.")
    seconds: float = Field(description="Wall time in s.")


def total_report(reports: Iterable[BuildReport]) -> BuildReport:
    """
    Add up the counts of several runs.

    Examples
    --------
    >>> total_report([]).read
    0
    """
    found = list(reports)
    return BuildReport(
        **{
            name: sum(getattr(report, name) for report in found)
            for name in BuildReport.model_fields
        }
    )


class ThermoRecord(Document):
    """Outcome of judging one candidate of one campaign at one temperature."""

    campaign: str = Field(description="Name of the campaign whose options were used.")
    candidate_id: str = Field(description="Key of the candidate.")
    temperature: float = Field(ge=0, description="Temperature in K.")
    state: Literal["successful", "failed"] = Field(description="Whether it worked.")
    error: str | None = Field(None, description="Why it failed.")
    entry_id: str | None = Field(None, description="Entry of the lowest ordering.")
    engine: str = Field(description="Name of the engine.")
    result: ThermoDoc | None = Field(None, description="The stability; null if failed.")
    input_digest: str = Field(
        description="Digest of everything this document was made from."
    )
