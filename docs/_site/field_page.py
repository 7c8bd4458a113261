"""The page of fields: everything that can be asked for, from its declaration."""

from __future__ import annotations

from hts_battery.schemas.fields import FIELDS, FieldSpec

_HEAD = """# Fields

What filters, orders, tables, exports, OPTIMADE (`_hts_` before the name, in lower case)
and the dashboard call by these names, declared in `hts_battery/schemas/fields.py`.
Where a name ends in `_T`, T is a stored temperature in K: `e_hull_1473`, at 1273.15 K
`e_hull_1273_15`. What is not known is null. What a property is, and where it comes
from, its document says: `hts query show ID`, the page of a candidate.

"""


def field_page() -> str:
    """Write the tables of fields: of a summary, and of properties."""
    parts = [
        _table("Of a summary", [one for one in FIELDS if not one.is_property]),
        _table("Properties", [one for one in FIELDS if one.is_property]),
    ]
    return _HEAD + "\n".join(parts)


def _table(title: str, fields: list[FieldSpec]) -> str:
    lines = [f"## {title}", "", "| name | holds | is | unit |", "|---|---|---|---|"]
    for one in fields:
        name = f"{one.name}_T" if one.at_temperature else one.name
        said = one.description
        if one.choices:
            said += f": {', '.join(f'`{choice}`' for choice in one.choices)}"
        lines.append(f"| `{name}` | {said} | {one.kind} | {one.unit_words} |")
    return "\n".join([*lines, ""])
