"""What a lattice model says of one composition at one temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.disorder.accessible import accessible_carriers
from hts_battery.disorder.cells import element_of, lattice_cell
from hts_battery.disorder.lattice_document import (
    energy_error,
    model_of,
    occupation_inside,
)
from hts_battery.disorder.lattice_features import feature_row
from hts_battery.disorder.lattice_model import LatticeModel
from hts_battery.disorder.monte_carlo import (
    BOLTZMANN,
    LEAST_ACCEPTED,
    Walk,
    correlated_error,
    order_of,
)
from hts_battery.disorder.training_cells import annealed, with_species
from hts_battery.schemas.formula import display_formula
from hts_battery.schemas.lattice import LatticeRun, SampledValue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.disorder.lattice_model import LatticeState
    from hts_battery.disorder.order_parameters import PairValues
    from hts_battery.schemas.lattice import LatticeModelDoc, LatticeMonteCarloOptions

_AGREE = 3.0  # standard errors by which two starts may differ
_SLACK = 1e-5  # eV/atom: starts that differ by less agree
_FEWEST = 20  # independent energies of a start
_NOTHING = 1e-12
_FRAMES = 10  # cells of a start in which carriers are counted
_CARRIERS = ("Li", "Na")
CAVEAT = (
    "Order of the model's lattice in equilibrium at that temperature: what cooling "
    "freezes in, barriers, vibrations and magnetism are not in it."
)


class SampledLattice(NamedTuple):
    """A run and the last cell of it."""

    run: LatticeRun
    structure: Structure


class _Series(NamedTuple):
    """What one start gave."""

    energies: NDArray[np.float64]
    """eV of the cell, one a sweep."""
    acceptance: float
    frames: list[Structure]
    orders: list[PairValues]


def run_lattice(
    amounts: Mapping[str, Fraction], options: LatticeMonteCarloOptions
) -> SampledLattice:
    """
    Sample a composition with a fitted model, and test that it is in equilibrium.

    Two runs, from a random and from an annealed decoration, must have the same mean
    energy within three standard errors, accept a thousandth of their trials at least
    and hold twenty independent energies each; a run that does not is *not
    equilibrated* and gives no value.

    Parameters
    ----------
    amounts
        Element → amount per formula unit.
    options
        Model, temperature, size, sweeps, seed.

    Raises
    ------
    OrderingError
        The composition lies outside the compositions that the model was fitted to, or
        no choice of its species is neutral.
    """
    document = options.model
    model = model_of(document.parameters)
    occupation = occupation_inside(document, amounts)
    formula = display_formula(dict(amounts))
    size = max(2, round((options.cations / 4) ** (1 / 3)))
    start = lattice_cell(model.parent, occupation, size, seed=options.seed)
    state = model.state(start)
    both = [_sampled(state, start, options, number) for number in range(2)]
    tests = _Tests.of([one.energies for one in both], len(start))
    acceptance = min(one.acceptance for one in both)
    reasons = tests.reasons(acceptance)
    good = not reasons
    carriers = _carriers(both, good=good)
    return SampledLattice(
        LatticeRun(
            formula=formula,
            model=document.digest,
            temperature=options.temperature,
            cations=len(start) // 2,
            sweeps=options.sweeps,
            seed=options.seed,
            equilibrated=good,
            reasons=reasons,
            acceptance=acceptance,
            correlation_time=tests.correlation_time,
            starts=tests.means,
            energy=tests.energy(state.constant / len(start)) if good else None,
            fit_error=_fit_error(document, state, both[0].frames[-1], model),
            heat_capacity=_heat_capacity(both, options.temperature) if good else None,
            order=_order(both) if good else None,
            carrier=carriers.carrier,
            carrier_share=carriers.share,
            tetrahedra=carriers.tetrahedra,
            accessible=carriers.accessible,
            wraps=carriers.wraps,
            caveat=CAVEAT,
        ),
        both[0].frames[-1],
    )


class _Carriers(NamedTuple):
    """What was counted of the carriers; nothing where a run is not in equilibrium."""

    carrier: str | None
    share: float
    tetrahedra: tuple[SampledValue, ...] | None
    accessible: SampledValue | None
    wraps: float | None


class _Tests(NamedTuple):
    """Means, errors and correlations of two starts, in eV/atom and sweeps."""

    means: tuple[float, float]
    errors: tuple[float, float]
    correlation_time: float
    independent: float

    @classmethod
    def of(cls, series: Sequence[NDArray[np.float64]], atoms: int) -> _Tests:
        """Measure them."""
        first, second = (one / atoms for one in series)
        times = [correlation_time(one) for one in (first, second)]
        longest = max(times)
        return cls(
            (float(first.mean()), float(second.mean())),
            (correlated_error(first), correlated_error(second)),
            longest,
            len(first) / (2 * longest),
        )

    def reasons(self, acceptance: float) -> tuple[str, ...]:
        """Say which tests of equilibrium were not passed."""
        found = []
        gap = abs(self.means[0] - self.means[1])
        if gap > max(_AGREE * float(np.hypot(*self.errors)), _SLACK):
            found.append(
                f"two starts differ by {1000 * gap:.2g} meV/atom, more than "
                f"{_AGREE:g} standard errors"
            )
        if acceptance < LEAST_ACCEPTED:
            found.append(f"{acceptance:.1e} of the trials accepted: frozen")
        if self.independent < _FEWEST:
            found.append(
                f"the energy is correlated over {self.correlation_time:.0f} sweeps: "
                f"{self.independent:.0f} independent values of {_FEWEST}"
            )
        return tuple(found)

    def energy(self, constant: float) -> SampledValue:
        """Return the mean energy of both starts, without that of the species."""
        mean = sum(self.means) / 2 - constant
        return SampledValue(value=mean, error=float(np.hypot(*self.errors)) / 2)


def correlation_time(values: NDArray[np.float64]) -> float:
    """
    Return the integrated correlation time of a series, in its steps: ½ without any.

    Summed up to six of itself (Sokal's window; Madras & Sokal, 10.1007/BF01022990).

    Examples
    --------
    >>> round(correlation_time(np.random.default_rng(0).normal(size=4000)), 1)
    0.5
    """
    centred = values - values.mean()
    variance = float(centred @ centred) / len(values)
    if variance <= np.finfo(float).eps * max(1.0, float(np.abs(values).max())) ** 2:
        return 0.5
    padded = np.fft.rfft(centred, 2 * len(values))
    function = np.fft.irfft(np.abs(padded) ** 2)[: len(values)] / len(values) / variance
    total = 0.5
    for step in range(1, len(values)):
        total += float(function[step])
        if step >= 6 * total:
            break
    return max(0.5, total)


def _sampled(
    state: LatticeState,
    start: Structure,
    options: LatticeMonteCarloOptions,
    number: int,
) -> _Series:
    """Run from the random decoration, or from one that was annealed before."""
    random = np.random.default_rng([options.seed, number])
    began = state
    if number:
        species, _ = annealed(state, random, sweeps=max(4, options.sweeps // 20))
        began = state._replace(species=species)
    walk = Walk(began, 1 / (BOLTZMANN * options.temperature), random)
    for _ in range(options.sweeps):
        walk.sweep()
    energy, before = state.energy(walk.species), walk.changed
    energies = np.empty(options.sweeps)
    frames, orders, accepted = [], [], 0
    every = max(1, options.sweeps // _FRAMES)
    for at in range(options.sweeps):
        accepted += walk.sweep()
        energies[at] = energy + walk.changed - before
        if (at + 1) % every == 0:
            orders.append(order_of(state, walk.species))
            frames.append(with_species(start, state, walk.species))
    trials = options.sweeps * max(1, len(walk.mixed))
    return _Series(energies, accepted / trials, frames, orders)


def _mean(values: Sequence[float]) -> SampledValue:
    """Return the mean of independent values and its standard error."""
    found = np.array(values, dtype=float)
    return SampledValue(
        value=float(found.mean()),
        error=float(found.std(ddof=1) / np.sqrt(len(found))) if len(found) > 1 else 0.0,
    )


def _order(both: Sequence[_Series]) -> dict[str, tuple[SampledValue, ...]]:
    """Average the order parameters of all cells that were kept."""
    orders = [one for series in both for one in series.orders]
    return {
        "-".join(pair): tuple(
            _mean([one[pair][shell] for one in orders])
            for shell in range(len(orders[0][pair]))
        )
        for pair in orders[0]
        # Pairs with the only species of a sublattice are always as at random.
        if any(abs(value) > _NOTHING for one in orders for value in one[pair])
    }


def _heat_capacity(both: Sequence[_Series], temperature: float) -> SampledValue:
    """Return the fluctuation of the energy in kB per atom, from blocks of both."""
    atoms = len(both[0].frames[0])
    kt = BOLTZMANN * temperature
    blocks = [block for one in both for block in np.array_split(one.energies, 4)]
    # A block's variance is about its own mean: what the means differ by is lost.
    return _mean([float(block.var(ddof=1)) / kt**2 / atoms for block in blocks])


def _carriers(both: Sequence[_Series], *, good: bool) -> _Carriers:
    """Count what of the carriers a wrapping cluster holds."""
    composition = both[0].frames[0].composition
    amounts = {element_of(str(one)): n for one, n in composition.items()}
    carrier = next((one for one in _CARRIERS if one in amounts), None)
    share = 2 * amounts.get(carrier or "", 0.0) / composition.num_atoms
    if carrier is None or not good:
        return _Carriers(carrier, share, None, None, None)
    found = [
        accessible_carriers(frame, "0tm", carrier, small=True)
        for one in both
        for frame in one.frames
    ]
    shares = [one.tetrahedra or () for one in found]
    return _Carriers(
        carrier,
        share,
        tuple(_mean(column) for column in zip(*shares, strict=True)),
        _mean([one.fraction for one in found]),
        float(np.mean([any(one.wraps) for one in found])),
    )


def _fit_error(
    document: LatticeModelDoc,
    state: LatticeState,
    after: Structure,
    model: LatticeModel,
) -> float:
    """Return the fit's error of the energy beside that of a random cell, eV/atom."""
    placed = LatticeModel(model.parent, {}, dielectric=1.0, edge=model.edge)
    unit = placed.state(after)
    names = {name: at for at, name in enumerate(unit.names)}
    number = np.array([names[name] for name in state.names])
    random = unit._replace(species=number[state.species])
    rows = [feature_row(one, document.columns) for one in (unit, random)]
    return energy_error(document, rows[0] - rows[1])
