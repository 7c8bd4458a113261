"""Fields that a query can name: where they stand, of which kind, in which unit."""

from __future__ import annotations

import csv
import re
from difflib import get_close_matches
from enum import StrEnum
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from hts_battery.errors import QueryError
from hts_battery.schemas.summary import temperature_key
from hts_battery.schemas.thermo import StabilityLabel

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

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


def _read_fields(*, at_temperature: bool) -> dict[str, QueryField]:
    """Read the table of fields: those of one temperature each, or the others."""
    table = files("hts_battery.query") / "data" / "fields.csv"
    labels = tuple(label.value for label in StabilityLabel)
    return {
        row["name"]: QueryField(
            name=row["name"],
            path=row["path"],
            kind=Kind(row["kind"]),
            unit=row["unit"] or None,
            meaning=row["meaning"],
            choices=labels if row["name"] == "label" else (),
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
