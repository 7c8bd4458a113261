"""Properties that the builder ``stability_window`` makes."""

from __future__ import annotations

from hts_battery.schemas.field_spec import FieldSpec

_BY_SLOPE = "uncertainty of E_hull times atoms per carrier exchanged"
FIELDS = (
    FieldSpec(
        "window_reduction",
        "voltage against the carrier's metal below which the candidate takes carriers "
        "in and decomposes; on the hull if it is above it",
        "V",
        uncertainty=_BY_SLOPE,
    ),
    FieldSpec(
        "window_oxidation",
        "the same above which it gives carriers off and decomposes",
        "V",
        uncertainty=_BY_SLOPE,
    ),
    FieldSpec(
        "window_width",
        "oxidation minus reduction limit; null more than 50 meV/atom below the hull",
        "V",
        uncertainty=_BY_SLOPE,
    ),
    FieldSpec(
        "interface_mutual",
        "lowest mutual reaction energy with the electrodes that the campaign names; at "
        "a voltage per atom without the carrier",
        "eV/atom",
    ),
)
