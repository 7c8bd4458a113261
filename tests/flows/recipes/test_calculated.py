from __future__ import annotations

import pytest

from hts_battery.flows.recipes.calculated import Calculated
from hts_battery.schemas.campaign import GateSpec

WHOLE = {"step": "order", "ordering_id": None}
SECOND = {"step": "relax", "ordering_id": "b"}
VERDICT = {"energy_above_hull_0k": 0.1, "entropy": 5e-5}


@pytest.mark.parametrize(
    ("known", "complete"),
    [
        (Calculated(), False),
        (Calculated(n_orderings=2), False),
        (Calculated(n_orderings=2, finished={"a"}), False),
        (Calculated(n_orderings=2, finished={"a", "b"}), True),
        (Calculated(n_orderings=2, finished={"a"}, failures=(SECOND,)), True),
        (Calculated(failures=(WHOLE,)), True),
    ],
)
def test_complete_is_an_output_or_a_failure_for_every_ordering(
    known: Calculated, complete: bool
) -> None:
    assert known.is_complete is complete
    assert known.needs_work(None, released=False, retry_failed=False) is not complete
    assert known.needs_work(None, released=False, retry_failed=True) is bool(
        known.failures or not complete
    )


def test_an_ordering_that_succeeded_later_has_not_failed() -> None:
    known = Calculated(n_orderings=1, finished={"b"}, failures=(SECOND,))
    assert known.failed == set()
    assert known.done(retry_failed=False) == {"b"}


def test_what_failed_is_left_alone_unless_it_is_tried_again() -> None:
    known = Calculated(n_orderings=2, finished={"a"}, failures=(SECOND,))
    assert known.done(retry_failed=False) == {"a", "b"}
    assert known.done(retry_failed=True) == {"a"}


@pytest.mark.parametrize(
    ("threshold", "temperature", "gated"),
    [(0.05, 0, True), (0.05, 1000, False), (0.11, 0, False), (0.049, 1000, True)],
)
def test_a_stored_verdict_is_compared_with_the_gate_of_today(
    threshold: float, temperature: float, gated: bool
) -> None:
    gate = GateSpec(energy_above_hull=threshold, temperature=temperature)
    known = Calculated(n_orderings=1, verdict=VERDICT)
    assert known.is_gated(gate) is gated
    assert known.needs_work(gate, released=False, retry_failed=False) is not gated
    assert known.needs_work(gate, released=True, retry_failed=False)
    assert not known.is_gated(None)


def test_what_was_computed_or_judged_without_a_hull_is_not_gated() -> None:
    gate = GateSpec(energy_above_hull=0.0)
    assert not Calculated(verdict=VERDICT, finished={"a"}).is_gated(gate)
    assert not Calculated(verdict={"energy_above_hull_0k": None}).is_gated(gate)
    assert not Calculated().is_gated(gate)


def test_the_reason_names_value_and_threshold() -> None:
    gate = GateSpec(energy_above_hull=0.04, temperature=1000)
    assert Calculated(verdict=VERDICT).gate_reason(gate) == (
        "pre-relaxed E_hull(1000 K) = 50.0 meV/atom is above the gate of 40.0"
    )
