"""Sending candidates: completing what was half sent, and topping the launchpad up."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import uuid4

from hts_battery.campaign.local_run import store_failures
from hts_battery.connections.launchpad.changes import mend, remove_orphans
from hts_battery.connections.launchpad.launchpad import send
from hts_battery.connections.records.backlog import reopened
from hts_battery.dispatch.collection import ending_of
from hts_battery.flows.recipes.chunk import ending_kind
from hts_battery.schemas.campaign import candidate_key
from hts_battery.schemas.dispatch import Ending, EndingKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.dispatch.batches import Prepared
    from hts_battery.dispatch.look import Look
    from hts_battery.schemas.dispatch import BacklogItem

logger = logging.getLogger(__name__)

BATCH = 50
"""Workflows that are made and inserted at once: what a kill can leave half done."""


def repair(look: Look) -> None:
    """
    Complete what is written down as sent and is not known to be in the launchpad.

    What a killed feeder did not insert, and what somebody deleted by hand, is inserted
    again as the same dispatch, so that what it finished is not computed again. A
    workflow that has begun and lacks a Firework ends when nothing of it runs any more,
    and its candidates wait again.

    Parameters
    ----------
    look
        The look at the campaign.
    """
    _mend_broken(look)
    in_hand = look.backlog.in_hand()
    chunks = {
        dispatch_id: items
        for dispatch_id, items in in_hand.items()
        if items[0].fw_id is None or not _is_there(look, dispatch_id)
    }
    # Its Fireworks were archived, and the feeder was killed before it was.
    archived = [
        one.dispatch_id
        for one in look.workflows.values()
        if one.is_empty and one.dispatch_id not in in_hand
    ]
    if not chunks and not archived:
        return
    look.lease.check()
    removed = remove_orphans(look.launchpad, [*chunks, *archived])
    if removed:
        logger.warning("removed %d remains of a feeder that was killed", removed)
        look.read_workflows()
    missing: list[list[BacklogItem]] = []
    for dispatch_id, items in chunks.items():
        if dispatch_id in look.workflows:
            _write_place(look, items, look.workflows[dispatch_id].fw_id)
        elif look.submission.hold is None:
            missing.append(items)
        else:
            _put_back(look, items)
    _insert_again(look, missing)
    look.counts["repaired"] += len(chunks)


def _insert_again(look: Look, missing: Sequence[Sequence[BacklogItem]]) -> None:
    """Insert as the same dispatches what is not in the launchpad."""
    prepared = look.prepared([item for items in missing for item in items])
    whole: list[Sequence[BacklogItem]] = []
    for items in missing:
        # The campaign file may have been changed meanwhile.
        asks = look.spec.structure.n_orderings
        if any(
            item.asked != asks or _is_stranger(look, item, prepared) for item in items
        ):
            _put_back(look, items)
        else:
            whole.append(items)
    if whole:
        logger.warning(
            "%d workflows of %s are not in the launchpad, after a kill or because "
            "somebody deleted them: they are inserted again",
            len(whole),
            look.name,
        )
    _insert(look, whole, prepared)


def _is_there(look: Look, dispatch_id: str) -> bool:
    workflow = look.workflows.get(dispatch_id)
    return workflow is not None and not workflow.is_empty


def _mend_broken(look: Look) -> None:
    """Make what lacks a Firework end, so that its candidates are harvested."""
    broken = [
        one for one in look.workflows.values() if one.is_broken and not one.is_empty
    ]
    if not broken:
        return
    look.lease.check()
    for one in broken:
        logger.warning(
            "workflow %s of %s lacks a Firework that this engine did not delete: its "
            "candidates wait again when nothing of it runs",
            one.fw_id,
            look.name,
        )
    mend(look.launchpad, broken)
    look.read_workflows()


def _write_place(look: Look, items: Sequence[BacklogItem], fw_id: int) -> None:
    for item in items:
        look.backlog.change(item.content_key, fw_id=fw_id)


def _put_back(look: Look, items: Sequence[BacklogItem]) -> None:
    for item in items:
        look.backlog.change(item.content_key, **reopened(item, retry=item.retry))


def top_up(look: Look) -> None:
    """
    Send as much as the window and the quota of candidates leave room for.

    Parameters
    ----------
    look
        The look at the campaign.
    """
    # What another campaign computes now is looked at again when it has ended.
    free = [one for one in look.waiting() if one.content_key not in look.elsewhere]
    waiting = free[: room(look)]
    step = BATCH * look.submission.chunk
    for start in range(0, len(waiting), step):
        _send(look, waiting[start : start + step])


def room(look: Look) -> int:
    """
    Count the candidates that may be sent now.

    Parameters
    ----------
    look
        The look at the campaign.
    """
    submission = look.submission
    if submission.hold is not None:
        return 0
    count = max(0, submission.window - look.fireworks()) * submission.chunk
    if submission.max_candidates is None:
        return count
    used = sum(
        item.dispatch_id is not None
        and (item.ending is None or item.ending.kind is not EndingKind.CANCELLED)
        for item in look.backlog.items
    )
    return min(count, max(0, submission.max_candidates - used))


def _send(look: Look, waiting: Sequence[BacklogItem]) -> None:
    """Send some waiting candidates: written down first, then inserted."""
    prepared = look.prepared(waiting)
    todo = [item for item in waiting if not _is_settled(look, item, prepared)]
    chunks: list[Sequence[BacklogItem]] = []
    for start in range(0, len(todo), look.submission.chunk):
        dispatch_id = str(uuid4())
        chunk = todo[start : start + look.submission.chunk]
        for item in chunk:
            look.backlog.change(
                item.content_key,
                dispatch_id=dispatch_id,
                asked=dict(look.spec.structure.n_orderings),
            )
        chunks.append(chunk)
    _insert(look, chunks, prepared)
    look.counts["sent"] += len(todo)


def _is_stranger(look: Look, item: BacklogItem, prepared: Prepared) -> bool:
    """Say whether a candidate is computed in another way by today's campaign file."""
    candidate = prepared.documents[item.candidate_id]
    return candidate_key(candidate, look.spec.calculation) != item.content_key


