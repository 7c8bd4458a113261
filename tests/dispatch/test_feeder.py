from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import (
    FakeCountedRelaxMaker,
    FakeRelaxMaker,
    FakeTwoRelaxationsMaker,
    fake_reference_energies,
)
from fireworks import FWorker

from hts_battery.campaign.local_run import run_candidates
from hts_battery.campaign.references import store_references
from hts_battery.campaign.registration import release
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.records.backlog import Backlog, dispatching
from hts_battery.connections.records.executions import ledger
from hts_battery.dispatch.feeder import cancel, feed, pause, resume
from hts_battery.errors import ConfigurationError, SubmissionError
from hts_battery.operations import database_checks
from hts_battery.schemas.campaign import CampaignSpec, GateSpec, PrerelaxSpec
from hts_battery.schemas.dispatch import (
    DispatchMode,
    EndingKind,
    Hold,
    PriorityRule,
)
from hts_battery.schemas.failure import FailureClass
from hts_battery.thermo.entropy import candidate_entropy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dispatched import Dispatch

    from hts_battery.flows.recipes.screen import ScreenMaker

pytestmark = [
    pytest.mark.mongo,
    # The orderings of a candidate do not depend on each other, and jobflow says so.
    pytest.mark.filterwarnings("ignore:Some jobs are not connected:UserWarning"),
]


OLD = [
    {"state": state, "created_on": "2026-01-01T00:00:00"}
    for state in ("RUNNING", "COMPLETED")
]


def endings(dispatch: Dispatch) -> list[EndingKind | None]:
    backlog = Backlog.read(dispatch.stores, dispatch.campaign.spec.name)
    return [item.ending and item.ending.kind for item in backlog.items]


def test_chunks_from_submission_to_archive(
    dispatch: Dispatch, execution_folder: Path
) -> None:
    submitted = dispatch.submit(chunk=2)
    assert (submitted.candidates, submitted.new, submitted.known) == (6, 6, 0)
    report = dispatch.feed()
    assert (report.sent, report.fireworks, report.waiting) == (6, 3, 0)
    assert dispatch.states() == {"READY": 3}
    dispatch.launch()
    assert dispatch.states() == {"COMPLETED": 3}
    report = dispatch.feed()
    assert (report.ended, report.archived, report.fireworks) == (6, 3, 0)
    assert report.is_done
    assert endings(dispatch) == [EndingKind.COMPUTED] * 6
    assert dispatch.states() == {}
    for name in ("workflows", "launches"):
        assert getattr(dispatch.launchpad, name).count_documents({}) == 0
    assert dispatch.stores.archived_workflows.count() == 3
    backlog = Backlog.read(dispatch.stores, dispatch.campaign.spec.name)
    spent = sum(item.ending.node_hours for item in backlog.items if item.ending)
    assert report.node_hours == pytest.approx(spent) != 0
    counted = ledger(execution_folder)
    assert counted.computed_twice == ()
    assert len(counted.by_content_key) == 6


def test_a_second_submission_sends_nothing(dispatch: Dispatch) -> None:
    dispatch.submit(chunk=2)
    assert dispatch.submit(chunk=2).new == 0
    dispatch.finish()
    assert dispatch.submit(chunk=2).new == 0
    assert dispatch.feed().sent == 0


def test_steps_are_fireworks_of_their_own(
    dispatch: Dispatch, execution_folder: Path
) -> None:
    dispatch.relax_maker = FakeTwoRelaxationsMaker()
    dispatch.submit(mode=DispatchMode.STEPS)
    report = dispatch.feed()
    assert (report.sent, report.fireworks) == (6, 6)
    order = dispatch.launchpad.fireworks.find_one({})
    assert order["spec"]["_queueadapter"]["walltime"] == "00:15:00"
    dispatch.launch()
    assert dispatch.states() == {"COMPLETED": 18}
    relaxed = dispatch.launchpad.fireworks.find_one({"spec.step": "relax"})["spec"]
    assert relaxed["hts_campaign"] == "small"
    assert relaxed["_fworker"] == "here"
    report = dispatch.feed()
    assert (report.ended, report.archived) == (6, 6)
    assert endings(dispatch) == [EndingKind.COMPUTED] * 6
    archived = dispatch.stores.archived_workflows.query_one()
    assert [one["step"] for one in archived["fireworks"]] == ["order", "relax", "relax"]
    assert ledger(execution_folder).computed_twice == ()


