"""One campaign's missing, newer or broken document stops only that campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.campaign.build import build_all, stored_campaigns
from hts_battery.campaign.listing import list_campaigns
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.campaign.status import stored_statuses
from hts_battery.dispatch.feeder import feed, plan_feeding
from hts_battery.dispatch.jobs import JobFilter, list_jobs
from hts_battery.dispatch.triage import triage
from hts_battery.errors import UnreadableDocumentError
from hts_battery.operations.alerts import tell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dispatched import Dispatch

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


@pytest.fixture
def two(dispatch: Dispatch, sample_file: Callable[..., Path]) -> Dispatch:
    """Submit two campaigns with other cells; the second is called ``broken``."""
    dispatch.submit(chunk=2)
    first = dispatch.campaign
    dispatch.campaign = load_campaign(
        sample_file(2, ("name: small", "name: broken"), ("seed: 1}", "seed: 9}"))
    )
    dispatch.submit(chunk=2)
    dispatch.campaign = first
    return dispatch


def _no_campaign(stores: Stores) -> None:
    stores.campaigns.remove_docs({"name": "broken"})


def _set(collection: str, name: str, **fields: object) -> Callable[[Stores], None]:
    def change(stores: Stores) -> None:
        getattr(stores, collection).update_fields({name: "broken"}, fields)

    return change


def _no_candidates(stores: Stores) -> None:
    mine = stores.members.distinct("candidate_id", {"campaign": "broken"})
    others = stores.members.distinct("candidate_id", {"campaign": "small"})
    stores.candidates.remove_docs(
        {"candidate_id": {"$in": sorted({*mine} - {*others})}}
    )


BROKEN: dict[str, Callable[[Stores], None]] = {
    "missing campaign": _no_campaign,
    "newer campaign": _set("campaigns", "name", **{"spec.recipe": "barriers"}),
    "broken campaign": _set("campaigns", "name", **{"spec.selection": 7}),
    "campaign without its spec": _set("campaigns", "name", spec=None),
    "newer submission": _set("submissions", "campaign", colour="red"),
    "broken submission": _set("submissions", "campaign", window="many"),
    "newer block": _set("backlog", "campaign", **{"items.0.colour": "red"}),
    "broken block": _set("backlog", "campaign", items=[{"formula": "LiF"}]),
    "block of another kind": _set("backlog", "campaign", items="none"),
    "missing candidates": _no_candidates,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_the_feeder_looks_after_the_others(two: Dispatch, kind: str) -> None:
    BROKEN[kind](two.stores)
    planned = plan_feeding(two.stores, two.launchpad)
    found = feed(two.stores, two.launchpad, make_maker=two.make_maker)
    for reports in (planned, found):
        assert [one.campaign for one in reports] == ["broken", "small"]
        assert reports[0].problem
        assert not reports[0].is_done
        assert reports[1].problem is None
        assert reports[1].sent == 6
    assert "Traceback" not in found[0].problem
    # Messages are told of the other, a list and a table are still made.
    tell(two.stores, found, ())
    assert {job.campaign for job in list_jobs(two.stores, JobFilter())} == {"small"}


@pytest.mark.parametrize("kind", ["newer campaign", "newer submission", "newer block"])
def test_whoever_asks_for_it_by_name_is_told(two: Dispatch, kind: str) -> None:
    BROKEN[kind](two.stores)
    with pytest.raises(UnreadableDocumentError, match="broken cannot be read"):
        feed(two.stores, two.launchpad, campaigns=["broken"])


@pytest.mark.parametrize("kind", ["newer campaign", "campaign without its spec"])
def test_lists_and_builders_pass_over_it(
    two: Dispatch, kind: str, tmp_path: Path
) -> None:
    BROKEN[kind](two.stores)
    small, broken = (
        one
        for name in ("small", "broken")
        for one in stored_statuses(two.stores, execution_folder=tmp_path)
        if one.campaign == name
    )
    assert small.candidates == 6
    assert small.problem is None
    assert broken.problem is not None
    rows = {
        one.campaign: one
        for one in list_campaigns(two.stores, execution_folder=tmp_path)
    }
    assert rows["small"].states
    assert rows["broken"].problem
    assert [spec.name for spec in stored_campaigns(two.stores)] == ["small"]
    problems: dict[str, str] = {}
    reports = build_all(two.stores, temperatures=[0.0], problem=problems.__setitem__)
    assert set(problems) == {"broken"}
    assert reports["summary_table"].seconds >= 0
    assert two.stores.builds.query_one({})["problems"] == problems
    # Nobody to be told: the others are built, then it is an error.
    with pytest.raises(UnreadableDocumentError, match="broken"):
        build_all(two.stores, temperatures=[0.0])


def test_what_a_builder_cannot_read_of_a_campaign_stops_only_that(
    two: Dispatch,
) -> None:
    two.stores.members.update_fields({"campaign": "broken"}, {"content_key": None})
    problems: dict[str, str] = {}
    build_all(two.stores, temperatures=[0.0], problem=problems.__setitem__)
    assert set(problems) <= {"broken"}


def test_a_broken_block_hides_no_failures_of_others(two: Dispatch) -> None:
    BROKEN["broken block"](two.stores)
    assert triage(two.stores) == ()
    with pytest.raises(UnreadableDocumentError, match="broken"):
        triage(two.stores, "broken")
