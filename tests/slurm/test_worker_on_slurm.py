"""Rendered workers on a real Slurm."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fakes import FakeRelaxMaker, FakeTask
from fireworks import Firework, Workflow
from slurm.rendered_worker import RenderedWorker

from hts_battery.connections.launchpad.launchpad import open_launchpad, submit
from hts_battery.connections.records.executions import ledger
from hts_battery.flows.recipes.screen import ScreenMaker

if TYPE_CHECKING:
    from pathlib import Path

    from slurm.one_node_slurm import OneNodeSlurm

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = [pytest.mark.slurm, pytest.mark.mongo, pytest.mark.slow]


@pytest.mark.parametrize("name", ["slurm", "slurm_gpu"])
def test_a_trivial_firework_completes(
    name: str, slurm: OneNodeSlurm, stores: Stores, tmp_path: Path
) -> None:
    database = stores.database
    worker = RenderedWorker(name, slurm, tmp_path, database.uri, database.name)
    with open_launchpad(database) as launchpad:
        for number in range(3):
            firework = Firework(
                FakeTask(error=""), name=f"n{number}", spec={"_fworker": name}
            )
            launchpad.add_wf(Workflow([firework]))
        elsewhere = Firework(FakeTask(error=""), spec={"_fworker": "moon"})
        launchpad.add_wf(Workflow([elsewhere]))
        worker.run_all(launchpad, jobs=2)
        assert len(launchpad.get_fw_ids({"state": "COMPLETED"})) == 3
        assert launchpad.get_fw_ids({"state": "READY"}) == [4]
    told = [json.loads(path.read_text()) for path in worker.launches.rglob("told.json")]
    gpu = "0" if name == "slurm_gpu" else None
    assert [one.get("SLURM_JOB_GPUS") for one in told] == [gpu] * 3
    assert {one["OMP_NUM_THREADS"] for one in told} == {"1"}
    record = str(worker.executions)
    assert {one["HTS_BATTERY_EXECUTION_RECORD"] for one in told} == {record}


def test_a_candidate_with_jobs_made_on_the_node(
    slurm: OneNodeSlurm, stores: Stores, small_campaign: Campaign, tmp_path: Path
) -> None:
    database = stores.database
    worker = RenderedWorker("slurm", slurm, tmp_path, database.uri, database.name)
    maker = ScreenMaker.from_campaign(small_campaign.spec, relax_maker=FakeRelaxMaker())
    flows = [maker.make(candidate) for _, candidate in small_campaign.members()]
    with open_launchpad(database) as launchpad:
        submit(flows, launchpad, "slurm")
        worker.run_all(launchpad)
        assert len(launchpad.get_fw_ids({"state": "COMPLETED"})) == 4, worker.printed()
    assert stores.tasks.count({"metadata.final": True}) == 2
    total = ledger(worker.executions).total
    assert (total.completed, total.executions) == (4, 4)
