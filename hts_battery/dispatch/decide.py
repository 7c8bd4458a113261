"""
DECIDE: from a picture of a campaign to the actions that are due, in their order.

Nothing here reads or writes. The order is that in which a kill between two actions does
least harm: what stands in the launchpad is put right and stopped, then what ended is
collected, then more is sent. An action that is applied twice comes to the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar
from uuid import NAMESPACE_OID, uuid5

from hts_battery.connections.launchpad.workflows import (
    TAKEN_BACK,
    SentWorkflow,
    stopped_states,
)
from hts_battery.connections.records.backlog import reopened
from hts_battery.connections.records.executions import described_error
from hts_battery.dispatch.collection import Cost, collected, ending_of, outdated
from hts_battery.dispatch.snapshot import Chunk
from hts_battery.errors import MissingReferenceError
from hts_battery.flows.recipes.calculated import Calculated
from hts_battery.flows.recipes.chunk import ending_kind
from hts_battery.flows.recipes.screen import GATE_STEP
from hts_battery.schemas.archive import ArchivedWorkflow
from hts_battery.schemas.campaign import candidate_key
from hts_battery.schemas.dispatch import Ending, EndingKind, Hold, PlannedAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hts_battery.dispatch.snapshot import Ended, Prepared, Snapshot
    from hts_battery.flows.execution.recorded import Failure
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.dispatch import BacklogItem, Submission
    from hts_battery.schemas.gate import HullSnapshot

W = TypeVar("W")

_AT_ONCE = 50
"""Workflows that are collected or sent at once: what a kill can leave half done."""


class Sendable(NamedTuple):
    """A candidate that may be sent, and what is known of it."""

    item: BacklogItem
    candidate: CandidateDoc
    known: Calculated
    """What is known of the orderings that are asked for."""
    failures: tuple[Mapping[str, object], ...]
    """What failed of it, orderings of other campaigns too."""
    hull: HullSnapshot | None
    """The phases it is compared with at the gate."""
    problem: Failure | None
    """Why there are none, where there should be."""
    released: bool
    is_outdated: bool
    """Whether today's campaign file computes it in another way."""


@dataclass(frozen=True, kw_only=True)
class Action(Generic[W]):
    """Something that is due; its subclasses say what."""

    items: Chunk = ()
    """Candidates that it changes, as the backlog has them afterwards."""
    workflows: tuple[W, ...] = ()
    """Workflows that it is done to, in whatever form it needs them."""

    @property
    def planned(self) -> PlannedAction:
        """The action as a document: its name, and how much it is done to."""
        words = re.findall("[A-Z][a-z]+", type(self).__name__)
        return PlannedAction(
            action=" ".join(words).lower(),
            workflows=len(self.workflows),
            candidates=len(self.items),
        )


class Repair(Action[SentWorkflow]):
    """Make workflows whole that lack a Firework, so that they end."""


class RemoveOrphaned(Action[str]):
    """Remove what half an insertion, or half an archival, left of some dispatches."""


@dataclass(frozen=True, kw_only=True)
class StopAtBudget(Action[SentWorkflow]):
    """Hold a campaign of which the budget is spent."""

    submission: Submission
    spent: float


class TakeBack(Action[SentWorkflow]):
    """Take workflows back that have not begun: of a held campaign, or nobody's."""


@dataclass(frozen=True, kw_only=True)
class StopSteps(Action[SentWorkflow]):
    """Keep further steps of a held campaign's workflows from starting."""

    state: str


class ResumeSteps(Action[SentWorkflow]):
    """Let paused steps go on."""


class RecordNumbers(Action[SentWorkflow]):
    """Write down under which numbers workflows stand in the launchpad."""


class PutBack(Action[Chunk]):
    """Let candidates wait again whose workflows are not in the launchpad."""


@dataclass(frozen=True, kw_only=True)
class Collect(Action[ArchivedWorkflow]):
    """Write down how candidates ended, or that they wait again; archive workflows."""

    failures: Mapping[str, tuple[Failure, ...]]
    """Content key → what is stored as its failures."""


@dataclass(frozen=True, kw_only=True)
class End(Action[SentWorkflow]):
    """End candidates that wait and need no computing, or cannot be computed."""

    failures: Mapping[str, tuple[Failure, ...]]
    """Content key → what is stored as its failures."""


@dataclass(frozen=True, kw_only=True)
class Submit(Action[tuple[Sendable, ...]]):
    """Send candidates: written down first, then inserted."""

    submission: Submission
    spec: CampaignSpec
    numbers: tuple[int, ...]
    """For each workflow, the place of its first candidate in the sending order."""


class InsertAgain(Submit):
    """Insert workflows again that are not in the launchpad, as the same dispatches."""


class Cancel(Action[SentWorkflow]):
    """End the candidates of a cancelled campaign that wait."""


