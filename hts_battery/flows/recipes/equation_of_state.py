"""
Energies of a relaxed cell at several volumes, through atomate2's flow, and their fit.

On the node the first job adds the others::

    start ── relax ── strain ──┬─ volume ─┐
                               ├─ volume ─┼─ result
                               └─ …      ─┘

``relax`` only where another engine than this one has relaxed the cell. All lengths are
scaled by the same factor and the atoms relax; the shape of the cell is kept, which
makes the bulk modulus an upper bound where it would change under pressure. Every volume
must have an energy: one that failed is tried again alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, cast

from atomate2.common.flows.eos import CommonEosMaker
from jobflow import Flow, Job, Maker, job

from hts_battery.errors import CalculationError
from hts_battery.flows.engines.engine import Capability
from hts_battery.flows.recipes.engine_recipe import (
    START_STEP,
    EngineRecipeMaker,
    planned,
    read_output,
    start_of,
)
from hts_battery.flows.recipes.recipe import (
    RESULT_STEP,
    CampaignRecipe,
    StepWork,
    Subject,
)
from hts_battery.schemas.decoding import read_structure
from hts_battery.schemas.equation_of_state import (
    EquationOfState,
    EquationOfStateOptions,
)
from hts_battery.schemas.failure import FailureClass
from hts_battery.structures.inputs import bare_structure
from hts_battery.thermo.equation_of_state import equation_fit, other_fits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

    from hts_battery.flows.engines.engine import Engine
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.cost import PlannedStep

RELAX_STEP, STRAIN_STEP, VOLUME_STEP = "relax", "strain", "volume"


@job(output_schema=EquationOfState)
def result_job(
    candidate: CandidateDoc,
    points: Mapping[str, object],
    engine_name: str,
    options: EquationOfStateOptions,
) -> EquationOfState:
    """
    Fit the energies of all volumes.

    Raises
    ------
    CalculationError
        If a relaxation at one of the volumes did not converge, two calculators gave the
        energies, or they have no minimum between the volumes.
    """
    found = {name: point(output, engine_name) for name, output in points.items()}
    failed = [
        f"{name}: {one['failure']}" for name, one in found.items() if one["failure"]
    ]
    if failed:
        raise CalculationError(FailureClass.IONIC, "; ".join(failed))
    (calculator, *others) = sorted({one["calculator"] for one in found.values()})
    if others:
        raise CalculationError(
            FailureClass.VERSION_SKEW,
            f"energies of {calculator} and {', '.join(others)}: another number of "
            "points computes all of them with one",
        )
    start = start_of(candidate)
    atoms = start.n_atoms
    pairs = sorted(
        (one["volume"] / atoms, one["energy"] / atoms) for one in found.values()
    )
    volumes, energies = zip(*pairs, strict=True)
    fit = equation_fit(volumes, energies, model=options.model)
    return EquationOfState(
        **fit.model_dump(),
        candidate_id=candidate.candidate_id,
        entry_id=start.entry_id,
        ordering_id=start.ordering_id,
        calculator=calculator,
        n_atoms=atoms,
        volumes=volumes,
        energies=energies,
        other_models=other_fits(volumes, energies, besides=options.model),
    )


class Point(TypedDict):
    """What is needed of a relaxation at one volume, of the whole cell."""

    volume: float
    """In angstrom^3."""
    energy: float
    """In eV."""
    calculator: str
    failure: str | None
    """Why the energy may not be used."""


def point(output: object, engine_name: str) -> Point:
    """Read a task document, or return what this function returned before."""
    if isinstance(output, dict) and "volume" in output:
        return cast("Point", output)
    found = read_output(output, engine_name)
    return {
        "volume": read_structure(found.structure).volume,
        "energy": found.energy,
        "calculator": found.calculator,
        "failure": found.failure,
    }


@dataclass
class _AnyEngine(Maker):
    """Takes a structure by the name that atomate2's flow gives it."""

    name: str = "kept cell"
    maker: Maker = field(default_factory=Maker)

    def make(
        self,
        structure: Structure,
        prev_dir: str | None = None,  # noqa: ARG002 - each volume starts from the same
    ) -> Job | Flow:
        """Make what the engine's own maker makes."""
        made: Job | Flow = self.maker.make(structure)
        return made


