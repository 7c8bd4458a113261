"""Fit a lattice model to the energies of relaxed cells."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import lsq_linear

from hts_battery.disorder.lattice_features import (
    LatticeFeatures,
    feature_row,
    lattice_features,
)
from hts_battery.disorder.lattice_model import LatticeModel
from hts_battery.disorder.refusals import mapped_cells
from hts_battery.errors import OrderingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.disorder.lattice_model import LatticeState

_FOLDS = 5
_FEWEST = 8  # cells, below which nothing is fitted
_OUTSIDE = 8.0  # robust standard deviations of left-out cells
_LEAST_OUTSIDE = 0.03  # eV/atom: whatever the others do, this is no other state
_MOST_OUTSIDE = 0.1  # of the cells: more are no outliers but a model that fails
_RIDGES = tuple(10.0**power for power in range(-12, 1))  # (eV per atom)^2 per (eV)^2
_GENTLE = 1e-6  # ridge under which cells are compared with the others
_EXACT = 1e-6  # eV/atom: without noise nothing needs to be held small
_WEAK = 1e-12  # ridge of the species, whose amounts depend on each other
_SHARES = (0.4, 0.6, 0.8, 1.0)  # of the cells, points of the learning curve
_SWAPS = 20  # swaps of a cell whose error is averaged


class LatticeFit(NamedTuple):
    """A lattice model, and how far it is to be trusted."""

    model: LatticeModel
    dielectric: float | None
    """What divides electrostatics; None where they do not help."""
    error: float
    """Root mean square error in eV/atom of compositions that were left out; of cells
    where all have one composition."""
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
    columns: tuple[str, ...]
    """Names of the parameters, as the covariance has them."""
    covariance: NDArray[np.float64]
    """Of the parameters, from the errors of left-out compositions."""
    learning: tuple[tuple[int, float], ...]
    """Cells fitted to, and the error that they leave, in eV/atom."""
    placed: LatticeModel
    """Puts cells on the lattice as the fit did."""

    def features_of(self, structure: Structure) -> NDArray[np.float64]:
        """Return what the energy of a whole cell is linear in, column by column."""
        state = self.placed.state(structure)
        return feature_row(state, self.columns) * len(state.species)


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
    is the one with the smallest error of whole compositions left out, the error that is
    reported that of other choices of them. Two shells of cation pairs, the
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
        Numbers of structures and energies differ, or too few cells are left.
    """
    if len(structures) != len(energies):
        raise OrderingError(
            f"{len(structures)} structures and {len(energies)} energies: one each"
        )
    states, refused = mapped_cells(structures, energies, parent)
    used = tuple(sorted(states))
    _refuse_few(structures, used, refused)
    edge = float(np.mean([_edge(structures[number]) for number in used]))
    placed = LatticeModel(parent, {}, dielectric=1.0, edge=edge)
    per_atom = np.array([energies[n] / len(structures[n]) for n in used])
    features = lattice_features([placed.state(structures[number]) for number in used])
    outside = _outside(features, per_atom)
    refused |= {used[at]: why for at, why in outside.items()}
    used = tuple(number for number in used if number not in refused)
    _refuse_few(structures, used, refused)
    groups = _groups([structures[number] for number in used])
    chosen = [placed.state(structures[number]) for number in used]
    features = lattice_features(chosen)
    atoms = np.array([len(state.species) for state in chosen])
    target = np.array([energies[number] for number in used]) / atoms
    # Other folds choose than those whose errors are reported.
    ridge = _best_ridge(features, target, _folds(groups, seed + 1))
    errors = _left_out(features, target, _folds(groups, seed), ridge)
    solution = _solve(features, target, ridge)
    model = _model(parent, features, solution, edge)
    covariance = _covariance(features, ridge, float((errors**2).mean()))
    return LatticeFit(
        model,
        model.dielectric,
        float(np.sqrt((errors**2).mean())),
        float(np.abs(errors).mean()),
        _swap_error(features.columns, covariance, chosen, seed),
        refused,
        used,
        ridge,
        features.matrix.shape[1],
        int(np.linalg.matrix_rank(features.matrix)),
        features.columns,
        covariance,
        _learning_curve(features, target, _folds(groups, seed), ridge),
        placed,
    )


def _groups(structures: Sequence[Structure]) -> list[str]:
    """Name what is left out together: a composition; a cell where there is but one."""
    formulas = [one.composition.reduced_formula for one in structures]
    if len(set(formulas)) > 1:
        return formulas
    return [str(number) for number in range(len(formulas))]


def _refuse_few(
    structures: Sequence[Structure], used: Sequence[int], refused: Mapping[int, str]
) -> None:
    """Refuse to fit to fewer cells or compositions than can say anything."""
    if len(used) >= _FEWEST:
        return
    groups = {structures[number].composition.reduced_formula for number in used}
    reasons = Counter(refused.values())
    listed = "; ".join(f"{count} {why}" for why, count in reasons.most_common(3))
    raise OrderingError(
        f"{len(used)} cells of {len(groups)} compositions are left of "
        f"{len(structures)}: {_FEWEST} are needed" + (f" ({listed})" if listed else "")
    )


