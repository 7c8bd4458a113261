"""Energies and order along ladders of temperature, and what is integrated of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import gammaln

from hts_battery.disorder.ground_state import OrderParameter, shuffled
from hts_battery.disorder.monte_carlo import BOLTZMANN, Walk, correlated_error
from hts_battery.schemas.lattice import SampledValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.disorder.lattice_model import LatticeState

HOT = 12
"""Temperatures between a bracket and zero, or infinite temperature."""

_RANDOM = 200  # decorations whose mean energy is that at infinite temperature


class Branch(NamedTuple):
    """Means along a ladder of temperatures, eV a cation."""

    temperatures: NDArray[np.float64]
    energies: NDArray[np.float64]
    errors: NDArray[np.float64]
    orders: NDArray[np.float64]
    fourth: NDArray[np.float64]
    """Mean square of the order parameter, which is itself quadratic in the order."""
    last: NDArray[np.int64]
    """Decoration at the end of the ladder."""


def sample_branch(
    state: LatticeState,
    temperatures: Sequence[float] | NDArray[np.float64],
    sweeps: int,
    *,
    order: OrderParameter | None = None,
    seed: int = 0,
) -> Branch:
    """
    Take a decoration through a ladder of temperatures.

    Parameters
    ----------
    state
        Where it begins.
    temperatures
        In K, one after the other.
    sweeps
        Kept at each of them; half as many are discarded first.
    order
        What is measured of the order besides the energy.
    seed
        Of the random numbers.
    """
    random = np.random.default_rng([seed, 7])
    walk = Walk(state, 1.0, random)
    cations = state.tables.cations
    start = state.energy(walk.species)
    rows = []
    for temperature in temperatures:
        walk.beta = 1 / (BOLTZMANN * temperature)
        for _ in range(sweeps // 2):
            walk.sweep()
        series, ordered = np.empty(sweeps), np.empty(sweeps)
        for at in range(sweeps):
            walk.sweep()
            series[at] = (start + walk.changed) / cations
            ordered[at] = 0.0 if order is None else order.value(walk.species)
        error = correlated_error(series)
        rows.append((series.mean(), error, ordered.mean(), (ordered**2).mean()))
    energies, errors, orders, fourth = np.array(rows).T
    return Branch(
        np.array(temperatures, dtype=float),
        energies,
        errors,
        orders,
        fourth,
        walk.species.copy(),
    )


def free_energy_from_disorder(
    state: LatticeState, temperature: float, *, sweeps: int = 400, seed: int = 0
) -> SampledValue:
    r"""
    Integrate the free energy of a cell from infinite temperature, in eV a cation.

    .. math::

        \beta F(\beta) = -\ln \Omega + \int_0^\beta \langle E \rangle \, d\beta'

    with :math:`\Omega` the exact number of decorations of the cell.
    """
    beta = 1 / (BOLTZMANN * temperature)
    values, errors = integrated_from_disorder(state, np.array([beta]), sweeps, seed)
    return SampledValue(value=values[0] / beta, error=errors[0] / beta)


def integrated_from_order(
    state: LatticeState, branch: Branch, betas: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    r"""
    Integrate :math:`\beta F` of the ordered branch from zero temperature, a cation.

    :math:`\beta F = \beta E_0 - \int_\beta^\infty (E - E_0) d\beta'`; below the lowest
    temperature excitations are taken to be activated.
    """
    lowest = state.energy(state.species) / state.tables.cations
    at = 1 / (BOLTZMANN * branch.temperatures)
    order = np.argsort(at)
    excited = np.maximum(branch.energies - lowest, 0.0)[order]
    tail = _tail(at[order], excited)
    curve = PchipInterpolator(at[order], excited, extrapolate=True).antiderivative()
    area = curve(at.max()) - curve(betas)
    widths = np.gradient(at[order])
    error = float(np.sqrt((widths**2 * branch.errors[order] ** 2).sum()))
    return betas * lowest - area - tail, error


def _tail(betas: NDArray[np.float64], excited: NDArray[np.float64]) -> float:
    """Return the integral beyond the lowest temperature."""
    first, second = excited[-2], excited[-1]
    if second <= 0 or first <= second:
        return 0.0
    rate = np.log(first / second) / (betas[-1] - betas[-2])
    return float(second / rate)


def integrated_from_disorder(
    state: LatticeState, betas: NDArray[np.float64], sweeps: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Integrate beta F from infinite temperature, a cation; values and errors."""
    cations = state.tables.cations
    ladder = np.linspace(0, float(betas.max()), HOT + 1)[1:]
    branch = sample_branch(state, 1 / (BOLTZMANN * ladder), sweeps, seed=seed + 3)
    first, first_error = random_energy(state, seed)
    at = np.concatenate([[0.0], ladder])
    energies = np.concatenate([[first], branch.energies])
    errors = np.concatenate([[first_error], branch.errors])
    curve = PchipInterpolator(at, energies).antiderivative()
    widths = np.gradient(at)
    spread = np.sqrt(np.cumsum(widths**2 * errors**2))
    entropy = log_decorations(state) / cations
    return curve(betas) - entropy, np.interp(betas, at, spread)


