r"""
Lowest mixtures that may exchange something with the outside, many at once.

An element held at a chemical potential, a second reactant or more of a candidate are
columns beside the reference phases, each with a cost and no bound above:

.. math:: \min_{\lambda, r \ge 0} c \cdot \lambda + g \cdot r,
          \quad A^T \lambda + B^T r = y .

The solver is that of the hull. So are its promises: what takes part is pruned to the
phases stable in their own system, which stays exact because an exchange moves a phase
and the mixture below it alike; every answer is verified, and HiGHS solves the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

import numpy as np

from hts_battery.thermo.simplex import lowest_mixture, solve_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.thermo.envelope import Batch, Envelope
    from hts_battery.thermo.simplex import Bases, Flags, Floats, Integers

_NO_AMOUNT = 1e-9
Values = TypeVar("Values", bound="NDArray[np.generic]")


class Exchanges(NamedTuple):
    """Problems: what is to be made, and what may go in and out."""

    systems: Flags
    """Problem, element: whether phases with this element may take part."""
    targets: Floats
    """Problem, element: what is made, atoms; none negative, zero outside the system."""
    columns: Floats
    """Problem, exchange, element: atoms given off by one unit of each exchange."""
    costs: Floats
    """Problem, exchange: eV a unit, relative to the lowest phase of each element."""


class Exchanged(NamedTuple):
    """Answers, one a problem; NaN where the references cannot make the target."""

    costs: Floats
    """Lowest cost, eV, relative to the lowest phase of each element."""
    phases: Integers
    """Problem, basic phase: index of the reference, -1 for none."""
    amounts: Floats
    """Problem, basic phase: atoms."""
    exchanged: Floats
    """Problem, exchange: units given off."""

    def made(self, number: int, names: Sequence[str]) -> list[tuple[str, float]]:
        """Name the phases of one answer, with their atoms."""
        return [
            (names[phase], float(atoms))
            for phase, atoms in zip(
                self.phases[number], self.amounts[number], strict=True
            )
            if atoms > _NO_AMOUNT
        ]

    def spread(self, part: slice, numbers: Integers, count: int) -> Exchanged:
        """Put some answers into their places among a larger number of problems."""
        return Exchanged(
            spread(self.costs[part], numbers, count),
            spread(self.phases[part], numbers, count, empty=-1),
            spread(self.amounts[part], numbers, count, empty=0.0),
            spread(self.exchanged[part], numbers, count, empty=0.0),
        )


def spread(
    array: Values, numbers: Integers, count: int, *, empty: float = np.nan
) -> Values:
    """Put some rows into their places among a larger number of empty ones."""
    whole = np.full((count, *array.shape[1:]), empty, dtype=array.dtype)
    whole[numbers] = array
    return cast("Values", whole)


def lowest_exchanges(envelope: Envelope, asked: Exchanges) -> Exchanged:
    """
    Solve each problem of a batch.

    Raises
    ------
    ArithmeticError
        If a problem has no lowest cost: an exchange is worth more than it costs.
    """
    count, elements = asked.targets.shape
    answers = Exchanged(
        np.full(count, np.nan),
        np.full((count, elements), -1),
        np.zeros((count, elements)),
        np.zeros(asked.costs.shape),
    )
    stable = np.flatnonzero(envelope.stable(np.asarray(asked.systems.any(axis=0))))
    for batch in envelope.batches(asked.systems.astype(np.float64), stable):
        widened = _widened(batch, asked)
        bases = solve_batch(widened.problems)
        good = bases.solved & ~envelope.holds_artificial(widened, bases)
        _write(envelope, widened, bases, good, answers)
        for place in np.flatnonzero(~good):
            _solve_exactly(widened, int(place), answers)
    return answers


def _widened(batch: Batch, asked: Exchanges) -> Batch:
    """Append the exchanges of each problem to its phases; their index is negative."""
    numbers, active = batch.numbers, batch.active
    exchanges = asked.columns.shape[1]
    columns = np.take_along_axis(asked.columns[numbers], active[:, None, :], axis=2)
    marks = np.broadcast_to(-1 - np.arange(exchanges), (len(numbers), exchanges))
    problems = batch.problems
    return batch._replace(
        columns=np.concatenate([batch.columns, marks], axis=1),
        problems=problems._replace(
            columns=np.concatenate([problems.columns, columns], axis=1),
            costs=np.concatenate([problems.costs, asked.costs[numbers]], axis=1),
            targets=np.take_along_axis(asked.targets[numbers], active, axis=1),
        ),
    )


def _write(
    envelope: Envelope, batch: Batch, bases: Bases, good: Flags, answers: Exchanged
) -> None:
    """Write verified answers down, the exchanges apart from the phases."""
    numbers, size = batch.numbers[good], batch.active.shape[1]
    phases, amounts = envelope.basic_phases(batch, bases)[good], bases.amounts[good]
    # A basic exchange is told from a pure element by its place among the columns.
    outside = (bases.phases[good] >= 0) & (phases < 0)
    place, basic = np.nonzero(outside)
    answers.exchanged[numbers[place], -1 - phases[place, basic]] = amounts[outside]
    answers.phases[numbers, :size] = np.where(outside, -1, phases)
    answers.amounts[numbers, :size] = np.where(outside, 0.0, amounts)
    targets = batch.problems.targets[good]
    answers.costs[numbers] = (bases.potentials[good] * targets).sum(axis=1)


def _solve_exactly(batch: Batch, place: int, answers: Exchanged) -> None:
    """Solve one problem by HiGHS; leave it without an answer where there is none."""
    number, costs = batch.numbers[place], batch.problems.costs[place]
    allowed = np.flatnonzero(np.isfinite(costs))
    found = lowest_mixture(
        batch.problems.columns[place, allowed],
        costs[allowed],
        batch.problems.targets[place],
    )
    if found is None:
        return
    phases = batch.columns[place, allowed][found.phases]
    inside = phases >= 0
    count = np.count_nonzero(inside)
    answers.costs[number] = found.energy
    answers.phases[number, :count] = phases[inside]
    answers.amounts[number, :count] = found.amounts[inside]
    answers.exchanged[number, -1 - phases[~inside]] = found.amounts[~inside]