def test_the_window_is_never_exceeded(dispatch: Dispatch) -> None:
    dispatch.submit(chunk=1, window=2)
    fed = [dispatch.feed()]
    assert dispatch.feed().sent == 0
    while not fed[-1].is_done:
        assert dispatch.launchpad.fireworks.count_documents({}) <= 2
        dispatch.launch(rockets=1)
        fed.append(dispatch.feed())
    assert [report.sent for report in fed] == [2, 1, 1, 1, 1, 0, 0]


def test_what_failed_has_a_class_and_waits_for_the_operator(dispatch: Dispatch) -> None:
    dispatch.relax_maker = FakeRelaxMaker(error="No space left on device")
    dispatch.submit(chunk=3)
    dispatch.finish()
    assert endings(dispatch) == [EndingKind.FAILED] * 6
    backlog = Backlog.read(dispatch.stores, "small")
    assert {item.ending.failure_class for item in backlog.items if item.ending} == {
        FailureClass.NODE
    }
    stored = list(dispatch.stores.failures.query())
    assert [doc["error_message"] for doc in stored] == ["No space left on device"] * 6
    assert dispatch.submit(chunk=3).new == 0
    dispatch.relax_maker = FakeRelaxMaker()
    assert dispatch.submit(chunk=3, retry_failed=True).new == 6
    report = dispatch.finish()
    assert endings(dispatch) == [EndingKind.COMPUTED] * 6
    assert dispatch.stores.failures.count() == 0
    item = next(Backlog.read(dispatch.stores, "small").items)
    assert [one.kind for one in item.earlier] == [EndingKind.FAILED]
    assert report.node_hours > sum(one.node_hours for one in item.earlier)


def test_a_failed_step_is_read_from_its_launch(dispatch: Dispatch) -> None:
    dispatch.relax_maker = FakeRelaxMaker(error="it broke")
    dispatch.submit(mode=DispatchMode.STEPS)
    dispatch.finish()
    assert endings(dispatch) == [EndingKind.FAILED] * 6
    failure = dispatch.stores.failures.query_one()["failures"][0]
    assert failure["step"] == "relax"
    assert failure["error_class"] == "builtins.RuntimeError"
    assert failure["error_message"] == "it broke"
    assert failure["ordering_id"]
    assert "raise RuntimeError" in failure["traceback"]


def test_an_outage_fails_nobody(dispatch: Dispatch, tmp_path: Path) -> None:
    counter = str(tmp_path / "calls")
    dispatch.relax_maker = FakeCountedRelaxMaker(counter=counter, outages=(2,))
    dispatch.submit(chunk=3)
    dispatch.feed()
    dispatch.launch(rockets=1)
    assert dispatch.states() == {"FIZZLED": 1, "READY": 1}
    # The chunk is put back as it is, and what it has done is not done again.
    report = dispatch.feed()
    assert (report.ended, report.sent, report.in_hand) == (0, 0, 6)
    assert dispatch.states() == {"READY": 2}
    dispatch.finish()
    assert endings(dispatch) == [EndingKind.COMPUTED] * 6
    assert dispatch.stores.failures.count() == 0
    assert len((tmp_path / "calls").read_text().splitlines()) == 7


def test_paused_and_resumed(dispatch: Dispatch) -> None:
    dispatch.submit(chunk=2, window=2)
    dispatch.feed()
    dispatch.launch(rockets=1)
    report = pause(dispatch.stores, dispatch.launchpad, "small")
    assert (report.hold, report.ended, report.again) == (Hold.PAUSED, 2, 2)
    assert (report.fireworks, report.waiting) == (0, 4)
    assert dispatch.feed().sent == 0
    # Submitting it again does not end the pause.
    assert dispatch.submit(chunk=2).submission.hold is Hold.PAUSED
    resume(dispatch.stores, dispatch.launchpad, "small", make_maker=dispatch.make_maker)
    dispatch.finish()
    assert endings(dispatch) == [EndingKind.COMPUTED] * 6


def test_cancelled_and_submitted_again(dispatch: Dispatch) -> None:
    dispatch.submit(chunk=2, window=2)
    dispatch.feed()
    dispatch.launch(rockets=1)
    report = cancel(dispatch.stores, dispatch.launchpad, "small")
    assert (report.hold, report.fireworks, report.waiting) == (Hold.CANCELLED, 0, 0)
    kinds = endings(dispatch)
    assert sorted(map(str, kinds)) == ["cancelled"] * 4 + ["computed"] * 2
    with pytest.raises(SubmissionError, match="submit it again"):
        resume(dispatch.stores, dispatch.launchpad, "small")
    assert dispatch.submit(chunk=2).new == 4
    dispatch.finish()
    assert endings(dispatch) == [EndingKind.COMPUTED] * 6


