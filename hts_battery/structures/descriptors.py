"""Descriptors that come for free with every ordered and relaxed cell."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.errors import OrderingError
from hts_battery.schemas.relaxed import (
    CellDescriptors,
    LithiumOrder,
    NasiconGeometry,
    TetrahedronStatistics,
)
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.species_table import species_properties
from hts_battery.structures.cells import build_cell
from hts_battery.structures.neighbours import minimum_image_vectors, neighbour_pairs
from hts_battery.structures.prototypes import load_prototype
from hts_battery.structures.relaxation.parent_map import map_to_parent
from hts_battery.structures.short_range_order import lithium_order, short_range_order
from hts_battery.structures.site_labels import CENTRE, METAL, nasicon_sites

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.schemas.structure import OrderedCell
    from hts_battery.structures.cells import IntMatrix
    from hts_battery.structures.relaxation.parent_map import ParentMap
    from hts_battery.structures.site_labels import NasiconSites

_TRIPLES = np.array(list(combinations(range(6), 3)))
_DECIMALS = 6


def nasicon_geometry(structure: Structure, sites: NasiconSites) -> NasiconGeometry:
    r"""
    Measure the bottlenecks between 6b and 18e cavities and the polyhedra beside them.

    The six oxygen atoms of a 6b cavity form an octahedron, two faces of which it
    shares with metals. Each of the other six lies before one of the six 18e cavities
    around it: of all triangles of three of the six atoms it is the one whose centroid
    reaches furthest towards that cavity. It is the bottleneck; its area is
    :math:`A = \tfrac12 |(b - a) \times (c - a)|`. With the centre of the 6b cavity it
    spans a tetrahedron of volume V and height :math:`h = 3 V / A`.
    """
    lattice = structure.lattice.matrix
    positions = np.array([cavity.position for cavity in sites.cavities])
    centres, octahedra, targets = [], [], []
    for way in sites.octahedra:
        centres.append(positions[way.cavity])
        octahedra.append(structure.frac_coords[way.oxygens] + way.images)
        targets.append(positions[way.neighbours] + way.neighbour_images)
    centre = np.array(centres) @ lattice
    corners = np.array(octahedra) @ lattice
    target = np.array(targets) @ lattice
    faces = faces_towards(centre, corners, target)
    areas = triangle_area(faces).ravel()
    apexes = np.broadcast_to(centre[:, None, None, :], (*faces.shape[:2], 1, 3))
    pyramids = np.concatenate([apexes, faces], axis=2)
    volumes, heights = _polyanions(structure, sites)
    return NasiconGeometry(
        bottlenecks=len(areas),
        bottleneck_area_min=_rounded(areas.min()),
        bottleneck_area_mean=_rounded(areas.mean()),
        bottleneck_area_max=_rounded(areas.max()),
        tetrahedron_height=_rounded(tetrahedron_heights(pyramids)[..., 0].mean()),
        tetrahedron_volume=_rounded(tetrahedron_volume(pyramids).mean()),
        octahedron_volume=_rounded(_octahedron_volumes(centre, corners).mean()),
        metal_polyanion=_rounded(_metal_polyanion(structure, sites, faces).mean()),
        polyanion_volumes=volumes,
        polyanion_heights=heights,
    )


def faces_towards(
    centre: NDArray[np.float64],
    corners: NDArray[np.float64],
    target: NDArray[np.float64],
) -> NDArray[np.float64]:
    """For each cavity and each neighbour the face between them, (n, 6, 3, 3)."""
    ways = target - centre[:, None, :]
    ways = ways / np.linalg.norm(ways, axis=-1, keepdims=True)
    triangles = corners[:, _TRIPLES]
    outwards = triangles.mean(axis=2) - centre[:, None, :]
    reach = np.einsum("ntx,nkx->nkt", outwards, ways)
    best = reach.argmax(axis=2)
    return np.asarray(triangles[np.arange(len(centre))[:, None], best])


def _metal_polyanion(
    structure: Structure, sites: NasiconSites, faces: NDArray[np.float64]
) -> NDArray[np.float64]:
    """
    Distances from metal to polyanion centre through each bottleneck triangle.

    The metal is the one nearest to the triangle's shortest edge, of whose octahedron
    that is an edge; the centre the one nearest to the triangle, on its other side.
    """
    corners = faces.reshape(-1, 3, 3)
    following = np.roll(corners, -1, axis=1)
    short = np.linalg.norm(following - corners, axis=2).argmin(axis=1)
    rows = np.arange(len(corners))
    middle = (corners[rows, short] + following[rows, short]) / 2
    ends = []
    for label, points in ((METAL, middle), (CENTRE, corners.mean(axis=1))):
        atoms = [n for n, one in enumerate(sites.labels) if one == label]
        places = structure.frac_coords[atoms]
        start = structure.lattice.get_fractional_coords(points)
        near = structure.lattice.get_all_distances(start, places).argmin(axis=1)
        matrix = structure.lattice.matrix
        ends.append(points + minimum_image_vectors(matrix, start, places[near]))
    return np.asarray(np.linalg.norm(ends[1] - ends[0], axis=1))


def _octahedron_volumes(
    centre: NDArray[np.float64], corners: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Volumes of octahedra, as those of the tetrahedra from inside to each face."""
    inside = corners - centre[:, None, :]
    # Opposite corners: the partner in the direction that is most nearly opposite.
    cosines = np.einsum("nix,njx->nij", inside, inside)
    lengths = np.linalg.norm(inside, axis=2)
    opposite = (cosines / lengths[:, :, None] / lengths[:, None, :]).argmin(axis=2)
    first, second, third = _TRIPLES.T
    is_face = (
        (opposite[:, first] != second)
        & (opposite[:, second] != third)
        & (opposite[:, first] != third)
    )
    determinants = np.abs(np.linalg.det(inside[:, _TRIPLES])) / 6
    return np.asarray(np.sum(determinants * is_face, axis=1))


