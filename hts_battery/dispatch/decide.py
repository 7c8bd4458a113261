"""
DECIDE: from a snapshot of a campaign to the actions that are due, in their order.

Nothing here reads or writes. The order is that in which a kill between two actions does
least harm: what stands in the launchpad is put right and stopped first, what ended is
collected before more is sent. An action that is applied twice comes to the same.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hts_battery.connections.launchpad.workflows import TAKEN_BACK, stopped_states
from hts_battery.connections.records.backlog import reopened
from hts_battery.dispatch.collection import Cost, collected, ending_of, outdated
from hts_battery.dispatch.snapshot import by_dispatch
from hts_battery.flows.recipes.chunk import ending_kind
from hts_battery.schemas.campaign import candidate_key
from hts_battery.schemas.dispatch import Ending, EndingKind, Hold, PlannedAction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hts_battery.connections.launchpad.workflows import SentWorkflow
    from hts_battery.dispatch.snapshot import (
        Chunk,
        Evidence,
        Prepared,
        Snapshot,
        Terms,
    )
    from hts_battery.flows.execution.recorded import Failure
    from hts_battery.schemas.archive import ArchivedWorkflow
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.dispatch import BacklogItem, Submission

_ENDED_AT_ONCE = 50
"""Workflows that are collected at once: what a kill can leave half done."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something that is due; its subclasses say what."""

    items: Chunk = ()
    """Candidates that it concerns, where it changes them as they are afterwards."""
    workflows: tuple[SentWorkflow, ...] = ()
    """Workflows of the launchpad that it concerns."""

    @property
    def planned(self) -> PlannedAction:
        """The action as a document: its name, and how much it concerns."""
        words = re.findall("[A-Z][a-z]+", type(self).__name__)
        return PlannedAction(
            action=" ".join(words).lower(),
            workflows=self.n_workflows,
            candidates=len(self.items),
        )

    @property
    def n_workflows(self) -> int:
        """Number of workflows that it concerns."""
        return len(self.workflows) or len(by_dispatch(self.items))


class Repair(Action):
    """Make workflows whole that lack a Firework, so that they end."""


@dataclass(frozen=True, kw_only=True)
class RemoveOrphaned(Action):
    """Remove what half an insertion, or half an archival, left in the launchpad."""

    dispatch_ids: tuple[str, ...]

    @property
    def n_workflows(self) -> int:
        """Number of workflows of which something may be left."""
        return len(self.dispatch_ids)


@dataclass(frozen=True, kw_only=True)
class StopAtBudget(Action):
    """Hold a campaign of which the budget is spent."""

    submission: Submission
    spent: float


class TakeBack(Action):
    """Take workflows of a held campaign back that have not begun."""


@dataclass(frozen=True, kw_only=True)
class StopSteps(Action):
    """Keep further steps of a held campaign's workflows from starting."""

    state: str


class ResumeSteps(Action):
    """Let paused steps go on."""


class RecordNumbers(Action):
    """Write down under which numbers workflows stand in the launchpad."""


@dataclass(frozen=True, kw_only=True)
class PutBack(Action):
    """Let candidates wait again whose workflows are not in the launchpad."""

    n_missing: int

    @property
    def n_workflows(self) -> int:
        """Number of workflows that are not there."""
        return self.n_missing


@dataclass(frozen=True, kw_only=True)
class InsertAgain(Action):
    """Insert workflows again that are not in the launchpad, as the same dispatches."""

    prepared: Prepared
    terms: Terms


@dataclass(frozen=True, kw_only=True)
class Collect(Action):
    """Write down how candidates ended, or that they wait again; archive workflows."""

    ended: tuple[ArchivedWorkflow, ...]
    failures: Mapping[str, tuple[Failure, ...]]
    """Content key → what is stored as its failures."""

    @property
    def n_workflows(self) -> int:
        """Number of workflows that are archived."""
        return len(self.ended)


@dataclass(frozen=True, kw_only=True)
class Submit(Action):
    """Send waiting candidates; end those that need no computing."""

    terms: Terms


class Cancel(Action):
    """End the candidates of a cancelled campaign that wait."""


