"""Barriers as a recipe: hops of the cell, one job each, none computed twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from relaxed_copper import FailingEmtMaker, computed, copper, memory_store, outputs

from hts_battery.flows.recipes.migration_barrier import RECIPE, MigrationBarrierMaker
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.dynamics import MigrationBarriers

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign

pytestmark = pytest.mark.usefixtures("execution_folder")


def spec_of(**transport: Any) -> CampaignSpec:  # noqa: ANN401 - fields of a section
    return CampaignSpec.model_validate(
        {
            "name": "barriers",
            "recipe": "migration_barrier",
            "source": {"campaign": "small"},
            "transport": {"carrier": "Cu", **transport},
        }
    )


def test_the_hops_of_a_relaxed_cell(small_campaign: Campaign, tmp_path: Path) -> None:
    _, candidate = next(small_campaign.members())
    cell, store = copper(candidate, vacancies=0), memory_store()
    for fails_at in (20, 0):  # the first one dies on its way
        forces = FailingEmtMaker(folder=str(tmp_path), fails_at=fails_at)
        maker = MigrationBarrierMaker.from_campaign(
            spec_of(barrier={"images": 3}), relax_maker=forces
        )
        assert computed(maker, cell, store, tmp_path) is not bool(fails_at)
    (found,) = (MigrationBarriers.model_validate(o) for o in outputs(store, "result"))
    assert (found.hops, found.carrier) == (1, "Cu")
    (barrier,) = found.barriers
    assert barrier.forward == pytest.approx(0.757, abs=0.01)
    assert (barrier.hop, barrier.kind, barrier.equal) == ("o-t-o 0-TM", "single", 384)
    assert barrier.mirrored


def test_the_plan_and_the_key() -> None:
    steps = {one.step: one.for_each for one in RECIPE.cost(spec_of(hops=3))}
    assert steps == {"start": 1, "barrier": 3, "result": 1}
    one, other, third = (
        spec_of(**changes).calculation
        for changes in ({}, {"hops": 3}, {"dynamics": {"temperatures": [500.0]}})
    )
    assert one != other
    assert one == third  # what only molecular dynamics reads
