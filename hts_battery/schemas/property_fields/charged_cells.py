"""Properties that the builder ``charged_cells`` makes."""

from __future__ import annotations

from hts_battery.schemas.field_spec import FieldSpec

_ENGINE = "of the engine against experiment: 0.4 V for CHGNet, else unknown"
FIELDS = (
    FieldSpec(
        "voltage_average",
        "against the carrier's metal, from the full cell to the most charged one that "
        "was computed; of relaxed cells at 0 K",
        "V",
        uncertainty=_ENGINE,
    ),
    FieldSpec(
        "voltage_metal",
        "part of it until metals have reached their ceilings of charge",
        "V",
        uncertainty=_ENGINE,
    ),
    FieldSpec(
        "voltage_oxygen",
        "part of it beyond that, where oxygen is oxidised",
        "V",
        uncertainty=_ENGINE,
    ),
    FieldSpec(
        "charged_volume_change",
        "volume of the most charged cell against the full one, relative",
        "1",
    ),
    FieldSpec(
        "charged_e_hull",
        "energy of the most charged cell above the hull, signed",
        "eV/atom",
    ),
    FieldSpec(
        "charged_freed_oxygen",
        "part of the oxygen of the most charged cell that leaves as O2 when it "
        "decomposes",
        "1",
    ),
)