def predicted(snapshot: Snapshot, actions: Iterable[Action]) -> Snapshot:
    """Return the picture after some actions, as far as nobody else takes part."""
    for action in actions:
        snapshot = snapshot.with_items(action.items)
        if isinstance(action, StopAtBudget):
            snapshot = replace(snapshot, submission=action.submission)
        elif isinstance(action, InsertAgain):
            inserted = snapshot.inserted + action.n_workflows
            snapshot = replace(snapshot, inserted=inserted)
        elif isinstance(action, Collect):
            snapshot = snapshot.without({one.dispatch_id for one in action.ended})
    return snapshot


def counted(actions: Iterable[Action]) -> Counter[str]:
    """Count what actions come to: fields of a :class:`FeedReport`, and ``inserted``."""
    counts: Counter[str] = Counter()
    for action in actions:
        if isinstance(action, RecordNumbers | PutBack | InsertAgain):
            counts["repaired"] += action.n_workflows
        if isinstance(action, InsertAgain):
            counts["inserted"] += action.n_workflows
        elif isinstance(action, Collect):
            counts["archived"] += action.n_workflows
        elif isinstance(action, Submit):
            counts["sent"] += len(action.items)
        if isinstance(action, Collect | Cancel):
            again = sum(item.ending is None for item in action.items)
            counts.update(again=again, ended=len(action.items) - again)
    return counts


def decide_control(snapshot: Snapshot) -> list[Action]:
    """Decide what is to be changed of what stands in the launchpad."""
    actions: list[Action] = []
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
        actions.append(RemoveOrphaned(dispatch_ids=tuple(incomplete)))
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


def _held_or_resumed(
    workflows: Sequence[SentWorkflow], hold: Hold | None
) -> Iterator[Action]:
    """Stop what has not begun of a held campaign; let what was paused go on."""
    begun = [one for one in workflows if one.has_begun]
    if hold is None:
        paused = [one for one in begun if "PAUSED" in one.states.values()]
        if paused:
            yield ResumeSteps(workflows=tuple(paused))
        return
    ready = [
        one
        for one in workflows
        if not one.has_begun and list(one.states.values()) == ["READY"]
    ]
    if ready:
        yield TakeBack(workflows=tuple(ready))
    state = TAKEN_BACK if hold is Hold.CANCELLED else "PAUSED"
    stopped = stopped_states(state)
    going = [one for one in begun if not stopped.isdisjoint(one.states.values())]
    if going:
        yield StopSteps(workflows=tuple(going), state=state)


def decide_work(snapshot: Snapshot, evidence: Evidence | None) -> list[Action]:
    """Decide what is written down, collected, sent and ended."""
    actions = list(_completed(snapshot, evidence))
    if evidence is not None:
        actions += _collections(snapshot, evidence)
    left = predicted(snapshot, actions)
    if evidence is not None:
        # What another campaign computes now is seen to when it has ended.
        free = [
            one for one in left.waiting if one.content_key not in evidence.elsewhere
        ]
        if chosen := free[: room(left)]:
            actions.append(Submit(items=tuple(chosen), terms=evidence.terms))
    if left.submission.hold is Hold.CANCELLED and left.waiting:
        ending = Ending(kind=EndingKind.CANCELLED, time=left.now)
        actions.append(Cancel(items=_changed(left.waiting, ending=ending)))
    return actions


def _changed(items: Iterable[BacklogItem], **values: object) -> Chunk:
    return tuple(item.model_copy(update=values) for item in items)


def _completed(snapshot: Snapshot, evidence: Evidence | None) -> Iterator[Action]:
    """
    Complete what is written down as sent and is not known to be in the launchpad.

    What a killed feeder did not insert, and what somebody deleted by hand, is inserted
    again as the same dispatch, so that what it finished is not computed again.
    """
    if unnumbered := _unnumbered(snapshot):
        yield RecordNumbers(
            items=tuple(
                one
                for name, items in unnumbered.items()
                for one in _changed(items, fw_id=snapshot.workflows[name].fw_id)
            ),
            workflows=tuple(snapshot.workflows[name] for name in unnumbered),
        )
    again: list[BacklogItem] = []
    back: list[BacklogItem] = []
    for items in snapshot.missing.values():
        (again if _is_inserted_again(items, evidence) else back).extend(items)
    if back:
        waiting = tuple(reopened(item, retry=item.retry) for item in back)
        yield PutBack(items=waiting, n_missing=len(by_dispatch(back)))
    if again and evidence is not None:
        yield InsertAgain(
            items=tuple(again), prepared=evidence.missing, terms=evidence.terms
        )


