"""Tetrahedra: their geometry, and what stands on those of a cubic cation lattice."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.schemas.relaxed import TetrahedronStatistics
from hts_battery.structures.cells import build_cell
from hts_battery.structures.neighbours import neighbour_pairs
from hts_battery.structures.prototypes import load_prototype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.structures.cells import IntMatrix

# In a face-centred cubic lattice: neighbours of a site, and tetrahedra that hold it.
_NEIGHBOURS, _TETRAHEDRA = 12, 8
# A neighbour is up to this times as far as the nearest; the second shell is at 1.41.
_NEAREST = 1.2
_CORNERS = 4
_DECIMALS = 6


class CationTetrahedra(NamedTuple):
    """Every nearest-neighbour tetrahedron of a cell, once for each of its corners."""

    sites: NDArray[np.intp]
    """Four site indices a row, as in the parent cell."""
    images: NDArray[np.int64]
    """Lattice translations of the corners, (tetrahedra, 4, 3)."""


def triangle_area(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""
    Areas of triangles, :math:`\tfrac12 |(b - a) \times (c - a)|`.

    Parameters
    ----------
    corners
        Cartesian corners, (…, 3, 3), one a row.

    Examples
    --------
    >>> float(triangle_area(np.array([[0, 0, 0], [2, 0, 0], [0, 3, 0]])))
    3.0
    """
    edges = corners[..., 1:, :] - corners[..., :1, :]
    normals = np.cross(edges[..., 0, :], edges[..., 1, :])
    return np.asarray(np.linalg.norm(normals, axis=-1) / 2)


