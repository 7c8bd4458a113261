"""More ionic steps go on from the last geometry; what converged is not repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeRelaxMaker
from jobflow import job

from hts_battery.campaign.build import build
from hts_battery.campaign.local_run import run_candidates
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.campaign.status import candidate_statuses
from hts_battery.connections.records.executions import ledger
from hts_battery.flows.recipes.screen import candidate_orderings
from hts_battery.schemas.state import CandidateState
from hts_battery.structures import calculator_structure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pymatgen.core import Structure

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo
NEEDED = 20


@dataclass
class SteppedRelaxMaker(FakeRelaxMaker):
    """
    Pretends to relax: each step makes the cell longer by a part in a thousand.

    Converged at :data:`NEEDED` steps, or at once where there is fluorine.
    """

    steps: int = 500

    @job
    def make(self, structure: Structure) -> dict[str, Any]:
        at_once = "F" in structure.symbol_set
        done = 0 if at_once else round(1000 * (structure.lattice.a / A_START - 1))
        steps = 0 if at_once else min(self.steps, NEEDED - done)
        self.converged = at_once or done + steps >= NEEDED
        grown = structure.copy()
        grown.scale_lattice(
            structure.volume * ((1 + (done + steps) / 1000) / (1 + done / 1000)) ** 3
        )
        doc: dict[str, Any] = FakeRelaxMaker.make.original(self, grown)  # type: ignore[attr-defined] # jobflow sets it
        doc["output"]["n_steps"] = steps
        return doc


A_START = 1.0


@pytest.fixture
def run(
    stores: Stores, execution_folder: Path, tmp_path: Path
) -> Callable[[Campaign], int]:
    def call(campaign: Campaign) -> int:
        register(campaign, stores)
        return run_candidates(
            campaign,
            stores,
            launch_folder=tmp_path / "launches",
            execution_folder=execution_folder,
            relax_maker=SteppedRelaxMaker(steps=campaign.spec.relaxation.steps),
        )

    return call


def with_steps(campaign_file: Callable[..., Path], steps: int) -> Campaign:
    change = ("engine: chgnet", f"engine: chgnet\nrelaxation: {{steps: {steps}}}")
    return load_campaign(campaign_file(change))


@pytest.fixture(autouse=True)
def _starting_length(small_campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    """Note how long the cell of the oxide is before it is relaxed."""
    _, (_, oxide) = small_campaign.members()
    (cell,) = candidate_orderings(oxide, small_campaign.spec.structure)
    start = calculator_structure(cell, magmom=False)
    monkeypatch.setitem(globals(), "A_START", start.lattice.a)


def relaxations(stores: Stores, formula: str) -> list[dict[str, Any]]:
    (candidate,) = stores.candidates.query({"formula": formula})
    criteria = {
        "metadata.candidate_id": candidate["candidate_id"],
        "metadata.step": "relax",
    }
    return sorted(stores.tasks.query(criteria), key=lambda doc: doc["completed_at"])


OXIDE, FLUORIDE = "Li1.2Mn0.4Ti0.4O2", "Li1.3Mn0.4Ti0.3O1.7F0.3"


def test_the_unconverged_go_on_and_the_converged_are_not_repeated(
    campaign_file: Callable[..., Path],
    run: Callable[[Campaign], int],
    stores: Stores,
    execution_folder: Path,
) -> None:
    few, more = (with_steps(campaign_file, steps) for steps in (5, 12))
    assert [run(few), run(few), run(more), run(more)] == [2, 0, 1, 0]
    assert [run(with_steps(campaign_file, steps)) for steps in (100, 200)] == [1, 0]
    assert len(relaxations(stores, FLUORIDE)) == 1
    first, second, last = found = relaxations(stores, OXIDE)
    assert [doc["output"]["output"]["n_steps"] for doc in found] == [5, 7, 8]
    assert second["metadata"]["continues"] == first["uuid"]
    assert last["metadata"]["steps_before"] == 12
    lengths = [doc["output"]["structure"]["lattice"]["a"] / A_START for doc in found]
    assert lengths == pytest.approx([1.005, 1.012, 1.020])
    # One cell each, ordered once; three relaxations of one, and one of the other.
    jobs = ledger(execution_folder).total.completed
    assert jobs == 2 + 4 + 2  # and two that add what was ordered before


def test_states_and_entries_follow_the_steps_that_a_file_allows(
    campaign_file: Callable[..., Path],
    run: Callable[[Campaign], int],
    stores: Stores,
    execution_folder: Path,
) -> None:
    few, more = (with_steps(campaign_file, steps) for steps in (5, 100))
    assert [more.key(one) for _, one in more.members()] == [
        few.key(one) for _, one in few.members()
    ]
    run(few)
    build(few.spec, stores, temperatures=(0.0,))
    (entry,) = stores.entries.query({"state": "rejected"})
    assert entry["reason"] == "relaxation not converged after 5 steps"

    def states(campaign: Campaign) -> dict[str, tuple[CandidateState, str | None]]:
        found = candidate_statuses(campaign, stores, execution_folder=execution_folder)
        return {one.candidate.formula: (one.state, one.reason) for one in found}

    assert states(few)[OXIDE][0] is CandidateState.REJECTED
    register(more, stores)
    waiting, why = states(more)[OXIDE]
    assert waiting is CandidateState.WAITING
    assert why == "0 of 1 orderings computed, 1 relaxed on from where they ended"
    run(more)
    build(more.spec, stores, temperatures=(0.0,))
    (entry,) = stores.entries.query({"n_steps": 20})
    assert entry["state"] == "used"
    assert not list(stores.entries.query({"state": "rejected"}))


def test_fewer_steps_take_what_is_there(
    campaign_file: Callable[..., Path], run: Callable[[Campaign], int]
) -> None:
    run(with_steps(campaign_file, 12))
    assert run(with_steps(campaign_file, 5)) == 0


def test_one_step_is_no_relaxation_and_another_calculation(
    campaign_file: Callable[..., Path],
) -> None:
    one, two = with_steps(campaign_file, 1), with_steps(campaign_file, 2)
    ((_, candidate), _) = two.members()
    assert one.key(candidate) != two.key(candidate)
