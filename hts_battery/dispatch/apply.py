"""
APPLY: one function an action; applied twice, each comes to the same.

What is to exist is written down in the backlog before it is made, and what was made is
taken away only after everything of it is written down. The lock is checked before each
write.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from hts_battery.connections.launchpad import changes
from hts_battery.connections.launchpad.launchpad import send
from hts_battery.connections.launchpad.workflows import sent_names
from hts_battery.connections.records import dispatches
from hts_battery.connections.records.backlog import read_blocks, write_submission
from hts_battery.dispatch.batches import BatchMaker
from hts_battery.dispatch.decide import (
    Action,
    Cancel,
    Collect,
    End,
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
)
from hts_battery.flows.recipes.calculated import store_failures
from hts_battery.flows.recipes.registry import maker_of
from hts_battery.schemas.dispatch import Dispatch, DispatchState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hts_battery.connections.database.locks import Lease
    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import Batch, ExactLaunchPad
    from hts_battery.connections.records.backlog import Backlog
    from hts_battery.flows.recipes.recipe import RecipeMaker
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc

logger = logging.getLogger(__name__)


@dataclass
class Desk:
    """What is at hand to work on one campaign, under the lock of dispatch."""

    stores: Stores
    launchpad: ExactLaunchPad
    lease: Lease
    """Checked before each write."""
    backlog: Backlog
    make_maker: Callable[[CampaignSpec], RecipeMaker] = maker_of
    candidates: Mapping[str, CandidateDoc] = field(default_factory=dict)
    """Candidates that need not be read, by their ids."""
    dry_run: bool = False
    """Whether nothing is written."""
    batches: BatchMaker | None = None
    """Slow to make, so only where something is sent."""


def apply_all(actions: Iterable[Action[Any]], desk: Desk) -> None:
    """Apply actions in their order, unless they are only planned."""
    if desk.dry_run:
        return
    for action in actions:
        desk.lease.check()
        apply(action, desk)


@singledispatch
def apply(action: Action[Any], desk: Desk) -> None:
    """Do what an action says."""
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
    removed = changes.remove_orphans(desk.launchpad, action.workflows)
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
def _write(action: Action[Any], desk: Desk) -> None:
    for item in action.items:
        desk.backlog.put(item)
    desk.backlog.save(desk.lease)
    if isinstance(action, PutBack):
        dispatches.end(
            desk.stores, [str(chunk[0].dispatch_id) for chunk in action.workflows]
        )


@apply.register(Collect)
@apply.register(End)
def _write_endings(action: Collect | End, desk: Desk) -> None:
    for item in action.items:
        if item.content_key in action.failures:
            desk.lease.check()
            failures = action.failures[item.content_key]
            store_failures(desk.stores, item.content_key, item.candidate_id, failures)
    for item in action.items:
        desk.backlog.put(item)
    desk.backlog.save(desk.lease)
    if isinstance(action, Collect):
        desk.lease.check()
        dispatches.end(desk.stores, [one.dispatch_id for one in action.workflows])
        changes.archive(
            desk.launchpad, desk.stores.archived_workflows, action.workflows
        )


@apply.register
def _submit(action: Submit, desk: Desk) -> None:
    if isinstance(action, InsertAgain):
        logger.warning(
            "%d workflows of %s are not in the launchpad, after a kill or because "
            "somebody deleted them: they are inserted again",
            len(action.workflows),
            action.submission.campaign,
        )
    if desk.batches is None:
        maker = desk.make_maker(action.spec)
        desk.batches = BatchMaker(action.submission, action.spec, maker)
    reserved = desk.launchpad.reserve(len(action.workflows))
    batches = [
        desk.batches.make(number, fw_id, chunk)
        for chunk, number, fw_id in zip(
            action.workflows, action.numbers, reserved, strict=True
        )
    ]
    granted = _granted(action, batches, desk)
    for chunk, fw_id in zip(action.workflows, reserved, strict=True):
        for one in chunk:
            if one.item.dispatch_id in granted:
                desk.backlog.put(one.item.model_copy(update={"fw_id": fw_id}))
    desk.backlog.save(desk.lease)
    desk.lease.check()
    due = [batch for batch in batches if batch.dispatch_id in granted]
    send(due, desk.launchpad, action.submission.campaign)
    # Stopped since the last look at the lock, it would say that it sent them.
    desk.lease.check()


def _granted(action: Submit, batches: Sequence[Batch], desk: Desk) -> set[str]:
    """Write down who computes what, before anything is; return what may be sent."""
    now = datetime.now(UTC)
    wanted = [
        Dispatch(
            dispatch_id=batch.dispatch_id,
            campaign=action.submission.campaign,
            content_keys=tuple(one.item.content_key for one in chunk),
            fw_id=batch.fw_id,
            token=desk.lease.token,
            state=DispatchState.SENT,
            time=now,
        )
        for chunk, batch in zip(action.workflows, batches, strict=True)
    ]
    if isinstance(action, InsertAgain):
        return dispatches.claim_again(desk.stores, wanted, desk.lease)
    granted = dispatches.claim(desk.stores, wanted, desk.lease)
    left = [one for one in wanted if one.dispatch_id not in granted]
    if left:
        # A feeder was killed after it had written them down, and nobody has them.
        dispatches.end(desk.stores, _abandoned(left, desk))
        granted |= dispatches.claim(desk.stores, left, desk.lease)
    if len(granted) < len(wanted):
        logger.warning(
            "%d dispatches of %s wait: somebody else computes the same now",
            len(wanted) - len(granted),
            action.submission.campaign,
        )
    return granted


def _abandoned(wanted: Sequence[Dispatch], desk: Desk) -> list[str]:
    """Find dispatches in the way that neither a backlog nor the launchpad knows."""
    keys = {key for one in wanted for key in one.content_keys}
    found = dispatches.in_the_way(desk.stores, keys)
    in_hand = {
        item.dispatch_id
        for campaign in {one.campaign for one in found}
        for block in read_blocks(desk.stores, campaign)
        for item in block.items
        if item.ending is None
    }
    names = {one.dispatch_id for one in found} - in_hand
    return sorted(names - sent_names(desk.launchpad, names))
