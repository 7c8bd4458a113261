"""What calculations cost: laws by engine and step, and the price of a campaign."""

from __future__ import annotations

from pydantic import Field

from hts_battery.schemas.base import Document


class FinishedJob(Document):
    """One calculation that came to an energy, as far as cost goes."""

    engine: str = Field(description="Engine that made it.")
    step: str = Field(description="Calculation, for example relax 1.")
    atoms: int = Field(gt=0, description="Atoms of its cell.")
    seconds: float = Field(gt=0, description="Wall time of all its attempts, in s.")


class CostLaw(Document):
    """
    Wall time and storage of one kind of job as a power of the number of atoms.

    Wall time = ``seconds`` (N / ``atoms``) ** ``exponent``; storage is proportional to
    the number of atoms.
    """

    engine: str = Field(description="Engine; * is any that has no law of its own.")
    step: str = Field(description="Calculation; * is any without a law of its own.")
    atoms: float = Field(gt=0, description="Number of atoms of the stated values.")
    seconds: float = Field(
        gt=0, description="Mean wall time of one job at that number of atoms, in s."
    )
    exponent: float = Field(
        ge=0, description="Power of the number of atoms that wall time grows with."
    )
    level_error: float = Field(
        ge=0, description="Standard error of ln(seconds): the law itself may be off."
    )
    exponent_error: float = Field(ge=0, description="Standard error of the exponent.")
    spread: float = Field(
        ge=0, description="Standard deviation of ln(wall time) of single jobs."
    )
    document_bytes: float = Field(
        ge=0, description="Bytes in the database of one job at that number of atoms."
    )
    folder_bytes: float = Field(
        ge=0, description="Bytes kept in its launch folder at that number of atoms."
    )
    n_jobs: int = Field(0, ge=0, description="Finished jobs it is fitted to.")
    smallest: int | None = Field(None, description="Atoms of the smallest of them.")
    largest: int | None = Field(None, description="Atoms of the largest of them.")
    source: str = Field(description="Where the values come from.")


class CostDefaults(Document):
    """What is assumed before anything has finished."""

    overhead: float = Field(
        ge=1,
        description="Node time of a candidate, with start-up, repeated and failed "
        "jobs, over that of the jobs that succeed.",
    )
    overhead_source: str = Field(description="Where it comes from.")
    candidate_bytes: float = Field(
        ge=0,
        description="Bytes of a candidate in the database beside its jobs: the "
        "candidate, membership, backlog, entries, stabilities, summary.",
    )
    candidate_bytes_source: str = Field(description="Where it comes from.")
    laws: tuple[CostLaw, ...] = Field(description="One for each engine and step.")


class PlannedStep(Document):
    """One kind of calculation of a campaign."""

    engine: str = Field(description="Engine that makes it; empty for none.")
    step: str = Field(description="Calculation.")
    for_each: int = Field(ge=1, description="How often for one candidate, at most.")
    length: float = Field(
        1.0, gt=0, description="Wall time of one, over that of the law of its step."
    )
    behind_gate: bool = Field(description="Whether only what passes the gate has it.")


class CampaignWork(Document):
    """How much is to be computed."""

    campaign: str = Field(description="Name of the campaign.")
    candidates: int = Field(ge=0, description="Candidates of the campaign.")
    left: int = Field(ge=0, description="Candidates that are still to be computed.")
    steps: tuple[PlannedStep, ...] = Field(description="What each of them needs.")
    atoms: tuple[int, ...] = Field(
        min_length=1, description="Atoms of the cells of a sample of the candidates."
    )
    nodes: int = Field(1, ge=1, description="Nodes of one queue job.")


class GateShare(Document):
    """Which share of candidates a gate stops."""

    share: float = Field(ge=0, le=1, description="Share that it stops.")
    error: float = Field(ge=0, description="Standard error of the share.")
    verdicts: int = Field(ge=0, description="Verdicts that it is counted from.")
    source: str = Field(description="Where it comes from.")


class Overhead(Document):
    """Node time of candidates over that of the jobs that succeed."""

    factor: float = Field(gt=0, description="The ratio.")
    endings: int = Field(ge=0, description="Candidates it is counted from.")
    source: str = Field(description="Where it comes from.")


class StepPrice(Document):
    """Price of one kind of calculation of a campaign."""

    engine: str = Field(description="Engine; empty for none.")
    step: str = Field(description="Calculation.")
    jobs: int = Field(description="Jobs of the whole campaign.")
    jobs_left: int = Field(description="Jobs that are still to be computed.")
    node_hours: float = Field(description="Node-hours of the whole campaign.")
    node_hours_left: float = Field(description="Node-hours that are still to be spent.")
    bytes: int = Field(description="Bytes that the whole campaign leaves.")
    n_jobs: int = Field(description="Finished jobs that the law is fitted to.")
    spread: float = Field(
        description="Standard deviation of ln(wall time) of single jobs."
    )
    source: str = Field(description="Where the law comes from.")
    extrapolated: bool = Field(
        description="Whether the cells are outside the sizes of the finished jobs."
    )


class CampaignPlan(Document):
    """What a campaign costs, in all and from now on."""

    campaign: str = Field(description="Name of the campaign.")
    engine: str = Field(description="Engine of its energies.")
    candidates: int = Field(description="Candidates of the campaign.")
    computed: int = Field(description="Candidates that need nothing more.")
    jobs: int = Field(description="Jobs of the whole campaign, small ones too.")
    jobs_left: int = Field(description="Jobs that are still to be computed.")
    node_hours: float = Field(description="Node-hours of the whole campaign.")
    node_hours_interval: tuple[float, float] = Field(
        description="5th and 95th percentile of it."
    )
    node_hours_left: float = Field(description="Node-hours still to be spent.")
    node_hours_left_interval: tuple[float, float] = Field(
        description="5th and 95th percentile of it."
    )
    node_hours_spent: float | None = Field(
        description="Node-hours of what was dispatched and ended; none where the "
        "campaign was not submitted."
    )
    budget: float | None = Field(description="Node-hours that may be spent, if set.")
    bytes: int = Field(description="Bytes that the whole campaign leaves.")
    bytes_database: int = Field(description="Of them in the database.")
    bytes_folders: int = Field(description="Of them in launch folders.")
    atoms: tuple[int, int] = Field(description="Smallest and largest cell, in atoms.")
    overhead: Overhead = Field(description="What is added for start-up and failures.")
    gate: GateShare | None = Field(description="What the gate stops, if there is one.")
    steps: tuple[StepPrice, ...] = Field(description="By step and engine.")
    notes: tuple[str, ...] = Field(description="What to know before trusting it.")
