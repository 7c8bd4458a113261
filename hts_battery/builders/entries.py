"""Tasks and references become comparable entries; none is dropped."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast

from hts_battery.builders.energy_tasks import TASK_FIELDS, EnergyTask, counted_once
from hts_battery.builders.screening_builder import (
    Made,
    ScreeningBuilder,
    by_key,
    dumped,
)
from hts_battery.connections.database.content_digests import content_digests
from hts_battery.errors import HTSBatteryError
from hts_battery.schemas.calculation import is_vasp_task, read_task
from hts_battery.schemas.decoding import read_structure
from hts_battery.schemas.entry import SMALL_CELL, EntryDoc, EntryKind, EntryState
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.reference import (
    ReferenceEnergy,
    family_of,
    mean_oxidation_states,
)
from hts_battery.schemas.relaxed import Verdict
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.structure import OrderedCell, joined, series_of
from hts_battery.structures.references.library import load_reference_phases
from hts_battery.structures.relaxation.verdict import compare_relaxed
from hts_battery.structures.representation import is_too_small
from hts_battery.thermo.corrections import comparable_energy
from hts_battery.thermo.vasp_corrections import vasp_task_energy
from hts_battery.thermo.vasp_schemes import vasp_scheme

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from maggma.core import Store
    from pymatgen.core import Structure

    from hts_battery.builders.screening_builder import Options
    from hts_battery.schemas.calculation import Calculation, TaskOutput
    from hts_battery.schemas.energy import ComparableEnergy
    from hts_battery.schemas.reference import ReferencePhase
    from hts_battery.schemas.relaxed import RelaxedCell
    from hts_battery.schemas.rows import OrderedCellRow, TaskRow

_ORDER = "order"
_CORRECTED_BY = ("pymatgen", "pymatgen-core")
"""Packages whose release decides corrections; labels flipped with them before."""


def vasp_comparable_energy(
    entry_id: str,
    output: TaskOutput,
    structure: Structure,
    assignment: Mapping[str, Mapping[str, Fraction]] | None,
    *,
    engine: str,
) -> ComparableEnergy | str:
    """
    Validate the energy of one VASP task, and correct it where its scheme does.

    ``output``: an emmet-core ``TaskDoc`` as stored. ``assignment``: species on the
    sublattices of the calculated cell: oxidation states are supplied, never guessed.
    Returns: the energy as it enters a hull, or the reason why there is none.
    """
    scheme = vasp_scheme(engine)
    if assignment is None and scheme.corrected:
        return "oxidation states unknown: the ordered cell of this task is lost"
    return vasp_task_energy(
        entry_id,
        output,
        structure,
        scheme=scheme,
        oxidation_states=mean_charges(assignment or {}),
    )


def mean_charges(assignment: Mapping[str, Mapping[str, Fraction]]) -> dict[str, float]:
    """
    Mean formal charge of each element over all sublattices.

    Examples
    --------
    >>> mean_charges({"cation": {"Mn2+": Fraction(1), "Mn4+": Fraction(1)}})
    {'Mn': 3.0}
    """
    charges: dict[str, Fraction] = defaultdict(Fraction)
    amounts: dict[str, Fraction] = defaultdict(Fraction)
    for occupation in assignment.values():
        for name, amount in occupation.items():
            if name == VACANCY or not amount:
                continue
            species = parse_species(name)
            charges[species.element] += species.charge * amount
            amounts[species.element] += amount
    return {element: float(charges[element] / amounts[element]) for element in amounts}


class _TaskInput(TypedDict):
    task: TaskRow
    cell: Mapping[str, object] | None
    series: Mapping[str, Sequence[str]]
    input_digest: str


class _ReferenceInput(TypedDict):
    reference: Mapping[str, object]
    input_digest: str


class _Batch(TypedDict, total=False):
    tasks: list[_TaskInput]
    references: list[_ReferenceInput]


class EntriesBuilder(ScreeningBuilder):
    """Make one entry of every relaxation and of every reference energy."""

    code_version = "9"

    def __init__(
        self,
        tasks: Store,
        references: Store,
        entries: Store,
        **options: Unpack[Options],
    ) -> None:
        self.tasks = tasks
        self.references = references
        self.entries = entries
        self.orders: dict[str | None, set[str]] = defaultdict(set)
        super().__init__(
            [tasks, references],
            [entries],
            key=["entry_id"],
            options=options,
        )

    def get_items(self) -> Iterator[_Batch]:
        """Yield batches of tasks and references whose entry is missing or outdated."""
        tasks = self._task_digests()
        references = self._reference_digests()
        for digest in (*tasks.values(), *references.values()):
            self.saw(digest)
        if self.settled is not None and self.settled(self.inputs_digest):
            self.unchanged = self.read
            return
        known = {
            doc["entry_id"]: (doc["input_digest"], doc["state"])
            for doc in self.entries.query(
                {}, properties=["entry_id", "input_digest", "state"]
            )
            if self.mine(doc["entry_id"])
        }
        for name in known:
            self.knows(name)
        self.remove("entry_id", set(known) - set(tasks) - set(references))
        for name in self.batches(self._outdated(tasks, known)):
            yield self._task_batch(name, tasks)
        for name in self.batches(self._outdated(references, known)):
            yield self._reference_batch(name, references)

    def _task_digests(self) -> dict[str, str]:
        """Digest of every task whose energy counts, with the cell it is of."""
        cells: dict[str, str] = {}
        tasks: list[EnergyTask] = []
        self.orders.clear()
        for (step, uuid, *fields), digest in content_digests(
            self.tasks, {}, TASK_FIELDS
        ):
            if step == _ORDER:
                cells[uuid] = digest
                self.orders[fields[4]].add(uuid)
            else:
                tasks.append(EnergyTask.of((step, uuid, *fields), digest))
        corrected_by = [version(name) for name in _CORRECTED_BY]
        digests: dict[str, str] = {}
        # Which copy counts is the same for every worker that makes a share of them.
        for task in counted_once(tasks):
            if not self.mine(task.uuid):
                continue
            releases = corrected_by if "vasp" in str(task.engine) else ()
            orders = self.orders.get(task.key, set()) | {task.order_uuid}
            made = sorted(cells[one] for one in orders if one in cells)
            digests[task.uuid] = self.digest(
                task.digest, cells.get(task.order_uuid), made, releases
            )
        return digests

    def _reference_digests(self) -> dict[str, str]:
        return {
            name: self.digest(digest)
            for (engine, phase_id), digest in content_digests(
                self.references, {}, ["engine", "phase_id"]
            )
            if self.mine(name := f"{engine}:{phase_id}")
        }

    def _outdated(
        self, digests: Mapping[str, str], known: Mapping[str, tuple[str, str]]
    ) -> Iterator[str]:
        for name, digest in digests.items():
            stored, state = known.get(name, ("", ""))
            again = self.retry_failed and state == EntryState.REJECTED
            if stored == digest and not again:
                self.unchanged += 1
            else:
                yield name

    def _task_batch(self, names: Sequence[str], digests: Mapping[str, str]) -> _Batch:
        tasks: list[TaskRow] = [
            max(group, key=lambda task: task.get("index") or 0)
            for group in by_key(self.tasks, names, "uuid", criteria={}).values()
        ]
        keys = {task["metadata"].get("content_key") for task in tasks}
        orders = {
            uuid for task in tasks if (uuid := task["metadata"].get("order_uuid"))
        }
        orders = orders.union(*(self.orders.get(key, ()) for key in keys))
        cells = by_key(self.tasks, sorted(orders), "uuid", criteria={})
        return {
            "tasks": [
                {
                    "task": task,
                    "cell": _cell_of(task, cells),
                    "series": self._series(task, cells),
                    "input_digest": digests[task["uuid"]],
                }
                for task in tasks
            ]
        }

    def _series(
        self, task: TaskRow, cells: Mapping[str, Sequence[TaskRow]]
    ) -> dict[str, list[str]]:
        """Join what every job said that ordered the candidate with these settings."""
        key = task["metadata"].get("content_key")
        jobs = [
            job
            for uuid in sorted(self.orders.get(key, ()))
            for job in cells.get(uuid, ())
        ]
        jobs.sort(key=lambda job: str(job.get("completed_at")))
        return joined(series_of(_cells(job["output"])) for job in jobs)

    def _reference_batch(
        self, names: Sequence[str], digests: Mapping[str, str]
    ) -> _Batch:
        # An engine's name may hold a colon (forcefield:MACE-MP-0), a phase's does not.
        phases = [name.rpartition(":")[2] for name in names]
        docs = by_key(self.references, phases, "phase_id", criteria={})
        wanted = frozenset(names)
        return {
            "references": [
                {"reference": doc, "input_digest": digests[name]}
                for group in docs.values()
                for doc in group
                if (name := f"{doc['engine']}:{doc['phase_id']}") in wanted
            ]
        }

    def process_item(self, item: _Batch) -> Made:
        """Return the entries of one batch of tasks or references."""
        made = [
            candidate_entry(
                part["task"], part["cell"], part["input_digest"], series=part["series"]
            )
            for part in item.get("tasks", ())
        ]
        if "references" in item:
            phases = {phase.phase_id: phase for phase in load_reference_phases()}
            for part in item["references"]:
                energy = ReferenceEnergy.model_validate(part["reference"])
                phase = phases.get(energy.phase_id)
                made.append(reference_entry(energy, part["input_digest"], phase=phase))
        rejected = sum(entry.state is EntryState.REJECTED for entry in made)
        return {"documents": dumped(made), "failed": rejected}


def _cell_of(
    task: TaskRow, orders: Mapping[str, Sequence[TaskRow]]
) -> Mapping[str, object] | None:
    """Find the ordered cell that a task relaxed."""
    metadata = task["metadata"]
    for order in orders.get(metadata.get("order_uuid", ""), ()):
        wanted = metadata.get("ordering_id")
        for cell in _cells(order["output"]):
            if wanted in (None, cell["ordering_id"]):
                return cell
    return None


def _cells(output: object) -> list[OrderedCellRow]:
    """Return the cells that an ordering job made."""
    return output if isinstance(output, list) else [cast("OrderedCellRow", output)]


def candidate_entry(
    task: TaskRow,
    cell: Mapping[str, object] | None,
    digest: str,
    *,
    series: Mapping[str, Sequence[str]],
) -> EntryDoc:
    """
    Make the entry of one relaxed ordering.

    ``task``: document of the relaxation with its metadata. ``cell``: the ordered cell
    that was relaxed, where it is known. ``digest``: digest of the inputs. ``series``:
    method → ids of the candidate's orderings in their order, where they are known.
    Returns: rejected with the reason where the energy may not be used or the task
    cannot be read: one broken document does not end the night.
    """
    metadata = task["metadata"]
    common = {
        "entry_id": task["uuid"],
        "kind": EntryKind.CANDIDATE,
        "candidate_id": metadata["candidate_id"],
        "content_key": metadata["content_key"],
        "engine": metadata["calculation"]["engine"],
        "calculation": metadata["calculation"],
        "ordering_id": metadata.get("ordering_id"),
        "ordering_method": metadata.get("ordering_method"),
        "ordering_series": series,
        "input_digest": digest,
    }
    try:
        return _read_entry(task, cell, dict(common))
    except (HTSBatteryError, KeyError, TypeError, ValueError) as err:
        return EntryDoc(
            **common,
            formula=None,
            elements=(),
            state=EntryState.REJECTED,
            reason=f"the task cannot be read: {type(err).__name__}: {err}",
        )


def _read_entry(
    task: TaskRow, cell: Mapping[str, object] | None, common: dict[str, Any]
) -> EntryDoc:
    calculation = read_task(
        task["output"],
        common["engine"],
        steps_before=task["metadata"].get("steps_before", 0),
    )
    structure = read_structure(calculation.structure)
    composition = structure.composition.element_composition
    formula = composition.formula.replace(" ", "")
    ordered = relaxed = energy = None
    if cell is not None:
        ordered = OrderedCell.model_validate(cell)
        relaxed = compare_relaxed(ordered, structure, moments=calculation.moments)
        common |= {
            "ordering_id": ordered.ordering_id,
            "ordering_method": str(ordered.method),
            "assignment": ordered.assignment,
            "deviation": ordered.deviation,
            "ordering_score": ordered.score,
            "ordering_seed": ordered.seed,
            "electrostatic_energy": ordered.electrostatic_energy,
        }
    failure = calculation.failure or _left_prototype(relaxed)
    if not failure:
        energy, failure = _energy(task, calculation, structure, ordered)
    return EntryDoc(
        **common,
        formula=formula,
        elements=tuple(sorted(el.symbol for el in composition)),
        calculator=energy.calculator if energy else calculation.calculator,
        state=EntryState.REJECTED if failure else EntryState.USED,
        reason=failure,
        energy=energy,
        relaxed=relaxed,
        volume_per_atom=structure.volume / len(structure),
        flags=(
            *_flags(relaxed),
            *([SMALL_CELL] if ordered and is_too_small(ordered) else []),
            *(energy.flags if energy else ()),
        ),
        n_steps=calculation.n_steps,
    )


def _energy(
    task: TaskRow,
    calculation: Calculation,
    structure: Structure,
    ordered: OrderedCell | None,
) -> tuple[ComparableEnergy | None, str | None]:
    """Return the energy that may enter a hull, or the reason why there is none."""
    if is_vasp_task(task["output"]):
        found = vasp_comparable_energy(
            task["uuid"],
            task["output"],
            structure,
            ordered.assignment if ordered else None,
            engine=task["metadata"]["calculation"]["engine"],
        )
        return (None, found) if isinstance(found, str) else (found, None)
    formula = structure.composition.element_composition.formula.replace(" ", "")
    return comparable_energy(
        entry_id=task["uuid"],
        formula=formula,
        energy=calculation.energy,
        calculator=calculation.calculator,
    ), None


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
    if relaxed.anion_bonds.keys() - {"O-O"}:
        flags.append("anion contacts")
    return tuple(flags)


def reference_entry(
    reference: ReferenceEnergy, digest: str, *, phase: ReferencePhase | None
) -> EntryDoc:
    """
    Make the entry of one competing phase.

    ``reference``: its energy, or why there is none. ``digest``: digest of the inputs.
    ``phase``: the phase in the library, if it is there: family and oxidation states.
    """
    engine, phase = reference.engine, phase or reference.phase
    entry_id = f"{engine}:{reference.phase_id}"
    amounts = parse_formula(reference.formula)
    energy = reference.comparable
    if (
        energy is None
        and reference.rejected is None
        and reference.energy_per_atom is not None
    ):
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
        candidate_family=family_of(reference, phase),
        formula=reference.formula,
        elements=tuple(sorted(amounts)),
        engine=engine,
        calculator=energy.calculator if energy else reference.calculator,
        calculation={"engine": engine},
        state=EntryState.USED if energy else EntryState.REJECTED,
        reason=reference.rejected,
        energy=energy,
        volume_per_atom=reference.volume_per_atom,
        oxidation_states=reference.oxidation_states
        if phase is None
        else mean_oxidation_states(phase),
        n_steps=reference.n_steps,
        input_digest=digest,
    )
