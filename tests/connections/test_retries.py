from __future__ import annotations

import pytest
from pymongo.errors import AutoReconnect

from hts_battery.connections.retries import retried
from hts_battery.errors import DatabaseOutageError


def failing(errors: list[Exception]) -> object:
    def call() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    return call


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("connection closed"),
        RuntimeError(
            "Error refreshing workflow. The full stack trace is: …\n"
            "pymongo.errors.AutoReconnect: connection closed"
        ),
    ],
)
def test_what_passes_is_tried_again(error: Exception) -> None:
    call = failing([error] * 3)
    assert retried(call, "reading", first_wait=0.001) == "done"  # type: ignore[arg-type]


def test_what_lasts_is_an_outage() -> None:
    call = failing([AutoReconnect("connection closed")] * 3)
    with pytest.raises(DatabaseOutageError, match="2 times while reading: AutoRec"):
        retried(call, "reading", attempts=2, first_wait=0.001)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "words", ["something else", "Error refreshing workflow: …\nKeyError: 'a'"]
)
def test_other_errors_are_not_ours(words: str) -> None:
    with pytest.raises(RuntimeError):
        retried(failing([RuntimeError(words)]), "reading")  # type: ignore[arg-type]
