"""
Barriers of the hops of a relaxed cell, hop after hop.

On the node each job adds the next one::

    start ── relax ── start ── barrier ── barrier ── … ── result

Hops come from the topology of the crystal: between neighbouring octahedra of a rock
salt, between 6b and 18e cavities of NASICON. The cell is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobflow import CURRENT_JOB, Flow, Job, Response, job
from monty.json import jsanitize

from hts_battery.flows.engines.engine import Capability
from hts_battery.flows.recipes.engine_recipe import START_STEP, start_of
from hts_battery.flows.recipes.from_relaxed_cell import (
    RELAX_STEP,
    RelaxedCellMaker,
    outputs_of,
)
from hts_battery.flows.recipes.recipe import (
    RESULT_STEP,
    CampaignRecipe,
    StepWork,
    Subject,
)
from hts_battery.schemas.barrier import HopBarrier
from hts_battery.schemas.base import Document
from hts_battery.schemas.cost import PlannedStep
from hts_battery.schemas.dynamics import ChunkEnergy, MigrationBarriers
from hts_battery.transport.barriers import hop_barrier, hop_start
from hts_battery.transport.hops import chosen_hops, hops_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.transport.hops import Hop

BARRIER_STEP = "barrier"


class BarrierTask(Document):
    """Output of the job of one hop."""

    barrier: HopBarrier
    """What came of it."""
    hops: int
    """Different hops of the cell."""
    output: ChunkEnergy
    """What says that the job came to an end."""


@job(output_schema=BarrierTask)
def barrier_job(
    candidate: CandidateDoc,
    maker_text: str,
    uuids: Mapping[str, str],
    part: str,
) -> Response[Any]:
    """Compute one barrier, and add what comes after it."""
    maker = MigrationBarrierMaker.from_text(maker_text)
    known = outputs_of(uuids)
    cell = maker.cell(candidate, known)
    hops, chosen = maker.hops(candidate, known)
    hop = chosen[part]
    start, moves = hop_start(cell, hop)
    found = hop_barrier(
        start,
        moves,
        maker.calculator(),
        name=maker.calculator_name(),
        options=maker.options.barrier,
    )
    barrier = HopBarrier(
        **found.model_dump(),
        hop=hop.label,
        kind=hop.kind,
        equal=hop.equal,
        length=hop.length,
        metals=hop.metals,
    )
    # One without a value is an answer too, and is not computed again.
    ended = ChunkEnergy(energy=barrier.forward or 0.0)
    done = BarrierTask(barrier=barrier, hops=len(hops), output=ended)
    uuids = {**uuids, part: CURRENT_JOB.job.uuid}
    return Response(
        output=done,
        addition=maker.following(candidate, maker_text, uuids, {**known, part: done}),
    )


@job(output_schema=MigrationBarriers)
def result_job(
    candidate: CandidateDoc, maker_text: str, uuids: Mapping[str, str]
) -> MigrationBarriers:
    """Put the barriers together."""
    maker = MigrationBarrierMaker.from_text(maker_text)
    known = outputs_of(uuids)
    start = start_of(candidate)
    tasks = [
        BarrierTask.model_validate(
            {
                name: value
                for name, value in jsanitize(one, strict=True, enum_values=True).items()
                if not name.startswith("@")
            }
        )
        for part, one in sorted(known.items())
        if part != RELAX_STEP
    ]
    return MigrationBarriers(
        candidate_id=candidate.candidate_id,
        entry_id=start.entry_id,
        ordering_id=start.ordering_id,
        calculator=maker.calculator_name(),
        carrier=maker.carrier(maker.cell(candidate, known)),
        hops=tasks[0].hops,
        barriers=tuple(one.barrier for one in tasks),
    )


@dataclass
class MigrationBarrierMaker(RelaxedCellMaker):
    """Compute the barriers of the hops of a relaxed cell."""

    name: str = "migration_barrier"

    def hops(
        self, candidate: CandidateDoc, known: Mapping[str, object]
    ) -> tuple[list[Hop], dict[str, Hop]]:
        """Return all different hops, and those that are computed by their part."""
        cell = self.cell(candidate, known)
        found = hops_of(cell, carrier=self.carrier(cell))
        chosen = chosen_hops(found, self.options.kinds, self.options.hops)
        return found, {f"hop {n:03d}": hop for n, hop in enumerate(chosen, 1)}

    def following(
        self,
        candidate: CandidateDoc,
        maker_text: str,
        uuids: Mapping[str, str],
        known: Mapping[str, object],
    ) -> Flow:
        """Make the job of the next hop, or of the result."""
        _, chosen = self.hops(candidate, known)
        left = [part for part in chosen if part not in known]
        if not left:
            last: Job = result_job(candidate, maker_text, uuids)
            return self.one(last, candidate, RESULT_STEP)
        made: Job = barrier_job(candidate, maker_text, uuids, left[0])
        return self.one(made, candidate, BARRIER_STEP, left[0])


def _cost(spec: CampaignSpec) -> tuple[PlannedStep, ...]:
    """List the jobs of one candidate, with as many hops as are allowed."""
    return tuple(
        PlannedStep(engine=engine, step=step, for_each=number, behind_gate=False)
        for engine, step, number in (
            ("", START_STEP, 1),
            (spec.engine, BARRIER_STEP, spec.transport.hops),
            ("", RESULT_STEP, 1),
        )
    )


def _work(spec: CampaignSpec) -> dict[str, StepWork]:
    """Say what each step that is made on the node asks of a queue."""
    engines = dict.fromkeys((RELAX_STEP, BARRIER_STEP), StepWork(spec.engine, 1))
    return engines | dict.fromkeys((START_STEP, RESULT_STEP), StepWork(spec.engine, 0))


RECIPE = CampaignRecipe(
    name="migration_barrier",
    steps=(START_STEP, RELAX_STEP, BARRIER_STEP, RESULT_STEP),
    subject=Subject.RELAXED_CELL,
    needs=Capability.FORCES,
    make=MigrationBarrierMaker.from_campaign,
    cost=_cost,
    work=_work,
)
