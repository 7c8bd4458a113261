"""Energies of a decorated lattice: pairs of species, and electrostatics."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.disorder.cells import ANIONS, element_of, site_species
from hts_battery.disorder.ewald_table import charge_potentials, ewald_table
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

    from hts_battery.disorder.ewald_table import EwaldTable
    from hts_battery.disorder.lattice_sites import LatticeSites
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


class LatticeState(NamedTuple):
    """A decorated cell as the kernels take it."""

    tables: PairTables
    species: NDArray[np.int64]
    """Number of the species on each site, cations first."""
    names: tuple[str, ...]
    """Names of the species by their number, with charges where they have one."""
    kind: str
    """``fcc`` or ``simple_cubic``."""
    sites: LatticeSites
    charges: NDArray[np.float64]
    """Charge of each species, 0 where electrostatics are not in the model."""
    ewald: EwaldTable | None
    """Potentials divided by the dielectric constant; None where they are not in it."""
    constant: float
    """Energy of the composition in eV."""

    def potentials(self, species: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the potential at every site of a decoration in volt."""
        if self.ewald is None:
            return np.zeros(len(species))
        charges = self.charges[species]
        cations = self.tables.cations
        return charge_potentials(self.ewald, charges[:cations], charges[cations:])

    def energy(self, species: NDArray[np.int64]) -> float:
        """Return the energy of a decoration in eV."""
        total = self.constant + pair_energy(*self.tables, species)
        if self.ewald is not None:
            charges = self.charges[species]
            total += float(charges @ self.potentials(species)) / 2
        return float(total)


