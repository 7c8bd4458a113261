"""Every state of a candidate, reached as it is reached in earnest."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from fakes import FakeCountedRelaxMaker, FakeRelaxMaker, fake_reference_energies

from hts_battery.campaign.build import build
from hts_battery.campaign.local_run import run_candidates
from hts_battery.campaign.references import store_references
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.campaign.states import standings
from hts_battery.connections.records.executions import ExecutionRecord
from hts_battery.schemas.state import CandidateState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


def states(campaign: Campaign, stores: Stores, folder: Path) -> Counter[str]:
    found = standings(campaign, stores, execution_folder=folder)
    return Counter(str(one.state) for one in found)


def test_from_declared_to_ranked(
    small_campaign: Campaign, stores: Stores, execution_folder: Path, tmp_path: Path
) -> None:
    def now() -> Counter[str]:
        return states(small_campaign, stores, execution_folder)

    assert now() == {"declared": 2}
    register(small_campaign, stores)
    assert now() == {"waiting": 2}
    run_candidates(
        small_campaign,
        stores,
        launch_folder=tmp_path / "launches",
        execution_folder=execution_folder,
        relax_maker=FakeRelaxMaker(),
    )
    assert now() == {"computed": 2}
    build(small_campaign.spec, stores, temperatures=(0.0,))
    assert now() == {"unjudged": 2}
    store_references(fake_reference_energies(), stores)
    build(small_campaign.spec, stores, temperatures=(0.0,))
    assert now() == {"ranked": 2}


def test_what_runs_now_is_running(
    computed: Campaign, stores: Stores, execution_folder: Path
) -> None:
    _, candidate = next(computed.members())
    record = ExecutionRecord(execution_folder)
    running = record.execution(
        job_uuid="j", name="relax", content_key=computed.key(candidate)
    )
    with running:
        assert states(computed, stores, execution_folder) == {
            "running": 1,
            "computed": 1,
        }
    assert states(computed, stores, execution_folder) == {"computed": 2}


def test_a_rejected_energy_outweighs_an_old_ranking(
    computed: Campaign, stores: Stores, execution_folder: Path
) -> None:
    build(computed.spec, stores, temperatures=(0.0,))
    task = stores.tasks.query_one({"metadata.step": "relax"})
    task["output"]["state"] = "failed"
    stores.tasks.update(task, key=["uuid", "index"])
    build(computed.spec, stores, temperatures=(0.0,), only="entries")
    found = standings(computed, stores, execution_folder=execution_folder)
    (rejected,) = [one for one in found if one.state is CandidateState.REJECTED]
    assert rejected.candidate.candidate_id == task["metadata"]["candidate_id"]
    assert rejected.reason == "relaxation not converged after 7 steps"


def test_a_candidate_of_which_some_orderings_failed_says_how_many(
    campaign_file: Callable[..., Path],
    stores: Stores,
    execution_folder: Path,
    tmp_path: Path,
) -> None:
    path = campaign_file(("atoms: 40", "n_orderings: {random: 3}, atoms: 40"))
    campaign = load_campaign(path)
    register(campaign, stores)
    run_candidates(
        campaign,
        stores,
        launch_folder=tmp_path / "launches",
        execution_folder=execution_folder,
        relax_maker=FakeCountedRelaxMaker(
            counter=str(tmp_path / "calls"), failing=(2, 4, 5, 6)
        ),
    )
    found = standings(campaign, stores, execution_folder=execution_folder)
    assert [(one.state, one.failed_orderings) for one in found] == [
        (CandidateState.COMPUTED, 1),
        (CandidateState.FAILED, 0),
    ]
    assert "1 of 3 orderings failed: builtins.RuntimeError" in str(found[0].reason)
    # A run that was killed in the middle: the rest is still to be computed.
    (name, *_) = stores.tasks.distinct("uuid", {"metadata.final": True})
    stores.tasks.remove_docs({"uuid": name})
    found = standings(campaign, stores, execution_folder=execution_folder)
    assert found[0].state is CandidateState.WAITING
    assert found[0].reason == "2 of 3 orderings computed"


def test_asking_writes_nothing(
    small_campaign: Campaign, stores: Stores, execution_folder: Path
) -> None:
    standings(small_campaign, stores, execution_folder=execution_folder)
    assert stores.candidates.count() == stores.members.count() == 0
    assert not execution_folder.exists()
