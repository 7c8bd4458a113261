"""
The flow of one candidate: what is submitted is one small job.

On the node it orders the candidate and adds the jobs that compute what was ordered::

    order ──┬─ prerelax ─┐        ┌─ relax ── static
            ├─ prerelax ─┼─ gate ─┼─ relax ── static
            └─ …        ─┘        └─ …

One row an ordering; ``prerelax`` with its gate and ``static`` only where they are
switched on. The jobs behind the gate are made by the gate, so a candidate that does
not pass costs nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from jobflow import (
    CURRENT_JOB,
    Flow,
    Job,
    JobConfig,
    Maker,
    OnMissing,
    OutputReference,
    Response,
    job,
)

from hts_battery.flows.engines.engine import Capability
from hts_battery.flows.engines.registry import engine
from hts_battery.flows.execution.node import ORDERING_PACKAGES, installed_versions
from hts_battery.flows.execution.recorded import OWN_OUTPUT, jobs_of
from hts_battery.flows.recipes.continuation import (
    going_on,
    relax_job,
    starting_structure,
)
from hts_battery.flows.recipes.gate import Threshold, gate_verdict, prerelaxed
from hts_battery.flows.recipes.recipe import (
    CampaignRecipe,
    RecipeMaker,
    StepWork,
    Subject,
    job_of_output,
)
from hts_battery.schemas.campaign import SCREEN, StructureSpec
from hts_battery.schemas.cost import PlannedStep
from hts_battery.schemas.entropy import EntropyOptions
from hts_battery.schemas.gate import GateAnswer
from hts_battery.structures.inputs import calculator_structure
from hts_battery.structures.ordering import generate_orderings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

    from hts_battery.flows.recipes.continuation import GoingOn
    from hts_battery.flows.recipes.gate import Prerelaxation
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.dispatch import Unconverged
    from hts_battery.schemas.gate import HullSnapshot
    from hts_battery.schemas.structure import OrderedCell

ORDER_STEP = "order"
CONTINUE_STEP = "continue"
"""Of a job that adds what an earlier job has ordered, and orders nothing."""
PRERELAX_STEP = "prerelax"
GATE_STEP = "gate"
RELAX_STEP = "relax"
STATIC_STEP = "static"


class Known(TypedDict):
    """What an earlier run of a candidate has left."""

    finished: Sequence[str]
    """Orderings that need nothing more."""
    prerelaxed: Mapping[str, Any]
    """Ordering id → output of its pre-relaxation."""
    released: bool
    """Whether the operator lets the candidate pass the gate."""
    unconverged: Mapping[str, GoingOn]
    """Ordering id → relaxation that goes on."""


class OrderTags(TypedDict):
    """What the job of an ordered cell says of the job that ordered it."""

    order_uuid: str
    n_orderings: int


@job
def order_candidate_job(
    candidate: CandidateDoc,
    maker_text: str,
    *,
    hull: HullSnapshot | None,
    known: Known,
    ordered: Sequence[OrderedCell] | None = None,
) -> Response[Any]:
    """
    Order a candidate and add the jobs that compute the ordered cells, the output.

    The expensive jobs are made here, on the node, so that submitting a candidate
    costs one small job whatever the engine and however many orderings.

    ``maker_text``: a :class:`ScreenMaker` as JSON text, because jobflow and FireWorks
    walk several times through whatever is not a text. ``hull``: competing phases for
    the gate. ``ordered``: what an earlier launch of this job has ordered.
    """
    maker = ScreenMaker.from_text(maker_text)
    cells = ordered or candidate_orderings(candidate, maker.structure)
    uuid = CURRENT_JOB.job.uuid
    added = _added(candidate, maker_text, cells, uuid, hull=hull, known=known)
    return Response(output=list(cells), addition=added)


@job
def continue_candidate_job(
    candidate: CandidateDoc,
    maker_text: str,
    cells: Sequence[OrderedCell],
    order_uuid: str,
    *,
    hull: HullSnapshot | None,
    known: Known,
) -> Response[Any]:
    """Add the jobs that compute what another job, ``order_uuid``, has ordered."""
    return Response(
        addition=_added(
            candidate, maker_text, cells, order_uuid, hull=hull, known=known
        )
    )


def _added(
    candidate: CandidateDoc,
    maker_text: str,
    cells: Sequence[OrderedCell],
    order_uuid: str,
    *,
    hull: HullSnapshot | None,
    known: Known,
) -> Flow:
    """Make, on the node, the jobs of the cells that are not finished."""
    maker = ScreenMaker.from_text(maker_text)
    finished = set(known["finished"])
    todo = [cell for cell in cells if cell.ordering_id not in finished]
    if not todo:
        return None  # type: ignore[return-value] # jobflow's own default for none
    order: OrderTags = {"order_uuid": order_uuid, "n_orderings": len(cells)}
    unconverged = known["unconverged"]
    # What was relaxed before has passed the gate, and needs no cheap relaxation.
    passed = [
        cell
        for cell in todo
        if maker.prerelax_maker is None or cell.ordering_id in unconverged
    ]
    flows: list[Job | Flow] = []
    if passed:
        flows.append(
            maker.calculations(passed, {}, order=order, unconverged=unconverged)
        )
    todo = [cell for cell in todo if cell not in passed]
    if maker.prerelax_maker is None or not todo:
        return Flow(flows)
    outcomes: dict[str, object] = {
        name: prerelaxed(output) for name, output in known["prerelaxed"].items()
    }
    jobs = []
    for cell in todo:
        if cell.ordering_id not in outcomes:
            made = maker.prerelax_maker.make(
                calculator_structure(cell, magmom=False, charge=maker.prerelax_charge)
            )
            maker.tag(made, PRERELAX_STEP, **_tags(order, cell))
            jobs.append(made)
            outcomes[cell.ordering_id] = made.output
    gate = gate_job(
        candidate,
        maker_text,
        cells=[cell for cell in cells if cell.ordering_id in outcomes],
        outcomes=outcomes,
        todo=[cell.ordering_id for cell in todo],
        hull=hull,
        released=known["released"],
    )
    gate.name = GATE_STEP
    # The jobs behind the gate have steps of their own.
    gate.update_metadata({"step": GATE_STEP, **order}, dynamic=False)
    # An ordering whose pre-relaxation failed does not keep the others from passing.
    gate.config = JobConfig(on_missing_references=OnMissing.NONE)
    maker.route(gate, GATE_STEP)
    # What stands behind the gate goes its own ways.
    gate.config.pass_manager_config = not maker.routing
    return Flow([*flows, *jobs, gate])


@job
def gate_job(  # noqa: PLR0913 - each is named by its caller
    candidate: CandidateDoc,
    maker_text: str,
    *,
    cells: Sequence[OrderedCell],
    outcomes: Mapping[str, object],
    todo: Sequence[str],
    hull: HullSnapshot | None,
    released: bool,
) -> Response[Any]:
    """
    Compare a candidate's pre-relaxed orderings with the gate; compute what passes.

    ``outcomes``: ordering id → output of its pre-relaxation, none where that failed.
    ``todo``: orderings that are still to be computed. ``hull``: competing phases;
    without them every candidate passes. The output is the verdict.
    """
    maker = ScreenMaker.from_text(maker_text)
    known = {
        name: outcome
        for name, output in outcomes.items()
        if (outcome := prerelaxed(output)) is not None
    }
    threshold = (
        None
        if maker.gate is None or hull is None
        else Threshold(maker.gate, hull, maker.entropy, released)
    )
    verdict = gate_verdict(
        candidate,
        cells,
        known,
        engine=maker.calculation["prerelax"]["engine"],  # type: ignore[index] # only with one
        threshold=threshold,
    )
    passing = [
        cell
        for cell in cells
        if cell.ordering_id in known and cell.ordering_id in set(todo)
    ]
    if verdict.verdict is GateAnswer.GATED or not passing:
        return Response(output=verdict)
    tags = CURRENT_JOB.job.metadata
    order: OrderTags = {
        "order_uuid": tags["order_uuid"],
        "n_orderings": tags["n_orderings"],
    }
    return Response(
        output=verdict, addition=maker.calculations(passing, known, order=order)
    )


def candidate_orderings(
    candidate: CandidateDoc, structure: StructureSpec
) -> tuple[OrderedCell, ...]:
    """Make every ordering that a campaign asks for of a candidate."""
    return generate_orderings(
        candidate.to_candidate(),
        n_orderings={str(k): n for k, n in structure.n_orderings.items()},
        atoms=structure.atoms,
        iterations=structure.iterations,
        seed=structure.seed,
        max_deviation=structure.max_deviation,
        magnetic_order=structure.magnetic_order,
    )


def _tags(order: OrderTags, cell: OrderedCell) -> dict[str, object]:
    """Say of which ordering a job is."""
    return {
        **order,
        "ordering_id": cell.ordering_id,
        "ordering_method": str(cell.method),
    }


def _mark_final(made: Sequence[Job | Flow]) -> None:
    """Mark the one job whose energy counts, that of the last output, and the others."""
    final = job_of_output(made[-1])
    for part in made:
        for one in jobs_of(part):
            one.update_metadata({"final": one is final}, dynamic=True)


@dataclass
class ScreenMaker(RecipeMaker):
    """
    Order a candidate, and compute each of its orderings.

    Parameters
    ----------
    structure
        How the ordered cells are made.
    prerelax_maker
        Maker of the cheap relaxation before the gate; none switches both off.
    relax_maker
        Maker of the job or flow that relaxes a structure; none switches it off.
    static_maker
        Maker of the job that gives the energy of the relaxed structure; none takes
        the energy of the relaxation.
    entropy
        What is counted in the mixing entropy at the gate.
    magmom
        Whether the engine takes the starting moments of the cells.
    charge, prerelax_charge
        Whether the engine, and that of the pre-relaxation, take formal charges.
    """

    name: str = SCREEN
    structure: StructureSpec = field(default_factory=StructureSpec)
    prerelax_maker: Maker | None = None
    relax_maker: Maker | None = None
    static_maker: Maker | None = None
    entropy: EntropyOptions = field(default_factory=EntropyOptions)
    magmom: bool = False
    charge: bool = False
    prerelax_charge: bool = False

    def __post_init__(self) -> None:
        """Refuse a maker that would order candidates and compute nothing."""
        if self.relax_maker is None and self.static_maker is None:
            raise ValueError(
                "a screen needs relax_maker, static_maker or both: one gives the energy"
            )

    @classmethod
    def from_campaign(
        cls,
        spec: CampaignSpec,
        *,
        relax_maker: Maker | None = None,
        prerelax_maker: Maker | None = None,
    ) -> Self:
        """Configure the maker as a campaign says; makers of engines may be injected."""
        names = [spec.engine]
        if spec.prerelax is not None:
            names.append(spec.prerelax.engine)
            prerelax_maker = prerelax_maker or engine(spec.prerelax.engine).relax_maker(
                spec.prerelax.relaxation
            )
        packages = [name for one in names for name in engine(one).packages]
        return cls(
            structure=spec.structure,
            prerelax_maker=prerelax_maker if spec.prerelax is not None else None,
            gate=spec.gate,
            relax_maker=relax_maker or engine(spec.engine).relax_maker(spec.relaxation),
            calculation=spec.calculation,
            steps=spec.relaxation.steps,
            entropy=spec.entropy,
            versions=installed_versions([*ORDERING_PACKAGES, *packages]),
            magmom=engine(spec.engine).magmom,
            charge=engine(spec.engine).charge,
            prerelax_charge=spec.prerelax is not None
            and engine(spec.prerelax.engine).charge,
        )

    @property
    def asked(self) -> dict[str, int]:
        """Method → orderings asked for."""
        return {str(name): n for name, n in self.structure.n_orderings.items()}

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
        Make the flow of one candidate, as all recipes do.

        ``parts``: by ordering id; the orderings themselves by the name of their step.
        """
        if self.gate is not None and hull is None:
            raise ValueError(
                f"{candidate.formula}: a gate needs competing phases to compare with"
            )
        by_ordering = dict(parts or {})
        order_uuid = by_ordering.pop(ORDER_STEP, None)
        known: Known = {
            "finished": sorted(finished),
            "prerelaxed": {
                name: OutputReference(uuid)
                for name, uuid in sorted(by_ordering.items())
            },
            "released": released,
            "unconverged": going_on(unconverged or {}),
        }
        text = maker_text or self.to_text()
        step = ORDER_STEP if order_uuid is None else CONTINUE_STEP
        order: Job = (
            order_candidate_job(candidate, text, hull=hull, known=known)
            if order_uuid is None
            else continue_candidate_job(
                *(candidate, text, OutputReference(order_uuid), order_uuid),
                hull=hull,
                known=known,
            )
        )
        if order_uuid is None:
            order.update_metadata({OWN_OUTPUT: "ordered"}, dynamic=False)
        return self.started(order, candidate, step=step, uuid=uuid)

    def calculations(
        self,
        cells: Sequence[OrderedCell],
        outcomes: Mapping[str, Prerelaxation],
        *,
        order: OrderTags,
        unconverged: Mapping[str, GoingOn] | None = None,
    ) -> Flow:
        """Make, on the node, the jobs that compute cells or pre-relaxed ones."""
        flows: list[Job | Flow] = []
        for cell in cells:
            before = (unconverged or {}).get(cell.ordering_id)
            start: Any = starting_structure(
                cell,
                before or outcomes.get(cell.ordering_id),
                magmom=self.magmom,
                charge=self.charge,
            )
            jobs: list[Job | Flow] = []
            if self.relax_maker is not None:
                jobs.append(
                    relax_job(self.relax_maker, start, steps=self.steps, before=before)
                )
                self.tag(jobs[-1], RELAX_STEP, **_tags(order, cell))
                start = jobs[-1].output.structure
            if self.static_maker is not None:
                jobs.append(self.static_maker.make(start))
                self.tag(jobs[-1], STATIC_STEP, **_tags(order, cell))
            _mark_final(jobs)
            flows.append(Flow(jobs, output=jobs[-1].output))
        return Flow(flows)