def test_steps_that_have_begun_are_paused_and_go_on(dispatch: Dispatch) -> None:
    dispatch.submit(mode=DispatchMode.STEPS, window=3)
    dispatch.feed()
    dispatch.launch(rockets=1)
    report = pause(dispatch.stores, dispatch.launchpad, "small")
    assert dispatch.states() == {"COMPLETED": 1, "PAUSED": 1}
    assert (report.in_hand, report.waiting) == (1, 5)
    dispatch.launch()
    assert dispatch.states() == {"COMPLETED": 1, "PAUSED": 1}
    resume(dispatch.stores, dispatch.launchpad, "small", make_maker=dispatch.make_maker)
    dispatch.finish()
    assert endings(dispatch) == [EndingKind.COMPUTED] * 6


def test_steps_that_have_begun_are_cancelled(dispatch: Dispatch) -> None:
    dispatch.submit(mode=DispatchMode.STEPS, window=3)
    dispatch.feed()
    dispatch.launch(rockets=1)
    cancel(dispatch.stores, dispatch.launchpad, "small")
    assert endings(dispatch) == [EndingKind.CANCELLED] * 6
    assert dispatch.states() == {}


def test_the_budget_stops_everything_that_has_not_begun(
    dispatch: Dispatch, caplog: pytest.LogCaptureFixture
) -> None:
    dispatch.submit(chunk=1, window=4, budget=1e-9)
    assert dispatch.feed().hold is None
    dispatch.launch(rockets=1)
    report = dispatch.feed()
    assert (report.hold, report.ended, report.sent) == (Hold.BUDGET, 1, 0)
    assert (report.fireworks, report.waiting) == (0, 5)
    assert "nothing more is sent" in caplog.text
    assert dispatch.feed().sent == 0
    assert dispatch.submit(chunk=1, budget=10.0).new == 0
    dispatch.finish()
    assert endings(dispatch) == [EndingKind.COMPUTED] * 6


def test_no_more_candidates_than_the_quota(dispatch: Dispatch) -> None:
    dispatch.submit(chunk=2, max_candidates=3)
    assert dispatch.feed().sent == 3
    dispatch.launch()
    assert dispatch.feed().sent == 0
    assert endings(dispatch).count(EndingKind.COMPUTED) == 3


def test_what_was_computed_elsewhere_is_not_sent(
    dispatch: Dispatch, tmp_path: Path, execution_folder: Path
) -> None:
    dispatch.submit(chunk=2)
    run_candidates(
        dispatch.campaign,
        dispatch.stores,
        launch_folder=tmp_path / "launches",
        execution_folder=execution_folder,
        relax_maker=FakeRelaxMaker(),
    )
    report = dispatch.feed()
    assert (report.sent, report.ended, report.is_done) == (0, 6, True)
    assert endings(dispatch) == [EndingKind.COMPUTED] * 6


def test_half_a_submission_is_completed(dispatch: Dispatch) -> None:
    dispatch.submit(chunk=2)
    dispatch.feed()
    # As if the feeder had been killed between the two insertions, and before it wrote
    # down where the Fireworks are.
    backlog = Backlog.read(dispatch.stores, "small")
    lost = [item.fw_id for item in backlog.items]
    for item in list(backlog.items):
        backlog.change(item.content_key, fw_id=None)
    with dispatching(dispatch.stores, "test") as lease:
        backlog.save(lease)
    dispatch.launchpad.fireworks.delete_one({"fw_id": lost[0]})
    dispatch.launchpad.workflows.delete_one({"nodes": lost[2]})
    report = dispatch.feed()
    assert (report.repaired, report.sent, report.fireworks) == (3, 0, 3)
    assert dispatch.states() == {"READY": 3}
    dispatch.finish()
    assert endings(dispatch) == [EndingKind.COMPUTED] * 6