def _polyanions(
    structure: Structure, sites: NasiconSites
) -> tuple[dict[str, float], dict[str, float]]:
    """Mean volume and height of the oxygen tetrahedra around each element."""
    corners = np.array(
        [structure.frac_coords[p.oxygens] + p.images for p in sites.polyanions]
    )
    corners = corners @ structure.lattice.matrix
    volumes = tetrahedron_volume(corners)
    heights = tetrahedron_heights(corners).mean(axis=1)
    elements = np.array([structure[p.centre].specie.symbol for p in sites.polyanions])
    names = sorted(set(elements))
    return (
        {str(n): _rounded(volumes[elements == n].mean()) for n in names},
        {str(n): _rounded(heights[elements == n].mean()) for n in names},
    )


def _rounded(value: float) -> float:
    return round(float(value), _DECIMALS)


NASICON = "nasicon"
"""Prototype whose sites are labelled by topology."""
_CARRIER = "charge carrier"


def cell_descriptors(
    ordered: OrderedCell, relaxed: Structure | None = None
) -> CellDescriptors:
    """
    Describe the short-range order and the free space of an ordered or relaxed cell.

    Equations, units and sources of every number stand in ``docs/descriptors.md``.

    Parameters
    ----------
    ordered
        The ordered cell.
    relaxed
        The same atoms after relaxation; without it the cell as it was built.

    Returns
    -------
    CellDescriptors
        What cannot be told, because the parent's lattice or the network of its
        polyhedra is lost, is null.

    Raises
    ------
    OrderingError
        If the relaxed structure holds other atoms than the ordered cell.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from hts_battery.schemas.candidate import Candidate
    >>> from hts_battery.structures import order_candidate
    >>> two = Fraction(2)
    >>> salt = Candidate("hedrx", {"Li": two, "F": two},
    ...     sites={"cation": two, "anion": two},
    ...     assignments=({"cation": {"Li+": two}, "anion": {"F-": two}},))
    >>> cell_descriptors(order_candidate(salt, atoms=8)).tetrahedra.fractions
    (0.0, 0.0, 0.0, 0.0, 1.0)
    """
    structure = ordered.to_structure() if relaxed is None else relaxed
    mapped = map_to_parent(ordered, structure)
    try:
        sites = topology(mapped)
    except OrderingError:
        sites = None
    return describe(ordered, mapped, sites)


def topology(mapped: ParentMap) -> NasiconSites | None:
    """Sites of a NASICON cell by topology, or an error; None for other prototypes."""
    if mapped.cell.prototype != NASICON:
        return None
    return nasicon_sites(mapped.relaxed, sublattices=mapped.sublattices)


