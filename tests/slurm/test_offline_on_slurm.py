"""Workers without the database, on a real Slurm: the server is down while jobs run."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from fakes import FakeCountedRelaxMaker
from slurm.rendered_worker import RenderedWorker

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.database.database import database
from hts_battery.connections.database.embedded import status
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.stores import Stores, open_stores
from hts_battery.connections.launchpad.launchpad import ExactLaunchPad, open_launchpad
from hts_battery.connections.records.backlog import Backlog
from hts_battery.connections.records.executions import ledger
from hts_battery.dispatch.feeder import feed
from hts_battery.dispatch.offline import ingest
from hts_battery.dispatch.recovery import recover
from hts_battery.dispatch.submission import plan_submission, submit_campaign
from hts_battery.flows.recipes.screen import ScreenMaker
from hts_battery.schemas.dispatch import DispatchMode, EndingKind
from hts_battery.schemas.recovery import RecoveryAction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from slurm.one_node_slurm import OneNodeSlurm

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.long]


@contextmanager
def server(folder: Path) -> Iterator[tuple[Stores, ExactLaunchPad]]:
    """Run the database for a while; it is down before and after."""
    with (
        database(name="hts_offline", data_dir=folder / "data") as opened,
        open_stores(opened) as stores,
        open_launchpad(opened) as launchpad,
    ):
        ensure_indexes(stores)
        yield stores, launchpad


SMALL = (
    "selection: {method: formulas, "
    "formulas: [Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2]}"
)
RANDOM = ("iterations: 500, seed: 3", "n_orderings: {random: 1}, seed: 3")


@contextmanager
def closed(slurm: OneNodeSlurm) -> Iterator[None]:
    """Let jobs wait for a while."""
    slurm.run("scontrol", "update", "PartitionName=debug", "State=DOWN")
    try:
        yield
    finally:
        slurm.run("scontrol", "update", "PartitionName=debug", "State=UP")


def kinds(stores: Stores) -> list[EndingKind | None]:
    backlog = Backlog.read(stores, "small")
    return [item.ending and item.ending.kind for item in backlog.items]


def wait_for_calls(counter: Path, number: int) -> None:
    deadline = time.monotonic() + 240
    while not counter.exists() or len(counter.read_text().splitlines()) < number:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_campaign_without_the_database(  # noqa: PLR0915 - one story
    slurm: OneNodeSlurm, campaign_file: Callable[..., Path], tmp_path: Path
) -> None:
    sample = "selection: {method: sample, count: 4, seed: 1}"
    campaign = load_campaign(campaign_file((SMALL, sample), RANDOM))
    counter = tmp_path / "calls"
    relax = FakeCountedRelaxMaker(counter=str(counter), seconds=3.0)
    look = partial(
        feed, make_maker=partial(ScreenMaker.from_campaign, relax_maker=relax)
    )
    submission = plan_submission(
        campaign.spec, "slurm_offline", mode=DispatchMode.CHUNKS, chunk=2
    )
    with closed(slurm):
        with server(tmp_path) as (stores, launchpad):
            submit_campaign(campaign, stores, submission)
            (report,) = look(stores, launchpad)
            assert (report.sent, report.fireworks) == (4, 2)
            worker = RenderedWorker(
                "slurm_offline",
                slurm,
                tmp_path,
                stores.database.uri,
                stores.database.name,
            )
            worker.qlaunch()
            assert len(slurm.jobs()) == 2
            assert ingest(worker.offline, stores, launchpad).waiting == 2
        assert not status(tmp_path / "data").running
    # Jobs run while there is no database; one is killed after its first candidate.
    first, second = sorted(slurm.jobs(), key=int)
    slurm.run("scontrol", "hold", second)
    wait_for_calls(counter, 2)
    slurm.run("scancel", first)
    slurm.run("scontrol", "release", second)
    slurm.wait_for_jobs(timeout=240)
    assert len(counter.read_text().splitlines()) == 4, worker.printed()

    with server(tmp_path) as (stores, launchpad):
        report_in = ingest(worker.offline, stores, launchpad)
        # Three candidates are done, and the report of the chunk that ended.
        assert (report_in.completed, report_in.running) == (1, 1)
        assert stores.tasks.count({"metadata.final": True}) == 3
        found = recover(stores, launchpad, listed=lambda _kind: frozenset(slurm.jobs()))
        assert [run.action for run in found.runs] == [RecoveryAction.PUT_BACK]
        look(stores, launchpad)
        assert kinds(stores).count(EndingKind.COMPUTED) == 2
        with closed(slurm):
            worker.qlaunch()
    slurm.wait_for_jobs(timeout=240)

    with server(tmp_path) as (stores, launchpad):
        assert ingest(worker.offline, stores, launchpad).completed == 1
        (report,) = look(stores, launchpad)
        assert report.is_done
        assert kinds(stores) == [EndingKind.COMPUTED] * 4
        assert stores.tasks.count({"metadata.final": True}) == 4
        assert ingest(worker.offline, stores, launchpad).journals == 0
    # The second launch of the killed chunk computed what the first one had not: five
    # calls, four of them to the end.
    assert len(counter.read_text().splitlines()) == 5
    counted = ledger(worker.executions)
    assert counted.computed_twice == ()
    assert all(
        tally.completed == 2  # ordered once, relaxed once
        for tally in counted.by_content_key.values()
        if not tally.interrupted
    )
