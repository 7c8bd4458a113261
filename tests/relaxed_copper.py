"""Copper with vacancies as a candidate that an earlier campaign relaxed, with EMT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atomate2.ase.jobs import EmtRelaxMaker
from jobflow import JobStore
from maggma.stores import MemoryStore
from pymatgen.core import Lattice, Structure

from hts_battery.flows.recipes.local import run_flow_locally
from hts_battery.schemas.candidate import StartingCell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ase.calculators.calculator import Calculator

    from hts_battery.flows.execution.recorded import Failure
    from hts_battery.flows.recipes.recipe import RecipeMaker
    from hts_battery.schemas.candidate import CandidateDoc


@dataclass
class FailingEmtMaker(EmtRelaxMaker):
    """Its calculator counts in a file, and fails once it was asked so often."""

    folder: str = ""
    fails_at: int = 0

    def _get_calculator(self) -> Calculator:
        from pathlib import Path  # noqa: PLC0415 - as the other

        from ase.calculators.emt import EMT  # noqa: PLC0415 - slow

        calls, limit = Path(self.folder) / "calls", self.fails_at

        class Failing(EMT):
            def calculate(self, *args: object, **kwargs: object) -> None:
                done = int(calls.read_text()) + 1 if calls.exists() else 1
                calls.write_text(str(done))
                if done == limit:
                    raise RuntimeError("the node went away")
                super().calculate(*args, **kwargs)  # type: ignore[no-untyped-call]

        return Failing()  # type: ignore[no-untyped-call]


def copper(
    candidate: CandidateDoc, *, vacancies: int = 1, edge: int = 2
) -> CandidateDoc:
    """Give a candidate the relaxed cell of copper."""
    cell = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.61), ["Cu"], [[0, 0, 0]])
    cell = cell * (edge, edge, edge)
    cell.remove_sites(range(0, 5 * vacancies, 5))
    cell.add_oxidation_state_by_element({"Cu": 0})
    start = StartingCell(
        campaign="small",
        entry_id="entry",
        ordering_id="ordering",
        engine="chgnet",
        calculator="chgnet 0.4.2",
        energy_per_atom=-3.0,
        digest="digest",
        structure=cell.as_dict(),
    )
    return candidate.model_copy(update={"start": start})


def computed(
    maker: RecipeMaker,
    candidate: CandidateDoc,
    store: JobStore,
    folder: Path,
    failed: Callable[[Failure], None] = lambda _: None,
) -> bool:
    """Compute what is missing, as a campaign does; false where a job failed."""
    parts = {
        doc["metadata"]["part"]: doc["uuid"]
        for doc in store.query({"metadata.part": {"$exists": True}})
        if doc["output"] and doc["output"]["output"]["energy"] is not None
    }
    flow = maker.make(candidate, parts=parts)
    return run_flow_locally(flow, store, folder, on_failure=failed)


def memory_store() -> JobStore:
    """Return a store of outputs that nobody else sees."""
    store = JobStore(MemoryStore())
    store.connect()
    return store


def outputs(store: JobStore, step: str) -> list[dict[str, object]]:
    """Return the outputs of a step, without what names their class."""
    return [
        {k: v for k, v in doc["output"].items() if not k.startswith("@")}
        for doc in store.query({"metadata.step": step})
    ]
