"""What recipes share whose jobs are computed with the engine of a campaign."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, cast

from jobflow import Job, OutputReference, Response, job
from monty.json import jsanitize

from hts_battery.flows.engines.registry import engine
from hts_battery.flows.execution.node import installed_versions
from hts_battery.flows.recipes.recipe import RESULT_STEP, NoOptions, RecipeMaker
from hts_battery.schemas.calculation import read_task
from hts_battery.schemas.cost import PlannedStep

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from jobflow import Flow, Maker

    from hts_battery.flows.engines.engine import Engine
    from hts_battery.schemas.base import Document
    from hts_battery.schemas.calculation import Calculation, TaskOutput
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc, StartingCell
    from hts_battery.schemas.dispatch import Unconverged
    from hts_battery.schemas.gate import HullSnapshot

START_STEP = "start"
"""Step of the job that adds the others on the node."""


@job
def start_job(
    candidate: CandidateDoc, maker_text: str, parts: Mapping[str, object]
) -> Response[Any]:
    """
    Add the jobs of a recipe that no run has done.

    ``maker_text``: an :class:`EngineRecipeMaker` as JSON text. ``parts``: part → output
    of the job that computed it. The output names the cell that it starts from.
    """
    maker = EngineRecipeMaker.from_text(maker_text)
    start = candidate.start
    return Response(
        output={"ordering_id": candidate.candidate_id}
        if start is None
        else {"entry_id": start.entry_id, "ordering_id": start.ordering_id},
        addition=maker.calculations(candidate, parts),
    )


@dataclass
class EngineRecipeMaker(RecipeMaker):
    """
    Make flows that begin with a small job and go on with jobs of an engine.

    Parameters
    ----------
    options
        Those of the recipe.
    engine_name
        Engine whose energies they are.
    relax_maker
        Maker of a relaxation of cell and atoms.
    magmom, charge
        Whether the engine takes starting moments and formal charges.
    """

    options: Document = field(default_factory=NoOptions)
    engine_name: str = "chgnet"
    relax_maker: Maker | None = None
    magmom: bool = False
    charge: bool = False

    packages: ClassVar[tuple[str, ...]] = ("hts_battery", "atomate2", "pymatgen")
    """What must have the same version on the nodes, besides what the engine needs."""

    @classmethod
    def from_campaign(
        cls,
        spec: CampaignSpec,
        *,
        relax_maker: Maker | None = None,
        prerelax_maker: Maker | None = None,  # noqa: ARG003 - it has no such step
    ) -> Self:
        """Configure the maker as a campaign says; one of an engine may be injected."""
        chosen = engine(spec.engine)
        made = cls(
            calculation=spec.calculation,
            versions=installed_versions([*cls.packages, *chosen.packages]),
            engine_name=spec.engine,
            relax_maker=relax_maker or chosen.relax_maker(spec.relaxation),
            magmom=chosen.magmom,
            charge=chosen.charge,
        )
        made.configure(spec, chosen, relax_maker)
        return made

    def configure(
        self,
        spec: CampaignSpec,
        chosen: Engine,  # noqa: ARG002 - for recipes that need another maker of it
        relax_maker: Maker | None,  # noqa: ARG002 - likewise, where one is injected
    ) -> None:
        """Take what this recipe needs of a campaign besides: its options."""
        self.options = type(self.options).model_validate(spec.recipe_options)

    def make(  # noqa: PLR0913 - each is named by its caller
        self,
        candidate: CandidateDoc,
        *,
        hull: HullSnapshot | None = None,  # noqa: ARG002 - it has no gate
        finished: Iterable[str] = (),  # noqa: ARG002 - the parts say what is left
        parts: Mapping[str, str] | None = None,
        unconverged: Mapping[str, Unconverged] | None = None,  # noqa: ARG002 - ends or fails
        released: bool = False,  # noqa: ARG002 - it has no gate
        uuid: str | None = None,
        maker_text: str | None = None,
    ) -> Flow:
        """Make the flow of one candidate, as all recipes do."""
        known = dict(sorted((parts or {}).items()))
        first = self.first_job(candidate, maker_text or self.to_text(), known)
        return self.started(first, candidate, step=START_STEP, uuid=uuid)

    def first_job(
        self, candidate: CandidateDoc, maker_text: str, parts: Mapping[str, str]
    ) -> Job:
        """Make the job that adds the others; ``parts``: part → job that computed it."""
        known = {name: OutputReference(uuid) for name, uuid in parts.items()}
        made: Job = start_job(candidate, maker_text, known)
        return made

    def calculations(
        self, candidate: CandidateDoc, parts: Mapping[str, object]
    ) -> Flow:
        """Make, on the node, what no run has computed, and what joins it."""
        raise NotImplementedError


def planned(spec: CampaignSpec, cells: int) -> tuple[PlannedStep, ...]:
    """List the jobs of one candidate of which the engine computes so many cells."""
    steps = [
        (START_STEP, "", 1),
        *((name, spec.engine, cells) for name in engine(spec.engine).steps),
        (RESULT_STEP, "", 1),
    ]
    return tuple(
        PlannedStep(engine=name, step=step, for_each=number, behind_gate=False)
        for step, name, number in steps
    )


def start_of(candidate: CandidateDoc) -> StartingCell:
    """Return the cell that a candidate starts from; ValueError where there is none."""
    if candidate.start is None:
        raise ValueError(f"{candidate.formula} has no relaxed cell to start from")
    return candidate.start


def read_output(output: object, engine_name: str) -> Calculation:
    """Read a task document, which jobflow hands over as object or dictionary."""
    plain = jsanitize(output, strict=True, enum_values=True)
    return read_task(cast("TaskOutput", plain), engine_name)
