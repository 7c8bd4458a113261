"""Properties that the builder ``migration_barrier`` makes."""

from __future__ import annotations

from hts_battery.schemas.field_spec import FieldSpec

FIELDS = (
    FieldSpec(
        "migration_barrier",
        "lowest of the hops of one ion that were computed, in the relaxed cell; each "
        "hop's own stands beside it under the condition `hop`",
        "eV",
    ),
)
