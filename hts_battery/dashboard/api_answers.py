"""What the JSON endpoint answers with."""

from __future__ import annotations

from pydantic import Field

from hts_battery.schemas.base import Document
from hts_battery.schemas.build import BuildManifest, ThermoRecord
from hts_battery.schemas.entry import EntryDoc
from hts_battery.schemas.property import PropertyDoc
from hts_battery.schemas.status import CampaignStatus
from hts_battery.schemas.summary import SummaryDoc


class ErrorDoc(Document):
    """Why a request was refused."""

    error: str = Field(description="What is wrong, and what would be right.")


class OfOneCampaign(Document):
    """What belongs to one campaign, which has one engine."""

    campaign: str | None = Field(description="Its name; null if nothing was built.")
    engine: str | None = Field(
        description="Engine of its energies; null if there is no such campaign."
    )


class SummaryPage(OfOneCampaign):
    """A share of the ranking of a campaign."""

    total: int = Field(description="Summaries that match, on all pages.")
    page_offset: int = Field(description="Rank of the first one, from 0.")
    data: list[SummaryDoc] = Field(description="The most stable first.")


class CandidateAnswer(Document):
    """Everything that is stored of one candidate."""

    summaries: list[SummaryDoc] = Field(description="One per campaign.")
    thermo: list[ThermoRecord] = Field(
        description="One per campaign and temperature, every term of it."
    )
    entries: list[EntryDoc] = Field(
        description="One per calculated ordering, the lowest energy first."
    )
    orderings: dict[str, list[str]] = Field(
        description="Campaign → ids of the entries that its numbers are made from."
    )
    tasks: list[dict[str, object]] = Field(
        description="Its jobs without their outputs: uuid, step, host, time, folder."
    )
    properties: list[PropertyDoc] = Field(
        default_factory=list, description="Its properties, by name and campaign."
    )


class FieldDoc(Document):
    """A field that can be asked for."""

    name: str = Field(description="Its name.")
    description: str = Field(description="What it is.")
    unit: str | None = Field(description="Its unit; 1 or null where there is none.")
    kind: str = Field(description="number, integer, boolean, text, list or time.")
    property: bool = Field(description="Whether a builder of properties makes it.")
    stored: bool = Field(description="Whether any candidate has it.")


class FieldsAnswer(Document):
    """Every field, in the order of tables."""

    data: list[FieldDoc] = Field(description="At each temperature that is stored.")


class ValuesAnswer(OfOneCampaign):
    """Chosen fields of the candidates of a campaign."""

    total: int = Field(description="Candidates that match, on all pages.")
    page_offset: int = Field(description="Place of the first one, from 0.")
    units: dict[str, str] = Field(description="Field → its unit.")
    data: list[dict[str, object]] = Field(description="Field → value; by E_hull.")


class StructureAnswer(Document):
    """One relaxed cell."""

    entry_id: str = Field(description="The entry.")
    structure: dict[str, object] = Field(description="pymatgen's Structure.as_dict().")


class CampaignProgress(Document):
    """How far one campaign is."""

    campaign: str = Field(description="Its name.")
    engine: str = Field(description="Engine of its energies.")
    candidates: int = Field(description="Members.")
    ranked: int = Field(description="Members with a summary in the build.")
    unjudged: int = Field(description="Members with an energy but no stability there.")
    open: int = Field(description="The rest: the status says in which states.")
    status: CampaignStatus | None = Field(
        description="Candidates by state, dispatch and cost at the time it names, as "
        "`hts campaign status` counts; null where the server may not look."
    )


class CampaignsAnswer(Document):
    """Every campaign."""

    run_id: str | None = Field(
        description="The build to which the counts outside the status belong."
    )
    data: list[CampaignProgress] = Field(description="By name.")


class HealthDoc(Document):
    """Whether the server can answer."""

    status: str = Field(description="ok.")
    version: str = Field(description="Release of hts_battery.")
    summaries: int = Field(description="Documents of the summary collection.")
    run_id: str | None = Field(description="Latest build that is shown.")


class AggregatesDoc(OfOneCampaign):
    """Counts of pairs of elements in a campaign."""

    temperature: float = Field(description="In K.")
    elements: list[str] = Field(description="Symbols of rows and columns.")
    candidates: list[list[int]] = Field(
        description="Candidates that hold both; the element itself on the diagonal."
    )
    stable: list[list[int]] = Field(
        description="Those of them with E_hull(T) <= 0 at the temperature."
    )
    certain: list[list[int]] = Field(
        description="Those of the stable ones whose label is not open."
    )


class BuildsAnswer(Document):
    """Runs of the builders."""

    data: list[BuildManifest] = Field(description="The latest first.")


class ChangeRow(Document):
    """What became of one candidate at one temperature."""

    campaign: str = Field(description="Name of the campaign.")
    candidate_id: str = Field(description="Key of the candidate.")
    formula: str | None = Field(description="Its formula.")
    temperature: float = Field(description="In K.")
    before_label: str | None = Field(description="GS, LS, US; null if not assessed.")
    after_label: str | None = Field(description="The same now.")
    before_open: bool = Field(description="Whether the label before might turn.")
    after_open: bool = Field(description="The same now.")
    before: float | None = Field(description="E_hull at the temperature, eV/atom.")
    after: float | None = Field(description="The same now.")
    before_hull_version: str | None = Field(description="Hull of before.")
    after_hull_version: str | None = Field(description="Hull of now.")
    reasons: list[str] = Field(description="Why, over all runs since then.")
    run_ids: list[str] = Field(description="Runs that changed it.")
    change: float | None = Field(description="after - before, eV/atom.")
    flipped: bool = Field(description="Whether it has another label, or none.")
    certain: bool = Field(description="Whether it flipped and neither label was open.")


class ChangesAnswer(OfOneCampaign):
    """What changed in a campaign after a build."""

    since: str = Field(description="The run; empty for everything.")
    total: int = Field(description="Changes on all pages.")
    headline: str = Field(description="Counts, in one line.")
    data: list[ChangeRow] = Field(description="Flipped labels, then largest change.")
