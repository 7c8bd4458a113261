"""Bulk modulus and volume of a candidate, from the results of its recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hts_battery.builders.property_builder import (
    RESULTS,
    CandidateInputs,
    PropertyBuilder,
    Value,
)
from hts_battery.schemas.equation_of_state import EquationOfState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hts_battery.builders.property_builder import RecipeResult

_NOTES = (
    "the shape of the cell is kept: an upper bound where it would change",
    "0 K, no zero-point motion",
    "of one ordering, the lowest",
)


class _Fit(NamedTuple):
    """One equation of state, and the result that holds it."""

    result: RecipeResult
    fit: EquationOfState


class EquationOfStateBuilder(PropertyBuilder):
    """Take, of each engine, the equation of state with most points."""

    name = "equation_of_state"
    names = ("bulk_modulus", "equilibrium_volume")
    reads = ("entries", RESULTS)
    recipe = "equation_of_state"
    code_version = "1"

    def values(self, found: CandidateInputs) -> Iterator[Value]:
        """
        Yield both numbers for each engine that computed a cell of this campaign.

        Those of the campaign's own engine are columns; others stand under the condition
        ``engine``.
        """
        cells = {entry.entry_id for entry in found.entries}
        fits = [
            _Fit(one, EquationOfState.model_validate(one.output))
            for one in found.results
        ]
        own = [one for one in fits if one.fit.entry_id in cells]
        if not own:
            why = "computed of a cell that is none of this campaign's any more"
            yield from (Value(name, reason=why) for name in self.names)
        for engine in dict.fromkeys(one.result.engine for one in own):
            of_it = [one for one in own if one.result.engine == engine]
            conditions = {} if engine == self.campaign.engine else {"engine": engine}
            yield from _values(_best(of_it), conditions)


def _best(fits: Sequence[_Fit]) -> _Fit:
    """Return that of most points, of those the newest."""
    return max(fits, key=lambda one: (one.fit.n_points, one.result.completed_at))


def _values(best: _Fit, conditions: Mapping[str, str]) -> Iterator[Value]:
    """Write down what one equation of state says."""
    result, fit = best
    numbers = {
        "bulk_modulus": (fit.bulk_modulus, fit.bulk_modulus_error),
        "equilibrium_volume": (fit.volume, fit.volume_error),
    }
    spread = (
        f"{fit.model}; bulk moduli by other equations differ by up to "
        f"{fit.spread_of_models:.1f} GPa, the fit by {1000 * fit.residual:.2f} meV/atom"
    )
    for name, (value, error) in numbers.items():
        yield Value(
            name,
            value,
            error,
            n=fit.n_points,
            conditions=conditions,
            notes=(*_NOTES, spread),
            inputs=(fit.entry_id,),
            engine=result.engine,
            calculator=fit.calculator,
        )
