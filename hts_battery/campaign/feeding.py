"""
The feeder: one look at a campaign brings launchpad and backlog together.

What ended is harvested, what was half sent is completed, and as much is sent as the
window, the budget and the operator allow. It can be killed anywhere: whatever it was
doing is found and completed the next time.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING
from uuid import uuid4

from hts_battery.campaign.backlog import (
    Backlog,
    dispatching,
    read_submissions,
    reopened,
    write_submission,
)
from hts_battery.campaign.harvest import Context, judge, read_reports
from hts_battery.campaign.local_run import released_ids, store_failures
from hts_battery.campaign.parcels import ParcelMaker, Prepared, stored_spec
from hts_battery.connections.clients import translated_outages
from hts_battery.connections.launchpad import send
from hts_battery.connections.launchpad_contents import (
    archive,
    read_ended,
    read_workflows,
    remove_orphans,
    resume_steps,
    stop_steps,
    take_back,
)
from hts_battery.flows.chunk import ending_kind
from hts_battery.flows.screen import ScreenMaker
from hts_battery.schemas.dispatch import Ending, EndingKind, FeedReport, Hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fireworks import LaunchPad

    from hts_battery.connections.launchpad_contents import SentWorkflow
    from hts_battery.connections.locks import Lease
    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.dispatch import BacklogItem, Submission

logger = logging.getLogger(__name__)

_SECONDS_PER_HOUR = 3600
_BATCH = 50
"""Workflows that are made and inserted at once: what a kill can leave half done."""


def feed(
    stores: Stores,
    launchpad: LaunchPad,
    *,
    campaigns: Iterable[str] | None = None,
    make_maker: Callable[[CampaignSpec], ScreenMaker] = ScreenMaker.from_campaign,
    wait: bool = True,
) -> list[FeedReport]:
    """
    Look once at every submitted campaign, and do what there is to do.

    Parameters
    ----------
    stores
        Open stores.
    launchpad
        The launchpad of the same database.
    campaigns
        Only these campaigns.
    make_maker
        How the maker of a campaign is made.
    wait
        Whether to wait while another process feeds.

    Returns
    -------
    list[FeedReport]
        What was done for each campaign.

    Raises
    ------
    BusyError
        If another process feeds, and one does not wait.
    StoreError
        If the database went away: the next look goes on.
    """
    wanted = None if campaigns is None else set(campaigns)
    with (
        translated_outages(stores.database.uri, "feeding the launchpad"),
        dispatching(stores, "hts launchpad feed", wait=wait) as lease,
    ):
        return [
            _Look(stores, launchpad, lease, submission, make_maker).run()
            for submission in read_submissions(stores)
            if wanted is None or submission.campaign in wanted
        ]


@dataclass
class _Look:
    """One look at one campaign."""

    stores: Stores
    launchpad: LaunchPad
    lease: Lease
    submission: Submission
    make_maker: Callable[[CampaignSpec], ScreenMaker]
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    sent: int = 0
    repaired: int = 0
    ended: int = 0
    again: int = 0
    archived: int = 0
    inserted: int = 0

    def run(self) -> FeedReport:
        """Do everything, in the order in which a kill does least harm."""
        name = self.submission.campaign
        self.backlog = Backlog.read(self.stores, name)
        self.spec = stored_spec(self.stores, name)
        self.workflows = read_workflows(self.launchpad, name, now=self.now)
        self.released = frozenset(released_ids(name, self.stores))
        self._parcels: ParcelMaker | None = None
        self._repair()
        self._hold()
        self._harvest()
        if self.submission.hold is None:
            self._top_up()
        elif self.submission.hold is Hold.CANCELLED:
            self._cancel_waiting()
        return self._report()

    @property
    def parcels(self) -> ParcelMaker:
        """What makes parcels; slow, so only where something is sent."""
        if self._parcels is None:
            self._parcels = ParcelMaker(
                self.submission, self.spec, self.make_maker(self.spec), self.stores
            )
        return self._parcels

    # What a killed feeder or submission left half done

    def _repair(self) -> None:
        """Complete what was written down as sent and is not known to be there."""
        chunks = {
            dispatch_id: items
            for dispatch_id, items in self.backlog.in_hand().items()
            if items[0].fw_id is None or dispatch_id not in self.workflows
        }
        if not chunks:
            return
        self.lease.check()
        removed = remove_orphans(self.launchpad, list(chunks))
        if removed:
            logger.warning("removed %d orphans of a killed submission", removed)
            self._read_again()
        missing = []
        for dispatch_id, items in chunks.items():
            workflow = self.workflows.get(dispatch_id)
            if workflow is not None:
                for item in items:
                    self.backlog.change(item.content_key, fw_id=workflow.fw_id)
            elif items[0].fw_id is not None or self.submission.hold is not None:
                if items[0].fw_id is not None:
                    logger.warning(
                        "workflow %s of %s is gone from the launchpad",
                        items[0].fw_id,
                        self.submission.campaign,
                    )
                for item in items:
                    self.backlog.change(item.content_key, **reopened(item))
            else:
                missing.append(items)
        self.backlog.save(self.lease)
        self._insert(missing)
        self.repaired += len(chunks)

    def _read_again(self) -> None:
        self.workflows = read_workflows(
            self.launchpad, self.submission.campaign, now=self.now
        )

    # Budget, pause, cancel

    def node_hours(self) -> float:
        """Node-hours spent so far, those of running launches included."""
        ended = sum(
            ending.node_hours
            for item in self.backlog.items
            for ending in (*item.earlier, item.ending)
            if ending is not None
        )
        in_hand = self.backlog.in_hand()
        running = sum(
            workflow.seconds
            for workflow in self.workflows.values()
            if workflow.dispatch_id in in_hand
        )
        return ended + running * self.submission.nodes / _SECONDS_PER_HOUR

    def _hold(self) -> None:
        """Stop at the budget; take back what a held campaign has not begun."""
        budget = self.submission.budget
        if self.submission.hold is None and budget is not None:
            spent = self.node_hours()
            if spent >= budget:
                logger.warning(
                    "campaign %s has spent %.3f of %.3f node-hours: nothing more is "
                    "sent; submit it again with a larger --budget to go on",
                    self.submission.campaign,
                    spent,
                    budget,
                )
                self.submission = self.submission.model_copy(
                    update={"hold": Hold.BUDGET}
                )
                write_submission(self.stores, self.submission, self.lease)
        workflows = list(self.workflows.values())
        begun = [one for one in workflows if one.has_begun]
        if self.submission.hold is None:
            paused = [one for one in begun if "PAUSED" in one.states.values()]
            if resume_steps(self.launchpad, paused):
                self._read_again()
            return
        self.lease.check()
        cancelled = self.submission.hold is Hold.CANCELLED
        changed = len(take_back(self.launchpad, workflows))
        changed += stop_steps(
            self.launchpad, begun, "DEFUSED" if cancelled else "PAUSED"
        )
        if changed:
            self._read_again()

    def _cancel_waiting(self) -> None:
        ending = Ending(kind=EndingKind.CANCELLED, time=self.now)
        for item in list(self.backlog.items):
            if item.dispatch_id is None and item.ending is None:
                self.backlog.change(item.content_key, ending=ending)
                self.ended += 1
        self.backlog.save(self.lease)

    # What ended

    def _harvest(self) -> None:
        """Write down how candidates ended, then move their workflows to the archive."""
        over = [one for one in self.workflows.values() if one.is_over]
        for start in range(0, len(over), _BATCH):
            self._harvest_some(over[start : start + _BATCH])

    def _harvest_some(self, over: Sequence[SentWorkflow]) -> None:
        ended = read_ended(self.launchpad, over)
        chunks = self.backlog.in_hand()
        reports = read_reports(self.stores, [one for one in ended if one.fireworks])
        context = Context(
            gate=self.spec.gate,
            nodes=self.submission.nodes,
            hold=self.submission.hold,
            now=self.now,
            released=self.released,
        )
        for workflow in ended:
            # Without any, its endings were written before and the feeder was killed.
            items = chunks.get(workflow.dispatch_id, [])
            report = reports.get(workflow.dispatch_id)
            outcomes = judge(workflow, items, report, self.stores, context)
            for item in items:
                outcome = outcomes[item.content_key]
                if outcome.failures is not None:
                    self.lease.check()
                    store_failures(
                        self.stores,
                        item.content_key,
                        item.candidate_id,
                        outcome.failures,
                    )
                self._take_down(item, outcome.ending, again=outcome.again)
        self.backlog.save(self.lease)
        self.lease.check()
        archive(self.launchpad, self.stores.archived_workflows, ended)
        self.archived += len(ended)
        for workflow in ended:
            del self.workflows[workflow.dispatch_id]

    def _take_down(self, item: BacklogItem, ending: Ending, *, again: bool) -> None:
        self.backlog.change(item.content_key, ending=ending)
        if again:
            changed = self.backlog[item.content_key]
            self.backlog.change(item.content_key, **reopened(changed, retry=item.retry))
            self.again += 1
        else:
            self.ended += 1

    # What is sent

    def _top_up(self) -> None:
        """Send as much as the window and the quota of candidates leave room for."""
        room = self.submission.window - self._fireworks()
        if room <= 0:
            return
        count = room * self.submission.chunk
        if self.submission.max_candidates is not None:
            used = sum(
                item.dispatch_id is not None
                and (
                    item.ending is None or item.ending.kind is not EndingKind.CANCELLED
                )
                for item in self.backlog.items
            )
            count = min(count, max(0, self.submission.max_candidates - used))
        waiting = list(
            islice(
                (
                    item
                    for item in self.backlog.items
                    if item.dispatch_id is None and item.ending is None
                ),
                count,
            )
        )
        step = _BATCH * self.submission.chunk
        for start in range(0, len(waiting), step):
            self._send(waiting[start : start + step])

    def _send(self, waiting: Sequence[BacklogItem]) -> None:
        """Send some waiting candidates, written down before they are there."""
        prepared = Prepared.read(self.stores, self.submission.campaign, waiting)
        todo = [item for item in waiting if not self._is_settled(item, prepared)]
        chunks = []
        for start in range(0, len(todo), self.submission.chunk):
            dispatch_id = str(uuid4())
            chunk = todo[start : start + self.submission.chunk]
            for item in chunk:
                self.backlog.change(item.content_key, dispatch_id=dispatch_id)
            chunks.append([self.backlog[item.content_key] for item in chunk])
        self.backlog.save(self.lease)
        self._insert(chunks, prepared)
        self.sent += len(todo)

    def _is_settled(self, item: BacklogItem, prepared: Prepared) -> bool:
        """End a candidate that needs no computing, or cannot be computed."""
        known = prepared.calculated(item)
        released = item.candidate_id in self.released
        failures = list(known.failures)
        if known.needs_work(self.spec.gate, released=released, retry_failed=item.retry):
            candidate = prepared.documents[item.candidate_id]
            failure = self.parcels.missing_hull(candidate)
            if failure is None:
                return False
            failures.append(failure)
            known.failures = tuple(failures)
            self.lease.check()
            store_failures(self.stores, item.content_key, item.candidate_id, failures)
        kind = ending_kind(known, self.spec.gate, released=released)
        first = failures[0] if failures else {}
        reason = (
            f"{first.get('error_class')}: {first.get('error_message')}"
            if first
            else None
        )
        self.backlog.change(
            item.content_key, ending=Ending(kind=kind, reason=reason, time=self.now)
        )
        self.ended += 1
        return True

    def _insert(
        self,
        chunks: Sequence[Sequence[BacklogItem]],
        prepared: Prepared | None = None,
    ) -> None:
        """Insert chunks that are written down, and write down where they are."""
        if not chunks:
            return
        if prepared is None:
            every = [item for chunk in chunks for item in chunk]
            prepared = Prepared.read(self.stores, self.submission.campaign, every)
        parcels = [
            self.parcels.make(
                str(chunk[0].dispatch_id),
                self.backlog.position(chunk[0].content_key),
                chunk,
                prepared,
            )
            for chunk in chunks
        ]
        self.lease.check()
        ids = send(parcels, self.launchpad, self.submission.campaign)
        for chunk in chunks:
            for item in chunk:
                fw_id = ids[str(item.dispatch_id)]
                self.backlog.change(item.content_key, fw_id=fw_id)
        self.backlog.save(self.lease)
        self.inserted += len(chunks)

    def _fireworks(self) -> int:
        """Fireworks of unfinished work in the launchpad."""
        there = sum(len(one.states) for one in self.workflows.values())
        return there + self.inserted

    def _report(self) -> FeedReport:
        items = list(self.backlog.items)
        open_items = [item for item in items if item.ending is None]
        in_hand = sum(item.dispatch_id is not None for item in open_items)
        return FeedReport(
            campaign=self.submission.campaign,
            sent=self.sent,
            repaired=self.repaired,
            ended=self.ended,
            again=self.again,
            archived=self.archived,
            waiting=len(open_items) - in_hand,
            in_hand=in_hand,
            fireworks=self._fireworks(),
            node_hours=self.node_hours(),
            hold=self.submission.hold,
        )
