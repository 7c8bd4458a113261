"""Campaigns that share candidates: each reports its own orderings, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fakes import fake_reference_energies

from hts_battery.campaign.build import build, build_all
from hts_battery.campaign.local_run import run_candidates
from hts_battery.campaign.references import store_references
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.campaign.status import candidate_statuses
from hts_battery.schemas.state import CandidateState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

ONE = (
    "formulas: [Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2]",
    "formulas: [Li1.2Mn0.4Ti0.4O2]",
)
IONIC = ("engine: chgnet", "engine: ionic\nrelaxation: {fmax: 5}")
STRUCTURE = "structure: {atoms: 40, iterations: 500, seed: 3}"


class Bench:
    """Writes, runs and builds campaigns of one candidate with the engine ionic."""

    def __init__(
        self,
        stores: Stores,
        folder: Path,
        executions: Path,
        write: Callable[..., Path],
    ) -> None:
        self.stores = stores
        self.folder = folder
        self.executions = executions
        self.write = write

    def campaign(
        self, name: str, structure: str, *changes: tuple[str, str]
    ) -> Campaign:
        path = self.write(
            ONE,
            IONIC,
            ("name: small", f"name: {name}"),
            (STRUCTURE, f"structure: {structure}"),
            *changes,
            name=f"{name}.yaml",
        )
        return load_campaign(path)

    def run(self, campaign: Campaign) -> list[dict[str, Any]]:
        """Register, compute and build; return the relaxations that were new."""
        before = {task["uuid"] for task in self.relaxations()}
        register(campaign, self.stores)
        run_candidates(
            campaign,
            self.stores,
            launch_folder=self.folder / "launches",
            execution_folder=self.executions,
        )
        build(campaign.spec, self.stores, temperatures=(0.0,))
        return [task for task in self.relaxations() if task["uuid"] not in before]

    def relaxations(self) -> list[dict[str, Any]]:
        fields = ["uuid", "metadata.ordering_id", "metadata.ordering_method"]
        return list(
            self.stores.tasks.query({"metadata.step": "relax"}, properties=fields)
        )

    def numbers(self, campaign: Campaign | str) -> dict[str, Any]:
        """Return what the campaign says of its one candidate."""
        name = campaign if isinstance(campaign, str) else campaign.spec.name
        doc = self.stores.summary.query_one({"campaign": name})
        assert doc is not None
        names = (
            "n_orderings",
            "n_random_orderings",
            "orderings_by_campaign",
            "energy_per_atom",
            "energy_above_hull_at",
            "energy_above_hull_upper_at",
            "ordering_spread",
            "uncertainty",
        )
        return {name: doc[name] for name in names}

    def states(self, campaign: Campaign) -> list[tuple[CandidateState, str | None]]:
        found = candidate_statuses(
            campaign, self.stores, execution_folder=self.executions
        )
        return [(one.state, one.reason) for one in found]


@pytest.fixture
def bench(
    stores: Stores,
    execution_folder: Path,
    tmp_path: Path,
    campaign_file: Callable[..., Path],
) -> Bench:
    energies = [
        energy.model_copy(update={"versions": {"ionic": "1"}})
        for energy in fake_reference_energies("ionic")
    ]
    store_references(energies, stores)
    return Bench(stores, tmp_path, execution_folder, campaign_file)


def test_another_campaign_of_the_candidate_changes_no_number(bench: Bench) -> None:
    first = bench.campaign(
        "first", "{atoms: 40, iterations: 200, seed: 3, n_orderings: {sqs: 1}}"
    )
    bench.run(first)
    before = bench.numbers(first)
    assert before["n_orderings"] == 1
    assert before["orderings_by_campaign"] == {"first": 1}
    second = bench.campaign(
        "second",
        "{atoms: 40, iterations: 200, seed: 7, "
        "n_orderings: {sqs: 2, electrostatic: 1}}",
    )
    bench.run(second)
    build_all(bench.stores, temperatures=(0.0,))
    assert bench.numbers(first) == before
    assert bench.numbers(second)["n_orderings"] == 3
    assert bench.numbers(second)["orderings_by_campaign"] == {"second": 3}


def test_an_ordering_that_two_campaigns_share_is_paid_and_counted_once(
    bench: Bench,
) -> None:
    first = bench.campaign(
        "first", "{atoms: 40, iterations: 200, seed: 3, n_orderings: {sqs: 1}}"
    )
    second = bench.campaign(
        "second", "{atoms: 40, iterations: 200, seed: 3, n_orderings: {sqs: 1}}"
    )
    assert len(bench.run(first)) == 1
    assert bench.run(second) == []
    build_all(bench.stores, temperatures=(0.0,))
    for campaign in (first, second):
        found = bench.numbers(campaign)
        assert found["n_orderings"] == 1
        assert found["ordering_spread"] is None
        assert found["uncertainty"] is None


def test_more_orderings_compute_what_is_missing_and_fewer_leave_the_rest_out(
    bench: Bench,
) -> None:
    few = bench.campaign(
        "mine", "{atoms: 40, iterations: 200, seed: 3, n_orderings: {sqs: 1}}"
    )
    (sqs,) = bench.run(few)
    alone = bench.numbers(few)
    more = bench.campaign(
        "mine",
        "{atoms: 40, iterations: 200, seed: 3, "
        "n_orderings: {sqs: 2, electrostatic: 1}}",
    )
    new = bench.run(more)
    methods = sorted(task["metadata"]["ordering_method"] for task in new)
    assert methods == ["electrostatic", "sqs"]
    assert sqs["metadata"]["ordering_id"] not in {
        task["metadata"]["ordering_id"] for task in new
    }
    assert bench.numbers(more)["n_orderings"] == 3
    assert bench.numbers(more)["n_random_orderings"] == 2
    assert bench.states(more) == [(CandidateState.RANKED, None)]
    # Fewer again: nothing is computed, and the first number is back.
    assert bench.run(few) == []
    assert bench.numbers(few) == alone
    # Never asked for in this way, and still known.
    other = bench.campaign(
        "mine", "{atoms: 40, iterations: 200, seed: 3, n_orderings: {electrostatic: 1}}"
    )
    assert bench.run(other) == []
    assert bench.numbers(other)["n_orderings"] == 1
    assert bench.numbers(other)["n_random_orderings"] == 0
    assert bench.states(other) == [(CandidateState.RANKED, None)]


def test_a_second_output_of_one_ordering_counts_once(bench: Bench) -> None:
    campaign = bench.campaign(
        "mine", "{atoms: 40, iterations: 200, seed: 3, n_orderings: {sqs: 1}}"
    )
    bench.run(campaign)
    before = bench.numbers(campaign)
    task = bench.stores.tasks.query_one({"metadata.step": "relax"})
    task.pop("_id")
    bench.stores.tasks.update({**task, "uuid": "zz-again"}, key=["uuid", "index"])
    build(campaign.spec, bench.stores, temperatures=(0.0,))
    assert bench.numbers(campaign) == before


def test_pooling_is_asked_for_and_says_whose_orderings_it_counts(bench: Bench) -> None:
    first = bench.campaign(
        "first", "{atoms: 40, iterations: 200, seed: 3, n_orderings: {sqs: 1}}"
    )
    bench.run(first)
    pooled = bench.campaign(
        "second",
        "{atoms: 40, iterations: 200, seed: 7, n_orderings: {sqs: 2}}\n"
        "stability: {orderings: pooled}",
    )
    bench.run(pooled)
    assert bench.numbers(pooled)["orderings_by_campaign"] == {"first": 1, "second": 2}
    assert bench.numbers(pooled)["n_orderings"] == 3
    record = bench.stores.thermo.query_one({"campaign": "second"})
    assert sorted(one["source"] for one in record["orderings"]) == [
        "first",
        "second",
        "second",
    ]
    # Other settings of the relaxation are other energies, pooled or not.
    third = bench.campaign(
        "third",
        "{atoms: 40, iterations: 200, seed: 3, n_orderings: {sqs: 1}}\n"
        "stability: {orderings: pooled}",
        ("fmax: 5", "fmax: 4"),
    )
    bench.run(third)
    assert bench.numbers(third)["orderings_by_campaign"] == {"third": 1}
