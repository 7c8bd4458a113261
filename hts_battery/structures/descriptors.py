"""Descriptors that come for free with every ordered and relaxed cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hts_battery.errors import OrderingError
from hts_battery.schemas.descriptors import CellDescriptors
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.species_table import species_properties
from hts_battery.structures.correlations import warren_cowley
from hts_battery.structures.nasicon_geometry import nasicon_geometry
from hts_battery.structures.parent_map import map_to_parent
from hts_battery.structures.site_labels import nasicon_sites
from hts_battery.structures.tetrahedra import (
    cation_tetrahedra,
    minimum_image_vectors,
    tetrahedron_statistics,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.schemas.descriptors import TetrahedronStatistics
    from hts_battery.schemas.structure import OrderedCell
    from hts_battery.structures.parent_map import ParentMap
    from hts_battery.structures.site_labels import NasiconSites

NASICON = "nasicon"
"""Prototype whose sites are labelled by topology."""
_CARRIER = "charge carrier"
_DECIMALS = 6


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
    """
    Describe a cell that is already mapped on its parent.

    Parameters
    ----------
    ordered
        The ordered cell.
    mapped
        The cell to describe on its parent.
    sites
        Its sites by topology, where it is NASICON.
    """
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
