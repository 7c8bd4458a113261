"""Tasks and references become comparable entries; none is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymatgen.core import Structure

from hts_battery.builders.calculations import read_task
from hts_battery.builders.digests import input_digest
from hts_battery.builders.screening_builder import ScreeningBuilder
from hts_battery.schemas.entry import EntryDoc, EntryKind, EntryState
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.reference import ReferenceEnergy
from hts_battery.schemas.relaxed import Verdict
from hts_battery.schemas.structure import OrderedCell
from hts_battery.structures.relaxed import compare_relaxed
from hts_battery.thermo.corrections import comparable_energy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from maggma.core import Store

    from hts_battery.schemas.relaxed import RelaxedCell

_TASK_FIELDS = (
    "uuid",
    "index",
    "completed_at",
    "metadata",
    "output.state",
    "output.is_force_converged",
    "output.forcefield_version",
    "output.structure",
    "output.output.energy",
    "output.output.n_steps",
)


class EntriesBuilder(ScreeningBuilder):
    """
    Make one entry of every relaxation and of every reference energy.

    Parameters
    ----------
    tasks
        Outputs of jobs.
    references
        Energies of competing phases.
    entries
        Store that is written, keyed by ``entry_id``.
    """

    def __init__(
        self, tasks: Store, references: Store, entries: Store, chunk_size: int = 500
    ) -> None:
        self.tasks = tasks
        self.references = references
        self.entries = entries
        super().__init__(
            [tasks, references], entries, key=["entry_id"], chunk_size=chunk_size
        )

    def get_items(self) -> Iterator[dict[str, Any]]:
        """Yield every task and reference whose entry is missing or outdated."""
        cells = {
            doc["uuid"]: doc["output"]
            for doc in self.tasks.query(
                {"metadata.step": "order"}, properties=["uuid", "output"]
            )
        }
        items = [
            _with_digest({"kind": "candidate", "entry_id": task["uuid"], "task": task})
            for task in self.tasks.query(
                {"metadata.step": "relax"}, properties=list(_TASK_FIELDS)
            )
        ]
        items += [
            _with_digest(
                {
                    "kind": "reference",
                    "entry_id": _reference_entry_id(doc),
                    "reference": {k: v for k, v in doc.items() if k != "_id"},
                }
            )
            for doc in self.references.query({})
        ]
        for item in self.changed(items, lambda item: item["entry_id"]):
            if item["kind"] == "candidate":
                order_uuid = item["task"]["metadata"].get("order_uuid")
                item["cell"] = cells.get(order_uuid)
            yield item

    def process_item(self, item: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the entry of one task or reference."""
        if item["kind"] == "candidate":
            entry = candidate_entry(item["task"], item["cell"], item["input_digest"])
        else:
            entry = reference_entry(
                ReferenceEnergy.model_validate(item["reference"]), item["input_digest"]
            )
        self.failed += entry.state is EntryState.REJECTED
        return [entry.model_dump(mode="json")]


def _with_digest(item: dict[str, Any]) -> dict[str, Any]:
    item.get("task", {}).pop("_id", None)
    return {**item, "input_digest": input_digest(item)}


def _reference_entry_id(doc: Mapping[str, Any]) -> str:
    return f"{doc['engine']}:{doc['phase_id']}"


def candidate_entry(
    task: Mapping[str, Any], cell: Mapping[str, Any] | None, digest: str
) -> EntryDoc:
    """
    Make the entry of one relaxed ordering.

    Parameters
    ----------
    task
        Document of the relaxation with its metadata.
    cell
        The ordered cell that was relaxed, where it is known.
    digest
        Digest of the inputs.
    """
    metadata = task["metadata"]
    engine = metadata["calculation"]["engine"]
    calculation = read_task(task["output"], engine)
    structure = Structure.from_dict(dict(calculation.structure))
    composition = structure.composition.element_composition
    formula = composition.formula.replace(" ", "")
    ordered = None if cell is None else OrderedCell.model_validate(cell)
    relaxed = None if ordered is None else compare_relaxed(ordered, structure)
    failure = calculation.failure or _left_prototype(relaxed)
    return EntryDoc(
        entry_id=task["uuid"],
        kind=EntryKind.CANDIDATE,
        candidate_id=metadata["candidate_id"],
        content_key=metadata["content_key"],
        formula=formula,
        elements=tuple(sorted(el.symbol for el in composition)),
        engine=engine,
        calculator=calculation.calculator,
        calculation=metadata["calculation"],
        state=EntryState.REJECTED if failure else EntryState.USED,
        reason=failure,
        energy=None
        if failure
        else comparable_energy(
            entry_id=task["uuid"],
            formula=formula,
            energy=calculation.energy,
            calculator=calculation.calculator,
        ),
        ordering_score=ordered.score if ordered else None,
        ordering_seed=ordered.seed if ordered else None,
        relaxed=relaxed,
        flags=_flags(relaxed),
        n_steps=calculation.n_steps,
        input_digest=digest,
    )


def _left_prototype(relaxed: RelaxedCell | None) -> str | None:
    """Say why an energy belongs to another phase than the candidate."""
    if relaxed is None or relaxed.verdict is not Verdict.TRANSFORMED:
        return None
    return "relaxed into another structure: " + "; ".join(relaxed.reasons)


def _flags(relaxed: RelaxedCell | None) -> tuple[str, ...]:
    """Warnings about a relaxed cell, as words."""
    if relaxed is None:
        return ("ordering unknown",)
    flags = [] if relaxed.verdict is Verdict.KEPT else [str(relaxed.verdict)]
    if relaxed.oxygen_contacts:
        flags.append("oxygen contacts")
    return tuple(flags)


def reference_entry(reference: ReferenceEnergy, digest: str) -> EntryDoc:
    """
    Make the entry of one competing phase.

    Parameters
    ----------
    reference
        Its energy, or why there is none.
    digest
        Digest of the inputs.
    """
    engine = reference.engine
    entry_id = _reference_entry_id(reference.model_dump(include={"engine", "phase_id"}))
    amounts = parse_formula(reference.formula)
    energy = None
    if reference.rejected is None and reference.energy_per_atom is not None:
        energy = comparable_energy(
            entry_id=entry_id,
            formula=reference.formula,
            energy=reference.energy_per_atom * float(sum(amounts.values())),
            calculator=reference.calculator,
        )
    return EntryDoc(
        entry_id=entry_id,
        kind=EntryKind.REFERENCE,
        phase_id=reference.phase_id,
        formula=reference.formula,
        elements=tuple(sorted(amounts)),
        engine=engine,
        calculator=reference.calculator,
        calculation={"engine": engine},
        state=EntryState.USED if energy else EntryState.REJECTED,
        reason=reference.rejected,
        energy=energy,
        n_steps=reference.n_steps,
        input_digest=digest,
    )
