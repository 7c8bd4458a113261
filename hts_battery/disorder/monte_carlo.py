"""Monte Carlo of a decorated lattice: canonical swaps on each sublattice."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.core import Composition, Structure

from hts_battery.disorder.cells import element_of, lattice_cell, site_species
from hts_battery.disorder.ewald_table import EwaldTable
from hts_battery.disorder.kernels import kernel
from hts_battery.disorder.lattice_model import site_energy
from hts_battery.disorder.order_parameters import PairValues, pair_parameters
from hts_battery.errors import OrderingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hts_battery.disorder.lattice_model import LatticeModel, LatticeState

BOLTZMANN = 8.617333262e-5
"""In eV/K."""

LEAST_ACCEPTED = 1e-3
"""Accepted trials, of all: below it a run is frozen."""

_AGREE = 3.0  # standard errors by which the two halves of a run may differ
_SHELLS = 2
_FRAMES = 50  # sweeps whose order parameters are averaged, at most


class MonteCarloRun(NamedTuple):
    """What a run of lattice Monte Carlo gives."""

    structure: Structure
    """The last decoration."""
    energies: NDArray[np.float64]
    """Energy of the cell in eV after each kept sweep."""
    warren_cowley: PairValues
    """Mean order parameters over kept sweeps, two shells."""
    acceptance: float
    """Accepted trials, of all in kept sweeps."""
    equilibrated: bool
    """Whether swaps are accepted and the two halves of the run agree."""


def lattice_monte_carlo(  # noqa: PLR0913
    model: LatticeModel,
    composition: Mapping[str, Mapping[str, float]],
    size: int | Sequence[int],
    *,
    temperature: float,
    sweeps: int,
    start: Structure | None = None,
    seed: int = 0,
) -> MonteCarloRun:
    r"""
    Sample the decorations of a lattice at a temperature, composition kept.

    A trial swaps two unlike species of one sublattice and is accepted with the
    probability :math:`\min(1, e^{-\Delta E / k T})` (Metropolis et al.,
    10.1063/1.1699114).

    Parameters
    ----------
    model
        Pair energies in eV.
    composition
        As in :func:`~hts_battery.disorder.cells.lattice_cell`.
    size
        Conventional cells along each axis of the model's parent.
    temperature
        In kelvin.
    sweeps
        Sweeps that are kept: a sweep is one trial for each site of a mixed sublattice.
        As many are discarded first.
    start
        Decoration to start from, of any orientation; a random one if not given.
    seed
        Of the random numbers.

    Raises
    ------
    OrderingError
        A temperature or number of sweeps that is not positive, a composition or start
        that does not fit the parent.
    """
    if not temperature > 0 or sweeps < 1:
        raise OrderingError(
            f"temperature {temperature} K and {sweeps} sweeps: both must be positive"
        )
    first = start or lattice_cell(model.parent, composition, size, seed=seed)
    state = model.state(first)
    walk = Walk(state, 1 / (BOLTZMANN * temperature), np.random.default_rng([seed, 1]))
    for _ in range(sweeps):
        walk.sweep()
    energies = np.empty(sweeps)
    accepted = 0
    averaged: list[PairValues] = []
    every = max(1, sweeps // _FRAMES)
    for at in range(sweeps):
        accepted += walk.sweep()
        energies[at] = state.energy(walk.species)
        if (at + 1) % every == 0:
            averaged.append(order_of(state, walk.species))
    acceptance = accepted / (sweeps * max(1, len(walk.mixed)))
    return MonteCarloRun(
        _decorated(first, state, walk.species),
        energies,
        _mean(averaged),
        acceptance,
        acceptance >= LEAST_ACCEPTED and halves_agree(energies),
    )


class Walk:
    """A decoration that is being sampled, with what its swaps changed in eV."""

    def __init__(
        self, state: LatticeState, beta: float, random: np.random.Generator
    ) -> None:
        self.state = state
        self.beta = beta
        self.random = random
        self.species = state.species.copy()
        cations = state.tables.cations
        self.mixed = _mixed(self.species, cations)
        self.border = int(np.searchsorted(self.mixed, cations))
        self.potentials = state.potentials(self.species)
        self.changed = 0.0
        nothing = EwaldTable(
            np.zeros((1, 3), dtype=np.int64), np.zeros((1, 1, 1)), np.zeros((1, 1, 1))
        )
        self.ewald = state.ewald or nothing

    def sweep(self) -> int:
        """Try one swap for each mixed site; return how many were taken."""
        if not len(self.mixed):
            return 0
        taken, change = _swaps(
            self.species,
            *self.state.tables,
            self.mixed,
            self.border,
            self.beta,
            self.random,
            self.state.charges,
            self.potentials,
            *self.ewald,
        )
        self.changed += float(change)
        return int(taken)


def _short_names(names: Sequence[str]) -> NDArray[np.str_]:
    """Name species by element where the element has one."""
    elements = [element_of(name) for name in names]
    return np.array(
        [
            element if elements.count(element) == 1 else name
            for name, element in zip(names, elements, strict=True)
        ]
    )


def order_of(state: LatticeState, species: NDArray[np.int64]) -> PairValues:
    """Return the order parameters of a decoration, of two shells."""
    cations = state.tables.cations
    texts = _short_names(state.names)[species]
    return pair_parameters(
        state.sites.torus, state.kind, texts[:cations], texts[cations:], _SHELLS
    )


def halves_agree(values: NDArray[np.float64]) -> bool:
    """
    Say whether the two halves of a series have the same mean, within their errors.

    Examples
    --------
    >>> halves_agree(np.random.default_rng(0).normal(size=1000))
    True
    >>> halves_agree(np.linspace(0, 1, 1000))
    False
    """
    halves = np.array_split(values, 2)
    errors = [correlated_error(half) for half in halves]
    gap = abs(halves[0].mean() - halves[1].mean())
    return bool(gap <= _AGREE * np.hypot(errors[0], errors[1]))


def correlated_error(values: NDArray[np.float64]) -> float:
    """
    Return the standard error of the mean of a correlated series, by blocking.

    The largest error over blocks of 1, 2, 4, … values with at least eight blocks:
    Flyvbjerg & Petersen, 10.1063/1.457480.
    """
    errors = [0.0]
    blocks = values
    while len(blocks) >= 8:  # noqa: PLR2004 - fewer blocks say nothing of a spread
        errors.append(float(blocks.std(ddof=1) / np.sqrt(len(blocks))))
        even = len(blocks) // 2 * 2
        blocks = blocks[:even].reshape(-1, 2).mean(axis=1)
    return max(errors)


def _mixed(species: NDArray[np.int64], cations: int) -> NDArray[np.int64]:
    """List the sites of sublattices with more than one species."""
    sides = [np.arange(cations), np.arange(cations, len(species))]
    mixed = [side for side in sides if len(np.unique(species[side])) > 1]
    return np.concatenate(mixed) if mixed else np.empty(0, dtype=np.int64)


def _decorated(
    first: Structure, state: LatticeState, after: NDArray[np.int64]
) -> Structure:
    """Put the species of a decoration on the sites of the first structure."""
    sites = np.concatenate([state.sites.cations, state.sites.anions])
    placed = site_species(first)
    one_of = {str(one): Composition({one: 1}) for one in placed}
    decorated = [one_of[str(one)] for one in placed]
    for site, kind in zip(sites, after, strict=True):
        decorated[site] = one_of[state.names[int(kind)]]
    return Structure(first.lattice, decorated, first.frac_coords)


def _mean(values: Sequence[PairValues]) -> PairValues:
    """Average order parameters, pair by pair and shell by shell."""
    return PairValues(
        {
            pair: [float(x) for x in np.mean([one[pair] for one in values], axis=0)]
            for pair in values[0]
        }
    )


@kernel
def _swaps(  # noqa: PLR0913, PLR0917 - a kernel takes arrays, not objects
    state: NDArray[np.int64],
    neighbours: NDArray[np.int32],
    kinds: NDArray[np.int32],
    costs: NDArray[np.float64],
    cations: int,
    mixed: NDArray[np.int64],
    border: int,
    beta: float,
    random: np.random.Generator,
    charges: NDArray[np.float64],
    potentials: NDArray[np.float64],
    places: NDArray[np.int64],
    same: NDArray[np.float64],
    between: NDArray[np.float64],
) -> tuple[int, float]:
    """Try swaps of unlike species of a sublattice: how many were taken, the change."""
    accepted = 0
    total = 0.0
    itself = same[0, 0, 0]
    for _ in range(len(mixed)):
        at = int(random.random() * len(mixed))
        low, high = (0, border) if at < border else (border, len(mixed))
        one = mixed[at]
        other = one
        while state[other] == state[one]:
            other = mixed[low + int(random.random() * (high - low))]
        before = site_energy(neighbours, kinds, costs, cations, state, one)
        before += site_energy(neighbours, kinds, costs, cations, state, other)
        state[one], state[other] = state[other], state[one]
        after = site_energy(neighbours, kinds, costs, cations, state, one)
        after += site_energy(neighbours, kinds, costs, cations, state, other)
        change = after - before
        moved = charges[state[one]] - charges[state[other]]
        if moved != 0:
            a, b = one % cations, other % cations
            bond = same[_beside(places, a, b, same.shape)]
            change += moved * (potentials[one] - potentials[other])
            change += moved * moved * (itself - bond)
        if change <= 0 or random.random() < np.exp(-beta * change):
            accepted += 1
            total += change
            if moved != 0:
                for site, charge in ((one, moved), (other, -moved)):
                    _move_charge(
                        potentials, mixed, cations, site, charge, places, same, between
                    )
        else:
            state[one], state[other] = state[other], state[one]
    return accepted, total


@kernel
def _beside(
    places: NDArray[np.int64], a: int, b: int, orders: tuple[int, int, int]
) -> tuple[int, int, int]:
    """Return the place in the table of the displacement from one point to another."""
    x = places[b, 0] - places[a, 0]
    y = places[b, 1] - places[a, 1]
    z = places[b, 2] - places[a, 2]
    if x < 0:
        x += orders[0]
    if y < 0:
        y += orders[1]
    if z < 0:
        z += orders[2]
    return x, y, z


@kernel
def _move_charge(  # noqa: PLR0913, PLR0917 - a kernel takes arrays, not objects
    potentials: NDArray[np.float64],
    mixed: NDArray[np.int64],
    cations: int,
    site: int,
    charge: float,
    places: NDArray[np.int64],
    same: NDArray[np.float64],
    between: NDArray[np.float64],
) -> None:
    """Add the potential of a charge at a site to every site that may swap."""
    point = site % cations
    for other in mixed:
        there = other % cations
        if (other >= cations) == (site >= cations):
            added = same[_beside(places, point, there, same.shape)]
        elif site < cations:
            added = between[_beside(places, point, there, between.shape)]
        else:
            added = between[_beside(places, there, point, between.shape)]
        potentials[other] += charge * added
