"""Running VASP flows with the stand-in, in memory: shared by the tests of VASP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Lattice, Structure

from hts_battery.flows.engines.vasp.engines import REHEARSAL_COMMAND
from hts_battery.flows.engines.vasp.run import rehearsal_options

if TYPE_CHECKING:
    from jobflow import Flow, Job

    from hts_battery.flows.engines.vasp.run import VaspOptions


def quick_options(**changes: Any) -> VaspOptions:  # noqa: ANN401 - fields of a model
    options = rehearsal_options(
        changes.pop("command", REHEARSAL_COMMAND),
        engine="rehearsal:vasp-mp-gga",
        calculator="vasp mp-gga PBE rehearsal",
    )
    return options.model_copy(update=changes)


def small_cell() -> Structure:
    """Return eight atoms, in an order that no POSCAR has, with moments."""
    names = ["O", "Mn", "Ti", "Mn", "O", "O", "Li", "F"]
    places = [
        *([0.5, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]),
        *([0, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0.5]),
    ]
    moments = [0.0, 4.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0]
    properties = {"magmom": moments, "site_label": [f"s{n}" for n in range(8)]}
    return Structure(Lattice.cubic(4.3), names, places, site_properties=properties)


@dataclass
class Ran:
    """Documents of a flow in the order in which they were stored."""

    documents: list[dict[str, Any]]

    def steps(self) -> list[tuple[str, str]]:
        return [
            (one["output"]["run"]["step"], one["output"]["state"])
            for one in self.documents
        ]

    def output(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.documents[number]["output"]
        return found

    def run(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.output(number)["run"]
        return found

    def folder(self, number: int) -> Path:
        return Path(self.output(number)["dir_name"].rpartition(":")[2])


def memory_store() -> JobStore:
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    store.connect()
    return store


def run_flow(flow: Flow | Job, folder: Path) -> Ran:
    store = memory_store()
    run_locally(flow, store=store, root_dir=folder, create_folders=True, log=False)
    found = list(store.query(sort={"completed_at": 1}))
    return Ran([one for one in found if one["output"]])
