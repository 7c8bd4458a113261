"""What the energy of a decorated cell is linear in: species, pairs, electrostatics."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.disorder.lattice_model import pair_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.disorder.lattice_model import LatticeState

_CATION_SHELLS = 2
_OTHER_SHELLS = 1

ELECTROSTATICS = "electrostatics"
"""Column of the electrostatic energy, whose parameter is 1/epsilon."""

PairKey = tuple[str, str, int]
"""Two species, by name, and the shell."""


class LatticeFeatures(NamedTuple):
    """What the energies of cells are linear in, for one atom."""

    matrix: NDArray[np.float64]
    """(cells, features): electrostatics, species, pairs."""
    species: tuple[str, ...]
    pairs: tuple[PairKey, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the parameters: electrostatics, species, pairs with their shell."""
        named = [f"{one} {other} {shell + 1}" for one, other, shell in self.pairs]
        return (ELECTROSTATICS, *self.species, *named)

    @property
    def penalised(self) -> NDArray[np.float64]:
        """Say which features are held small: the pairs."""
        free = 1 + len(self.species)
        return np.concatenate([np.zeros(free), np.ones(len(self.pairs))])


def lattice_features(states: Sequence[LatticeState]) -> LatticeFeatures:
    """Count species and pairs of cells and sum their electrostatics, for one atom."""
    species = tuple(sorted({name for state in states for name in state.names}))
    implied = _implied(states)
    counted = {key for state in states for key in _counts(state)}
    pairs = tuple(sorted(key for key in counted if frozenset(key[:2]) not in implied))
    empty = LatticeFeatures(np.zeros((0, 0)), species, pairs)
    matrix = np.array([feature_row(state, empty.columns) for state in states])
    return empty._replace(matrix=matrix)


def feature_row(state: LatticeState, columns: Sequence[str]) -> NDArray[np.float64]:
    """
    Return what the energy of a cell is linear in, for one atom.

    ``state``: put on the lattice by a model of electrostatics alone, with a dielectric
    constant of one. What no column names is left out.
    """
    place = {name: at for at, name in enumerate(columns)}
    row = np.zeros(len(columns))
    row[place[ELECTROSTATICS]] = state.energy(state.species)
    numbers = np.bincount(state.species, minlength=len(state.names))
    found = dict(zip(state.names, numbers.tolist(), strict=True))
    found |= {f"{a} {b} {shell + 1}": n for (a, b, shell), n in _counts(state).items()}
    for name, count in found.items():
        if name in place:
            row[place[name]] = count
    return row / len(state.species)


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
