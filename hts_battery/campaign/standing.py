"""Where each candidate of a campaign stands: derived by one function, never stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hts_battery.campaign.local_run import finished_keys
from hts_battery.connections.executions import read_executions
from hts_battery.schemas.execution import Outcome
from hts_battery.schemas.state import CandidateState

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.campaign.campaign_file import Campaign
    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.candidate import CandidateDoc


@dataclass(frozen=True)
class Standing:
    """Where one candidate of a campaign stands, and why."""

    candidate: CandidateDoc
    state: CandidateState
    reason: str | None


def standings(
    campaign: Campaign, stores: Stores, *, execution_folder: Path
) -> list[Standing]:
    """
    Derive the state of every candidate of a campaign.

    The one function that does so, from candidates, the execution record, tasks,
    entries and thermo.

    Parameters
    ----------
    campaign
        The campaign.
    stores
        Open stores.
    execution_folder
        Folder of the execution record.
    """
    known = _Known.read(campaign.spec.name, stores, execution_folder)
    return [
        Standing(
            candidate, *known.state(candidate.candidate_id, campaign.key(candidate))
        )
        for _, candidate in campaign.members()
    ]


@dataclass(frozen=True)
class _Known:
    """What the database and the record say of every candidate of a campaign."""

    members: set[str]
    ranked: set[str]
    unjudged: dict[str, str]
    entries: dict[str, str | None]
    finished: set[str]
    running: set[str]
    failures: dict[str, str]

    @classmethod
    def read(cls, name: str, stores: Stores, execution_folder: Path) -> _Known:
        scope = {"campaign": name}
        return cls(
            members=set(stores.members.distinct("candidate_id", scope)),
            ranked=set(stores.summary.distinct("candidate_id", scope)),
            unjudged={
                doc["candidate_id"]: doc["error"]
                for doc in stores.thermo.query(
                    {**scope, "state": "failed"}, properties=["candidate_id", "error"]
                )
            },
            entries={
                doc["content_key"]: doc["reason"]
                for doc in stores.entries.query(
                    {"kind": "candidate"}, properties=["content_key", "reason"]
                )
            },
            finished=finished_keys(stores),
            running={
                execution.start.content_key
                for execution in read_executions(execution_folder).executions
                if execution.outcome is Outcome.RUNNING and execution.start.content_key
            },
            failures={
                doc["content_key"]: f"{doc['error_class']}: {doc['error_message']}"
                for doc in stores.failures.query({})
            },
        )

    def state(self, candidate_id: str, key: str) -> tuple[CandidateState, str | None]:
        """Say where a candidate stands; the first that applies."""
        rejected = self.entries.get(key)
        answers = (
            (candidate_id not in self.members, CandidateState.DECLARED, None),
            (key in self.running, CandidateState.RUNNING, None),
            (rejected is not None, CandidateState.REJECTED, rejected),
            (
                candidate_id in self.unjudged,
                CandidateState.UNJUDGED,
                self.unjudged.get(candidate_id),
            ),
            (
                key in self.entries and candidate_id in self.ranked,
                CandidateState.RANKED,
                None,
            ),
            (key in self.finished, CandidateState.COMPUTED, None),
            (key in self.failures, CandidateState.FAILED, self.failures.get(key)),
        )
        for applies, state, reason in answers:
            if applies:
                return state, reason
        return CandidateState.WAITING, None
