"""Ordered ground states of a lattice model, and how much of one a decoration has."""

from __future__ import annotations

from itertools import combinations_with_replacement, permutations, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.disorder.cells import (
    lattice_cell,
    oxidation_states,
    whole_numbers,
)
from hts_battery.disorder.parents import parent_lattice
from hts_battery.disorder.torus import cycles
from hts_battery.disorder.training_cells import (
    annealed,
    cell_shapes,
    ideal_cell,
    with_species,
)
from hts_battery.errors import OrderingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.disorder.lattice_model import LatticeModel, LatticeState

_LARGEST = 64  # cations of a cell that is annealed
_LONGEST = 6  # conventional cells along an axis
_SHAPES = 4  # of each number of sites
_SIZES = 4  # numbers of sites of cells of the primitive lattice
_STARTS = 3
_SWEEPS = 60
_SAME = 1e-7  # eV a cation: lower by less is no other state
_PEAK = 0.5  # of the strongest wave: weaker ones are its overtones
_WHOLE = 1e-6


class GroundState(NamedTuple):
    """The lowest decoration that was found."""

    structure: Structure
    energy: float
    """In eV a cation."""
    cells: int
    """Cells that were annealed."""
    found: int
    """In how many of them it was found."""


def ground_state(
    model: LatticeModel,
    composition: Mapping[str, Mapping[str, float]],
    *,
    seed: int = 0,
) -> GroundState:
    """
    Anneal cells of many shapes and return the lowest decoration.

    Parameters
    ----------
    model
        The model.
    composition
        As in :func:`~hts_battery.disorder.cells.lattice_cell`; only cells that hold it
        exactly are tried.
    seed
        Of the random numbers.

    Raises
    ------
    OrderingError
        No cell of up to 64 cations holds the composition exactly.
    """
    best: Structure | None = None
    lowest, cells, found = np.inf, 0, 0
    for number, start in enumerate(_cells(model, composition, seed)):
        state = model.state(start)
        cells += 1
        energies = []
        for attempt in range(_STARTS):
            random = np.random.default_rng([seed, number, attempt])
            species = shuffled(state, random)
            species, energy = annealed(
                state._replace(species=species), random, sweeps=_SWEEPS
            )
            energies.append(energy / state.tables.cations)
            if energies[-1] < lowest - _SAME:
                lowest, found = energies[-1], 0
                best = with_species(start, state, species)
        found += min(energies) < lowest + _SAME
    if best is None:
        raise OrderingError(
            f"no cell of up to {_LARGEST} cations holds the composition exactly: its "
            "ground state cannot be searched for"
        )
    return GroundState(best, float(lowest), cells, found)


