"""Descriptors that every ordered or relaxed cell has for free."""

from __future__ import annotations

from pydantic import Field

from hts_battery.schemas.base import Document


class TetrahedronStatistics(Document):
    """Nearest-neighbour tetrahedra of a face-centred cubic lattice of cations."""

    carriers: tuple[str, ...] = Field(
        description="Elements that count as charge carriers, Li as a rule."
    )
    sites: int = Field(
        ge=1, description="Cation sites of the cell; two tetrahedra each."
    )
    fractions: tuple[float, float, float, float, float] = Field(
        description="Fraction of the tetrahedra with 0, 1, 2, 3 and 4 charge carriers; "
        "the last is Li4, the one before Li3M. Adds up to 1."
    )
    random_fractions: tuple[float, float, float, float, float] = Field(
        description="The same in a random alloy of the same content, infinitely large."
    )
    mean_height: float = Field(
        ge=0,
        description="Mean height of the tetrahedra in angstrom, each the mean of its "
        "four heights.",
    )
    carrier_height: float | None = Field(
        None, ge=0, description="The same of the Li4 tetrahedra; null without one."
    )
    mean_volume: float = Field(
        ge=0, description="Mean volume of the tetrahedra in cubic angstrom."
    )
    carrier_volume: float | None = Field(
        None, ge=0, description="The same of the Li4 tetrahedra; null without one."
    )


class NasiconGeometry(Document):
    """Widths of the ways between the 6b and 18e cavities, and polyhedra beside them."""

    bottlenecks: int = Field(
        ge=1,
        description="Oxygen triangles between a 6b cavity and an 18e cavity beside it, "
        "six for each 6b cavity, filled or not.",
    )
    bottleneck_area_min: float = Field(
        ge=0, description="Smallest area of such a triangle in square angstrom."
    )
    bottleneck_area_mean: float = Field(
        ge=0, description="Mean area of the triangles in square angstrom."
    )
    bottleneck_area_max: float = Field(
        ge=0, description="Largest area of such a triangle in square angstrom."
    )
    tetrahedron_height: float = Field(
        ge=0,
        description="Mean distance of the centre of a 6b cavity from the plane of its "
        "bottleneck triangles in angstrom: height of the tetrahedra on them.",
    )
    tetrahedron_volume: float = Field(
        ge=0,
        description="Mean volume of the tetrahedra of a bottleneck triangle and the "
        "centre of its 6b cavity, in cubic angstrom.",
    )
    octahedron_volume: float = Field(
        ge=0,
        description="Mean volume of the oxygen octahedra of the 6b cavities in cubic "
        "angstrom.",
    )
    polyanion_volumes: dict[str, float] = Field(
        description="Mean volume of the oxygen tetrahedra of each polyanion centre, "
        "element → cubic angstrom."
    )
    polyanion_heights: dict[str, float] = Field(
        description="Mean height of the same, element → angstrom."
    )


class CellDescriptors(Document):
    """Short-range order and free space of one cell."""

    warren_cowley: dict[str, tuple[dict[str, float], ...]] | None = Field(
        description="Pair of sublattices 'first/second' → for each neighbour shell of "
        "the parent, nearest first, 'species/species' → 1 - p/(x x), dimensionless, 0 "
        "is random. Pairs of unmixed sublattices are left out; null where the atoms do "
        "not stand on the parent's sites one to one."
    )
    tetrahedra: TetrahedronStatistics | None = Field(
        None,
        description="Null unless the parent's cations form a face-centred cubic "
        "lattice and the atoms stand on its sites one to one.",
    )
    nasicon: NasiconGeometry | None = Field(
        None, description="Null unless the network is that of NASICON."
    )
