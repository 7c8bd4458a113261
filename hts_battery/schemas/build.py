"""What builders write beside results: counts, records with their state, manifests."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from hts_battery.schemas.base import Document, Rational
from hts_battery.schemas.thermo import OrderingKind, StabilityLabel, ThermoDoc

if TYPE_CHECKING:
    from collections.abc import Iterable


class BuildReport(Document):
    """Counts of one run of one builder."""

    read: int = Field(description="Inputs looked at.")
    written: int = Field(description="Documents written.")
    failed: int = Field(description="Documents written as rejected or failed.")
    unchanged: int = Field(description="Inputs whose document was already right.")
    removed: int = Field(description="Documents removed because their input is gone.")
    unmade: int = Field(
        0,
        description="Inputs that do not belong together, so that no document could be "
        "made of them: summaries whose stabilities are not all of one hull.",
    )
    seconds: float = Field(description="Wall time in s.")
    skipped: str | None = Field(
        None, description="Why the builder did not run; null where it did."
    )


def total_report(reports: Iterable[BuildReport]) -> BuildReport:
    """
    Add up the counts of several runs.

    Examples
    --------
    >>> total_report([]).read
    0
    """
    found = list(reports)
    counts = BuildReport.model_fields.keys() - {"skipped"}
    return BuildReport(
        **{name: sum(getattr(report, name) for report in found) for name in counts},
        skipped=next((report.skipped for report in found if report.skipped), None),
    )


class OrderingEnergy(Document):
    """One ordering that a stability was assessed from."""

    entry_id: str = Field(description="Its entry.")
    ordering_id: str | None = Field(None, description="Digest of its cell.")
    source: str | None = Field(
        None, description="Campaign whose ordering it is; null where nobody said."
    )
    method: str = Field(description="How it was ordered.")
    kind: OrderingKind = Field(description="What that says about its energy.")
    energy_per_atom: float = Field(description="With all adjustments, in eV/atom.")
    correction_per_atom: float = Field(
        description="Sum of the adjustments in it, in eV/atom."
    )
    scheme: str = Field(
        description="Correction scheme, and versions of what supplied its values."
    )


class StabilityNumbers(Document):
    """The numbers of a stability that a later build may change."""

    energy_per_atom: float = Field(description="Lowest ordering, eV/atom.")
    energy_above_hull_0k: float = Field(description="Without entropy, eV/atom.")
    energy_above_hull: float = Field(description="At the temperature, eV/atom.")
    label: StabilityLabel = Field(description="GS, LS or US at the temperature.")
    open: bool = Field(
        default=False, description="Whether the label may turn, see ThermoDoc."
    )
    hull_version: str = Field(description="Digest of the references.")


class PreviousStability(StabilityNumbers):
    """What a record said before it was overwritten, and why it was."""

    reasons: tuple[str, ...] = Field(
        description="What changed: orderings, corrections, references, options, code."
    )


class ThermoRecord(Document):
    """Outcome of assessing one candidate of one campaign at one temperature."""

    campaign: str = Field(description="Name of the campaign whose options were used.")
    candidate_id: str = Field(description="Key of the candidate.")
    temperature: float = Field(ge=0, description="Temperature in K.")
    state: Literal["successful", "failed"] = Field(description="Whether it worked.")
    error: str | None = Field(None, description="Why it failed.")
    entry_id: str | None = Field(None, description="Entry of the lowest ordering.")
    engine: str = Field(description="Name of the engine.")
    orderings: tuple[OrderingEnergy, ...] = Field(
        (), description="Orderings that were used, by entry id."
    )
    orderings_by_campaign: dict[str, int] = Field(
        default_factory=dict,
        description="Campaign → number of its orderings among them: this campaign "
        "alone, unless the options pool.",
    )
    flags: tuple[str, ...] = Field(
        (), description="Warnings about the orderings used, as words."
    )
    deviation: dict[str, Rational] = Field(
        default_factory=dict,
        description="Calculated cell minus candidate, elements per formula unit, where "
        "not zero: energy and entropy are the cell's.",
    )
    result: ThermoDoc | None = Field(None, description="The stability; null if failed.")
    hull_version: str | None = Field(
        None,
        description="Digest of the references on which this was assessed; null if "
        "there was no hull for its calculator. Later versions that cannot change the "
        "answer leave the record as it is.",
    )
    previous: PreviousStability | None = Field(
        None, description="What stood here before; null at first."
    )
    options_digest: str = Field(description="Digest of the options.")
    code_version: str = Field(description="Version of the builders' code.")
    input_digest: str = Field(
        description="Digest of candidate, orderings, options and code; the references "
        "are in hull_version."
    )


class HullVersion(Document):
    """The references of one hull, so that its version can be looked up."""

    hull_version: str = Field(description="Digest of ids, compositions and energies.")
    engine: str = Field(description="Name of the engine.")
    calculator: str = Field(description="Calculator of every energy.")
    scheme: str = Field(
        description="Calculator, correction scheme and versions of every energy."
    )
    n_references: int = Field(ge=1, description="Number of references.")
    references: tuple[tuple[str, str, float], ...] = Field(
        description="Entry id, formula and energy in eV/atom of each reference."
    )


class Change(Document):
    """One stability that a build wrote, replaced or removed."""

    candidate_id: str = Field(description="Key of the candidate.")
    formula: str | None = Field(description="Its formula; null where it is gone.")
    temperature: float = Field(ge=0, description="Temperature in K.")
    before: StabilityNumbers | None = Field(
        description="What stood there; null if nothing."
    )
    after: StabilityNumbers | None = Field(
        description="What stands there now; null if removed or failed."
    )
    reasons: tuple[str, ...] = Field(description="Why, as words.")


class ChangeSet(Document):
    """Changes that one build made to one batch of candidates."""

    change_id: str = Field(description="Unique key: run, campaign and batch.")
    run_id: str = Field(description="The run; later runs have greater ids.")
    campaign: str = Field(description="Name of the campaign.")
    changes: tuple[Change, ...] = Field(description="The changes.")


class BuildState(StrEnum):
    """How far a run of the builders came."""

    RUNNING = "running"
    """It has not ended; if its owner is dead, the next run says interrupted."""
    FINISHED = "finished"
    """Every builder ran to its end."""
    FAILED = "failed"
    """An error ended it; the message is in error."""
    INTERRUPTED = "interrupted"
    """Its process died; the next run did what was left."""


class HullSummary(Document):
    """One hull that a run used."""

    campaign: str = Field(description="Name of the campaign.")
    scheme: str = Field(description="Calculator, correction scheme and versions.")
    hull_version: str = Field(description="Digest of the references.")
    n_references: int = Field(description="Number of references.")


class BuildManifest(Document):
    """One run of the builders: what went in, with what, and what came out."""

    run_id: str = Field(description="Time of the start and a random part; sortable.")
    state: BuildState = Field(description="How far it came.")
    started_at: datetime = Field(description="UTC.")
    finished_at: datetime | None = Field(None, description="UTC; null while running.")
    error: str | None = Field(None, description="What ended it, if it failed.")
    host: str = Field(description="Host that ran it.")
    pid: int = Field(description="Process that ran it.")
    only: str | None = Field(None, description="The one builder asked for, if one.")
    retry_failed: bool = Field(description="Whether failures were tried again.")
    versions: dict[str, str] = Field(description="Package → version.")
    code_version: str = Field(
        description="Versions of the builders' code, in one line."
    )
    options: dict[str, dict[str, object]] = Field(
        description="Campaign → temperatures, entropy and stability options."
    )
    campaigns: dict[str, dict[str, object]] = Field(
        default_factory=dict,
        description="Campaign → what its file said, with the space, the list of "
        "formulas and the parent lattice that it named.",
    )
    problems: dict[str, str] = Field(
        default_factory=dict,
        description="Campaign that was left as it stood → why it could not be built.",
    )
    hulls: tuple[HullSummary, ...] = Field((), description="Hulls that were used.")
    input_digests: dict[str, str] = Field(
        default_factory=dict,
        description="Builder, with its campaign → digest of all its input digests.",
    )
    input_counts: dict[str, int] = Field(
        default_factory=dict,
        description="Builder, with its campaign → number of its inputs.",
    )
    document_counts: dict[str, int] = Field(
        default_factory=dict,
        description="Collection → documents when the run ended; empty before.",
    )
    reports: dict[str, BuildReport] = Field(
        default_factory=dict, description="Builder → counts over all campaigns."
    )
