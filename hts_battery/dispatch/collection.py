"""What came of workflows that ended: an ending for each candidate, or once more."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hts_battery.campaign.local_run import store_failures
from hts_battery.connections.launchpad.changes import archive
from hts_battery.connections.launchpad.workflows import read_ended
from hts_battery.connections.records.backlog import reopened
from hts_battery.flows.execution.failures import Evidence, classify
from hts_battery.flows.execution.queue_requests import is_tried_again
from hts_battery.flows.recipes.calculated import Calculated, read_some
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
from hts_battery.schemas.ordering_series import covers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from hts_battery.connections.database.stores import Stores
    from hts_battery.dispatch.look import Look
    from hts_battery.flows.execution.recorded import Failure
    from hts_battery.schemas.archive import ArchivedWorkflow
    from hts_battery.schemas.campaign import GateSpec
    from hts_battery.schemas.dispatch import BacklogItem
    from hts_battery.schemas.structure import OrderingMethod

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


_BATCH = 50
_SECONDS_PER_HOUR = 3600
_GIVEN_UP = "CalculationError"
"""What the policy of an engine raises when its own remedies are used up."""


@dataclass(frozen=True)
class Outcome:
    """What is written about one candidate whose workflow ended."""

    ending: Ending
    """How this dispatch ended."""
    again: bool = False
    """Whether the candidate is sent again, so that this is not its last ending."""
    failures: tuple[Failure, ...] | None = None
    """What is stored as its failures; none leaves what is stored."""


@dataclass(frozen=True)
class Context:
    """What judging needs to know of a campaign."""

    gate: GateSpec | None
    wanted: Mapping[OrderingMethod, int]
    nodes: int
    hold: Hold | None
    now: datetime
    released: frozenset[str] = field(default=frozenset())


def harvest(look: Look) -> None:
    """
    Write down how candidates ended, then move their workflows to the archive.

    Parameters
    ----------
    look
        The look at the campaign.
    """
    over = [one for one in look.workflows.values() if one.is_over]
    for start in range(0, len(over), _BATCH):
        _harvest(look, read_ended(look.launchpad, over[start : start + _BATCH]))


def _harvest(look: Look, ended: Sequence[ArchivedWorkflow]) -> None:
    in_hand = look.backlog.in_hand()
    reports = read_reports(look.stores, ended)
    context = Context(
        gate=look.spec.gate,
        wanted=look.spec.structure.n_orderings,
        nodes=look.submission.nodes,
        hold=look.submission.hold,
        now=look.now,
        released=look.released,
    )
    known = _known(look.stores, ended, in_hand, reports)
    for workflow in ended:
        # Without any, its endings were written before, and the feeder was killed.
        items = in_hand.get(workflow.dispatch_id, [])
        report = reports.get(workflow.dispatch_id)
        outcomes = judge(workflow, items, report, known, context)
        for item in items:
            _write(look, item, outcomes[item.content_key])
    look.backlog.save(look.lease)
    look.lease.check()
    archive(look.launchpad, look.stores.archived_workflows, ended)
    for workflow in ended:
        del look.workflows[workflow.dispatch_id]
    look.counts["archived"] += len(ended)


def _known(
    stores: Stores,
    ended: Sequence[ArchivedWorkflow],
    in_hand: Mapping[str, Sequence[BacklogItem]],
    reports: Mapping[str, ChunkReport],
) -> dict[str, Calculated]:
    """Read what no report tells; nothing of what never began."""
    return read_some(
        stores,
        [
            item.content_key
            for workflow in ended
            if workflow.launches
            for item in in_hand.get(workflow.dispatch_id, ())
            if workflow.dispatch_id not in reports
            or item.content_key not in reports[workflow.dispatch_id].entries
        ],
    )


def _write(look: Look, item: BacklogItem, outcome: Outcome) -> None:
    key = item.content_key
    if outcome.failures is not None:
        look.lease.check()
        store_failures(look.stores, key, item.candidate_id, outcome.failures)
    look.backlog.change(key, ending=outcome.ending)
    if outcome.again:
        look.backlog.change(key, **reopened(look.backlog[key], retry=item.retry))
    look.counts["again" if outcome.again else "ended"] += 1


def read_reports(
    stores: Stores, workflows: Sequence[ArchivedWorkflow]
) -> dict[str, ChunkReport]:
    """Read what chunks reported, by dispatch id."""
    ids = [
        one.dispatch_id
        for one in workflows
        # One that was deleted by hand while it ran does not say what it was.
        if {CHUNK_STEP, None}.issuperset(other.step for other in one.fireworks)
    ]
    if not ids:
        return {}
    docs = stores.tasks.query(
        {"uuid": {"$in": ids}}, properties=["uuid", "output", "metadata.step"]
    )
    return {
        doc["uuid"]: ChunkReport.model_validate(doc["output"])
        for doc in docs
        if doc["metadata"]["step"] == CHUNK_STEP
    }


def judge(
    workflow: ArchivedWorkflow,
    items: Sequence[BacklogItem],
    report: ChunkReport | None,
    known: Mapping[str, Calculated],
    context: Context,
) -> dict[str, Outcome]:
    """
    Say what came of the candidates of one workflow.

    Parameters
    ----------
    workflow
        A workflow that is over.
    items
        Its candidates, as they stand in the backlog.
    report
        What its chunk reported, if it was one and came to its end.
    known
        What is known of the calculations that the report does not name.
    context
        Gate, costs and hold of the campaign.

    Returns
    -------
    dict[str, Outcome]
        By content key.
    """
    entries = {} if report is None else report.entries
    shares = _shares(items, entries)
    found = {}
    for item in items:
        key = item.content_key
        seconds = workflow.seconds * shares[key]
        cost = {
            "seconds": seconds,
            "node_hours": seconds * context.nodes / _SECONDS_PER_HOUR,
            "launches": len(workflow.launches),
            "time": context.now,
        }
        if key in entries:
            outcome = _reported(entries[key], cost)
        else:
            outcome = _judged(
                item, workflow, known.get(key, Calculated()), context, cost
            )
        if not covers(item.asked, context.wanted):
            # The campaign asks for more since it was sent.
            outcome = replace(outcome, again=context.hold is not Hold.CANCELLED)
        found[key] = outcome
    return found


def _shares(
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


def _reported(entry: ChunkEntry, cost: Mapping[str, Any]) -> Outcome:
    return Outcome(
        ending=ending_of(entry.kind, entry.failures, cost),
        failures=tuple(dict(one) for one in entry.failures),
    )


def _judged(
    item: BacklogItem,
    workflow: ArchivedWorkflow,
    known: Calculated,
    context: Context,
    cost: Mapping[str, Any],
) -> Outcome:
    """Judge a candidate by the Fireworks and by what is stored of it."""
    released = item.candidate_id in context.released
    own = known.asked_for(item.asked)
    # What failed of orderings that others ask for is theirs to try again.
    others = tuple(one for one in known.failures if one not in own.failures)
    # FireWorks fails what runs beside one that was deleted, whatever came of it.
    new = [] if _lacks_one(workflow) else failures_of(workflow)
    if item.retry:
        own.failures = ()
    before = len(own.failures)
    # What finished before its chunk was lost has not failed with it.
    whole = [one for one in new if one["step"] == CHUNK_STEP]
    if whole and not own.needs_work(
        context.gate, released=released, retry_failed=False
    ):
        return Outcome(
            ending=ending_of(
                ending_kind(own, context.gate, released=released),
                own.failures,
                cost,
            )
        )
    own.failures = (*own.failures, *new)
    if new:
        classes = [one.failure_class for one in item.earlier if one.failure_class]
        last = failure_class(new[0])
        given_up = str(new[0]["error_class"]).endswith(_GIVEN_UP)
        if not given_up and is_tried_again([*classes, last]):
            return Outcome(ending=ending_of(EndingKind.FAILED, new, cost), again=True)
    elif own.needs_work(context.gate, released=released, retry_failed=False):
        if any(one.state == "DEFUSED" for one in workflow.fireworks):
            # Taken back, stopped between two steps, or deleted by hand.
            return Outcome(
                ending=ending_of(EndingKind.CANCELLED, (), cost),
                again=context.hold is not Hold.CANCELLED,
            )
        own.failures = (dict(WITHOUT_ERROR),)
    kind = ending_kind(own, context.gate, released=released)
    changed = item.retry or len(own.failures) > before
    failures = tuple(dict(one) for one in (*others, *own.failures))
    return Outcome(
        ending=ending_of(kind, own.failures, cost),
        failures=failures if changed else None,
    )


def _lacks_one(workflow: ArchivedWorkflow) -> bool:
    """Say whether a Firework was deleted by hand: what took its place has no step."""
    return any(one.step is None for one in workflow.fireworks)


def ending_of(
    kind: EndingKind, failures: Sequence[Mapping[str, Any]], cost: Mapping[str, Any]
) -> Ending:
    """
    Write down how a dispatch ended; the first failure says why.

    Parameters
    ----------
    kind
        How it ended.
    failures
        What failed, in order.
    cost
        Time it was noticed, seconds, node-hours, launches.
    """
    if not failures:
        return Ending(kind=kind, **cost)
    first = failures[0]
    return Ending(
        kind=kind,
        failure_class=failure_class(first),
        reason=f"{first.get('error_class')}: {first.get('error_message')}",
        **cost,
    )
