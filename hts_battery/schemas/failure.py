"""Why a calculation failed, what it left behind, and what is done about it."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field, field_validator, model_validator

from hts_battery.schemas.base import Document


class FailureClass(StrEnum):
    """Kind of a failure; each has a rule in the policy."""

    WALLTIME = "walltime"
    """Stopped because the time of its allocation ran out."""
    OUT_OF_MEMORY = "out of memory"
    """Ended because a node had no memory left."""
    ELECTRONIC = "electronic non-convergence"
    """The self-consistency loop did not converge, whatever custodian tried."""
    IONIC = "ionic non-convergence"
    """The relaxation used up its steps, whatever custodian tried."""
    WRONG_STATE = "wrong magnetic or charge state"
    """Converged, with other moments than it started from."""
    NODE = "node or filesystem failure"
    """A node, the network or a disk gave way."""
    EXECUTABLE = "licence or executable missing"
    """The code, its libraries or its potentials are not where the worker says."""
    BAD_INPUT = "bad input"
    """The code refuses what it was given: trying again changes nothing."""
    VERSION_SKEW = "version skew"
    """The node has other packages than the machine that submitted."""
    UNKNOWN = "unknown"
    """Nothing in the table of signatures matches."""


class Source(StrEnum):
    """Where a signature is looked for."""

    CUSTODIAN = "custodian"
    """Handlers and errors in custodian's own log."""
    EXCEPTION = "exception"
    """Classes of the exception and its causes, with their messages."""
    OUTPUT = "output"
    """What the code and its launcher printed, or an exception that repeats it."""
    RESULT = "result"
    """What is wrong with outputs that could be read."""


class Signature(Document):
    """One text by which a failure is recognised."""

    failure_class: FailureClass = Field(description="What it is a sign of.")
    source: Source = Field(description="Where it is looked for.")
    pattern: str = Field(
        description="Regular expression, case does not matter; a list of them is "
        "joined."
    )
    aftermath: bool = Field(
        default=False,
        description="Whether it is printed too when custodian ends a run: counted "
        "last then.",
    )
    alone: bool = Field(
        default=False,
        description="Whether it counts only where a program left an error and printed "
        "nothing else.",
    )

    @field_validator("pattern", mode="before")
    @classmethod
    def _joined(cls, value: object) -> object:
        return "|".join(map(str, value)) if isinstance(value, list) else value


class StartFrom(StrEnum):
    """What a repeated calculation starts from."""

    LAST_GEOMETRY = "last geometry"
    """Last geometry and, where they were written, moments and charge density."""
    BEGINNING = "beginning"
    """Geometry and moments of the first attempt, and no charge density."""


class Remedy(Document):
    """What is different when a calculation is repeated."""

    start: StartFrom = Field(
        StartFrom.LAST_GEOMETRY, description="What it starts from."
    )
    settings: dict[str, dict[str, object]] = Field(
        default_factory=dict,
        description="Code (vasp, gpaw) → its settings that change, here and in every "
        "later attempt.",
    )
    resources: dict[str, float] = Field(
        default_factory=dict,
        description="What to ask the queue for, as a factor of the first request: "
        "memory, wall_time.",
    )


class Rule(Document):
    """What is done about one class of failure."""

    failure_class: FailureClass = Field(description="Class it is for.")
    remedies: tuple[Remedy, ...] = Field(
        (), description="One for each time it happens, in order."
    )
    afterwards: Literal["give up", "keep"] = Field(
        "give up",
        description="When the remedies are used up: give up, or keep the result and "
        "its flag.",
    )


class FailurePolicy(Document):
    """Every rule: what is tried, how often, and when a calculation is given up."""

    rules: tuple[Rule, ...] = Field(description="One for each class.")
    max_attempts: int = Field(
        8, ge=1, description="Attempts of one calculation, of all classes together."
    )
    max_seconds: float | None = Field(
        None,
        gt=0,
        description="Wall time in s that all attempts of one calculation may take; "
        "null is no limit.",
    )
    moment_tolerance: float = Field(
        1.0,
        gt=0,
        description="Largest change of a site's moment in Bohr magnetons before the "
        "state counts as another.",
    )

    @model_validator(mode="after")
    def _each_class_once(self) -> FailurePolicy:
        classes = [rule.failure_class for rule in self.rules]
        if sorted(classes) != sorted(FailureClass):
            absent = ", ".join(sorted(set(FailureClass) - set(classes))) or "none"
            raise ValueError(
                f"a policy has one rule for every class; without a rule: {absent}"
            )
        return self

    def rule(self, failure_class: FailureClass) -> Rule:
        """Return the rule for a class."""
        return next(one for one in self.rules if one.failure_class == failure_class)


