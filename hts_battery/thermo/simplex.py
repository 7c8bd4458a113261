"""
A revised simplex method that solves many small hull problems at once.

Each problem has a handful of rows (elements) and some hundred columns (phases), so
the cost of one problem is the overhead of its numpy calls. Solving a batch in step
spreads that overhead over thousands of compositions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import linprog

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.intp]
    Flags = NDArray[np.bool_]

_OPTIMAL, _INFEASIBLE = 0, 2
_TIGHT = 1e-10  # the smallest feasibility tolerance that HiGHS accepts


class LowestMixture(NamedTuple):
    """The lowest mixture of phases at one composition."""

    energy: float
    """eV/atom."""
    phases: Integers
    """Columns with an amount above zero."""
    amounts: Floats
    """Atomic fraction of the mixture in each of these phases."""
    potentials: Floats
    """Chemical potential of each element, eV/atom."""


def lowest_mixture(
    fractions: Floats, energies: Floats, target: Floats
) -> LowestMixture | None:
    r"""
    Solve one hull problem by HiGHS; None where no mixture has the composition.

    .. math:: \min_\lambda c \cdot \lambda, \quad A^T \lambda = x, \; \lambda \ge 0
    """
    if not len(energies):
        return None
    result = linprog(
        energies,
        A_eq=fractions.T,
        b_eq=target,
        method="highs-ds",
        options={
            "primal_feasibility_tolerance": _TIGHT,
            "dual_feasibility_tolerance": _TIGHT,
        },
    )
    if result.status == _INFEASIBLE:
        return None
    if result.status != _OPTIMAL or result.x is None or result.fun is None:
        raise ArithmeticError(f"linear program not solved: {result.message}")
    phases = np.flatnonzero(result.x > _TIGHT)
    return LowestMixture(
        float(result.fun), phases, result.x[phases], np.asarray(result.eqlin.marginals)
    )


ENERGY_TOLERANCE = 1e-10
"""Largest violation of optimality accepted, eV/atom: also the error of the energy."""
AMOUNT_TOLERANCE = 1e-9
"""Largest violation of an amount's sign accepted, atomic fraction."""
_PIVOT_TOLERANCE = 1e-9
_PERTURBATION = 1e-11
_COMPACT_BELOW = 0.75
_PIVOTS_PER_ROW = 60


class Problems(NamedTuple):
    """A batch of hull problems with the same number of rows and columns."""

    columns: Floats
    """Atomic fractions: problem, phase, element."""
    costs: Floats
    """Energy of each phase, eV/atom: problem, phase; infinite where not allowed."""
    targets: Floats
    """Atomic fractions of the composition, all above zero: problem, element."""
    start_costs: Floats
    """Energy of each pure element, eV/atom: problem, element."""


class Bases(NamedTuple):
    """An optimal basis of each problem of a batch."""

    phases: Integers
    """Column of each basic phase; -1 - i for the pure element of row i."""
    amounts: Floats
    """Atomic fraction of each basic phase, never negative."""
    potentials: Floats
    """Chemical potentials, eV/atom."""
    inverses: Floats
    """Inverse basis: composition → amounts."""
    solved: Flags
    """Whether the basis was verified; the rest of a row is undefined if not."""


def solve_batch(problems: Problems) -> Bases:
    r"""
    Minimise :math:`c \cdot \lambda` for each problem and verify the answers.

    Starts from the pure elements, enters the phase farthest below the plane of the
    present basis (Dantzig's rule), and leaves by the smallest ratio for a slightly
    shifted composition, which rules out cycling at compositions that lie on a tie
    line. The shift never enters an answer: amounts and potentials are solved for
    the composition asked for, from the original columns.

    Returns
    -------
    Bases
        With a mark for each problem whether optimality and signs hold.
    """
    basis = _optimise(problems)
    matrices = _basis_matrices(problems, basis)
    costs = _basis_costs(problems, basis)
    inverses = _inverses(matrices)
    amounts = (inverses @ problems.targets[:, :, None])[:, :, 0]
    potentials = (costs[:, None, :] @ inverses)[:, 0, :]
    lowest = _reduced_costs(problems, potentials).min(axis=1, initial=0.0)
    with np.errstate(invalid="ignore"):  # a singular basis is not a number: unsolved
        solved = (lowest >= -ENERGY_TOLERANCE) & (
            amounts.min(axis=1) >= -AMOUNT_TOLERANCE
        )
    return Bases(basis, np.maximum(amounts, 0.0), potentials, inverses, solved)


