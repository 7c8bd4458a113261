"""What the training cells of a composition are, from the results of their recipe."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean, stdev
from typing import TYPE_CHECKING, cast

from hts_battery.builders.property_builder import (
    RESULTS,
    CandidateInputs,
    PropertyBuilder,
    Value,
)
from hts_battery.schemas.lattice import LatticeTraining

if TYPE_CHECKING:
    from collections.abc import Iterator, Sized

    from hts_battery.builders.property_builder import RecipeResult
    from hts_battery.schemas.lattice import TrainingCell

_NO_RANGE = "no cells decorated at random were relaxed"


class LatticeTrainingBuilder(PropertyBuilder):
    """Count the cells that count, and say over what range their energies go."""

    name = "lattice_training"
    names = ("training_cells", "ordering_energy_range")
    reads = (RESULTS,)
    recipe = "lattice_training"
    code_version = "1"

    def values(self, found: CandidateInputs) -> Iterator[Value]:
        """Yield both numbers for each engine that relaxed cells."""
        for engine in dict.fromkeys(one.engine for one in found.results):
            of_it = [one for one in found.results if one.engine == engine]
            conditions = {} if engine == self.campaign.engine else {"engine": engine}
            best = max(of_it, key=_rank)
            training = LatticeTraining.model_validate(best.output)
            for value in _values(training):
                yield replace(
                    value,
                    conditions=conditions,
                    engine=engine,
                    calculator=training.calculator,
                )


def _rank(result: RecipeResult) -> tuple[int, str]:
    """Order results by the number of cells, then by time."""
    return len(cast("Sized", result.output["cells"])), result.completed_at


def _values(training: LatticeTraining) -> Iterator[Value]:
    """Yield how many cells count, and over what range their energies go."""
    kept, cells = training.kept, len(training.cells)
    notes = (f"{cells - len(kept)} of {cells} cells refused",)
    yield Value("training_cells", len(kept), n=cells, notes=notes)
    random = [_per_atom(one) for one in kept if one.kind == "random"]
    if not random:
        yield Value("ordering_energy_range", reason=_NO_RANGE)
        return
    yield Value(
        "ordering_energy_range",
        mean(random) - min(_per_atom(one) for one in kept),
        stdev(random) / len(random) ** 0.5 if len(random) > 1 else None,
        n=len(random),
        notes=notes,
    )


def _per_atom(cell: TrainingCell) -> float:
    sites = cast("Sized", (cell.structure or {"sites": ()})["sites"])
    return float(cell.energy or 0.0) / len(sites)
