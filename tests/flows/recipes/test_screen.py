from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from fakes import FakeCountedRelaxMaker, FakeRelaxMaker, FakeTwoRelaxationsMaker
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder

from hts_battery.connections.records.executions import ledger, read_executions
from hts_battery.errors import DatabaseOutageError
from hts_battery.flows.execution.recorded import RecordedJob
from hts_battery.flows.recipes.continuation import starting_structure
from hts_battery.flows.recipes.local import (
    JOB_LOG,
    _prefix,
    run_flow_locally,
    tidy_launches,
)
from hts_battery.flows.recipes.screen import ScreenMaker
from hts_battery.schemas.campaign import GateSpec
from hts_battery.schemas.execution import Outcome
from hts_battery.schemas.structure import OrderedCell, OrderingMethod
from hts_battery.structures import order_candidate

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.candidate import CandidateDoc


@pytest.fixture
def candidate(small_campaign: Campaign) -> CandidateDoc:
    _, found = next(small_campaign.members())
    return found


@pytest.fixture
def maker(small_campaign: Campaign) -> ScreenMaker:
    return ScreenMaker.from_campaign(small_campaign.spec, relax_maker=FakeRelaxMaker())


def test_submitting_a_candidate_costs_one_small_job(
    maker: ScreenMaker, small_campaign: Campaign, candidate: CandidateDoc
) -> None:
    flow = maker.make(candidate)
    ((job, _),) = flow.iterflow()
    assert isinstance(job, RecordedJob)
    assert job.metadata["step"] == "order"
    assert job.metadata["candidate_id"] == candidate.candidate_id
    assert job.metadata["content_key"] == small_campaign.key(candidate)
    assert job.metadata["calculation"] == small_campaign.spec.calculation
    assert candidate.formula in flow.name


def test_without_another_the_maker_is_the_engines_own(small_campaign: Campaign) -> None:
    maker = ScreenMaker.from_campaign(small_campaign.spec)
    assert maker.relax_maker.name == "chgnet relax"


def test_the_maker_survives_json(maker: ScreenMaker, candidate: CandidateDoc) -> None:
    text = json.dumps(maker, cls=MontyEncoder)
    back = json.loads(text, cls=MontyDecoder)
    assert back == maker
    flows = [one.make(candidate) for one in (maker, back)]
    keys = [flow.jobs[0].metadata["content_key"] for flow in flows]
    assert keys[0] == keys[1]


def test_a_maker_that_would_compute_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="relax_maker, static_maker or both"):
        ScreenMaker()


def test_a_gate_needs_a_hull(maker: ScreenMaker, candidate: CandidateDoc) -> None:
    maker.gate = GateSpec(energy_above_hull=0.1)
    with pytest.raises(ValueError, match="competing phases"):
        maker.make(candidate)


def test_a_calculation_starts_from_the_prerelaxed_positions_with_the_cells_moments(
    candidate: CandidateDoc,
) -> None:
    cell = order_candidate(candidate.to_candidate(), iterations=100)
    relaxed = cell.to_structure().remove_oxidation_states()
    relaxed.scale_lattice(1.1 * relaxed.volume)
    for name in tuple(relaxed.site_properties):
        relaxed.remove_site_property(name)
    start = starting_structure(cell, {"structure": relaxed}, magmom=True, charge=False)
    assert start.volume == pytest.approx(relaxed.volume)
    assert start.site_properties == {
        "magmom": cell.to_structure().site_properties["magmom"]
    }
    assert {site.species_string for site in start} == set(candidate.elements)
    bare = starting_structure(cell, None, magmom=False, charge=False)
    assert bare.site_properties == {}
    relaxed.remove_sites([0])
    with pytest.raises(ValueError, match="other atoms"):
        starting_structure(cell, {"structure": relaxed}, magmom=False, charge=False)


@pytest.mark.mongo
def test_the_ordered_cell_is_the_same_in_two_runs(
    maker: ScreenMaker,
    candidate: CandidateDoc,
    stores: Stores,
    execution_folder: Path,
    tmp_path: Path,
) -> None:
    for _ in range(2):
        assert run_flow_locally(maker.make(candidate), stores.job_store, tmp_path / "l")
    first, second = stores.tasks.query({"metadata.step": "order"})
    assert first["uuid"] != second["uuid"]
    assert first["output"] == second["output"]
    (stored,) = first["output"]
    cell = OrderedCell.model_validate(stored)
    assert (cell.n_atoms, cell.seed) == (40, 3)
    assert cell.score >= 0
    assert cell == order_candidate(
        candidate.to_candidate(), atoms=40, iterations=500, seed=3
    )
    assert ledger(execution_folder).total.completed == 4


