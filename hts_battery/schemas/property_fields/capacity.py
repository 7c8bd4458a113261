"""Properties that the builder ``capacity`` makes."""

from __future__ import annotations

from hts_battery.schemas.field_spec import FieldSpec

FIELDS = (
    FieldSpec(
        "capacity_carrier",
        "capacity if every carrier leaves, from the composition; cathodes only",
        "mAh/g",
        shown=True,
    ),
    FieldSpec(
        "capacity_metal_redox",
        "part of it for which metals reach their ceilings of charge",
        "mAh/g",
    ),
    FieldSpec(
        "capacity_oxygen_redox",
        "the rest of it, for which oxygen would be oxidised",
        "mAh/g",
    ),
)