class LatticeModel:
    """
    Energies of a decorated parent lattice.

    Parameters
    ----------
    parent
        Name of the parent lattice.
    pairs
        Energy in eV of each unlike pair of species on shells 1, 2, …
    dielectric
        Electrostatic energies of the oxidation states are divided by it; None leaves
        them out.
    species_energies
        Energy in eV of each atom of a species.
    edge
        Edge of the conventional cubic cell in angstrom; None takes each structure's.

    Examples
    --------
    >>> from hts_battery.disorder.cells import lattice_cell
    >>> model = LatticeModel.from_pairs("rocksalt", {("Li", "Mn"): [0.01]})
    >>> mix = {"cation": {"Li": 0.5, "Mn": 0.5}, "anion": {"O": 1}}
    >>> round(model.energy(lattice_cell("layered", mix, 2)), 6)  # 3 pairs a cation
    1.44
    """

    def __init__(
        self,
        parent: str,
        pairs: Mapping[tuple[str, str], Sequence[float]],
        *,
        dielectric: float | None = None,
        species_energies: Mapping[str, float] | None = None,
        edge: float | None = None,
    ) -> None:
        self.parent = parent
        self.pairs = {pair: tuple(values) for pair, values in pairs.items()}
        self.dielectric = dielectric
        self.species_energies = dict(species_energies or {})
        self.edge = edge

    @classmethod
    def from_pairs(
        cls,
        parent: str,
        pairs: Mapping[tuple[str, str], Sequence[float]],
        dielectric: float | None = None,
    ) -> LatticeModel:
        """
        Make a model of pair energies, with electrostatics where they are asked for.

        Parameters
        ----------
        parent
            Name of the parent lattice: any with cations on a face-centred cubic or
            simple cubic lattice.
        pairs
            Energy in eV of each unlike pair of shells 1, 2, … of the pair's two
            sublattices (cation-cation, anion-anion, cation-anion), each pair counted
            once, periodic images too. An element (``Mn``) stands for all its species,
            ``Mn3+`` for one.
        dielectric
            With it, the electrostatic energy of the oxidation states divided by it is
            added.

        Raises
        ------
        OrderingError
            Unknown parent, a pair of one species with itself, a pair given twice, or a
            dielectric constant that is not positive.
        """
        if parent_lattice(parent).name == "nasicon":
            raise OrderingError("nasicon: its sodium sites are no Bravais lattice")
        if dielectric is not None and not dielectric > 0:
            raise OrderingError(f"dielectric constant {dielectric}: positive, or None")
        seen: set[frozenset[str]] = set()
        for pair in pairs:
            if len(set(pair)) != 2 or frozenset(pair) in seen:  # noqa: PLR2004
                raise OrderingError(
                    f"pair {'-'.join(pair)}: give each unlike pair of species once"
                )
            seen.add(frozenset(pair))
        return cls(parent, pairs, dielectric=dielectric)

    def energy(self, structure: Structure) -> float:
        """
        Return the energy of a whole cell in eV.

        Raises
        ------
        OrderingError
            The structure is not on the model's lattice.
        """
        state = self.state(structure)
        return state.energy(state.species)

    def state(self, structure: Structure) -> LatticeState:
        """
        Put a structure on the lattice, with the tables of its energy.

        Raises
        ------
        OrderingError
            The structure is not on the model's lattice, or has no oxidation states
            where the model has electrostatics.
        """
        found = lattice_sites(structure)
        kind = "fcc" if found.vectors is FCC else "simple_cubic"
        placed = np.concatenate([found.cations, found.anions])
        listed = site_species(structure)
        texts = np.array([str(one) for one in listed])[placed]
        names, species = np.unique(texts, return_inverse=True)
        states = {str(one): getattr(one, "oxi_state", None) for one in listed}
        ewald, charges = None, np.zeros(len(names))
        if self.dielectric is not None:
            charges = _charges(names.tolist(), states)
            edge = self.edge or _edge(structure, found)
            distance = edge / np.sqrt(2) if kind == "fcc" else edge
            ewald = _scaled(
                ewald_table(
                    found.torus,
                    found.vectors,
                    float(distance),
                    has_anions=len(found.anions) > 0,
                ),
                1 / self.dielectric,
            )
        counts = np.bincount(species, minlength=len(names))
        constant = sum(
            self.species_energies.get(name, 0.0) * count
            for name, count in zip(names.tolist(), counts.tolist(), strict=True)
        )
        tables = pair_tables(
            found.torus,
            kind,
            self._costs(names.tolist()),
            len(names),
            has_anions=len(found.anions) > 0,
        )
        return LatticeState(
            tables,
            species.astype(np.int64),
            tuple(names.tolist()),
            kind,
            found,
            charges,
            ewald,
            float(constant),
        )

    def _costs(
        self, names: Sequence[str]
    ) -> dict[tuple[bool, bool, int], NDArray[np.float64]]:
        """Write the pair energies as matrices by species, one a kind of pair."""
        costs: dict[tuple[bool, bool, int], NDArray[np.float64]] = {}
        for (one, other), values in self.pairs.items():
            rows, columns = _numbers(names, one), _numbers(names, other)
            if not (rows and columns):
                continue
            where = (element_of(one) in ANIONS, element_of(other) in ANIONS)
            for shell, value in enumerate(values):
                key = (min(where), max(where), shell)
                matrix = costs.setdefault(key, np.zeros((len(names),) * 2))
                matrix[np.ix_(rows, columns)] = value
                matrix[np.ix_(columns, rows)] = value
        return costs


def _numbers(names: Sequence[str], name: str) -> list[int]:
    """Return the numbers of the species that a name stands for."""
    return [at for at, one in enumerate(names) if name in (one, element_of(one))]


def _charges(
    names: Sequence[str], states: Mapping[str, float | None]
) -> NDArray[np.float64]:
    """Return the charge of each species; one without is refused."""
    without = [name for name in names if states[name] is None]
    if without:
        raise OrderingError(
            f"{', '.join(without)} without an oxidation state: electrostatics need one "
            "on every site"
        )
    return np.array([states[name] for name in names], dtype=float)


def _edge(structure: Structure, found: LatticeSites) -> float:
    """Return the edge of a cubic cell of the structure's volume."""
    cells = found.torus.size / (4 if found.vectors is FCC else 1)
    return float((structure.volume / cells) ** (1 / 3))


def _scaled(table: EwaldTable, factor: float) -> EwaldTable:
    return table._replace(same=table.same * factor, between=table.between * factor)


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
    cell
        In units of the primitive vectors.
    kind
        ``fcc`` or ``simple_cubic``.
    has_anions
        Whether anions stand in the octahedra.
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
    slots = max(1, *(sum(table.shape[1] for _, table in side) for side in sides))
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
    matrices = np.array(list(costs.values()) or [np.zeros((species, species))])
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
