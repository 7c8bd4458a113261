"""
Cells of one composition that a lattice model is fitted to, relaxed by any engine.

On the node the first job makes the cells and adds the others::

    start ──┬─ cell ─┐
            ├─ cell ─┼─ result
            └─ …    ─┘

A cell that cannot be relaxed is refused by its reason; the others count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from jobflow import Flow, Job, Maker, OnMissing, job

from hts_battery.flows.engines.engine import Capability
from hts_battery.flows.recipes.engine_recipe import (
    START_STEP,
    EngineRecipeMaker,
    planned,
    read_output,
)
from hts_battery.flows.recipes.recipe import (
    RESULT_STEP,
    CampaignRecipe,
    StepWork,
    Subject,
)
from hts_battery.schemas.decoding import read_structure
from hts_battery.schemas.lattice import (
    LatticeTraining,
    LatticeTrainingOptions,
    TrainingCell,
)
from hts_battery.structures.inputs import MOMENT, bare_structure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Element, Species, Structure

    from hts_battery.disorder.training_cells import PlannedCell
    from hts_battery.schemas.calculation import Calculation
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.cost import PlannedStep

CELL_STEP = "cell"
_FINAL_MOMENT = "final_magmom"


@job(output_schema=LatticeTraining)
def result_job(
    candidate: CandidateDoc,
    cells: Mapping[str, object],
    engine_name: str,
    options: LatticeTrainingOptions,
) -> LatticeTraining:
    """Collect the relaxed cells of a composition, each with its energy or reason."""
    planned = planned_cells(candidate, options)
    found = tuple(
        _training_cell(name, plan, cells.get(name), engine_name)
        for name, plan in planned.items()
    )
    calculators = {one.calculator for one in found if one.refused is None}
    return LatticeTraining(
        candidate_id=candidate.candidate_id,
        formula=candidate.formula,
        calculator=calculators.pop() if len(calculators) == 1 else None,
        cells=found,
        predicted_by=None if options.model is None else options.model.digest,
    )


def planned_cells(
    candidate: CandidateDoc, options: LatticeTrainingOptions
) -> dict[str, PlannedCell]:
    """Make the cells of a composition, the same ones every time, by name."""
    # numba is in an extra of its own.
    from hts_battery.disorder.lattice_document import model_of  # noqa: PLC0415
    from hts_battery.disorder.training_cells import training_cells  # noqa: PLC0415

    made = training_cells(
        candidate.assignments[0],
        options.cells,
        atoms=(options.smallest_atoms, options.largest_atoms),
        seed=options.seed,
        model=None if options.model is None else model_of(options.model),
        temperature=options.temperature,
    )
    return {f"cell {number}": one for number, one in enumerate(made, 1)}


def _training_cell(
    name: str, plan: PlannedCell, output: object, engine_name: str
) -> TrainingCell:
    """Write down what became of a cell."""
    # numba is in an extra of its own.
    from hts_battery.disorder.refusals import moments_exchanged  # noqa: PLC0415

    structure, energy, calculator = None, None, None
    refused: str | None = "not relaxed: it failed"
    if output is not None:
        found = read_output(output, engine_name)
        structure = _decorated(plan.structure, found)
        energy, calculator = found.energy, found.calculator
        refused = found.failure or moments_exchanged(structure)
    return TrainingCell(
        name=name,
        kind=plan.kind,
        supercell=plan.supercell,
        seed=plan.seed,
        structure=None if structure is None else structure.as_dict(),
        energy=energy,
        calculator=calculator,
        refused=refused,
    )


def _decorated(start: Structure, found: Calculation) -> Structure:
    """Give a relaxed cell the oxidation states that it started with, and moments."""
    relaxed = read_structure(found.structure)
    states: dict[str, list[Element | Species]] = {}
    for site in start:
        states.setdefault(site.specie.symbol, []).append(site.specie)
    # Engines may sort atoms by element; within an element they keep the order.
    taken = {element: iter(several) for element, several in states.items()}
    species = [next(taken[site.specie.symbol]) for site in relaxed]
    properties = {} if found.moments is None else {_FINAL_MOMENT: list(found.moments)}
    return type(relaxed)(
        relaxed.lattice, species, relaxed.frac_coords, site_properties=properties
    )


@dataclass
class LatticeTrainingMaker(EngineRecipeMaker):
    """
    Relax cells of several shapes and kinds of order of one composition.

    Parameters
    ----------
    options
        How many cells, how large; a model whose own states are asked for.
    """

    name: str = "lattice_training"
    options: LatticeTrainingOptions = field(default_factory=LatticeTrainingOptions)

    packages = (*EngineRecipeMaker.packages, "numba")

    def calculations(
        self, candidate: CandidateDoc, parts: Mapping[str, object]
    ) -> Flow:
        """Make, on the node, the jobs of the cells not known yet, and the result."""
        tags = {"ordering_id": candidate.candidate_id}
        jobs: list[Job | Flow] = []
        outputs: dict[str, object] = dict(parts)
        for name, plan in planned_cells(candidate, self.options).items():
            if name in outputs:
                continue
            one = cast("Maker", self.relax_maker).make(self._input(plan.structure))
            self.tag(one, CELL_STEP, part=name, **tags)
            jobs.append(one)
            outputs[name] = one.output
        result: Job = result_job(candidate, outputs, self.engine_name, self.options)
        result.config.on_missing_references = OnMissing.NONE
        self.tag(result, RESULT_STEP, **tags)
        result.name = RESULT_STEP
        return Flow([*jobs, result], output=result.output)

    def _input(self, structure: Structure) -> Structure:
        """Return a cell as the engine takes it, with moments of its states."""
        if self.magmom:
            from hts_battery.structures.decoration import unpaired_electrons  # noqa: PLC0415 - slow

            names = [str(site.specie) for site in structure]
            moments = unpaired_electrons(set(names))
            structure = structure.copy(
                site_properties={MOMENT: [float(moments[name]) for name in names]}
            )
        return bare_structure(structure, magmom=self.magmom, charge=self.charge)


def _cost(spec: CampaignSpec) -> tuple[PlannedStep, ...]:
    """List the calculations of one composition."""
    cells = LatticeTrainingOptions.model_validate(spec.recipe_options).cells
    return planned(spec, cells)


def _work(spec: CampaignSpec) -> dict[str, StepWork]:
    """Say what each step that is made on the node asks of a queue."""
    return {
        CELL_STEP: StepWork(spec.engine, 1),
        RESULT_STEP: StepWork(spec.engine, 0),
    }


RECIPE = CampaignRecipe(
    name="lattice_training",
    steps=(START_STEP, CELL_STEP, RESULT_STEP),
    subject=Subject.CANDIDATE,
    needs=Capability.RELAX,
    make=LatticeTrainingMaker.from_campaign,
    cost=_cost,
    work=_work,
    options=LatticeTrainingOptions,
)