def planned_steps(spec: CampaignSpec) -> tuple[PlannedStep, ...]:
    """List the calculations of one candidate of a campaign."""
    orderings = sum(spec.orderings.values())
    behind = spec.gate is not None
    steps = [(ORDER_STEP, "", 1, False)]
    if spec.prerelax is not None:
        steps.append((PRERELAX_STEP, spec.prerelax.engine, orderings, False))
        steps.append((GATE_STEP, "", 1, False))
    steps += [
        (name, spec.engine, orderings, behind) for name in engine(spec.engine).steps
    ]
    return tuple(
        PlannedStep(engine=name, step=step, for_each=n, behind_gate=gated)
        for step, name, n, gated in steps
    )


def _work(spec: CampaignSpec) -> dict[str, StepWork]:
    """Say what each step that is made on the node asks of a queue."""
    before = spec.engine if spec.prerelax is None else spec.prerelax.engine
    return {
        GATE_STEP: StepWork(spec.engine, 0),
        PRERELAX_STEP: StepWork(before, 1),
        RELAX_STEP: StepWork(spec.engine, 1),
        STATIC_STEP: StepWork(spec.engine, 1),
    }


RECIPE = CampaignRecipe(
    name=SCREEN,
    steps=(ORDER_STEP, PRERELAX_STEP, GATE_STEP, RELAX_STEP, STATIC_STEP),
    subject=Subject.CANDIDATE,
    needs=Capability.RELAX,
    make=ScreenMaker.from_campaign,
    cost=planned_steps,
    work=_work,
)
