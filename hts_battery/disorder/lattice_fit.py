"""Fit a lattice model to the energies of relaxed cells."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import lsq_linear

from hts_battery.disorder.lattice_model import LatticeModel, pair_tables
from hts_battery.errors import OrderingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.disorder.lattice_model import LatticeState

_CATION_SHELLS = 2
_OTHER_SHELLS = 1
_FOLDS = 5
_FEWEST = 8  # cells, and two compositions, below which nothing is fitted
_COLLAPSED = 0.6  # of the middle volume per atom
_SWELLED = 1.7
_RIDGES = tuple(10.0**power for power in range(-12, 1))  # (eV per atom)^2 per (eV)^2
_EXACT = 1e-6  # eV/atom: without noise nothing needs to be held small
_WEAK = 1e-12  # ridge of the species, whose amounts depend on each other
_SWAPS = 20  # swaps of a cell whose error is averaged

PairKey = tuple[str, str, int]
"""Two species, by name, and the shell."""


class LatticeFit(NamedTuple):
    """A lattice model, and how far it is to be trusted."""

    model: LatticeModel
    dielectric: float | None
    """What divides electrostatics; None where they do not help."""
    error: float
    """Root mean square error in eV/atom of compositions that were left out."""
    absolute_error: float
    """Mean absolute error in eV/atom of the same."""
    swap_error: float
    """Standard error in eV of the energy of a swap, from the fit's covariance."""
    refused: dict[int, str]
    """Cells that were not used, by their number, each with its reason."""
    used: tuple[int, ...]
    """Numbers of the cells that were."""
    ridge: float
    """Penalty that left-out cells chose."""
    features: int
    """Parameters of the model: pairs, electrostatics, species."""
    rank: int
    """How many of them the cells tell apart."""


class _Features(NamedTuple):
    """What the energies of cells are linear in, for one atom."""

    matrix: NDArray[np.float64]
    """(cells, features): electrostatics, species, pairs."""
    species: tuple[str, ...]
    pairs: tuple[PairKey, ...]

    @property
    def penalised(self) -> NDArray[np.float64]:
        """Say which features are held small: the pairs."""
        free = 1 + len(self.species)
        return np.concatenate([np.zeros(free), np.ones(len(self.pairs))])


def fit_lattice_model(
    structures: Sequence[Structure],
    energies: Sequence[float],
    *,
    parent: str = "rocksalt",
    seed: int = 0,
) -> LatticeFit:
    r"""
    Fit energies of species, of pairs and of electrostatics to relaxed cells.

    .. math::

        \frac{E}{N} = \sum_s c_s \mu_s + \frac{E_\mathrm{Ewald}}{\epsilon N}
        + \frac1N \sum_{ab,\,\mathrm{shell}} J_{ab} n_{ab}

    by least squares with a ridge on the pairs and :math:`1/\epsilon \ge 0`. The ridge
    is the one with the smallest error of cells left out one by one; the error that is
    reported is that of whole compositions left out. Two shells of cation pairs, the
    first of cation-anion and anion-anion pairs where anions mix.

    Parameters
    ----------
    structures
        Relaxed cells with oxidation states, of several shapes: on one shape shells
        cannot be told apart.
    energies
        Of the whole cells in eV, all of one calculator. Energies of unrelaxed cells
        order everything up to 3,000 K.
    parent
        Parent lattice of all of them.
    seed
        Of the folds.

    Raises
    ------
    OrderingError
        Numbers of structures and energies differ, or too few cells or compositions are
        left.
    """
    if len(structures) != len(energies):
        raise OrderingError(
            f"{len(structures)} structures and {len(energies)} energies: one each"
        )
    states, refused = _mapped(structures, energies, parent)
    used = tuple(sorted(states))
    groups = [structures[number].composition.reduced_formula for number in used]
    if len(used) < _FEWEST or len(set(groups)) < 2:  # noqa: PLR2004
        reasons = Counter(refused.values())
        listed = "; ".join(f"{count} {why}" for why, count in reasons.most_common(3))
        raise OrderingError(
            f"{len(used)} cells of {len(set(groups))} compositions are left of "
            f"{len(structures)}: {_FEWEST} of two compositions are needed"
            + (f" ({listed})" if listed else "")
        )
    edge = float(np.mean([_edge(structures[number]) for number in used]))
    placed = LatticeModel(parent, {}, dielectric=1.0, edge=edge)
    chosen = [placed.state(structures[number]) for number in used]
    features = _features(chosen)
    atoms = np.array([len(state.species) for state in chosen])
    target = np.array([energies[number] for number in used]) / atoms
    ridge = _best_ridge(features, target)
    errors = _left_out(features, target, _folds(groups, seed), ridge)
    solution = _solve(features, target, ridge)
    model = _model(parent, features, solution, edge)
    return LatticeFit(
        model,
        model.dielectric,
        float(np.sqrt((errors**2).mean())),
        float(np.abs(errors).mean()),
        _swap_error(features, chosen, ridge, float((errors**2).mean()), seed),
        refused,
        used,
        ridge,
        features.matrix.shape[1],
        int(np.linalg.matrix_rank(features.matrix)),
    )


