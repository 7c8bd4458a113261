"""Properties that the builder ``descriptors`` makes."""

from __future__ import annotations

from hts_battery.schemas.field_spec import FieldSpec

_PAULING = "Pauling"
_WEIGHTED = "amount-weighted standard deviation over the metals"

FIELDS = (
    FieldSpec(
        "metal_radius_mean", "octahedral Shannon radius, mean over the metals", "Å"
    ),
    FieldSpec("metal_radius_spread", f"the same, {_WEIGHTED}", "Å"),
    FieldSpec("metal_radius_range", "the same, greatest minus least", "Å"),
    FieldSpec(
        "metal_electronegativity_mean",
        "Pauling's electronegativity, mean over the metals",
        _PAULING,
    ),
    FieldSpec("metal_electronegativity_spread", f"the same, {_WEIGHTED}", _PAULING),
    FieldSpec(
        "metal_electronegativity_range", "the same, greatest minus least", _PAULING
    ),
    FieldSpec("metal_charge_mean", "formal charge, mean over the metals", "e"),
    FieldSpec("metal_charge_spread", f"the same, {_WEIGHTED}", "e"),
    FieldSpec("metal_charge_range", "the same, greatest minus least", "e"),
    FieldSpec(
        "polyanion_charge_spread",
        "standard deviation of the charges of the polyanions (SiO4 4, PO4 3, SO4 2)",
        "e",
    ),
    FieldSpec(
        "polyanion_electronegativity_spread",
        "standard deviation of the electronegativities of the polyanion centres",
        _PAULING,
    ),
    FieldSpec("carrier_amount", "Li, Na and K per twelve O", "1"),
    FieldSpec("metal_mixing", "-Σ x ln x over the metals, per metal", "kB"),
    FieldSpec("polyanion_mixing", "-Σ x ln x over the polyanion centres, each", "kB"),
    FieldSpec(
        "redox_centre_distance",
        "greatest difference, over the redox centres, to the nearest octahedral radius "
        "of a redox centre that occurs in a reported compound",
        "Å",
    ),
    FieldSpec(
        "charge_compensator_distance", "the same of the charge compensators", "Å"
    ),
    FieldSpec(
        "ewald_energy",
        "Ewald energy of the formal charges of the ordering with the lowest energy, at "
        "its starting lattice",
        "eV/atom",
    ),
)
