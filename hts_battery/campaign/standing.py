"""Where each candidate of a campaign stands: derived by one function, never stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hts_battery.campaign.local_run import released_ids
from hts_battery.connections.executions import read_executions
from hts_battery.flows.calculated import Calculated, read_calculated
from hts_battery.schemas.execution import Outcome
from hts_battery.schemas.state import CandidateState

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.campaign.campaign_file import Campaign
    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.campaign import GateSpec
    from hts_battery.schemas.candidate import CandidateDoc


@dataclass(frozen=True)
class Standing:
    """Where one candidate of a campaign stands, and why."""

    candidate: CandidateDoc
    state: CandidateState
    reason: str | None
    failed_orderings: int = 0
    """Orderings that failed, where others of the candidate did not."""


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
    known = _Known.read(campaign, stores, execution_folder)
    found = []
    for _, candidate in campaign.members():
        key = campaign.key(candidate)
        state, reason = known.state(candidate.candidate_id, key)
        failed = len(known.calculated.get(key, _NOTHING).failed)
        found.append(
            Standing(
                candidate,
                state,
                reason,
                0 if state is CandidateState.FAILED else failed,
            )
        )
    return found


_NOTHING = Calculated()


@dataclass(frozen=True)
class _Known:
    """What the database and the record say of every candidate of a campaign."""

    gate: GateSpec | None
    members: set[str]
    released: set[str]
    ranked: set[str]
    unjudged: dict[str, str]
    entries: dict[str, list[str | None]]
    calculated: dict[str, Calculated]
    running: set[str]

    @classmethod
    def read(cls, campaign: Campaign, stores: Stores, execution_folder: Path) -> _Known:
        name = campaign.spec.name
        scope = {"campaign": name}
        entries: dict[str, list[str | None]] = {}
        for doc in stores.entries.query(
            {"kind": "candidate"}, properties=["content_key", "reason"]
        ):
            entries.setdefault(doc["content_key"], []).append(doc["reason"])
        return cls(
            gate=campaign.spec.gate,
            members=set(stores.members.distinct("candidate_id", scope)),
            released=released_ids(name, stores),
            ranked=set(stores.summary.distinct("candidate_id", scope)),
            unjudged={
                doc["candidate_id"]: doc["error"]
                for doc in stores.thermo.query(
                    {**scope, "state": "failed"}, properties=["candidate_id", "error"]
                )
            },
            entries=entries,
            calculated=read_calculated(stores),
            running={
                execution.start.content_key
                for execution in read_executions(execution_folder).executions
                if execution.outcome is Outcome.RUNNING and execution.start.content_key
            },
        )

    def state(self, candidate_id: str, key: str) -> tuple[CandidateState, str | None]:
        """Say where a candidate stands; the first that applies."""
        known = self.calculated.get(key, _NOTHING)
        entries = self.entries.get(key, [])
        incomplete = bool(known.finished) and not known.is_complete
        rejected = bool(entries) and None not in entries
        failed = _failure(known)
        answers = (
            (candidate_id not in self.members, CandidateState.DECLARED, None),
            (key in self.running, CandidateState.RUNNING, None),
            (incomplete, CandidateState.WAITING, _share(known)),
            (rejected, CandidateState.REJECTED, next(iter(entries), None)),
            (
                candidate_id in self.unjudged,
                CandidateState.UNJUDGED,
                self.unjudged.get(candidate_id),
            ),
            (
                bool(entries) and candidate_id in self.ranked,
                CandidateState.RANKED,
                failed,
            ),
            (bool(known.finished), CandidateState.COMPUTED, failed),
            (bool(known.failures), CandidateState.FAILED, failed),
        )
        for applies, state, reason in answers:
            if applies:
                return state, reason
        gate = None if candidate_id in self.released else self.gate
        if gate is not None and known.is_gated(gate):
            return CandidateState.GATED, known.gate_reason(gate)
        return CandidateState.WAITING, None


def _failure(known: Calculated) -> str | None:
    """Say what went wrong first, and with how many orderings."""
    if not known.failures:
        return None
    first = known.failures[0]
    text = f"{first['error_class']}: {first['error_message']}"
    if not known.finished:
        return text
    failed = len(known.failed)
    return f"{failed} of {failed + len(known.finished)} orderings failed: {text}"


def _share(known: Calculated) -> str:
    done = len(known.finished) + len(known.failed)
    return f"{done} of {known.n_orderings} orderings computed"
