"""
The lower envelope of reference phases, solved for many compositions at once.

Three things make it fast and leave it exact. A reference that is not stable in its
own chemical system takes part in no decomposition, so it is left out, as long as all
the references that hide it are there. The optimal basis of one composition stays
optimal wherever it gives no negative amount (multiparametric linear programming), so
it is kept and tried first. What remains is solved in batches. Every answer is
verified against the columns it was found from; one that does not verify goes to
HiGHS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.schemas.formula import atomic_fractions
from hts_battery.thermo.simplex import (
    AMOUNT_TOLERANCE,
    ENERGY_TOLERANCE,
    Bases,
    KnownBases,
    Problems,
    by_system,
    lowest_mixture,
    solve_batch,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hts_battery.schemas.formula import Formula
    from hts_battery.thermo.simplex import Flags, Floats, Integers

_BATCH_NUMBERS = 500_000  # in the columns of a batch: about 4 MB, to fit a cache
_ARTIFICIAL_COST = 1e3


_WORD = 63


def element_words(rows: Floats) -> Integers:
    """Mark the elements present in each row as bits, in as many words as needed."""
    columns = np.arange(rows.shape[1])
    bits = np.zeros((rows.shape[1], -(-rows.shape[1] // _WORD)), dtype=np.int64)
    bits[columns, columns // _WORD] = np.int64(1) << (columns % _WORD)
    words: Integers = (rows > 0.0).astype(np.int64) @ bits
    return words


def contained(references: Integers, systems: Integers) -> Flags:
    """Tell which references have no element outside a system: (systems, references)."""
    outside = np.zeros((len(systems), len(references)), dtype=np.int64)
    for word in range(references.shape[1]):
        outside |= references[None, :, word] & ~systems[:, None, word]
    return np.asarray(outside == 0)


def pure_phases(fractions: Floats, energies: Floats) -> Integers:
    """Find the lowest phase of each pure element, -1 where there is none."""
    pure = np.full(fractions.shape[1], -1)
    for phase in np.argsort(-energies, kind="stable"):
        element = int(fractions[phase].argmax())
        if fractions[phase, element] == 1.0:
            pure[element] = phase
    return pure


def fraction_rows(
    formulas: Sequence[Formula], elements: Sequence[str]
) -> tuple[Floats, Flags]:
    """Write formulas as rows over elements, and tell which have no other ones."""
    column = {symbol: index for index, symbol in enumerate(elements)}
    rows = np.zeros((len(formulas), len(elements)))
    inside = np.ones(len(formulas), dtype=bool)
    for number, formula in enumerate(formulas):
        for symbol, fraction in atomic_fractions(formula).items():
            index = column.get(symbol)
            if index is None:
                inside[number] = False
            else:
                rows[number, index] = fraction
    return rows, inside


class Solutions(NamedTuple):
    """Answers for a batch of compositions; a row of NaN where there is none."""

    energies: Floats
    """Lowest energy of a mixture, eV/atom."""
    phases: Integers
    """Row, basic phase: index of the reference, -1 for none."""
    amounts: Floats
    """Row, basic phase: atomic fraction of the mixture."""
    potentials: Floats
    """Row, element: chemical potential, eV/atom; NaN for elements not present."""

    @classmethod
    def empty(cls, count: int, elements: int) -> Solutions:
        """Make answers that say nothing yet."""
        return cls(
            np.full(count, np.nan),
            np.full((count, elements), -1),
            np.zeros((count, elements)),
            np.full((count, elements), np.nan),
        )


class Envelope:
    """Lower envelope of phases: rows of atomic fractions, energies in eV/atom."""

    def __init__(self, fractions: Floats, energies: Floats) -> None:
        self.fractions = fractions
        self.words = element_words(fractions)
        self._covered = (fractions > 0.0).any(axis=0)
        self._sizes = np.count_nonzero(fractions, axis=1)
        self._pure = pure_phases(fractions, energies)
        # Solved as formation energies: totals of thousands of eV would leave no
        # digits for differences of one meV.
        self.zeros = np.where(self._pure < 0, 0.0, energies[self._pure])
        self.energies = energies - fractions @ self.zeros
        spread = float(np.abs(self.energies).max())
        self._artificial = _ARTIFICIAL_COST * (1.0 + spread)
        self._examined = np.zeros(len(energies), dtype=bool)
        self._stable = np.zeros(len(energies), dtype=bool)
        self._known = KnownBases()

    def stable(self, columns: Flags) -> Flags:
        """Which phases are on the envelope of their own system, up to rounding."""
        inside = contained(
            self.words, element_words(columns[None, :].astype(np.float64))
        )[0]
        unknown = inside & ~self._examined
        for size in np.unique(self._sizes[unknown]):
            numbers = np.flatnonzero(unknown & (self._sizes == size))
            self._examine(numbers, np.flatnonzero(inside & (self._sizes <= size)))
        stable: Flags = inside & self._stable
        return stable

    def _examine(self, numbers: Integers, competing: Integers) -> None:
        """Examine phases of one size; smaller ones inside are examined already."""
        smaller = self._sizes[competing] < self._sizes[numbers[0]]
        candidates = competing[~smaller | self._stable[competing]]
        lowest = np.full(len(numbers), np.inf)
        for batch in self.batches(self.fractions[numbers], candidates):
            problems, bases = batch.problems, solve_batch(batch.problems)
            costs = (bases.potentials * problems.targets).sum(axis=1)
            # What is not verified is kept: a phase too many changes no answer.
            verified = bases.solved & ~self.holds_artificial(batch, bases)
            lowest[batch.numbers] = np.where(verified, costs, np.inf)
        self._stable[numbers] = self.energies[numbers] <= lowest + ENERGY_TOLERANCE
        self._examined[numbers] = True

    def solve(
        self, rows: Floats, excluded: Mapping[int, Integers] | None = None
    ) -> Solutions:
        """Lowest mixture at each composition, without its excluded phases."""
        solutions = Solutions.empty(len(rows), rows.shape[1])
        asked = np.abs(rows.sum(axis=1) - 1.0) < AMOUNT_TOLERANCE
        asked &= ~(rows[:, ~self._covered] > 0.0).any(axis=1)
        if not asked.any():
            return solutions
        stable = self.stable((rows[asked] > 0.0).any(axis=0))
        reopened = {
            number: phases
            for number, phases in (excluded or {}).items()
            if asked[number] and stable[phases].any()
        }
        asked[list(reopened)] = False
        self._solve_shared(
            rows, np.flatnonzero(asked), np.flatnonzero(stable), solutions
        )
        self._solve_reopened(rows, reopened, solutions)
        return solutions

    def _solve_shared(
        self, rows: Floats, numbers: Integers, columns: Integers, solutions: Solutions
    ) -> None:
        """Solve compositions that all references may take part in."""
        systems = by_system(element_words(rows[numbers]), numbers)
        tried = dict.fromkeys(systems, 0)
        limit = 1
        while systems:
            left = {
                key: self._reuse(rows, waiting, (key, tried[key]), solutions)
                for key, waiting in systems.items()
            }
            systems = {key: waiting for key, waiting in left.items() if len(waiting)}
            tried = {key: self._known.count(key) for key in systems}
            chosen = [waiting[:limit] for waiting in systems.values()]
            if chosen:
                self._solve_batches(rows, np.concatenate(chosen), columns, solutions)
            systems = {
                key: waiting[limit:]
                for key, waiting in systems.items()
                if len(waiting) > limit
            }
            limit *= 2

    def _reuse(
        self,
        rows: Floats,
        numbers: Integers,
        known: tuple[bytes, int],
        solutions: Solutions,
    ) -> Integers:
        """Answer what a basis of a system not tried yet answers; return the rest."""
        key, tried = known
        if self._known.count(key) <= tried:
            return numbers
        active = np.flatnonzero(rows[numbers[0]])
        targets = rows[np.ix_(numbers, active)]
        answered, bases = self._known.answer(key, targets, skip=tried)
        hit = numbers[answered]
        self._write(
            solutions,
            hit,
            np.broadcast_to(active, (len(hit), len(active))),
            bases,
            targets[answered],
        )
        left: Integers = numbers[~answered]
        return left

    def _solve_batches(
        self, rows: Floats, numbers: Integers, columns: Integers, solutions: Solutions
    ) -> None:
        """Solve compositions by the batch simplex, the rest by HiGHS."""
        for batch in self.batches(rows[numbers], columns):
            bases = solve_batch(batch.problems)
            self._finish(rows, numbers, batch, bases, solutions)

    def _finish(
        self,
        rows: Floats,
        numbers: Integers,
        batch: Batch,
        bases: Bases,
        solutions: Solutions,
    ) -> None:
        """Write verified answers down and keep their bases; solve the rest again."""
        good = bases.solved & ~self.holds_artificial(batch, bases)
        own = numbers[batch.numbers]
        phases = self.basic_phases(batch, bases)
        kept = Bases(
            phases[good],
            bases.amounts[good],
            bases.potentials[good],
            bases.inverses[good],
            bases.solved[good],
        )
        self._write(
            solutions, own[good], batch.active[good], kept, batch.problems.targets[good]
        )
        if batch.shared:
            self._known.keep(element_words(rows[own[good]]), kept)
        for place in np.flatnonzero(~good):
            allowed = batch.columns[place][np.isfinite(batch.problems.costs[place])]
            self._solve_exactly(rows, int(own[place]), allowed, solutions)

    def _solve_exactly(
        self, rows: Floats, number: int, columns: Integers, solutions: Solutions
    ) -> None:
        active = np.flatnonzero(rows[number])
        mixture = lowest_mixture(
            self.fractions[np.ix_(columns, active)],
            self.energies[columns],
            rows[number, active],
        )
        if mixture is not None:
            count = len(mixture.phases)
            solutions.energies[number] = mixture.energy + rows[number] @ self.zeros
            solutions.phases[number, :count] = columns[mixture.phases]
            solutions.amounts[number, :count] = mixture.amounts
            solutions.potentials[number, active] = (
                mixture.potentials + self.zeros[active]
            )

    def _solve_reopened(
        self, rows: Floats, excluded: Mapping[int, Integers], solutions: Solutions
    ) -> None:
        """Solve compositions that miss a stable phase, with all that it may hide."""
        numbers = np.array(list(excluded), dtype=np.intp)
        if not len(numbers):
            return
        gone = list(excluded.values())
        everything = np.arange(len(self.energies))
        for batch in self.batches(rows[numbers], everything, gone=gone):
            for place, number in enumerate(batch.numbers):
                lost = np.isin(self._pure[batch.active[place]], gone[number])
                batch.problems.start_costs[place, lost] = self._artificial
            bases = solve_batch(batch.problems)
            self._finish(rows, numbers, batch, bases, solutions)

    def _reopened(self, phases: Integers, gone: Integers) -> Flags:
        """
        Which phases may take part where some are gone.

        Whether a phase is stable hangs on what lies inside its own elements, so only
        phases that hold all elements of one that is gone can have been hidden by it.
        """
        hidden = contained(self.words[gone], self.words[phases]).any(axis=1)
        kept: Flags = (self._stable[phases] | hidden) & ~np.isin(phases, gone)
        return kept

    def _write(
        self,
        solutions: Solutions,
        numbers: Integers,
        active: Integers,
        bases: Bases,
        targets: Floats,
    ) -> None:
        elements = active.shape[1]
        potentials = bases.potentials + self.zeros[active]
        solutions.energies[numbers] = (potentials * targets).sum(axis=1)
        solutions.phases[numbers, :elements] = bases.phases
        solutions.amounts[numbers, :elements] = bases.amounts
        solutions.potentials[numbers[:, None], active] = potentials

    def basic_phases(self, batch: Batch, bases: Bases) -> Integers:
        """Index of the reference behind each basic column."""
        local = np.take_along_axis(batch.columns, np.maximum(bases.phases, 0), axis=1)
        element = np.take_along_axis(
            batch.active, np.maximum(-1 - bases.phases, 0), axis=1
        )
        return np.where(bases.phases < 0, self._pure[element], local)

    def holds_artificial(self, batch: Batch, bases: Bases) -> Flags:
        """Whether an element without a reference of its own is still in the basis."""
        costs = np.take_along_axis(
            batch.problems.start_costs, np.maximum(-1 - bases.phases, 0), axis=1
        )
        held = (bases.phases < 0) & (costs >= self._artificial)
        return np.asarray(held.any(axis=1))

    def batches(
        self,
        rows: Floats,
        columns: Integers,
        *,
        gone: Sequence[Integers] | None = None,
    ) -> Iterator[Batch]:
        """Cut compositions into batches of equally many elements."""
        sizes = np.count_nonzero(rows, axis=1)
        words = element_words(rows)
        for size in np.unique(sizes):
            numbers = np.flatnonzero(sizes == size)
            numbers = numbers[np.lexsort(words[numbers].T)]
            per_problem = max(1, self._typical(words[numbers], columns)) * int(size)
            step = max(1, _BATCH_NUMBERS // per_problem)
            for start in range(0, len(numbers), step):
                some = numbers[start : start + step]
                left_out = None if gone is None else [gone[i] for i in some]
                yield self._batch(rows, some, columns, left_out)

    def _typical(self, words: Integers, columns: Integers) -> int:
        """Average number of columns of a few of the compositions."""
        some = words[:: max(1, len(words) // 16)]
        return int(contained(self.words[columns], some).sum() / len(some))

    def _batch(
        self,
        rows: Floats,
        numbers: Integers,
        columns: Integers,
        gone: Sequence[Integers] | None,
    ) -> Batch:
        targets = rows[numbers]
        inside = contained(self.words[columns], element_words(targets))
        for place, phases in enumerate(gone or ()):
            here = np.flatnonzero(inside[place])
            inside[place, here] = self._reopened(columns[here], phases)
        places, found = np.nonzero(inside)
        counts = inside.sum(axis=1)
        width = max(1, int(counts.max()))
        local = np.zeros((len(numbers), width), dtype=np.intp)
        costs = np.full((len(numbers), width), np.inf)
        position = np.arange(len(found)) - np.repeat(np.cumsum(counts) - counts, counts)
        local[places, position] = columns[found]
        costs[places, position] = self.energies[columns[found]]
        active = np.nonzero(targets)[1].reshape(len(numbers), -1)
        pure = self._pure[active]
        return Batch(
            numbers=numbers,
            active=active,
            columns=local,
            problems=Problems(
                columns=self.fractions[local[:, :, None], active[:, None, :]],
                costs=costs,
                targets=np.take_along_axis(targets, active, axis=1),
                start_costs=np.where(
                    pure < 0, self._artificial, self.energies[np.maximum(pure, 0)]
                ),
            ),
            shared=gone is None,
        )


class Batch(NamedTuple):
    """Problems with the numbers they came from."""

    numbers: Integers
    """Composition of each problem."""
    active: Integers
    """Problem, row: element."""
    columns: Integers
    """Problem, column: reference; meaningless where the cost is infinite."""
    problems: Problems
    shared: bool
    """Whether every reference may take part, so that bases may be reused."""
