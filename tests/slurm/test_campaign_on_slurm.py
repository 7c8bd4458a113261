"""Whole campaigns through `hts`, qlaunch and sbatch on a real Slurm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from slurm.queued_campaign import QueuedCampaign

from hts_battery.campaign.campaign_file import load_campaign
from hts_battery.connections.launchpad import open_launchpad

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from slurm.one_node_slurm import OneNodeSlurm

    from hts_battery.connections.stores import Stores

pytestmark = [pytest.mark.slurm, pytest.mark.mongo, pytest.mark.slow]


def test_two_hundred_candidates(
    slurm: OneNodeSlurm,
    stores: Stores,
    sampled_campaign_file: Callable[..., Path],
    tmp_path: Path,
) -> None:
    campaign = load_campaign(sampled_campaign_file(200))
    with open_launchpad(stores.database) as launchpad:
        queued = QueuedCampaign(campaign, stores, launchpad, slurm, tmp_path)
        assert queued.submit(chunk=25, window=6).new == 200
        with queued.launching() as launcher:
            queued.finish(launcher, timeout=600)
        queued.assert_exact(computed=200)
        assert stores.archived_workflows.count() == 8
        assert stores.tasks.count({"metadata.final": True}) == 200
