"""A made-up recipe, first of the two files that one takes: how far atoms are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobflow import Flow, Job, Response, job

from hts_battery.flows.engines.engine import Capability
from hts_battery.flows.recipes.recipe import (
    RESULT_STEP,
    CampaignRecipe,
    RecipeMaker,
    Subject,
)
from hts_battery.schemas.cost import PlannedStep

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.dispatch import Unconverged
    from hts_battery.schemas.gate import HullSnapshot


@job
def start_job(candidate: CandidateDoc, maker_text: str) -> Response[Any]:
    assert candidate.start is not None
    result: Job = shortest_distance(candidate)
    result.name = RESULT_STEP
    maker = ShortestDistanceMaker.from_text(maker_text)
    maker.tag(result, RESULT_STEP, ordering_id=candidate.start.ordering_id)
    return Response(addition=Flow([result]))


@job
def shortest_distance(candidate: CandidateDoc) -> dict[str, float]:
    assert candidate.start is not None
    distances = candidate.start.to_structure().distance_matrix
    return {"shortest_distance": float(distances[distances > 0].min())}


@dataclass
class ShortestDistanceMaker(RecipeMaker):
    name: str = "shortest_distance"

    @classmethod
    def from_campaign(cls, spec: CampaignSpec, **_: object) -> ShortestDistanceMaker:
        return cls(calculation=spec.calculation)

    def make(  # noqa: PLR0913 - as all recipes
        self,
        candidate: CandidateDoc,
        *,
        hull: HullSnapshot | None = None,  # noqa: ARG002 - of all recipes
        finished: Iterable[str] = (),  # noqa: ARG002
        parts: Mapping[str, str] | None = None,  # noqa: ARG002
        unconverged: Mapping[str, Unconverged] | None = None,  # noqa: ARG002
        released: bool = False,  # noqa: ARG002
        uuid: str | None = None,
        maker_text: str | None = None,
    ) -> Flow:
        first: Job = start_job(candidate, maker_text or self.to_text())
        return self.started(first, candidate, step="start", uuid=uuid)


def _cost(_: CampaignSpec) -> tuple[PlannedStep, ...]:
    return tuple(
        PlannedStep(engine="", step=step, for_each=1, behind_gate=False)
        for step in ("start", RESULT_STEP)
    )


RECIPE = CampaignRecipe(
    name="shortest_distance",
    steps=("start", RESULT_STEP),
    subject=Subject.RELAXED_CELL,
    needs=Capability.RELAX,
    make=ShortestDistanceMaker.from_campaign,
    cost=_cost,
    work=lambda _: {},
)