def _cells(
    model: LatticeModel, composition: Mapping[str, Mapping[str, float]], seed: int
) -> Iterator[Structure]:
    """Yield cells of many shapes that hold a composition exactly."""
    sites = len(lattice_cell(model.parent, composition, 1)) // len(composition)
    shares = np.array([x for side in composition.values() for x in side.values()])

    def holds(count: int) -> bool:
        whole = shares * count
        return bool(np.abs(whole - np.rint(whole)).max() < _WHOLE * count)

    for size in combinations_with_replacement(range(1, _LONGEST + 1), 3):
        count = sites * int(np.prod(size))
        if count <= _LARGEST and holds(count):
            for shape in sorted(set(permutations(size))):
                if shape == size or model.parent not in _CUBIC:
                    yield lattice_cell(model.parent, composition, shape, seed=seed)
    if model.parent in _PRIMITIVE:
        counts = [n for n in range(2, _LARGEST // 2 + 1) if holds(n)]
        yield from _primitive_cells(model, composition, counts[:_SIZES])


def _primitive_cells(
    model: LatticeModel,
    composition: Mapping[str, Mapping[str, float]],
    counts: Sequence[int],
) -> Iterator[Structure]:
    """Yield cells of the primitive lattice, of several shapes."""
    names = oxidation_states(composition)
    edge = model.edge or parent_lattice(model.parent).lattice[0, 0]
    for count in counts:
        sides = [
            tuple(
                str(names[key])
                for key, n in whole_numbers(side, count).items()
                for _ in range(n)
            )
            for side in composition.values()
        ]
        anions = sides[1] if len(sides) > 1 else ()
        for matrix in cell_shapes(count, _SHAPES):
            yield ideal_cell(matrix, (sides[0], anions), float(edge))


_PRIMITIVE = ("rocksalt", "fcc")
_CUBIC = ("rocksalt", "fcc", "simple_cubic")


def shuffled(state: LatticeState, random: np.random.Generator) -> NDArray[np.int64]:
    """Return a random decoration of the same composition."""
    species = state.species.copy()
    cations = state.tables.cations
    species[:cations] = random.permutation(species[:cations])
    species[cations:] = random.permutation(species[cations:])
    return species


def enlarged(structure: Structure, cations: int, anions_a_cation: int) -> Structure:
    """Repeat a cell until it has about as many cations and is about as long as wide."""
    own = len(structure) / (1 + anions_a_cation)
    edge = (structure.volume * cations / own) ** (1 / 3)
    heights = structure.volume / np.array(
        [
            np.linalg.norm(np.cross(*np.delete(structure.lattice.matrix, axis, 0)))
            for axis in range(3)
        ]
    )
    repeats = np.maximum(1, np.rint(edge / heights)).astype(int)
    return structure * tuple(int(n) for n in repeats)


class OrderParameter:
    """
    How much of an order a decoration has, by the waves that the order is made of.

    The sum over the star of the strongest waves of the ordered decoration of the
    squared Fourier components of all cation species, 1 for that decoration itself in
    every orientation and translation, and about 1/N for a random one.

    Parameters
    ----------
    state
        The ordered decoration.
    """

    def __init__(self, state: LatticeState) -> None:
        cell = state.sites.torus
        ring = cycles(cell)
        self.shape = tuple(int(n) for n in ring.orders)
        self.places = tuple((cell.points() @ ring.points % ring.orders).T)
        self.cations = state.tables.cations
        self.species = np.unique(state.species[: self.cations])
        power = self._power(state.species)
        power[0, 0, 0] = 0.0
        star = np.array(self._star(state, power))
        turns = (np.array(self.places).T / ring.orders) @ star
        self.waves = np.exp(2j * np.pi * turns)
        """Phase of each wave of the star at each cation, (cations, waves)."""
        self.whole = float(power[tuple(star)].sum())

    def _power(self, species: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the squared Fourier components at every wave of the cell."""
        total = np.zeros(self.shape)
        for kind in self.species:
            grid = np.zeros(self.shape)
            grid[self.places] = species[: self.cations] == kind
            total += np.abs(np.fft.fftn(grid)) ** 2
        return total

    def _star(
        self, state: LatticeState, power: NDArray[np.float64]
    ) -> tuple[NDArray[np.intp], ...]:
        """Find the strongest waves and what cubic symmetry makes of them."""
        cell = state.sites.torus
        ring = cycles(cell)
        strong = np.argwhere(power >= _PEAK * power.max())
        inverse = np.linalg.inv(ring.waves)
        supercell = cell.matrix @ state.sites.vectors
        back = np.linalg.inv(supercell)
        found = set()
        for index in strong:
            wave = back @ (inverse @ index)  # Cartesian, without 2 pi
            for axes in permutations(range(3)):
                for signs in product((1, -1), repeat=3):
                    turned = supercell @ (np.array(signs) * wave[list(axes)])
                    whole = np.rint(turned)
                    if np.abs(turned - whole).max() < _WHOLE * len(power) * 10:
                        place = ring.waves @ whole.astype(np.int64) % ring.orders
                        found.add(tuple(int(n) for n in place))
        return tuple(np.array(sorted(found)).T)

    def value(self, species: NDArray[np.int64]) -> float:
        """Return it for a decoration, 1 where it is perfectly ordered."""
        if not self.whole:
            return 0.0
        cations = species[: self.cations]
        parts = [(cations == kind) @ self.waves for kind in self.species]
        return float(np.sum(np.abs(parts) ** 2)) / self.whole
