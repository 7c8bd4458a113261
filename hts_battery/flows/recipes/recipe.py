"""
What a recipe is: what is computed of one subject, in which steps, and what it needs.

A recipe is one module with a :class:`CampaignRecipe` called ``RECIPE`` and a
:class:`RecipeMaker`, and its line in :data:`hts_battery.schemas.campaign.RECIPES`. What
runs it, sends it, resumes it and says where it stands looks at nothing but these:

- The maker's flow begins with one small job, that of the first step, which adds the
  others where it runs: a submission costs one job a candidate whatever follows.
- A job whose output another run may take carries ``part`` in its metadata, and the
  next flow is told which parts there are: nothing is computed twice.
- A job with the step ``result`` and an ``ordering_id`` makes the recipe's document.
  Its output says that the calculation is done; a failure of any job, that it failed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from jobflow import CURRENT_JOB, Flow, Job, Maker, OutputReference
from monty.json import MontyDecoder, MontyEncoder

from hts_battery.flows.execution.recorded import jobs_of, recorded
from hts_battery.schemas.base import Document
from hts_battery.schemas.campaign import RelaxationSpec, candidate_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hts_battery.flows.engines.engine import Capability, Engine
    from hts_battery.schemas.campaign import CampaignSpec, GateSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.cost import PlannedStep
    from hts_battery.schemas.dispatch import Unconverged
    from hts_battery.schemas.gate import HullSnapshot

RESULT_STEP = "result"
"""Step of the job that puts a recipe's document together."""


class Subject(StrEnum):
    """What a recipe computes something of."""

    CANDIDATE = "candidate"
    """A composition, ordered by the recipe."""
    RELAXED_CELL = "relaxed cell"
    """The lowest ordering of a candidate, as an earlier campaign relaxed it."""
    PHASE = "competing phase"
    """A phase of the library of references; no member of a campaign."""


class NoOptions(Document):
    """Options of a recipe that has none."""


class StepWork(NamedTuple):
    """What a job of one step asks of a queue."""

    engine: str
    """Engine whose rule says how long and how much."""
    calculations: int
    """Calculations of that engine in the job."""


class MakerOfCampaign(Protocol):
    """Configures a recipe's maker as a campaign says."""

    def __call__(
        self,
        spec: CampaignSpec,
        *,
        relax_maker: Maker | None = None,
        prerelax_maker: Maker | None = None,
    ) -> RecipeMaker:
        """Return the maker; makers of engines may be injected."""


@dataclass(frozen=True)
class Recipe:
    """
    What can be computed of every subject, with every engine that can do it.

    Parameters
    ----------
    name
        Name in campaign files and documents.
    steps
        Steps of its jobs, in order: what status, usage and accounts are sorted by.
    subject
        What it computes something of.
    needs
        Capability that it needs of the engine.
    """

    name: str
    steps: tuple[str, ...]
    subject: Subject
    needs: Capability

    @property
    def starts_from_cell(self) -> bool:
        """Whether it starts from what an earlier campaign relaxed."""
        return self.subject is Subject.RELAXED_CELL

    def refusal(self, engine: Engine, others: Iterable[Engine]) -> str | None:
        """Say why an engine cannot do it and which others can; none if it can."""
        if engine.can(self.needs):
            return None
        able = sorted(one.name for one in others if one.can(self.needs))
        return (
            f"recipe {self.name} cannot be computed with {engine.name}, which cannot "
            f"{self.needs}; choose one of {', '.join(able)} or a force field"
        )


@dataclass(frozen=True)
class CampaignRecipe(Recipe):
    """
    A recipe that a campaign computes of each of its members.

    Parameters
    ----------
    make
        Function that configures its maker as a campaign says; the maker makes the flow
        of a subject.
    cost
        Function from a campaign to the calculations of one member.
    work
        Function from a campaign to what each step made on the node asks of a queue.
    options
        Model of its options, ``recipe_options`` of a campaign file.
    """

    make: MakerOfCampaign
    cost: Callable[[CampaignSpec], tuple[PlannedStep, ...]]
    work: Callable[[CampaignSpec], Mapping[str, StepWork]]
    options: type[Document] = NoOptions


