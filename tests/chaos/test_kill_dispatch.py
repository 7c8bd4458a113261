"""Submitters and feeders are killed at random moments: nothing is lost or doubled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import jobflow
import pytest
from fakes import FakeRelaxMaker
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.connections.records.backlog import Backlog
from hts_battery.connections.records.executions import read_executions
from hts_battery.dispatch.feeder import feed
from hts_battery.dispatch.submission import plan_submission, submit_campaign
from hts_battery.flows.recipes.screen import ScreenMaker
from hts_battery.schemas.dispatch import EndingKind
from hts_battery.schemas.execution import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores

pytestmark = [pytest.mark.mongo, pytest.mark.chaos, pytest.mark.slow]

CANDIDATES = 16
KILLS = 6
SCRIPT = Path(__file__).with_name("dispatch_to_be_killed.py")


def start(database: Database, campaign_file: Path, folder: Path) -> subprocess.Popen:
    """Start one more operator; return when it begins to write."""
    environment = {
        **os.environ,
        "HTS_BATTERY_MONGO_URI": database.uri,
        "HTS_BATTERY_DATABASE": database.name,
        "HTS_BATTERY_DATA_DIR": str(folder / "operator"),
        "PYTHONPATH": os.pathsep.join(
            [str(SCRIPT.parents[1]), os.environ.get("PYTHONPATH", "")]
        ),
    }
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, str(SCRIPT), str(campaign_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        process.kill()
        pytest.fail(process.communicate()[1])
    return process


def test_killed_operators_leave_each_candidate_once(
    campaign_file: Callable[..., Path],
    database: Database,
    stores: Stores,
    execution_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = campaign_file(
        (
            "formulas, formulas: [Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2]}",
            f"sample, count: {CANDIDATES}, seed: 1}}",
        ),
        ("iterations: 500, seed: 3", "n_orderings: {random: 1}, seed: 3"),
    )
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    for _ in range(KILLS // 2):
        # Two at once: they wait for each other, and both are killed.
        operators = [start(database, path, tmp_path) for _ in range(2)]
        for process in operators:
            time.sleep(chance.uniform(0.0, 2.0))
            assert process.poll() is None, process.communicate()[1]
            process.send_signal(signal.SIGKILL)
        for process in operators:
            process.communicate()

    monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", stores.job_store)
    monkeypatch.chdir(tmp_path)
    campaign = load_campaign(path)
    submission = plan_submission(campaign.spec, "here", chunk=2)
    make_maker = partial(ScreenMaker.from_campaign, relax_maker=FakeRelaxMaker())
    with open_launchpad(stores.database) as launchpad:
        submit_campaign(campaign, stores, submission)
        (report,) = feed(stores, launchpad, make_maker=make_maker)
        assert (report.in_hand, report.waiting) == (CANDIDATES, 0)
        assert launchpad.fireworks.count_documents({}) == report.fireworks
        assert launchpad.workflows.count_documents({}) == report.fireworks
        rapidfire(
            launchpad, FWorker(name="here"), m_dir=str(tmp_path), strm_lvl="CRITICAL"
        )
        (report,) = feed(stores, launchpad, make_maker=make_maker)
        assert report.is_done
        for name in ("fireworks", "workflows", "launches"):
            assert getattr(launchpad, name).count_documents({}) == 0
    items = list(Backlog.read(stores, "small").items)
    assert [item.ending and item.ending.kind for item in items] == [
        EndingKind.COMPUTED
    ] * CANDIDATES
    assert len({item.content_key for item in items}) == CANDIDATES
    relaxed = [
        execution.start.content_key
        for execution in read_executions(execution_folder).executions
        if execution.start.step == "relax" and execution.outcome is Outcome.COMPLETED
    ]
    assert sorted(relaxed) == sorted(item.content_key for item in items)
