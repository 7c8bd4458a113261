"""The temperature at which the order of a lattice model goes, between bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from scipy.interpolate import PchipInterpolator
from scipy.special import gammaln

from hts_battery.disorder.ground_state import (
    OrderParameter,
    enlarged,
    ground_state,
    shuffled,
)
from hts_battery.disorder.lattice_document import (
    energy_error,
    model_of,
    occupation_inside,
)
from hts_battery.disorder.lattice_features import feature_row
from hts_battery.disorder.lattice_model import LatticeModel
from hts_battery.disorder.monte_carlo import BOLTZMANN, Walk, correlated_error
from hts_battery.errors import OrderingError
from hts_battery.schemas.decoding import read_structure
from hts_battery.schemas.lattice import OrderTemperature, SampledValue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.disorder.lattice_model import LatticeState
    from hts_battery.schemas.lattice import LatticeModelDoc

_COARSE = np.linspace(0.15, 1.2, 22)  # of the mean-field temperature
_FINE = 13  # temperatures between widened bounds
_WIDER = 0.06
_HOT = 12  # inverse temperatures from infinite temperature to the bracket
_ORDERED = 0.3  # of the order parameter: from there on a decoration counts as ordered
_GONE = 0.06  # below it nothing of the order is left
_BINDER_SWEEPS = 40  # times as many, since cumulants are noisy
_RANDOM = 200  # decorations whose mean energy is that at infinite temperature
_FIRST_ORDER = 4.0  # standard errors by which branches must differ somewhere
_LATENT = 0.05  # of the energy of disorder: what a jump of energy must be
_CAVEAT = (
    "Order of the model's lattice alone: vibrations and magnetism are not in it, and "
    "neither are ordered states of larger cells than those that were annealed."
)


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
    values, errors = _from_disorder(state, np.array([beta]), sweeps, seed)
    return SampledValue(value=values[0] / beta, error=errors[0] / beta)


def order_temperature(
    model: LatticeModel,
    composition: Mapping[str, Mapping[str, float]],
    *,
    cations: int = 2_000,
    sweeps: int = 200,
    seed: int = 0,
) -> OrderTemperature:
    """
    Find the temperature at which the ordered ground state of a model disorders.

    The ground state comes from annealing cells of many shapes. Heated from it and
    cooled from a random decoration, a large commensurate cell gives a bracket. Free
    energies of the two branches, integrated from zero and from infinite temperature,
    cross at the temperature of a transition of first order; where the branches do not
    differ, the crossing of Binder's cumulants of two sizes is that of a continuous one.
    A value is given inside the bracket only.

    Parameters
    ----------
    model
        The model.
    composition
        As in :func:`~hts_battery.disorder.cells.lattice_cell`.
    cations
        Of the large cell, about.
    sweeps
        Kept at each temperature.
    seed
        Of the random numbers.

    Raises
    ------
    OrderingError
        No small cell holds the composition, or every decoration has the same energy.

    References
    ----------
    K. Binder, Z. Phys. B 43, 119 (1981), 10.1007/BF01293604.
    """
    lowest = ground_state(model, composition, seed=seed)
    sides = len(composition)
    large = enlarged(lowest.structure, cations, sides - 1)
    state = model.state(large)
    order = OrderParameter(state)
    random_energy = _random_energy(state, seed)[0]
    ordered_energy = state.energy(state.species) / state.tables.cations
    entropy = log_decorations(state) / state.tables.cations
    gain = random_energy - ordered_energy
    if gain <= 0 or entropy <= 0:
        raise OrderingError("every decoration has the same energy: nothing orders")
    mean_field = gain / (BOLTZMANN * entropy)
    chaos = state._replace(species=shuffled(state, np.random.default_rng(seed)))
    settings = _Settings(order, sweeps, seed, mean_field)
    bounds = _bracket(state, chaos, _COARSE * mean_field, settings)
    ladder = np.linspace(bounds[0] * (1 - _WIDER), bounds[1] * (1 + _WIDER), _FINE)
    heated = sample_branch(state, ladder, sweeps, order=order, seed=seed)
    cooled = sample_branch(chaos, ladder[::-1], sweeps, order=order, seed=seed + 1)
    bounds = _tightened(bounds, heated, cooled)
    estimate = _crossing(state, chaos, heated, cooled, bounds, settings)
    if estimate.method == "binder":
        estimate = _binder_estimate(model, lowest.structure, bounds, settings, sides)
    value, reason = estimate.value, estimate.reason
    if value is not None and not bounds[0] <= value <= bounds[1]:
        reason = f"the crossing at {value:.0f} K lies outside the bracket"
        value = None
    return OrderTemperature(
        value=value,
        error=estimate.error if value is not None else None,
        bracket=bounds,
        method=estimate.method,
        reason=reason,
        mean_field=mean_field,
        ground_state_energy=ordered_energy,
        random_energy=random_energy,
        ground_state_formula=lowest.structure.composition.reduced_formula,
        space_group=_space_group(lowest.structure),
        structure=lowest.structure.as_dict(),
        annealed_cells=lowest.cells,
        latent_heat=estimate.latent_heat,
        cations=state.tables.cations,
        sweeps=sweeps,
        seed=seed,
        caveat=_CAVEAT,
    )


def fitted_order_temperature(
    document: LatticeModelDoc,
    amounts: Mapping[str, Fraction],
    *,
    cations: int = 2_000,
    sweeps: int = 200,
    seed: int = 0,
) -> OrderTemperature:
    """
    Find the order-disorder temperature of a composition by a fitted model.

    Its error by the fit is that of the energy gained by order, of which the
    temperature is taken to be a fixed multiple. Other parameters, and what is refused,
    as of :func:`order_temperature`; a composition outside the fit is refused.
    """
    occupation = occupation_inside(document, amounts)
    model = model_of(document.parameters)
    found = order_temperature(
        model, occupation, cations=cations, sweeps=sweeps, seed=seed
    )
    placed = LatticeModel(model.parent, {}, dielectric=1.0, edge=model.edge)
    state = placed.state(enlarged(read_structure(found.structure), 216, 1))
    random = np.random.default_rng(seed)
    rows = [
        feature_row(state._replace(species=shuffled(state, random)), document.columns)
        for _ in range(20)
    ]
    change = np.mean(rows, axis=0) - feature_row(state, document.columns)
    sites = 2 * state.tables.cations / len(state.species)
    gain = (found.random_energy - found.ground_state_energy) / 2 * sites
    share = energy_error(document, change) / gain
    middle = found.value or sum(found.bracket) / 2
    return found.model_copy(update={"fit_error": share * middle})


class _Settings(NamedTuple):
    order: OrderParameter
    sweeps: int
    seed: int
    mean_field: float


class _Estimate(NamedTuple):
    """A temperature, or why there is none."""

    method: str
    value: float | None = None
    error: float | None = None
    reason: str | None = None
    latent_heat: float | None = None


def _bracket(
    ordered: LatticeState,
    chaos: LatticeState,
    ladder: NDArray[np.float64],
    settings: _Settings,
) -> tuple[float, float]:
    """Heat from order and cool from disorder over the whole range."""
    sweeps = max(20, settings.sweeps // 4)
    heated = sample_branch(
        ordered, ladder, sweeps, order=settings.order, seed=settings.seed
    )
    cooled = sample_branch(
        chaos, ladder[::-1], sweeps, order=settings.order, seed=settings.seed + 1
    )
    return _bounds(heated, cooled)


def _bounds(heated: Branch, cooled: Branch) -> tuple[float, float]:
    """Return where cooling has ordered at the latest, and heating disordered."""
    molten = heated.temperatures[heated.orders < _GONE]
    frozen = cooled.temperatures[cooled.orders >= _ORDERED]
    upper = float(molten.min()) if len(molten) else float(heated.temperatures.max())
    lower = float(frozen.max()) if len(frozen) else float(cooled.temperatures.min())
    return min(lower, upper), max(lower, upper)


def _tightened(
    coarse: tuple[float, float], heated: Branch, cooled: Branch
) -> tuple[float, float]:
    """Narrow a bracket to what a finer ladder saw."""
    step = float(heated.temperatures[1] - heated.temperatures[0])
    lower, upper = _bounds(heated, cooled)
    if upper - lower < step:
        lower, upper = lower - step, upper + step
    return max(lower, coarse[0] * (1 - _WIDER)), min(upper, coarse[1] * (1 + _WIDER))


def _crossing(
    ordered: LatticeState,
    chaos: LatticeState,
    heated: Branch,
    cooled: Branch,
    bounds: tuple[float, float],
    settings: _Settings,
) -> _Estimate:
    """Integrate the free energies of both branches and find where they cross."""
    cold = _up_to(ordered, heated, bounds, settings)
    middle = sum(bounds) / 2
    jump = _jump(heated, cooled)
    if jump is None:
        return _Estimate("binder")
    betas = 1 / (BOLTZMANN * np.linspace(bounds[0], bounds[1], 9))
    disorder, disorder_errors = _from_disorder(
        chaos, betas, settings.sweeps, settings.seed
    )
    order, order_error = _from_order(ordered, cold, betas)
    gap = order - disorder
    signs = np.flatnonzero(np.sign(gap[:-1]) != np.sign(gap[1:]))
    error = float(np.hypot(order_error, disorder_errors.max()))
    if not len(signs):
        return _Estimate(
            "crossing",
            reason=f"the free energies do not cross in the bracket: at its middle, "
            f"{middle:.0f} K, they differ by {gap[len(gap) // 2]:+.2g} kT a cation",
            latent_heat=jump,
        )
    at = int(signs[0])
    share = gap[at] / (gap[at] - gap[at + 1])
    beta = float(betas[at] + share * (betas[at + 1] - betas[at]))
    value = 1 / (BOLTZMANN * beta)
    latent = _latent_heat(heated, cooled, value) or jump
    # d(beta F) / d beta is the energy: the gap grows with the latent heat.
    return _Estimate("crossing", value, value * error / (beta * latent), None, latent)


def _jump(heated: Branch, cooled: Branch) -> float | None:
    """Return the jump of the energy where both phases are seen; None without one."""
    backwards = cooled.energies[::-1], cooled.errors[::-1], cooled.orders[::-1]
    both = (heated.orders >= _ORDERED) & (backwards[2] < _ORDERED)
    gaps = backwards[0] - heated.energies
    errors = np.hypot(heated.errors, backwards[1])
    if both.any() and np.any(gaps[both] > _FIRST_ORDER * errors[both]):
        return float(gaps[both].mean())
    # Without hysteresis: a jump from one temperature to the next.
    steps = np.diff(heated.energies)
    usual = float(np.median(steps))
    largest = float(steps.max())
    whole = float(heated.energies.max() - heated.energies.min())
    sharp = largest > max(5 * usual, _LATENT) and largest > whole / 2
    return largest if sharp else None


def _latent_heat(heated: Branch, cooled: Branch, temperature: float) -> float | None:
    """Return the difference of both phases at a temperature, where both were seen."""
    hot = cooled.orders < _ORDERED
    cold = heated.orders >= _ORDERED
    if hot.sum() < 2 or cold.sum() < 2:  # noqa: PLR2004 - a line needs two points
        return None
    lines = [
        np.polyval(np.polyfit(one.temperatures[on], one.energies[on], 1), temperature)
        for one, on in ((cooled, hot), (heated, cold))
    ]
    gap = float(lines[0] - lines[1])
    return gap if gap > 0 else None


def _up_to(
    ordered: LatticeState,
    heated: Branch,
    bounds: tuple[float, float],
    settings: _Settings,
) -> Branch:
    """Heat the ordered decoration from low temperature to the bracket, and join."""
    ladder = np.linspace(0.12 * bounds[0], heated.temperatures[0], _HOT, endpoint=False)
    cold = sample_branch(ordered, ladder, settings.sweeps, seed=settings.seed + 2)
    kept = heated.orders >= _ORDERED
    return Branch(
        np.concatenate([cold.temperatures, heated.temperatures[kept]]),
        np.concatenate([cold.energies, heated.energies[kept]]),
        np.concatenate([cold.errors, heated.errors[kept]]),
        np.concatenate([cold.orders, heated.orders[kept]]),
        np.concatenate([cold.fourth, heated.fourth[kept]]),
        heated.last,
    )


def _from_order(
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


def _from_disorder(
    state: LatticeState, betas: NDArray[np.float64], sweeps: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Integrate beta F from infinite temperature, a cation; values and errors."""
    cations = state.tables.cations
    ladder = np.linspace(0, float(betas.max()), _HOT + 1)[1:]
    branch = sample_branch(state, 1 / (BOLTZMANN * ladder), sweeps, seed=seed + 3)
    first, first_error = _random_energy(state, seed)
    at = np.concatenate([[0.0], ladder])
    energies = np.concatenate([[first], branch.energies])
    errors = np.concatenate([[first_error], branch.errors])
    curve = PchipInterpolator(at, energies).antiderivative()
    widths = np.gradient(at)
    spread = np.sqrt(np.cumsum(widths**2 * errors**2))
    entropy = log_decorations(state) / cations
    return curve(betas) - entropy, np.interp(betas, at, spread)


def _random_energy(state: LatticeState, seed: int) -> tuple[float, float]:
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


def _binder_estimate(
    model: LatticeModel,
    unit: Structure,
    bounds: tuple[float, float],
    settings: _Settings,
    sides: int,
) -> _Estimate:
    """Cross the cumulants of two sizes of the ordered cell."""
    sizes = [enlarged(unit, count, sides - 1) for count in (216, 1000)]
    states = [model.state(one) for one in sizes]
    if len(sizes[0]) == len(sizes[1]):
        return _Estimate("binder", reason="the ordered cell is too large for two sizes")
    found = binder_crossing(
        states,
        np.linspace(*bounds, 9),
        sweeps=_BINDER_SWEEPS * settings.sweeps,
        seed=settings.seed,
    )
    if found is None:
        return _Estimate(
            "binder", reason="the cumulants of two sizes do not cross in the bracket"
        )
    return _Estimate("binder", found.value, found.error)


def _space_group(structure: Structure) -> str:
    """Name the space group of an ordered cell, states aside."""
    plain = structure.copy()
    plain.remove_oxidation_states()
    analyser = SpacegroupAnalyzer(plain, symprec=0.01)
    return f"{analyser.get_space_group_symbol()} ({analyser.get_space_group_number()})"
