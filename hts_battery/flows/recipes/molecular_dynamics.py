"""
Molecular dynamics of a relaxed cell, chunk after chunk, until its error is reached.

On the node each job adds the next one::

    start ── relax ── start ── dynamics ── dynamics ── … ── result

``relax`` only where another engine than this one has relaxed the cell. Of each
temperature the first ``dynamics`` is at zero pressure; the others sample at the mean of
its cells. A chunk's output holds its frames and all that the next one needs, so that
neither node nor folder matters, and what was killed goes on with the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from jobflow import CURRENT_JOB, Flow, Job, Response, job
from monty.json import jsanitize
from pymatgen.io.ase import AseAtomsAdaptor

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
from hts_battery.schemas.cost import PlannedStep
from hts_battery.schemas.dynamics import FS_PER_PS, DynamicsChunk, MolecularDynamics
from hts_battery.transport.run_pieces import Sampling, line_through, next_piece

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc

DYNAMICS_STEP = "dynamics"
_STEPS_OF_LAW = 1000  # of the cost law of this step


@job(output_schema=DynamicsChunk)
def dynamics_job(
    candidate: CandidateDoc,
    maker_text: str,
    uuids: Mapping[str, str],
    part: str,
) -> Response[Any]:
    """Compute one piece, and add what comes after it."""
    maker = MolecularDynamicsMaker.from_text(maker_text)
    known = outputs_of(uuids)
    cell = maker.supercell(candidate, known)
    atoms = AseAtomsAdaptor.get_atoms(cell)
    atoms.calc = maker.calculator()
    chunks = chunks_of(known)
    piece = next_piece(maker.options.dynamics, chunks)
    if piece is None or piece.part != part:
        raise ValueError(f"{part} is not what comes next")
    found = maker.sampling(cell).compute(atoms, piece, chunks)
    uuids = {**uuids, part: CURRENT_JOB.job.uuid}
    return Response(
        output=found,
        addition=maker.following(candidate, maker_text, uuids, {**known, part: found}),
    )


@job(output_schema=MolecularDynamics)
def result_job(
    candidate: CandidateDoc, maker_text: str, uuids: Mapping[str, str]
) -> MolecularDynamics:
    """Analyse every temperature, and the line through them."""
    maker = MolecularDynamicsMaker.from_text(maker_text)
    known = outputs_of(uuids)
    cell, chunks = maker.supercell(candidate, known), chunks_of(known)
    sampling, start = maker.sampling(cell), start_of(candidate)
    runs = sampling.runs(chunks)
    return MolecularDynamics(
        candidate_id=candidate.candidate_id,
        entry_id=start.entry_id,
        ordering_id=start.ordering_id,
        calculator=next(iter(chunks.values())).calculator,
        n_atoms=len(cell),
        carrier=sampling.carrier,
        runs=runs,
        arrhenius=line_through(runs),
    )


def chunks_of(known: Mapping[str, object]) -> dict[str, DynamicsChunk]:
    """Read the chunks among what was computed before."""
    plain = {
        part: jsanitize(one, strict=True, enum_values=True)
        for part, one in known.items()
        if part != RELAX_STEP
    }
    return {
        part: DynamicsChunk.model_validate(
            {name: value for name, value in one.items() if not name.startswith("@")}
        )
        for part, one in plain.items()
    }


@dataclass
class MolecularDynamicsMaker(RelaxedCellMaker):
    """Run molecular dynamics of a relaxed cell in chunks, until an error is reached."""

    name: str = "molecular_dynamics"

    def following(
        self,
        candidate: CandidateDoc,
        maker_text: str,
        uuids: Mapping[str, str],
        known: Mapping[str, object],
    ) -> Flow:
        """Make the job of the next chunk, or of the result."""
        piece = next_piece(self.options.dynamics, chunks_of(known))
        if piece is None:
            last: Job = result_job(candidate, maker_text, uuids)
            return self.one(last, candidate, RESULT_STEP)
        made: Job = dynamics_job(candidate, maker_text, uuids, piece.part)
        return self.one(made, candidate, DYNAMICS_STEP, piece.part)

    def supercell(
        self, candidate: CandidateDoc, known: Mapping[str, object]
    ) -> Structure:
        """Return the relaxed cell as often as asked for."""
        return self.cell(candidate, known) * self.options.dynamics.supercell

    def sampling(self, cell: Structure) -> Sampling:
        """Say what is the same in every chunk."""
        return Sampling(
            self.options.dynamics,
            self.carrier(cell),
            float(self.options.charge),
            self.calculator_name(),
        )


def _cost(spec: CampaignSpec) -> tuple[PlannedStep, ...]:
    """List the jobs of one candidate if every temperature spends its budget."""
    options = spec.transport.dynamics
    chunks = ceil(options.budget / options.chunk)
    runs, (a, b, c) = len(options.temperatures), options.supercell
    per_ps = FS_PER_PS / options.time_step / _STEPS_OF_LAW * a * b * c
    found = [
        PlannedStep(engine="", step=START_STEP, for_each=1, behind_gate=False),
        PlannedStep(
            engine=spec.engine,
            step=DYNAMICS_STEP,
            for_each=runs * (chunks + bool(options.equilibration)),
            behind_gate=False,
            length=per_ps
            * (chunks * options.chunk + options.equilibration)
            / (chunks + bool(options.equilibration)),
        ),
        PlannedStep(engine="", step=RESULT_STEP, for_each=1, behind_gate=False),
    ]
    return tuple(found)


def _work(spec: CampaignSpec) -> dict[str, StepWork]:
    """Say what each step that is made on the node asks of a queue."""
    engines = dict.fromkeys((RELAX_STEP, DYNAMICS_STEP), StepWork(spec.engine, 1))
    return engines | dict.fromkeys((START_STEP, RESULT_STEP), StepWork(spec.engine, 0))


RECIPE = CampaignRecipe(
    name="molecular_dynamics",
    steps=(START_STEP, RELAX_STEP, DYNAMICS_STEP, RESULT_STEP),
    subject=Subject.RELAXED_CELL,
    needs=Capability.FORCES,
    make=MolecularDynamicsMaker.from_campaign,
    cost=_cost,
    work=_work,
)