def tetrahedron_volume(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""
    Volumes of tetrahedra, :math:`|\det(b - a, c - a, d - a)| / 6`.

    Parameters
    ----------
    corners
        Cartesian corners, (…, 4, 3), one a row.

    Examples
    --------
    >>> corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    >>> round(float(tetrahedron_volume(corners / np.sqrt(2))), 6)  # edge 2
    0.942809
    """
    edges = corners[..., 1:, :] - corners[..., :1, :]
    return np.asarray(np.abs(np.linalg.det(edges)) / 6)


def tetrahedron_heights(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""
    Four heights of each tetrahedron, :math:`3 V / A` over the face across a corner.

    Parameters
    ----------
    corners
        Cartesian corners, (…, 4, 3), one a row.

    Returns
    -------
    ndarray
        Height of each corner over the other three, (…, 4).

    Examples
    --------
    >>> corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    >>> tetrahedron_heights(corners / np.sqrt(2)).round(6).tolist()  # edge 2
    [1.632993, 1.632993, 1.632993, 1.632993]
    """
    others = np.array([[j for j in range(_CORNERS) if j != i] for i in range(_CORNERS)])
    areas = triangle_area(corners[..., others, :])
    return np.asarray(3 * tetrahedron_volume(corners)[..., None] / areas)


@lru_cache(maxsize=128)
def cation_tetrahedra(
    prototype_name: str, supercell: IntMatrix
) -> CationTetrahedra | None:
    """
    List the nearest-neighbour tetrahedra of a parent's cation sites.

    Parameters
    ----------
    prototype_name
        Name of the parent lattice.
    supercell
        Supercell vectors in units of the primitive ones, one a row.

    Returns
    -------
    CationTetrahedra or None
        None where the cations do not form a face-centred cubic lattice.

    Examples
    --------
    >>> found = cation_tetrahedra("rocksalt", ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    >>> len(found.sites)  # two tetrahedra with four corners each
    8
    >>> cation_tetrahedra("nasicon", ((1, 0, 0), (0, 1, 0), (0, 0, 1))) is None
    True
    """
    cell = build_cell(prototype_name, supercell)
    names = cation_sublattices(prototype_name)
    cations = np.flatnonzero(np.isin(cell.sublattices, names))
    count = len(cations)
    positions = cell.coordinates[cations]
    # No lattice of n points to a volume is sparser than this many cube edges.
    cutoff = 2 * (abs(np.linalg.det(cell.lattice)) / count) ** (1 / 3)
    shortest = neighbour_pairs(cell.lattice, positions, cutoff).lengths.min()
    rows, columns, images, _ = neighbour_pairs(
        cell.lattice, positions, _NEAREST * shortest
    )
    if not np.array_equal(np.bincount(rows, minlength=count), [_NEIGHBOURS] * count):
        return None
    neighbours = columns.reshape(count, _NEIGHBOURS)
    shifts = images.reshape(count, _NEIGHBOURS, 3)
    ends = (positions[neighbours] + shifts) @ cell.lattice
    gaps = np.linalg.norm(ends[:, :, None, :] - ends[:, None, :, :], axis=-1)
    close = gaps < _NEAREST * shortest
    a, b, c = np.array(list(combinations(range(_NEIGHBOURS), 3))).T
    joined = close[:, a, b] & close[:, b, c] & close[:, a, c]
    if not np.all(joined.sum(axis=1) == _TETRAHEDRA):
        return None
    first, triple = np.nonzero(joined)
    corners = np.stack([a[triple], b[triple], c[triple]], axis=1)
    sites = np.concatenate(
        [first[:, None], neighbours[first[:, None], corners]], axis=1
    )
    translations = np.zeros((len(first), _CORNERS, 3), dtype=np.int64)
    translations[:, 1:] = shifts[first[:, None], corners]
    return CationTetrahedra(cations[sites], translations)


def cation_sublattices(prototype_name: str) -> tuple[str, ...]:
    """
    Name the sublattices of a parent that hold cations in its reference compound.

    Examples
    --------
    >>> cation_sublattices("layered")
    ('alkali', 'metal')
    """
    sublattices = load_prototype(prototype_name).sublattices
    return tuple(n for n, s in sublattices.items() if s.reference.endswith("+"))


def tetrahedron_statistics(
    tetrahedra: CationTetrahedra,
    elements: Sequence[str],
    corners: NDArray[np.float64],
    *,
    carriers: Sequence[str] = ("Li",),
) -> TetrahedronStatistics:
    r"""
    Count the charge carriers on every tetrahedron of a cation lattice.

    .. math:: f_k = \frac{1}{N_t} \sum_t [n_t = k], \qquad
              f_k^\mathrm{random} = \binom{4}{k} x^k (1-x)^{4-k}

    with :math:`n_t` the charge carriers on the four corners of tetrahedron t and x
    their share of the cation sites. Four carriers make a channel without a
    transition metal (0-TM), three one with one: Ji et al., Nature Communications 10,
    592 (2019), 10.1038/s41467-019-08490-w, which also relates the barrier of
    migration to the height of the tetrahedron.

    Parameters
    ----------
    tetrahedra
        Those of the cell.
    elements
        Element or ``Vac`` on every site of the cell.
    corners
        Cartesian corners of each tetrahedron in angstrom, (tetrahedra, 4, 3).
    carriers
        Elements that count.

    Examples
    --------
    >>> unit = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    >>> found = cation_tetrahedra("rocksalt", unit)
    >>> cell = build_cell("rocksalt", unit)
    >>> places = (cell.coordinates[found.sites] + found.images) @ cell.lattice
    >>> statistics = tetrahedron_statistics(found, ["Li", "F"], places)
    >>> statistics.fractions, statistics.mean_height  # edge 2.978
    ((0.0, 0.0, 0.0, 0.0, 1.0), 2.431337)
    """
    carries = np.isin(np.asarray(elements), list(carriers))[tetrahedra.sites]
    numbers = carries.sum(axis=1)
    cations = np.unique(tetrahedra.sites)
    share = float(np.isin(np.asarray(elements)[cations], list(carriers)).mean())
    counts = np.bincount(numbers, minlength=_CORNERS + 1) / len(numbers)
    heights = tetrahedron_heights(corners).mean(axis=1)
    volumes = tetrahedron_volume(corners)
    full = numbers == _CORNERS
    return TetrahedronStatistics.model_validate(
        {
            "carriers": tuple(carriers),
            "sites": len(cations),
            "fractions": tuple(float(x) for x in counts.round(_DECIMALS)),
            "random_fractions": tuple(
                round(
                    comb(_CORNERS, k) * share**k * (1 - share) ** (_CORNERS - k),
                    _DECIMALS,
                )
                for k in range(_CORNERS + 1)
            ),
            "mean_height": _mean(heights),
            "carrier_height": _mean(heights[full]) if full.any() else None,
            "mean_volume": _mean(volumes),
            "carrier_volume": _mean(volumes[full]) if full.any() else None,
        }
    )


def _mean(values: NDArray[np.float64]) -> float:
    return round(float(values.mean()), _DECIMALS)
