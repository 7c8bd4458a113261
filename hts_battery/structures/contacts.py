"""Contacts between atoms: which of the parent's survive, and how many each has."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.structures.cells import build_cell
from hts_battery.structures.prototypes import load_prototype

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.structures.parent_map import ParentMap

# A contact as long as the shortest of its kind, to this fraction, is a nearest one.
_FIRST_SHELL = 1.25
_PRIMITIVE = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


class Coordination(NamedTuple):
    """Numbers of neighbours of the cations of a relaxed cell."""

    numbers: dict[str, dict[str, int]]
    """Sublattice → number of neighbours → number of cations."""
    changed: float
    """Share of the cations with another number than at the start."""


def contacts_kept(mapped: ParentMap, *, stretch: float) -> float:
    """
    Share of the parent's nearest contacts that are not stretched too far.

    Parameters
    ----------
    mapped
        The relaxed cell on its parent.
    stretch
        A contact longer than this many times its length, scaled with the volume, is
        lost.
    """
    start, relaxed, moves = mapped.start, mapped.relaxed, mapped.moves
    names = np.array(start.site_properties["sublattice"])
    # Scaled to the starting volume, so that swelling alone breaks nothing.
    lattice = relaxed.lattice.matrix * (start.volume / relaxed.volume) ** (1 / 3)
    kept = total = 0
    for first, second in load_prototype(mapped.cell.prototype).bonds:
        reach = _first_shell(start, names, first, second)
        i, j, images, lengths = start.get_neighbor_list(reach)
        bonded = (names[i] == first) & (names[j] == second)
        i, j, images, lengths = i[bonded], j[bonded], images[bonded], lengths[bonded]
        vectors = (
            start.frac_coords[j] + moves[j] + images - start.frac_coords[i] - moves[i]
        )
        kept += int(
            np.sum(np.linalg.norm(vectors @ lattice, axis=1) < stretch * lengths)
        )
        total += len(lengths)
    return kept / total if total else 1.0


def _first_shell(
    start: Structure, names: NDArray[np.str_], first: str, second: str
) -> float:
    """Length up to which a contact between two sublattices is a nearest one."""
    distances = start.distance_matrix[names == first][:, names == second]
    return float(distances[distances > 0].min()) * _FIRST_SHELL


def coordination(mapped: ParentMap) -> Coordination:
    r"""
    Count the neighbours of every cation and compare with the start.

    A neighbour is an atom of the sublattice that the parent's file names as bonded,
    nearer than :math:`r_c (V / V_\mathrm{parent})^{1/3}`, with :math:`r_c` half-way
    between the last nearest and the first further one in the parent lattice. An empty
    anion site is missing at the start too, and changes nothing.

    Parameters
    ----------
    mapped
        The relaxed cell on its parent.
    """
    names = np.array(mapped.start.site_properties["sublattice"])
    found: dict[str, dict[str, int]] = {}
    cations = changed = 0
    for first, second, cutoff in _coordination_cutoffs(mapped.cell.prototype):
        here = np.flatnonzero(names == first)
        if not len(here):
            continue
        before = _neighbours(
            mapped, mapped.start, names, np.arange(len(names)), second, cutoff
        )
        after = _neighbours(
            mapped, mapped.relaxed, names, mapped.matched, second, cutoff
        )
        counts = Counter(int(n) for n in after[here])
        found[first] = {str(n): counts[n] for n in sorted(counts)}
        cations += len(here)
        changed += int(np.sum(before[here] != after[here]))
    return Coordination(found, changed / cations if cations else 0.0)


def _neighbours(
    mapped: ParentMap,
    structure: Structure,
    names: NDArray[np.str_],
    matched: NDArray[np.intp],
    second: str,
    cutoff: float,
) -> NDArray[np.intp]:
    """Neighbours on a sublattice of each atom, in the order of the start."""
    parent_volume = abs(np.linalg.det(mapped.cell.lattice))
    reach = cutoff * float(structure.volume / parent_volume) ** (1 / 3)
    own_names = np.empty_like(names)
    own_names[matched] = names
    i, j, _, _ = structure.get_neighbor_list(reach)
    numbers = np.bincount(i[own_names[j] == second], minlength=len(names))
    return np.asarray(numbers[matched])


@lru_cache(maxsize=64)
def _coordination_cutoffs(prototype_name: str) -> tuple[tuple[str, str, float], ...]:
    """Bonded sublattices and the length that ends the first shell of the first."""
    prototype = load_prototype(prototype_name)
    cell = build_cell(prototype_name, _PRIMITIVE)
    found = []
    for first, second in prototype.bonds:
        number = prototype.sublattices[first].coordination
        lengths = _lengths(
            cell.coordinates[cell.sites_of(first)],
            cell.coordinates[cell.sites_of(second)],
            cell.lattice,
        )
        inside, outside = lengths[:, number - 1].max(), lengths[:, number].min()
        if inside < outside:
            found.append((first, second, float(inside + outside) / 2))
    return tuple(found)


def _lengths(
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    lattice: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sorted distances from each row to the columns and their images nearby."""
    steps = np.arange(-2, 3)
    images = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    ends = (columns[:, None, :] + images).reshape(-1, 3)
    vectors = (ends[None, :, :] - rows[:, None, :]) @ lattice
    return np.asarray(np.sort(np.linalg.norm(vectors, axis=2), axis=1))
