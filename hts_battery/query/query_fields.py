"""Fields that a query can name: where they stand, of which kind, in which unit."""

from __future__ import annotations

import re
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from hts_battery.errors import QueryError
from hts_battery.schemas.summary import temperature_key
from hts_battery.schemas.thermo import StabilityLabel

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PREFIX = "_hts_"
"""What our own fields are called by in an OPTIMADE server; may be left out."""

_NEAREST = 5


class Kind(StrEnum):
    """What a field holds, which decides how it can be compared."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXT = "text"
    LIST = "list"


class QueryField(NamedTuple):
    """A field of the summaries by the name that filters, orders and tables use."""

    name: str
    path: str
    """Where it stands in a document, dotted."""
    kind: Kind
    unit: str | None
    meaning: str
    choices: tuple[str, ...] = ()
    """The only values there are; any if empty."""


_LABELS = tuple(label.value for label in StabilityLabel)
_N, _I, _T, _L = Kind.NUMBER, Kind.INTEGER, Kind.TEXT, Kind.LIST
_B = Kind.BOOLEAN

FIELDS: dict[str, QueryField] = {
    field.name: field
    for field in (
        QueryField("campaign", "campaign", _T, None, "campaign that screened it"),
        QueryField("candidate_id", "candidate_id", _T, None, "key of the candidate"),
        QueryField("family", "family", _T, None, "family whose sites it fills"),
        QueryField("formula", "formula", _T, None, "composition, any spelling"),
        QueryField(
            "chemical_system", "chemical_system", _T, None, "symbols, like Li-Mn-O-Ti"
        ),
        QueryField("engine", "engine", _T, None, "engine of every energy"),
        QueryField("calculator", "calculator", _T, None, "calculator with versions"),
        QueryField("hull_version", "hull_version", _T, None, "digest of the hull"),
        QueryField("entry_id", "entry_id", _T, None, "entry of the lowest ordering"),
        QueryField(
            "calculated_formula",
            "calculated_formula",
            _T,
            None,
            "what the calculated cell holds",
        ),
        QueryField(
            "same_cell_as",
            "same_cell_as",
            _T,
            None,
            "candidate under which the same cell is ranked",
        ),
        QueryField("elements", "elements", _L, None, "symbols"),
        QueryField("species", "species", _L, None, "species, like Mn3+"),
        QueryField(
            "charge_carriers", "roles.charge_carrier", _L, None, "symbols in this role"
        ),
        QueryField(
            "redox_centres", "roles.redox_centre", _L, None, "symbols in this role"
        ),
        QueryField(
            "charge_compensators",
            "roles.charge_compensator",
            _L,
            None,
            "symbols in this role",
        ),
        QueryField(
            "polyanion_centres",
            "roles.polyanion_centre",
            _L,
            None,
            "symbols in this role",
        ),
        QueryField("anions", "roles.anion", _L, None, "symbols in this role"),
        QueryField("flags", "flags", _L, None, "warnings, as words"),
        QueryField(
            "decomposition", "decomposition.formula", _L, None, "competing phases"
        ),
        QueryField("n_elements", "n_elements", _I, None, "number of elements"),
        QueryField("n_metals", "n_metals", _I, None, "number of different metals"),
        QueryField("n_orderings", "n_orderings", _I, None, "orderings calculated"),
        QueryField(
            "n_random_orderings",
            "n_random_orderings",
            _I,
            None,
            "orderings that resemble a random solution",
        ),
        QueryField("n_references", "n_references", _I, None, "competing phases"),
        QueryField(
            "e_hull", "energy_above_hull", _N, "eV/atom", "E_hull at 0 K, signed"
        ),
        QueryField(
            "t_mix", "mixing_temperature", _N, "K", "E_hull/S; null at or below"
        ),
        QueryField("entropy", "entropy", _N, "eV/K per atom", "ideal mixing entropy"),
        QueryField(
            "energy_per_atom", "energy_per_atom", _N, "eV/atom", "lowest ordering"
        ),
        QueryField(
            "uncertainty",
            "uncertainty",
            _N,
            "eV/atom",
            "standard uncertainty of E_hull: error of the calculator",
        ),
        QueryField(
            "deviation",
            "deviation",
            _N,
            "atoms per formula unit",
            "largest difference of an element between cell and candidate",
        ),
        QueryField(
            "ordering_spread",
            "ordering_spread",
            _N,
            "eV/atom",
            "standard deviation of the random orderings",
        ),
        QueryField(
            "hull_depth_risk",
            "hull_depth_risk",
            _N,
            "eV/atom",
            "how much E_hull may fall by known compositions without a reference",
        ),
        QueryField(
            "hull_depth_risk_reported",
            "hull_depth_risk_reported",
            _N,
            "eV/atom",
            "the same by reported compounds only",
        ),
    )
}
"""Name → field, those of a temperature left out."""

ALIASES = {
    "id": "candidate_id",
    "nelements": "n_elements",
    "chemical_formula_reduced": "formula",
}
"""Names of the OPTIMADE standard → ours."""

TEMPERATURE_FIELDS: dict[str, QueryField] = {
    field.name: field
    for field in (
        QueryField(
            "e_hull",
            "energy_above_hull_at",
            _N,
            "eV/atom",
            "E_hull(T), lowest ordering, signed",
        ),
        QueryField(
            "e_hull_upper",
            "energy_above_hull_upper_at",
            _N,
            "eV/atom",
            "E_hull(T), mean of the random orderings",
        ),
        QueryField(
            "e_hull_other",
            "energy_above_hull_other_at",
            _N,
            "eV/atom",
            "E_hull(T) had the other mixing been counted",
        ),
        QueryField(
            "p_stable",
            "probability_stable_at",
            _N,
            None,
            "probability that E_hull(T) is not above 0",
        ),
        QueryField(
            "open",
            "open_at",
            _B,
            None,
            "whether the label may turn: bounds of different signs, or E_hull(T) "
            "within one uncertainty of 0",
        ),
        QueryField(
            "label", "label_at", _T, None, "GS, LS or US at the temperature", _LABELS
        ),
    )
}
"""Name before ``_1473`` (any stored temperature in K, 1273.15 as ``1273_15``)."""

_AT_TEMPERATURE = re.compile(
    rf"(?P<name>{'|'.join(sorted(TEMPERATURE_FIELDS, reverse=True))})"
    r"_(?P<kelvin>\d{1,5}(?:_\d{1,3})?)"
)


def query_field(
    name: str, *, temperatures: Collection[float] | None = None
) -> QueryField:
    """
    Find a field by its name, an alias or a name with the provider's prefix.

    ``name``: for example ``e_hull``, ``e_hull_1473``, ``nelements`` or ``_hts_t_mix``.
    ``temperatures``: stored temperatures in K; another one is then an error. Raises
    QueryError if there is no such field; the message names the nearest ones.

    Examples
    --------
    >>> query_field("e_hull_1473").path
    'energy_above_hull_at.1473K'
    >>> query_field("nelements").path
    'n_elements'
    """
    own = name.removeprefix(PREFIX)
    own = ALIASES.get(own, own)
    if own in FIELDS:
        return FIELDS[own]
    match = _AT_TEMPERATURE.fullmatch(own)
    if match is None:
        raise QueryError(f"there is no field {name!r}; {_nearest(own)}")
    kelvin = float(match["kelvin"].replace("_", "."))
    if temperatures is not None and kelvin not in temperatures:
        stored = ", ".join(f"{value:g}" for value in sorted(temperatures)) or "none"
        raise QueryError(
            f"{name}: nothing is stored at {kelvin:g} K; stored temperatures in K: "
            f"{stored}"
        )
    base = TEMPERATURE_FIELDS[match["name"]]
    return base._replace(name=own, path=f"{base.path}.{temperature_key(kelvin)}")


def _nearest(name: str) -> str:
    known = [*FIELDS, *ALIASES, *(f"{base}_1473" for base in TEMPERATURE_FIELDS)]
    near = get_close_matches(name, known, n=_NEAREST, cutoff=0.5)
    return f"near it: {', '.join(near)}" if near else f"choose of {', '.join(known)}"


def value_at(doc: Mapping[str, object], path: str) -> Any:  # noqa: ANN401 - any JSON value
    """
    Return what stands at a dotted path; None where nothing does.

    Examples
    --------
    >>> value_at({"label_at": {"0K": "US"}}, "label_at.0K")
    'US'
    >>> value_at({"phases": [{"formula": "LiF"}]}, "phases.formula")
    ['LiF']
    """
    found: Any = doc
    for part in path.split("."):
        if isinstance(found, list | tuple):
            found = [item.get(part) for item in found]
        elif isinstance(found, dict):
            found = found.get(part)
        else:
            return None
    return found
