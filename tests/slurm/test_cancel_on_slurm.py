"""A cancelled campaign leaves the queue, and other people's jobs stay there."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
from fakes import FakeRelaxMaker
from slurm.queued_campaign import QueuedCampaign

from hts_battery.connections.launchpad.cancellation import Queues
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.connections.launchpad.queue_worker import QueueWorker
from hts_battery.connections.launchpad.queues import (
    asked_job,
    cancel_job,
    this_cluster,
)
from hts_battery.connections.launchpad.scheduler import QueueScheduler
from hts_battery.dispatch.feeder import cancel
from hts_battery.dispatch.launcher import Launcher
from hts_battery.schemas.cancellation import CancelState

if TYPE_CHECKING:
    from pathlib import Path

    from slurm.one_node_slurm import OneNodeSlurm

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = [pytest.mark.slurm, pytest.mark.mongo, pytest.mark.slow]


def test_what_runs_and_what_waits_is_ended_and_can_be_sent_again(
    slurm: OneNodeSlurm, stores: Stores, small_campaign: Campaign, tmp_path: Path
) -> None:
    foreign = slurm.submit("sleep 300", tmp_path, "--cpus-per-task=3")
    here = slurm.environment
    queues = Queues(
        cancel=partial(cancel_job, environment=here),
        ask=partial(asked_job, environment=here),
        here=partial(this_cluster, environment=here),
    )
    name = small_campaign.spec.name
    with open_launchpad(stores.database) as launchpad:
        queued = QueuedCampaign(
            *(small_campaign, stores, launchpad, slurm, tmp_path / "worker"),
            relax_maker=FakeRelaxMaker(seconds=300),
        )
        queued.submit(chunk=1)
        queued.look()
        worker = QueueWorker.read(queued.worker.config)
        scheduler = QueueScheduler(worker.adapter, queued.worker.environment)
        folder = queued.worker.launches
        launcher = Launcher(worker, stores, launchpad, folder, scheduler, jobs=4)
        assert len(launcher.once().submitted) == 2
        deadline = time.monotonic() + 120
        while not stores.tasks.count({"metadata.step": "order"}):
            assert time.monotonic() < deadline, queued.worker.printed()
            time.sleep(0.5)
        report = cancel(stores, launchpad, name, queues=queues)
        assert {one.state for one in report.queue_jobs} == {CancelState.CANCELLED}
        assert {one.running for one in report.queue_jobs} == {True, False}
        assert slurm.jobs() == [foreign]
        states = set(launchpad.fireworks.distinct("state"))
        assert not {"RUNNING", "RESERVED"} & states
        slurm.run("scancel", foreign)
        queued.relax_maker = FakeRelaxMaker()
        queued.submit(chunk=1)
        with queued.launching() as launching:
            queued.finish(launching)
        queued.assert_exact(computed=2)
