"""Put the sites of a cell on the points of a lattice, whatever its orientation."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.disorder.cells import cation_sites
from hts_battery.disorder.torus import torus
from hts_battery.errors import OrderingError
from hts_battery.structures.neighbours import neighbour_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.disorder.torus import Torus

FCC = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / np.sqrt(2)
"""Primitive vectors of the face-centred cubic lattice, nearest neighbours at 1."""

SIMPLE_CUBIC = np.eye(3)
"""Those of the simple cubic lattice."""

_NEIGHBOURS = {12: FCC, 6: SIMPLE_CUBIC}
_REACH = 1.2  # times the nearest distance
_RIGHT = 0.15  # how far the cosine between two chosen vectors may be from the ideal one
_STARTS = 20  # sites that are tried as the first: one may sit in a distorted place
_OCTAHEDRAL = 0.5  # an anion sits half way along each primitive vector
_OFF = 0.3  # an atom may be so far from its point, in primitive vectors


class LatticeSites(NamedTuple):
    """Sites of a structure on a lattice, cations and, half way between, anions."""

    vectors: NDArray[np.float64]
    """Ideal primitive vectors, nearest cations at 1, one a row."""
    torus: Torus
    """The cell in units of them."""
    cations: NDArray[np.int64]
    """Index in the structure of the cation on each point, (points,)."""
    anions: NDArray[np.int64]
    """The same for anions; none where the cell has none."""


def lattice_sites(structure: Structure) -> LatticeSites:
    """
    Find the lattice that the cations of a structure stand on, and the anions' places.

    Parameters
    ----------
    structure
        With cations on a face-centred cubic lattice and anions in all of its octahedra,
        or on a simple cubic lattice; in any orientation, origin and order, relaxed as
        long as no atom has left its place.

    Raises
    ------
    OrderingError
        The sites are not those of such a lattice.
    """
    chosen = cation_sites(structure)
    cations, anions = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    lattice = np.asarray(structure.lattice.matrix)
    fractional = np.asarray(structure.frac_coords)
    step = max(1, len(cations) // _STARTS)
    for start in cations[::step]:
        found = _steps(
            lattice, fractional[cations], int(np.searchsorted(cations, start))
        )
        if found is None:
            continue
        vectors, measured = found
        matrix = np.rint(lattice @ np.linalg.inv(measured)).astype(np.int64)
        if abs(round(np.linalg.det(matrix))) != len(cations):
            continue
        cell = torus(matrix)
        points = np.asarray(fractional @ matrix, dtype=np.float64)
        points -= points[start]
        placed = _placed(points[cations], cell, 0.0)
        if placed is None:
            continue
        beside = np.empty(0, dtype=np.int64)
        if len(anions):
            numbers = _placed(points[anions], cell, _OCTAHEDRAL)
            if numbers is None or vectors is not FCC:
                continue
            beside = anions[numbers]
        return LatticeSites(vectors, cell, cations[placed], beside)
    raise OrderingError(
        f"the {len(cations)} cations of {structure.composition.reduced_formula} are "
        "not on a face-centred cubic lattice with an anion in each octahedron, nor on "
        "a simple cubic one: order parameters cannot be told"
    )


def _steps(
    lattice: NDArray[np.float64], coordinates: NDArray[np.float64], start: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return primitive vectors around a site, ideal and as they are in the cell."""
    reach = 1.8 * (abs(np.linalg.det(lattice)) / len(coordinates)) ** (1 / 3)
    pairs = neighbour_pairs(lattice, coordinates, reach, sites=[start])
    if not len(pairs.lengths):
        return None
    near = pairs.lengths <= _REACH * np.median(np.sort(pairs.lengths)[:6])
    ideal = _NEIGHBOURS.get(int(near.sum()))
    if ideal is None:
        return None
    ends = coordinates[pairs.second[near]] + pairs.images[near] - coordinates[start]
    steps = ends @ lattice
    unit = steps / np.linalg.norm(steps, axis=1)[:, None]
    cosines = unit @ unit.T
    wanted = ideal @ ideal.T
    for trio in combinations(range(len(steps)), 3):
        rows = list(trio)
        off = np.abs(cosines[np.ix_(rows, rows)] - wanted).max()
        # Three at 60 degrees of each other span a cell, or lie round an octahedron.
        if off < _RIGHT and abs(np.linalg.det(unit[rows])) > _RIGHT:
            return ideal, steps[rows]
    return None


def _placed(
    points: NDArray[np.float64], cell: Torus, offset: float
) -> NDArray[np.int64] | None:
    """Return the atom on each point; None unless every point has one."""
    rest = points - offset
    phase = np.exp(2j * np.pi * rest).mean(axis=0)
    rest = rest - np.angle(phase) / (2 * np.pi)
    whole = np.rint(rest)
    if len(points) != cell.size or np.abs(rest - whole).max() > _OFF:
        return None
    numbers, _ = cell.locate(whole.astype(np.int64))
    placed = np.full(cell.size, -1, dtype=np.int64)
    placed[numbers] = np.arange(len(points))
    return None if placed.min() < 0 else placed


@lru_cache(maxsize=64)
def shell_steps(
    kind: str, shells: int, *, between: bool = False
) -> tuple[NDArray[np.int64], ...]:
    """
    List the lattice steps of each shell of neighbours.

    Parameters
    ----------
    kind
        ``fcc`` or ``simple_cubic``.
    shells
        Number of shells.
    between
        From a cation to the anions around it: step n leads to the anion beside the
        cation of point n.

    Returns
    -------
    tuple of ndarray
        For each shell the steps in primitive vectors, (neighbours, 3).

    Examples
    --------
    >>> [len(steps) for steps in shell_steps("fcc", 4)]
    [12, 6, 24, 12]
    >>> [len(steps) for steps in shell_steps("fcc", 4, between=True)]
    [6, 8, 24, 30]
    """
    vectors = FCC if kind == "fcc" else SIMPLE_CUBIC
    offset = _OCTAHEDRAL if between else 0.0
    reach = 2 + shells
    steps = np.array(list(product(range(-reach, reach + 1), repeat=3)))
    lengths = np.linalg.norm((steps + offset) @ vectors, axis=1).round(6)
    found = [length for length in np.unique(lengths) if length > 0][:shells]
    return tuple(steps[lengths == length] for length in found)


def neighbour_table(cell: Torus, steps: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the point that each step leads to from each point, (points, steps)."""
    points = cell.points()
    columns = [cell.locate(points + step)[0] for step in steps]
    return np.stack(columns, axis=1).astype(np.int32)
