"""Jobs that a rocket in another process can import, and what they leave to be seen."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from jobflow import Flow, Response, job

from hts_battery.flows.execution.recorded import recorded

STARTED, GO, COMPUTED = "started", "go", "computed"
_LONGEST_WAIT = 120.0


@job
def wait_and_compute(folder: str, number: int) -> dict[str, Any]:
    """Say that it has started, wait until it may go on, and count the computing."""
    place = Path(folder)
    (place / STARTED).write_text(str(os.getpid()))
    end = time.monotonic() + _LONGEST_WAIT
    while not (place / GO).exists():
        if time.monotonic() > end:
            raise TimeoutError("nobody let it go on")
        time.sleep(0.05)
    with (place / COMPUTED).open("a") as file:
        file.write(".")
    return {"number": number}


@job
def add(first: int, second: int) -> int:
    """Add."""
    return first + second


@job
def grow(first: int) -> Response[int]:
    """Add more jobs on the node."""
    return Response(output=first, addition=Flow([recorded(add(first, 1))]))
