"""Properties that the builder ``local_structure`` makes."""

from __future__ import annotations

from hts_battery.schemas.field_spec import FieldSpec

_SPREAD = "standard deviation over the orderings (n - 1); null below two"

FIELDS = (
    FieldSpec(
        "alpha_LiM_1",
        "Warren-Cowley parameter of Li and the other cations, first shell of cations; "
        "mean over orderings of one method; of the cell, where they are SQS",
        "1",
        uncertainty=_SPREAD,
    ),
    FieldSpec(
        "alpha_LiM_2",
        "the same in the second shell of cations",
        "1",
        uncertainty=_SPREAD,
    ),
    FieldSpec(
        "alpha_LiF_1",
        "Warren-Cowley parameter of Li and F, first shell of cation and anion",
        "1",
        uncertainty=_SPREAD,
    ),
    FieldSpec(
        "li4_fraction",
        "nearest-neighbour tetrahedra of cations with four Li (0-TM), of all; Na or K "
        "where they are the carrier; alone it misleads: read accessible_li beside it",
        "1",
        uncertainty=_SPREAD,
    ),
    FieldSpec(
        "li4_fraction_random",
        "the same in an infinite random alloy of the same content: x^4",
        "1",
    ),
    FieldSpec(
        "tetrahedron_height",
        "mean height of the nearest-neighbour tetrahedra of cations; in NASICON mean "
        "distance of the centre of a 6b cavity from its bottleneck triangles",
        "Å",
        uncertainty=_SPREAD,
    ),
    FieldSpec(
        "bottleneck_area_min",
        "smallest oxygen triangle between a 6b and an 18e cavity of NASICON",
        "Å^2",
        uncertainty=_SPREAD,
    ),
    FieldSpec(
        "bottleneck_volume",
        "mean volume of the tetrahedra of a 6b centre and its bottleneck triangles",
        "Å^3",
        uncertainty=_SPREAD,
    ),
    FieldSpec(
        "bottleneck_metal_polyanion",
        "mean distance, at a bottleneck triangle of NASICON, from the metal whose "
        "octahedron shares its short edge to the polyanion centre across it; a name "
        "of this project",
        "Å",
        uncertainty=_SPREAD,
    ),
    FieldSpec(
        "occupancy_6b",
        "6b cavities of NASICON that hold an alkali ion, of all",
        "1",
        uncertainty=_SPREAD,
    ),
    FieldSpec(
        "occupancy_18e",
        "18e cavities of NASICON that hold an alkali ion, of all",
        "1",
        uncertainty=_SPREAD,
    ),
)
