"""What can be asked for: one declaration a quantity, from which every face derives."""

from __future__ import annotations

from dataclasses import replace

from hts_battery.schemas.field_spec import PROPERTY, FieldSpec, Kind, Spelling
from hts_battery.schemas.property_fields import declared
from hts_battery.schemas.thermo import StabilityLabel

_TEXT, _LIST, _INTEGER = Kind.TEXT, Kind.LIST, Kind.INTEGER
_ENERGY = "eV/atom"
_ELEMENT = Spelling.ELEMENT

_SUMMARY = (
    FieldSpec("candidate_id", "key of the candidate", kind=_TEXT, shown=True),
    FieldSpec("campaign", "campaign that screened it", kind=_TEXT, shown=True),
    FieldSpec("family", "family whose sites it fills", kind=_TEXT),
    FieldSpec(
        "formula",
        "composition, any spelling",
        kind=_TEXT,
        spelling=Spelling.FORMULA,
        equal_path="canonical_formula",
        shown=True,
    ),
    FieldSpec(
        "chemical_system",
        "symbols, like Li-Mn-O-Ti",
        kind=_TEXT,
        spelling=Spelling.SYSTEM,
    ),
    FieldSpec("n_metals", "number of different metals", kind=_INTEGER, shown=True),
    FieldSpec("n_elements", "number of elements", kind=_INTEGER),
    FieldSpec("elements", "symbols", kind=_LIST, spelling=_ELEMENT),
    FieldSpec("species", "species, like Mn3+", kind=_LIST, spelling=Spelling.SPECIES),
    *(
        FieldSpec(
            f"{role}s",
            "symbols in this role",
            kind=_LIST,
            path=f"roles.{role}",
            spelling=_ELEMENT,
        )
        for role in (
            *("charge_carrier", "redox_centre", "charge_compensator"),
            *("polyanion_centre", "anion"),
        )
    ),
    FieldSpec(
        "e_hull",
        "E_hull at 0 K, signed",
        _ENERGY,
        path="energy_above_hull",
        shown=True,
    ),
    FieldSpec(
        "e_hull",
        "E_hull(T), lowest ordering, signed",
        _ENERGY,
        path="energy_above_hull_at",
        at_temperature=True,
        shown=True,
    ),
    FieldSpec(
        "e_hull_upper",
        "E_hull(T), mean of the random orderings",
        _ENERGY,
        path="energy_above_hull_upper_at",
        at_temperature=True,
        shown=True,
    ),
    FieldSpec(
        "e_hull_other",
        "E_hull(T) had the other mixing been counted",
        _ENERGY,
        path="energy_above_hull_other_at",
        at_temperature=True,
    ),
    FieldSpec(
        "label",
        "GS, LS or US at the temperature",
        kind=_TEXT,
        path="label_at",
        at_temperature=True,
        choices=tuple(label.value for label in StabilityLabel),
        shown=True,
    ),
    FieldSpec(
        "open",
        "whether the label may turn: bounds of different signs, or E_hull(T) within "
        "one uncertainty of 0",
        kind=Kind.BOOLEAN,
        path="open_at",
        at_temperature=True,
        shown=True,
    ),
    FieldSpec(
        "p_stable",
        "probability that E_hull(T) is not above 0",
        path="probability_stable_at",
        at_temperature=True,
        shown=True,
    ),
    FieldSpec(
        "uncertainty",
        "standard uncertainty of E_hull: error of the calculator",
        _ENERGY,
        shown=True,
    ),
    FieldSpec(
        "uncertainty_source",
        "where the uncertainty comes from, or why none is known",
        kind=_TEXT,
    ),
    FieldSpec("n_orderings", "orderings calculated", kind=_INTEGER, shown=True),
    FieldSpec(
        "n_random_orderings",
        "orderings that resemble a random solution",
        kind=_INTEGER,
    ),
    FieldSpec("ordering_spread", "standard deviation of the random orderings", _ENERGY),
    FieldSpec(
        "t_mix",
        "E_hull/S; null at or below",
        "K",
        path="mixing_temperature",
        shown=True,
    ),
    FieldSpec("entropy", "ideal mixing entropy", "eV/K per atom", shown=True),
    FieldSpec("mixing", "mixing that the entropy counts, in words", kind=_TEXT),
    FieldSpec("other_mixing", "the other convention, in words", kind=_TEXT),
    FieldSpec("energy_per_atom", "lowest ordering", _ENERGY),
    FieldSpec("engine", "engine of every energy", kind=_TEXT, shown=True),
    FieldSpec("calculator", "calculator with versions", kind=_TEXT),
    FieldSpec("hull_version", "digest of the hull", kind=_TEXT),
    FieldSpec("entry_id", "entry of the lowest ordering", kind=_TEXT),
    FieldSpec("n_references", "competing phases", kind=_INTEGER),
    FieldSpec(
        "decomposition", "competing phases", kind=_LIST, path="decomposition.formula"
    ),
    FieldSpec(
        "hull_depth_risk",
        "how much E_hull may fall by known compositions without a reference",
        _ENERGY,
        shown=True,
    ),
    FieldSpec(
        "hull_depth_risk_reported",
        "the same by reported compounds only",
        _ENERGY,
        shown=True,
    ),
    FieldSpec(
        "deviation",
        "largest difference of an element between cell and candidate",
        "atoms per formula unit",
        shown=True,
    ),
    FieldSpec(
        "calculated_formula", "what the calculated cell holds", kind=_TEXT, shown=True
    ),
    FieldSpec(
        "same_cell_as", "candidate under which the same cell is ranked", kind=_TEXT
    ),
    FieldSpec("flags", "warnings, as words", kind=_LIST, shown=True),
)
"""Columns of a summary."""

PROPERTIES = tuple(replace(spec, path=f"{PROPERTY}.{spec.name}") for spec in declared())
"""What builders of properties make."""


def uncertainty_of(spec: FieldSpec) -> FieldSpec:
    """
    Declare the uncertainty of a property, which is a column beside it.

    Examples
    --------
    >>> (declared,) = [one for one in PROPERTIES if one.name == "alpha_LiM_1"]
    >>> uncertainty_of(declared).column
    'property.alpha_LiM_1_uncertainty'
    """
    return replace(
        spec,
        name=f"{spec.name}_uncertainty",
        description=f"of {spec.name}: {spec.uncertainty}",
        path=f"{spec.column}_uncertainty",
        uncertainty="",
        shown=False,
    )


FIELDS = (
    *_SUMMARY,
    *PROPERTIES,
    *(uncertainty_of(spec) for spec in PROPERTIES if spec.uncertainty),
)
"""Every field, in the order of tables."""
