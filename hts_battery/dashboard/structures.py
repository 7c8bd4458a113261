"""Relaxed cells of entries, read from the outputs of their jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hts_battery.connections.database.bounded_reader import BoundedReader


def final_structures(
    reader: BoundedReader, entry_ids: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """
    Read the relaxed cells of entries.

    Parameters
    ----------
    reader
        Where to read; the collection ``tasks`` is.
    entry_ids
        Ids of entries of candidates, which are uuids of jobs; at most a page.

    Returns
    -------
    dict
        Entry id → structure as a dictionary; an entry without one is missing.
    """
    found = reader.find(
        "tasks",
        {"uuid": {"$in": sorted(set(entry_ids))}},
        fields=["uuid", "index", "output.structure"],
    )
    cells = {}
    for task in sorted(found, key=lambda doc: doc["index"]):
        output = task.get("output")
        structure = output.get("structure") if isinstance(output, dict) else None
        if structure is not None:
            cells[task["uuid"]] = structure
    return cells