class Correction(Document):
    """Something that custodian noticed and changed, or could not change."""

    handler: str = Field(description="Class of the handler.")
    errors: tuple[str, ...] = Field(description="What it noticed.")
    actions: tuple[dict[str, object], ...] | None = Field(
        description="What it changed; null where it knew nothing to change."
    )


class FailureDoc(Document):
    """One failed attempt of one calculation: class, evidence and cost."""

    failure_class: FailureClass = Field(description="Kind of failure.")
    step: str = Field(description="Calculation, for example relax 1.")
    attempt: int = Field(ge=1, description="Number of this attempt.")
    reason: str = Field(description="The sign by which the class was recognised.")
    handler: str | None = Field(
        None, description="Handler of custodian that gave up, where one did."
    )
    error_class: str | None = Field(None, description="Class of the exception, if any.")
    error_message: str | None = Field(None, description="Its message, cut if long.")
    corrections: tuple[Correction, ...] = Field(
        (), description="What custodian noticed and changed before."
    )
    last_lines: tuple[str, ...] = Field(
        (), description="Last lines of what the code and its launcher printed."
    )
    notes: tuple[str, ...] = Field(
        (), description="What could not be read of its evidence, and why."
    )
    folder: str | None = Field(None, description="Launch folder, host:path.")
    seconds: float = Field(ge=0, description="Wall time that the attempt took, in s.")
    time: AwareDatetime = Field(description="When it ended, UTC.")
    rehearsal: bool = Field(
        default=False, description="Whether a stand-in for the code failed on purpose."
    )

    @property
    def summary(self) -> str:
        """One line for people."""
        return (
            f"{self.step}: {self.failure_class} at attempt {self.attempt}: "
            f"{self.reason}"
        )


class Verb(StrEnum):
    """What happens next."""

    REPEAT = "repeat"
    """Repeat the calculation with the remedy."""
    KEEP = "keep"
    """Take the result as it is, flagged."""
    GIVE_UP = "give up"
    """Stop; the calculations that need this one are not made."""


class NextAction(Document):
    """What is done after a failure."""

    verb: Verb = Field(description="What happens.")
    reason: str = Field(description="Why, for people.")
    start: StartFrom | None = Field(None, description="Where a repetition starts.")
    settings: dict[str, dict[str, object]] = Field(
        default_factory=dict,
        description="Code → all settings that differ from the first attempt.",
    )
    resources: dict[str, float] = Field(
        default_factory=dict, description="What to ask the queue for, as factors."
    )


class RunRecord(Document):
    """How a calculation came about: stored with its result under ``run``."""

    engine: str = Field(description="Engine that made it.")
    calculator: str = Field(description="Calculator, as energies are labelled.")
    step: str = Field(description="Calculation, for example static.")
    versions: dict[str, str] = Field(description="Packages with their versions.")
    converged: bool = Field(description="Whether it ended as it should.")
    n_steps: int | None = Field(description="Ionic steps of the last attempt.")
    attempts: int = Field(ge=1, description="Attempts that it took.")
    seconds: float = Field(ge=0, description="Wall time of all attempts, in s.")
    corrections: tuple[Correction, ...] = Field(
        description="What custodian noticed and changed in the last attempt."
    )
    failures: tuple[FailureDoc, ...] = Field(
        description="Attempts that failed, and a flag that was kept."
    )
    settings: dict[str, object] = Field(
        description="Settings that failures changed in the last attempt."
    )
    start_moments: tuple[float, ...] | None = Field(
        description="Moment of each site at the start of the last attempt, in Bohr "
        "magnetons; null where none were given."
    )
    site_order: tuple[int, ...] = Field(
        description="Number that each atom of the code's own files has in the "
        "structure of this document, which is in the order it was given."
    )
    potentials: tuple[str, ...] = Field(description="Titles of the potentials.")
    potential_functional: str | None = Field(
        description="Release of the potentials, as pymatgen calls it."
    )
    dropped: tuple[str, ...] = Field(
        description="Parts of the code's output that are not stored."
    )
    rehearsal: bool = Field(description="Whether a stand-in for the code made it.")
