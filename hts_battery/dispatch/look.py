"""One look of the feeder at one campaign: what is there, and what was done about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from hts_battery.campaign.local_run import released_ids
from hts_battery.connections.launchpad.workflows import SentWorkflow, read_workflows
from hts_battery.connections.records.backlog import Backlog, keys_sent, write_submission
from hts_battery.dispatch.batches import ParcelMaker, Prepared, stored_spec
from hts_battery.schemas.dispatch import FeedReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hts_battery.connections.database.locks import Lease
    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.flows.recipes.screen import ScreenMaker
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.dispatch import BacklogItem, Hold, Submission

_SECONDS_PER_HOUR = 3600


@dataclass
class Look:
    """
    What the feeder knows of one campaign while it holds the lock of dispatch.

    Parameters
    ----------
    stores
        Open stores.
    launchpad
        The launchpad of the same database.
    lease
        The lock; checked before each write.
    submission
        How the campaign is sent.
    make_maker
        How the maker of a campaign is made.
    candidates
        Candidates that are at hand and need not be read, by their ids.
    now
        Time of the look.
    counts
        What was done: the fields of :class:`FeedReport` by name.
    inserted
        Workflows that were inserted since the launchpad was read.
    """

    stores: Stores
    launchpad: ExactLaunchPad
    lease: Lease
    submission: Submission
    make_maker: Callable[[CampaignSpec], ScreenMaker]
    candidates: Mapping[str, CandidateDoc] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    counts: Counter[str] = field(default_factory=Counter)
    inserted: int = 0

    def __post_init__(self) -> None:
        """Read the backlog and the launchpad."""
        self.backlog = Backlog.read(self.stores, self.name)
        self.workflows: dict[str, SentWorkflow] = {}
        self.read_workflows()

    @property
    def name(self) -> str:
        """Name of the campaign."""
        return self.submission.campaign

    @cached_property
    def spec(self) -> CampaignSpec:
        """The campaign as it was last registered."""
        return stored_spec(self.stores, self.name)

    @cached_property
    def released(self) -> frozenset[str]:
        """Candidates that the operator lets pass the gate."""
        return frozenset(released_ids(self.name, self.stores))

    @cached_property
    def elsewhere(self) -> set[str]:
        """Keys that other campaigns have sent, of which some orderings may be due."""
        return keys_sent(self.stores, besides=self.name)

    @cached_property
    def parcels(self) -> ParcelMaker:
        """What makes parcels; slow, so only where something is sent."""
        return ParcelMaker(
            self.submission, self.spec, self.make_maker(self.spec), self.stores
        )

    def read_workflows(self) -> None:
        """Read the launchpad again after it was changed."""
        self.workflows = read_workflows(self.launchpad, self.name, now=self.now)
        self.inserted = 0

    def hold(self, hold: Hold) -> None:
        """Write down that nothing more is sent, and why."""
        self.submission = self.submission.model_copy(update={"hold": hold})
        write_submission(self.stores, self.submission, self.lease)

    def prepared(self, items: Sequence[BacklogItem]) -> Prepared:
        """Read what must be known of waiting candidates before they are sent."""
        return Prepared.read(
            self.stores,
            items,
            at_hand=self.candidates,
            released=self.released,
            wanted=self.spec.structure.n_orderings,
        )

    def waiting(self) -> list[BacklogItem]:
        """List the candidates that wait to be sent, in their order."""
        return [
            item
            for item in self.backlog.items
            if item.dispatch_id is None and item.ending is None
        ]

    def fireworks(self) -> int:
        """Count the Fireworks of unfinished work in the launchpad."""
        there = sum(len(workflow.states) for workflow in self.workflows.values())
        return there + self.inserted

    def node_hours(self) -> float:
        """Add up the node-hours spent so far, those of running launches included."""
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

    def report(self) -> FeedReport:
        """Say what was done and where the campaign stands."""
        return FeedReport(
            campaign=self.name,
            **self.counts,
            waiting=len(self.waiting()),
            in_hand=sum(map(len, self.backlog.in_hand().values())),
            fireworks=self.fireworks(),
            node_hours=self.node_hours(),
            hold=self.submission.hold,
        )