def predicted(snapshot: Snapshot, actions: Iterable[Action[Any]]) -> Snapshot:
    """Return the picture after some actions, as far as nobody else takes part."""
    actions = list(actions)
    new = {item.content_key: item for action in actions for item in action.items}
    submission, inserted = snapshot.submission, snapshot.inserted
    workflows = dict(snapshot.workflows)
    for action in actions:
        if isinstance(action, StopAtBudget):
            submission = action.submission
        elif isinstance(action, Submit):
            inserted += len(action.workflows)
        elif isinstance(action, Collect):
            for one in action.workflows:
                del workflows[one.dispatch_id]
    return replace(
        snapshot,
        submission=submission,
        items=tuple(new.get(item.content_key, item) for item in snapshot.items),
        workflows=workflows,
        inserted=inserted,
    )


def decide_control(snapshot: Snapshot) -> list[Action[Any]]:
    """Decide what is to be changed of what stands in the launchpad."""
    actions: list[Action[Any]] = []
    present = snapshot.workflows.values()
    whole = [one for one in present if not one.is_broken]
    broken = [one for one in present if one.is_broken and not one.is_empty]
    if broken:
        actions.append(Repair(workflows=tuple(broken)))
    incomplete = [*snapshot.missing, *_unnumbered(snapshot)]
    # Their Fireworks were archived, and the feeder was killed before they were.
    incomplete += [
        one.dispatch_id
        for one in present
        if one.is_empty and one.dispatch_id not in snapshot.in_hand
    ]
    if incomplete:
        actions.append(RemoveOrphaned(workflows=tuple(incomplete)))
    superseded = [
        one
        for one in whole
        # Inserted by a feeder that was stopped, when another one had gone on.
        if one.dispatch_id not in snapshot.in_hand and _is_ready(one)
    ]
    if superseded and snapshot.submission.hold is None:
        actions.append(TakeBack(workflows=tuple(superseded)))
    submission = snapshot.submission
    if submission.hold is None and submission.budget is not None:
        spent = snapshot.node_hours
        if spent >= submission.budget:
            submission = submission.model_copy(update={"hold": Hold.BUDGET})
            actions.append(StopAtBudget(submission=submission, spent=spent))
    return [*actions, *_held_or_resumed(whole, submission.hold)]


def _unnumbered(snapshot: Snapshot) -> dict[str, Chunk]:
    """Return what is in the launchpad, and nobody wrote down under which number."""
    missing = snapshot.missing
    return {
        name: items
        for name, items in snapshot.in_hand.items()
        if items[0].fw_id is None and name not in missing
    }


def _is_ready(workflow: SentWorkflow) -> bool:
    """Say whether nothing of a workflow has begun, and its one Firework may."""
    return not workflow.has_begun and list(workflow.states.values()) == ["READY"]


def _held_or_resumed(
    workflows: Sequence[SentWorkflow], hold: Hold | None
) -> Iterator[Action[Any]]:
    """Stop what has not begun of a held campaign; let what was paused go on."""
    begun = [one for one in workflows if one.has_begun]
    if hold is None:
        paused = [one for one in begun if "PAUSED" in one.states.values()]
        if paused:
            yield ResumeSteps(workflows=tuple(paused))
        return
    ready = [one for one in workflows if _is_ready(one)]
    if ready:
        yield TakeBack(workflows=tuple(ready))
    state = TAKEN_BACK if hold is Hold.CANCELLED else "PAUSED"
    stopped = stopped_states(state)
    going = [one for one in begun if not stopped.isdisjoint(one.states.values())]
    if going:
        yield StopSteps(workflows=tuple(going), state=state)


def decide_collection(snapshot: Snapshot, ended: Ended) -> list[Action[Any]]:
    """Decide what is written down of what was sent, and what of it is archived."""
    actions: list[Action[Any]] = []
    if unnumbered := _unnumbered(snapshot):
        numbered = tuple(
            item.model_copy(update={"fw_id": snapshot.workflows[name].fw_id})
            for name, items in unnumbered.items()
            for item in items
        )
        there = tuple(snapshot.workflows[name] for name in unnumbered)
        actions.append(RecordNumbers(items=numbered, workflows=there))
    hold = snapshot.submission.hold
    actions += _put_back(
        items
        for items in snapshot.missing.values()
        # The campaign file may have been changed meanwhile.
        if hold is not None
        or any(
            (item.asked, item.asked_steps) != (snapshot.wanted, snapshot.steps)
            for item in items
        )
    )
    return [*actions, *_collected(snapshot, ended)]


def _put_back(chunks: Iterable[Chunk]) -> Iterator[Action[Any]]:
    chunks = list(chunks)
    if chunks:
        items = [reopened(item, retry=item.retry) for chunk in chunks for item in chunk]
        yield PutBack(items=tuple(items), workflows=tuple(chunks))


def _collected(snapshot: Snapshot, ended: Ended) -> Iterator[Collect]:
    """Collect what ended, some workflows at once."""
    for start in range(0, len(ended.workflows), _AT_ONCE):
        workflows = ended.workflows[start : start + _AT_ONCE]
        changed: list[BacklogItem] = []
        failures = {}
        for workflow in workflows:
            # Without any, its endings were written before, and the feeder was killed.
            items = snapshot.in_hand.get(workflow.dispatch_id, ())
            report = ended.reports.get(workflow.dispatch_id)
            found = collected(workflow, items, report, ended.known, snapshot)
            for item in items:
                result = found[item.content_key]
                if result.failures is not None:
                    failures[item.content_key] = result.failures
                new = item.model_copy(update={"ending": result.ending})
                changed.append(reopened(new, retry=item.retry) if result.again else new)
        yield Collect(items=tuple(changed), workflows=workflows, failures=failures)