def job_of_output(made: Job | Flow) -> Job:
    """Return the job whose output is that of a flow; TypeError if it is no job's."""
    output = made.output
    for one in jobs_of(made):
        if isinstance(output, OutputReference) and one.uuid == output.uuid:
            return one
    raise TypeError(
        f"the flow {made.name} must have the output of one of its jobs as output, or "
        "nobody knows which of its energies counts"
    )


@dataclass
class RecipeMaker(Maker):
    """
    Make the flow of one candidate: what all recipes have in common.

    Parameters
    ----------
    name
        Name of the flows this maker produces.
    calculation
        What is digested, with the candidate, into the content key; stored with the
        outputs.
    versions
        Packages with their versions here; a node with others refuses the jobs.
    gate
        Threshold in eV/atom and its temperature; none lets every candidate pass.
    steps
        Ionic steps that a relaxation is allowed, of all jobs that it goes on in.
    routing
        Step → what FireWorks is told of its jobs besides what the first job was told:
        ``_fworker``, ``_queueadapter``. Empty where jobs go the way of the first job.
    """

    name: str = "recipe"
    calculation: dict[str, object] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    gate: GateSpec | None = None
    steps: int = RelaxationSpec().steps
    routing: dict[str, dict[str, object]] = field(default_factory=dict)

    @property
    def asked(self) -> dict[str, int]:
        """Method → orderings asked for; none where the recipe makes no cells."""
        return {}

    def make(  # noqa: PLR0913 - each is named by its caller
        self,
        candidate: CandidateDoc,
        *,
        hull: HullSnapshot | None = None,
        finished: Iterable[str] = (),
        parts: Mapping[str, str] | None = None,
        unconverged: Mapping[str, Unconverged] | None = None,
        released: bool = False,
        uuid: str | None = None,
        maker_text: str | None = None,
    ) -> Flow:
        """
        Make the flow of one candidate: one job, tagged and recorded, that makes more.

        Parameters
        ----------
        hull
            Competing phases of its elements, where there is a gate.
        finished
            Orderings of an earlier run that need nothing more.
        parts
            Part of an earlier run → job whose stored output it is.
        unconverged
            Ordering id → relaxation that used up its steps and goes on.
        released
            Whether the operator lets it pass the gate.
        uuid
            Uuid of the first job; a new one by default.
        maker_text
            What :meth:`to_text` returns, where it is written once for many candidates.
        """
        raise NotImplementedError

    def started(
        self, first: Job, candidate: CandidateDoc, *, step: str, uuid: str | None
    ) -> Flow:
        """Name, tag and record the flow of a candidate that begins with a job."""
        if uuid is not None:
            first.set_uuid(uuid)
        first.name = step
        first.config.pass_manager_config = not self.routing
        flow = Flow(
            [first], output=first.output, name=f"{self.name} {candidate.formula}"
        )
        flow.update_metadata(
            {
                "candidate_id": candidate.candidate_id,
                "content_key": candidate_key(candidate, self.calculation),
                "calculation": self.calculation,
                "versions": self.versions,
            },
            dynamic=True,
        )
        # Not dynamic: the jobs made on the node have steps of their own.
        first.update_metadata({"step": step, "asked": self.asked}, dynamic=False)
        return recorded(flow)

    def tag(self, made: Job | Flow, step: str, **metadata: object) -> None:
        """Say of a job that is made on the node what it is, and send it its way."""
        made.update_metadata({"step": step, **metadata}, dynamic=True)
        self.route(made, step)

    def tag_part(self, made: Job | Flow, step: str, part: str, **tags: object) -> None:
        """Tag as :meth:`tag` does; the output is a part that another run may take."""
        self.tag(made, step, **tags)
        # Of an engine's several jobs, the others have energies of other settings.
        job_of_output(made).update_metadata({"part": part}, dynamic=True)

    def route(self, made: Job | Flow, step: str) -> None:
        """Send a job that is made on the node where its step belongs."""
        if self.routing:
            # The current job hands nothing on by itself, see started().
            inherited = CURRENT_JOB.job.config.manager_config
            for one in jobs_of(made):
                one.config.manager_config = {**inherited, **self.routing.get(step, {})}

    def to_text(self) -> str:
        """Write the maker as the JSON text that travels with its jobs."""
        return json.dumps(self, cls=MontyEncoder)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what :meth:`to_text` wrote, its makers included."""
        maker: Self = json.loads(text, cls=MontyDecoder)
        return maker
