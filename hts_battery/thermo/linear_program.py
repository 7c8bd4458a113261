"""The hull's linear program for one composition, solved by HiGHS: slow and exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import linprog

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OPTIMAL, _INFEASIBLE = 0, 2
_TIGHT = 1e-10  # the smallest feasibility tolerance that HiGHS accepts


class Mixture(NamedTuple):
    """The lowest mixture of phases at one composition."""

    energy: float
    """eV/atom."""
    phases: NDArray[np.intp]
    """Columns with an amount above zero."""
    amounts: NDArray[np.float64]
    """Atomic fraction of the mixture in each of these phases."""
    potentials: NDArray[np.float64]
    """Chemical potential of each element, eV/atom."""


def lowest_mixture(
    fractions: NDArray[np.float64],
    energies: NDArray[np.float64],
    target: NDArray[np.float64],
) -> Mixture | None:
    r"""
    Solve one hull problem.

    .. math:: \min_\lambda c \cdot \lambda, \quad A^T \lambda = x, \; \lambda \ge 0

    Parameters
    ----------
    fractions
        One row per phase, its atomic fractions over the target's elements.
    energies
        Energy of each phase, eV/atom.
    target
        Atomic fractions of the composition, all above zero.

    Returns
    -------
    Mixture or None
        None where no mixture of the phases has the composition.

    Raises
    ------
    ArithmeticError
        If the solver neither solves the problem nor shows that it has no solution.
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
    return Mixture(
        float(result.fun), phases, result.x[phases], np.asarray(result.eqlin.marginals)
    )
