"""What the feeder decides, branch by branch: no database, no launchpad."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from hts_battery.connections.launchpad.workflows import SentWorkflow
from hts_battery.dispatch.collection import collected
from hts_battery.dispatch.decide import (
    Cancel,
    Collect,
    End,
    InsertAgain,
    PutBack,
    RecordNumbers,
    StopAtBudget,
    StopSteps,
    Submit,
    decide_collection,
    decide_control,
    decide_sending,
    predicted,
)
from hts_battery.dispatch.snapshot import Ended, Prepared, Snapshot
from hts_battery.errors import MissingReferenceError
from hts_battery.flows.recipes.calculated import Calculated, _Ordered
from hts_battery.schemas.archive import (
    ArchivedFirework,
    ArchivedLaunch,
    ArchivedWorkflow,
)
from hts_battery.schemas.campaign import (
    CampaignSpec,
    GateSpec,
    PrerelaxSpec,
    candidate_key,
)
from hts_battery.schemas.dispatch import (
    BacklogItem,
    ChunkEntry,
    ChunkReport,
    DispatchMode,
    Ending,
    EndingKind,
    Hold,
    PlannedAction,
    Submission,
)
from hts_battery.schemas.failure import FailureClass
from hts_battery.schemas.structure import OrderingMethod

if TYPE_CHECKING:
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.schemas.candidate import CandidateDoc

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
RANDOM = OrderingMethod("random")
ONE = {RANDOM: 1}
SPEC = CampaignSpec.model_validate(
    {
        "name": "small",
        "space": "space.yaml",
        "selection": {"method": "formulas", "formulas": ["Li1.2Mn0.4Ti0.4O2"]},
        "structure": {"n_orderings": {"random": 1}},
    }
)
GATED = SPEC.model_copy(
    update={"prerelax": PrerelaxSpec(), "gate": GateSpec(energy_above_hull=0.05)}
)
CANCELLED, PAUSED = Hold.CANCELLED, Hold.PAUSED
HOUR = 3600.0


def item(key: str, dispatch_id: str | None = None, **fields: object) -> BacklogItem:
    sent = {} if dispatch_id is None else {"fw_id": 1, "asked": ONE, "asked_steps": 500}
    values = {"candidate_id": f"c-{key}", "formula": "LiF", **sent, **fields}
    return BacklogItem(content_key=key, dispatch_id=dispatch_id, **values)


def ending(kind: EndingKind, **fields: object) -> Ending:
    return Ending(kind=kind, time=NOW, **fields)


def launch(**fields: object) -> ArchivedLaunch:
    return ArchivedLaunch(launch_id=1, fw_id=1, state="COMPLETED", **fields)


def sent(dispatch_id: str, *states: str, **fields: object) -> SentWorkflow:
    return SentWorkflow(dispatch_id, "small", 1, dict(enumerate(states, 1)), **fields)


def snapshot(
    items: tuple[BacklogItem, ...] = (),
    workflows: tuple[SentWorkflow, ...] = (),
    *,
    spec: CampaignSpec = SPEC,
    released: frozenset[str] = frozenset(),
    **options: object,
) -> Snapshot:
    options = {"mode": DispatchMode.CHUNKS, "chunk": 1, "window": 10, **options}
    submission = Submission(
        campaign="small", worker="here", time=NOW, host="here", **options
    )
    known = {one.dispatch_id: one for one in workflows}
    return Snapshot(submission, spec, NOW, items, known, released=released)


RAN = (launch(started=NOW, seconds=HOUR),)
WAITING_STEP = sent("a", "COMPLETED", "WAITING", launches=RAN)
PAUSED_STEP = sent("a", "COMPLETED", "PAUSED", launches=RAN)
READY = sent("a", "READY")
BROKEN = sent("a", "COMPLETED", "DELETED", launches=RAN)
EMPTY = sent("a", "DELETED")
SENT = (item("k", "a"),)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (snapshot(), []),
        (snapshot(SENT, (READY,)), []),
        (snapshot(SENT, (READY,), hold=PAUSED), ["take back"]),
        (snapshot(SENT, (READY,), hold=CANCELLED), ["take back"]),
        (snapshot(SENT, (sent("a", "DEFUSED"),), hold=PAUSED), []),
        (snapshot(SENT, (sent("a", "READY", "WAITING"),), hold=PAUSED), []),
        (snapshot(SENT, (sent("a", "RUNNING"),), hold=CANCELLED), []),
        (snapshot(SENT, (WAITING_STEP,)), []),
        (snapshot(SENT, (WAITING_STEP,), hold=PAUSED), ["stop steps"]),
        (snapshot(SENT, (PAUSED_STEP,), hold=PAUSED), []),
        (snapshot(SENT, (PAUSED_STEP,), hold=CANCELLED), ["stop steps"]),
        (snapshot(SENT, (PAUSED_STEP,)), ["resume steps"]),
        (snapshot(SENT, (BROKEN,)), ["repair"]),
        (snapshot(SENT, (BROKEN,), hold=CANCELLED), ["repair"]),
        (snapshot(SENT), ["remove orphaned"]),
        (snapshot(SENT, (EMPTY,)), ["remove orphaned"]),
        (snapshot((), (EMPTY,)), ["remove orphaned"]),
        (snapshot((item("k", "a", fw_id=None),), (READY,)), ["remove orphaned"]),
        (snapshot(SENT, (WAITING_STEP,), budget=2.0), []),
        (
            snapshot(SENT, (WAITING_STEP,), budget=1.0),
            ["stop at budget", "stop steps"],
        ),
        (snapshot(SENT, (READY,), budget=0.0), ["stop at budget", "take back"]),
        (snapshot(SENT, (READY,), budget=0.0, hold=PAUSED), ["take back"]),
        (
            snapshot((), (BROKEN, sent("b", "DELETED")), budget=0.0),
            ["repair", "remove orphaned", "stop at budget"],
        ),
    ],
)
def test_control(picture: Snapshot, expected: list[str]) -> None:
    assert [one.planned.action for one in decide_control(picture)] == expected


def test_what_a_held_campaign_stops() -> None:
    (paused,) = decide_control(snapshot(SENT, (WAITING_STEP,), hold=PAUSED))
    (cancelled,) = decide_control(snapshot(SENT, (WAITING_STEP,), hold=CANCELLED))
    assert isinstance(paused, StopSteps)
    assert isinstance(cancelled, StopSteps)
    assert (paused.state, cancelled.state) == ("PAUSED", "DEFUSED")
    (held, _) = decide_control(snapshot(SENT, (WAITING_STEP,), budget=0.5))
    assert isinstance(held, StopAtBudget)
    assert (held.submission.hold, held.spent) == (Hold.BUDGET, 1.0)
    assert predicted(snapshot(), [held]).submission.hold is Hold.BUDGET


def test_node_hours_are_those_of_every_ending_and_of_what_is_in_hand() -> None:
    spent = [ending(EndingKind.FAILED, node_hours=hours) for hours in (1.0, 2.0)]
    items = (item("k", "a"), item("l", "b", ending=spent[0], earlier=(spent[1],)))
    workflows = (WAITING_STEP, sent("b", "COMPLETED", launches=RAN))
    assert snapshot(items, workflows, nodes=4).node_hours == 1.0 + 2.0 + 4.0


ENDED = ending(EndingKind.COMPUTED)
TAKEN = ending(EndingKind.CANCELLED)


@pytest.mark.parametrize(
    ("picture", "room"),
    [
        (snapshot(), 10),
        (snapshot(chunk=3), 30),
        (snapshot(hold=PAUSED), 0),
        (snapshot(SENT, (WAITING_STEP,), window=3), 1),
        (snapshot(SENT, (WAITING_STEP,), window=1), 0),
        (snapshot(SENT, window=3), 2),
        (replace(snapshot(window=3), inserted=2), 1),
        (snapshot(SENT, (READY,), max_candidates=3), 2),
        (snapshot((item("k", "a", ending=ENDED),), max_candidates=3), 2),
        (snapshot((item("k", "a", ending=TAKEN),), max_candidates=3), 3),
        (snapshot(SENT, (READY,), max_candidates=0), 0),
    ],
)
def test_room(picture: Snapshot, room: int) -> None:
    assert picture.room == room


# What is written down and collected


def test_a_number_that_nobody_wrote_down() -> None:
    picture = snapshot((item("k", "a", fw_id=None),), (READY,))
    (action,) = decide_collection(picture, Ended())
    assert isinstance(action, RecordNumbers)
    assert [one.fw_id for one in action.items] == [1]


@pytest.mark.parametrize(
    ("asked", "hold", "is_put_back"),
    [(ONE, None, False), (ONE, PAUSED, True), ({RANDOM: 2}, None, True)],
)
def test_what_is_missing_waits_again(
    asked: dict[OrderingMethod, int], hold: Hold | None, is_put_back: bool
) -> None:
    picture = snapshot((item("k", "a", asked=asked, retry=True),), hold=hold)
    actions = decide_collection(picture, Ended())
    assert [type(one) for one in actions] == [PutBack] * is_put_back
    for action in actions:
        assert action.planned == PlannedAction(
            action="put back", workflows=1, candidates=1
        )
        (waiting,) = predicted(picture, actions).waiting
        assert (waiting.dispatch_id, waiting.retry) == (None, True)


def archived(
    *states: str, step: str | None = "chunk", error: str | None = None, **fields: object
) -> ArchivedWorkflow:
    fireworks = tuple(
        ArchivedFirework(fw_id=number, name="f", state=state, step=step)
        for number, state in enumerate(states, 1)
    )
    launches = (launch(seconds=HOUR, error=error),)
    values = {"dispatch_id": "a", "launches": launches, **fields}
    return ArchivedWorkflow(
        fw_id=1,
        campaign="small",
        name="w",
        state="COMPLETED",
        archived=NOW,
        fireworks=fireworks,
        **values,
    )


def calculated(**fields: object) -> Calculated:
    made = [_Ordered("uuid", "1", {"random": 1}, {"random": ["o1"]})]
    return Calculated(**{"n_orderings": 1, "ordered": made, **fields})


DONE = calculated(finished={"o1"})
OPEN = calculated()
BROKE = {"step": "relax", "ordering_id": "o1", "error_class": "builtins.OSError"}
FAILED = calculated(failures=(BROKE,))
GIVEN_UP = "Traceback:\n  File x\nhts_battery.errors.CalculationError: no more"
OUT_OF_MEMORY = "Traceback:\n  File x\nMemoryError: too large"
UNKNOWN = "Traceback:\n  File x\nValueError: what"
TRIED = tuple(
    ending(EndingKind.FAILED, failure_class=FailureClass.OUT_OF_MEMORY)
    for _ in range(4)
)


@dataclass
class Case:
    """A workflow that is over, and what comes of its only candidate."""

    name: str
    workflow: ArchivedWorkflow
    kind: EndingKind
    known: Calculated | None = None
    again: bool = False
    stored: int | None = None
    """Failures that are stored; none leaves what is stored."""
    one: BacklogItem = SENT[0]
    hold: Hold | None = None
    spec: CampaignSpec = SPEC


COMPUTED, FAILURE, TAKEN_BACK = (
    EndingKind.COMPUTED,
    EndingKind.FAILED,
    EndingKind.CANCELLED,
)
RETRIED = item("k", "a", retry=True)
CASES = [
    Case("done", archived("COMPLETED", step="relax"), COMPUTED, DONE),
    Case("without an error", archived("COMPLETED"), FAILURE, OPEN, stored=1),
    Case("nothing known", archived("COMPLETED"), FAILURE, stored=1),
    Case(
        "failed with a remedy",
        archived("FIZZLED", error=OUT_OF_MEMORY),
        FAILURE,
        OPEN,
        again=True,
    ),
    Case("process gone", archived("FIZZLED", launches=()), FAILURE, OPEN, again=True),
    Case(
        "remedies used up",
        archived("FIZZLED", error=OUT_OF_MEMORY),
        FAILURE,
        OPEN,
        stored=1,
        one=item("k", "a", earlier=TRIED),
    ),
    Case("no remedy", archived("FIZZLED", error=UNKNOWN), FAILURE, OPEN, stored=1),
    Case("given up", archived("FIZZLED", error=GIVEN_UP), FAILURE, OPEN, stored=1),
    Case(
        "finished before its chunk was lost",
        archived("FIZZLED", error=UNKNOWN),
        COMPUTED,
        DONE,
    ),
    Case(
        "a step failed beside a finished one",
        archived("FIZZLED", step="relax", error=UNKNOWN),
        COMPUTED,
        DONE,
        stored=1,
    ),
    Case("taken back", archived("DEFUSED"), TAKEN_BACK, OPEN, again=True),
    Case("cancelled", archived("DEFUSED"), TAKEN_BACK, OPEN, hold=CANCELLED),
    Case(
        "deleted by hand",
        archived("FIZZLED", "DEFUSED", step=None, error=UNKNOWN),
        TAKEN_BACK,
        OPEN,
        again=True,
    ),
    Case("failed before", archived("COMPLETED"), FAILURE, FAILED),
    Case(
        "tried again and done",
        archived("COMPLETED"),
        COMPUTED,
        calculated(finished={"o1"}, failures=(BROKE,)),
        stored=0,
        one=RETRIED,
    ),
    Case(
        "more is asked for",
        archived("COMPLETED"),
        COMPUTED,
        DONE,
        again=True,
        spec=SPEC.model_copy(
            update={
                "structure": SPEC.structure.model_copy(
                    update={"n_orderings": {RANDOM: 2}}
                )
            }
        ),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_came_of_a_workflow(case: Case) -> None:
    known = {} if case.known is None else {"k": case.known}
    picture = snapshot((case.one,), hold=case.hold, spec=case.spec)
    found = collected(case.workflow, [case.one], None, known, picture)["k"]
    assert (found.ending.kind, found.again) == (case.kind, case.again)
    stored = None if found.failures is None else len(found.failures)
    assert stored == case.stored


@pytest.mark.parametrize("earlier", [(), TRIED])
@pytest.mark.parametrize("step", ["chunk", "relax"])
def test_what_was_lost_with_its_chunk_says_so(
    step: str, earlier: tuple[Ending, ...]
) -> None:
    """Whether it is sent again or was so for the last time: one run has failed."""
    lost = archived("FIZZLED", step=step, error=OUT_OF_MEMORY)
    one = item("k", "a", earlier=earlier)
    found = collected(lost, [one], None, {"k": OPEN}, snapshot((one,)))["k"]
    assert found.again is not bool(earlier)
    assert found.ending.lost_with == (1 if step == "chunk" else None)


def test_a_report_says_what_came_of_a_chunk_and_shares_its_cost() -> None:
    entries = {
        "k": ChunkEntry(kind=COMPUTED, seconds=30.0),
        "l": ChunkEntry(kind=FAILURE, failures=(BROKE,), seconds=10.0),
    }
    report = ChunkReport(entries=entries, seconds=40.0, folder="here:/f")
    items = (item("k", "a"), item("l", "a"))
    picture = snapshot(items, (sent("a", "COMPLETED", launches=RAN),), nodes=2)
    ended = Ended((archived("COMPLETED"),), {"a": report})
    (action,) = decide_collection(picture, ended)
    assert isinstance(action, Collect)
    endings = [one.ending for one in action.items]
    assert [one and one.kind for one in endings] == [COMPUTED, FAILURE]
    assert [one and one.node_hours for one in endings] == [1.5, 0.5]
    assert action.failures == {"k": (), "l": (BROKE,)}
    left = predicted(picture, [action])
    assert (left.fireworks, left.in_hand, left.waiting) == (0, {}, ())


def test_endings_that_were_written_before_a_kill_are_left_alone() -> None:
    picture = snapshot((item("k", "a", ending=ENDED),), (READY,))
    (action,) = decide_collection(picture, Ended((archived("COMPLETED"),)))
    assert action.items == ()
    assert len(action.workflows) == 1


def test_fifty_workflows_are_collected_at_once() -> None:
    names = [str(number) for number in range(51)]
    items = tuple(item(name, name) for name in names)
    picture = snapshot(items, tuple(sent(name, "DEFUSED") for name in names))
    over = tuple(archived("DEFUSED", dispatch_id=n, launches=()) for n in names)
    actions = decide_collection(picture, Ended(over))
    assert [len(one.workflows) for one in actions] == [50, 1]
    assert len(predicted(picture, actions).waiting) == 51


# What is sent


@pytest.fixture
def candidate(small_campaign: Campaign) -> CandidateDoc:
    return next(one for _, one in small_campaign.members())


class NoHulls:
    """A gate that lacks the phases of an element."""

    def snapshot(self, _: CandidateDoc) -> None:
        raise MissingReferenceError("Li-O", {"O"})


@dataclass
class Waiting:
    """A picture with candidates that wait, and what is known of them."""

    candidate: CandidateDoc
    known: Calculated | None = None
    spec: CampaignSpec = SPEC
    hulls: Any = None

    @property
    def key(self) -> str:
        return candidate_key(self.candidate, self.spec.calculation)

    def one(self, dispatch_id: str | None = None, **fields: object) -> BacklogItem:
        values = {"candidate_id": self.candidate.candidate_id, **fields}
        return item(str(values.pop("key", self.key)), dispatch_id, **values)

    def decide(self, picture: Snapshot, *waiting: BacklogItem) -> list[Any]:
        known = {} if self.known is None else {self.key: self.known}
        candidates = {self.candidate.candidate_id: self.candidate}
        prepared = Prepared(waiting, candidates, known, self.hulls)
        return decide_sending(picture, prepared)


def test_a_waiting_candidate_is_sent_as_the_same_dispatch_however_often_decided(
    candidate: CandidateDoc,
) -> None:
    case = Waiting(candidate)
    picture = snapshot((item("ended", "z", ending=ENDED), case.one()))
    (action,) = case.decide(picture, case.one())
    assert isinstance(action, Submit)
    assert action == case.decide(picture, case.one())[0]
    assert (action.numbers, action.planned.candidates) == ((2,), 1)
    left = predicted(picture, [action])
    (name,) = left.in_hand
    assert (left.fireworks, left.waiting, left.items[1].asked) == (1, (), ONE)
    later = replace(picture, now=datetime.now(UTC))
    (other,) = case.decide(later, case.one())
    assert other.items[0].dispatch_id != name


@pytest.mark.parametrize(
    ("count", "chunk", "sizes"), [(5, 2, [3]), (101, 2, [50, 1]), (51, 1, [50, 1])]
)
def test_chunks_and_how_many_at_once(
    candidate: CandidateDoc, count: int, chunk: int, sizes: list[int]
) -> None:
    case = Waiting(candidate)
    actions = case.decide(snapshot((case.one(),), chunk=chunk), *[case.one()] * count)
    assert [len(one.workflows) for one in actions] == sizes
    assert sum(len(one.items) for one in actions) == count


@pytest.mark.parametrize(
    ("known", "fields", "spec", "released", "expected"),
    [
        (None, {}, SPEC, False, None),
        (OPEN, {}, SPEC, False, None),
        (DONE, {}, SPEC, False, COMPUTED),
        (FAILED, {}, SPEC, False, FAILURE),
        (FAILED, {"retry": True}, SPEC, False, None),
        (DONE, {"key": "of another file"}, SPEC, False, TAKEN_BACK),
        (None, {"key": "of another file"}, SPEC, False, TAKEN_BACK),
        ("gated", {}, GATED, False, EndingKind.GATED),
        ("gated", {}, GATED, True, None),
    ],
)
def test_who_is_settled_unsent(
    candidate: CandidateDoc,
    known: Calculated | str | None,
    fields: dict[str, Any],
    spec: CampaignSpec,
    released: bool,
    expected: EndingKind | None,
) -> None:
    if known == "gated":
        verdict = {"energy_above_hull_0k": 1.0, "entropy": 0.0}
        verdict["energies_per_atom"] = {"o1": -1.0}  # type: ignore[assignment]
        known = calculated(verdict=verdict)
    assert not isinstance(known, str)
    case = Waiting(candidate, known, spec)
    waiting = case.one(**fields)
    names = frozenset({candidate.candidate_id} if released else ())
    picture = snapshot((waiting,), spec=spec, released=names)
    (action,) = case.decide(picture, waiting)
    assert isinstance(action, Submit if expected is None else End)
    if expected is not None:
        assert action.items[0].ending.kind is expected
        assert action.failures == {}


def test_a_candidate_without_competing_phases_fails_at_the_gate(
    candidate: CandidateDoc,
) -> None:
    case = Waiting(candidate, calculated(failures=()), GATED, NoHulls())
    picture = snapshot((case.one(),), spec=GATED)
    (action,) = case.decide(picture, case.one())
    assert isinstance(action, End)
    (failure,) = action.failures[case.key]
    assert failure["step"] == "gate"
    assert action.items[0].ending
    assert action.items[0].ending.kind is FAILURE
    # What was sent and is missing waits again first: it is settled the next time.
    missing = snapshot((case.one("a"),), spec=GATED)
    assert [type(one) for one in case.decide(missing)] == [PutBack]


def test_what_is_missing_is_inserted_again_as_the_same_dispatch(
    candidate: CandidateDoc,
) -> None:
    case = Waiting(candidate)
    picture = snapshot((case.one("a"),))
    (action,) = case.decide(picture)
    assert isinstance(action, InsertAgain)
    assert [one.dispatch_id for one in action.items] == ["a"]
    assert predicted(picture, [action]).fireworks == 1


def test_what_is_missing_and_not_in_the_file_any_more_waits_again(
    candidate: CandidateDoc,
) -> None:
    case = Waiting(candidate)
    (action,) = case.decide(snapshot((case.one("a", key="of another file"),)))
    assert isinstance(action, PutBack)
    assert action.items[0].dispatch_id is None


@pytest.mark.parametrize(
    ("hold", "expected"),
    [(CANCELLED, [Cancel]), (PAUSED, []), (Hold.BUDGET, []), (None, [])],
)
def test_a_held_campaign_sends_nothing(
    hold: Hold | None, expected: list[type[Cancel]]
) -> None:
    picture = snapshot((item("k"),), hold=hold)
    actions = decide_sending(picture, Prepared())
    assert [type(one) for one in actions] == expected
    for one in actions:
        assert one.items[0].ending == TAKEN
    assert decide_sending(snapshot(hold=CANCELLED), Prepared()) == []
