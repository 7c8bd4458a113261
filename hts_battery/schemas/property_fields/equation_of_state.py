"""Properties that the builder ``equation_of_state`` makes."""

from __future__ import annotations

from hts_battery.schemas.field_spec import FieldSpec

FIELDS = (
    FieldSpec(
        "bulk_modulus",
        "of the lowest ordering at its equilibrium volume, at 0 K by an equation of "
        "state; the cell keeps its shape",
        "GPa",
        uncertainty="standard error of the fit",
    ),
    FieldSpec(
        "equilibrium_volume",
        "volume of the lowest ordering where that equation has its minimum",
        "Å^3/atom",
        uncertainty="standard error of the fit",
    ),
)
