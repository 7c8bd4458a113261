"""Every state of a candidate: by a table of what is known, and reached in earnest."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeCountedRelaxMaker, FakeRelaxMaker, fake_reference_energies

from hts_battery.campaign.build import build
from hts_battery.campaign.built_states import BuiltStates
from hts_battery.campaign.dispatched import DispatchRecord
from hts_battery.campaign.local_run import run_candidates
from hts_battery.campaign.references import store_references
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.campaign.states import CandidateRecords, candidate_state
from hts_battery.campaign.status import candidate_statuses
from hts_battery.connections.launchpad.workflows import SentWorkflow
from hts_battery.connections.records.executions import ExecutionRecord
from hts_battery.flows.recipes.calculated import Calculated
from hts_battery.schemas.campaign import GateSpec
from hts_battery.schemas.state import CandidateState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.rows import BacklogItemRow, EndingRow

FAILURE = {"ordering_id": "b", "error_class": "OSError", "error_message": "no licence"}
WHOLE = {**FAILURE, "ordering_id": None}
WORDS = "OSError: no licence"
GATE = GateSpec(energy_above_hull=0.05, temperature=1000)
ABOVE = {"energy_above_hull_0k": 0.2, "entropy": 5e-5}
ABOVE_WORDS = "pre-relaxed E_hull(1000 K) = 150.0 meV/atom is above the gate of 50.0"
RANKED = BuiltStates(ranked=frozenset({"id"}))
UNJUDGED = BuiltStates(ranked=frozenset({"id"}), unjudged={"id": "no Zr"})
REJECTED = BuiltStates(unjudged={"id": "no Zr"}, rejected={"key": "not converged"})

NOTHING = Calculated()
BEGUN = Calculated(n_orderings=2, finished={"a"})
MORE_ASKED = Calculated(finished={"a"})
WHOLLY = Calculated(n_orderings=2, finished={"a", "b"})
PARTLY_FAILED = Calculated(n_orderings=2, finished={"a"}, failures=(FAILURE,))
FAILED = Calculated(n_orderings=2, failures=(WHOLE,))
ABOVE_GATE = Calculated(n_orderings=1, verdict=ABOVE)


def ending(kind: str, reason: str | None = None) -> EndingRow:
    return {
        "kind": kind,
        "reason": reason,
        "failure_class": None,
        "node_hours": 0.0,
        "time": "2026-01-01T00:00:00+00:00",
    }


def dispatch(
    *endings: EndingRow | None,
    hold: str | None = None,
    fw_id: int | None = None,
    fireworks: str | None = None,
    locked: bool = False,
) -> DispatchRecord:
    """Return a record; the last ending is that of the last dispatch."""
    sent = fw_id is not None or fireworks is not None
    workflow = SentWorkflow("d", "small", 1, {1: str(fireworks)}, is_locked=locked)
    item: BacklogItemRow = {
        "content_key": "key",
        "candidate_id": "id",
        "dispatch_id": "d" if sent else None,
        "fw_id": fw_id or None,
        "asked": {"sqs": 2},
        "ending": endings[-1] if endings else None,
        "earlier": [one for one in endings[:-1] if one],
    }
    return DispatchRecord("small", item, hold, workflow if fireworks else None)


COMPUTED_ONCE = ending("computed", "1 of 2 orderings failed: why")
WAITS = dispatch()
PAUSED = dispatch(hold="paused")
RUNS = dispatch(fireworks="RUNNING")
TABLE: dict[str, tuple[dict[str, Any], str, str | None]] = {
    # Nobody has it in hand.
    "not a member": ({"is_member": False, "runs_here": True}, "declared", None),
    "nothing is known": ({}, "waiting", None),
    "nothing is stored": ({"calculated": NOTHING}, "waiting", None),
    # Somebody has.
    "runs here": ({"runs_here": True, "built": RANKED}, "running", None),
    "to be sent": ({"dispatch": WAITS}, "waiting", None),
    "paused": ({"dispatch": PAUSED}, "held", "the campaign is paused"),
    "spent": ({"dispatch": dispatch(hold="budget")}, "held", "the budget is spent"),
    "campaign cancelled": ({"dispatch": dispatch(hold="cancelled")}, "cancelled", None),
    "being sent": ({"dispatch": dispatch(fw_id=0)}, "queued", "being sent"),
    "gone": ({"dispatch": dispatch(fw_id=7)}, "returned", "no longer in the launchpad"),
    "in the queue": ({"dispatch": dispatch(fireworks="READY")}, "queued", None),
    "in a queue job": ({"dispatch": RUNS}, "running", None),
    "over": ({"dispatch": dispatch(fireworks="COMPLETED")}, "returned", None),
    "over, but locked": (
        {"dispatch": dispatch(fireworks="COMPLETED", locked=True)},
        "queued",
        None,
    ),
    # The backlog says how it ended.
    "ended computed": (
        {"dispatch": dispatch(COMPUTED_ONCE)},
        "computed",
        COMPUTED_ONCE["reason"],
    ),
    "ended failed": ({"dispatch": dispatch(ending("failed", "why"))}, "failed", "why"),
    "ended gated": (
        {"dispatch": dispatch(ending("gated")), "gate": GATE},
        "gated",
        None,
    ),
    "ended gated, released": ({"dispatch": dispatch(ending("gated"))}, "waiting", None),
    "taken back": ({"dispatch": dispatch(ending("cancelled"))}, "cancelled", None),
    "computed, then taken back": (
        {"dispatch": dispatch(COMPUTED_ONCE, ending("cancelled"))},
        "computed",
        COMPUTED_ONCE["reason"],
    ),
    "failed, then to be sent again": (
        {"dispatch": dispatch(ending("failed", "why"), None)},
        "waiting",
        None,
    ),
    # The outputs say what came of it.
    "some orderings": (
        {"calculated": BEGUN, "built": RANKED},
        "waiting",
        "1 of 2 orderings computed",
    ),
    "more orderings are asked for": (
        {"calculated": MORE_ASKED},
        "waiting",
        "1 orderings computed, more are asked for",
    ),
    "some orderings, paused": (
        {"calculated": BEGUN, "dispatch": PAUSED},
        "held",
        "1 of 2 orderings computed",
    ),
    "computed": ({"calculated": WHOLLY}, "computed", None),
    "computed, to be sent": (
        {"calculated": WHOLLY, "dispatch": WAITS},
        "computed",
        None,
    ),
    "computed, one failed": (
        {"calculated": PARTLY_FAILED},
        "computed",
        f"1 of 2 orderings failed: {WORDS}",
    ),
    "failed": ({"calculated": FAILED}, "failed", WORDS),
    "failed, to be tried again": (
        {"calculated": FAILED, "dispatch": PAUSED},
        "held",
        "the campaign is paused",
    ),
    "failed, taken back": (
        {"calculated": FAILED, "dispatch": dispatch(ending("cancelled"))},
        "failed",
        WORDS,
    ),
    "gated": ({"calculated": ABOVE_GATE, "gate": GATE}, "gated", ABOVE_WORDS),
    "gated, released": ({"calculated": ABOVE_GATE}, "waiting", None),
    "outputs outweigh the ending": (
        {"calculated": FAILED, "dispatch": dispatch(COMPUTED_ONCE)},
        "failed",
        WORDS,
    ),
    # The builders said something of it.
    "ranked": ({"calculated": WHOLLY, "built": RANKED}, "ranked", None),
    "ranked, one failed": (
        {"calculated": PARTLY_FAILED, "built": RANKED},
        "ranked",
        f"1 of 2 orderings failed: {WORDS}",
    ),
    "ranked, to be sent": ({"dispatch": WAITS, "built": RANKED}, "ranked", None),
    "ranked, under way": ({"dispatch": RUNS, "built": RANKED}, "running", None),
    "unjudged": ({"calculated": WHOLLY, "built": UNJUDGED}, "unjudged", "no Zr"),
    "rejected": (
        {"calculated": WHOLLY, "built": REJECTED},
        "rejected",
        "not converged",
    ),
    "ranked by energies that are gone": (
        {"calculated": WHOLLY, "built": replace(RANKED, usable=frozenset())},
        "computed",
        None,
    ),
    "ranked by energies that are there": (
        {"calculated": WHOLLY, "built": replace(RANKED, usable=frozenset({"key"}))},
        "ranked",
        None,
    ),
    "another one is ranked": (
        {"calculated": WHOLLY, "built": BuiltStates(ranked=frozenset({"other"}))},
        "computed",
        None,
    ),
}


@pytest.mark.parametrize(("known", "state", "reason"), TABLE.values(), ids=list(TABLE))
def test_what_is_known_decides_the_state(
    known: dict[str, Any], state: str, reason: str | None
) -> None:
    found = candidate_state(CandidateRecords("id", "key", **known))
    assert found == (CandidateState(state), reason)


def test_every_state_stands_in_the_table() -> None:
    assert {state for _, state, _ in TABLE.values()} == set(CandidateState)


@pytest.mark.parametrize(
    "calculated", [None, NOTHING, BEGUN, WHOLLY, PARTLY_FAILED, FAILED, ABOVE_GATE]
)
@pytest.mark.parametrize("built", [None, RANKED, UNJUDGED, REJECTED])
@pytest.mark.parametrize("fireworks", ["READY", "RUNNING", "FIZZLED"])
def test_what_is_under_way_outweighs_what_was(
    calculated: Calculated | None, built: BuiltStates | None, fireworks: str
) -> None:
    sent = dispatch(ending("failed", "why"), None, fireworks=fireworks)
    alone = candidate_state(CandidateRecords("id", "key", dispatch=sent))
    assert alone[0] in {"queued", "running", "returned"}
    known = CandidateRecords("id", "key", True, False, sent, calculated, GATE, built)  # noqa: FBT003 - a named tuple
    assert candidate_state(known) == alone


def states(campaign: Campaign, stores: Stores, folder: Path) -> Counter[str]:
    found = candidate_statuses(campaign, stores, execution_folder=folder)
    return Counter(str(one.state) for one in found)


@pytest.mark.mongo
def test_from_declared_to_ranked(
    small_campaign: Campaign, stores: Stores, execution_folder: Path, tmp_path: Path
) -> None:
    def now() -> Counter[str]:
        return states(small_campaign, stores, execution_folder)

    assert now() == {"declared": 2}
    register(small_campaign, stores)
    assert now() == {"waiting": 2}
    run_candidates(
        small_campaign,
        stores,
        launch_folder=tmp_path / "launches",
        execution_folder=execution_folder,
        relax_maker=FakeRelaxMaker(),
    )
    assert now() == {"computed": 2}
    build(small_campaign.spec, stores, temperatures=(0.0,))
    assert now() == {"unjudged": 2}
    store_references(fake_reference_energies(), stores)
    build(small_campaign.spec, stores, temperatures=(0.0,))
    assert now() == {"ranked": 2}


@pytest.mark.mongo
def test_what_runs_now_is_running(
    computed: Campaign, stores: Stores, execution_folder: Path
) -> None:
    _, candidate = next(computed.members())
    record = ExecutionRecord(execution_folder)
    running = record.execution(
        job_uuid="j", name="relax", content_key=computed.key(candidate)
    )
    with running:
        assert states(computed, stores, execution_folder) == {
            "running": 1,
            "computed": 1,
        }
    assert states(computed, stores, execution_folder) == {"computed": 2}


@pytest.mark.mongo
def test_a_rejected_energy_outweighs_an_old_ranking(
    computed: Campaign, stores: Stores, execution_folder: Path
) -> None:
    build(computed.spec, stores, temperatures=(0.0,))
    task = stores.tasks.query_one({"metadata.step": "relax"})
    task["output"]["state"] = "failed"
    stores.tasks.update(task, key=["uuid", "index"])
    build(computed.spec, stores, temperatures=(0.0,), only="entries")
    found = candidate_statuses(computed, stores, execution_folder=execution_folder)
    (rejected,) = [one for one in found if one.state is CandidateState.REJECTED]
    assert rejected.candidate.candidate_id == task["metadata"]["candidate_id"]
    assert rejected.reason == "relaxation not converged after 7 steps"


@pytest.mark.mongo
def test_a_candidate_of_which_some_orderings_failed_says_how_many(
    campaign_file: Callable[..., Path],
    stores: Stores,
    execution_folder: Path,
    tmp_path: Path,
) -> None:
    path = campaign_file(("atoms: 40", "n_orderings: {random: 3}, atoms: 40"))
    campaign = load_campaign(path)
    register(campaign, stores)
    run_candidates(
        campaign,
        stores,
        launch_folder=tmp_path / "launches",
        execution_folder=execution_folder,
        relax_maker=FakeCountedRelaxMaker(
            counter=str(tmp_path / "calls"), failing=(2, 4, 5, 6)
        ),
    )
    found = candidate_statuses(campaign, stores, execution_folder=execution_folder)
    assert [(one.state, one.failed_orderings) for one in found] == [
        (CandidateState.COMPUTED, 1),
        (CandidateState.FAILED, 0),
    ]
    assert "1 of 3 orderings failed: builtins.RuntimeError" in str(found[0].reason)
    # A run that was killed in the middle: the rest is still to be computed.
    (name, *_) = stores.tasks.distinct("uuid", {"metadata.final": True})
    stores.tasks.remove_docs({"uuid": name})
    found = candidate_statuses(campaign, stores, execution_folder=execution_folder)
    assert found[0].state is CandidateState.WAITING
    assert found[0].reason == "2 of 3 orderings computed"


@pytest.mark.mongo
def test_asking_writes_nothing(
    small_campaign: Campaign, stores: Stores, execution_folder: Path
) -> None:
    candidate_statuses(small_campaign, stores, execution_folder=execution_folder)
    assert stores.candidates.count() == stores.members.count() == 0
    assert not execution_folder.exists()
