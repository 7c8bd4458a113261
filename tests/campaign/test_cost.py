"""Laws fitted to made-up jobs whose law is known, and prices that follow from laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.campaign.cost import (
    LEAST_JOBS,
    assumed_share,
    cost_defaults,
    default_law,
    fit_law,
    fitted_laws,
    gate_share,
    price,
    wall_seconds,
)
from hts_battery.flows.engines.registry import ENGINES
from hts_battery.schemas.cost import (
    CampaignPlan,
    CampaignWork,
    FinishedJob,
    GateShare,
    Overhead,
    PlannedStep,
)

ALONE = Overhead(factor=1.0, endings=0, source="none")


def jobs(
    atoms: list[int], seconds: list[float], step: str = "relax"
) -> list[FinishedJob]:
    return [
        FinishedJob(engine="chgnet", step=step, atoms=n, seconds=t)
        for n, t in zip(atoms, seconds, strict=True)
    ]


def noisy(exponent: float, spread: float, n: int = 200) -> list[FinishedJob]:
    random = np.random.default_rng(1)
    atoms = random.integers(10, 80, n)
    times = 30 * (atoms / 40) ** exponent * np.exp(spread * random.normal(size=n))
    return jobs(atoms.tolist(), times.tolist())


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.7])
def test_a_fit_finds_the_law_that_made_the_jobs(exponent: float) -> None:
    law = fit_law(noisy(exponent, 0.3), default_law("chgnet", "relax"))
    assert law.exponent == pytest.approx(exponent, abs=3 * law.exponent_error + 0.02)
    # The mean of a log-normal time is larger than its median.
    expected = 30 * np.exp(0.3**2 / 2)
    assert wall_seconds(law, [40]) == pytest.approx(expected, rel=0.1)
    assert law.spread == pytest.approx(0.3, rel=0.2)
    assert (law.n_jobs, law.smallest, law.largest) == (200, 10, 79)


def test_a_few_wild_jobs_do_not_bend_the_law() -> None:
    good = noisy(1.0, 0.1)
    wild = jobs([12] * 10, [30_000.0] * 10)
    law = fit_law([*good, *wild], default_law("chgnet", "relax"))
    assert law.exponent == pytest.approx(1.0, abs=0.15)


def test_cells_of_one_size_keep_the_stated_exponent() -> None:
    prior = default_law("chgnet", "relax")
    law = fit_law(jobs([32] * 6, [10, 11, 9, 10, 10, 12]), prior)
    assert law.exponent == prior.exponent
    assert law.exponent_error == prior.exponent_error
    assert wall_seconds(law, [32]) == pytest.approx(62 / 6, rel=0.05)


def test_too_few_jobs_leave_the_stated_law() -> None:
    prior = default_law("chgnet", "relax")
    assert fit_law(noisy(2, 0.1, LEAST_JOBS - 1), prior) == prior


@given(
    st.lists(
        st.tuples(st.integers(1, 500), st.floats(1e-3, 1e6)), min_size=1, max_size=30
    )
)
def test_any_jobs_give_a_law_that_can_be_used(pairs: list[tuple[int, float]]) -> None:
    found = jobs([n for n, _ in pairs], [t for _, t in pairs])
    law = fit_law(found, default_law("chgnet", "relax"))
    assert law.seconds > 0
    assert 0 < wall_seconds(law, [40]) < np.inf


def test_every_engine_has_a_stated_law_for_each_of_its_steps() -> None:
    for one in ENGINES.values():
        for step in one.steps:
            law = default_law(one.name, step)
            assert (law.engine, law.step) == (one.name, step)
            assert "nothing is known" not in law.source
    assert "as CHGNet" in default_law("forcefield:MACE-MP-0", "relax").source
    assert "nothing is known" in default_law("own", "relax").source


def test_the_stated_values_say_where_they_come_from() -> None:
    for law in cost_defaults().laws:
        assert law.source.startswith(("measured: ", "assumption: ")), law


def work(left: int = 1000, **changes: object) -> CampaignWork:
    steps = (
        PlannedStep(engine="", step="order", for_each=1, behind_gate=False),
        PlannedStep(engine="chgnet", step="prerelax", for_each=2, behind_gate=False),
        PlannedStep(engine="vasp-mp-gga", step="static", for_each=2, behind_gate=True),
    )
    fields = {
        "campaign": "some",
        "candidates": 1000,
        "left": left,
        "steps": steps,
        "atoms": (40,),
    }
    return CampaignWork.model_validate({**fields, **changes})


def priced(
    what: CampaignWork, gate: GateShare | None, *, overhead: Overhead = ALONE
) -> CampaignPlan:
    laws = fitted_laws(((one.engine, one.step) for one in what.steps), [])
    return price(what, laws, overhead, gate, candidate_bytes=1000)


def test_a_price_adds_up() -> None:
    plan = priced(work(left=250), assumed_share(0.4))
    assert [step.jobs for step in plan.steps] == [1000, 2000, 1200]
    assert [step.jobs_left for step in plan.steps] == [250, 500, 300]
    assert plan.jobs == 4200
    assert plan.computed == 750
    static = default_law("vasp-mp-gga", "static")
    assert plan.steps[2].node_hours == pytest.approx(1200 * static.seconds / 3600)
    assert plan.node_hours == pytest.approx(sum(one.node_hours for one in plan.steps))
    assert plan.node_hours_left == pytest.approx(plan.node_hours / 4)
    low, high = plan.node_hours_interval
    assert low < plan.node_hours < high
    assert plan.bytes == plan.bytes_database + plan.bytes_folders
    assert plan.bytes_folders == 1200 * static.folder_bytes


def test_nodes_and_overhead_multiply() -> None:
    once = priced(work(), None)
    both = priced(
        work(nodes=4), None, overhead=Overhead(factor=1.5, endings=9, source="some")
    )
    assert both.node_hours == pytest.approx(6 * once.node_hours)


def test_what_is_not_known_widens_the_interval() -> None:
    def width(gate: GateShare | None) -> float:
        low, high = priced(work(), gate).node_hours_interval
        return high / low

    assert width(assumed_share(0.5)) < width(gate_share(50, 100))
    assert width(gate_share(50, 100)) < width(gate_share(0, 0))


def test_nothing_left_costs_nothing() -> None:
    plan = priced(work(left=0), None)
    assert (plan.node_hours_left, plan.jobs_left) == (0, 0)
    assert plan.node_hours_left_interval == (0, 0)


def test_cells_beyond_those_that_finished_are_said_to_be_extrapolated() -> None:
    steps = (PlannedStep(engine="chgnet", step="relax", for_each=1, behind_gate=False),)
    found = noisy(1, 0.2)
    for atoms, beyond in ((40, False), (200, True)):
        what = work(steps=steps, atoms=(atoms,))
        laws = fitted_laws([("chgnet", "relax")], found)
        plan = price(what, laws, ALONE, None, candidate_bytes=0)
        assert plan.steps[0].extrapolated is beyond
        assert bool(plan.notes) is beyond
