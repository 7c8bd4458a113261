"""What backlog and launchpad say of the candidates of a campaign, as it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

from hts_battery.connections.launchpad.launchpad import launchpad_beside
from hts_battery.connections.launchpad.workflows import read_workflows
from hts_battery.connections.records.worker_controls import read_worker_controls
from hts_battery.schemas.dispatch import EndingKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.workflows import SentWorkflow
    from hts_battery.schemas.rows import BacklogItemRow, EndingRow, SubmissionRow
    from hts_battery.schemas.worker_control import WorkerControl


class DispatchRecord(NamedTuple):
    """What backlog and launchpad say of one candidate."""

    campaign: str
    """Campaign whose backlog it is."""
    item: BacklogItemRow
    """What was sent of it, and how it ended."""
    hold: str | None = None
    """Why nothing more of its backlog is sent, if so."""
    workflow: SentWorkflow | None = None
    """What the launchpad holds of it."""

    @property
    def last_result(self) -> EndingRow | None:
        """The last ending that was not a cancellation."""
        for one in (self.item["ending"], *reversed(self.item["earlier"])):
            if one is not None and one["kind"] != EndingKind.CANCELLED:
                return one
        return None


@dataclass(frozen=True)
class Dispatched:
    """The backlogs that a campaign's candidates may stand in, with the launchpad."""

    campaign: str
    """The campaign."""
    submissions: Mapping[str, SubmissionRow]
    """Campaign → how it is sent, of every campaign that was read."""
    items: Mapping[str, list[BacklogItemRow]]
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
        submissions = {
            doc["campaign"]: cast("SubmissionRow", doc)
            for doc in stores.submissions.query(scope)
        }
        blocks = sorted(
            stores.backlog.query(scope), key=lambda doc: (doc["campaign"], doc["block"])
        )
        items: dict[str, list[BacklogItemRow]] = {}
        for block in blocks:
            items.setdefault(block["campaign"], []).extend(block["items"])
        beside = launchpad_beside(stores)
        workflows: dict[str, SentWorkflow] = {}
        for name in items:
            workflows |= read_workflows(beside, name)
        controls = {one.worker: one for one in read_worker_controls(stores)}
        return cls(campaign, submissions, items, workflows, controls)

    @property
    def own(self) -> list[BacklogItemRow]:
        """The campaign's own backlog."""
        return self.items.get(self.campaign, [])

    @property
    def submission(self) -> SubmissionRow | None:
        """How the campaign is sent, if it was submitted."""
        return self.submissions.get(self.campaign)

    @property
    def workers(self) -> tuple[str, ...]:
        """The workers that the campaign is sent to."""
        submission = self.submission
        if submission is None:
            return ()
        routes = submission.get("routes", {}).values()
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
                submission = self.submissions.get(name)
                hold = submission["hold"] if submission else None
                for item in self.items.get(name, ()):
                    known = self._records.get(item["content_key"])
                    if name == self.campaign or not known or known.item["ending"]:
                        workflow = self.workflows.get(item["dispatch_id"] or "")
                        self._records[item["content_key"]] = DispatchRecord(
                            name, item, hold, workflow
                        )
        return self._records.get(key)


def single_failures(endings: Iterable[EndingRow]) -> list[EndingRow]:
    """Leave, of the candidates that were lost with one chunk, the last."""
    found: dict[tuple[int | None, int], EndingRow] = {}
    for number, one in enumerate(endings):
        chunk = one.get("lost_with")
        found[chunk, number if chunk is None else 0] = one
    return list(found.values())
