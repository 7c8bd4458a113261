"""Fields that a query can name: where they stand, of which kind, in which unit."""

from __future__ import annotations

import csv
import re
from difflib import get_close_matches
from enum import StrEnum
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.errors import CompositionError, QueryError
from hts_battery.schemas.formula import ELEMENTS, canonical_formula, parse_formula
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.summary import temperature_key
from hts_battery.schemas.thermo import StabilityLabel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

PREFIX = "_hts_"
"""What our own fields are called by in an OPTIMADE server; may be left out."""

_NEAREST = 5

ALIASES = {
    "id": "candidate_id",
    "nelements": "n_elements",
    "chemical_formula_reduced": "formula",
}
"""Names of the OPTIMADE standard → ours."""


class Kind(StrEnum):
    """What a field holds, which decides how it can be compared."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXT = "text"
    LIST = "list"
    TIME = "time"


class QueryField(NamedTuple):
    """A field of the summaries by the name that filters, orders and tables use."""

    name: str
    path: str
    """Column of the table of summaries: where it stands in a document, dotted."""
    kind: Kind
    unit: str | None
    meaning: str
    choices: tuple[str, ...] = ()
    """The only values there are; any if empty."""
    equal_path: str | None = None
    """Column that is compared for equality, where that is another."""
    normal: Callable[[str], str] | None = None
    """Writes a text as the column holds it; refuses what can stand in none."""
    constant: str | None = None
    """What every row has, where that is no column."""


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


_SPELLINGS: dict[str, tuple[str | None, Callable[[str], str]]] = {
    "formula": ("canonical_formula", _formula),
    "chemical_system": (None, _system),
    "species": (None, _species),
}
"""Field → column that is compared instead, and how a text is brought into its form."""


def _spelling(name: str, path: str) -> tuple[str | None, Callable[[str], str] | None]:
    if path == "elements" or path.startswith("roles."):
        return None, _element
    return _SPELLINGS.get(name, (None, None))


def _read_fields(*, at_temperature: bool) -> dict[str, QueryField]:
    """Read the table of fields: those of one temperature each, or the others."""
    table = files("hts_battery.query") / "data" / "fields.csv"
    labels = tuple(label.value for label in StabilityLabel)
    return {
        row["name"]: QueryField(
            row["name"],
            row["path"],
            Kind(row["kind"]),
            row["unit"] or None,
            row["meaning"],
            labels if row["name"] == "label" else (),
            *_spelling(row["name"], row["path"]),
        )
        for row in csv.DictReader(table.read_text("utf-8").splitlines())
        if bool(row["at_temperature"]) == at_temperature
    }


FIELDS = _read_fields(at_temperature=False)
"""Name → field, those of a temperature left out."""


TEMPERATURE_FIELDS = _read_fields(at_temperature=True)
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
    found = at_temperature(TEMPERATURE_FIELDS[match["name"]], kelvin)
    return found._replace(name=own)


def _nearest(name: str) -> str:
    known = [*FIELDS, *ALIASES, *(f"{base}_1473" for base in TEMPERATURE_FIELDS)]
    near = get_close_matches(name, known, n=_NEAREST, cutoff=0.5)
    return f"near it: {', '.join(near)}" if near else f"choose of {', '.join(known)}"


def fields_at(temperatures: Iterable[float]) -> list[QueryField]:
    """Return every field, those of a temperature at each of some in K."""
    hot = [
        at_temperature(base, kelvin)
        for kelvin in temperatures
        for base in TEMPERATURE_FIELDS.values()
    ]
    return [*FIELDS.values(), *hot]


def at_temperature(base: QueryField, kelvin: float) -> QueryField:
    """
    Return a field of one temperature.

    Examples
    --------
    >>> at_temperature(TEMPERATURE_FIELDS["e_hull"], 1273.15).name
    'e_hull_1273_15'
    """
    key = temperature_key(kelvin)
    name = f"{base.name}_{key.removesuffix('K')}"
    return base._replace(name=name, path=f"{base.path}.{key}")
