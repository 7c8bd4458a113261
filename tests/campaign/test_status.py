"""Two ways to count where candidates stand: quick and exact; they agree."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from fakes import FakeCountedRelaxMaker, fake_reference_energies

from hts_battery.campaign.build import build
from hts_battery.campaign.references import store_references
from hts_battery.campaign.registration import register, registered
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.campaign.status import campaign_status, stored_statuses
from hts_battery.connections.records.executions import ExecutionRecord, running_keys
from hts_battery.dispatch.feeder import cancel, pause, resume
from hts_battery.schemas.state import NEEDS_NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dispatched import Dispatch

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.status import CampaignStatus


def status(dispatch: Dispatch, folder: Path, *, exact: bool = False) -> CampaignStatus:
    return campaign_status(
        dispatch.campaign.path, dispatch.stores, execution_folder=folder, exact=exact
    )


def both(dispatch: Dispatch, folder: Path) -> dict[str, int]:
    """Ask both ways, and return the one answer."""
    quick = status(dispatch, folder)
    exact = status(dispatch, folder, exact=True)
    assert (quick.exact, exact.exact) == (False, True)
    assert quick.states == exact.states
    assert quick.candidates == exact.candidates == 6
    stored = stored_statuses(dispatch.stores, execution_folder=folder)
    assert {one.campaign: one.states for one in stored}[quick.campaign] == quick.states
    return quick.states


def launch_one(dispatch: Dispatch) -> None:
    # Asked for a rocket where nothing is ready, FireWorks waits for something.
    if dispatch.states().get("READY"):
        dispatch.launch(rockets=1)


@pytest.mark.mongo
def test_from_submission_to_ranking(dispatch: Dispatch, execution_folder: Path) -> None:
    def now() -> dict[str, int]:
        return both(dispatch, execution_folder)

    dispatch.submit(chunk=2, window=2)
    assert now() == {"waiting": 6}
    dispatch.feed()
    assert now() == {"queued": 4, "waiting": 2}
    dispatch.launch(rockets=1)
    assert now() == {"queued": 2, "returned": 2, "waiting": 2}
    dispatch.feed()
    assert now() == {"computed": 2, "queued": 4}
    build(dispatch.campaign.spec, dispatch.stores, temperatures=(0.0,))
    assert now() == {"queued": 4, "unjudged": 2}
    store_references(fake_reference_energies(), dispatch.stores)
    build(dispatch.campaign.spec, dispatch.stores, temperatures=(0.0,))
    assert now() == {"queued": 4, "ranked": 2}
    pause(dispatch.stores, dispatch.launchpad, dispatch.campaign.spec.name)
    dispatch.feed()
    assert now() == {"held": 4, "ranked": 2}
    cancel(dispatch.stores, dispatch.launchpad, dispatch.campaign.spec.name)
    assert now() == {"cancelled": 4, "ranked": 2}
    dispatch.submit(chunk=2, window=2)
    dispatch.finish()
    assert now() == {"computed": 4, "ranked": 2}
    found = status(dispatch, execution_folder)
    assert found.dispatch is not None
    assert (found.dispatch.ended, found.dispatch.in_hand, found.dispatch.waiting) == (
        6,
        0,
        0,
    )
    assert found.dispatch.node_hours > 0
    assert found.last_build is not None


@pytest.mark.mongo
@pytest.mark.parametrize("seed", [1, 2])
def test_after_any_history_both_answers_agree(
    dispatch: Dispatch, execution_folder: Path, tmp_path: Path, seed: int
) -> None:
    choice = random.Random(seed)  # noqa: S311 - a history, not a secret
    dispatch.relax_maker = FakeCountedRelaxMaker(
        counter=str(tmp_path / "calls"),
        failing=tuple(choice.sample(range(1, 13), 4)),
    )
    store_references(fake_reference_energies(), dispatch.stores)
    name = dispatch.campaign.spec.name
    dispatch.submit(chunk=2, window=2)
    acts: list[Callable[[], object]] = [
        dispatch.feed,
        dispatch.feed,
        lambda: launch_one(dispatch),
        lambda: launch_one(dispatch),
        lambda: build(dispatch.campaign.spec, dispatch.stores, temperatures=(0.0,)),
        lambda: pause(dispatch.stores, dispatch.launchpad, name),
        lambda: cancel(dispatch.stores, dispatch.launchpad, name),
        lambda: dispatch.submit(chunk=2, window=2),
        lambda: dispatch.submit(chunk=1, window=3, retry_failed=True),
    ]
    for _ in range(12):
        act = choice.choice(acts)
        if act is acts[5]:
            # A campaign that is cancelled cannot be paused.
            dispatch.submit(chunk=2, window=2)
        act()
        both(dispatch, execution_folder)
    dispatch.submit(chunk=2, window=2)
    resume(dispatch.stores, dispatch.launchpad, name, make_maker=dispatch.make_maker)
    dispatch.finish()
    states = both(dispatch, execution_folder)
    assert set(states) <= {str(state) for state in NEEDS_NOTHING}


@pytest.mark.mongo
def test_what_stands_in_another_backlog_or_was_computed_before_is_counted(
    dispatch: Dispatch, execution_folder: Path, sample_file: Callable[..., Path]
) -> None:
    dispatch.submit(chunk=1, window=2, subset=None)
    dispatch.feed()
    dispatch.launch(rockets=1)
    dispatch.feed()
    path = sample_file(6, ("name: small", "name: second"), name="second.yaml")
    second = type(dispatch)(
        load_campaign(path), dispatch.stores, dispatch.launchpad, dispatch.folder
    )
    second.submit(chunk=1, window=2)
    states = both(second, execution_folder)
    assert states == both(dispatch, execution_folder)
    assert states["computed"] == 1
    assert sum(states.values()) == 6


@pytest.mark.mongo
def test_a_campaign_that_was_not_submitted_is_counted_exactly(
    computed: Campaign, stores: Stores, execution_folder: Path
) -> None:
    found = campaign_status(computed.path, stores, execution_folder=execution_folder)
    assert found.exact
    assert found.states == {"computed": 2}
    assert found.dispatch is None


@pytest.mark.mongo
def test_a_registration_is_current_until_the_file_changes(
    campaign_file: Callable[..., Path], stores: Stores
) -> None:
    path = campaign_file()
    assert registered(path, stores) is None
    register(load_campaign(path), stores)
    first = registered(path, stores)
    assert first is not None
    assert first.members == 2
    changed = campaign_file(("step: 0.1", "step: 0.05"))
    assert registered(changed, stores) is None
    register(load_campaign(changed), stores)
    again = registered(changed, stores)
    assert again is not None
    assert (again.members, again.gate_since) == (2, first.gate_since)


def test_the_record_says_what_runs_now(tmp_path: Path) -> None:
    record = ExecutionRecord(tmp_path)
    with record.execution(job_uuid="a", name="relax", content_key="k"):
        with record.execution(job_uuid="b", name="relax", content_key="l"):
            assert running_keys(tmp_path) == {"k", "l"}
        assert running_keys(tmp_path) == {"k"}
    assert running_keys(tmp_path) == set()
    assert running_keys(tmp_path / "none") == set()
