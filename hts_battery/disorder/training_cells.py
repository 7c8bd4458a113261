"""Cells that a lattice model is fitted to: several shapes, several kinds of order."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.core import Composition, Species, Structure

from hts_battery.disorder.lattice_model import LatticeModel
from hts_battery.disorder.lattice_sites import FCC, shell_steps
from hts_battery.disorder.monte_carlo import BOLTZMANN, Walk
from hts_battery.disorder.torus import torus
from hts_battery.errors import OrderingError
from hts_battery.schemas.formula import common_divisor
from hts_battery.structures.radii import ionic_radius

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from fractions import Fraction

    from numpy.typing import NDArray

    from hts_battery.disorder.lattice_model import LatticeState
    from hts_battery.schemas.lattice import CellKind, Supercell

CELLS_A_FEATURE = 3
"""Cells that are planned for each parameter of a model."""

_SHELLS = 6  # of own images, by which shapes are told apart
_LADDER = (2.0, 0.8, 0.3)  # effective temperatures, in spreads of a swap's energy
_SWEEPS = 60  # at one temperature: such cells forget where they began within a few
_COOLING = np.geomspace(2.0, 0.02, 12)  # steps of an annealing, in the same unit
_TRIES = 12  # decorations that are made before one that is there already is taken
_SIZES = 6  # of cells, at most
_MOST_SHAPES = 300  # that are looked through

Decoration = tuple[tuple[str, ...], tuple[str, ...]]
"""Species of the cations and of the anions, point by point."""


class PlannedCell(NamedTuple):
    """A decorated cell as it is handed to an engine."""

    kind: CellKind
    supercell: Supercell
    seed: int
    structure: Structure
    """With oxidation states, cations first, on the ideal lattice."""


def feature_count(cations: int, anions: int) -> int:
    """
    Count the parameters of a pair model: species, pairs, electrostatics.

    Two shells of cation pairs; the first of anion pairs and of those cation-anion pairs
    that the composition does not tell.

    Examples
    --------
    >>> feature_count(3, 1), feature_count(7, 2)
    (11, 59)
    """
    pairs = cations * (cations - 1) + anions * (anions - 1) // 2
    return 1 + cations + anions + pairs + (cations - 1) * (anions - 1)


def training_cells(
    assignment: Mapping[str, Mapping[str, Fraction]],
    count: int,
    *,
    atoms: tuple[int, int] = (20, 40),
    seed: int = 0,
    model: LatticeModel | None = None,
    temperature: float | None = None,
) -> list[PlannedCell]:
    """
    Make cells of one composition that tell the parameters of a lattice model apart.

    On one shape of cell some shells cannot be told from others, so that shapes
    alternate. A third of the cells are decorated at random, a third are annealed at a
    ladder of effective temperatures by their electrostatics, the others have the lowest
    electrostatic energy that annealing finds. With a model its own states are made
    instead: half of them the lowest, half typical ones of the temperature.

    Parameters
    ----------
    assignment
        Sublattice (``cation``, ``anion``) → species → amount per formula unit.
    count
        Number of cells.
    atoms
        Smallest and largest number of atoms.
    seed
        Of shapes and decorations.
    model, temperature
        A model that is to be tested on its own states, at a temperature in K.

    Raises
    ------
    OrderingError
        The sublattices are not those of rock salt, or no cell of that size holds the
        composition exactly.
    """
    cations, anions = _whole(assignment, atoms)
    edge = rock_salt_edge(assignment)
    energies = model or LatticeModel("rocksalt", {}, dielectric=1.0)
    kinds = _kinds(count, sampled=model is not None)
    shapes = [
        shape
        for several in zip(
            *(cell_shapes(size, count) for size in cations), strict=False
        )
        for shape in several
    ]
    made: list[PlannedCell] = []
    seen: set[tuple[object, ...]] = set()
    for number, kind in enumerate(kinds):
        matrix = shapes[(number + number // 3) % len(shapes)]
        sites = torus(matrix).size
        for attempt in range(_TRIES):
            own = int(
                np.random.SeedSequence([seed, number, attempt]).generate_state(1)[0]
            )
            start = _random_cell(matrix, cations[sites], anions[sites], edge, own)
            state = energies.state(start)
            random = np.random.default_rng([own, 1])
            rung = number // len(set(kinds)) % len(_LADDER)
            species = _decorated(kind, state, random, rung, temperature)
            mark = (matrix, *_fingerprint(state, species))
            if mark not in seen or attempt == _TRIES - 1:
                break
        seen.add(mark)
        made.append(PlannedCell(kind, matrix, own, with_species(start, state, species)))
    return made


def rock_salt_edge(assignment: Mapping[str, Mapping[str, Fraction]]) -> float:
    """
    Return the edge of the cubic cell that ionic radii give, in angstrom.

    Examples
    --------
    >>> from fractions import Fraction
    >>> one = Fraction(1)
    >>> round(rock_salt_edge({"cation": {"Mg2+": one}, "anion": {"O2-": one}}), 2)
    4.24
    """
    means = []
    for shares in assignment.values():
        radii = [float(n) * ionic_radius(name, 6) for name, n in shares.items()]
        means.append(sum(radii) / float(sum(shares.values())))
    return 2 * sum(means)


def _whole(
    assignment: Mapping[str, Mapping[str, Fraction]], atoms: tuple[int, int]
) -> tuple[dict[int, dict[str, int]], dict[int, dict[str, int]]]:
    """Count the species of cells of every size that holds a composition exactly."""
    if set(assignment) != {"cation", "anion"}:
        raise OrderingError(
            f"lattice models are of rock salts, with cations and anions, not of "
            f"{', '.join(sorted(assignment))}"
        )
    amounts = [n for shares in assignment.values() for n in shares.values() if n]
    unit = common_divisor(amounts)
    smallest = sum(assignment["cation"].values()) / unit
    sizes = [
        int(smallest) * times
        for times in range(1, atoms[1] // (2 * int(smallest)) + 1)
        if 2 * int(smallest) * times >= atoms[0]
    ]
    if sum(assignment["anion"].values()) / unit != smallest:
        raise OrderingError("a rock salt has as many anions as cations")
    if not sizes:
        raise OrderingError(
            f"no cell of {atoms[0]} to {atoms[1]} atoms holds the composition: the "
            f"smallest has {2 * int(smallest)}"
        )
    chosen = sizes if len(sizes) <= _SIZES else sizes[-_SIZES:]
    found = [
        {
            size: {
                name: int(amount / unit) * (size // int(smallest))
                for name, amount in sorted(assignment[side].items())
                if amount
            }
            for size in chosen
        }
        for side in ("cation", "anion")
    ]
    return found[0], found[1]


def _kinds(count: int, *, sampled: bool) -> list[CellKind]:
    """List how each cell is decorated, in turns."""
    turns: tuple[CellKind, ...] = ("random", "annealed", "electrostatic")
    if sampled:
        turns = ("lowest", "sampled")
    return [turns[number % len(turns)] for number in range(count)]


@lru_cache(maxsize=64)
def cell_shapes(sites: int, most: int) -> tuple[Supercell, ...]:
    """Choose cells of so many sites that differ in which sites see their own images."""
    steps = shell_steps("fcc", _SHELLS)
    kinds: dict[tuple[int, ...], Supercell] = {}
    listed = list(_triangles(sites))
    listed = listed[:: max(1, len(listed) // _MOST_SHAPES)]
    for rows in listed:
        cell = torus(rows)
        own = [int((cell.locate(shell)[0] == 0).sum()) for shell in steps]
        doubled = [
            len(shell) - len(np.unique(cell.locate(shell)[0])) for shell in steps
        ]
        kinds.setdefault((*own, *doubled[:2]), rows)
    # Those whose own images are farthest first: least is aliased there.
    return tuple(_reduced(kinds[mark]) for mark in sorted(kinds)[: max(1, most)])


def _triangles(sites: int) -> Iterator[Supercell]:
    """Yield every supercell of a number of primitive cells once."""
    for a in (n for n in range(1, sites + 1) if sites % n == 0):
        rest = sites // a
        for b in (n for n in range(1, rest + 1) if rest % n == 0):
            c = rest // b
            for x in range(b):
                for y in range(c):
                    for z in range(c):
                        yield ((a, x, y), (0, b, z), (0, 0, c))


def _reduced(rows: Supercell) -> Supercell:
    """Return short vectors of the same supercell."""
    vectors = np.array(rows)
    changed = True
    while changed:
        changed = False
        for i in range(3):
            for j in range(3):
                if i == j:
                    continue
                lengths = [
                    float(np.linalg.norm((vectors[i] + k * vectors[j]) @ FCC))
                    for k in (-1, 0, 1)
                ]
                best = int(np.argmin(lengths)) - 1
                if best and lengths[best + 1] < lengths[1] - 1e-9:
                    vectors[i] += best * vectors[j]
                    changed = True
    if np.linalg.det(vectors) < 0:
        vectors = -vectors
    a, b, c = ((int(x), int(y), int(z)) for x, y, z in vectors)
    return a, b, c


def ideal_cell(matrix: Supercell, decoration: Decoration, edge: float) -> Structure:
    """
    Put species on the points of a rock salt, cations first.

    Parameters
    ----------
    matrix
        Supercell in primitive vectors.
    decoration
        Species of the cations and of the anions, in the order of the torus's points;
        no anions for a lattice of cations alone.
    edge
        Of the conventional cubic cell in angstrom.
    """
    cell = torus(matrix)
    inverse = np.linalg.inv(cell.matrix)
    points = cell.points()
    places = [points @ inverse]
    if decoration[1]:
        places.append((points + 0.5) @ inverse)
    one_of = {
        name: Composition({Species.from_str(name): 1})
        for name in set(sum(decoration, ()))
    }
    return Structure(
        cell.matrix @ FCC * (edge / np.sqrt(2)),
        [one_of[name] for side in decoration for name in side],
        np.vstack(places) % 1,
    )


def _random_cell(
    matrix: Supercell,
    cations: Mapping[str, int],
    anions: Mapping[str, int],
    edge: float,
    seed: int,
) -> Structure:
    random = np.random.default_rng(seed)
    sides = [
        tuple(
            str(one)
            for one in random.permutation(
                [name for name, count in side.items() for _ in range(count)]
            )
        )
        for side in (cations, anions)
    ]
    return ideal_cell(matrix, (sides[0], sides[1]), edge)


def _decorated(
    kind: CellKind,
    state: LatticeState,
    random: np.random.Generator,
    rung: int,
    temperature: float | None,
) -> NDArray[np.int64]:
    """Return a decoration of one kind."""
    if kind == "random":
        return state.species
    if kind == "sampled":
        walk = Walk(state, 1 / (BOLTZMANN * float(temperature or 0)), random)
        for _ in range(10 * _SWEEPS):
            walk.sweep()
        return walk.species
    spread = swap_spread(state, random)
    if kind == "annealed":
        walk = Walk(state, 1 / (_LADDER[rung] * spread), random)
        for _ in range(_SWEEPS):
            walk.sweep()
        return walk.species
    return annealed(state, random, spread)[0]


def swap_spread(state: LatticeState, random: np.random.Generator) -> float:
    """Return how much the energy of a random decoration scatters for one swap, eV."""
    species = state.species.copy()
    energies = []
    cations = state.tables.cations
    for _ in range(24):
        species[:cations] = random.permutation(species[:cations])
        species[cations:] = random.permutation(species[cations:])
        energies.append(state.energy(species))
    mixed = max(1, len(species) - len({*state.names}))
    return max(float(np.std(energies) / np.sqrt(mixed)), 1e-6)


def annealed(
    state: LatticeState,
    random: np.random.Generator,
    spread: float | None = None,
    *,
    sweeps: int = _SWEEPS,
) -> tuple[NDArray[np.int64], float]:
    """
    Cool a decoration and return the lowest one on the way, with its energy in eV.

    Parameters
    ----------
    state
        Where it starts; the composition is kept.
    random
        Random numbers.
    spread
        Unit of temperature in eV; that of a swap if not given.
    sweeps
        At each of twelve temperatures.
    """
    unit = spread or swap_spread(state, random)
    walk = Walk(state, 1.0, random)
    walk.species[:] = state.species
    best, lowest = walk.species.copy(), state.energy(walk.species)
    start, changed = lowest, 0.0
    for factor in _COOLING:
        walk.beta = 1 / (factor * unit)
        for _ in range(sweeps):
            walk.sweep()
            changed = start + walk.changed
            if changed < lowest - 1e-9:
                best, lowest = walk.species.copy(), changed
    return best, state.energy(best)


def _fingerprint(state: LatticeState, species: NDArray[np.int64]) -> tuple[object, ...]:
    """Tell decorations apart that no symmetry makes the same, nearly always."""
    pairs: dict[tuple[int, int, int], int] = defaultdict(int)
    neighbours = state.tables.neighbours
    for slot in range(neighbours.shape[1]):
        inside = neighbours[:, slot] >= 0
        both = np.stack([species[inside], species[neighbours[inside, slot]]])
        for a, b in np.sort(both, axis=0).T.tolist():
            pairs[slot // 12, a, b] += 1
    return (round(state.energy(species), 6), *sorted(pairs.items()))


def with_species(
    start: Structure, state: LatticeState, species: NDArray[np.int64]
) -> Structure:
    """Return a cell with another decoration of its sites."""
    sites = np.concatenate([state.sites.cations, state.sites.anions])
    names: list[str] = [""] * len(start)
    for site, kind in zip(sites.tolist(), species.tolist(), strict=True):
        names[site] = state.names[kind]
    return Structure(
        start.lattice, list(map(Species.from_str, names)), start.frac_coords
    )
