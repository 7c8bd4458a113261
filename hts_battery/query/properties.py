"""Properties of one candidate as documents, and as rows for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.schemas.property import PropertyDoc, condition_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hts_battery.connections.database.stores import Stores

_WHOLE_ABOVE = 1000
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
            "-" if one.reason else shown_value(one.array or one.value, one.unit),
            "" if one.uncertainty is None else shown_value(one.uncertainty, one.unit),
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


def shown_value(value: object, unit: str | None = None) -> str:
    """
    Write a value short; of a voltage no third decimal, which nobody knows.

    Examples
    --------
    >>> shown_value(0.123456), shown_value((1.0, 2.0)), shown_value(18810.4)
    ('0.1235', '2 values', '18810')
    >>> shown_value(3.4567), shown_value(3.4567, "V")
    ('3.457', '3.46')
    """
    if isinstance(value, tuple):
        return f"{len(value)} values"
    if not isinstance(value, float):
        return str(value)
    if unit == "V":
        return f"{value:.2f}"
    return f"{value:.4g}" if abs(value) < _WHOLE_ABOVE else f"{value:.0f}"