def _is_inserted_again(items: Chunk, evidence: Evidence | None) -> bool:
    """Say whether the campaign is sent, and its file asks for the same today."""
    if evidence is None or evidence.terms.submission.hold is not None:
        return False
    terms = evidence.terms
    return all(
        item.asked == terms.wanted
        and not is_outdated(item, evidence.missing.candidates[item.candidate_id], terms)
        for item in items
    )


def is_outdated(item: BacklogItem, candidate: CandidateDoc, terms: Terms) -> bool:
    """Say whether a candidate is computed in another way by today's campaign file."""
    return candidate_key(candidate, terms.spec.calculation) != item.content_key


def _collections(snapshot: Snapshot, evidence: Evidence) -> Iterator[Collect]:
    """Collect what ended, some workflows at once."""
    for start in range(0, len(evidence.ended), _ENDED_AT_ONCE):
        ended = evidence.ended[start : start + _ENDED_AT_ONCE]
        changed: list[BacklogItem] = []
        failures = {}
        for workflow in ended:
            # Without any, its endings were written before, and the feeder was killed.
            items = snapshot.in_hand.get(workflow.dispatch_id, ())
            report = evidence.reports.get(workflow.dispatch_id)
            found = collected(workflow, items, report, evidence.known, evidence.terms)
            for item in items:
                result = found[item.content_key]
                if result.failures is not None:
                    failures[item.content_key] = result.failures
                new = item.model_copy(update={"ending": result.ending})
                changed.append(reopened(new, retry=item.retry) if result.again else new)
        yield Collect(items=tuple(changed), ended=ended, failures=failures)


def room(snapshot: Snapshot) -> int:
    """Count the candidates that window and quota leave room for."""
    submission = snapshot.submission
    if submission.hold is not None:
        return 0
    count = max(0, submission.window - snapshot.fireworks) * submission.chunk
    if submission.max_candidates is None:
        return count
    used = sum(
        item.dispatch_id is not None
        and (item.ending is None or item.ending.kind is not EndingKind.CANCELLED)
        for item in snapshot.items
    )
    return min(count, max(0, submission.max_candidates - used))


@dataclass(frozen=True)
class Settled:
    """What is written about a candidate that is not sent."""

    item: BacklogItem
    failures: tuple[Failure, ...] | None = None
    """What is stored as its failures; none leaves what is stored."""

    @property
    def has_ended(self) -> bool:
        """Whether something came of it; else the campaign does not ask for it."""
        ending = self.item.ending
        return ending is not None and ending.kind is not EndingKind.CANCELLED


def settled(
    item: BacklogItem,
    prepared: Prepared,
    terms: Terms,
    missing_hull: Callable[[CandidateDoc], Failure | None],
) -> Settled | None:
    """End a candidate that needs no computing, or cannot be computed; None sends it."""
    candidate = prepared.candidates[item.candidate_id]
    if is_outdated(item, candidate, terms):
        return Settled(outdated(item, terms.now))
    gate, released = terms.spec.gate, item.candidate_id in terms.released
    known = prepared.asked_of(item, terms)
    failures = None
    if known.needs_work(gate, released=released, retry_failed=item.retry):
        failure = missing_hull(candidate)
        if failure is None:
            return None
        known.failures = (*known.failures, failure)
        failures = tuple(
            dict(one) for one in (*prepared.all_of(item).failures, failure)
        )
    kind = ending_kind(known, gate, released=released)
    ending = ending_of(kind, known.failures, Cost(terms.now))
    changes = {"ending": ending, "asked": dict(terms.wanted)}
    return Settled(item.model_copy(update=changes), failures)