def _mapped(
    structures: Sequence[Structure], energies: Sequence[float], parent: str
) -> tuple[dict[int, LatticeState], dict[int, str]]:
    """Put cells on the lattice; those that do not fit have their reason."""
    model = LatticeModel(parent, {}, dielectric=None)
    volumes = np.array([one.volume / len(one) for one in structures])
    middle = float(np.median(volumes)) if len(volumes) else 0.0
    states: dict[int, LatticeState] = {}
    refused: dict[int, str] = {}
    for number, structure in enumerate(structures):
        ratio = volumes[number] / middle
        if not np.isfinite(energies[number]):
            refused[number] = "its energy is no number"
        elif ratio < _COLLAPSED:
            refused[number] = "collapsed: its volume per atom is far below the others'"
        elif ratio > _SWELLED:
            refused[number] = "swelled: its volume per atom is far above the others'"
        elif any(getattr(s, "oxi_state", None) is None for s in structure.composition):
            refused[number] = "without oxidation states"
        elif abs(structure.charge) > 1e-3:  # noqa: PLR2004
            refused[number] = "not neutral by its oxidation states"
        else:
            try:
                states[number] = model.state(structure)
            except OrderingError:
                refused[number] = "left the parent lattice"
    return states, refused


def _edge(structure: Structure) -> float:
    """Return the edge of a conventional cubic cell of four cations and anions."""
    return float((8 * structure.volume / len(structure)) ** (1 / 3))


def _features(states: Sequence[LatticeState]) -> _Features:
    """Count species and pairs of cells and sum their electrostatics, for one atom."""
    rows = [_counts(state) for state in states]
    species = tuple(sorted({name for state in states for name in state.names}))
    implied = _implied(states)
    pairs = tuple(
        sorted(
            {key for row in rows for key in row if frozenset(key[:2]) not in implied}
        )
    )
    matrix = np.zeros((len(states), 1 + len(species) + len(pairs)))
    for at, (state, row) in enumerate(zip(states, rows, strict=True)):
        atoms = len(state.species)
        matrix[at, 0] = state.energy(state.species) / atoms
        numbers = np.bincount(state.species, minlength=len(state.names))
        for name, count in zip(state.names, numbers.tolist(), strict=True):
            matrix[at, 1 + species.index(name)] = count / atoms
        for key, count in row.items():
            if key in pairs:
                matrix[at, 1 + len(species) + pairs.index(key)] = count / atoms
    return _Features(matrix, species, pairs)


