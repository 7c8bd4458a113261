"""What a plan reads: the file alone, finished jobs, and what was dispatched."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from fakes import FakeRelaxMaker

from hts_battery.campaign.cost import LEAST_JOBS, default_law
from hts_battery.campaign.local_run import run_candidates
from hts_battery.campaign.plan import (
    Assumptions,
    finished_jobs,
    plan_campaign,
)
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign, read_campaign
from hts_battery.flows.recipes.screen import planned_steps
from hts_battery.schemas.dispatch import (
    BacklogBlock,
    BacklogItem,
    DispatchMode,
    Ending,
    EndingKind,
    Submission,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.cost import CampaignPlan

ORDERINGS = ("atoms: 40", "n_orderings: {random: 3}, atoms: 40")
PRERELAXED = "engine: chgnet\nprerelax: {engine: chgnet}\ngate: {energy_above_hull: 0}"
MADE_OF = (
    ("Li1.3Mn0.4Ti0.3O1.7F0.3, ", ""),
    ("atoms: 40, iterations: 500", "atoms: null, iterations: 500"),
)


def planned(
    path: Path,
    stores: Stores | None = None,
    assumptions: Assumptions = Assumptions(),  # noqa: B008 - frozen
) -> CampaignPlan:
    return plan_campaign(
        path, stores, assumptions, execution_folder=path.parent / "none"
    )


def test_a_file_alone_is_priced_by_the_stated_laws(
    campaign_file: Callable[..., Path],
) -> None:
    plan = planned(campaign_file(ORDERINGS))
    assert (plan.candidates, plan.computed, plan.jobs) == (2, 0, 2 + 6)
    assert plan.atoms == (40, 40)
    assert (plan.node_hours_spent, plan.budget, plan.gate) == (None, None, None)
    law = default_law("chgnet", "relax")
    assert plan.steps[1].node_hours == pytest.approx(
        6 * law.seconds * plan.overhead.factor / 3600
    )


def test_the_smallest_cells_are_looked_up(campaign_file: Callable[..., Path]) -> None:
    # Ten atoms would hold it, but no random solution of twenty cations.
    assert planned(campaign_file(*MADE_OF)).atoms == (40, 40)


def test_a_gate_is_planned_with_what_it_stops(
    campaign_file: Callable[..., Path],
) -> None:
    path = campaign_file(ORDERINGS, ("engine: chgnet", PRERELAXED))
    steps = planned_steps(read_campaign(path).spec)
    assert [(one.step, one.for_each, one.behind_gate) for one in steps] == [
        ("order", 1, False),
        ("prerelax", 3, False),
        ("gate", 1, False),
        ("relax", 3, True),
    ]
    half = planned(path)
    assert half.gate is not None
    assert half.gate.share == 0.5
    assert planned(path, assumptions=Assumptions(gated=1.0)).steps[3].jobs == 0


@pytest.mark.mongo
def test_finished_jobs_replace_the_stated_law(
    campaign_file: Callable[..., Path],
    stores: Stores,
    execution_folder: Path,
    tmp_path: Path,
) -> None:
    path = campaign_file(ORDERINGS)
    campaign = load_campaign(path)
    register(campaign, stores)
    run_candidates(
        campaign,
        stores,
        launch_folder=tmp_path / "launches",
        execution_folder=execution_folder,
        relax_maker=FakeRelaxMaker(elapsed_time=90.0),
    )
    found = finished_jobs(stores, [], [campaign.spec.name])
    assert {(one.step, one.atoms, one.seconds) for one in found} == {
        ("relax", 40, 90.0)
    }
    assert len(found) == 6 > LEAST_JOBS
    plan = planned(path, stores)
    assert (plan.computed, plan.jobs_left, plan.node_hours_left) == (2, 0, 0)
    assert plan.steps[1].n_jobs == 6
    assert plan.steps[1].node_hours == pytest.approx(
        6 * 90 * plan.overhead.factor / 3600
    )
    # Those of campaigns that another worker computed are not looked at.
    assert planned(path, stores, Assumptions(worker="elsewhere")).steps[1].n_jobs == 0


def submit(campaign: Campaign, stores: Stores, endings: list[Ending]) -> None:
    now = datetime.now(UTC)
    submission = Submission(
        campaign=campaign.spec.name,
        worker="here",
        mode=DispatchMode.STEPS,
        chunk=1,
        window=10,
        nodes=2,
        budget=20.0,
        time=now,
        host="here",
    )
    stores.submissions.update(submission.model_dump(mode="json"), key="campaign")
    items = tuple(
        BacklogItem(
            content_key=campaign.key(candidate),
            candidate_id=candidate.candidate_id,
            formula=candidate.formula,
            dispatch_id="d",
            fw_id=1,
            ending=endings[-1],
            earlier=tuple(endings[:-1]),
        )
        for _, candidate in campaign.members()
    )
    block = BacklogBlock(campaign=campaign.spec.name, block=0, items=items)
    stores.backlog.update(block.model_dump(mode="json"), key=["campaign", "block"])


@pytest.mark.mongo
def test_what_was_dispatched_says_what_is_spent_and_what_overhead_is(
    small_campaign: Campaign, stores: Stores
) -> None:
    register(small_campaign, stores)
    now = datetime.now(UTC)
    good = Ending(kind=EndingKind.COMPUTED, node_hours=0.5, launches=1, time=now)
    bad = Ending(kind=EndingKind.FAILED, node_hours=0.5, launches=1, time=now)
    submit(small_campaign, stores, [bad, good, good, good])
    plan = planned(small_campaign.path, stores)
    assert plan.node_hours_spent == pytest.approx(4.0)
    assert plan.budget == 20.0
    assert plan.overhead.endings == 8
    alone = plan.node_hours / plan.overhead.factor  # of two candidates on two nodes
    assert plan.overhead.factor == pytest.approx(4.0 / (3 * alone))


@pytest.mark.mongo
def test_stored_verdicts_say_what_a_gate_stops(
    campaign_file: Callable[..., Path], stores: Stores
) -> None:
    path = campaign_file(("engine: chgnet", PRERELAXED))
    stores.tasks.update(
        [
            {
                "uuid": f"gate-{number}",
                "index": 1,
                "completed_at": "2026-01-01",
                "metadata": {
                    "step": "gate",
                    "content_key": f"{number}",
                    "calculation": {"prerelax": {"engine": engine}},
                },
                "output": {"energy_above_hull_0k": above, "entropy": 0.0},
            }
            for number, (engine, above) in enumerate(
                [("chgnet", 0.1)] * 3 + [("chgnet", -0.1)] + [("gpaw", 0.1)] * 9
            )
        ],
        key=["uuid", "index"],
    )
    gate = planned(path, stores).gate
    assert gate is not None
    assert (gate.verdicts, gate.share) == (4, pytest.approx(4 / 6))
    assert gate.source == "3 of 4 stored verdicts"
