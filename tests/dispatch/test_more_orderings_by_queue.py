"""More orderings by a queue: only what is missing is sent, by whichever campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.records.backlog import Backlog
from hts_battery.dispatch.feeder import feed
from hts_battery.schemas.dispatch import DispatchMode, EndingKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dispatched import Dispatch

pytestmark = [
    pytest.mark.mongo,
    pytest.mark.slow,
    # The orderings of a candidate do not depend on each other.
    pytest.mark.filterwarnings("ignore:Some jobs are not connected:UserWarning"),
]


def relaxed(dispatch: Dispatch) -> list[str]:
    tasks = dispatch.stores.tasks.query(
        {"metadata.step": "relax"}, properties=["metadata.ordering_id"]
    )
    return sorted(task["metadata"]["ordering_id"] for task in tasks)


@pytest.mark.parametrize("many", [2], indirect=True)
@pytest.mark.parametrize("mode", DispatchMode)
def test_a_campaign_that_asks_for_more_sends_what_is_missing(
    dispatch: Dispatch, sample_file: Callable[..., Path], mode: DispatchMode
) -> None:
    dispatch.submit(mode=mode)
    dispatch.finish()
    first = relaxed(dispatch)
    assert len(first) == 2
    path = sample_file(2, ("n_orderings: {random: 1}", "n_orderings: {random: 3}"))
    dispatch.campaign = load_campaign(path)
    assert dispatch.submit(mode=mode).new == 2
    dispatch.finish()
    found = relaxed(dispatch)
    assert len(found) == len(set(found)) == 6
    assert set(first) < set(found)
    assert dispatch.submit(mode=mode).new == 0
    # Fewer again: there is nothing to do.
    dispatch.campaign = load_campaign(sample_file(2))
    assert dispatch.submit(mode=mode).new == 0
    assert len(relaxed(dispatch)) == 6


@pytest.mark.parametrize("many", [2], indirect=True)
def test_what_is_asked_for_while_less_is_under_way_is_sent_afterwards(
    dispatch: Dispatch, sample_file: Callable[..., Path]
) -> None:
    dispatch.submit(chunk=2)
    dispatch.feed()
    path = sample_file(2, ("n_orderings: {random: 1}", "n_orderings: {random: 2}"))
    dispatch.campaign = load_campaign(path)
    assert dispatch.submit(chunk=2).new == 0
    dispatch.finish()
    found = relaxed(dispatch)
    assert len(found) == len(set(found)) == 4
    items = list(Backlog.read(dispatch.stores, "small").items)
    assert {item.ending.kind for item in items if item.ending} == {EndingKind.COMPUTED}


@pytest.mark.parametrize("many", [2], indirect=True)
def test_another_campaign_that_asks_for_more_waits_and_sends_the_rest(
    dispatch: Dispatch, sample_file: Callable[..., Path]
) -> None:
    dispatch.submit(chunk=2)
    dispatch.feed()
    path = sample_file(
        2,
        ("n_orderings: {random: 1}", "n_orderings: {random: 2}"),
        ("name: small", "name: larger"),
        name="larger.yaml",
    )
    dispatch.campaign = load_campaign(path)
    assert dispatch.submit(chunk=2).new == 2
    # The same calculations are under way: nothing is sent twice.
    report = dispatch.feed(campaigns=["larger"])
    assert (report.sent, report.waiting) == (0, 2)
    for _ in range(10):
        dispatch.launch()
        reports = feed(
            dispatch.stores, dispatch.launchpad, make_maker=dispatch.make_maker
        )
        if all(one.is_done for one in reports):
            break
    found = relaxed(dispatch)
    assert len(found) == len(set(found)) == 4
