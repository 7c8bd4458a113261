"""What backlog and launchpad say of the candidates of a campaign, as it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from hts_battery.connections.launchpad.launchpad import launchpad_beside
from hts_battery.connections.launchpad.workflows import read_workflows
from hts_battery.connections.records.worker_controls import read_worker_controls
from hts_battery.schemas.dispatch import EndingKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.workflows import SentWorkflow
    from hts_battery.schemas.worker_control import WorkerControl


class StoredEnding(TypedDict):
    """An :class:`~hts_battery.schemas.dispatch.Ending` as the database has it."""

    kind: str
    reason: str | None
    failure_class: str | None
    node_hours: float
    time: str


class StoredItem(TypedDict):
    """
    A :class:`~hts_battery.schemas.dispatch.BacklogItem` as the database has it.

    Tens of thousands are read for one answer; checking each would take longer.
    """

    content_key: str
    candidate_id: str
    dispatch_id: str | None
    fw_id: int | None
    asked: dict[str, int]
    ending: StoredEnding | None
    earlier: list[StoredEnding]


class DispatchRecord(NamedTuple):
    """What backlog and launchpad say of one candidate."""

    campaign: str
    """Campaign whose backlog it is."""
    item: StoredItem
    """What was sent of it, and how it ended."""
    hold: str | None = None
    """Why nothing more of its backlog is sent, if so."""
    workflow: SentWorkflow | None = None
    """What the launchpad holds of it."""

    @property
    def last_result(self) -> StoredEnding | None:
        """The last ending that was not a cancellation."""
        for one in (self.item["ending"], *self.item["earlier"][::-1]):
            if one is not None and one["kind"] != EndingKind.CANCELLED:
                return one
        return None


@dataclass(frozen=True)
class Dispatched:
    """The backlogs that a campaign's candidates may stand in, with the launchpad."""

    campaign: str
    """The campaign."""
    submissions: Mapping[str, Mapping[str, Any]]
    """Campaign → how it is sent, of every campaign that was read."""
    items: Mapping[str, list[StoredItem]]
    """Campaign → its backlog, in order."""
    workflows: Mapping[str, SentWorkflow]
    """Dispatch id → what the launchpad holds of it."""
    controls: Mapping[str, WorkerControl] = field(default_factory=dict)
    """Worker → how it may be used, of every worker that somebody spoke of."""
    _records: dict[str, DispatchRecord] = field(default_factory=dict)

    @classmethod
    def read(
        cls, stores: Stores, campaign: str, *, everywhere: bool = False
    ) -> Dispatched:
        """
        Read the backlog of a campaign and what the launchpad holds of it.

        A calculation that several campaigns want stands in the backlog of one of them:
        ``everywhere`` reads all.
        """
        scope = {} if everywhere else {"campaign": campaign}
        submissions = {doc["campaign"]: doc for doc in stores.submissions.query(scope)}
        blocks = sorted(
            stores.backlog.query(scope), key=lambda doc: (doc["campaign"], doc["block"])
        )
        items: dict[str, list[StoredItem]] = {}
        for block in blocks:
            items.setdefault(block["campaign"], []).extend(block["items"])
        beside = launchpad_beside(stores)
        workflows: dict[str, SentWorkflow] = {}
        for name in items:
            workflows |= read_workflows(beside, name)
        controls = {one.worker: one for one in read_worker_controls(stores)}
        return cls(campaign, submissions, items, workflows, controls)

    @property
    def own(self) -> list[StoredItem]:
        """The campaign's own backlog."""
        return self.items.get(self.campaign, [])

    @property
    def submission(self) -> Mapping[str, Any] | None:
        """How the campaign is sent, if it was submitted."""
        return self.submissions.get(self.campaign)

    @property
    def workers(self) -> tuple[str, ...]:
        """The workers that the campaign is sent to."""
        submission = self.submission
        if submission is None:
            return ()
        routes = (submission.get("routes") or {}).values()
        return tuple(dict.fromkeys((submission["worker"], *routes)))

    @property
    def paused(self) -> dict[str, WorkerControl]:
        """Those of its workers that are paused."""
        found = {name: self.controls.get(name) for name in self.workers}
        return {name: one for name, one in found.items() if one and one.paused}

    def record(self, key: str) -> DispatchRecord | None:
        """Return what is known of a key, from the campaign's own backlog first."""
        if not self._records:
            others = [name for name in self.items if name != self.campaign]
            for name in (*others, self.campaign):
                hold = (self.submissions.get(name) or {}).get("hold")
                for item in self.items.get(name, ()):
                    known = self._records.get(item["content_key"])
                    if name == self.campaign or not known or known.item["ending"]:
                        workflow = self.workflows.get(item["dispatch_id"] or "")
                        self._records[item["content_key"]] = DispatchRecord(
                            name, item, hold, workflow
                        )
        return self._records.get(key)
