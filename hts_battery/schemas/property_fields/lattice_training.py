"""Properties that the builder ``lattice_training`` makes."""

from __future__ import annotations

from hts_battery.schemas.field_spec import FieldSpec, Kind

FIELDS = (
    FieldSpec(
        "training_cells",
        "relaxed cells of the composition that a lattice model may be fitted to",
        "1",
        kind=Kind.INTEGER,
    ),
    FieldSpec(
        "ordering_energy_range",
        "between the lowest of these cells and the mean of those decorated at random",
        "eV/atom",
        uncertainty="standard error of that mean",
    ),
)
