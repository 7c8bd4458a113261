"""Descriptors that come for free with every ordered and relaxed cell."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from hts_battery.errors import OrderingError
from hts_battery.schemas.relaxed import CellDescriptors, NasiconGeometry
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.species_table import species_properties
from hts_battery.structures.correlations import warren_cowley
from hts_battery.structures.neighbours import minimum_image_vectors
from hts_battery.structures.relaxation.parent_map import map_to_parent
from hts_battery.structures.site_labels import nasicon_sites
from hts_battery.structures.tetrahedra import (
    cation_tetrahedra,
    tetrahedron_heights,
    tetrahedron_statistics,
    tetrahedron_volume,
    triangle_area,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.schemas.relaxed import TetrahedronStatistics
    from hts_battery.schemas.structure import OrderedCell
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

    Parameters
    ----------
    structure
        The crystal.
    sites
        Its sites, as :func:`nasicon_sites` found them.
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
    faces = _faces_towards(centre, corners, target)
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
        polyanion_volumes=volumes,
        polyanion_heights=heights,
    )


def _faces_towards(
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
    """
    Sites of a NASICON cell by topology; None for any other prototype.

    Raises
    ------
    OrderingError
        If the network of the NASICON cell is lost.
    """
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
    )


def _short_range(
    mapped: ParentMap, decoration: Sequence[str]
) -> dict[str, tuple[dict[str, float], ...]]:
    return {
        pair: tuple(
            {species: round(value, _DECIMALS) for species, value in shell.items()}
            for shell in shells
        )
        for pair, shells in warren_cowley(mapped.cell, decoration).items()
    }


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