def describe(
    ordered: OrderedCell, mapped: ParentMap, sites: NasiconSites | None
) -> CellDescriptors:
    """Describe a cell that is already mapped on its parent."""
    decoration = mapped.decoration(ordered)
    return CellDescriptors(
        warren_cowley=None if decoration is None else _short_range(mapped, decoration),
        tetrahedra=None if decoration is None else _tetrahedra(mapped, decoration),
        nasicon=None if sites is None else nasicon_geometry(mapped.relaxed, sites),
        lithium=None if decoration is None else _lithium(mapped, decoration),
    )


def _short_range(
    mapped: ParentMap, decoration: Sequence[str]
) -> dict[str, tuple[dict[str, float], ...]]:
    return {
        pair: tuple(
            {species: round(value, _DECIMALS) for species, value in shell.items()}
            for shell in shells
        )
        for pair, shells in short_range_order(mapped.cell, decoration).items()
    }


def _lithium(mapped: ParentMap, decoration: Sequence[str]) -> LithiumOrder | None:
    if mapped.cell.prototype == NASICON:
        return None
    metals, fluorine = lithium_order(mapped.cell, decoration)
    first, second, contact = (
        None if one is None else _rounded(one) for one in (*metals, fluorine)
    )
    return LithiumOrder(metal=(first, second), fluorine=contact)


def _tetrahedra(
    mapped: ParentMap, decoration: Sequence[str]
) -> TetrahedronStatistics | None:
    found = cation_tetrahedra(mapped.cell.prototype, mapped.cell.supercell)
    if found is None:
        return None
    carriers = {
        parse_species(species).element
        for species in decoration
        if species_properties(species).role == _CARRIER
    }
    positions = _site_positions(mapped)
    corners = (positions[found.sites] + found.images) @ mapped.relaxed.lattice.matrix
    return tetrahedron_statistics(
        found,
        [parse_species(species).element for species in decoration],
        corners,
        carriers=sorted(carriers),
    )


def _site_positions(mapped: ParentMap) -> NDArray[np.float64]:
    """Fractional coordinates of each parent site: of its atom, where it has one."""
    positions = mapped.cell.coordinates.copy()
    lattice = mapped.relaxed.lattice.matrix
    atoms = mapped.start.frac_coords + mapped.moves
    vectors = minimum_image_vectors(lattice, positions[mapped.nearest], atoms)
    positions[mapped.nearest] += vectors @ np.linalg.inv(lattice)
    return positions


# In a face-centred cubic lattice: neighbours of a site, and tetrahedra that hold it.
_NEIGHBOURS, _TETRAHEDRA = 12, 8
# A neighbour is up to this times as far as the nearest; the second shell is at 1.41.
_NEAREST = 1.2
_CORNERS = 4


class CationTetrahedra(NamedTuple):
    """Every nearest-neighbour tetrahedron of a cell, once for each of its corners."""

    sites: NDArray[np.intp]
    """Four site indices a row, as in the parent cell."""
    images: NDArray[np.int64]
    """Lattice translations of the corners, (tetrahedra, 4, 3)."""


def triangle_area(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Areas of triangles (…, 3, 3): :math:`\tfrac12 |(b - a) \times (c - a)|`."""
    edges = corners[..., 1:, :] - corners[..., :1, :]
    normals = np.cross(edges[..., 0, :], edges[..., 1, :])
    return np.asarray(np.linalg.norm(normals, axis=-1) / 2)


def tetrahedron_volume(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Volumes of tetrahedra (…, 4, 3): :math:`|\det(b - a, c - a, d - a)| / 6`."""
    edges = corners[..., 1:, :] - corners[..., :1, :]
    return np.asarray(np.abs(np.linalg.det(edges)) / 6)


def tetrahedron_heights(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heights of each tetrahedron, :math:`3 V / A` over the face across a corner."""
    others = np.array([[j for j in range(_CORNERS) if j != i] for i in range(_CORNERS)])
    areas = triangle_area(corners[..., others, :])
    return np.asarray(3 * tetrahedron_volume(corners)[..., None] / areas)


@lru_cache(maxsize=128)
def cation_tetrahedra(
    prototype_name: str, supercell: IntMatrix
) -> CationTetrahedra | None:
    """List the tetrahedra of a parent's cation sites if these are cubic."""
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
    """Name the sublattices of a parent that hold cations in its reference compound."""
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
            "mean_height": _rounded(heights.mean()),
            "carrier_height": _rounded(heights[full].mean()) if full.any() else None,
            "mean_volume": _rounded(volumes.mean()),
            "carrier_volume": _rounded(volumes[full].mean()) if full.any() else None,
        }
    )
