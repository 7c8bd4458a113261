"""What backlog and launchpad say of the candidates of a campaign."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from hts_battery.connections.launchpad.launchpad import launchpad_beside
from hts_battery.connections.launchpad.workflows import read_workflows
from hts_battery.schemas.dispatch import EndingKind, Hold
from hts_battery.schemas.state import CandidateState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.workflows import SentWorkflow

Item = dict[str, Any]
"""A :class:`~hts_battery.schemas.dispatch.BacklogItem` as the database has it.

Tens of thousands are looked at for one answer; checking each would take longer than
reading it.
"""


class Place(NamedTuple):
    """Where a candidate stands in a backlog."""

    campaign: str
    """Campaign whose backlog it is."""
    item: Item
    """What was sent of it, and how it ended."""
    hold: str | None
    """Why nothing more of its backlog is sent, if so."""
    workflow: SentWorkflow | None
    """What the launchpad holds of it."""

    @property
    def state(self) -> tuple[CandidateState | None, str | None]:
        """Say where its dispatch stands, and why; no state where it ended."""
        item = self.item
        if item["ending"] is not None:
            cancelled = item["ending"]["kind"] == EndingKind.CANCELLED
            return (CandidateState.CANCELLED if cancelled else None), None
        if item["dispatch_id"] is None:
            return _waiting(self.hold)
        if self.workflow is not None:
            return _under_way(self.workflow), None
        if item["fw_id"] is None:
            return CandidateState.QUEUED, "being sent"
        return CandidateState.RETURNED, "no longer in the launchpad"

    @property
    def is_open(self) -> bool:
        """Whether its dispatch is still to come or under way."""
        return self.item["ending"] is None

    @property
    def endings(self) -> Iterator[Mapping[str, Any]]:
        """Every ending, the last one first."""
        if self.item["ending"] is not None:
            yield self.item["ending"]
        yield from reversed(self.item["earlier"])

    @property
    def outcome(self) -> Mapping[str, Any] | None:
        """The last ending that was not a cancellation."""
        for ending in self.endings:
            if ending["kind"] != EndingKind.CANCELLED:
                return ending
        return None


def _waiting(hold: str | None) -> tuple[CandidateState, str | None]:
    if hold is None:
        return CandidateState.WAITING, None
    if hold == Hold.CANCELLED:
        return CandidateState.CANCELLED, None
    why = "the budget is spent" if hold == Hold.BUDGET else "the campaign is paused"
    return CandidateState.HELD, why


def _under_way(workflow: SentWorkflow) -> CandidateState:
    if workflow.is_over:
        return CandidateState.RETURNED
    if "RUNNING" in workflow.states.values():
        return CandidateState.RUNNING
    return CandidateState.QUEUED


@dataclass(frozen=True)
class Dispatched:
    """The backlogs that a campaign's candidates may stand in, with the launchpad."""

    campaign: str
    """The campaign."""
    submissions: Mapping[str, Mapping[str, Any]]
    """Campaign → how it is sent, of every campaign that was read."""
    items: Mapping[str, list[Item]]
    """Campaign → its backlog, in order."""
    workflows: Mapping[str, SentWorkflow]
    """Dispatch id → what the launchpad holds of it."""
    _places: dict[str, Place] = field(default_factory=dict)

    @classmethod
    def read(
        cls, stores: Stores, campaign: str, *, everywhere: bool = False
    ) -> Dispatched:
        """
        Read the backlog of a campaign and what the launchpad holds of it.

        Parameters
        ----------
        stores
            Open stores.
        campaign
            Name of the campaign.
        everywhere
            Whether the backlogs of other campaigns are read, too: a calculation that
            several campaigns want stands in one of them.
        """
        scope = {} if everywhere else {"campaign": campaign}
        submissions = {doc["campaign"]: doc for doc in stores.submissions.query(scope)}
        blocks = sorted(
            stores.backlog.query(scope), key=lambda doc: (doc["campaign"], doc["block"])
        )
        items: dict[str, list[Item]] = {}
        for block in blocks:
            items.setdefault(block["campaign"], []).extend(block["items"])
        beside = launchpad_beside(stores)
        workflows: dict[str, SentWorkflow] = {}
        for name in items:
            workflows |= read_workflows(beside, name)
        return cls(campaign, submissions, items, workflows)

    @property
    def own(self) -> list[Item]:
        """The campaign's own backlog."""
        return self.items.get(self.campaign, [])

    @property
    def submission(self) -> Mapping[str, Any] | None:
        """How the campaign is sent, if it was submitted."""
        return self.submissions.get(self.campaign)

    def place(self, key: str) -> Place | None:
        """Return where a calculation stands; in the campaign's own backlog if there."""
        if not self._places:
            others = [name for name in self.items if name != self.campaign]
            for name in (*others, self.campaign):
                hold = (self.submissions.get(name) or {}).get("hold")
                for item in self.items.get(name, ()):
                    known = self._places.get(item["content_key"])
                    if known is None or not known.is_open or name == self.campaign:
                        workflow = self.workflows.get(item["dispatch_id"] or "")
                        self._places[item["content_key"]] = Place(
                            name, item, hold, workflow
                        )
        return self._places.get(key)
