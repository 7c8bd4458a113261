"""What can be asked for: one declaration a quantity, from which every face derives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from hts_battery.schemas.thermo import StabilityLabel

PROPERTY = "property"
"""Map of a row that holds the properties of a candidate, by name."""


class Kind(StrEnum):
    """What a field holds, which decides how it can be compared."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXT = "text"
    LIST = "list"
    TIME = "time"


class Spelling(StrEnum):
    """What a text names, so that any spelling of it is found."""

    FORMULA = "formula"
    SYSTEM = "chemical system"
    SPECIES = "species"
    ELEMENT = "element"


@dataclass(frozen=True)
class FieldSpec:
    """
    One quantity that can be asked for.

    The filter language, OPTIMADE properties, columns of the table, of CSV and Parquet
    files and of the command line, axes of the dashboard and the documentation's table
    of fields are made from it.
    """

    name: str
    """By which filters, orders and tables call it; case does not matter there."""
    description: str
    unit: str | None = None
    """None or ``1`` where there is none."""
    kind: Kind = Kind.NUMBER
    path: str = ""
    """Column of the table of summaries: where it stands in a row, dotted; its name if
    not given."""
    at_temperature: bool = False
    """Whether it has a value at each of some temperatures: ``e_hull_1473``."""
    uncertainty: str = ""
    """What the uncertainty of a property is, which is then a field, too."""
    shown: bool = False
    """Whether it stands in a table for which no fields are asked for."""
    choices: tuple[str, ...] = ()
    """The only values there are; any if empty."""
    spelling: Spelling | None = None
    """What a text names, where that has several spellings."""
    equal_path: str | None = None
    """Column that is compared for equality, where that is another."""
    constant: str | None = None
    """What every row has, where that is no column."""

    @property
    def column(self) -> str:
        """Column of the table of summaries."""
        return self.path or self.name

    @property
    def is_property(self) -> bool:
        """Whether a builder of properties makes it."""
        return self.column.startswith(f"{PROPERTY}.")

    @property
    def is_axis(self) -> bool:
        """Whether it can be drawn: a number, of any kind."""
        return self.kind in (Kind.NUMBER, Kind.INTEGER)

    @property
    def unit_words(self) -> str:
        """Write the unit for people; empty where there is none."""
        return "" if self.unit in (None, "1") else str(self.unit)


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

_SPREAD = "standard deviation over the orderings (n - 1); null below two"

_LOCAL_STRUCTURE = (
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
        "where they are the carrier",
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
"""Made by the builder ``local_structure``."""

_ERROR = "standard error of the mean over cells"
_RANDOM = "carriers at random on the parent lattice"

_PERCOLATION = (
    FieldSpec(
        "accessible_li",
        "carriers in a wrapping cluster (0-TM; NASICON: 6b and 18e), of all; "
        f"{_RANDOM}; Na where it is the carrier",
        "1",
        uncertainty=_ERROR,
        shown=True,
    ),
    FieldSpec(
        "accessible_li_amount",
        "the same, times the carriers",
        "atoms per formula unit",
        uncertainty=_ERROR,
    ),
    FieldSpec(
        "percolation_threshold",
        f"filling of the sites at which carriers percolate; {_RANDOM}",
        "1",
        uncertainty="standard error",
    ),
    FieldSpec(
        "percolation_excess",
        "carriers above the threshold, negative below",
        "atoms per formula unit",
        uncertainty="standard error",
    ),
    FieldSpec(
        "wrap_probability",
        "cells with a wrapping cluster, of all: between 0 and 1 the mean of "
        "accessible_li hides two kinds of cells",
        "1",
    ),
)
"""Made by the builder ``percolation``."""

_DRAWS = "standard error by the draws, for normal energies"
_ORDERING_SPECTRUM = (
    FieldSpec(
        "entropy_forming_ability",
        "inverse standard deviation of the energies of orderings drawn at random, EFA "
        "of 10.1038/s41467-018-07160-7; every draw weighs the same",
        "(eV/atom)^-1",
        uncertainty=_DRAWS,
    ),
    FieldSpec(
        "disordered_enthalpy_entropy",
        "root of that over the mean distance of these orderings from the hull at 0 K, "
        "DEED of 10.1038/s41586-023-06786-y",
        "(eV/atom)^-1",
        uncertainty=_DRAWS,
    ),
    FieldSpec(
        "e_hull_boltzmann",
        "Boltzmann mean at T of the distance from the hull at 0 K of orderings drawn "
        "at random, weighed as whole cells; no entropy in it",
        _ENERGY,
        at_temperature=True,
        uncertainty="standard error by the draws",
    ),
)
"""Made by the builder ``ordering_spectrum``."""

_EQUATION_OF_STATE = (
    FieldSpec(
        "bulk_modulus",
        "of the lowest ordering at its equilibrium volume, at 0 K by an equation of "
        "state; the cell keeps its shape",
        "GPa",
        uncertainty="standard error of the fit",
    ),
    FieldSpec(
        "equilibrium_volume",
        "volume per atom of the lowest ordering where that equation has its minimum",
        "Å^3",
        uncertainty="standard error of the fit",
    ),
)
"""Made by the builder ``equation_of_state`` of the recipe's results."""

_CAPACITY = (
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
"""Made by the builder ``capacity``."""

_BY_SLOPE = "uncertainty of E_hull times atoms per carrier exchanged"
_STABILITY_WINDOW = (
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
        _ENERGY,
    ),
)
"""Made by the builder ``stability_window``."""

PROPERTIES = tuple(
    replace(spec, path=f"{PROPERTY}.{spec.name}")
    for spec in (
        *_LOCAL_STRUCTURE,
        *_PERCOLATION,
        *_ORDERING_SPECTRUM,
        *_EQUATION_OF_STATE,
        *_CAPACITY,
        *_STABILITY_WINDOW,
    )
)
"""What builders of properties make; a new one is declared in the part of its room."""


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
