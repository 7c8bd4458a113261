"""Properties of one candidate as documents, and as rows for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.schemas.property import PropertyDoc, condition_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hts_battery.connections.database.stores import Stores

COLUMNS = ("property", "value", "±", "unit", "n", "note")


def properties_of(
    stores: Stores, subject_id: str, *, campaign: str | None = None
) -> list[PropertyDoc]:
    """
    Read the properties of a candidate, an entry or a structure, by name.

    ``campaign``: those of its cells alone; all if not given.
    """
    found = []
    for doc in stores.properties.query({"subject_id": subject_id}):
        doc.pop("_id", None)
        if campaign in (None, doc["campaign"]):
            found.append(PropertyDoc.model_validate(doc))
    return sorted(found, key=lambda one: (one.name, str(one.conditions)))


def property_rows(properties: Iterable[PropertyDoc]) -> Iterator[tuple[str, ...]]:
    """Write properties as rows of :data:`COLUMNS`; a null says why it is one."""
    for one in properties:
        said = one.reason or "; ".join(one.notes)
        yield (
            f"{one.name}{_conditions(one.conditions)}",
            "-" if one.reason else _number(one.array or one.value, one.unit),
            "" if one.uncertainty is None else _number(one.uncertainty, one.unit),
            "" if one.unit == "1" else one.unit,
            "" if one.n is None else str(one.n),
            said,
        )


def _conditions(conditions: Mapping[str, float | int | str]) -> str:
    key = condition_key(conditions)
    if key is not None:
        return f" at {key.replace('_', '.').replace('K', ' K')}" if key else ""
    named = (f"{name} {value}" for name, value in sorted(conditions.items()))
    return f" ({', '.join(named)})"


def _number(value: object, unit: str = "1") -> str:
    """
    Write a value short; of a voltage no third decimal, which nobody knows.

    Examples
    --------
    >>> _number(0.123456), _number((1.0, 2.0)), _number("single"), _number(3.456, "V")
    ('0.1235', '2 values', 'single', '3.46')
    """
    if isinstance(value, tuple):
        return f"{len(value)} values"
    if unit == "V" and isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
