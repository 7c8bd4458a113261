from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil
import pytest
from fakes import FakeCountedRelaxMaker, FakeDeadlyRelaxMaker, FakeRelaxMaker

from hts_battery.campaign.local_processes import default_processes
from hts_battery.campaign.local_run import Progress, run_candidates
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.records.executions import ledger
from hts_battery.errors import DatabaseOutageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

FORMULAS = "Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2"
WITH_F, *WITHOUT_F = (
    "Li1.3Mn0.4Ti0.3O1.7F0.3",
    "Li1.2Mn0.4Ti0.4O2",
    "Li1.1Mn0.7Ti0.2O2",
)


def computing() -> list[psutil.Process]:
    return [
        one
        for one in psutil.Process().children(recursive=True)
        if "hts_battery.campaign.local_processes" in one.cmdline()
    ]


@pytest.fixture
def campaign(campaign_file: Callable[..., Path]) -> Campaign:
    return load_campaign(campaign_file((FORMULAS, ", ".join((WITH_F, *WITHOUT_F)))))


@pytest.fixture
def run(stores: Stores, execution_folder: Path, tmp_path: Path) -> Callable[..., int]:
    def call(campaign: Campaign, maker: FakeRelaxMaker, **reports: object) -> int:
        return run_candidates(
            campaign,
            stores,
            launch_folder=tmp_path / "launches",
            execution_folder=execution_folder,
            relax_maker=maker,
            processes=2,
            progress=Progress(**reports),  # type: ignore[arg-type]
        )

    return call


@pytest.mark.mongo
@pytest.mark.slow
def test_a_killed_process_leaves_its_candidate_and_the_other_goes_on(
    campaign: Campaign, run: Callable[..., int], execution_folder: Path
) -> None:
    problems: list[str] = []
    done: list[str] = []
    reports = {
        "problem": problems.append,
        "advance": lambda _stage, what: done.append(what),
    }
    assert run(campaign, FakeDeadlyRelaxMaker(), **reports) == 2
    assert sorted(done) == sorted(WITHOUT_F)
    (problem,) = problems
    assert problem.startswith(f"{WITH_F}: a process that computes ended with SIGKILL")
    assert computing() == []
    counted = ledger(execution_folder)
    assert counted.total.completed == 4 + 1  # one was ordered, and not relaxed

    # One is left: this process computes it, as no second one is of use.
    assert run(campaign, FakeRelaxMaker(), **reports) == 1
    assert sorted(done) == sorted((WITH_F, *WITHOUT_F))
    counted = ledger(execution_folder)
    assert counted.computed_twice == ()
    assert counted.total.failed == 0
    assert counted.total.interrupted == 1


@pytest.mark.mongo
@pytest.mark.slow
def test_what_ends_every_process_ends_the_run(
    campaign: Campaign, run: Callable[..., int], stores: Stores, tmp_path: Path
) -> None:
    problems: list[str] = []
    maker = FakeCountedRelaxMaker(counter=str(tmp_path / "calls"), outages=(1, 2))
    with pytest.raises(DatabaseOutageError, match="AutoReconnect"):
        run(campaign, maker, problem=problems.append)
    (problem,) = problems
    assert "AutoReconnect" in problem
    assert stores.failures.count() == 0
    assert computing() == []


@pytest.mark.parametrize(
    ("engine", "device", "cores", "free", "expected"),
    [
        ("chgnet", "cpu", 4, 100.0, 4),
        ("chgnet", "cpu", 4, 3.5, 2),
        ("chgnet", "cpu", 4, 0.5, 1),
        ("chgnet", "cuda", 4, 100.0, 1),
        ("ionic", "cpu", 2, 3.5, 2),
        ("vasp-mp-gga", "cpu", 4, 100.0, 1),
    ],
)
def test_one_process_a_core_as_far_as_memory_goes(  # noqa: PLR0913, PLR0917 - one case
    small_campaign: Campaign,
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
    device: str,
    cores: int,
    free: float,
    expected: int,
) -> None:
    class Memory:
        available = int(free * 1e9)

    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(cores)))
    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    spec = small_campaign.spec.model_copy(update={"engine": engine})
    said: list[str] = []
    assert default_processes(spec, device=device, note=said.append) == expected
    assert bool(said) == (engine == "chgnet" and free < 6.0)
