"""
Energies of a relaxed cell with carriers taken out.

On the node the first job chooses which carriers stay and adds the relaxations::

    start ──┬─ charge ─┐
            ├─ charge ─┼─ result
            └─ …      ─┘

The full cell is relaxed like the others, so that all energies are of one kind. What did
not converge is left out and said; an amount of which nothing converged is a failure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, cast

from jobflow import Flow, Job, Maker, job

from hts_battery.electrochemistry.carriers import alkali_carrier
from hts_battery.electrochemistry.charged_cells import (
    VOLUME_JUMP,
    carriers_left,
    cell_flags,
    cell_formula,
    charged_arrangements,
    charged_structure,
    metal_electrons,
    shortest_oxygen_contact,
    volume_jump,
)
from hts_battery.errors import CalculationError
from hts_battery.flows.engines.engine import Capability
from hts_battery.flows.execution.recorded import jobs_of
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
from hts_battery.schemas.charged_cells import (
    ChargedCell,
    ChargedCells,
    ChargedCellsOptions,
    ChargedFlag,
)
from hts_battery.schemas.decoding import read_structure
from hts_battery.schemas.failure import FailureClass
from hts_battery.structures.inputs import bare_structure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.cost import PlannedStep

CHARGE_STEP = "charge"
_USUAL_AMOUNTS = 3


class ChosenCell(TypedDict):
    """An arrangement of carriers that is relaxed."""

    carriers: int
    arrangement: int
    kept: list[int]
    """Sites of the full cell on which carriers are."""
    ewald_energy: float
    exact: bool


class RelaxedCell(TypedDict):
    """What is needed of a relaxation."""

    energy: float
    """In eV, of the whole cell."""
    structure: Mapping[str, object]
    moments: Sequence[float] | None
    calculator: str
    failure: str | None
    """Why the energy may not be used."""


@job(output_schema=ChargedCells)
def result_job(
    candidate: CandidateDoc,
    chosen: Mapping[str, ChosenCell],
    relaxed: Mapping[str, object],
    engine_name: str,
    options: ChargedCellsOptions,
) -> ChargedCells:
    """
    Put the relaxed cells together, with what each shows.

    Raises
    ------
    CalculationError
        If of an amount of carrier no relaxation converged, or two calculators gave the
        energies.
    """
    found = {name: relaxed_cell(one, engine_name) for name, one in relaxed.items()}
    _check(chosen, found)
    start = start_of(candidate)
    full = start.to_structure()
    carrier = carrier_of(full, options)
    cells = [
        _cell(full, carrier, row, found[name])
        for name, row in chosen.items()
        if not found[name]["failure"]
    ]
    count = sum(site.specie.symbol == carrier for site in full)
    charged = count - metal_electrons(full, carrier, options.ceilings)
    made = ChargedCells(
        candidate_id=candidate.candidate_id,
        entry_id=start.entry_id,
        ordering_id=start.ordering_id,
        calculator=next(iter(found.values()))["calculator"],
        carrier=carrier,
        charged=charged,
        cells=tuple(sorted(cells, key=lambda one: (-one.carriers, one.energy))),
    )
    lowest = list(made.lowest.values())
    flags = {flag for cell in lowest for flag in cell.flags}
    if volume_jump([cell.volume for cell in lowest]) > VOLUME_JUMP:
        flags.add(ChargedFlag.VOLUME_JUMP)
    if len(cells) < len(chosen):
        flags.add(ChargedFlag.NOT_CONVERGED)
    return made.model_copy(
        update={"flags": tuple(flag for flag in ChargedFlag if flag in flags)}
    )


def _check(chosen: Mapping[str, ChosenCell], found: Mapping[str, RelaxedCell]) -> None:
    """Refuse an amount without an energy, and energies of two calculators."""
    for left in dict.fromkeys(row["carriers"] for row in chosen.values()):
        failures = {
            name: found[name]["failure"]
            for name, row in chosen.items()
            if row["carriers"] == left
        }
        if all(failures.values()):
            text = "; ".join(f"{name}: {why}" for name, why in failures.items())
            raise CalculationError(FailureClass.IONIC, text)
    (calculator, *others) = sorted({one["calculator"] for one in found.values()})
    if others:
        raise CalculationError(
            FailureClass.VERSION_SKEW,
            f"energies of {calculator} and {', '.join(others)}: another seed computes "
            "all of them with one",
        )


def _cell(
    full: Structure, carrier: str, row: ChosenCell, found: RelaxedCell
) -> ChargedCell:
    """Write down one relaxed cell and what it shows."""
    after = read_structure(found["structure"])
    moments = found["moments"]
    before = charged_structure(full, carrier, row["kept"])
    contact = shortest_oxygen_contact(after)
    oxygen = [
        abs(moment)
        for site, moment in zip(after, moments or (), strict=False)
        if site.specie.symbol == "O"
    ]
    return ChargedCell(
        carriers=row["carriers"],
        formula=cell_formula(after),
        arrangement=row["arrangement"],
        ewald_energy=row["ewald_energy"],
        exact=row["exact"],
        energy=found["energy"],
        n_atoms=len(after),
        volume=after.volume,
        oxygen_contact=contact if contact < float("inf") else None,
        largest_oxygen_moment=max(oxygen, default=None),
        flags=cell_flags(before, after, carrier=carrier, moments=moments),
    )


def relaxed_cell(output: object, engine_name: str) -> RelaxedCell:
    """Read a task document, or return what this function returned before."""
    if isinstance(output, dict) and "failure" in output:
        return cast("RelaxedCell", output)
    found = read_output(output, engine_name)
    return {
        "energy": found.energy,
        "structure": found.structure,
        "moments": found.moments,
        "calculator": found.calculator,
        "failure": found.failure,
    }


def carrier_of(structure: Structure, options: ChargedCellsOptions) -> str:
    """Name the element that leaves: that of the options, or the alkali metal."""
    amounts = structure.composition.get_el_amt_dict()
    return options.carrier or alkali_carrier(amounts)


def chosen_cells(
    structure: Structure, options: ChargedCellsOptions
) -> dict[str, ChosenCell]:
    """Name the cells of a candidate that are relaxed: part → arrangement."""
    carrier = carrier_of(structure, options)
    return {
        f"{left} {carrier}, {number}": {
            "carriers": left,
            "arrangement": number,
            "kept": list(one.kept),
            "ewald_energy": one.energy,
            "exact": one.exact,
        }
        for left in carriers_left(
            structure, carrier, ceilings=options.ceilings, shares=options.left
        )
        for number, one in enumerate(
            charged_arrangements(
                structure,
                carrier,
                left,
                ceilings=options.ceilings,
                number=options.cells,
                swaps=options.swaps,
                seed=options.seed,
            ),
            start=1,
        )
    }


@dataclass
class ChargedCellsMaker(EngineRecipeMaker):
    """
    Take carriers out of a relaxed cell and relax what is left.

    Parameters
    ----------
    options
        Carrier, amounts and number of arrangements.
    """

    name: str = "charged_cells"
    options: ChargedCellsOptions = field(default_factory=ChargedCellsOptions)

    def calculations(
        self, candidate: CandidateDoc, parts: Mapping[str, object]
    ) -> Flow:
        """Make, on the node, the relaxations not known yet, and what joins them."""
        start = start_of(candidate)
        tags = {"ordering_id": start.ordering_id}
        full = start.to_structure()
        chosen = chosen_cells(full, self.options)
        carrier = carrier_of(full, self.options)
        relaxed: dict[str, object] = {
            name: relaxed_cell(parts[name], self.engine_name)
            for name in chosen
            if name in parts
        }
        jobs: list[Job | Flow] = []
        for name, row in chosen.items():
            if name in relaxed:
                continue
            structure: Any = bare_structure(
                charged_structure(full, carrier, row["kept"]),
                magmom=self.magmom,
                charge=self.charge,
            )
            made = cast("Maker", self.relax_maker).make(structure)
            self.tag(made, CHARGE_STEP, **tags)
            # Of a relaxation in two jobs the one that is its output counts.
            last = next(one for one in jobs_of(made) if one.uuid == made.output.uuid)
            last.update_metadata({"part": name}, dynamic=True)
            jobs.append(made)
            relaxed[name] = made.output
        result: Job = result_job(
            candidate, chosen, relaxed, self.engine_name, self.options
        )
        self.tag(result, RESULT_STEP, **tags)
        result.name = RESULT_STEP
        return Flow([*jobs, result], output=result.output)


def _relaxations(spec: CampaignSpec) -> int:
    """Cells of one member at most: the full one, and each amount's arrangements."""
    options = ChargedCellsOptions.model_validate(spec.recipe_options)
    amounts = len(options.left) or _USUAL_AMOUNTS - 1
    return 1 + amounts * options.cells


def _cost(spec: CampaignSpec) -> tuple[PlannedStep, ...]:
    """List the calculations of one candidate."""
    cells = _relaxations(spec)
    return planned(spec, cells)


def _work(spec: CampaignSpec) -> dict[str, StepWork]:
    """Say what each step that is made on the node asks of a queue."""
    return {
        CHARGE_STEP: StepWork(spec.engine, 1),
        RESULT_STEP: StepWork(spec.engine, 0),
    }


RECIPE = CampaignRecipe(
    name="charged_cells",
    steps=(START_STEP, CHARGE_STEP, RESULT_STEP),
    subject=Subject.RELAXED_CELL,
    needs=Capability.RELAX,
    make=ChargedCellsMaker.from_campaign,
    cost=_cost,
    work=_work,
    options=ChargedCellsOptions,
)
