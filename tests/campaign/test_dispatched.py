"""Backlog and launchpad of campaigns as they are read, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.campaign.dispatched import Dispatched, DispatchRecord
from hts_battery.campaign.status import candidates_per_hour, dispatch_status

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def ending(kind: str, minutes: int = 10, **changes: Any) -> Any:  # noqa: ANN401 - as stored
    return {
        "kind": kind,
        "reason": None,
        "failure_class": "out of memory" if kind == "failed" else None,
        "node_hours": 2.0,
        "time": (NOW - timedelta(minutes=minutes)).isoformat(),
    } | changes


def item(key: str, **changes: Any) -> Any:  # noqa: ANN401 - as stored
    return {
        "content_key": key,
        "candidate_id": f"candidate {key}",
        "dispatch_id": None,
        "fw_id": None,
        "asked": {},
        "ending": None,
        "earlier": [],
    } | changes


def submission(campaign: str = "one", **changes: Any) -> Any:  # noqa: ANN401 - as stored
    return {
        "campaign": campaign,
        "worker": "w",
        "nodes": 2,
        "budget": 100.0,
        "hold": None,
        "time": (NOW - timedelta(hours=5)).isoformat(),
    } | changes


def dispatched(
    *own: Any,  # noqa: ANN401 - as stored
    others: dict[str, list[Any]] | None = None,
    workflows: dict[str, Any] | None = None,
    **changes: Any,  # noqa: ANN401 - of the submission
) -> Dispatched:
    return Dispatched(
        "one",
        {"one": submission(**changes), "two": submission("two", hold="paused")},
        {"one": list(own), **(others or {})},
        workflows or {},
    )


def workflow(seconds: float, **states: str) -> Any:  # noqa: ANN401 - of the launchpad
    return SimpleNamespace(states=states, seconds=seconds)


def test_a_campaigns_own_backlog_comes_first() -> None:
    shared, own = item("k", candidate_id="theirs"), item("k", candidate_id="mine")
    found = dispatched(own, others={"two": [shared, item("only two")]})
    record = found.record("k")
    assert record is not None
    assert (record.campaign, record.item["candidate_id"]) == ("one", "mine")
    other = found.record("only two")
    assert other is not None
    assert (other.campaign, other.hold) == ("two", "paused")
    assert found.record("nobody's") is None


def test_of_two_other_campaigns_the_one_that_has_not_ended_counts() -> None:
    ended, waits = item("k", ending=ending("failed")), item("k")
    found = dispatched(others={"two": [ended], "three": [waits]})
    record = found.record("k")
    assert record is not None
    assert record.item["ending"] is None
    back = dispatched(others={"three": [waits], "two": [ended]}).record("k")
    assert back is not None
    assert back.item["ending"] is None


def test_a_record_has_the_workflow_that_was_sent_for_it() -> None:
    sent = item("k", dispatch_id="d", fw_id=3)
    found = dispatched(sent, item("l"), workflows={"d": workflow(1.0, a="RUNNING")})
    record, waits = found.record("k"), found.record("l")
    assert record is not None
    assert waits is not None
    assert record.workflow is not None
    assert waits.workflow is None


@pytest.mark.parametrize(
    ("last", "earlier", "kind"),
    [
        (None, [], None),
        ("computed", [], "computed"),
        ("cancelled", [], None),
        ("cancelled", ["failed"], "failed"),
        ("cancelled", ["failed", "cancelled"], "failed"),
        ("cancelled", ["failed", "gated"], "gated"),
        (None, ["computed"], "computed"),
    ],
)
def test_a_cancellation_is_no_result(
    last: str | None, earlier: list[str], kind: str | None
) -> None:
    stored = item(
        "k",
        ending=None if last is None else ending(last),
        earlier=[ending(one) for one in earlier],
    )
    found = DispatchRecord("one", stored).last_result
    assert (found and found["kind"]) == kind


def test_what_was_sent_is_added_up() -> None:
    found = dispatched(
        item("a", ending=ending("computed", 10)),
        item("b", ending=ending("failed", 20), earlier=[ending("failed", 90)]),
        item("c", dispatch_id="d1"),
        item("d"),
        workflows={
            "d1": workflow(3600.0, first="RUNNING", second="WAITING"),
            "ended": workflow(9999.0, first="COMPLETED"),
        },
        hold="budget",
    )
    status = dispatch_status(found, now=NOW)
    assert status is not None
    assert (status.waiting, status.in_hand, status.ended) == (1, 1, 2)
    assert status.fireworks == {"RUNNING": 1, "WAITING": 1}
    assert status.failed == {"out of memory": 1}
    assert status.repeated == {"out of memory": 1}
    assert status.node_hours == 6.0
    assert status.node_hours_running == 2.0  # one hour on two nodes
    assert (status.hold, status.budget) == ("budget", 100.0)
    assert status.candidates_per_hour == 2.0
    assert status.hours_left == 1.0


def test_nothing_is_said_of_what_was_not_submitted() -> None:
    nothing = Dispatched("one", {}, {}, {})
    assert dispatch_status(nothing, now=NOW) is None
    assert nothing.own == []
    assert nothing.record("k") is None
    silent = dispatch_status(dispatched(item("a")), now=NOW)
    assert silent is not None
    assert (silent.candidates_per_hour, silent.hours_left) == (None, None)


@given(st.lists(st.integers(0, 300), max_size=30), st.integers(1, 300))
def test_a_rate_is_that_of_the_last_hour(ago: list[int], since: int) -> None:
    times = [NOW - timedelta(minutes=minutes) for minutes in ago]
    start = NOW - timedelta(minutes=since)
    found = candidates_per_hour(times, since=start, now=NOW)
    window = min(since, 60)
    recent = sum(minutes <= window for minutes in ago)
    if not recent:
        assert found is None
    else:
        assert found == pytest.approx(recent * 60 / window)
    assert candidates_per_hour(times, since=NOW, now=NOW) is None