def _implied(states: Sequence[LatticeState]) -> set[frozenset[str]]:
    """
    List the cation-anion pairs whose number the composition and the others tell.

    Every cation has six anions: what is not beside the less frequent anions is beside
    the most frequent one, and an anion that is not beside other cations is beside the
    most frequent cation. The energies of the other pairs are relative to these.
    """
    amounts: list[Counter[str]] = [Counter(), Counter()]
    for state in states:
        anion = _on_anions(state)
        numbers = np.bincount(state.species, minlength=len(state.names)).tolist()
        for at, name in enumerate(state.names):
            amounts[bool(anion[at])][name] += numbers[at]
    cations, anions = amounts
    if not (cations and anions):
        return set()
    (cation, _), (anion_name, _) = cations.most_common(1)[0], anions.most_common(1)[0]
    pairs = {frozenset((one, anion_name)) for one in cations}
    return pairs | {frozenset((cation, one)) for one in anions}


def _counts(state: LatticeState) -> dict[PairKey, float]:
    """Count the unlike pairs of a cell, shell by shell."""
    species = len(state.names)
    anion = _on_anions(state)
    found: dict[PairKey, float] = {}
    for first, second, shells in (
        (False, False, _CATION_SHELLS),
        (True, True, _OTHER_SHELLS),
        (False, True, _OTHER_SHELLS),
    ):
        if second and anion.sum() < 2:  # noqa: PLR2004 - one anion: nothing mixes
            continue
        for shell in range(shells):
            numbers = _pair_numbers(state, (first, second, shell), species)
            for a, b in combinations(range(species), 2):
                wanted = sorted((bool(anion[a]), bool(anion[b])))
                if wanted == sorted((first, second)) and numbers[a, b]:
                    one, other = sorted((state.names[a], state.names[b]))
                    found[one, other, shell] = float(numbers[a, b])
    return found


def _on_anions(state: LatticeState) -> NDArray[np.bool_]:
    """Say which species stand on anion sites."""
    cations = state.tables.cations
    present = np.zeros(len(state.names), dtype=bool)
    present[np.unique(state.species[cations:])] = True
    return present


def _pair_numbers(
    state: LatticeState, kind: tuple[bool, bool, int], species: int
) -> NDArray[np.float64]:
    """Count the pairs of species of one shell, each pair once."""
    tables = pair_tables(
        state.sites.torus,
        state.kind,
        {kind: np.zeros((species, species))},
        species,
        has_anions=len(state.sites.anions) > 0,
    )
    rows, columns = np.nonzero(tables.neighbours >= 0)
    first = state.species[rows]
    second = state.species[tables.neighbours[rows, columns]]
    counts = np.bincount(first * species + second, minlength=species**2)
    square = counts.reshape(species, species).astype(float)
    return np.asarray((square + square.T) / 2)


