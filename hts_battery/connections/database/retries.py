"""The one way to wait for a database that went away: how long, and for what."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from tenacity import Retrying, retry_if_exception, wait_random_exponential

from hts_battery.connections.database.clients import OUTAGES, may_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tenacity import RetryCallState

Answer = TypeVar("Answer")

# Many rockets notice an outage at once and must not all come back at once.
_DELAY = wait_random_exponential(multiplier=0.5, max=15.0, min=0.1)
_MARGIN = 60.0  # before the end of an allocation: time to write down what is left


class RetryPolicy:
    """
    How long operations wait for a server that does not answer.

    One outage is waited out once: however many operations fail in it, one after
    another, the time counts from the first failure until one succeeds again, or until
    ``end`` by the clock, whatever happens. With 0 seconds nothing waits.

    Examples
    --------
    >>> RetryPolicy(10).attempt(lambda: 42)
    42
    """

    def __init__(
        self,
        seconds: float,
        *,
        end: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds, self._end = seconds, end
        self._clock, self._sleep = clock, sleep
        self._began: float | None = None
        self._here = threading.local()

    def attempt(self, operation: Callable[[], Answer]) -> Answer:
        """
        Do something that may be done twice, again and again while the server is away.

        Raises
        ------
        PyMongoError, DatabaseOutageError
            The error of the last try, where the outage did not end.
        """
        retrying = Retrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, OUTAGES) and may_pass(error)
            ),
            stop=lambda _: self._seconds_left() <= 0,
            wait=self._delay,
            sleep=self._sleep,
            reraise=True,
        )
        answer = retrying(operation)
        self._began = None
        return answer

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Let operations of this thread fail at once."""
        self._here.suspended = True
        try:
            yield
        finally:
            self._here.suspended = False

    def _delay(self, call: RetryCallState) -> float:
        return min(_DELAY(call), max(0.0, self._seconds_left()))

    def _seconds_left(self) -> float:
        """Return how long the outage of this moment is waited for from now on."""
        if getattr(self._here, "suspended", False):
            return 0.0
        now = self._clock()
        if self._began is None:
            self._began = now
        end = self._began + self._seconds
        return (end if self._end is None else min(end, self._end)) - now


def allocation_end(
    environment: Mapping[str, str] = os.environ,
    *,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
) -> float | None:
    """
    Return when to stop waiting so that the allocation does not end first.

    Slurm says when it ends; None where nobody does. The answer is in the time of
    ``clock``.

    Examples
    --------
    >>> allocation_end({"SLURM_JOB_END_TIME": "1100"}, clock=lambda: 5.0, \
now=lambda: 1000.0)
    45.0
    """
    end = environment.get("SLURM_JOB_END_TIME", "")
    if not end.isdigit():
        return None
    return clock() + int(end) - now() - _MARGIN
