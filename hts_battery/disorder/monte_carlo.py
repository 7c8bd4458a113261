"""Monte Carlo of a decorated lattice: canonical swaps on each sublattice."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.core import Composition, Structure

from hts_battery.disorder.cells import lattice_cell, site_species, species_names
from hts_battery.disorder.kernels import kernel
from hts_battery.disorder.lattice_model import pair_energy, site_energy
from hts_battery.disorder.lattice_sites import FCC, lattice_sites
from hts_battery.disorder.order_parameters import PairValues, pair_parameters
from hts_battery.errors import OrderingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hts_battery.disorder.lattice_model import LatticeModel, PairTables

BOLTZMANN = 8.617333262e-5
"""In eV/K."""

_LEAST_ACCEPTED = 1e-3  # of the trials; below it a run is frozen
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
    found = lattice_sites(first)
    sites = np.concatenate([found.cations, found.anions])
    names, species = np.unique(species_names(first)[sites], return_inverse=True)
    kind = "fcc" if found.vectors is FCC else "simple_cubic"
    tables = model.tables(
        found.torus, kind, names.tolist(), has_anions=len(found.anions) > 0
    )
    mixed = _mixed(species, found.torus.size)
    random = np.random.default_rng([seed, 1])
    state = species.astype(np.int64)
    beta = 1 / (BOLTZMANN * temperature)
    sweep = (tables, mixed, found.torus.size, beta, random)
    for _ in range(sweeps):
        _sweep(state, *sweep)
    energies = np.empty(sweeps)
    accepted = 0
    averaged: list[PairValues] = []
    every = max(1, sweeps // _FRAMES)
    for at in range(sweeps):
        accepted += _sweep(state, *sweep)
        energies[at] = pair_energy(*tables, state)
        if (at + 1) % every == 0:
            texts = names[state]
            averaged.append(
                pair_parameters(
                    found.torus,
                    kind,
                    texts[: found.torus.size],
                    texts[found.torus.size :],
                    _SHELLS,
                )
            )
    acceptance = accepted / (sweeps * max(1, len(mixed)))
    return MonteCarloRun(
        _decorated(first, sites, species, state),
        energies,
        _mean(averaged),
        acceptance,
        acceptance >= _LEAST_ACCEPTED and halves_agree(energies),
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
    first: Structure,
    sites: NDArray[np.int64],
    before: NDArray[np.int64],
    after: NDArray[np.int64],
) -> Structure:
    """Put the species of a state on the sites of the first structure."""
    placed = site_species(first)
    one_of = {int(kind): placed[site] for site, kind in zip(sites, before, strict=True)}
    for site, kind in zip(sites, after, strict=True):
        placed[site] = one_of[int(kind)]
    whole = {one: Composition({one: 1}) for one in one_of.values()}
    return Structure(first.lattice, [whole[one] for one in placed], first.frac_coords)


def _mean(values: Sequence[PairValues]) -> PairValues:
    """Average order parameters, pair by pair and shell by shell."""
    return PairValues(
        {
            pair: [float(x) for x in np.mean([one[pair] for one in values], axis=0)]
            for pair in values[0]
        }
    )


def _sweep(
    state: NDArray[np.int64],
    tables: PairTables,
    mixed: NDArray[np.int64],
    cations: int,
    beta: float,
    random: np.random.Generator,
) -> int:
    """Try one swap for each mixed site."""
    if not len(mixed):
        return 0
    bounds = np.searchsorted(mixed, [cations])
    return int(_swaps(state, *tables, mixed, int(bounds[0]), beta, random))


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
) -> int:
    """Try swaps of unlike species within a sublattice; return how many were taken."""
    accepted = 0
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
        if change <= 0 or random.random() < np.exp(-beta * change):
            accepted += 1
        else:
            state[one], state[other] = state[other], state[one]
    return accepted
