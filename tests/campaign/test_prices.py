"""Prices: they scale with the work, and what is less certain has a wider interval."""

from __future__ import annotations

from math import exp, log
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.campaign.cost import (
    assumed_share,
    fit_law,
    gate_share,
    price,
    wall_seconds,
)
from hts_battery.schemas.cost import (
    CampaignPlan,
    CampaignWork,
    CostLaw,
    FinishedJob,
    Overhead,
    PlannedStep,
)

LAW = {
    "engine": "vasp-mp-gga",
    "step": "static",
    "atoms": 40,
    "seconds": 3600,
    "exponent": 2.0,
    "level_error": 0.3,
    "exponent_error": 0.2,
    "spread": 0.4,
    "document_bytes": 1000,
    "folder_bytes": 5000,
    "source": "stated",
}
STEP = {"engine": "vasp-mp-gga", "step": "static", "for_each": 1, "behind_gate": True}
ALONE = Overhead(factor=1.0, endings=0, source="none")


def law(**changes: Any) -> CostLaw:  # noqa: ANN401 - any field
    return CostLaw.model_validate(LAW | changes)


def plan(
    candidates: int = 10,
    left: int = 10,
    atoms: tuple[int, ...] = (40,),
    *,
    share: Any = None,  # noqa: ANN401 - what a gate stops
    factor: float = 1.0,
    nodes: int = 1,
    **changes: Any,  # noqa: ANN401 - of the law
) -> CampaignPlan:
    work = CampaignWork(
        campaign="one",
        candidates=candidates,
        left=left,
        steps=(PlannedStep.model_validate(STEP),),
        atoms=atoms,
        nodes=nodes,
    )
    laws = {("vasp-mp-gga", "static"): law(**changes)}
    overhead = ALONE.model_copy(update={"factor": factor})
    return price(work, laws, overhead, share, candidate_bytes=100)


@given(st.integers(1, 1000), st.integers(0, 1000), st.integers(1, 4))
def test_a_price_is_proportional_to_the_work(
    candidates: int, left: int, nodes: int
) -> None:
    left = min(left, candidates)
    found = plan(candidates, left, nodes=nodes)
    assert found.node_hours == pytest.approx(candidates * nodes)
    assert found.node_hours_left == pytest.approx(left * nodes)
    assert found.computed == candidates - left
    assert (found.jobs, found.jobs_left) == (candidates, left)
    low, high = found.node_hours_interval
    assert low <= found.node_hours <= high
    # Twice as far off on both sides of it, as a logarithm.
    assert high / found.node_hours == pytest.approx(found.node_hours / low)


@given(st.floats(0.0, 0.95), st.floats(1.0, 3.0))
def test_a_gate_takes_off_and_overhead_adds(share: float, factor: float) -> None:
    found = plan(share=assumed_share(share), factor=factor)
    assert found.node_hours == pytest.approx(10 * (1 - share) * factor)
    assert found.gate is not None
    assert found.gate.source == "as you assume"


@given(st.integers(1, 200), st.integers(1, 200))
def test_larger_cells_cost_more_by_the_power_of_the_law(small: int, large: int) -> None:
    small, large = sorted((small, large))
    ratio = wall_seconds(law(), [large]) / wall_seconds(law(), [small])
    assert ratio == pytest.approx((large / small) ** 2)
    assert wall_seconds(law(exponent=0.0), [small, large]) == pytest.approx(3600)


@pytest.mark.parametrize("field", ["level_error", "spread", "exponent_error"])
def test_each_error_widens_the_interval(field: str) -> None:
    def width(value: float) -> float:
        low, high = plan(atoms=(80,), **{field: value}).node_hours_interval
        return log(high / low)

    assert width(0.05) < width(0.5)


def test_many_jobs_average_their_spread_but_not_the_error_of_their_law() -> None:
    only_spread = {"level_error": 0.0, "exponent_error": 0.0}
    few = plan(4, 4, **only_spread).node_hours_interval
    many = plan(4000, 4000, **only_spread).node_hours_interval
    assert many[1] / many[0] < 1.1 < few[1] / few[0]
    few = plan(4, 4, spread=0.0).node_hours_interval
    many = plan(4000, 4000, spread=0.0).node_hours_interval
    assert many[1] / many[0] == pytest.approx(few[1] / few[0])


def test_bytes_are_those_of_jobs_and_candidates() -> None:
    found = plan(10, 10, atoms=(80,))
    assert found.bytes_folders == 10 * 2 * 5000
    assert found.bytes_database == 10 * 2 * 1000 + 10 * 100
    assert found.bytes == found.bytes_database + found.bytes_folders
    assert found.steps[0].bytes == 10 * 2 * 6000


@given(st.integers(0, 500), st.integers(0, 500))
def test_a_share_is_never_certain(stopped: int, others: int) -> None:
    verdicts = stopped + others
    found = gate_share(stopped, verdicts)
    assert 0 < found.share < 1
    assert found.error > 0
    if verdicts:
        assert abs(found.share - stopped / verdicts) < 1 / (verdicts + 1)
        assert found.error < gate_share(0, 0).error


@given(st.floats(0.0, 3.5), st.floats(1.0, 1e5))
def test_an_exact_law_is_found_again(exponent: float, seconds: float) -> None:
    jobs = [
        FinishedJob(
            engine="vasp-mp-gga",
            step="static",
            atoms=n,
            seconds=seconds * (n / 40) ** exponent,
        )
        for n in (10, 16, 24, 40, 60, 80)
    ]
    found = fit_law(jobs, law())
    assert found.exponent == pytest.approx(exponent, abs=1e-3)
    assert wall_seconds(found, [40]) == pytest.approx(seconds, rel=1e-3)
    scale = exp(sum(log(job.atoms) for job in jobs) / len(jobs)) / 40
    assert found.document_bytes == pytest.approx(1000 * scale)
    assert (found.smallest, found.largest, found.n_jobs) == (10, 80, 6)