@pytest.mark.parametrize("whole", [True, False])
def test_what_was_deleted_by_hand_is_sent_again(
    dispatch: Dispatch, execution_folder: Path, whole: bool
) -> None:
    dispatch.submit(chunk=2)
    first = Backlog.read(dispatch.stores, "small")
    dispatch.feed()
    item = next(iter(Backlog.read(dispatch.stores, "small").items))
    assert item.fw_id == 1
    if whole:
        dispatch.launchpad.delete_wf(item.fw_id)
    else:
        dispatch.launchpad.fireworks.delete_one({"fw_id": item.fw_id})
    (found,) = database_checks.backlog(dispatch.stores)
    assert "2 candidates of small" in found.what
    assert "hts launchpad feed" in found.action
    report = dispatch.feed()
    assert (report.repaired, report.sent) == (1, 0)
    assert (report.in_hand, report.fireworks) == (6, 3)
    again = next(iter(Backlog.read(dispatch.stores, "small").items))
    assert (again.dispatch_id, again.fw_id) == (item.dispatch_id, 4)
    assert list(database_checks.backlog(dispatch.stores)) == []
    assert dispatch.states() == {"READY": 3}
    assert dispatch.launchpad.workflows.count_documents({}) == 3
    dispatch.finish()
    assert endings(dispatch) == [EndingKind.COMPUTED] * len(first)
    assert ledger(execution_folder).computed_twice == ()


def test_what_was_deleted_while_it_ran_is_taken_in(dispatch: Dispatch) -> None:
    dispatch.submit(chunk=6)
    dispatch.feed()
    dispatch.relax_maker = FakeRelaxMaker()
    (item, *_) = Backlog.read(dispatch.stores, "small").items
    firework, _ = dispatch.launchpad.checkout_fw(FWorker(name="here"), "nowhere")
    dispatch.launchpad.fireworks.delete_one({"fw_id": firework.fw_id})
    report = dispatch.feed()
    assert (report.sent, report.in_hand) == (0, 6)
    dispatch.launchpad.launches.update_one(
        {"fw_id": item.fw_id}, {"$set": {"state": "FIZZLED"}}
    )
    report = dispatch.feed()
    assert (report.again, report.sent, report.in_hand) == (6, 6, 6)
    dispatch.finish()
    assert endings(dispatch) == [EndingKind.COMPUTED] * 6
    earlier = next(iter(Backlog.read(dispatch.stores, "small").items)).earlier
    assert [one.launches for one in earlier] == [1]


@pytest.mark.parametrize("runs", ["not", "before", "after"])
def test_a_step_that_was_deleted_is_sent_again(
    dispatch: Dispatch, execution_folder: Path, runs: str
) -> None:
    dispatch.relax_maker = FakeTwoRelaxationsMaker()
    dispatch.submit(mode=DispatchMode.STEPS)
    dispatch.feed()
    dispatch.launch(rockets=1)  # the order job of one candidate
    step = {"spec.step": "relax"}
    steps = {
        doc["state"]: doc["fw_id"] for doc in dispatch.launchpad.fireworks.find(step)
    }
    one, other = steps["READY"], steps["WAITING"]
    dispatch.launchpad.fireworks.update_one(
        {"fw_id": one}, {"$set": {"spec._priority": 9}}
    )
    if runs == "before":
        dispatch.launch(rockets=1)
    dispatch.launchpad.fireworks.delete_one({"fw_id": other})
    if runs == "after":
        # FireWorks cannot refresh a workflow that is not whole.
        with pytest.raises(RuntimeError, match="Error refreshing workflow"):
            dispatch.launch(rockets=1)
        dispatch.launchpad.launches.update_many(
            {"fw_id": one}, {"$set": {"state_history": OLD}}
        )
    report = dispatch.feed()
    assert (report.again, report.archived, report.sent) == (1, 1, 1)
    assert report.in_hand == 6
    dispatch.finish()
    assert endings(dispatch) == [EndingKind.COMPUTED] * 6
    assert ledger(execution_folder).computed_twice == ()


def test_an_archive_that_was_killed_is_completed(dispatch: Dispatch) -> None:
    dispatch.submit(chunk=2)
    dispatch.feed()
    dispatch.launch()
    workflows = list(dispatch.launchpad.workflows.find())
    dispatch.feed()
    archived = [doc["launches"] for doc in dispatch.stores.archived_workflows.query()]
    # As if it had been killed before the last deletion.
    dispatch.launchpad.workflows.insert_many(workflows)
    assert dispatch.feed().archived == 3
    assert dispatch.launchpad.workflows.count_documents({}) == 0
    again = [doc["launches"] for doc in dispatch.stores.archived_workflows.query()]
    assert again == archived
    assert all(again)


