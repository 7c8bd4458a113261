"""Why a Firework failed, read from what its launch left in the launchpad."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hts_battery.flows.failures import Evidence, classify
from hts_battery.schemas.failure import FailureClass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hts_battery.flows.recorded import Failure
    from hts_battery.schemas.archive import ArchivedWorkflow

_LAST_LINES = 30


def failure_class(failure: Mapping[str, Any]) -> FailureClass:
    """
    Return the class of a failure as the engine said it, or by its error.

    Examples
    --------
    >>> failure_class({"error_class": "builtins.MemoryError", "error_message": ""})
    <FailureClass.OUT_OF_MEMORY: 'out of memory'>
    """
    said = failure.get("failure_class")
    if said in set(FailureClass):
        return FailureClass(said)
    message = f"{failure.get('error_class')}: {failure.get('error_message')}"
    evidence = str(failure.get("evidence") or "").splitlines()[-_LAST_LINES:]
    return classify(
        Evidence(messages=(message,), last_lines=tuple(evidence))
    ).failure_class


def failures_of(workflow: ArchivedWorkflow) -> list[Failure]:
    """Describe each failed Firework of a workflow as failures of jobs are."""
    launches = {launch.fw_id: launch for launch in workflow.launches if launch.error}
    found = []
    for firework in workflow.fireworks:
        if firework.state != "FIZZLED":
            continue
        launch = launches.get(firework.fw_id)
        found.append(
            {
                "step": firework.step,
                "ordering_id": firework.ordering_id,
                "n_orderings": firework.n_orderings,
                **described_trace(None if launch is None else launch.error),
            }
        )
    return found


def described_trace(trace: str | None) -> dict[str, str | None]:
    r"""
    Read class and message of an error from the text of its traceback.

    Parameters
    ----------
    trace
        What Python prints of an error; none if nothing was kept.

    Examples
    --------
    >>> text = 'Traceback:\n  File "a.py", line 1\nOSError: no'
    >>> described_trace(text)["error_class"], described_trace(text)["error_message"]
    ('builtins.OSError', 'no')
    """
    if not trace:
        return {
            "error_class": None,
            "error_message": "it left no error: its process is gone",
            "traceback": None,
            "failure_class": str(FailureClass.NODE),
        }
    lines = trace.rstrip().splitlines()
    begins = [
        number
        for number, line in enumerate(lines)
        if number
        and lines[number - 1].startswith("  ")
        and re.match(r"[\w.]+(:|$)", line)
    ]
    words = "\n".join(lines[begins[-1] :]) if begins else lines[-1]
    name, _, message = words.partition(": ")
    return {
        "error_class": name if "." in name else f"builtins.{name}",
        "error_message": message[:2000],
        "traceback": "\n".join(lines[-_LAST_LINES:]),
    }
