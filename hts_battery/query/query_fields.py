"""Fields by the names that filters, orders and tables use."""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from hts_battery.errors import CompositionError, QueryError
from hts_battery.schemas import fields
from hts_battery.schemas.field_spec import FieldSpec, Spelling
from hts_battery.schemas.formula import ELEMENTS, canonical_formula, parse_formula
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.summary import temperature_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

PREFIX = "_hts_"
"""What our own fields are called by in an OPTIMADE server; may be left out."""

_NEAREST = 5

ALIASES = {
    "id": "candidate_id",
    "nelements": "n_elements",
    "chemical_formula_reduced": "formula",
}
"""Names of the OPTIMADE standard → ours."""

FIELDS = {spec.name: spec for spec in fields.FIELDS if not spec.at_temperature}
"""Name → field, those of a temperature left out."""

TEMPERATURE_FIELDS = {spec.name: spec for spec in fields.FIELDS if spec.at_temperature}
"""Name before ``_1473`` (any stored temperature in K, 1273.15 as ``1273_15``)."""

_BY_NAME = {name.lower(): spec for name, spec in FIELDS.items()}
_AT_BY_NAME = {name.lower(): spec for name, spec in TEMPERATURE_FIELDS.items()}
_AT_TEMPERATURE = re.compile(r"(?P<name>.+?)_(?P<kelvin>\d{1,5}(?:_\d{1,3})?)")


def _formula(text: str) -> str:
    try:
        return canonical_formula(parse_formula(text))
    except CompositionError as err:
        raise QueryError(str(err)) from err


def _species(text: str) -> str:
    try:
        return str(parse_species(text))
    except CompositionError as err:
        raise QueryError(str(err)) from err


def _element(symbol: str) -> str:
    if symbol not in ELEMENTS:
        raise QueryError(f"{symbol!r} is not an element")
    return symbol


def _system(text: str) -> str:
    return "-".join(sorted({_element(part) for part in text.split("-")}))


_NORMAL: dict[Spelling, Callable[[str], str]] = {
    Spelling.FORMULA: _formula,
    Spelling.SYSTEM: _system,
    Spelling.SPECIES: _species,
    Spelling.ELEMENT: _element,
}


def normal(spec: FieldSpec, text: str) -> str:
    """
    Write a text as the column of a field holds it.

    Raises QueryError, which names the field, for what can stand in none.

    Examples
    --------
    >>> normal(FIELDS["chemical_system"], "O-Li")
    'Li-O'
    """
    if spec.spelling is None:
        return text
    try:
        return _NORMAL[spec.spelling](text)
    except QueryError as err:
        raise QueryError(f"{spec.name}: {err}") from err


def query_field(
    name: str,
    *,
    temperatures: Collection[float] = (),
    properties: Mapping[str, Collection[float]] | None = None,
) -> FieldSpec:
    """
    Find a field by its name, an alias or a name with the provider's prefix.

    ``name``: for example ``e_hull``, ``e_hull_1473``, ``nelements`` or ``_hts_t_mix``;
    the case of its letters does not matter. ``temperatures``: stored temperatures in K;
    if there are any, another one is an error. ``properties``: those of each property
    that has its own. Raises QueryError if there is no such field; the message names the
    nearest ones.

    Examples
    --------
    >>> query_field("e_hull_1473").path
    'energy_above_hull_at.1473K'
    >>> query_field("nelements").column, query_field("_hts_alpha_lim_1").name
    ('n_elements', 'alpha_LiM_1')
    """
    own = name.lower().removeprefix(PREFIX)
    own = ALIASES.get(own, own)
    if own in _BY_NAME:
        return _BY_NAME[own]
    match = _AT_TEMPERATURE.fullmatch(own)
    base = match and _AT_BY_NAME.get(match["name"])
    if match is None or base is None:
        raise QueryError(f"there is no field {name!r}; {_nearest(own)}")
    kelvin = float(match["kelvin"].replace("_", "."))
    stored = _own(base, properties) or temperatures
    if stored and kelvin not in stored:
        known = ", ".join(f"{value:g}" for value in sorted(stored))
        raise QueryError(
            f"{name}: no value is stored at {kelvin:g} K, only at {known} K; name "
            "others as temperatures in the campaign or in HTS_BATTERY_TEMPERATURES, "
            "then `hts build all`"
        )
    return at_temperature(base, kelvin)


def _nearest(name: str) -> str:
    known = [*FIELDS, *ALIASES, *(f"{base}_1473" for base in TEMPERATURE_FIELDS)]
    folded = {one.lower(): one for one in known}
    near = get_close_matches(name, folded, n=_NEAREST, cutoff=0.5)
    if near:
        return f"near it: {', '.join(folded[one] for one in near)}"
    return f"choose of {', '.join(known)}"


def fields_at(
    temperatures: Iterable[float],
    properties: Mapping[str, Collection[float]] | None = None,
) -> list[FieldSpec]:
    """
    Return every field, those of a temperature at each of some in K.

    ``temperatures``: those of E_hull. ``properties``: property → those at which it is
    stored.

    Examples
    --------
    >>> [one.name for one in fields_at([0.0, 1473.0]) if one.name.startswith("open")]
    ['open_0', 'open_1473']
    """
    found: list[FieldSpec] = []
    kelvins = list(temperatures)
    for spec in fields.FIELDS:
        if not spec.at_temperature:
            found.append(spec)
            continue
        own = _own(spec, properties) if spec.is_property else kelvins
        found += [at_temperature(spec, kelvin) for kelvin in own]
    return found


def _own(
    spec: FieldSpec, properties: Mapping[str, Collection[float]] | None
) -> Collection[float]:
    """Return the temperatures in K at which a property is stored; none of others."""
    name = spec.name.removesuffix("_uncertainty")
    return (properties or {}).get(name, ()) if spec.is_property else ()


def at_temperature(base: FieldSpec, kelvin: float) -> FieldSpec:
    """
    Return a field of one temperature.

    Examples
    --------
    >>> at_temperature(TEMPERATURE_FIELDS["e_hull"], 1273.15).name
    'e_hull_1273_15'
    """
    key = temperature_key(kelvin)
    return replace(
        base,
        name=f"{base.name}_{key.removesuffix('K')}",
        path=f"{base.column}.{key}",
        at_temperature=False,
    )
