"""A rehearsal through a real queue: the flow of VASP with its stand-in."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from interrupted_rehearsal import interrupt
from slurm.rendered_worker import MODEST, TEMPLATES

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.operations.queued_rehearsal import Route
from hts_battery.operations.rehearsal import REHEARSALS, Injection, rehearse
from hts_battery.settings import get_settings
from hts_battery.vasp_standin.faults import SECONDS_VARIABLE, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from slurm.one_node_slurm import OneNodeSlurm

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.long,
    # The elements that the hull needs are metals; the settings are MP's all the same.
    pytest.mark.filterwarnings("ignore:Relaxation of likely metal with ISMEAR"),
    pytest.mark.filterwarnings("ignore:No POTCAR file with matching TITEL"),
]


@pytest.fixture
def operator(
    slurm: OneNodeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Stand where an operator stands: a data folder, a worker, a queue."""
    variables = {
        **MODEST,
        **slurm.environment,
        "HTS_BATTERY_DATA_DIR": str(tmp_path / "data"),
        "PYTHONPATH": str(TEMPLATES.parent),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield tmp_path / "data"
    get_settings.cache_clear()
    slurm.cancel_all()


def test_rehearse_through_the_queue(
    operator: Path, campaign_file: Callable[..., Path]
) -> None:
    campaign = load_campaign(
        campaign_file(
            ("engine: chgnet", "engine: vasp-mp-gga"),
            ("iterations: 500", "n_orderings: {random: 1}"),
        )
    )
    report = rehearse(
        campaign,
        injection=Injection({Fault.NODE: 0.5}, seed=5),
        route=Route("slurm", TEMPLATES, jobs=4),
    )
    assert report.candidates == 2
    assert report.unexpected == ()
    assert sum(report.states.values()) == 2
    assert report.states.get("ranked", 0) == report.ranked
    (failures,) = report.failures
    assert failures.failure_class == "node or filesystem failure"
    assert failures.repeated >= 1
    assert report.launch_bytes > 0
    assert not (operator / REHEARSALS).exists()


def test_ctrl_c_leaves_no_job_and_no_folder(
    operator: Path, slurm: OneNodeSlurm, campaign_file: Callable[..., Path]
) -> None:
    campaign = campaign_file(
        ("engine: chgnet", "engine: vasp-mp-gga"),
        ("iterations: 500", "n_orderings: {random: 1}"),
    )
    interrupt(
        campaign,
        TEMPLATES,
        {**os.environ, SECONDS_VARIABLE: "20"},
        when=lambda: bool(slurm.jobs()) and bool(slurm.rockets()),
        how=signal.SIGINT,
    )
    assert slurm.jobs() == []
    slurm.wait_for_jobs(timeout=30)
    assert slurm.rockets() == []
    assert not (operator / REHEARSALS).exists()
