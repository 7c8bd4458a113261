"""Where a candidate of a campaign stands: one pure function of what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hts_battery.schemas.dispatch import EndingKind, Hold
from hts_battery.schemas.state import CandidateState

if TYPE_CHECKING:
    from hts_battery.campaign.built_states import BuiltStates
    from hts_battery.campaign.dispatched import DispatchRecord
    from hts_battery.flows.recipes.calculated import Calculated
    from hts_battery.schemas.campaign import GateSpec

StateAndReason = tuple[CandidateState, str | None]
_UNDER_WAY = frozenset(
    {CandidateState.QUEUED, CandidateState.RUNNING, CandidateState.RETURNED}
)


class CandidateRecords(NamedTuple):
    """Everything that decides where one candidate stands."""

    candidate_id: str
    key: str
    """Content key of its calculation."""
    is_member: bool = True
    """Whether the database has it as a member of the campaign."""
    runs_here: bool = False
    """Whether the execution record says that a process of this host computes it."""
    dispatch: DispatchRecord | None = None
    """What backlog and launchpad say of it; none where no backlog has it."""
    calculated: Calculated | None = None
    """What job store and failures say of the orderings that the campaign asks for;
    none where they were not read, because the backlog says how it ended."""
    gate: GateSpec | None = None
    """The gate that it must pass; none where there is none or it was released."""
    built: BuiltStates | None = None
    """What the builders said of the campaign's candidates."""


def candidate_state(records: CandidateRecords) -> StateAndReason:
    """
    Say where a candidate stands, and why.

    The one function that does so. What is under way outweighs what was, because it
    will change it; what the builders said outweighs what they said it of.

    Examples
    --------
    >>> from hts_battery.flows.recipes.calculated import Calculated
    >>> failure = {"error_class": "OSError", "error_message": "no licence"}
    >>> known = Calculated(failures=(failure,))
    >>> candidate_state(CandidateRecords("id", "key", calculated=known))
    (<CandidateState.FAILED: 'failed'>, 'OSError: no licence')
    """
    if not records.is_member:
        return CandidateState.DECLARED, None
    dispatch = _dispatch_state(records)
    if dispatch is not None and dispatch[0] in _UNDER_WAY:
        return dispatch
    calculation = _calculation_state(records)
    ended, why = calculation or (None, None)
    if ended is CandidateState.WAITING:
        return dispatch[0] if dispatch else ended, why
    built = _built_state(records)
    if built is not None:
        return built[0], built[1] or why
    is_open = dispatch is not None and dispatch[0] is not CandidateState.CANCELLED
    if calculation and (ended is CandidateState.COMPUTED or not is_open):
        return calculation
    return dispatch or (CandidateState.WAITING, None)


def _dispatch_state(records: CandidateRecords) -> StateAndReason | None:
    """Say who has a candidate in hand; none where nobody has, or where that ended."""
    record = records.dispatch
    if records.runs_here:
        return CandidateState.RUNNING, None
    if record is None:
        return None
    ending = record.item["ending"]
    if ending is not None:
        cancelled = ending["kind"] == EndingKind.CANCELLED
        return (CandidateState.CANCELLED, None) if cancelled else None
    if record.item["dispatch_id"] is None:
        return _held_state(record.hold)
    return _workflow_state(record)


def _workflow_state(record: DispatchRecord) -> StateAndReason:
    """Say where a candidate stands that was sent."""
    workflow = record.workflow
    if workflow is None:
        if record.item["fw_id"] is None:
            return CandidateState.QUEUED, "being sent"
        return CandidateState.RETURNED, "no longer in the launchpad"
    if workflow.is_over:
        return CandidateState.RETURNED, None
    if "RUNNING" in workflow.states.values():
        return CandidateState.RUNNING, None
    return CandidateState.QUEUED, None


def _held_state(hold: str | None) -> StateAndReason:
    """Say where a candidate stands that was not sent."""
    if hold is None:
        return CandidateState.WAITING, None
    if hold == Hold.CANCELLED:
        return CandidateState.CANCELLED, None
    whys = {
        Hold.BUDGET: "the budget is spent",
        Hold.BRAKE: "the brake holds the campaign",
    }
    return CandidateState.HELD, whys.get(Hold(hold), "the campaign is paused")


def _calculation_state(records: CandidateRecords) -> StateAndReason | None:
    """Say what came of a calculation; waiting where some orderings are missing."""
    known, gate = records.calculated, records.gate
    if known is None:
        ending = records.dispatch and records.dispatch.last_result
        if ending is None or (gate is None and ending["kind"] == EndingKind.GATED):
            return None
        return CandidateState(ending["kind"]), ending["reason"]
    kind = known.ending(gate)
    if kind is None:
        # What used up its steps has more now, whatever the builders said of it.
        return (CandidateState.WAITING, _progress(known)) if known.unconverged else None
    if kind is EndingKind.GATED and gate is not None:
        return CandidateState.GATED, known.gate_reason(gate)
    if kind is EndingKind.COMPUTED and not known.is_complete:
        return CandidateState.WAITING, _progress(known)
    return CandidateState(kind), _failure(known)


def _built_state(records: CandidateRecords) -> StateAndReason | None:
    """Say what the builders made of a candidate; none where nothing."""
    built, name, key = records.built, records.candidate_id, records.key
    if built is None:
        return None
    if key in built.rejected:
        return CandidateState.REJECTED, built.rejected[key]
    if name in built.unjudged:
        return CandidateState.UNJUDGED, built.unjudged[name]
    if name in built.ranked and (built.usable is None or key in built.usable):
        return CandidateState.RANKED, None
    return None


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


def _progress(known: Calculated) -> str:
    """Say how many orderings are done."""
    done = len(known.finished) + len(known.failed)
    if known.unconverged and known.n_orderings is not None:
        return (
            f"{done} of {known.n_orderings} orderings computed, "
            f"{len(known.unconverged)} relaxed on from where they ended"
        )
    if known.n_orderings is None:
        return f"{done} orderings computed, more are asked for"
    return f"{done} of {known.n_orderings} orderings computed"