def _optimise(problems: Problems) -> Integers:
    """Pivot every problem to optimality, or until the limit of pivots."""
    count, elements = problems.targets.shape
    found = np.tile(-1 - np.arange(elements), (count, 1))
    tableau = _Tableau.start(problems)
    for _ in range(_PIVOTS_PER_ROW * elements):
        reduced = _reduced_costs(tableau.problems, tableau.potentials())
        entering = reduced.argmin(axis=1)
        lowest = np.take_along_axis(reduced, entering[:, None], axis=1)[:, 0]
        live = lowest < -ENERGY_TOLERANCE / 2
        remaining = np.count_nonzero(live)
        if not remaining:
            break
        if remaining < _COMPACT_BELOW * len(live):
            found[tableau.numbers] = tableau.basis
            tableau, entering = tableau.subset(live), entering[live]
            live = np.ones(remaining, dtype=bool)
        tableau.pivot(entering, live)
    found[tableau.numbers] = tableau.basis
    return found


class _Tableau(NamedTuple):
    """Problems that still change, and where each stands; arrays change in place."""

    problems: Problems
    numbers: Integers
    basis: Integers
    basis_costs: Floats
    amounts: Floats
    inverses: Floats

    @classmethod
    def start(cls, problems: Problems) -> _Tableau:
        count, elements = problems.targets.shape
        golden = (np.sqrt(5) - 1) / 2
        shift = _PERTURBATION * (1 + np.arange(1, elements + 1) * golden % 1)
        return cls(
            problems=problems,
            numbers=np.arange(count),
            basis=np.tile(-1 - np.arange(elements), (count, 1)),
            basis_costs=problems.start_costs.copy(),
            amounts=problems.targets + shift,
            inverses=np.tile(np.eye(elements), (count, 1, 1)),
        )

    def potentials(self) -> Floats:
        """Chemical potentials of the present bases."""
        plane: Floats = (self.basis_costs[:, None, :] @ self.inverses)[:, 0, :]
        return plane

    def subset(self, keep: Flags) -> _Tableau:
        return _Tableau(
            problems=Problems(*(part[keep] for part in self.problems)),
            numbers=self.numbers[keep],
            basis=self.basis[keep],
            basis_costs=self.basis_costs[keep],
            amounts=self.amounts[keep],
            inverses=self.inverses[keep],
        )

    def pivot(self, entering: Integers, live: Flags) -> None:
        """Exchange one phase of each live problem for the entering one."""
        every = np.arange(len(live))
        column = self.problems.columns[every, entering]
        direction = (self.inverses @ column[:, :, None])[:, :, 0]
        ratios = np.full_like(direction, np.inf)
        np.divide(
            self.amounts, direction, out=ratios, where=direction > _PIVOT_TOLERANCE
        )
        leaving = ratios.argmin(axis=1)
        # A finished problem exchanges its first phase for itself.
        leaving[~live] = 0
        direction[~live] = 0.0
        direction[~live, 0] = 1.0
        step = self.amounts[every, leaving] / direction[every, leaving]
        self.amounts[...] -= step[:, None] * direction
        self.amounts[every, leaving] = step
        row = self.inverses[every, leaving] / direction[every, leaving][:, None]
        self.inverses[...] -= direction[:, :, None] * row[:, None, :]
        self.inverses[every, leaving] = row
        numbers, places = every[live], leaving[live]
        self.basis[numbers, places] = entering[live]
        self.basis_costs[numbers, places] = self.problems.costs[numbers, entering[live]]


def _reduced_costs(problems: Problems, potentials: Floats) -> Floats:
    """Height of each phase above the plane of the potentials, eV/atom."""
    planes = (problems.columns @ potentials[:, :, None])[:, :, 0]
    height: Floats = problems.costs - planes
    return height


def _basis_matrices(problems: Problems, basis: Integers) -> Floats:
    """Columns of each basis: problem, element, basic phase."""
    count, elements = basis.shape
    every = np.arange(count)[:, None]
    rows = problems.columns[every, np.maximum(basis, 0)]
    pure = np.eye(elements)[np.maximum(-1 - basis, 0)]
    matrices: Floats = np.where((basis < 0)[:, :, None], pure, rows)
    return matrices.transpose(0, 2, 1)


def _basis_costs(problems: Problems, basis: Integers) -> Floats:
    phases = np.take_along_axis(problems.costs, np.maximum(basis, 0), axis=1)
    pure = np.take_along_axis(problems.start_costs, np.maximum(-1 - basis, 0), axis=1)
    return np.where(basis < 0, pure, phases)


def _inverses(matrices: Floats) -> Floats:
    """Invert each matrix; a singular one becomes not a number."""
    inverses: Floats = np.full_like(matrices, np.nan)
    try:
        inverses[...] = np.linalg.inv(matrices)
    except np.linalg.LinAlgError:
        for number, matrix in enumerate(matrices):
            if np.linalg.matrix_rank(matrix) == len(matrix):
                inverses[number] = np.linalg.inv(matrix)
    return inverses
