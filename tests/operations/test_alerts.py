"""Each message once: what the rules say to made-up histories, and what is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.connections.launchpad.reservations import WorkerLoad
from hts_battery.operations.alerts import LAST, alerts, tell, unlaunched
from hts_battery.schemas.alert import AlertFacts, AlertKind, AlertMemory
from hts_battery.schemas.worker_control import LauncherState, WorkerControl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dispatched import Dispatch

GOOD, BAD = [False] * LAST, [True] * LAST


def facts(**changes: object) -> AlertFacts:
    fields = {
        "campaign": "some",
        "failed": (),
        "node_hours": 0.0,
        "unfinished": 5,
        "ended": 5,
    }
    return AlertFacts.model_validate({**fields, **changes})


def told(history: Iterable[AlertFacts]) -> list[AlertKind]:
    memory = AlertMemory(campaign="some")
    found = []
    for now in history:
        new, memory = alerts(memory, now)
        found += [one.kind for one in new]
    return found


def test_one_jump_of_failures_is_one_message() -> None:
    ended = [*GOOD, *GOOD, *BAD, *GOOD, *GOOD, *BAD]
    history = [facts(failed=tuple(ended[:n])) for n in range(len(ended) + 1)]
    assert told(history) == [AlertKind.FAILURES] * 2


@pytest.mark.parametrize(
    "ended",
    [
        [True, True, True, True],  # too few to say
        [*GOOD, *GOOD, True, False, True, False, True, False, True],
        [True, False] * 40,  # it was always so
    ],
)
def test_what_is_no_jump_is_no_message(ended: list[bool]) -> None:
    history = [facts(failed=tuple(ended[:n])) for n in range(LAST * 2, len(ended) + 1)]
    assert told(history or [facts(failed=tuple(ended))]) == []


def test_a_campaign_that_fails_from_the_beginning_is_told() -> None:
    history = [facts(failed=tuple(BAD[:n])) for n in range(LAST + 1)]
    assert told(history) == [AlertKind.FAILURES]


def test_the_message_names_class_and_command() -> None:
    now = facts(failed=tuple(BAD), failure_class="walltime")
    ((message,), _) = alerts(AlertMemory(campaign="some"), now)
    assert message.title == "some: 20 of the last 20 failed"
    assert "most of them walltime" in message.body
    assert "hts launchpad triage" in message.body


def test_each_mark_of_a_budget_is_told_once_and_again_for_a_larger_one() -> None:
    spent = [facts(node_hours=hours, budget=10.0) for hours in range(13)]
    more = [facts(node_hours=hours, budget=20.0) for hours in range(12, 22)]
    near, reached = AlertKind.BUDGET_NEAR, AlertKind.BUDGET_REACHED
    assert told([*spent, *spent[-2:], *more]) == [near, reached, near, reached]
    assert told([facts(node_hours=1, budget=0.0)] * 2) == [reached]
    assert told([facts(node_hours=1e9)]) == []


def test_an_end_is_told_once_and_again_after_more_was_submitted() -> None:
    ended = facts(unfinished=0)
    assert told([facts(), ended, ended]) == [AlertKind.ENDED]
    again = facts(unfinished=0, ended=9)
    assert told([ended, facts(), again, again]) == [AlertKind.ENDED] * 2
    assert told([facts(unfinished=0, ended=0)]) == []


def test_a_failed_build_is_told_once() -> None:
    broken = facts(failed_build="run-1", build_error="disk full")
    later = facts(failed_build="run-2")
    assert told([broken, broken, later, facts()]) == [AlertKind.BUILD_FAILED] * 2


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 5), st.booleans()), max_size=60))
def test_a_history_that_is_seen_twice_is_told_once(
    steps: list[tuple[bool, float, bool]],
) -> None:
    """A restart looks at the same facts again."""
    memory = AlertMemory(campaign="some")
    failed: tuple[bool, ...] = ()
    spent = 0.0
    for bad, hours, done in steps:
        failed, spent = (*failed, bad), spent + hours
        now = facts(
            failed=failed, node_hours=spent, budget=50.0, unfinished=0 if done else 1
        )
        _, memory = alerts(memory, now)
        restored = AlertMemory.model_validate_json(memory.model_dump_json())
        assert alerts(restored, now) == ((), memory)


@pytest.mark.mongo
def test_the_feeder_tells_an_end_once_across_restarts(dispatch: Dispatch) -> None:
    dispatch.submit(chunk=3)
    assert tell(dispatch.stores, [dispatch.feed()], ()) == []
    report = dispatch.finish()
    found = tell(dispatch.stores, [report], ())
    assert [one.kind for one in found] == [AlertKind.ENDED]
    assert "6 candidates have ended" in found[0].body
    assert tell(dispatch.stores, [report], ()) == []


def test_a_hold_and_a_missing_launcher_are_told_once_until_they_are_over() -> None:
    held = facts(holds={"slurm": "no job begins"})
    alone = facts(unlaunched={"slurm": 1.5})
    assert told([held, held, facts(), held]) == [AlertKind.HELD] * 2
    assert told([alone, alone, facts(), alone]) == [AlertKind.NO_LAUNCHER] * 2
    ((message,), _) = alerts(AlertMemory(campaign="some"), alone)
    assert "ready for slurm for 1.5 h" in message.body
    ((message,), _) = alerts(
        AlertMemory(campaign="some"), facts(holds={"some": "all by walltime"})
    )
    assert "`hts campaign resume some`" in message.body


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def load(hours: float | None, in_queue: int = 0) -> WorkerLoad:
    since = None if hours is None else NOW - timedelta(hours=hours)
    return WorkerLoad(in_queue, 0 if hours is None else 3, since)


def control(minutes: float | None = None, *, paused: bool = False) -> WorkerControl:
    state = None
    if minutes is not None:
        seen = NOW - timedelta(minutes=minutes)
        state = LauncherState(host="login1", pid=1, looked_at=seen)
    return WorkerControl(worker="slurm", launcher=state, paused=paused)


@pytest.mark.parametrize(
    ("load_now", "control_now", "missing"),
    [
        (load(1.5), None, True),
        (load(0.9), None, False),
        (load(None), None, False),
        # FireWorks' qlaunch says nothing of itself: its queue may be full.
        (load(5, in_queue=20), None, False),
        # Ours was there, and is not any more.
        (load(5, in_queue=20), control(60), True),
        (load(5, in_queue=20), control(5), False),
        (load(5), control(5), False),
        (load(5), control(60, paused=True), False),
        (load(5), control(None), True),
    ],
)
def test_ready_for_an_hour_and_no_launcher(
    load_now: WorkerLoad,
    control_now: WorkerControl | None,
    missing: bool,
) -> None:
    controls = {} if control_now is None else {"slurm": control_now}
    found = unlaunched({"slurm": load_now}, controls, ["slurm", "pbs"], NOW)
    assert list(found) == (["slurm"] if missing else [])


@pytest.mark.mongo
def test_the_feeder_tells_that_nobody_launches(dispatch: Dispatch) -> None:
    dispatch.submit(chunk=3)
    report = dispatch.feed()
    assert tell(dispatch.stores, [report], ()) == []
    long_ago = datetime.now(UTC) - timedelta(hours=3)
    for doc in dispatch.launchpad.fireworks.find({}, ["fw_id"]):
        dispatch.launchpad.fireworks.update_one(
            {"fw_id": doc["fw_id"]}, {"$set": {"updated_on": long_ago}}
        )
    (alert,) = tell(dispatch.stores, [report], ())
    assert alert.kind is AlertKind.NO_LAUNCHER
    assert "ready for here for 3.0 h" in alert.body
    assert tell(dispatch.stores, [report], ()) == []
