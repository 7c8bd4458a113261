"""
APPLY: one function an action; applied twice, each comes to the same.

What is to exist is written down in the backlog before it is made, and what was made is
taken away only after everything of it is written down. The lock is checked before each
write.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from functools import singledispatch
from typing import TYPE_CHECKING
from uuid import uuid4

from hts_battery.campaign.local_run import store_failures
from hts_battery.connections.launchpad import changes
from hts_battery.connections.launchpad.launchpad import send
from hts_battery.connections.records.backlog import write_submission
from hts_battery.dispatch.batches import BatchMaker
from hts_battery.dispatch.decide import (
    Action,
    Cancel,
    Collect,
    InsertAgain,
    PutBack,
    RecordNumbers,
    RemoveOrphaned,
    Repair,
    ResumeSteps,
    StopAtBudget,
    StopSteps,
    Submit,
    TakeBack,
    counted,
    settled,
)
from hts_battery.dispatch.snapshot import by_dispatch, read_prepared
from hts_battery.flows.recipes.screen import ScreenMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hts_battery.connections.database.locks import Lease
    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.connections.records.backlog import Backlog
    from hts_battery.dispatch.snapshot import Chunk, Prepared, Terms
    from hts_battery.flows.execution.recorded import Failure
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.dispatch import BacklogItem

logger = logging.getLogger(__name__)

_AT_ONCE = 50
"""Workflows that are made and inserted at once: what a kill can leave half done."""


@dataclass
class Desk:
    """What is at hand to work on one campaign, under the lock of dispatch."""

    stores: Stores
    launchpad: ExactLaunchPad
    lease: Lease
    """Checked before each write."""
    backlog: Backlog
    make_maker: Callable[[CampaignSpec], ScreenMaker] = ScreenMaker.from_campaign
    candidates: Mapping[str, CandidateDoc] = field(default_factory=dict)
    """Candidates that need not be read, by their ids."""
    _batches: BatchMaker | None = None

    def batches(self, terms: Terms) -> BatchMaker:
        """Return what makes workflows; slow, so only where something is sent."""
        if self._batches is None:
            maker = self.make_maker(terms.spec)
            self._batches = BatchMaker(terms, maker, self.stores)
        return self._batches

    def save(self, items: Iterable[BacklogItem] = ()) -> None:
        """Write what changed in the backlog, and some candidates."""
        for item in items:
            self.backlog.put(item)
        self.backlog.save(self.lease)

    def store_failures(
        self, item: BacklogItem, failures: Sequence[Failure] | None
    ) -> None:
        """Write down what failed of a candidate; none leaves what stands there."""
        if failures is not None:
            self.lease.check()
            store_failures(self.stores, item.content_key, item.candidate_id, failures)


def apply_all(actions: Iterable[Action], desk: Desk) -> Counter[str]:
    """Apply actions in their order; count what was done."""
    counts: Counter[str] = Counter()
    for action in actions:
        desk.lease.check()
        # Only sending finds out more than was decided.
        counts.update(apply(action, desk) or counted([action]))
    return counts


@singledispatch
def apply(action: Action, desk: Desk) -> Counter[str] | None:
    """Do what an action says; count what was done, if that is not what it says."""
    raise NotImplementedError(f"{action} of {desk}")


@apply.register
def _repair(action: Repair, desk: Desk) -> None:
    for one in action.workflows:
        logger.warning(
            "workflow %s of %s lacks a Firework that this engine did not delete: its "
            "candidates wait again when nothing of it runs",
            one.fw_id,
            one.campaign,
        )
    changes.repair(desk.launchpad, action.workflows)


@apply.register
def _remove_orphaned(action: RemoveOrphaned, desk: Desk) -> None:
    removed = changes.remove_orphans(desk.launchpad, action.dispatch_ids)
    if removed:
        logger.warning("removed %d remains of a feeder that was killed", removed)


@apply.register
def _stop_at_budget(action: StopAtBudget, desk: Desk) -> None:
    logger.warning(
        "campaign %s has spent %.3f of %.3f node-hours: nothing more is sent; submit "
        "it again with a larger --budget to go on",
        action.submission.campaign,
        action.spent,
        action.submission.budget,
    )
    write_submission(desk.stores, action.submission, desk.lease)


@apply.register
def _take_back(action: TakeBack, desk: Desk) -> None:
    changes.take_back(desk.launchpad, action.workflows)


@apply.register
def _stop_steps(action: StopSteps, desk: Desk) -> None:
    changes.stop_steps(desk.launchpad, action.workflows, action.state)


@apply.register
def _resume_steps(action: ResumeSteps, desk: Desk) -> None:
    changes.resume_steps(desk.launchpad, action.workflows)


@apply.register(RecordNumbers)
@apply.register(PutBack)
@apply.register(Cancel)
def _write_down(action: Action, desk: Desk) -> None:
    desk.save(action.items)


@apply.register
def _insert_again(action: InsertAgain, desk: Desk) -> None:
    logger.warning(
        "%d workflows of %s are not in the launchpad, after a kill or because "
        "somebody deleted them: they are inserted again",
        action.n_workflows,
        action.terms.submission.campaign,
    )
    chunks = list(by_dispatch(action.items).values())
    _insert(chunks, action.prepared, action.terms, desk)


@apply.register
def _collect(action: Collect, desk: Desk) -> None:
    for item in action.items:
        desk.store_failures(item, action.failures.get(item.content_key))
    desk.save(action.items)
    desk.lease.check()
    changes.archive(desk.launchpad, desk.stores.archived_workflows, action.ended)


@apply.register
def _submit(action: Submit, desk: Desk) -> Counter[str]:
    counts: Counter[str] = Counter(sent=0)
    step = _AT_ONCE * action.terms.submission.chunk
    for start in range(0, len(action.items), step):
        counts.update(_send(action.items[start : start + step], action.terms, desk))
    return counts


def _send(waiting: Chunk, terms: Terms, desk: Desk) -> Counter[str]:
    """Send some waiting candidates; end those that need no computing."""
    prepared = read_prepared(desk.stores, waiting, desk.candidates)
    counts: Counter[str] = Counter()
    sent = []

    def missing_hull(candidate: CandidateDoc) -> Failure | None:
        return desk.batches(terms).missing_hull(candidate)

    for item in waiting:
        found = settled(item, prepared, terms, missing_hull)
        if found is None:
            sent.append(item)
            continue
        desk.store_failures(item, found.failures)
        desk.backlog.put(found.item)
        counts["ended"] += found.has_ended
    chunks = []
    for start in range(0, len(sent), terms.submission.chunk):
        new = {"dispatch_id": str(uuid4()), "asked": dict(terms.wanted)}
        chunk = sent[start : start + terms.submission.chunk]
        chunks.append(tuple(item.model_copy(update=new) for item in chunk))
    _insert(chunks, prepared, terms, desk)
    counts.update(sent=len(sent), inserted=len(chunks))
    return counts


def _insert(
    chunks: Sequence[Chunk], prepared: Prepared, terms: Terms, desk: Desk
) -> None:
    """Write down under which numbers chunks are inserted, then insert them."""
    if not chunks:
        desk.save()
        return
    made = []
    for chunk, fw_id in zip(chunks, desk.launchpad.reserve(len(chunks)), strict=True):
        items = [item.model_copy(update={"fw_id": fw_id}) for item in chunk]
        for item in items:
            desk.backlog.put(item)
        number = desk.backlog.position(items[0].content_key)
        made.append(desk.batches(terms).make(number, items, prepared))
    desk.save()
    desk.lease.check()
    send(made, desk.launchpad, terms.submission.campaign)
