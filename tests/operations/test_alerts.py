"""Each message once: what the rules say to made-up histories, and what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.operations.alerts import LAST, alerts, tell
from hts_battery.schemas.alert import AlertFacts, AlertKind, AlertMemory

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
