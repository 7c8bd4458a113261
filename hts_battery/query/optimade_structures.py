"""Structures as lines of OPTIMADE's JSON lines format, our columns beside them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hts_battery.query.archives import plain_structure
from hts_battery.query.query_fields import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pymatgen.core import Structure

_API_VERSION = "1.2.0"
_TYPE = "structures"


def optimade_lines(
    rows: Iterable[tuple[Mapping[str, Any], Structure]],
) -> Iterator[str]:
    """
    Yield the header, what our fields are, and one line per structure.

    Parameters
    ----------
    rows
        Flat rows (:func:`~hts_battery.query.tables.summary_rows`) with the structure
        of the lowest ordering.
    """
    yield json.dumps({"x-optimade": {"meta": {"api_version": _API_VERSION}}})
    listed = list(rows)
    columns = dict.fromkeys(name for row, _ in listed for name in row)
    yield json.dumps(
        {
            "type": "info",
            "id": _TYPE,
            "properties": {
                f"{PREFIX}{column_name(name)}": {"description": name}
                for name in columns
            },
        }
    )
    for row, structure in listed:
        yield json.dumps(optimade_entry(row, structure), default=str)


def optimade_entry(row: Mapping[str, Any], structure: Structure) -> dict[str, Any]:
    """
    Write one structure as an OPTIMADE entry, with the row's columns as our fields.

    Parameters
    ----------
    row
        Flat row of a summary.
    structure
        Its relaxed structure.
    """
    # Half a second that most queries do not need.
    from optimade.adapters.structures import Structure as Adapter  # noqa: PLC0415

    entry = Adapter.ingest_from(plain_structure(structure)).as_dict
    attributes = {
        name: value for name, value in entry["attributes"].items() if value is not None
    }
    attributes["immutable_id"] = f"{row['campaign']}:{row['candidate_id']}"
    attributes |= {f"{PREFIX}{column_name(name)}": value for name, value in row.items()}
    return {
        "id": f"{row['campaign']}-{row['candidate_id']}",
        "type": _TYPE,
        "attributes": attributes,
    }


def column_name(name: str) -> str:
    """
    Write a column's name as OPTIMADE allows: lower case.

    Examples
    --------
    >>> column_name("energy_above_hull_1473K")
    'energy_above_hull_1473k'
    """
    return name.lower()
