"""Everything that is stored of one candidate, for its page and its endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hts_battery.connections.database.bounded_reader import BoundedReader
    from hts_battery.schemas.rows import EntryRow, SummaryRow, TaskRow, ThermoRow

_TASK_FIELDS = (
    "uuid",
    "index",
    "name",
    "completed_at",
    "hosts",
    "metadata",
    "output.dir_name",
    "output.forcefield_version",
    "output.state",
)
MOST_DOCUMENTS = 500


def final_structures(
    reader: BoundedReader, entry_ids: Iterable[str]
) -> dict[str, dict[str, object]]:
    """
    Read the relaxed cells of entries.

    ``reader``: where to read; the collection ``tasks`` is. ``entry_ids``: ids of
    entries of candidates, which are uuids of jobs; at most a page. Returns: entry id →
    structure as a dictionary; an entry without one is missing.
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


@dataclass(frozen=True)
class CandidateData:
    """Documents of one candidate; empty where nothing is known."""

    summaries: list[SummaryRow]
    """One per campaign."""
    thermo: list[ThermoRow]
    """One per campaign and temperature, by temperature."""
    entries: list[EntryRow]
    """One per calculated ordering, the lowest energy first, rejected ones last."""
    tasks: list[TaskRow]
    """Jobs without their outputs, in the order in which they ended."""
    properties: list[dict[str, object]] = field(default_factory=list)
    """Properties, by name and campaign."""

    @property
    def orderings(self) -> dict[str, list[str]]:
        """Campaign → entries of the orderings that its numbers are made from."""
        found: dict[str, list[str]] = {}
        for record in self.thermo:
            mine = found.setdefault(record["campaign"], [])
            names = (one["entry_id"] for one in record["orderings"])
            mine += [name for name in names if name not in mine]
        return found

    def of(self, campaign: str) -> CandidateData:
        """Leave what one campaign says and was made for it."""
        mine = set(self.orderings.get(campaign, ()))
        methods = {
            one["entry_id"]: one["method"]
            for record in self.thermo
            if record["campaign"] == campaign
            for one in record["orderings"]
        }
        keys = {doc["content_key"] for doc in self.entries if doc["entry_id"] in mine}
        return CandidateData(
            summaries=[doc for doc in self.summaries if doc["campaign"] == campaign],
            thermo=[doc for doc in self.thermo if doc["campaign"] == campaign],
            entries=[
                {**doc, "ordering_method": methods.get(name, doc["ordering_method"])}
                for doc in self.entries
                if (name := doc["entry_id"]) in mine
                or (doc["state"] == "rejected" and doc["content_key"] in keys)
            ],
            tasks=[
                task
                for task in self.tasks
                if task["metadata"].get("content_key") in keys
            ],
            properties=[doc for doc in self.properties if doc["campaign"] == campaign],
        )


def read_candidate(reader: BoundedReader, candidate_id: str) -> CandidateData:
    """Read what is stored of one candidate."""
    mine = {"candidate_id": candidate_id}
    found: dict[str, list[Any]] = {
        name: reader.find(name, mine, limit=MOST_DOCUMENTS)
        for name in ("summary", "thermo", "entries")
    }
    properties = reader.find(
        "properties", {"subject_id": candidate_id}, limit=MOST_DOCUMENTS
    )
    tasks = reader.find(
        "tasks",
        {"metadata.candidate_id": candidate_id},
        fields=_TASK_FIELDS,
        limit=MOST_DOCUMENTS,
    )
    return CandidateData(
        summaries=sorted(found["summary"], key=lambda doc: str(doc["campaign"])),
        thermo=sorted(
            found["thermo"], key=lambda doc: (doc["campaign"], doc["temperature"])
        ),
        entries=sorted(found["entries"], key=_energy),
        tasks=sorted(
            cast("list[TaskRow]", tasks), key=lambda doc: str(doc.get("completed_at"))
        ),
        properties=sorted(
            properties, key=lambda doc: (doc["name"], str(doc["campaign"]))
        ),
    )


def _energy(entry: EntryRow) -> float:
    energy = entry["energy"]
    return float("inf") if energy is None else energy["energy_per_atom"]