def random_energy(state: LatticeState, seed: int) -> tuple[float, float]:
    """Return the mean energy of random decorations, eV a cation, and its error."""
    random = np.random.default_rng([seed, 11])
    cations = state.tables.cations
    found = [state.energy(shuffled(state, random)) / cations for _ in range(_RANDOM)]
    return float(np.mean(found)), float(np.std(found) / np.sqrt(_RANDOM))


def log_decorations(state: LatticeState) -> float:
    """Return the logarithm of the number of decorations of a cell, exactly."""
    total = 0.0
    cations = state.tables.cations
    for side in (state.species[:cations], state.species[cations:]):
        counts = np.bincount(side) if len(side) else np.zeros(1)
        total += gammaln(len(side) + 1) - gammaln(counts + 1).sum()
    return float(total)


def binder_crossing(
    states: Sequence[LatticeState],
    temperatures: NDArray[np.float64],
    *,
    sweeps: int,
    seed: int = 0,
) -> SampledValue | None:
    r"""
    Find where the cumulants of two sizes cross; None where they do not.

    :math:`U = 1 - \langle q^2 \rangle / 3 \langle q \rangle^2` of the order parameter
    q, which is quadratic in the order. The error is that of the crossing of straight
    lines through halves of the runs.

    Parameters
    ----------
    states
        Ordered decorations of two sizes, the smaller first.
    temperatures
        In K, around the transition.
    sweeps
        At each of them.
    seed
        Of the random numbers.
    """
    halves = []
    for half in range(2):
        cumulants = []
        for state in states:
            branch = sample_branch(
                state,
                temperatures[::-1],
                sweeps // 2,
                order=OrderParameter(state),
                seed=seed + half,
            )
            cumulants.append((1 - branch.fourth / (3 * branch.orders**2))[::-1])
        halves.append(cumulants[1] - cumulants[0])
    found = [_zero(temperatures, half) for half in halves]
    middle = _zero(temperatures, (halves[0] + halves[1]) / 2)
    if middle is None:
        return None
    known = [one for one in found if one is not None]
    step = float(temperatures[1] - temperatures[0])
    error = abs(known[0] - known[1]) / 2 if len(known) > 1 else step
    return SampledValue(value=middle, error=max(error, step / 10))


def _zero(
    temperatures: NDArray[np.float64], values: NDArray[np.float64]
) -> float | None:
    """Return where a falling line through values is zero, if inside."""
    slope, offset = np.polyfit(temperatures, values, 1)
    if slope >= 0:
        return None
    zero = -offset / slope
    inside = temperatures[0] <= zero <= temperatures[-1]
    return float(zero) if inside else None