def _folds(groups: Sequence[str], seed: int) -> list[NDArray[np.intp]]:
    """Split cells so that a composition is in one part only."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    parts = np.array_split(order, min(_FOLDS, len(names)))
    labels = np.array([names.index(group) for group in groups])
    return [np.flatnonzero(np.isin(labels, part)) for part in parts]


def _best_ridge(features: _Features, target: NDArray[np.float64]) -> float:
    """Choose the ridge by the errors of cells left out one by one, in closed form."""
    matrix = features.matrix
    sizes = []
    for ridge in _RIDGES:
        root = np.sqrt(_penalty(features, len(target), ridge))
        inverse = np.linalg.pinv(np.vstack([matrix, np.diag(root)]))
        errors = target - matrix @ (inverse[:, : len(target)] @ target)
        leverage = np.einsum("ij,ji->i", matrix, inverse[:, : len(target)])
        sizes.append(float(((errors / (1 - leverage).clip(1e-6)) ** 2).mean()))
    least = int(np.argmin(sizes))
    return 0.0 if sizes[least] < _EXACT**2 else _RIDGES[least]


def _left_out(
    features: _Features,
    target: NDArray[np.float64],
    folds: Iterable[NDArray[np.intp]],
    ridge: float,
) -> NDArray[np.float64]:
    """Return the errors of cells whose composition was not fitted to, in eV/atom."""
    errors = np.empty(len(target))
    for part in folds:
        kept = np.setdiff1d(np.arange(len(target)), part)
        inside = features._replace(matrix=features.matrix[kept])
        solution = _solve(inside, target[kept], ridge)
        errors[part] = features.matrix[part] @ solution - target[part]
    return errors


def _penalty(features: _Features, cells: int, ridge: float) -> NDArray[np.float64]:
    """Return what holds each parameter small; species are free, but not independent."""
    return np.asarray(cells * np.where(features.penalised > 0, ridge, _WEAK))


def _solve(
    features: _Features, target: NDArray[np.float64], ridge: float
) -> NDArray[np.float64]:
    """Solve the penalised least squares with 1/epsilon of zero at least."""
    width = features.matrix.shape[1]
    penalty = np.sqrt(_penalty(features, len(target), ridge))
    matrix = np.vstack([features.matrix, np.diag(penalty)])
    right = np.concatenate([target, np.zeros(width)])
    free = np.linalg.lstsq(matrix, right, rcond=None)[0]
    if free[0] >= 0:
        return np.asarray(free)
    lower = np.full(width, -np.inf)
    lower[0] = 0
    return np.asarray(lsq_linear(matrix, right, (lower, np.inf), method="bvls").x)


def _model(
    parent: str, features: _Features, solution: NDArray[np.float64], edge: float
) -> LatticeModel:
    """Write a solution as a model."""
    inverse = float(solution[0])
    first = 1 + len(features.species)
    species = dict(zip(features.species, solution[1:first].tolist(), strict=True))
    pairs: dict[tuple[str, str], list[float]] = {}
    for (one, other, shell), value in zip(
        features.pairs, solution[first:].tolist(), strict=True
    ):
        shells = pairs.setdefault((one, other), [])
        shells.extend([0.0] * (shell + 1 - len(shells)))
        shells[shell] = value
    return LatticeModel(
        parent,
        pairs,
        dielectric=1 / inverse if inverse > 0 else None,
        species_energies=species,
        edge=edge,
    )


def _swap_error(
    features: _Features,
    states: Sequence[LatticeState],
    ridge: float,
    variance: float,
    seed: int,
) -> float:
    """Carry the error of the fit over to the energy of a swap, averaged over swaps."""
    matrix = features.matrix
    cells = len(matrix)
    penalty = _penalty(features, cells, ridge)
    inverse = np.linalg.pinv(matrix.T @ matrix + np.diag(penalty), hermitian=True)
    covariance = variance * inverse @ (matrix.T @ matrix) @ inverse
    random = np.random.default_rng(seed)
    squares = []
    for state in states[:: max(1, cells // _SWAPS)]:
        swapped = _swapped(state, random)
        if swapped is None:
            continue
        pair = _aligned([state, swapped], features)
        change = (pair[1] - pair[0]) * len(state.species)
        squares.append(float(change @ covariance @ change))
    return float(np.sqrt(np.mean(squares))) if squares else 0.0


def _swapped(state: LatticeState, random: np.random.Generator) -> LatticeState | None:
    """Swap two unlike cations; None where there is one kind."""
    cations = state.tables.cations
    species = state.species.copy()
    one = int(random.integers(cations))
    others = np.flatnonzero(species[:cations] != species[one])
    if not len(others):
        return None
    other = int(random.choice(others))
    species[[one, other]] = species[[other, one]]
    return state._replace(species=species)


def _aligned(
    states: Sequence[LatticeState], features: _Features
) -> NDArray[np.float64]:
    """Write electrostatics and pairs of cells of one composition in a fit's columns."""
    matrix = np.zeros((len(states), features.matrix.shape[1]))
    first = 1 + len(features.species)
    for at, state in enumerate(states):
        atoms = len(state.species)
        matrix[at, 0] = state.energy(state.species) / atoms
        counts = _counts(state)
        for column, key in enumerate(features.pairs, start=first):
            matrix[at, column] = counts.get(key, 0.0) / atoms
    return matrix
