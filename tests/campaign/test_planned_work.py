"""What a campaign is to compute, and what endings and verdicts say of its price."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.campaign.cost import LEAST_JOBS, cost_defaults, fitted_laws
from hts_battery.campaign.plan import (
    _each_once,
    _gate,
    _job,
    _overhead,
    _thinned,
)
from hts_battery.flows.recipes.screen import planned_steps
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.cost import CampaignWork

SPEC = {
    "name": "one",
    "space": "space.yaml",
    "selection": {"method": "all"},
    "structure": {"n_orderings": {"sqs": 2, "random": 1}},
}
GATED = {
    "engine": "vasp-mp-gga",
    "prerelax": {"engine": "chgnet"},
    "gate": {"energy_above_hull": 0.05, "temperature": 1000},
}


def spec(**changes: Any) -> CampaignSpec:  # noqa: ANN401 - any field
    return CampaignSpec.model_validate(SPEC | changes)


def test_each_ordering_takes_every_step_and_a_gate_one() -> None:
    plain = [(one.step, one.for_each) for one in planned_steps(spec(engine="chgnet"))]
    assert plain == [("order", 1), ("relax", 3)]
    gated = planned_steps(spec(**GATED))
    assert [(one.step, one.engine, one.for_each, one.behind_gate) for one in gated] == [
        ("order", "", 1, False),
        ("prerelax", "chgnet", 3, False),
        ("gate", "", 1, False),
        ("relax 1", "vasp-mp-gga", 3, True),
        ("relax 2", "vasp-mp-gga", 3, True),
        ("static", "vasp-mp-gga", 3, True),
    ]


@given(st.integers(0, 1500))
def test_a_sample_is_even_and_everything_is_counted(number: int) -> None:
    count, kept = _thinned(iter(range(number)))  # type: ignore[arg-type] # any things
    assert count == number
    assert len(kept) <= 200
    if number > 1:
        steps = {b - a for a, b in pairwise(kept)}  # type: ignore[operator]
        assert len(steps) == 1
    assert len(kept) >= min(number, 100)


@given(st.lists(st.sampled_from("abc")))
def test_keys_come_once_in_the_order_of_their_first_time(keys: list[str]) -> None:
    assert list(_each_once(keys)) == list(dict.fromkeys(keys))


def task(**changes: Any) -> Any:  # noqa: ANN401 - as stored
    return {
        "uuid": "u",
        "index": 1,
        "metadata": {
            "step": "relax",
            "calculation": {"engine": "chgnet", "prerelax": {"engine": "ionic"}},
        },
        "output": {"nsites": 40, "output": {"energy": -1.0, "elapsed_time": 7.0}},
    } | changes


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ({"nsites": 40, "output": {"energy": -1.0, "elapsed_time": 7.0}}, ("relax", 7)),
        (
            {
                "nsites": 40,
                "output": {"energy": -1.0},
                "run": {"step": "static", "seconds": 90.0},
            },
            ("static", 90),
        ),
        ({"nsites": 40, "output": {"energy": None, "elapsed_time": 7.0}}, None),
        ({"nsites": 40, "output": {"energy": -1.0}}, None),
        ({"output": {"energy": -1.0, "elapsed_time": 7.0}}, None),
        (None, None),
    ],
)
def test_a_job_that_does_not_say_what_it_cost_is_left_out(
    output: Any,  # noqa: ANN401 - as stored
    found: tuple[str, float] | None,
) -> None:
    job = _job(task(output=output))
    assert (job and (job.step, job.seconds)) == found
    if job is not None:
        assert (job.engine, job.atoms) == ("chgnet", 40)


def test_a_pre_relaxation_is_its_own_engines() -> None:
    metadata = {**task()["metadata"], "step": "prerelax"}
    job = _job(task(metadata=metadata))
    assert job is not None
    assert (job.engine, job.step) == ("ionic", "prerelax")


@pytest.mark.parametrize(
    ("verdicts", "assumed", "stopped"),
    [([], None, 0), ([(0.2, 0.0)], None, 1), ([(0.2, 0.0), (0.0, 0.0)], None, 1)],
)
def test_verdicts_are_compared_with_todays_gate(
    verdicts: list[tuple[float, float]], assumed: float | None, stopped: int
) -> None:
    rows: Any = [{"energy_above_hull_0k": e, "entropy": s} for e, s in verdicts]
    found = _gate(spec(**GATED), rows, assumed)
    assert found is not None
    assert found.share == pytest.approx((stopped + 1) / (len(verdicts) + 2))
    assert _gate(spec(), rows, None) is None
    said = _gate(spec(**GATED), rows, 0.25)
    assert said is not None
    assert (said.share, said.error) == (0.25, 0.0)


def test_overhead_is_what_dispatches_took_over_what_their_jobs_take() -> None:
    steps = planned_steps(spec(**GATED))
    work = CampaignWork(
        campaign="one", candidates=9, left=9, steps=steps, atoms=(40,), nodes=1
    )
    laws = fitted_laws(((one.engine, one.step) for one in steps), [])
    few: Any = [{"kind": "computed", "node_hours": 5.0}] * (LEAST_JOBS - 1)
    assert _overhead(few, work, laws).factor == cost_defaults().overhead
    many: Any = [{"kind": "computed", "node_hours": 5.0}] * LEAST_JOBS
    once = _overhead(many, work, laws)
    assert once.endings == LEAST_JOBS
    twice = _overhead([{**one, "node_hours": 10.0} for one in many], work, laws)
    assert twice.factor == pytest.approx(2 * once.factor)
    # What was gated took no time behind the gate.
    gated: Any = [{"kind": "gated", "node_hours": 5.0}] * LEAST_JOBS
    assert _overhead(gated, work, laws).factor > once.factor
