"""What lets ions pass: the oxygen triangles of NASICON, seen from both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import rankdata, spearmanr

from hts_battery.errors import HopError
from hts_battery.structures.descriptors import (
    faces_towards,
    tetrahedron_heights,
    tetrahedron_volume,
    triangle_area,
)
from hts_battery.structures.site_labels import nasicon_sites

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from pymatgen.core import Structure

    Floats = NDArray[np.float64]

OXYGEN_RADIUS = 1.38
"""Of O2- with four neighbours, Å (Shannon 1976, 10.1107/S0567739476001551)."""
_FEWEST = 4
_DRAWS = 2000


class Bottlenecks(NamedTuple):
    """
    Every triangle between a 6b cavity and an 18e one, an array of one number each.

    Height and volume are those of the tetrahedron of the triangle and the centre of the
    cavity on that side; the names are this project's.
    """

    area: Floats
    """Å²."""
    free_radius: Floats
    """Radius of the circle through the three oxygen atoms less that of oxygen, Å."""
    height_6b: Floats
    """Å."""
    volume_6b: Floats
    """Å³."""
    height_18e: Floats
    volume_18e: Floats


def bottlenecks(structure: Structure) -> Bottlenecks:
    """
    Measure every bottleneck of a NASICON from both sides.

    Raises
    ------
    OrderingError
        No network of NASICON.
    """
    sites, lattice = nasicon_sites(structure), structure.lattice.matrix
    places = np.array([cavity.position for cavity in sites.cavities])
    centres = np.array([places[one.cavity] for one in sites.octahedra]) @ lattice
    corners = np.array(
        [structure.frac_coords[one.oxygens] + one.images for one in sites.octahedra]
    )
    ends = np.array(
        [places[one.neighbours] + one.neighbour_images for one in sites.octahedra]
    )
    targets = ends @ lattice
    faces = faces_towards(centres, corners @ lattice, targets)
    apexes = np.broadcast_to(centres[:, None, None], (*faces.shape[:2], 1, 3))
    inner = np.concatenate([apexes, faces], axis=2)
    outer = np.concatenate([targets[:, :, None], faces], axis=2)
    area = triangle_area(faces)
    edges = np.linalg.norm(faces - np.roll(faces, 1, axis=2), axis=3)
    around = edges.prod(axis=2) / (4 * area)
    return Bottlenecks(
        *(
            np.asarray(one, dtype=float).ravel()
            for one in (
                area,
                around - OXYGEN_RADIUS,
                tetrahedron_heights(inner)[..., 0],
                tetrahedron_volume(inner),
                tetrahedron_heights(outer)[..., 0],
                tetrahedron_volume(outer),
            )
        )
    )


class RankCorrelation(NamedTuple):
    """Whether one number rises with another, whatever the form of the curve."""

    value: float
    """Spearman's coefficient, -1 to 1."""
    interval: tuple[float, float]
    """95 %, by drawing pairs again."""
    n: int
    p_value: float
    """Of none."""


def rank_correlation(
    first: ArrayLike, second: ArrayLike, *, seed: int = 0
) -> RankCorrelation:
    """
    Correlate the ranks of two quantities, as of a bottleneck and a barrier.

    Pairs with a number that is not finite are left out.

    Raises
    ------
    HopError
        Arrays of different length, fewer than four pairs, or one that never changes.

    Examples
    --------
    >>> found = rank_correlation([1, 2, 3, 4, 5, 6], [1, 4, 9, 16, 25, 20])
    >>> round(found.value, 3), found.n
    (0.943, 6)
    """
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if one.shape != other.shape or one.ndim != 1:
        raise HopError(f"{one.shape} and {other.shape} numbers: pairs are needed")
    keep = np.isfinite(one) & np.isfinite(other)
    one, other = one[keep], other[keep]
    if len(one) < _FEWEST:
        raise HopError(f"{len(one)} pairs: {_FEWEST} are needed")
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        raise HopError("one of the two never changes: nothing to correlate")
    value, chance = spearmanr(one, other)
    some = np.random.default_rng(seed).integers(len(one), size=(_DRAWS, len(one)))
    ranks = [rankdata(each[some], axis=1) for each in (one, other)]
    centred = [each - each.mean(axis=1, keepdims=True) for each in ranks]
    spreads = np.sqrt(
        np.prod([np.square(each).sum(axis=1) for each in centred], axis=0)
    )
    drawn = (centred[0] * centred[1]).sum(axis=1)[spreads > 0] / spreads[spreads > 0]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return RankCorrelation(
        float(value), (float(low), float(high)), len(one), float(chance)
    )
