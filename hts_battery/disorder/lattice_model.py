"""Energies of a decorated lattice from the pairs of its species."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.disorder.cells import ANIONS, species_names
from hts_battery.disorder.kernels import kernel
from hts_battery.disorder.lattice_sites import (
    FCC,
    lattice_sites,
    neighbour_table,
    shell_steps,
)
from hts_battery.disorder.parents import parent_lattice
from hts_battery.errors import OrderingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.disorder.torus import Torus


class PairTables(NamedTuple):
    """Neighbours of every site of a cell, and what each kind of pair costs."""

    neighbours: NDArray[np.int32]
    """Site at each slot, cations first, then anions; -1 fills up, (sites, slots)."""
    kinds: NDArray[np.int32]
    """Kind of pair of each slot, a row for cations, a row for anions, (2, slots)."""
    costs: NDArray[np.float64]
    """Energy of a pair of each kind in eV by species, (kinds, species, species)."""
    cations: int
    """Number of cation sites."""


class LatticeModel:
    """
    Pair interactions on a parent lattice.

    Parameters
    ----------
    parent
        Name of the parent lattice.
    pairs
        Energy in eV of each unlike pair of species on shells 1, 2, …

    Examples
    --------
    >>> from hts_battery.disorder.cells import lattice_cell
    >>> model = LatticeModel.from_pairs("rocksalt", {("Li", "Mn"): [0.01]})
    >>> mix = {"cation": {"Li": 0.5, "Mn": 0.5}, "anion": {"O": 1}}
    >>> round(model.energy(lattice_cell("layered", mix, 2)), 6)  # 3 pairs a cation
    1.44
    """

    def __init__(
        self, parent: str, pairs: Mapping[tuple[str, str], Sequence[float]]
    ) -> None:
        self.parent = parent
        self.pairs = {pair: tuple(values) for pair, values in pairs.items()}

    @classmethod
    def from_pairs(
        cls, parent: str, pairs: Mapping[tuple[str, str], Sequence[float]]
    ) -> LatticeModel:
        """
        Make a model of pair energies.

        Parameters
        ----------
        parent
            Name of the parent lattice: any with cations on a face-centred cubic or
            simple cubic lattice.
        pairs
            Energy in eV of each unlike pair of shells 1, 2, … of the pair's two
            sublattices (cation-cation, anion-anion, cation-anion), each pair counted
            once, periodic images too.

        Raises
        ------
        OrderingError
            Unknown parent, a pair of one species with itself, or a pair given twice.
        """
        if parent_lattice(parent).name == "nasicon":
            raise OrderingError("nasicon: its sodium sites are no Bravais lattice")
        seen: set[frozenset[str]] = set()
        for pair in pairs:
            if len(set(pair)) != 2 or frozenset(pair) in seen:  # noqa: PLR2004
                raise OrderingError(
                    f"pair {'-'.join(pair)}: give each unlike pair of species once"
                )
            seen.add(frozenset(pair))
        return cls(parent, pairs)

    def energy(self, structure: Structure) -> float:
        """
        Return the energy of a whole cell in eV.

        Raises
        ------
        OrderingError
            The structure is not on the model's lattice.
        """
        found = lattice_sites(structure)
        kind = "fcc" if found.vectors is FCC else "simple_cubic"
        names = species_names(structure)
        decoration = names[np.concatenate([found.cations, found.anions])]
        known, species = np.unique(decoration, return_inverse=True)
        tables = self.tables(
            found.torus, kind, known.tolist(), has_anions=len(found.anions) > 0
        )
        return float(pair_energy(*tables, species))

    def tables(
        self, cell: Torus, kind: str, species: Sequence[str], *, has_anions: bool
    ) -> PairTables:
        """
        List the neighbours that interact on a cell, and what each pair costs.

        Parameters
        ----------
        cell
            In units of the primitive vectors.
        kind
            ``fcc`` or ``simple_cubic``.
        species
            Names of the species by their number.
        has_anions
            Whether anions stand in the octahedra.
        """
        numbers = {str(name): at for at, name in enumerate(species)}
        costs: dict[tuple[bool, bool, int], NDArray[np.float64]] = {}
        for (one, other), values in self.pairs.items():
            for shell, value in enumerate(values):
                if one not in numbers or other not in numbers or not value:
                    continue
                where = (one in ANIONS, other in ANIONS)
                key = (min(where), max(where), shell)
                matrix = costs.setdefault(key, np.zeros((len(numbers),) * 2))
                matrix[numbers[one], numbers[other]] = value
                matrix[numbers[other], numbers[one]] = value
        return pair_tables(cell, kind, costs, len(numbers), has_anions=has_anions)


def pair_tables(
    cell: Torus,
    kind: str,
    costs: Mapping[tuple[bool, bool, int], NDArray[np.float64]],
    species: int,
    *,
    has_anions: bool,
) -> PairTables:
    """
    List the neighbours of the kinds of pairs that are given.

    Parameters
    ----------
    cell, kind, has_anions
        As in :meth:`LatticeModel.tables`.
    costs
        ``(first is an anion, second is an anion, shell)`` → matrix by species.
    species
        Number of species.
    """
    count = cell.size
    sides: list[list[tuple[int, NDArray[np.int32]]]] = [[], []]
    shells = max((shell for _, _, shell in costs), default=-1) + 1
    for at, (first, second, shell) in enumerate(costs):
        steps = shell_steps(kind, max(shells, 1), between=first != second)[shell]
        table = neighbour_table(cell, steps)
        if first == second:
            sides[first].append((at, table + count * first))
            continue
        sides[0].append((at, table + count))
        sides[1].append((at, neighbour_table(cell, -steps)))
    slots = max(sum(table.shape[1] for _, table in side) for side in sides)
    neighbours = np.full((count * (1 + has_anions), slots), -1, dtype=np.int32)
    kinds = np.zeros((2, slots), dtype=np.int32)
    for anion, side in enumerate(sides[: 1 + has_anions]):
        column = 0
        for at, table in side:
            width = table.shape[1]
            rows = slice(anion * count, (anion + 1) * count)
            neighbours[rows, column : column + width] = table
            kinds[anion, column : column + width] = at
            column += width
    matrices = np.array(list(costs.values()), dtype=np.float64)
    return PairTables(neighbours, kinds, matrices.reshape(-1, species, species), count)


@kernel
def site_energy(
    neighbours: NDArray[np.int32],
    kinds: NDArray[np.int32],
    costs: NDArray[np.float64],
    cations: int,
    species: NDArray[np.int64],
    site: int,
) -> float:
    """Return the energy of the pairs of one site."""
    side = 1 if site >= cations else 0
    total = 0.0
    for slot in range(neighbours.shape[1]):
        other = neighbours[site, slot]
        if other < 0:
            break
        total += costs[kinds[side, slot], species[site], species[other]]
    return total


@kernel
def pair_energy(
    neighbours: NDArray[np.int32],
    kinds: NDArray[np.int32],
    costs: NDArray[np.float64],
    cations: int,
    species: NDArray[np.int64],
) -> float:
    """Return the energy of a decoration in eV: half of what its sites sum to."""
    total = 0.0
    for site in range(len(neighbours)):
        total += site_energy(neighbours, kinds, costs, cations, species, site)
    return total / 2
