"""Neighbours in a periodic cell: pairs within a distance, nearest images, vectors."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.optimization.neighbors import find_points_in_spheres

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

_PERIODIC = np.ones(3, dtype=np.int64)
_TOLERANCE = 1e-8  # angstrom; a pair this much beyond the distance counts


class NeighbourPairs(NamedTuple):
    """Pairs of sites, each from both of its ends: by first, second, then image."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    images: NDArray[np.int64]
    """Lattice translation of the second as seen from the first, one a row."""
    lengths: NDArray[np.float64]
    """In angstrom."""


def neighbour_pairs(
    lattice: NDArray[np.float64],
    coordinates: NDArray[np.float64],
    cutoff: float,
    *,
    sites: Sequence[int] | None = None,
) -> NeighbourPairs:
    """
    List the pairs of sites within a distance, a site and its own images among them.

    Coordinates are fractional, lengths in angstrom; ``sites`` are the indices,
    ascending, of those that are looked from, all if not given.

    Examples
    --------
    >>> pairs = neighbour_pairs(3 * np.eye(3), np.zeros((1, 3)), 3.1)
    >>> len(pairs.first), pairs.images[0].tolist(), float(pairs.lengths.max())
    (6, [-1, 0, 0], 3.0)
    """
    points = np.ascontiguousarray(coordinates @ lattice)
    chosen = np.arange(len(points)) if sites is None else np.asarray(sites)
    rows, second, images, lengths = points_within(
        lattice, points[chosen], points, cutoff
    )
    first, images = chosen[rows], images.astype(np.int64)
    keep = (first != second) | images.any(axis=1)
    first, second, images = first[keep], second[keep], images[keep]
    # The order of the search hangs on the last digits of positions; this one does not,
    # so that whoever sums over pairs gets the same on every machine.
    low = images.min(axis=0, initial=0)
    spans = images.max(axis=0, initial=0) - low + 1
    shape = (len(points), len(points), *spans)
    order = np.argsort(np.ravel_multi_index((first, second, *(images - low).T), shape))
    return NeighbourPairs(
        first[order], second[order], images[order], lengths[keep][order]
    )


def structure_pairs(
    structure: Structure, cutoff: float, *, sites: Sequence[int] | None = None
) -> NeighbourPairs:
    """List the pairs of atoms of a structure, see :func:`neighbour_pairs`."""
    return neighbour_pairs(
        structure.lattice.matrix, structure.frac_coords, cutoff, sites=sites
    )


def minimum_distance(structure: Structure) -> float:
    """Shortest distance between two atoms in angstrom, periodic images included."""
    radius = 3.0
    while True:
        distances = structure_pairs(structure, radius).lengths
        if len(distances):
            return float(distances.min())
        radius *= 1.5


def lattice_points_within(
    lattice: NDArray[np.float64], points: NDArray[np.float64], cutoff: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """List, point by point, the distances to the lattice points within a cut-off."""
    rows, _, _, lengths = points_within(lattice, points, np.zeros((1, 3)), cutoff)
    return rows, lengths


def points_within(
    lattice: NDArray[np.float64],
    centres: NDArray[np.float64],
    points: NDArray[np.float64],
    cutoff: float,
) -> tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]
]:
    """
    List the points, and images of them, within a distance of centres.

    Cartesian coordinates in angstrom; the number of the centre, that of the point, the
    lattice translation of the image, the distance.

    Examples
    --------
    >>> centres, points = np.array([[2.9, 0.0, 0.0]]), np.zeros((1, 3))
    >>> rows, second, images, lengths = points_within(
    ...     3 * np.eye(3), centres, points, 0.5
    ... )
    >>> rows.tolist(), second.tolist(), images.tolist(), lengths.round(3).tolist()
    ([0], [0], [[1.0, 0.0, 0.0]], [0.1])
    """
    rows, columns, images, lengths = find_points_in_spheres(
        points,
        np.ascontiguousarray(centres),
        r=float(cutoff),
        pbc=_PERIODIC,
        lattice=np.ascontiguousarray(lattice, dtype=float),
        tol=_TOLERANCE,
    )
    return rows, columns, images, lengths


def lattice_vectors(basis: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """List lattice vectors up to a length; the k-th and k-th last are opposite."""
    vectors = _integer_vectors(basis, radius) @ basis
    # The grid is symmetric, so its middle is zero and the order is antisymmetric.
    return np.asarray(vectors[np.einsum("ij,ij->i", vectors, vectors) <= radius**2])


def vectors_by_length(lattice: NDArray[np.float64], radius: float) -> NDArray[np.int64]:
    """List integer vectors up to a length, one of each pair ±v, the shortest first."""
    grid = _integer_vectors(lattice, radius)
    first_nonzero = grid[np.arange(len(grid)), np.argmax(grid != 0, axis=1)]
    grid = grid[first_nonzero > 0]
    lengths = np.round(np.linalg.norm(grid @ lattice, axis=1) / radius, 9)
    order = np.lexsort((*(-grid.T[::-1]), lengths))
    return np.asarray(grid[order[lengths[order] <= 1]])


def _integer_vectors(basis: NDArray[np.float64], radius: float) -> NDArray[np.int64]:
    """List the multiples of a basis that may be shorter than a length, some longer."""
    heights = 1 / np.linalg.norm(np.linalg.inv(basis), axis=0)
    ranges = [np.arange(-int(radius / h), int(radius / h) + 1) for h in heights]
    return np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)


def wrapped(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Bring fractional positions into [0, 1); what rounds up to 1 is 0.

    Examples
    --------
    >>> wrapped(np.array([1.25, -1e-17, -0.0])).tolist()
    [0.25, 0.0, 0.0]
    """
    inside = positions - np.floor(positions)
    return np.where(inside >= 1.0, 0.0, inside)


def nearest_image(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring fractional differences into [-1/2, 1/2]: the nearest in upright cells."""
    return np.asarray(differences - np.round(differences))


def minimum_image_vectors(
    lattice: NDArray[np.float64],
    start: NDArray[np.float64],
    ends: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Shortest vectors, in angstrom, from points to the periodic images of others."""
    # Rounding alone is wrong in oblique cells: the neighbours of the rounded image
    # are tried too.
    shifts = np.array(list(product((-1, 0, 1), repeat=3)))
    differences = nearest_image(np.asarray(ends) - np.asarray(start))
    vectors = (differences[..., None, :] + shifts) @ lattice
    nearest = np.sum(vectors**2, axis=-1).argmin(axis=-1)
    return np.take_along_axis(vectors, nearest[..., None, None], axis=-2)[..., 0, :]
