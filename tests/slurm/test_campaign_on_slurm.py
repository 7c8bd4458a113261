"""A whole campaign through `hts`, qlaunch and sbatch on a real Slurm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from slurm.queued_campaign import QueuedCampaign
from slurm.rendered_worker import PROJECT

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.launchpad.launchpad import open_launchpad

if TYPE_CHECKING:
    from collections.abc import Callable

    from slurm.one_node_slurm import OneNodeSlurm

    from hts_battery.connections.database.stores import Stores

pytestmark = [pytest.mark.slurm, pytest.mark.mongo, pytest.mark.slow, pytest.mark.long]

CANDIDATES = 200
# Cells of twenty atoms, in a space that has enough members in such cells.
CHEAP = (
    ("engine: chgnet", "engine: ionic"),
    ("step: 0.1", "step: 0.2"),
    ("atoms: 40", "atoms: 20"),
    ("Cr3+, Ti4+", "Cr3+, V3+, Fe3+, Ti4+"),
)
_TIMEOUT_SECONDS = 480


def test_two_hundred_candidates(
    slurm: OneNodeSlurm,
    stores: Stores,
    sampled_campaign_file: Callable[..., Path],
    tmp_path: Path,
) -> None:
    spec = sampled_campaign_file(CANDIDATES, *CHEAP)
    campaign = load_campaign(spec)
    with open_launchpad(stores.database) as launchpad:
        queued = QueuedCampaign(campaign, stores, launchpad, slurm, tmp_path / "worker")
        hts = _command_line(queued)
        submitted = json.loads(
            hts("campaign", "submit", str(spec), "--worker", "slurm", "--json")
        )
        assert (submitted["candidates"], submitted["new"]) == (CANDIDATES, CANDIDATES)
        again = json.loads(
            hts("campaign", "submit", str(spec), "--worker", "slurm", "--json")
        )
        assert (again["new"], again["known"]) == (0, CANDIDATES)
        with queued.launching():
            told = hts("launchpad", "feed", "--watch", "--every", "2", "--json")
        last = json.loads(told.splitlines()[-1])
        assert (last["waiting"], last["in_hand"]) == (0, 0)
        queued.assert_exact(computed=CANDIDATES)
        assert stores.archived_workflows.count() == CANDIDATES / 50
        assert len(list(queued.worker.launches.rglob("FW_submit.script"))) == 4


def _command_line(queued: QueuedCampaign) -> Callable[..., str]:
    """Return what runs `hts` as an operator on the login node does."""
    database = queued.stores.database

    def run(*words: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own words
            [str(Path(sys.executable).with_name("hts")), *words],
            env={
                **queued.worker.environment,
                "HTS_BATTERY_MONGO_URI": database.uri,
                "HTS_BATTERY_DATABASE": database.name,
                "HTS_BATTERY_DATA_DIR": str(queued.folder / "data"),
                "HTS_BATTERY_EXECUTION_RECORD": str(queued.worker.executions),
            },
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