def test_what_was_taken_back_leaves_the_launchpad_after_a_kill(
    dispatch: Dispatch,
) -> None:
    dispatch.submit(chunk=2)
    dispatch.feed()
    workflows = list(dispatch.launchpad.workflows.find())
    cancel(dispatch.stores, dispatch.launchpad, dispatch.campaign.spec.name)
    # As if it had been killed between the Fireworks and their workflows, which still
    # call them ready.
    dispatch.launchpad.workflows.insert_many(workflows)
    dispatch.submit(chunk=2)
    assert dispatch.feed().fireworks == 3
    assert dispatch.launchpad.workflows.count_documents({}) == 3
    assert dispatch.launchpad.fireworks.count_documents({}) == 3


def test_the_prerelaxation_goes_to_another_worker(dispatch: Dispatch) -> None:
    spec = dispatch.campaign.spec.model_copy(update={"prerelax": PrerelaxSpec()})
    dispatch.campaign = replace(dispatch.campaign, spec=spec)
    dispatch.prerelax_maker = FakeRelaxMaker()
    dispatch.submit(mode=DispatchMode.STEPS, routes={"prerelax": "gpu"})
    dispatch.feed()
    dispatch.launch()
    assert dispatch.states() == {"COMPLETED": 6, "READY": 6, "WAITING": 6}
    waiting = dispatch.launchpad.fireworks.find({"state": {"$ne": "COMPLETED"}})
    assert {(doc["spec"]["step"], doc["spec"]["_fworker"]) for doc in waiting} == {
        ("prerelax", "gpu"),
        ("gate", "here"),
    }
    dispatch.launch("gpu")
    dispatch.launch()
    workers = dispatch.launchpad.fireworks.find({"spec.step": "relax"})
    assert {doc["spec"]["_fworker"] for doc in workers} == {"here"}
    dispatch.feed()
    assert endings(dispatch) == [EndingKind.COMPUTED] * 6


@pytest.mark.parametrize("mode", list(DispatchMode))
def test_a_gated_candidate_is_released_and_sent_again(
    dispatch: Dispatch, mode: DispatchMode, tmp_path: Path
) -> None:
    gate = GateSpec(energy_above_hull=-10.0)
    changes = {"prerelax": PrerelaxSpec(), "gate": gate}
    spec = dispatch.campaign.spec.model_copy(update=changes)
    dispatch.campaign = replace(dispatch.campaign, spec=spec)
    counter = tmp_path / "calls"
    dispatch.prerelax_maker = FakeCountedRelaxMaker(counter=str(counter))
    store_references(fake_reference_energies(), dispatch.stores)
    dispatch.submit(mode=mode)
    dispatch.finish()
    assert endings(dispatch) == [EndingKind.GATED] * 6
    assert dispatch.submit(mode=mode).new == 0
    item = next(Backlog.read(dispatch.stores, "small").items)
    release(dispatch.campaign, dispatch.stores, [item.candidate_id])
    assert dispatch.submit(mode=mode).new == 1
    dispatch.finish()
    assert endings(dispatch) == [EndingKind.COMPUTED] + [EndingKind.GATED] * 5
    # Its pre-relaxation was taken from the store.
    assert len(counter.read_text().splitlines()) == 6


def test_operators_at_once_add_each_candidate_once(dispatch: Dispatch) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = [pool.submit(dispatch.submit, chunk=2) for _ in range(3)]
        assert sorted(one.result().new for one in found) == [0, 0, 6]
        fed = [pool.submit(dispatch.feed) for _ in range(3)]
        assert sorted(one.result().sent for one in fed) == [0, 0, 6]
    assert dispatch.states() == {"READY": 3}


@pytest.mark.slow
@pytest.mark.parametrize("many", [500], indirect=True)
def test_five_hundred_workflows_cancelled_while_rockets_start(
    dispatch: Dispatch,
) -> None:
    dispatch.submit(chunk=1, window=500)
    assert dispatch.feed().fireworks == 500
    with ThreadPoolExecutor(1) as pool:
        rockets = pool.submit(dispatch.launch, rockets=3)
        cancel(dispatch.stores, dispatch.launchpad, "small")
        rockets.result()
    dispatch.feed()
    workflows = dispatch.launchpad.workflows
    assert workflows.count_documents({"locked": {"$exists": True}}) == 0
    assert dispatch.states() == {}
    kinds = endings(dispatch)
    computed = kinds.count(EndingKind.COMPUTED)
    assert computed <= 3
    assert kinds.count(EndingKind.CANCELLED) == 500 - computed
    done = dispatch.stores.tasks.count({"metadata.step": "relax"})
    assert done == computed


