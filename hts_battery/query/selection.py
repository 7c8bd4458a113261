"""What is asked for besides the filter: order, fields, number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.errors import QueryError
from hts_battery.query.query_fields import fields_at, query_field
from hts_battery.schemas.field_spec import Kind
from hts_battery.schemas.summary_table import column_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hts_battery.schemas.field_spec import FieldSpec

DEFAULT_ORDER = {"energy_above_hull": 1, "candidate_id": 1}
"""The most stable first."""

_MOST_FIELDS = 100


def fields_of(
    names: Sequence[str], field_of: Callable[[str], FieldSpec] = query_field
) -> list[FieldSpec]:
    """
    Find the fields of a list of names.

    ``field_of``: finds one of them, :meth:`SummaryTable.field` where there is a table.
    Raises QueryError if one is unknown, or there are too many.

    Examples
    --------
    >>> [field.column for field in fields_of(["formula", "e_hull_0"])]
    ['formula', 'energy_above_hull_at.0K']
    """
    if len(names) > _MOST_FIELDS:
        raise QueryError(f"at most {_MOST_FIELDS} fields, not {len(names)}")
    return [field_of(name) for name in names]


def default_fields(temperatures: Iterable[float]) -> tuple[str, ...]:
    """
    Name the fields of a table for which none are asked for.

    ``temperatures``: stored temperatures in K.

    Examples
    --------
    >>> default_fields([0.0, 1473.0])[4:8]
    ('e_hull', 'e_hull_1473', 'e_hull_upper_1473', 'label_1473')
    """
    hot = [kelvin for kelvin in temperatures if kelvin > 0]
    return tuple(spec.name for spec in fields_at(hot) if spec.shown)


def order_of(
    names: Sequence[str], field_of: Callable[[str], FieldSpec] = query_field
) -> dict[str, int]:
    """
    Read an order: names of fields, falling ones with a minus before them.

    The key of the candidate comes last, so that an order is complete.

    Raises QueryError if a field is unknown, or a list, which has no order.

    Examples
    --------
    >>> order_of(["-t_mix"])
    {'mixing_temperature': -1, 'candidate_id': 1}
    """
    order: dict[str, int] = {}
    asked = [name.removeprefix("-") for name in names]
    for name, field in zip(names, fields_of(asked, field_of), strict=True):
        if field.kind is Kind.LIST:
            raise QueryError(f"{field.name} is a list and has no order")
        order[field.column] = -1 if name.startswith("-") else 1
    return {**order, "candidate_id": order.get("candidate_id", 1)}


def split_names(text: str | None) -> list[str]:
    """
    Split names at commas.

    Examples
    --------
    >>> split_names("formula, -e_hull")
    ['formula', '-e_hull']
    """
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def selected_rows(
    columns: Mapping[str, Sequence[object]], fields: Sequence[FieldSpec]
) -> list[dict[str, object]]:
    """Return the chosen fields of rows of the table, by the names asked for."""
    names = [field.name for field in fields]
    values = [column_values(field.column, columns[field.column]) for field in fields]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def flat_rows(rows: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    """
    Write lists as text, so that a row fits into a table.

    Examples
    --------
    >>> flat_rows([{"elements": ["Li", "O"], "e_hull": 0.1}])
    [{'elements': 'Li; O', 'e_hull': 0.1}]
    """
    return [
        {
            name: "; ".join(map(str, value)) if isinstance(value, list) else value
            for name, value in row.items()
        }
        for row in rows
    ]
