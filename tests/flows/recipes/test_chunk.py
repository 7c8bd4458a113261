"""A chunk of candidates as one job, on a node with nothing but a job store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pytest
from fakes import FakeCountedRelaxMaker
from jobflow import JobStore, job, run_locally
from maggma.stores import JSONStore, MemoryStore

from hts_battery.connections.records.executions import read_executions
from hts_battery.errors import DatabaseOutageError
from hts_battery.flows.recipes.chunk import chunk_job
from hts_battery.flows.recipes.screen import ScreenMaker
from hts_battery.schemas.campaign import RelaxationSpec
from hts_battery.schemas.dispatch import (
    ChunkReport,
    ChunkRequest,
    ChunkWork,
    EndingKind,
)
from hts_battery.schemas.execution import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from pymatgen.core import Structure

    from hts_battery.campaign.spec_file import Campaign


@dataclass
class FakeSteppedRelaxMaker(FakeCountedRelaxMaker):
    """As its parent, and says how many steps it was allowed."""

    steps: int = 900

    @job
    def make(self, structure: Structure) -> dict[str, Any]:
        doc: dict[str, Any] = FakeCountedRelaxMaker.make.original(self, structure)  # type: ignore[attr-defined] # jobflow sets it
        doc["output"]["n_steps"] = self.steps
        return doc


@pytest.fixture
def node_store(tmp_path: Path) -> JobStore:
    """Return a store in a file, as a node without a database has."""
    docs = JSONStore(str(tmp_path / "tasks.json"), key="uuid", read_only=False)
    store = JobStore(docs, additional_stores={"data": MemoryStore()})
    store.connect()
    return store


def run(
    campaign: Campaign,
    store: JobStore,
    maker: FakeCountedRelaxMaker,
    folder: Path,
    **request: object,
) -> ChunkReport:
    screen = ScreenMaker.from_campaign(campaign.spec, relax_maker=maker)
    requests = [
        ChunkRequest.model_validate({"candidate": candidate, **request})
        for _, candidate in campaign.members()
    ]
    job = chunk_job(
        ChunkWork(requests=tuple(requests)),
        screen,
        screen.to_text(),
        uuid=str(uuid4()),
        campaign="small",
    )
    folder.mkdir(exist_ok=True)
    found = run_locally(
        job, store=store, root_dir=folder, log=False, raise_immediately=True
    )
    return ChunkReport.model_validate(found[job.uuid][1].output)


def test_a_chunk_that_was_stopped_goes_on(
    small_campaign: Campaign,
    node_store: JobStore,
    tmp_path: Path,
    execution_folder: Path,
) -> None:
    counter = tmp_path / "calls"
    maker = FakeCountedRelaxMaker(counter=str(counter), outages=(2,))
    folder = tmp_path / "launch"
    with pytest.raises(DatabaseOutageError):
        run(small_campaign, node_store, maker, folder)
    report = run(small_campaign, node_store, maker, folder)
    assert [one.kind for one in report.entries.values()] == [EndingKind.COMPUTED] * 2
    first, second = report.entries.values()
    assert first.seconds == 0 < second.seconds
    assert len(counter.read_text().splitlines()) == 3
    keys = [small_campaign.key(one) for _, one in small_campaign.members()]
    assert list(report.entries) == keys
    # Nothing is left of launches that are stored.
    assert not list(folder.rglob("job_*/*fake*"))
    # What was ordered when the relaxation was stopped is not ordered again.
    done = Counter(
        (one.start.content_key, one.start.step)
        for one in read_executions(execution_folder).executions
        if one.outcome is Outcome.COMPLETED
    )
    assert done == Counter(
        {(key, step): 1 for key in keys for step in ("order", "relax")}
        | {(keys[1], "continue"): 1, (None, "chunk"): 1}
    )


@pytest.mark.usefixtures("execution_folder")
def test_a_relaxation_goes_on_where_another_node_left_it(
    small_campaign: Campaign, node_store: JobStore, tmp_path: Path
) -> None:
    maker = FakeCountedRelaxMaker(counter=str(tmp_path / "calls"), converged=False)
    run(small_campaign, node_store, maker, tmp_path / "launch")
    tasks = list(node_store.query({"metadata.step": "relax"}))
    assert [one["metadata"]["steps"] for one in tasks] == [500, 500]
    longer = small_campaign.spec.model_copy(
        update={"relaxation": RelaxationSpec(steps=900)}
    )
    one = tasks[0]
    cell = dict(one["output"]["structure"])
    cell["lattice"] = {**cell["lattice"], "matrix": (8.5 * np.eye(3)).tolist()}
    unconverged = {
        one["metadata"]["ordering_id"]: {
            "uuid": one["uuid"],
            "steps": 500,
            "structure": cell,
        }
    }
    other = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    other.connect()
    run(
        replace(small_campaign, spec=longer, limit=1),
        other,
        FakeSteppedRelaxMaker(counter=str(tmp_path / "calls")),
        tmp_path / "other",
        unconverged=unconverged,
    )
    (again,) = other.query({"metadata.step": "relax"})
    assert again["metadata"]["continues"] == one["uuid"]
    assert again["metadata"]["steps_before"] == 500
    assert again["output"]["structure"]["lattice"]["a"] == pytest.approx(8.5)
    assert again["output"]["output"]["n_steps"] == 400


@pytest.mark.usefixtures("execution_folder")
def test_what_has_converged_elsewhere_is_finished_here(
    small_campaign: Campaign, node_store: JobStore, tmp_path: Path
) -> None:
    """The node has the relaxation that used up its steps, and not its continuation."""
    maker = FakeCountedRelaxMaker(counter=str(tmp_path / "calls"), converged=False)
    one = replace(small_campaign, limit=1)
    run(one, node_store, maker, tmp_path / "launch")
    (task,) = node_store.query({"metadata.step": "relax"})
    longer = one.spec.model_copy(update={"relaxation": RelaxationSpec(steps=900)})
    run(
        replace(one, spec=longer),
        node_store,
        maker,
        tmp_path / "again",
        finished=(task["metadata"]["ordering_id"],),
    )
    assert len((tmp_path / "calls").read_text().splitlines()) == 1


@pytest.mark.usefixtures("execution_folder")
def test_one_failure_does_not_stop_the_others(
    small_campaign: Campaign, node_store: JobStore, tmp_path: Path
) -> None:
    maker = FakeCountedRelaxMaker(counter=str(tmp_path / "calls"), failing=(1,))
    report = run(small_campaign, node_store, maker, tmp_path / "launch")
    first, second = report.entries.values()
    assert (first.kind, second.kind) == (EndingKind.FAILED, EndingKind.COMPUTED)
    (failure,) = first.failures
    assert (failure["step"], failure["error_message"]) == ("relax", "call 1 fails")
    # What is known to have failed is left alone, until it is tried again.
    known = run(
        small_campaign,
        node_store,
        maker,
        tmp_path / "launch",
        failures=first.failures,
    )
    assert next(iter(known.entries.values())).kind is EndingKind.FAILED
    assert len((tmp_path / "calls").read_text().splitlines()) == 2
    again = run(
        small_campaign,
        node_store,
        maker,
        tmp_path / "launch",
        failures=first.failures,
        retry=True,
    )
    assert [one.kind for one in again.entries.values()] == [EndingKind.COMPUTED] * 2
    assert len((tmp_path / "calls").read_text().splitlines()) == 3
