"""Relaxed structures and computed entries of candidates, read when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.connections.database.content_digests import query_values
from hts_battery.errors import QueryError
from hts_battery.schemas.decoding import read_structure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pymatgen.core import Structure
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.rows import SummaryRow

_AT_ONCE = 100


def structures(
    stores: Stores, summaries: Sequence[SummaryRow]
) -> Iterator[tuple[SummaryRow, Structure]]:
    """
    Yield the relaxed structure of the lowest ordering of each summary.

    ``summaries``: documents of the ``summary`` collection. Raises QueryError if the
    calculation of one is gone.
    """
    for start in range(0, len(summaries), _AT_ONCE):
        part = summaries[start : start + _AT_ONCE]
        found = structure_documents(stores, [doc["entry_id"] for doc in part])
        for doc in part:
            if doc["entry_id"] not in found:
                raise QueryError(
                    f"{doc['formula']} ({doc['candidate_id']}): its calculation "
                    f"{doc['entry_id']} is no longer in the database"
                )
            yield doc, read_structure(found[doc["entry_id"]])


def structure_documents(
    stores: Stores, entry_ids: Sequence[str]
) -> dict[str, dict[str, object]]:
    """Return the final structure of calculations by entry, as dictionaries."""
    tasks = query_values(
        stores.tasks,
        "uuid",
        entry_ids,
        criteria={},
        properties=["index", "output.structure"],
    )
    # A job that was run again has a later index, and that is what was assessed.
    newest = sorted(tasks, key=lambda doc: doc["index"])
    return {
        doc["uuid"]: doc["output"]["structure"]
        for doc in newest
        if doc.get("output", {}).get("structure")
    }


def computed_entry(stores: Stores, summary: SummaryRow) -> ComputedStructureEntry:
    """
    Return the lowest ordering as pymatgen's entry, every correction by name.

    ``summary``: document of the ``summary`` collection. Raises QueryError if entry or
    calculation are gone.
    """
    from pymatgen.entries.computed_entries import (  # noqa: PLC0415 - as above
        ComputedStructureEntry,
        ConstantEnergyAdjustment,
    )

    ((_, structure),) = structures(stores, [summary])
    entry = stores.entries.query_one({"entry_id": summary["entry_id"]})
    if entry is None or entry["energy"] is None:
        raise QueryError(f"entry {summary['entry_id']} is no longer used: build again")
    energy = entry["energy"]
    return ComputedStructureEntry(
        structure,
        energy["uncorrected_energy"],
        energy_adjustments=[
            ConstantEnergyAdjustment(
                one["value"], name=one["name"], description=one["reason"]
            )
            for one in energy["adjustments"]
        ],
        parameters={"calculator": energy["calculator"]},
        data={"candidate_id": summary["candidate_id"], "formula": summary["formula"]},
        entry_id=summary["entry_id"],
    )