def decide_sending(snapshot: Snapshot, prepared: Prepared) -> list[Action[Any]]:
    """Decide what is sent, again or for the first time, and what ends unsent."""
    if snapshot.submission.hold is Hold.CANCELLED and snapshot.waiting:
        ending = Ending(kind=EndingKind.CANCELLED, time=snapshot.now)
        waiting = snapshot.waiting
        items = tuple(one.model_copy(update={"ending": ending}) for one in waiting)
        return [Cancel(items=items)]
    if snapshot.submission.hold is not None:
        return []
    again: list[tuple[Sendable, ...]] = []
    changed: list[Chunk] = []
    for items in snapshot.missing.values():
        chunk = tuple(_sendable(item, snapshot, prepared) for item in items)
        if any(one.problem or one.is_outdated for one in chunk):
            changed.append(items)
        else:
            again.append(chunk)
    settled, due = _sorted(snapshot, prepared)
    size = snapshot.submission.chunk
    # What an operator asked for is one candidate's.
    alone = [one for one in due if one.item.request]
    due = [one for one in due if not one.item.request]
    chunks = [due[start : start + size] for start in range(0, len(due), size)]
    chunks += [[one] for one in alone]
    return [
        *_put_back(changed),
        *_submitted(InsertAgain, again, snapshot),
        *([settled] if settled.items else []),
        *_submitted(Submit, [_dispatched(one, snapshot) for one in chunks], snapshot),
    ]


def _submitted(
    kind: type[Submit], chunks: Sequence[tuple[Sendable, ...]], snapshot: Snapshot
) -> Iterator[Submit]:
    """Send some workflows at once."""
    keys = (item.content_key for item in snapshot.items)
    places = {key: place for place, key in enumerate(keys, 1)} if chunks else {}
    for start in range(0, len(chunks), _AT_ONCE):
        some = tuple(chunks[start : start + _AT_ONCE])
        yield kind(
            items=tuple(one.item for chunk in some for one in chunk),
            submission=snapshot.submission,
            spec=snapshot.spec,
            workflows=some,
            numbers=tuple(places[chunk[0].item.content_key] for chunk in some),
        )


def _dispatched(chunk: Sequence[Sendable], snapshot: Snapshot) -> tuple[Sendable, ...]:
    """Give candidates the key of their dispatch: decided again, it is the same."""
    first = chunk[0].item
    words = f"{snapshot.submission.campaign} {snapshot.now} {first.content_key}"
    new = {
        "dispatch_id": str(uuid5(NAMESPACE_OID, words)),
        "asked": dict(snapshot.wanted),
        "asked_steps": snapshot.steps,
    }
    return tuple(one._replace(item=one.item.model_copy(update=new)) for one in chunk)


def _sendable(item: BacklogItem, snapshot: Snapshot, prepared: Prepared) -> Sendable:
    """Put together what is known of a candidate before it is sent."""
    candidate = prepared.candidates[item.candidate_id]
    key = candidate_key(candidate, snapshot.spec.calculation)
    everything = prepared.known.get(item.content_key, Calculated())
    hull = None
    problem: Failure | None = None
    try:
        if prepared.hulls is not None:
            hull = prepared.hulls.snapshot(candidate)
    except MissingReferenceError as err:
        problem = {"step": GATE_STEP, "ordering_id": None, **described_error(err)}
    return Sendable(
        item,
        candidate,
        everything.asked_for(snapshot.wanted, snapshot.steps),
        everything.failures,
        hull,
        problem,
        item.candidate_id in snapshot.released,
        key != item.content_key,
    )


def _sorted(snapshot: Snapshot, prepared: Prepared) -> tuple[End, list[Sendable]]:
    """End who needs no computing or cannot be computed; return the others as well."""
    ended: list[BacklogItem] = []
    failures: dict[str, tuple[Failure, ...]] = {}
    due: list[Sendable] = []
    gate = snapshot.spec.gate
    for item in prepared.waiting:
        one = _sendable(item, snapshot, prepared)
        if one.is_outdated:
            ended.append(outdated(item, snapshot.now))
            continue
        known, released = one.known, one.released
        if known.needs_work(gate, released=released, retry_failed=item.retry):
            if one.problem is None:
                due.append(one)
                continue
            known.failures = (*known.failures, one.problem)
            failures[item.content_key] = (*map(dict, one.failures), one.problem)
        kind = ending_kind(known, gate, released=released)
        ending = ending_of(kind, known.failures, Cost(snapshot.now))
        changes = {
            "ending": ending,
            "asked": dict(snapshot.wanted),
            "asked_steps": snapshot.steps,
        }
        ended.append(item.model_copy(update=changes))
    return End(items=tuple(ended), failures=failures), due
