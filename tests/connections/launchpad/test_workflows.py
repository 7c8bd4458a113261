from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.connections.launchpad.workflows import (
    DELETED,
    TAKEN_BACK,
    SentWorkflow,
    firework_document,
    last_sign,
    launch_document,
    queue_number,
    stopped_states,
    utc,
)
from hts_battery.schemas.launch import LaunchMark

if TYPE_CHECKING:
    from hts_battery.schemas.launchpad_rows import LaunchRow, StateRow

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = BEGAN + timedelta(days=2)
HOUR = timedelta(hours=1)


def state(name: str, at: datetime, **more: object) -> StateRow:
    """Write a state as FireWorks does: times as text, without a zone."""
    began = at.replace(tzinfo=None).isoformat()
    return {"state": name, "created_on": began, **more}  # type: ignore[typeddict-item]


def launch(name: str, *history: StateRow, **more: object) -> LaunchRow:
    row = {"launch_id": 3, "fw_id": 2, "state": name, "launch_dir": "/l"}
    return {**row, "state_history": history, **more}  # type: ignore[typeddict-item]


def test_times_of_fireworks_are_utc_whatever_their_form() -> None:
    naive = BEGAN.replace(tzinfo=None)
    for written in (naive, naive.isoformat(), BEGAN, BEGAN.isoformat()):
        assert utc(written) == BEGAN


@given(st.floats(0, 1e6))
def test_a_launch_that_ended_took_from_its_beginning_to_its_end(seconds: float) -> None:
    end = BEGAN + timedelta(seconds=seconds)
    ended = launch(
        "COMPLETED",
        state("RESERVED", BEGAN - HOUR, reservation_id=815),
        state("RUNNING", BEGAN, updated_on=end - timedelta(seconds=seconds / 2)),
        state("COMPLETED", end),
        fworker={"name": "here"},
        host="n1",
    )
    found = launch_document(ended, NOW)
    assert found.started == BEGAN
    assert found.seconds == pytest.approx(seconds, abs=1e-5)
    assert (found.queue_id, found.worker, found.host) == ("815", "here", "n1")


@given(st.integers(0, 40), st.integers(0, 47))
def test_a_launch_that_was_lost_counts_no_longer_than_to_the_ping_that_did_not_come(
    pinged: int, now: int
) -> None:
    sign = BEGAN + timedelta(hours=pinged)
    seen = max(sign, BEGAN + timedelta(hours=now))
    lost = launch("RUNNING", state("RUNNING", BEGAN, updated_on=sign))
    assert last_sign(lost) == sign
    counted = timedelta(seconds=launch_document(lost, seen).seconds)
    assert counted == min(seen, sign + HOUR) - BEGAN


def test_what_waits_or_left_nothing_took_no_time_and_has_no_error() -> None:
    waits = launch("RESERVED", state("RESERVED", BEGAN), action=None)
    found = launch_document(waits, NOW)
    assert (found.seconds, found.started, found.error) == (0.0, None, None)
    assert (found.queue_id, found.worker) == (None, None)
    failed = {"stored_data": {"_exception": {"_stacktrace": "ValueError: no"}}}
    assert launch_document(launch("FIZZLED", action=failed), NOW).error == (
        "ValueError: no"
    )


def test_what_a_rocket_wrote_down_itself_comes_before_the_reservation() -> None:
    reserved = launch("RUNNING", state("RESERVED", BEGAN, reservation_id="814"))
    mark = LaunchMark(uuid="u", index=1, fw_id=2, queue_id="815.server")
    assert queue_number(reserved) == "814"
    assert queue_number(reserved, mark) == "815.server"
    assert queue_number(reserved, mark.model_copy(update={"queue_id": None})) == "814"


def test_a_firework_names_its_keys_whether_of_one_candidate_or_of_a_chunk() -> None:
    doc = {"fw_id": 1, "name": "relax", "state": "READY"}
    assert firework_document(doc).content_keys == ()  # type: ignore[arg-type]
    one = {**doc, "spec": {"content_key": "a", "_fworker": "here", "step": "relax"}}
    several = {**doc, "spec": {"content_keys": ["a", "b"], "content_key": "c"}}
    assert firework_document(one).content_keys == ("a",)  # type: ignore[arg-type]
    assert firework_document(one).worker == "here"  # type: ignore[arg-type]
    assert firework_document(several).content_keys == ("a", "b")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("states", "begun", "over", "broken", "empty"),
    [
        (["READY"], False, False, False, False),
        (["WAITING", TAKEN_BACK], False, True, False, False),
        (["COMPLETED", "RUNNING"], True, False, False, False),
        (["COMPLETED", "FIZZLED"], True, True, False, False),
        (["COMPLETED", DELETED], True, False, True, False),
        ([DELETED], True, False, True, True),
    ],
)
def test_how_a_workflow_stands_follows_from_its_fireworks(
    states: list[str], *, begun: bool, over: bool, broken: bool, empty: bool
) -> None:
    sent = SentWorkflow("d", "small", 1, dict(enumerate(states, 1)))
    assert (sent.has_begun, sent.is_over) == (begun, over)
    assert (sent.is_broken, sent.is_empty) == (broken, empty)


def test_a_workflow_whose_lock_is_held_is_not_over() -> None:
    assert not SentWorkflow("d", "small", 1, {1: "COMPLETED"}, is_locked=True).is_over


def test_only_what_is_for_good_stops_paused_steps_too() -> None:
    assert stopped_states("PAUSED") == {"READY", "WAITING"}
    assert stopped_states(TAKEN_BACK) == {"READY", "WAITING", "PAUSED"}
