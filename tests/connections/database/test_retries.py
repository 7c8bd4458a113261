"""Waiting for a database that went away, by a clock of the test."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect, OperationFailure

from hts_battery.connections.database.retries import RetryPolicy, allocation_end
from hts_battery.errors import DatabaseOutageError


class Clock:
    """A clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.time = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


class Server:
    """Answers after so many errors."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def policy(clock: Clock, seconds: float = 60.0, **options: Any) -> RetryPolicy:  # noqa: ANN401 - those of the policy
    return RetryPolicy(seconds, clock=clock, sleep=clock.sleep, **options)


def outages(number: int) -> list[Exception]:
    return [AutoReconnect("connection refused") for _ in range(number)]


@given(st.integers(0, 6))
def test_an_outage_that_passes_is_waited_out(number: int) -> None:
    clock, server = Clock(), Server(*outages(number))
    assert policy(clock, 600.0).attempt(server) == "answer"
    assert server.calls == number + 1
    assert len(clock.slept) == number
    assert all(0 <= seconds <= 15 for seconds in clock.slept)


def test_an_outage_that_lasts_ends_with_its_own_error() -> None:
    clock, server = Clock(), Server(*outages(10_000))
    with pytest.raises(AutoReconnect, match="connection refused"):
        policy(clock).attempt(server)
    assert sum(clock.slept) == pytest.approx(60.0)
    assert server.calls > 3


@pytest.mark.parametrize(
    "error",
    [OperationFailure("not allowed", code=13), ValueError("wrong"), KeyError("no")],
)
def test_what_is_no_outage_is_raised_at_once(error: Exception) -> None:
    clock, server = Clock(), Server(error)
    with pytest.raises(type(error)):
        policy(clock).attempt(server)
    assert (server.calls, clock.slept) == (1, [])


def test_our_own_word_for_an_outage_is_one_too() -> None:
    clock, server = Clock(), Server(DatabaseOutageError("away"))
    assert policy(clock).attempt(server) == "answer"


def test_one_outage_is_waited_out_once_for_all_operations() -> None:
    clock = Clock()
    waiting = policy(clock)
    for _ in range(3):
        with pytest.raises(AutoReconnect):
            waiting.attempt(Server(*outages(10_000)))
    assert sum(clock.slept) == pytest.approx(60.0)


def test_after_a_success_the_next_outage_has_its_own_time() -> None:
    clock = Clock()
    waiting = policy(clock)
    with pytest.raises(AutoReconnect):
        waiting.attempt(Server(*outages(10_000)))
    assert waiting.attempt(Server()) == "answer"
    with pytest.raises(AutoReconnect):
        waiting.attempt(Server(*outages(10_000)))
    assert sum(clock.slept) == pytest.approx(120.0)


@pytest.mark.parametrize(("end", "waited"), [(None, 60.0), (130.0, 30.0), (90.0, 0.0)])
def test_nobody_waits_beyond_the_end_of_the_allocation(
    end: float | None, waited: float
) -> None:
    clock = Clock()
    with pytest.raises(AutoReconnect):
        policy(clock, end=end).attempt(Server(*outages(10_000)))
    assert sum(clock.slept) == pytest.approx(waited)


def test_a_suspended_thread_fails_at_once() -> None:
    clock = Clock()
    waiting = policy(clock)
    with waiting.suspended(), pytest.raises(AutoReconnect):
        waiting.attempt(Server(*outages(2)))
    assert clock.slept == []
    assert waiting.attempt(Server(*outages(2))) == "answer"


@pytest.mark.parametrize(
    ("variables", "end"),
    [
        ({}, None),
        ({"SLURM_JOB_END_TIME": ""}, None),
        ({"SLURM_JOB_END_TIME": "soon"}, None),
        ({"SLURM_JOB_END_TIME": "1100"}, 45.0),
    ],
)
def test_the_end_of_an_allocation_is_told_by_the_queue(
    variables: dict[str, str], end: float | None
) -> None:
    found = allocation_end(variables, clock=lambda: 5.0, now=lambda: 1000.0)
    assert found == end