def _outside(features: LatticeFeatures, target: NDArray[np.float64]) -> dict[int, str]:
    """
    Find cells whose energy no model of the others comes near: another state.

    One at a time, the worst first, since a bad cell spoils what its neighbours are
    compared with.
    """
    kept = np.arange(len(target))
    found: dict[int, str] = {}
    errors = _one_left_out(features, target, _GENTLE)
    while len(found) < _MOST_OUTSIDE * len(target):
        worst = int(np.argmax(np.abs(errors)))
        size = float(abs(errors[worst]))
        others = np.delete(kept, worst)
        inside = features._replace(matrix=features.matrix[others])
        errors = _one_left_out(inside, target[others], _GENTLE)
        # As the others scatter without it: what it spoils is no measure of it.
        spread = 1.4826 * float(np.median(np.abs(errors - np.median(errors))))
        if size <= max(_OUTSIDE * spread, _LEAST_OUTSIDE):
            break
        found[int(kept[worst])] = (
            "another state: its energy is far from what the other cells say"
        )
        kept = others
    return found


def _edge(structure: Structure) -> float:
    """Return the edge of a conventional cubic cell of four cations and anions."""
    return float((8 * structure.volume / len(structure)) ** (1 / 3))


def _folds(groups: Sequence[str], seed: int) -> list[NDArray[np.intp]]:
    """Split cells so that a composition is in one part only."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    parts = np.array_split(order, min(_FOLDS, len(names)))
    labels = np.array([names.index(group) for group in groups])
    return [np.flatnonzero(np.isin(labels, part)) for part in parts]


def _best_ridge(
    features: LatticeFeatures,
    target: NDArray[np.float64],
    folds: Sequence[NDArray[np.intp]],
) -> float:
    """Choose the ridge by the errors of compositions left out; none without noise."""
    exact = _one_left_out(features, target, _RIDGES[0])
    if float((exact**2).mean()) < _EXACT**2:
        return 0.0
    sizes = [
        float((_left_out(features, target, folds, ridge) ** 2).mean())
        for ridge in _RIDGES
    ]
    return _RIDGES[int(np.argmin(sizes))]


def _learning_curve(
    features: LatticeFeatures,
    target: NDArray[np.float64],
    folds: Sequence[NDArray[np.intp]],
    ridge: float,
) -> tuple[tuple[int, float], ...]:
    """Return the error of compositions left out against how many cells were taken."""
    everything = np.arange(len(target))
    order = np.random.default_rng(0).permutation(len(target))
    points = []
    for share in _SHARES:
        errors, cells = [], []
        for part in folds:
            kept = order[~np.isin(order, part)]
            kept = kept[: max(_FEWEST, round(share * len(kept)))]
            inside = features._replace(matrix=features.matrix[kept])
            solution = _solve(inside, target[kept], ridge)
            left = everything[part]
            errors.append(features.matrix[left] @ solution - target[left])
            cells.append(len(kept))
        error = float(np.sqrt((np.concatenate(errors) ** 2).mean()))
        points.append((round(float(np.mean(cells))), error))
    return tuple(points)


def _one_left_out(
    features: LatticeFeatures, target: NDArray[np.float64], ridge: float
) -> NDArray[np.float64]:
    """Return the error of each cell under a fit to all others, in closed form."""
    matrix, cells = features.matrix, len(target)
    root = np.sqrt(_penalty(features, cells, ridge))
    inverse = np.linalg.pinv(np.vstack([matrix, np.diag(root)]))[:, :cells]
    leverage = np.einsum("ij,ji->i", matrix, inverse)
    errors = target - matrix @ (inverse @ target)
    return np.asarray(errors / (1 - leverage).clip(1e-6))


def _left_out(
    features: LatticeFeatures,
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


def _penalty(
    features: LatticeFeatures, cells: int, ridge: float
) -> NDArray[np.float64]:
    """Return what holds each parameter small; species are free, but not independent."""
    return np.asarray(cells * np.where(features.penalised > 0, ridge, _WEAK))


def _solve(
    features: LatticeFeatures, target: NDArray[np.float64], ridge: float
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
    parent: str, features: LatticeFeatures, solution: NDArray[np.float64], edge: float
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


def _covariance(
    features: LatticeFeatures, ridge: float, variance: float
) -> NDArray[np.float64]:
    """Return the covariance of the parameters for errors of a variance."""
    matrix = features.matrix
    penalty = _penalty(features, len(matrix), ridge)
    square = matrix.T @ matrix
    inverse = np.linalg.pinv(square + np.diag(penalty), hermitian=True)
    return np.asarray(variance * inverse @ square @ inverse)


def _swap_error(
    columns: Sequence[str],
    covariance: NDArray[np.float64],
    states: Sequence[LatticeState],
    seed: int,
) -> float:
    """Carry the error of the fit over to the energy of a swap, averaged over swaps."""
    random = np.random.default_rng(seed)
    squares = []
    for state in states[:: max(1, len(states) // _SWAPS)]:
        swapped = _swapped(state, random)
        if swapped is None:
            continue
        change = feature_row(swapped, columns) - feature_row(state, columns)
        change *= len(state.species)
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
