"""Molecular dynamics as a recipe: chunks, what stops them, what a kill costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from relaxed_copper import (
    FailingEmtMaker,
    computed,
    copper,
    memory_store,
    outputs,
)

from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.engine import Capability
from hts_battery.flows.engines.registry import ENGINES, engine
from hts_battery.flows.recipes.molecular_dynamics import RECIPE, MolecularDynamicsMaker
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.dynamics import DynamicsChunk, MolecularDynamics
from hts_battery.transport.run_pieces import trajectory

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.schemas.candidate import CandidateDoc

pytestmark = pytest.mark.usefixtures("execution_folder")

DYNAMICS: dict[str, Any] = {
    "temperatures": [900.0],
    "time_step": 5.0,
    "equilibration": 0.4,
    "chunk": 0.2,
    "budget": 0.6,
    "every": 5,
    "jump_length": 2.55,
    "hopeless": 1e6,
}


def maker_of(
    folder: Path, fails_at: int = 0, **changes: object
) -> MolecularDynamicsMaker:
    spec = CampaignSpec.model_validate(
        {
            "name": "md",
            "recipe": "molecular_dynamics",
            "source": {"campaign": "small"},
            "transport": {"carrier": "Cu", "dynamics": DYNAMICS | changes},
        }
    )
    folder.mkdir(exist_ok=True)
    forces = FailingEmtMaker(folder=str(folder), fails_at=fails_at)
    return MolecularDynamicsMaker.from_campaign(spec, relax_maker=forces)


@pytest.fixture
def cell(small_campaign: Campaign) -> CandidateDoc:
    _, candidate = next(small_campaign.members())
    return copper(candidate)


def test_chunk_follows_chunk_until_the_budget_is_spent(
    cell: CandidateDoc, tmp_path: Path
) -> None:
    store = memory_store()
    assert computed(maker_of(tmp_path / "a"), cell, store, tmp_path)
    chunks = [DynamicsChunk.model_validate(one) for one in outputs(store, "dynamics")]
    assert sorted((one.phase, one.number, one.step) for one in chunks) == [
        ("equilibration", 1, 80),
        ("production", 1, 40),
        ("production", 2, 80),
        ("production", 3, 120),
    ]
    (found,) = (MolecularDynamics.model_validate(o) for o in outputs(store, "result"))
    (run,) = found.runs
    assert (run.ending, run.picoseconds, run.chunks) == ("budget spent", 0.6, 3)
    assert run.diffusivity is not None
    assert run.diffusivity.frames == 25
    assert run.diffusivity.verdict == "too few jumps"
    assert "ps are needed" in run.reason
    assert (found.n_atoms, found.carrier, found.arrhenius) == (31, "Cu", None)


def test_what_was_killed_goes_on_with_the_same_numbers(
    cell: CandidateDoc, tmp_path: Path
) -> None:
    whole, killed = memory_store(), memory_store()
    assert computed(maker_of(tmp_path / "whole"), cell, whole, tmp_path)
    # In the relaxation at zero pressure, in the second chunk, in the third.
    for fails_at in (40, 150, 210):
        maker = maker_of(tmp_path / "killed", fails_at)
        assert not computed(maker, cell, killed, tmp_path)
    assert computed(maker_of(tmp_path / "killed"), cell, killed, tmp_path)
    frames = []
    for store in (whole, killed):
        chunks = {
            one.number: one
            for one in map(DynamicsChunk.model_validate, outputs(store, "dynamics"))
            if one.phase == "production"
        }
        assert sorted(chunks) == [1, 2, 3]
        frames.append(trajectory([chunks[n] for n in (1, 2, 3)]).positions)
    assert np.array_equal(*frames)
    results = [outputs(store, "result") for store in (whole, killed)]
    assert results[0] == results[1]


def test_an_unstable_run_ends_and_the_next_temperature_is_computed(
    cell: CandidateDoc, tmp_path: Path
) -> None:
    maker = maker_of(
        tmp_path / "a",
        temperatures=[60_000.0, 300.0],
        equilibration=0.0,
        budget=0.2,
        time_step=10.0,
        every=1,
    )
    store = memory_store()
    assert computed(maker, cell, store, tmp_path)
    (found,) = (MolecularDynamics.model_validate(o) for o in outputs(store, "result"))
    hot, cold = found.runs
    assert (hot.ending, hot.diffusivity, hot.picoseconds) == ("unstable", None, 0.0)
    assert hot.reason
    assert (cold.ending, cold.chunks) == ("budget spent", 1)


@pytest.mark.long
@pytest.mark.physics
def test_vacancies_in_copper_to_an_error_of_15_percent(
    small_campaign: Campaign, tmp_path: Path
) -> None:
    _, candidate = next(small_campaign.members())
    maker = maker_of(
        tmp_path / "a",
        temperatures=[1200.0],
        equilibration=5.0,
        chunk=25.0,
        budget=1500.0,
        every=20,
        target_error=0.15,
    )
    store = memory_store()
    assert computed(maker, copper(candidate, vacancies=2), store, tmp_path)
    (found,) = (MolecularDynamics.model_validate(o) for o in outputs(store, "result"))
    (run,) = found.runs
    assert run.ending == "target reached"
    assert run.diffusivity is not None
    assert run.diffusivity.standard_error <= 0.15
    # Thirty atoms on 32 places melt here: a liquid's number, not that of vacancies.
    assert 5e-6 < (run.diffusivity.tracer or 0) < 5e-5


def test_engines_that_have_no_forces_are_refused() -> None:
    able = sorted(n for n, one in ENGINES.items() if one.can(Capability.FORCES))
    assert able == ["chgnet"]
    refusal = RECIPE.refusal(engine("ionic"), ENGINES.values())
    assert refusal is not None
    assert "molecular dynamics" in refusal
    assert RECIPE.refusal(engine("forcefield:SevenNet"), ENGINES.values()) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chunk": 60.0}, "longer than the budget"),
        ({"chunk": 0.01}, "fewer than two frames"),
        ({"temperatures": [900, 900]}, "each once"),
        ({"supercell": [1, 0, 1]}, "1 or more"),
        ({"temperatures": []}, "at least 1"),
        ({"thermostat": "berendsen"}, "bussi"),
    ],
)
def test_what_no_run_can_be_is_refused(
    changes: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises((ValueError, ConfigurationError), match=words):
        maker_of(tmp_path, **changes)


def test_the_plan_counts_steps() -> None:
    spec = CampaignSpec.model_validate(
        {
            "name": "md",
            "recipe": "molecular_dynamics",
            "source": {"campaign": "small"},
            "transport": {
                "dynamics": {"temperatures": [900, 1200], "supercell": [2, 1, 1]}
            },
        }
    )
    steps = {one.step: one for one in RECIPE.cost(spec)}
    chunks = steps["dynamics"]
    assert chunks.for_each == 2 * 11
    # 2 temperatures x 52 ps in steps of 2 fs, of twice the atoms, by the thousand.
    assert chunks.for_each * chunks.length == pytest.approx(2 * 26 * 2)
