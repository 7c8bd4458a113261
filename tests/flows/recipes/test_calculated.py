from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pymongo.collection import Collection

from hts_battery.builders.energy_tasks import read_energy_tasks
from hts_battery.connections.database.slices import SLICE
from hts_battery.flows.recipes.calculated import (
    Calculated,
    read_calculated,
    read_some,
)
from hts_battery.schemas.campaign import GateSpec

if TYPE_CHECKING:
    from hts_battery.connections.database.stores import Stores

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


def task(n: int, step: str) -> dict[str, Any]:
    return {
        "uuid": f"{7919 * n % 65536:04x}-{step}",
        "index": 1,
        "metadata": {
            "step": step,
            "content_key": f"{n:04x}",
            "ordering_id": "a",
            "final": step == "relax",
        },
        "output": {"output": {"energy": -1.0}},
    }


@pytest.mark.mongo
def test_no_question_asks_for_all_that_was_calculated(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = range(2 * SLICE)
    steps = ("relax", "prerelax")
    docs = [task(n, step) for n in numbers for step in steps]
    # Of nothing of ours, and of a collection as large.
    stores.tasks.collection.insert_many(
        [*docs, {"uuid": "x"}, {"uuid": "y", "index": 2}]
    )
    failed = [{"content_key": f"{n:04x}", "failures": [SECOND]} for n in numbers]
    stores.failures.collection.insert_many(failed)
    asked: list[dict[str, Any]] = []
    find = Collection.find

    def noting(self: Any, criteria: Any, *rest: Any) -> Any:  # noqa: ANN401 - pymongo's
        asked.append(criteria)
        return find(self, criteria, *rest)

    monkeypatch.setattr(Collection, "find", noting)
    found = read_calculated(stores)
    energies = [one.uuid for one in read_energy_tasks(stores.tasks)]
    assert {tuple(one) for one in asked} == {("uuid",), ("content_key",)}
    monkeypatch.undo()
    assert sorted(energies) == sorted(doc["uuid"] for doc in docs[::2])
    keys = [f"{n:04x}" for n in numbers]
    known = read_some(stores, keys)
    assert {key: (one.finished, one.failed) for key, one in found.items()} == {
        key: (known[key].finished, known[key].failed) for key in keys
    }
    assert found["0001"].finished == {"a"}
    assert found["0001"].failed == {"b"}
    # Parts are read for single keys only.
    assert found["0001"].parts == {}
