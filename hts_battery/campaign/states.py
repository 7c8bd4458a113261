"""Where each candidate of a campaign stands: derived by one function, never stored."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from hts_battery.campaign.built_states import read_judged
from hts_battery.campaign.dispatched import Dispatched
from hts_battery.campaign.local_run import released_ids
from hts_battery.connections.records.executions import running_keys
from hts_battery.flows.recipes.calculated import Calculated, read_calculated
from hts_battery.schemas.state import CandidateState

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.campaign.dispatched import Place
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import GateSpec
    from hts_battery.schemas.candidate import CandidateDoc

Answer = tuple[CandidateState, str | None]
"""A state, and why."""
_UNDER_WAY = frozenset(
    {CandidateState.QUEUED, CandidateState.RUNNING, CandidateState.RETURNED}
)


class Outcome(Enum):
    """What has come of a calculation, whoever made it."""

    NOTHING = "nothing"
    """Nothing is known of it."""
    PARTLY = "partly"
    """Some of its orderings have an energy or a failure, others nothing."""
    COMPUTED = "computed"
    """Every ordering has an energy or a recorded failure, one at least an energy."""
    FAILED = "failed"
    """Nothing has an energy, and something failed."""
    GATED = "gated"
    """It did not pass the gate and was not released."""


@dataclass(frozen=True)
class Facts:
    """Everything that decides where one candidate stands."""

    is_member: bool = True
    """Whether the database has it as a member of the campaign."""
    runs_here: bool = False
    """Whether a process of this host computes it now."""
    sent: CandidateState | None = None
    """Where its dispatch stands; none where it has none, or one that ended."""
    sent_reason: str | None = None
    outcome: Outcome = Outcome.NOTHING
    outcome_reason: str | None = None
    judged: CandidateState | None = None
    """What the builders said; none where nothing."""
    judged_reason: str | None = None


def state_of(facts: Facts) -> Answer:
    """
    Say where a candidate stands: the first that applies.

    The one function that does so. What is under way outweighs what was, because it
    will change it; what the builders said outweighs what they said it of.

    Parameters
    ----------
    facts
        What is known of the candidate.

    Examples
    --------
    >>> state_of(Facts(outcome=Outcome.FAILED, outcome_reason="no licence"))
    (<CandidateState.FAILED: 'failed'>, 'no licence')
    >>> state_of(Facts(outcome=Outcome.FAILED, sent=CandidateState.QUEUED))[0]
    <CandidateState.QUEUED: 'queued'>
    """
    sent = facts.sent or CandidateState.WAITING, facts.sent_reason
    outcome = facts.outcome
    is_open = facts.sent not in {None, CandidateState.CANCELLED}
    answers: tuple[tuple[bool, CandidateState, str | None], ...] = (
        (not facts.is_member, CandidateState.DECLARED, None),
        (facts.runs_here, CandidateState.RUNNING, None),
        (facts.sent in _UNDER_WAY, *sent),
        (outcome is Outcome.PARTLY, sent[0], facts.outcome_reason),
        (
            facts.judged is not None,
            facts.judged or CandidateState.RANKED,
            facts.judged_reason or facts.outcome_reason,
        ),
        (
            outcome is Outcome.COMPUTED,
            CandidateState.COMPUTED,
            facts.outcome_reason,
        ),
        (is_open, *sent),
        (outcome is Outcome.FAILED, CandidateState.FAILED, facts.outcome_reason),
        (outcome is Outcome.GATED, CandidateState.GATED, facts.outcome_reason),
    )
    for applies, state, reason in answers:
        if applies:
            return state, reason
    return sent


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
    Derive the state of every candidate of a campaign from every output there is.

    :func:`hts_battery.campaign.status.count_states` answers sooner for a campaign that
    was submitted.

    Parameters
    ----------
    campaign
        The campaign.
    stores
        Open stores.
    execution_folder
        Folder of the execution record.
    """
    name, gate = campaign.spec.name, campaign.spec.gate
    wanted = campaign.spec.structure.n_orderings
    members = set(stores.members.distinct("candidate_id", {"campaign": name}))
    released = released_ids(name, stores)
    judged = read_judged(stores, name)
    # Before the outputs: what ends in between is then seen to have ended.
    running = running_keys(execution_folder)
    dispatched = Dispatched.read(stores, name, everywhere=True)
    calculated = read_calculated(stores)
    found = []
    for _, candidate in campaign.members():
        one = candidate.candidate_id
        key = campaign.key(candidate)
        known = calculated.get(key, _NOTHING).asked_for(wanted)
        outcome, why = outcome_of(known, None if one in released else gate)
        sent, sent_reason = sent_of(dispatched.place(key))
        said, said_reason = judged.state(one, key)
        state, reason = state_of(
            Facts(
                is_member=one in members,
                runs_here=key in running,
                sent=sent,
                sent_reason=sent_reason,
                outcome=outcome,
                outcome_reason=why,
                judged=said,
                judged_reason=said_reason,
            )
        )
        failed = 0 if state is CandidateState.FAILED else len(known.failed)
        found.append(Standing(candidate, state, reason, failed))
    return found


_NOTHING = Calculated()


def sent_of(place: Place | None) -> tuple[CandidateState | None, str | None]:
    """Say where the dispatch of a candidate stands; no state where it has none."""
    return (None, None) if place is None else place.state


def outcome_of(known: Calculated, gate: GateSpec | None) -> tuple[Outcome, str | None]:
    """
    Say what has come of a calculation by its outputs and failures.

    Parameters
    ----------
    known
        What is stored of it.
    gate
        The gate that it must pass; none where there is none or it was released.
    """
    if known.finished:
        if not known.is_complete:
            return Outcome.PARTLY, _share(known)
        return Outcome.COMPUTED, _failure(known)
    if known.failures:
        return Outcome.FAILED, _failure(known)
    if gate is not None and known.is_gated(gate):
        return Outcome.GATED, known.gate_reason(gate)
    return Outcome.NOTHING, None


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
    if known.n_orderings is None:
        return f"{done} orderings computed, more are asked for"
    return f"{done} of {known.n_orderings} orderings computed"
