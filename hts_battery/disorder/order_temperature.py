"""The temperature at which the order of a lattice model goes, between bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from hts_battery.disorder.branches import (
    HOT,
    Branch,
    binder_crossing,
    integrated_from_disorder,
    integrated_from_order,
    log_decorations,
    random_energy,
    sample_branch,
)
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
from hts_battery.disorder.monte_carlo import BOLTZMANN
from hts_battery.errors import OrderingError
from hts_battery.schemas.decoding import read_structure
from hts_battery.schemas.lattice import OrderTemperature

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.disorder.lattice_model import LatticeState
    from hts_battery.schemas.lattice import LatticeModelDoc

_COARSE = np.linspace(0.15, 1.2, 22)  # of the mean-field temperature
_FINE = 13  # temperatures between widened bounds
_WIDER = 0.06
_ORDERED = 0.3  # of the order parameter: from there on a decoration counts as ordered
_GONE = 0.06  # below it nothing of the order is left
_BINDER_SWEEPS = 40  # times as many, since cumulants are noisy
_NARROW = 0.025
_FIRST_ORDER = 4.0  # standard errors by which branches must differ somewhere
_LATENT = 0.05  # of the energy that order gains: what a jump of energy must be
_CAVEAT = (
    "Order of the model's lattice alone: vibrations and magnetism are not in it, and "
    "neither are ordered states of larger cells than those that were annealed."
)


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
    chance = random_energy(state, seed)[0]
    ordered_energy = state.energy(state.species) / state.tables.cations
    entropy = log_decorations(state) / state.tables.cations
    gain = chance - ordered_energy
    if gain <= 0 or entropy <= 0:
        raise OrderingError("every decoration has the same energy: nothing orders")
    mean_field = gain / (BOLTZMANN * entropy)
    chaos = state._replace(species=shuffled(state, np.random.default_rng(seed)))
    settings = _Settings(order, sweeps, seed, gain)
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
        random_energy=chance,
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
    gain: float
    """Energy of random decorations above the ordered one, eV a cation."""


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
    jump = _jump(heated, cooled, _LATENT * settings.gain)
    if jump is None:
        return _Estimate("binder")
    betas = 1 / (BOLTZMANN * np.linspace(bounds[0], bounds[1], 9))
    disorder, disorder_errors = integrated_from_disorder(
        chaos, betas, settings.sweeps, settings.seed
    )
    order, order_error = integrated_from_order(ordered, cold, betas)
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


def _jump(heated: Branch, cooled: Branch, least: float) -> float | None:
    """Return the jump of the energy where both phases are seen; None without one."""
    backwards = cooled.energies[::-1], cooled.errors[::-1], cooled.orders[::-1]
    both = (heated.orders >= _ORDERED) & (backwards[2] < _ORDERED)
    gaps = backwards[0] - heated.energies
    errors = np.hypot(heated.errors, backwards[1])
    # Walls that cooling leaves cost energy, too: a jump is more than they do.
    if both.any() and np.any(
        gaps[both] > np.maximum(_FIRST_ORDER * errors[both], least)
    ):
        return float(gaps[both].max())
    # Without hysteresis: a jump from one temperature to the next.
    steps = np.diff(heated.energies)
    usual = float(np.median(steps))
    largest = float(steps.max())
    whole = float(heated.energies.max() - heated.energies.min())
    sharp = largest > 5 * usual and largest > max(whole / 2, least)
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
    ladder = np.linspace(0.12 * bounds[0], heated.temperatures[0], HOT, endpoint=False)
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
    if found is not None:  # over a narrow range the cumulants are straight lines
        near = np.linspace(1 - _NARROW, 1 + _NARROW, 7) * found.value
        found = binder_crossing(
            states,
            near,
            sweeps=_BINDER_SWEEPS * settings.sweeps,
            seed=settings.seed + 5,
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
