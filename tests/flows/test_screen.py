from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fakes import FakeRelaxMaker
from monty.json import MontyDecoder, MontyEncoder

from hts_battery.connections.executions import ledger, read_executions
from hts_battery.flows.local import JOB_LOG, run_flow_locally
from hts_battery.flows.recorded import RecordedJob
from hts_battery.flows.screen import ScreenMaker, bare_structure
from hts_battery.schemas.execution import Outcome
from hts_battery.schemas.structure import OrderedCell
from hts_battery.structures import order_candidate

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.campaign.campaign_file import Campaign
    from hts_battery.connections.stores import Stores
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


def test_engines_get_elements_without_charges(candidate: CandidateDoc) -> None:
    cell = order_candidate(candidate.to_candidate(), iterations=100)
    structure = bare_structure(cell)
    assert {site.species_string for site in structure} == set(candidate.elements)
    assert structure.site_properties == {}
    assert len(structure) == 40


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
    cell = OrderedCell.model_validate(first["output"])
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
    for name in ("candidate_id", "content_key", "calculation"):
        assert relax["metadata"][name] == order["metadata"][name]
    # Every execution is counted for its candidate and its calculation.
    counted = ledger(execution_folder)
    assert counted.by_candidate[candidate.candidate_id].completed == 2
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
