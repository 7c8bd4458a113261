"""The table of summaries: its columns, its parts in the database, and its head."""

from __future__ import annotations

import re
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin

from pydantic import Field

from hts_battery.schemas.base import Document
from hts_battery.schemas.field_spec import PROPERTY, Kind
from hts_battery.schemas.fields import PROPERTIES, uncertainty_of
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.property import condition_key
from hts_battery.schemas.summary import SummaryDoc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

    from hts_battery.schemas.rows import PropertyRow, SummaryRow

HEAD = "head"
"""Key of the one document that names the parts of the table that is valid."""

PART_ROWS = 50_000
"""Rows of a part at most, which is one Parquet file of one row group."""

SEPARATOR = "\x1f"
"""Stands before, between and behind the items of a list, which is kept as a text."""

CELL = "cell."
"""Before the columns that describe the calculated cell in OPTIMADE's words."""

AMOUNTS = "amounts."
"""Before the columns of atoms per formula unit, one an element."""

LEFT_OUT = frozenset(
    ("element_keys", "excluded_references", "previous_at", "decomposition")
)
"""Fields of a summary that are no columns as they stand."""


_PART = re.compile(r"([A-Z][a-z]?)(\d+(?:\.\d+)?)?")
_PLAIN = re.compile(rf"(?:{_PART.pattern})+")


def _type(annotation: object) -> Kind:
    """Read the type of a field, or of the values of a map."""
    if get_origin(annotation) is dict:
        return _type(get_args(annotation)[1])
    if get_origin(annotation) is tuple:
        return Kind.LIST
    (kind,) = [
        one for one in (get_args(annotation) or (annotation,)) if one is not NoneType
    ][:1]
    known = {
        float: Kind.NUMBER,
        int: Kind.INTEGER,
        bool: Kind.BOOLEAN,
    }
    return known.get(cast("type", kind), Kind.TEXT)


_TYPES = {
    name: _type(field.annotation)
    for name, field in SummaryDoc.model_fields.items()
    if name not in LEFT_OUT
} | {"decomposition": Kind.LIST, "amounts": Kind.NUMBER}
_MAPS = tuple(
    name
    for name, field in SummaryDoc.model_fields.items()
    if name in _TYPES and get_origin(field.annotation) is dict
)
_CELL_TYPES = {
    "elements": Kind.LIST,
    "nelements": Kind.INTEGER,
    "elements_ratios": Kind.LIST,
    "nsites": Kind.INTEGER,
    "nperiodic_dimensions": Kind.INTEGER,
    "dimension_types": Kind.LIST,
    "structure_features": Kind.LIST,
    "last_modified": Kind.TIME,
}
_PROPERTIES = {spec.name: spec for spec in PROPERTIES}
_NUMBERS = frozenset(("decomposition.amount", f"{CELL}elements_ratios"))
_INTEGERS = frozenset((f"{CELL}dimension_types",))
"""Columns whose lists hold numbers."""


@cache
def column_type(path: str) -> Kind:
    """
    Say what stands in a column.

    Examples
    --------
    >>> column_type("open_at.0K").value, column_type("cell.nsites").value
    ('boolean', 'integer')
    """
    field, _, key = path.partition(".")
    if path.startswith(CELL):
        return _CELL_TYPES.get(key, Kind.TEXT)
    if field == PROPERTY:
        declared = _PROPERTIES.get(key.partition(".")[0])
        return declared.kind if declared else Kind.NUMBER
    return _TYPES[field]


def arrow_schema(paths: Iterable[str]) -> pa.Schema:
    """Return the types of columns as Arrow names them."""
    import pyarrow as pa  # noqa: PLC0415 - half a second that other documents do not need

    types = {
        Kind.NUMBER: pa.float64(),
        Kind.INTEGER: pa.int64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.TIME: pa.timestamp("us", tz="UTC"),
    }
    return pa.schema(
        [(path, types.get(column_type(path), pa.string())) for path in paths]
    )


def table_row(summary: SummaryRow) -> dict[str, object]:
    """
    Write a summary as one row: a field is a column, of a map every key is one.

    ``summary``: document of the ``summary`` collection.
    """
    row: dict[str, object] = {}
    for name, value in cast("Mapping[str, Any]", summary).items():
        if name in LEFT_OUT:
            continue
        if isinstance(value, dict):
            row |= {f"{name}.{key}": _stored(one) for key, one in value.items()}
        elif name in _TYPES:
            row[name] = _stored(value)
    for part in ("formula", "amount"):
        phases = cast("list[Mapping[str, object]]", summary["decomposition"])
        row[f"decomposition.{part}"] = _stored([phase[part] for phase in phases])
    for element, amount in _amounts(summary["formula"]).items():
        row[f"{AMOUNTS}{element}"] = amount
    return row


def _amounts(formula: str) -> dict[str, float]:
    """Read a formula; one without brackets at once, for there are thousands."""
    if _PLAIN.fullmatch(formula) is None:
        return {el: float(amount) for el, amount in parse_formula(formula).items()}
    found: dict[str, float] = {}
    for element, amount in _PART.findall(formula):
        found[element] = found.get(element, 0.0) + float(amount or 1)
    return found


