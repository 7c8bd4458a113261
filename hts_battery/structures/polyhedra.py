"""Octahedra and tetrahedra of anions that a parent lattice has, filled or empty."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import Voronoi

from hts_battery.structures.cells import build_cell
from hts_battery.structures.prototypes import load_prototype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hts_battery.structures.cells import Cell
    from hts_battery.structures.parent_map import ParentMap

_PRIMITIVE = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
_IMAGES = 2  # cells round the one looked at: more than twice a polyhedron's radius
_SAME = 0.1  # angstrom; centres nearer than this are one
_OWN = 0.6  # angstrom; a cation this near to a centre stands in its polyhedron
_REACH = 1.3  # of the distance to the nearest other centre: neighbours share a face
_RESOLVED_BY_TOPOLOGY = "nasicon"


class _Ways(NamedTuple):
    """Steps from a cation site to the centres of the polyhedra beside its own."""

    site: int
    """The site in the primitive cell."""
    steps: NDArray[np.float64]
    """Fractional in the primitive cell, one a row."""


def cations_past_half_way(mapped: ParentMap) -> int | None:
    r"""
    Count the cations that are nearer to another polyhedron's centre than to their own.

    Polyhedra are the octahedra and tetrahedra between the anions of the parent, filled
    or empty; their centres are as far from their four or six anions as from none of
    the others. With the displacement :math:`u` of a cation from its own site and the
    step :math:`v` from there to the other centre, both in the relaxed lattice, its
    progress is :math:`u \cdot v / v^2`, and above one half it is past half way.

    Parameters
    ----------
    mapped
        The relaxed cell on its parent.

    Returns
    -------
    int or None
        None for NASICON, whose cavities are found by topology instead.
    """
    if mapped.cell.prototype == _RESOLVED_BY_TOPOLOGY:
        return None
    found = 0
    copies = round(abs(np.linalg.det(np.array(mapped.cell.supercell, dtype=float))))
    to_supercell = np.linalg.inv(np.array(mapped.cell.supercell, dtype=float))
    lattice = mapped.relaxed.lattice.matrix
    primitive_sites = mapped.own // copies
    moves = mapped.moves @ lattice
    for site, steps in _ways(mapped.cell.prototype):
        here = moves[primitive_sites == site]
        vectors = steps @ to_supercell @ lattice
        progress = here @ vectors.T / np.sum(vectors**2, axis=1)
        found += int(np.sum(np.any(progress > 1 / 2, axis=1)))
    return found


@lru_cache(maxsize=64)
def _ways(prototype_name: str) -> tuple[_Ways, ...]:
    """Find the steps from every cation site of the primitive parent cell."""
    prototype = load_prototype(prototype_name)
    cell = build_cell(prototype_name, _PRIMITIVE)
    cations = {first for first, _ in prototype.bonds}
    anions = {second for _, second in prototype.bonds}
    centres = _centres(cell, sorted(anions))
    found = []
    for site, name in enumerate(cell.sublattices):
        if name not in cations:
            continue
        steps = centres - cell.coordinates[site]
        lengths = np.linalg.norm(steps @ cell.lattice, axis=1)
        others = lengths > _OWN
        if np.all(others):  # no centre of a polyhedron: nothing to be past half way
            continue
        steps, lengths = steps[others], lengths[others]
        found.append(_Ways(site, steps[lengths < _REACH * lengths.min()]))
    return tuple(found)


def _centres(cell: Cell, anions: list[str]) -> NDArray[np.float64]:
    """Centres of the polyhedra of anions near the cell, fractional."""
    positions = np.concatenate([cell.coordinates[cell.sites_of(a)] for a in anions])
    steps = range(-_IMAGES, _IMAGES + 1)
    images = np.array(list(product(steps, repeat=3)))
    points = (positions[:, None, :] + images).reshape(-1, 3) @ cell.lattice
    # A vertex of the Voronoi cells of anions is as far from four or more of them, and
    # nearer to no other: the centre of the polyhedron that they span.
    vertices = Voronoi(points).vertices
    fractional = vertices @ np.linalg.inv(cell.lattice)
    # Beyond the outermost cells anions are missing.
    near = np.all(np.abs(fractional - 1 / 2) < _IMAGES, axis=1)
    return _distinct(fractional[near], cell.lattice)


def _distinct(
    points: NDArray[np.float64], lattice: NDArray[np.float64]
) -> NDArray[np.float64]:
    kept: list[NDArray[np.float64]] = []
    for point in points:
        if not kept or (
            np.linalg.norm((np.array(kept) - point) @ lattice, axis=1).min() > _SAME
        ):
            kept.append(point)
    return np.array(kept)