@pytest.mark.mongo
def test_the_relaxation_made_on_the_node_carries_the_same_tags(
    maker: ScreenMaker,
    candidate: CandidateDoc,
    stores: Stores,
    execution_folder: Path,
    tmp_path: Path,
) -> None:
    assert run_flow_locally(maker.make(candidate), stores.job_store, tmp_path / "l")
    order = stores.tasks.query_one({"metadata.step": "order"})
    relax = stores.tasks.query_one({"metadata.step": "relax"})
    assert relax["metadata"]["order_uuid"] == order["uuid"]
    assert relax["metadata"]["ordering_id"] == order["output"][0]["ordering_id"]
    assert relax["metadata"]["ordering_method"] == "sqs"
    assert relax["metadata"]["final"] is True
    for name in ("candidate_id", "content_key", "calculation", "versions"):
        assert relax["metadata"][name] == order["metadata"][name]
    # Every execution is counted for its candidate and its calculation.
    counted = ledger(execution_folder)
    assert counted.by_content_key[order["metadata"]["content_key"]].completed == 2


@pytest.mark.mongo
@pytest.mark.usefixtures("execution_folder")
def test_a_failing_flow_does_not_stop_its_caller(
    small_campaign: Campaign,
    candidate: CandidateDoc,
    stores: Stores,
    execution_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    maker = ScreenMaker.from_campaign(
        small_campaign.spec, relax_maker=FakeRelaxMaker(error="out of memory")
    )
    flow = maker.make(candidate)
    assert not run_flow_locally(flow, stores.job_store, tmp_path / "l")
    assert stores.tasks.count({"metadata.step": "order"}) == 1
    assert stores.tasks.count({"metadata.step": "relax"}) == 0
    outcomes = [one.outcome for one in read_executions(execution_folder).executions]
    assert sorted(outcomes) == [Outcome.COMPLETED, Outcome.FAILED]
    # The launch folder is gone, and what the job printed is in the log.
    assert [path.name for path in (tmp_path / "l").iterdir()] == [JOB_LOG]
    assert capsys.readouterr().out == ""


@pytest.mark.mongo
@pytest.mark.usefixtures("execution_folder")
def test_a_candidate_that_fits_no_cell_fails_on_the_node(
    maker: ScreenMaker, candidate: CandidateDoc, stores: Stores, tmp_path: Path
) -> None:
    maker.structure = maker.structure.model_copy(update={"atoms": 44})
    assert not run_flow_locally(maker.make(candidate), stores.job_store, tmp_path / "l")
    assert stores.tasks.count() == 0


@pytest.mark.mongo
@pytest.mark.usefixtures("execution_folder")
def test_every_ordering_is_computed_and_a_failing_one_spares_the_others(
    maker: ScreenMaker, candidate: CandidateDoc, stores: Stores, tmp_path: Path
) -> None:
    maker.structure = maker.structure.model_copy(
        update={"n_orderings": {OrderingMethod.SQS: 2, OrderingMethod.RANDOM: 1}}
    )
    maker.relax_maker = FakeCountedRelaxMaker(
        counter=str(tmp_path / "calls"), failing=(2,)
    )
    failures: list[dict[str, str | None]] = []
    assert not run_flow_locally(
        maker.make(candidate),
        stores.job_store,
        tmp_path / "l",
        on_failure=failures.append,
    )
    order = stores.tasks.query_one({"metadata.step": "order"})
    ids = [cell["ordering_id"] for cell in order["output"]]
    assert len(set(ids)) == 3
    computed = {
        doc["metadata"]["ordering_id"]: doc["metadata"]["ordering_method"]
        for doc in stores.tasks.query({"metadata.final": True})
    }
    assert computed == {ids[0]: "sqs", ids[2]: "random"}
    (failure,) = failures
    assert (failure["step"], failure["ordering_id"]) == ("relax", ids[1])
    assert failure["error_message"] == "call 2 fails"
    assert "fakes.py" in str(failure["traceback"])

    # What is known is not computed again.
    assert run_flow_locally(
        maker.make(candidate, finished=computed), stores.job_store, tmp_path / "l"
    )
    assert len((tmp_path / "calls").read_text().splitlines()) == 4
    assert run_flow_locally(
        maker.make(candidate, finished=ids), stores.job_store, tmp_path / "l"
    )
    assert len((tmp_path / "calls").read_text().splitlines()) == 4


@pytest.mark.mongo
@pytest.mark.usefixtures("execution_folder")
def test_relax_and_static_are_steps_and_the_last_one_counts(
    maker: ScreenMaker, candidate: CandidateDoc, stores: Stores, tmp_path: Path
) -> None:
    maker.static_maker = FakeRelaxMaker(name="fake static", energy_per_atom=-3.0)
    assert run_flow_locally(maker.make(candidate), stores.job_store, tmp_path / "l")
    steps = {
        doc["metadata"]["step"]: doc["metadata"].get("final")
        for doc in stores.tasks.query({})
    }
    assert steps == {"order": None, "relax": False, "static": True}


@pytest.mark.mongo
@pytest.mark.usefixtures("execution_folder")
def test_of_a_relaxation_of_several_jobs_one_energy_counts(
    maker: ScreenMaker, candidate: CandidateDoc, stores: Stores, tmp_path: Path
) -> None:
    maker.relax_maker = FakeTwoRelaxationsMaker()
    assert run_flow_locally(maker.make(candidate), stores.job_store, tmp_path / "l")
    counting = {
        doc["name"]: doc["metadata"]["final"]
        for doc in stores.tasks.query({"metadata.step": "relax"})
    }
    assert counting == {"first": False, "second": True}


@pytest.mark.mongo
def test_a_node_with_other_packages_refuses_the_job(
    maker: ScreenMaker,
    candidate: CandidateDoc,
    stores: Stores,
    execution_folder: Path,
    tmp_path: Path,
) -> None:
    assert {"hts_battery", "pymatgen", "sqsgenerator", "chgnet"} == set(maker.versions)
    maker.versions = {**maker.versions, "pymatgen": "1999.1.1"}
    assert not run_flow_locally(maker.make(candidate), stores.job_store, tmp_path / "l")
    assert stores.tasks.count() == 0
    (execution,) = read_executions(execution_folder).executions
    assert execution.end is not None
    assert execution.end.error_class == "hts_battery.errors.VersionSkewError"
    assert "pymatgen 1999.1.1 there" in str(execution.end.error_message)


@pytest.mark.mongo
def test_a_lost_database_stops_the_flow_and_blames_no_job(
    maker: ScreenMaker,
    candidate: CandidateDoc,
    stores: Stores,
    execution_folder: Path,
    tmp_path: Path,
) -> None:
    maker.structure = maker.structure.model_copy(
        update={"n_orderings": {OrderingMethod.RANDOM: 3}}
    )
    maker.relax_maker = FakeCountedRelaxMaker(
        counter=str(tmp_path / "calls"), outages=(2,)
    )
    failures: list[dict[str, str | None]] = []
    with pytest.raises(DatabaseOutageError, match="AutoReconnect: connection closed"):
        run_flow_locally(
            maker.make(candidate),
            stores.job_store,
            tmp_path / "l",
            on_failure=failures.append,
        )
    assert failures == []
    # The third is not begun: it would have nowhere to put its result.
    assert len((tmp_path / "calls").read_text().splitlines()) == 2
    assert ledger(execution_folder).error_classes == {
        "hts_battery.errors.DatabaseOutageError": 1
    }


def memory_tasks() -> MemoryStore:
    store = MemoryStore(key="uuid")
    store.connect()
    return store


def test_empty_launch_folders_of_dead_processes_are_removed(tmp_path: Path) -> None:
    launches = tmp_path / "launches"
    tasks = memory_tasks()
    assert tidy_launches(launches, tasks) == []
    script = (
        "import os, sys; from pathlib import Path\n"
        "from hts_battery.flows.recipes.local import _prefix\n"
        "for end in 'ab': (Path(sys.argv[1]) / f'{_prefix(os.getpid())}{end}').mkdir()"
    )
    launches.mkdir()
    subprocess.run([sys.executable, "-c", script, str(launches)], check=True)  # noqa: S603 - our own interpreter, our own words
    empty, full = sorted(launches.iterdir())
    (full / "CONTCAR").touch()
    own = launches / f"{_prefix(os.getpid())}c"
    other_host = launches / f"launch-00000000-1-{'0' * 8}-d"
    for folder in (own, other_host):
        folder.mkdir()
    assert tidy_launches(launches, tasks) == []
    assert not empty.exists()
    assert {full, own, other_host} == set(launches.iterdir())
