"""Short-range order of a composition by a fitted lattice model: one job, no engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobflow import Flow, Job, Maker, Response, job

from hts_battery.flows.engines.engine import Capability
from hts_battery.flows.execution.node import installed_versions
from hts_battery.flows.recipes.engine_recipe import START_STEP
from hts_battery.flows.recipes.recipe import (
    RESULT_STEP,
    CampaignRecipe,
    RecipeMaker,
    StepWork,
    Subject,
)
from hts_battery.schemas.cost import PlannedStep
from hts_battery.schemas.lattice import LatticeMonteCarloOptions, LatticeRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.dispatch import Unconverged
    from hts_battery.schemas.gate import HullSnapshot

_PACKAGES = ("hts_battery", "numba")


@job
def start_job(candidate: CandidateDoc, maker_text: str) -> Response[Any]:
    """Add the job that samples; ``maker_text``: the maker as JSON text."""
    maker = LatticeMonteCarloMaker.from_text(maker_text)
    return Response(
        output={"ordering_id": candidate.candidate_id},
        addition=maker.sampling(candidate),
    )


@job(output_schema=LatticeRun)
def result_job(
    candidate: CandidateDoc, options: LatticeMonteCarloOptions
) -> LatticeRun:
    """Sample a composition at the temperature of the options."""
    # numba is in an extra of its own.
    from hts_battery.disorder.lattice_run import run_lattice  # noqa: PLC0415

    return run_lattice(candidate.amounts, options).run


@dataclass
class LatticeMonteCarloMaker(RecipeMaker):
    """
    Sample the decorations of a composition with a lattice model.

    Parameters
    ----------
    options
        Model, temperature, size, sweeps, seed.
    """

    name: str = "lattice_monte_carlo"
    options: LatticeMonteCarloOptions | None = None

    @classmethod
    def from_campaign(
        cls,
        spec: CampaignSpec,
        *,
        relax_maker: Maker | None = None,  # noqa: ARG003 - it relaxes nothing
        prerelax_maker: Maker | None = None,  # noqa: ARG003 - likewise
    ) -> Self:
        """Configure the maker as a campaign says."""
        return cls(
            calculation=spec.calculation,
            versions=installed_versions(_PACKAGES),
            options=LatticeMonteCarloOptions.model_validate(spec.recipe_options),
        )

    def make(  # noqa: PLR0913 - each is named by its caller
        self,
        candidate: CandidateDoc,
        *,
        hull: HullSnapshot | None = None,  # noqa: ARG002 - it has no gate
        finished: Iterable[str] = (),  # noqa: ARG002 - it has one part
        parts: Mapping[str, str] | None = None,  # noqa: ARG002 - likewise
        unconverged: Mapping[str, Unconverged] | None = None,  # noqa: ARG002 - likewise
        released: bool = False,  # noqa: ARG002 - it has no gate
        uuid: str | None = None,
        maker_text: str | None = None,
    ) -> Flow:
        """Make the flow of one candidate, as all recipes do."""
        first: Job = start_job(candidate, maker_text or self.to_text())
        return self.started(first, candidate, step=START_STEP, uuid=uuid)

    def sampling(self, candidate: CandidateDoc) -> Flow:
        """Make the one job that samples."""
        result: Job = result_job(candidate, self.options)
        self.tag(result, RESULT_STEP, ordering_id=candidate.candidate_id)
        result.name = RESULT_STEP
        return Flow([result], output=result.output)


def _cost(_: CampaignSpec) -> tuple[PlannedStep, ...]:
    """List the jobs of one composition: none asks an engine."""
    return tuple(
        PlannedStep(engine="", step=step, for_each=1, behind_gate=False)
        for step in (START_STEP, RESULT_STEP)
    )


RECIPE = CampaignRecipe(
    name="lattice_monte_carlo",
    steps=(START_STEP, RESULT_STEP),
    subject=Subject.CANDIDATE,
    needs=Capability.RELAX,
    make=LatticeMonteCarloMaker.from_campaign,
    cost=_cost,
    work=lambda spec: {RESULT_STEP: StepWork(spec.engine, 0)},
    options=LatticeMonteCarloOptions,
)
