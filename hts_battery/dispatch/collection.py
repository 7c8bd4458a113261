"""What came of workflows that ended: an ending for each candidate, or once more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.flows.execution.evidence import Evidence as FailureEvidence
from hts_battery.flows.execution.failures import classify
from hts_battery.flows.execution.queue_requests import is_tried_again
from hts_battery.flows.recipes.calculated import Calculated
from hts_battery.flows.recipes.chunk import CHUNK_STEP, ending_kind
from hts_battery.flows.recipes.local import WITHOUT_ERROR
from hts_battery.schemas.dispatch import (
    ChunkEntry,
    ChunkReport,
    Ending,
    EndingKind,
    Hold,
)
from hts_battery.schemas.failure import FailureClass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from hts_battery.dispatch.snapshot import Snapshot
    from hts_battery.flows.execution.recorded import Failure
    from hts_battery.schemas.archive import ArchivedWorkflow
    from hts_battery.schemas.dispatch import BacklogItem

_LAST_LINES = 30
_SECONDS_PER_HOUR = 3600
_GIVEN_UP = "CalculationError"
"""What the policy of an engine raises when its own remedies are used up."""


class Cost(NamedTuple):
    """What a dispatch of a candidate cost, and when that was noticed."""

    time: datetime
    seconds: float = 0.0
    node_hours: float = 0.0
    launches: int = 0


class Collected(NamedTuple):
    """What is written about one candidate whose workflow ended."""

    ending: Ending
    """How this dispatch ended."""
    again: bool = False
    """Whether the candidate is sent again, so that this is not its last ending."""
    failures: tuple[Failure, ...] | None = None
    """What is stored as its failures; none leaves what is stored."""


def collected(
    workflow: ArchivedWorkflow,
    items: Sequence[BacklogItem],
    report: ChunkReport | None,
    known: Mapping[str, Calculated],
    snapshot: Snapshot,
) -> dict[str, Collected]:
    """
    Return what came of the candidates of a workflow that is over, by content key.

    The report is that of its chunk, if it was one and came to its end; known is what is
    stored of the calculations that the report does not name.
    """
    entries = {} if report is None else report.entries
    shares = _cost_shares(items, entries)
    cancelled = snapshot.submission.hold is Hold.CANCELLED
    found = {}
    for item in items:
        key = item.content_key
        seconds = workflow.seconds * shares[key]
        node_hours = seconds * snapshot.submission.nodes / _SECONDS_PER_HOUR
        cost = Cost(snapshot.now, seconds, node_hours, len(workflow.launches))
        if key in entries:
            result = Collected(
                ending_of(entries[key].kind, entries[key].failures, cost),
                failures=tuple(dict(one) for one in entries[key].failures),
            )
        else:
            stored = known.get(key, Calculated())
            result = _unreported(item, workflow, stored, snapshot, cost)
        if not item.covers(snapshot.wanted, snapshot.steps):
            # The campaign asks for more since it was sent.
            result = result._replace(again=not cancelled)
        found[key] = result
    return found


def _cost_shares(
    items: Sequence[BacklogItem], entries: Mapping[str, ChunkEntry]
) -> dict[str, float]:
    """Share the cost of a chunk by the time its candidates took, else evenly."""
    seconds = {
        item.content_key: entries[item.content_key].seconds
        if item.content_key in entries
        else 0.0
        for item in items
    }
    total = sum(seconds.values())
    if not total:
        return dict.fromkeys(seconds, 1.0 / max(1, len(seconds)))
    return {key: value / total for key, value in seconds.items()}


def _unreported(
    item: BacklogItem,
    workflow: ArchivedWorkflow,
    known: Calculated,
    snapshot: Snapshot,
    cost: Cost,
) -> Collected:
    """Say what came of a candidate by its Fireworks and by what is stored of it."""
    gate, released = snapshot.spec.gate, item.candidate_id in snapshot.released
    own = known.asked_for(item.asked, item.asked_steps)
    # What failed of orderings that others ask for is theirs to try again.
    others = tuple(one for one in known.failures if one not in own.failures)
    # FireWorks fails what runs beside one that was deleted, whatever came of it.
    new = [] if _lacks_one(workflow) else failures_of(workflow)
    if item.retry:
        own.failures = ()
    before = len(own.failures)
    unfinished = own.needs_work(gate, released=released, retry_failed=False)
    is_chunk = any(one["step"] == CHUNK_STEP for one in new)
    if is_chunk and not unfinished:
        # What finished before its chunk was lost has not failed with it.
        kind = ending_kind(own, gate, released=released)
        return Collected(ending_of(kind, own.failures, cost))
    own.failures = (*own.failures, *new)
    lost = {"lost_with": workflow.fw_id} if is_chunk else {}
    if new:
        if _has_remedy(item, new[0]):
            ending = ending_of(EndingKind.FAILED, new, cost)
            return Collected(ending.model_copy(update=lost), again=True)
    elif unfinished:
        if any(one.state == "DEFUSED" for one in workflow.fireworks):
            # Taken back, stopped between two steps, or deleted by hand.
            return Collected(
                ending_of(EndingKind.CANCELLED, (), cost),
                again=snapshot.submission.hold is not Hold.CANCELLED,
            )
        own.failures = (dict(WITHOUT_ERROR),)
    kind = ending_kind(own, gate, released=released)
    changed = item.retry or len(own.failures) > before
    failures = tuple(dict(one) for one in (*others, *own.failures))
    ending = ending_of(kind, own.failures, cost).model_copy(update=lost)
    return Collected(ending, failures=failures if changed else None)


def _has_remedy(item: BacklogItem, failure: Failure) -> bool:
    """Say whether the policy sends a candidate again that failed as a whole."""
    if str(failure["error_class"]).endswith(_GIVEN_UP):
        return False
    classes = [one.failure_class for one in item.earlier if one.failure_class]
    return is_tried_again([*classes, failure_class(failure)])


def _lacks_one(workflow: ArchivedWorkflow) -> bool:
    """Say whether a Firework was deleted by hand: what took its place has no step."""
    return any(one.step is None for one in workflow.fireworks)


def ending_of(
    kind: EndingKind, failures: Sequence[Mapping[str, object]], cost: Cost
) -> Ending:
    """Return how a dispatch ended; the first failure says why."""
    if not failures:
        return Ending(kind=kind, **cost._asdict())
    first = failures[0]
    return Ending(
        kind=kind,
        failure_class=failure_class(first),
        reason=": ".join(
            str(first[name])
            for name in ("error_class", "error_message")
            if first.get(name)
        ),
        **cost._asdict(),
    )


def outdated(item: BacklogItem, now: datetime) -> BacklogItem:
    """Return a candidate as it ends when the campaign file no longer has it."""
    ending = Ending(
        kind=EndingKind.CANCELLED, reason="the campaign file has changed", time=now
    )
    return item.model_copy(update={"ending": ending})


def failure_class(failure: Mapping[str, object]) -> FailureClass:
    """
    Return the class of a failure as the engine said it, or by its error.

    Examples
    --------
    >>> failure_class({"error_class": "builtins.MemoryError", "error_message": ""})
    <FailureClass.OUT_OF_MEMORY: 'out of memory'>
    """
    said = failure.get("failure_class")
    if said in set(FailureClass):
        return FailureClass(str(said))
    message = f"{failure.get('error_class')}: {failure.get('error_message')}"
    evidence = str(failure.get("evidence") or "").splitlines()[-_LAST_LINES:]
    return classify(
        FailureEvidence(messages=(message,), last_lines=tuple(evidence))
    ).failure_class


def failures_of(workflow: ArchivedWorkflow) -> list[Failure]:
    """Describe each failed Firework of a workflow as failures of jobs are."""
    launches = {launch.fw_id: launch for launch in workflow.launches if launch.error}
    found: list[Failure] = []
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
    Read class and message of an error from its traceback, as Python prints it.

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