def is_property(path: str) -> bool:
    """Say whether a column is of a property, or of its uncertainty."""
    return path.startswith(f"{PROPERTY}.")


def property_columns(properties: Iterable[PropertyRow]) -> dict[str, object]:
    """
    Write properties of one candidate as columns, their uncertainties beside them.

    Those of other conditions than a temperature, and arrays, are no columns, nor are
    those that nothing declares any more.

    Examples
    --------
    >>> property_columns([{"subject_id": "c", "name": "alpha_LiM_1", "conditions": {},
    ...                    "value": -0.2, "uncertainty": 0.1}])
    {'property.alpha_LiM_1': -0.2, 'property.alpha_LiM_1_uncertainty': 0.1}
    """
    row: dict[str, object] = {}
    for one in properties:
        name, key = one["name"], condition_key(one["conditions"])
        spec = _PROPERTIES.get(name)
        if spec is None or key is None or one["value"] is None:
            continue
        if bool(key) is not spec.at_temperature:
            continue
        end = f".{key}" if key else ""
        row[f"{spec.column}{end}"] = one["value"]
        if spec.uncertainty and one["uncertainty"] is not None:
            row[f"{uncertainty_of(spec).column}{end}"] = one["uncertainty"]
    return row


def cell_row(properties: Mapping[str, object]) -> dict[str, object]:
    """Write a structure in OPTIMADE's words as columns."""
    return {f"{CELL}{name}": _stored(value) for name, value in properties.items()}


def _stored(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Write a list as a text, in which an item can be looked for."""
    if isinstance(value, list | tuple):
        return SEPARATOR.join(["", *map(str, value), ""]) if value else SEPARATOR
    return value


def listed(path: str, text: str | None) -> list[Any] | None:
    r"""
    Read a list again.

    Examples
    --------
    >>> listed("elements", "\x1fLi\x1fO\x1f"), listed("flags", "\x1f")
    (['Li', 'O'], [])
    """
    if text is None:
        return None
    items = text[1:-1].split(SEPARATOR) if len(text) > 1 else []
    if path in _NUMBERS:
        return [float(item) for item in items]
    return [int(item) for item in items] if path in _INTEGERS else list(items)


def column_values(path: str, values: Sequence[Any]) -> Sequence[Any]:
    """Return what a column says, lists as lists."""
    if column_type(path) is not Kind.LIST:
        return values
    return [listed(path, value) for value in values]


def summaries_of(columns: Mapping[str, Sequence[Any]]) -> list[SummaryRow]:
    """
    Write rows as the summaries that they are of, as far as the columns go.

    Examples
    --------
    >>> (found,) = summaries_of({"formula": ["LiF"], "open_at.0K": [True]})
    >>> found["formula"], found["open_at"], found["label_at"]
    ('LiF', {'0K': True}, {})
    """
    count = len(next(iter(columns.values()), ()))
    docs: list[dict[str, Any]] = [{name: {} for name in _MAPS} for _ in range(count)]
    for path, stored in columns.items():
        values = column_values(path, stored)
        field, _, key = path.partition(".")
        for doc, value in zip(docs, values, strict=True):
            if not key:
                doc[field] = value
            elif value is not None:
                doc.setdefault(field, {})[key] = value
    for doc in docs:
        if phases := doc.get("decomposition"):
            doc["decomposition"] = [
                {"formula": formula, "amount": amount}
                for formula, amount in zip(*phases.values(), strict=True)
            ]
    return cast("list[SummaryRow]", docs)


class TablePart(Document):
    """A stretch of a campaign's summaries; the Parquet file stands in ``data``."""

    part_id: str = Field(description="Campaign, version and first row.")
    campaign: str = Field(description="Name of the campaign.")
    version: str = Field(description="Digest of the summaries of the campaign.")
    first_row: int = Field(ge=0, description="Place of its first row; no unit.")
    n_rows: int = Field(ge=1, description="Rows; no unit.")


class CampaignTable(Document):
    """What the table holds of one campaign."""

    campaign: str = Field(description="Name of the campaign.")
    version: str = Field(description="Digest of its summaries and temperatures.")
    n_rows: int = Field(ge=0, description="Summaries; no unit.")
    temperatures: tuple[float, ...] = Field(
        description="Temperatures in K at which E_hull is a column."
    )
    properties: dict[str, tuple[float, ...]] = Field(
        default_factory=dict,
        description="Property that is a column → temperatures in K at which it is one; "
        "none for a property without temperature.",
    )


class TableHead(Document):
    """
    Which parts are the table: written in one write when all of them stand.

    Readers see the table of the last build or of the one before, never half of one.
    """

    part_id: str = Field(HEAD, description="The same always.")
    run_id: str | None = Field(description="Run of the builders that wrote it.")
    campaigns: tuple[CampaignTable, ...] = Field(description="By name.")