@dataclass
class EquationOfStateMaker(EngineRecipeMaker):
    """
    Compute a relaxed cell at several volumes, and fit an equation of state.

    Parameters
    ----------
    options
        Volumes and equation.
    cell_maker
        Maker of a relaxation of the atoms in a cell that is kept.
    """

    name: str = "equation_of_state"
    options: EquationOfStateOptions = field(default_factory=EquationOfStateOptions)
    cell_maker: Maker | None = None

    def configure(
        self,
        spec: CampaignSpec,
        chosen: Engine,
        relax_maker: Maker | None,
    ) -> None:
        """Take the options, and what keeps a cell."""
        super().configure(spec, chosen, relax_maker)
        self.cell_maker = relax_maker or chosen.maker(
            Capability.KEEP_CELL, spec.relaxation
        )

    def calculations(
        self, candidate: CandidateDoc, parts: Mapping[str, object]
    ) -> Flow:
        """Make, on the node, the jobs of the volumes not known yet, and the fit."""
        start = start_of(candidate)
        tags = {"ordering_id": start.ordering_id}
        jobs: list[Job | Flow] = []
        engine_name = self.engine_name
        points: dict[str, object] = {
            name: point(output, engine_name)
            for name, output in parts.items()
            if name != RELAX_STEP
        }
        structure: Any = bare_structure(
            start.to_structure(), magmom=self.magmom, charge=self.charge
        )
        if RELAX_STEP in parts:
            relaxed = read_output(parts[RELAX_STEP], engine_name)
            structure = read_structure(relaxed.structure)
        elif start.engine != engine_name:
            jobs.append(cast("Maker", self.relax_maker).make(structure))
            self.tag_part(jobs[-1], RELAX_STEP, RELAX_STEP, **tags)
            structure = jobs[-1].output.structure
        names = [f"volume {number}" for number in range(1, self.options.points + 1)]
        flow = CommonEosMaker(
            name=self.name,
            eos_relax_maker=_AnyEngine(maker=cast("Maker", self.cell_maker)),
            linear_strain=(-self.options.largest_strain, self.options.largest_strain),
            number_of_frames=self.options.points,
            postprocessor=cast("Any", None),  # ours reads any engine's documents
        ).make(structure)
        *relaxations, strain = flow.jobs
        self.tag(strain, STRAIN_STEP, **tags)
        for name, one in zip(names, relaxations, strict=True):
            self.tag_part(one, VOLUME_STEP, name, **tags)
        # A flow gives up no job that its output names.
        flow.output = None
        known = [place for place, name in enumerate(names) if name in points]
        if len(known) < len(names):
            flow.remove_jobs(known)
            jobs.append(flow)
        missing = zip(names, relaxations, strict=True)
        points = {name: one.output for name, one in missing} | points
        result: Job = result_job(candidate, points, engine_name, self.options)
        self.tag(result, RESULT_STEP, **tags)
        result.name = RESULT_STEP
        return Flow([*jobs, result], output=result.output)


def _cost(spec: CampaignSpec) -> tuple[PlannedStep, ...]:
    """List the calculations of one candidate; a first relaxation is not foreseen."""
    points = EquationOfStateOptions.model_validate(spec.recipe_options).points
    return planned(spec, points)


def _work(spec: CampaignSpec) -> dict[str, StepWork]:
    """Say what each step that is made on the node asks of a queue."""
    engines = dict.fromkeys((RELAX_STEP, VOLUME_STEP), StepWork(spec.engine, 1))
    return engines | dict.fromkeys((STRAIN_STEP, RESULT_STEP), StepWork(spec.engine, 0))


RECIPE = CampaignRecipe(
    name="equation_of_state",
    steps=(START_STEP, RELAX_STEP, STRAIN_STEP, VOLUME_STEP, RESULT_STEP),
    subject=Subject.RELAXED_CELL,
    needs=Capability.KEEP_CELL,
    make=EquationOfStateMaker.from_campaign,
    cost=_cost,
    work=_work,
    options=EquationOfStateOptions,
)