def _is_settled(look: Look, item: BacklogItem, prepared: Prepared) -> bool:
    """End a candidate that needs no computing, or cannot be computed."""
    if _is_stranger(look, item, prepared):
        ending = Ending(
            kind=EndingKind.CANCELLED,
            reason="the campaign file has changed",
            time=look.now,
        )
        look.backlog.change(item.content_key, ending=ending)
        return True
    known = prepared.calculated(item)
    gate = look.spec.gate
    released = item.candidate_id in look.released
    if known.needs_work(gate, released=released, retry_failed=item.retry):
        failure = look.parcels.missing_hull(prepared.documents[item.candidate_id])
        if failure is None:
            return False
        known.failures = (*known.failures, failure)
        failures = (*prepared.all_of(item).failures, failure)
        look.lease.check()
        store_failures(look.stores, item.content_key, item.candidate_id, failures)
    kind = ending_kind(known, gate, released=released)
    ending = ending_of(kind, known.failures, {"time": look.now})
    asked = dict(look.spec.structure.n_orderings)
    look.backlog.change(item.content_key, ending=ending, asked=asked)
    look.counts["ended"] += 1
    return True


def _insert(
    look: Look, chunks: Sequence[Sequence[BacklogItem]], prepared: Prepared
) -> None:
    """Write down under which numbers chunks are inserted, then insert them."""
    if not chunks:
        look.backlog.save(look.lease)
        return
    parcels = []
    for chunk, fw_id in zip(chunks, look.launchpad.reserve(len(chunks)), strict=True):
        _write_place(look, chunk, fw_id)
        items = [look.backlog[item.content_key] for item in chunk]
        parcels.append(
            look.parcels.make(
                str(items[0].dispatch_id),
                look.backlog.position(items[0].content_key),
                items,
                prepared,
            )
        )
    look.backlog.save(look.lease)
    look.lease.check()
    send(parcels, look.launchpad, look.name)
    look.inserted += len(chunks)
