"""Which site of its parent lattice every atom of a relaxed cell belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from hts_battery.errors import OrderingError
from hts_battery.schemas.species import VACANCY
from hts_battery.structures.cells import build_cell
from hts_battery.structures.neighbours import nearest_image

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.schemas.structure import OrderedCell
    from hts_battery.structures.cells import Cell


class ParentMap(NamedTuple):
    """
    Relaxed atoms against the parent's sites, in the relaxed lattice.

    Arrays run over the atoms in the order of the starting structure.
    """

    cell: Cell
    """The empty parent cell."""
    start: Structure
    """The structure before relaxation."""
    relaxed: Structure
    """The structure after it."""
    matched: NDArray[np.intp]
    """Index in the relaxed structure of each starting atom."""
    moves: NDArray[np.float64]
    """Fractional displacement of each atom, the common shift removed."""
    own: NDArray[np.intp]
    """Parent site on which each atom started."""
    nearest: NDArray[np.intp]
    """Parent site nearest to each atom."""
    off_lattice: NDArray[np.float64]
    """Distance of each atom from that site, angstrom."""

    @property
    def displacements(self) -> NDArray[np.float64]:
        """Distance of each atom from its own site in angstrom."""
        return np.asarray(
            np.linalg.norm(self.moves @ self.relaxed.lattice.matrix, axis=1)
        )

    @property
    def site_map(self) -> tuple[int, ...]:
        """Nearest parent site of each atom in the order of the relaxed structure."""
        nearest = np.empty_like(self.nearest)
        nearest[self.matched] = self.nearest
        return tuple(int(site) for site in nearest)

    @property
    def sublattices(self) -> tuple[str, ...]:
        """Sublattice of each atom in the order of the relaxed structure."""
        names = np.array(self.start.site_properties["sublattice"])
        relaxed = np.empty_like(names)
        relaxed[self.matched] = names
        return tuple(str(name) for name in relaxed)

    def decoration(self, ordered: OrderedCell) -> tuple[str, ...] | None:
        """Species on every parent site after relaxation, where one to one."""
        if len(np.unique(self.nearest)) < len(self.nearest):
            return None
        species = [VACANCY] * len(ordered.decoration)
        for before, after in zip(self.own, self.nearest, strict=True):
            species[after] = ordered.decoration[before]
        return tuple(species)


def map_to_parent(ordered: OrderedCell, relaxed: Structure) -> ParentMap:
    """
    Find the parent site nearest to every atom of a relaxed cell.

    Atoms are matched to the starting ones by their order, or, where a program sorted
    them, by element and distance; the rigid shift of all atoms is removed; the cell
    may be strained and rotated.
    """
    start = ordered.to_structure()
    cell = build_cell(ordered.prototype, ordered.supercell)
    matched = _matched(start, relaxed)
    moves = _fractional_moves(start, relaxed, matched)
    distances = relaxed.lattice.get_all_distances(
        start.frac_coords + moves, cell.coordinates
    )
    nearest = distances.argmin(axis=1)
    return ParentMap(
        cell,
        start,
        relaxed,
        matched,
        moves,
        np.array(start.site_properties["parent_site"]),
        np.asarray(nearest),
        distances[np.arange(len(nearest)), nearest],
    )


def _matched(start: Structure, relaxed: Structure) -> NDArray[np.intp]:
    """For each starting atom the index of the relaxed atom that it became."""
    before = [site.specie.symbol for site in start]
    after = [site.specie.symbol for site in relaxed]
    if sorted(before) != sorted(after):
        raise OrderingError(
            f"the relaxed structure holds {relaxed.composition.formula}, the ordered "
            f"cell {start.composition.formula}: not the same atoms"
        )
    if before == after:
        return np.arange(len(before))
    distances = relaxed.lattice.get_all_distances(
        start.frac_coords, relaxed.frac_coords
    )
    other = np.array(before)[:, None] != np.array(after)[None, :]
    # An assignment across elements must cost more than any within.
    distances[other] = 10 * distances.max() * len(before)
    return np.asarray(linear_sum_assignment(distances)[1])


def _fractional_moves(
    start: Structure, relaxed: Structure, matched: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Fractional displacement of each starting atom, the common shift removed."""
    moves = relaxed.frac_coords[matched] - start.frac_coords
    # Relative to one atom first, so that a common shift near half a cell does not
    # wrap some atoms and not others.
    moves = nearest_image(moves - moves[0])
    moves = nearest_image(moves - np.median(moves, axis=0))
    return np.asarray(moves - moves.mean(axis=0))
