"""Diffusivity, conductivity and activation energy, from runs of molecular dynamics."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean, stdev
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.builders.property_builder import (
    RESULTS,
    CandidateInputs,
    PropertyBuilder,
    Value,
)
from hts_battery.schemas.dynamics import MolecularDynamics
from hts_battery.schemas.property import TEMPERATURE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hts_battery.builders.property_builder import RecipeResult
    from hts_battery.schemas.dynamics import TemperatureRun

_NOTES = (
    "of the forces of this calculator, of this cell, without quantum effects",
    "the interval is that of one trajectory",
)
_BOTH = ("diffusivity", "ionic_conductivity")


class _Cell(NamedTuple):
    """Runs of one ordering."""

    result: RecipeResult
    runs: MolecularDynamics


class MolecularDynamicsBuilder(PropertyBuilder):
    """Take, of each engine and ordering, the longest run at each temperature."""

    name = "molecular_dynamics"
    names = (*_BOTH, "activation_energy")
    reads = ("entries", RESULTS)
    recipe = "molecular_dynamics"
    code_version = "1"

    def values(self, found: CandidateInputs) -> Iterator[Value]:
        """Yield what is known at each temperature, and of the line through all."""
        cells = {entry.entry_id for entry in found.entries}
        runs = [
            _Cell(one, MolecularDynamics.model_validate(one.output))
            for one in found.results
        ]
        own = [one for one in runs if one.runs.entry_id in cells]
        if not own:
            why = "computed of a cell that is none of this campaign's any more"
            yield from (Value(name, reason=why) for name in self.names)
        for engine in dict.fromkeys(one.result.engine for one in own):
            of_it = [one for one in own if one.result.engine == engine]
            mark = {} if engine == self.campaign.engine else {"engine": engine}
            yield from _at_temperatures(of_it, mark)
            yield _line(of_it, mark)


def _at_temperatures(
    cells: Sequence[_Cell], mark: Mapping[str, str]
) -> Iterator[Value]:
    """Yield both numbers at each temperature."""
    runs: dict[float, dict[str, tuple[_Cell, TemperatureRun]]] = defaultdict(dict)
    for cell in cells:
        for run in cell.runs.runs:
            known = runs[run.temperature].get(cell.runs.entry_id)
            if known is None or known[1].picoseconds < run.picoseconds:
                runs[run.temperature][cell.runs.entry_id] = cell, run
    for kelvin in sorted(runs):
        conditions: dict[str, float | str] = {TEMPERATURE: kelvin, **mark}
        yield from _both(list(runs[kelvin].values()), conditions)


def _both(
    runs: Sequence[tuple[_Cell, TemperatureRun]], conditions: Mapping[str, float | str]
) -> Iterator[Value]:
    """Yield diffusivity and conductivity of one or several orderings."""
    cell, first = runs[0]
    read = [one.diffusivity for _, one in runs if one.diffusivity is not None]
    diffusive = [one for one in read if one.tracer is not None]
    words = {
        "n": sum(one.jumps for one in diffusive),
        "conditions": conditions,
        "inputs": tuple(one.runs.entry_id for one, _ in runs),
        "engine": cell.result.engine,
        "calculator": cell.runs.calculator,
    }
    if not diffusive:
        verdict = read[0].verdict if read else first.ending
        reason = f"{verdict}: {read[0].reason if read else first.reason}"
        yield from (Value(name, reason=reason, **words) for name in _BOTH)  # type: ignore[arg-type] # words of one Value
        return
    notes = [
        *_NOTES,
        *(f"{one.ending} after {one.picoseconds:g} ps" for _, one in runs),
    ]
    if len(diffusive) < len(runs):
        notes.append(f"{len(runs) - len(diffusive)} orderings have none")
    for name, numbers in zip(
        _BOTH,
        ([one.tracer for one in diffusive], [one.conductivity for one in diffusive]),
        strict=True,
    ):
        known = [number for number in numbers if number is not None]
        if not known:
            yield Value(name, reason="the cell or its temperature is unknown", **words)  # type: ignore[arg-type] # as above
            continue
        errors = [one.standard_error for one in diffusive]
        value, error = mean_of_orderings(known, errors[: len(known)])
        yield Value(name, value, error, notes=notes, **words)  # type: ignore[arg-type] # as above


def mean_of_orderings(
    values: Sequence[float], relative_errors: Sequence[float]
) -> tuple[float, float]:
    """
    Return the mean of some orderings, and its standard error.

    The larger of two: that of the trajectories, and that by the scatter between
    orderings, which one ordering alone does not show.

    Parameters
    ----------
    values
        In one unit, one an ordering.
    relative_errors
        Standard error over value, one each.

    Examples
    --------
    >>> mean_of_orderings([1.0, 3.0], [0.1, 0.1])
    (2.0, 1.0)
    """
    count = len(values)
    mean = fmean(values)
    own = sum((v * e) ** 2 for v, e in zip(values, relative_errors, strict=True))
    between = stdev(values) / count**0.5 if count > 1 else 0.0
    return mean, max(own**0.5 / count, between)


def _line(cells: Sequence[_Cell], mark: Mapping[str, str]) -> Value:
    """Return the activation energy of the cell with most temperatures."""
    cell = max(cells, key=lambda one: (len(one.runs.runs), one.result.completed_at))
    fit = cell.runs.arrhenius
    base = {
        "conditions": mark,
        "inputs": (cell.runs.entry_id,),
        "engine": cell.result.engine,
        "calculator": cell.runs.calculator,
    }
    if fit is None:
        reason = "fewer than three temperatures with a diffusivity"
        return Value("activation_energy", reason=reason, **base)  # type: ignore[arg-type] # words of one Value
    kelvin = f"{min(fit.temperatures):g} to {max(fit.temperatures):g} K"
    if fit.verdict in {"kink", "jump", "curved"}:
        reason = f"no single line between {kelvin}: {fit.verdict}"
        return Value("activation_energy", reason=reason, **base)  # type: ignore[arg-type] # as above
    return Value(
        "activation_energy",
        fit.activation_energy,
        fit.activation_energy_error,
        n=len(fit.temperatures),
        notes=(f"{kelvin}; {fit.verdict}, power {fit.power:.2f}", *fit.warnings),
        **base,  # type: ignore[arg-type] # as above
    )