def test_a_campaign_leaves_to_another_what_that_one_sends(
    dispatch: Dispatch, sample_file: Callable[..., Path]
) -> None:
    dispatch.submit(chunk=2)
    other = load_campaign(sample_file(6, ("name: small", "name: other")))
    first, dispatch.campaign = dispatch.campaign, other
    assert dispatch.submit(chunk=2).new == 0
    cancel(dispatch.stores, dispatch.launchpad, first.spec.name)
    assert dispatch.submit(chunk=2).new == 6
    dispatch.campaign = first
    # Now it is the other one's turn.
    assert dispatch.submit(chunk=2).new == 0


def test_highest_entropy_first(dispatch: Dispatch) -> None:
    dispatch.submit(rule=PriorityRule.ENTROPY)
    by_id = {one.candidate_id: one for _, one in dispatch.campaign.members()}
    entropies = [
        candidate_entropy(by_id[item.candidate_id].to_candidate()).entropy
        for item in Backlog.read(dispatch.stores, "small").items
    ]
    assert entropies == sorted(entropies, reverse=True)


def test_lowest_known_energy_first(dispatch: Dispatch) -> None:
    members = [one for _, one in dispatch.campaign.members()]
    rows = [(members[4], 0.02, "other"), (members[2], 0.01, "other")]
    rows += [(members[2], 0.5, "third"), (members[5], -1.0, "small")]
    dispatch.stores.summary.update(
        [
            {
                "campaign": name,
                "candidate_id": one.candidate_id,
                "energy_above_hull": value,
            }
            for one, value, name in rows
        ],
        key=["campaign", "candidate_id"],
    )
    dispatch.submit(rule=PriorityRule.PRESCREENED)
    order = [item.candidate_id for item in Backlog.read(dispatch.stores, "small").items]
    expected = [members[number].candidate_id for number in (2, 4, 0, 1, 3, 5)]
    assert order == expected


def test_what_is_in_a_queue_is_not_computed_here_too(
    dispatch: Dispatch, tmp_path: Path, execution_folder: Path
) -> None:
    dispatch.submit(chunk=2, window=2)
    dispatch.feed()
    computed = run_candidates(
        dispatch.campaign,
        dispatch.stores,
        launch_folder=tmp_path / "launches",
        execution_folder=execution_folder,
        relax_maker=FakeRelaxMaker(),
    )
    assert computed == 2
    dispatch.finish()
    assert endings(dispatch) == [EndingKind.COMPUTED] * 6
    assert dispatch.stores.tasks.count({"metadata.step": "relax"}) == 6


def test_a_changed_file_drops_what_waited(
    dispatch: Dispatch, sample_file: Callable[..., Path]
) -> None:
    dispatch.submit(chunk=2, window=1)
    dispatch.feed()
    dispatch.campaign = load_campaign(sample_file(6, ("seed: 3}", "seed: 4}")))
    assert dispatch.submit(chunk=2).new == 6
    dispatch.finish()
    kinds = [EndingKind.COMPUTED] * 2 + [EndingKind.CANCELLED] * 4
    assert endings(dispatch) == kinds + [EndingKind.COMPUTED] * 6


def test_a_campaign_that_cannot_be_sent_stops_no_other(
    dispatch: Dispatch, sample_file: Callable[..., Path]
) -> None:
    dispatch.submit(chunk=2)
    first = dispatch.campaign
    dispatch.campaign = load_campaign(
        sample_file(2, ("name: small", "name: broken"), ("seed: 3}", "seed: 4}"))
    )
    dispatch.submit(chunk=2)

    def make_maker(spec: CampaignSpec) -> ScreenMaker:
        if spec.name == "broken":
            raise ConfigurationError("its engine is not installed here")
        return dispatch.make_maker(spec)

    broken, small = feed(dispatch.stores, dispatch.launchpad, make_maker=make_maker)
    assert (broken.campaign, broken.is_done) == ("broken", False)
    assert broken.problem == "its engine is not installed here"
    assert (small.campaign, small.sent) == (first.spec.name, 6)
    with pytest.raises(ConfigurationError):
        feed(
            dispatch.stores,
            dispatch.launchpad,
            campaigns=["broken"],
            make_maker=make_maker,
        )
