"""What tasks say of a candidate does not depend on the order in which they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from maggma.stores import MemoryStore

from hts_battery.flows.recipes.calculated import Calculated, read_outputs
from hts_battery.schemas.campaign import GateSpec
from hts_battery.schemas.dispatch import EndingKind

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = "k"
NAMES = ("a", "b", "c")
STEPS = 500
WANTED = {"sqs": 2, "random": 1}
SERIES = {"a": {"sqs": 0}, "x": {"sqs": 0}, "b": {"sqs": 1}, "c": {"random": 0}}


def task(step: str, time: int, output: Any, **metadata: Any) -> dict[str, Any]:  # noqa: ANN401 - any output
    return {
        "uuid": f"{step} {time} {metadata.get('ordering_id')}",
        "index": 1,
        "metadata": {"content_key": KEY, "step": step, **metadata},
        "completed_at": f"2026-01-01T00:00:{time:02d}",
        "output": output,
    }


def order(time: int, asked: dict[str, int], names: Sequence[str]) -> dict[str, Any]:
    cells = [
        {"ordering_id": name, "method": "sqs", "series": SERIES[name]} for name in names
    ]
    return task("order", time, cells, asked=asked)


def relaxed(name: str, energy: float | None = -1.0) -> dict[str, Any]:
    return task(
        "relax", 5, {"output": {"energy": energy}}, ordering_id=name, final=True
    )


def gate(time: int, energies: dict[str, float]) -> dict[str, Any]:
    output = {
        "energies_per_atom": energies,
        "energy_above_hull_0k": 0.05,
        "entropy": 1e-5,
        "verdict": "passed",
    }
    return task("gate", time, output)


def read(tasks: Sequence[dict[str, Any]], failures: Any = ()) -> Calculated:  # noqa: ANN401 - as stored
    store = MemoryStore(key="uuid")
    store.connect()
    if tasks:
        store.update(list(tasks), key="uuid")
    return read_outputs(store, KEY, failures)


TASKS = [
    order(1, {"sqs": 1}, "a"),
    order(2, WANTED, "abc"),
    relaxed("a"),
    relaxed("b", energy=None),
    relaxed("c"),
    task("prerelax", 3, {}, ordering_id="a"),
    gate(3, {"a": -1.0}),
    gate(4, {"a": -1.0, "b": -1.2}),
]


@given(st.permutations(TASKS))
def test_any_order_says_the_same(tasks: list[dict[str, Any]]) -> None:
    found = read(tasks)
    assert found.finished == {"a", "c"}
    assert found.parts.keys() == {"a"}
    assert found.verdict is not None
    assert found.verdict["energies_per_atom"] == {"a": -1.0, "b": -1.2}
    own = found.asked_for(WANTED, STEPS)
    assert own.n_orderings == 3
    assert not own.is_complete
    assert own.ending(None) is EndingKind.COMPUTED


@pytest.mark.parametrize("times", [(1, 2), (2, 1)])
def test_of_two_orderings_that_differ_the_latest_is_taken(
    times: tuple[int, int],
) -> None:
    """Another release of the search has found others: those are the campaign's own."""
    first, second = times
    latest = "a" if first > second else "x"
    assert read(_both(times)).reusable({"sqs": 1}) == {"order": "order 2 None"}
    done = read([*_both(times), relaxed(latest)]).asked_for({"sqs": 1}, STEPS)
    assert done.is_complete
    # One of a longer series that begins otherwise says that the shorter is outdated.
    longer = read([order(1, {"sqs": 1}, "x"), order(2, {"sqs": 2}, "ab")])
    assert longer.reusable({"sqs": 1}) == {}
    assert longer.reusable({"sqs": 2}) == {"order": "order 2 None"}
    assert longer.reusable({"sqs": 2}, besides="order 2 None") == {}


def _both(times: tuple[int, int]) -> list[dict[str, Any]]:
    return [order(t, {"sqs": 1}, name) for t, name in zip(times, "ax", strict=True)]


def test_of_two_verdicts_on_as_many_orderings_the_newest_counts() -> None:
    first, second = gate(3, {"a": -1.0}), gate(4, {"a": -1.5})
    for tasks in ([first, second], [second, first]):
        verdict = read(tasks).verdict
        assert verdict is not None
        assert verdict["energies_per_atom"] == {"a": -1.5}


def test_what_others_ask_for_is_not_a_campaigns_own() -> None:
    failures = [{"step": "relax", "ordering_id": name} for name in ("b", "c")]
    found = read([TASKS[1], relaxed("a")], failures)
    one = found.asked_for({"sqs": 1}, STEPS)
    assert (one.n_orderings, one.finished, one.failures) == (1, {"a"}, ())
    assert one.is_complete
    more = found.asked_for({"sqs": 2}, STEPS)
    assert more.failed == {"b"}
    assert more.is_complete
    assert more.needs_work(None, released=False, retry_failed=True)
    # Nobody has ordered as many yet.
    assert found.asked_for({"sqs": 5}, STEPS).n_orderings is None


def test_a_verdict_on_some_orderings_is_that_of_their_lowest() -> None:
    found = read([order(2, {"sqs": 2}, "ab"), gate(4, {"a": -1.0, "b": -1.25})])
    own = found.asked_for({"sqs": 1}, STEPS).verdict
    assert own is not None
    assert own["energy_above_hull_0k"] == pytest.approx(0.3)
    whole = found.asked_for({"sqs": 2}, STEPS).verdict
    assert whole is not None
    assert whole["energy_above_hull_0k"] == pytest.approx(0.05)


SUBSETS = st.sets(st.sampled_from(NAMES))


@given(SUBSETS, SUBSETS, st.booleans(), st.booleans(), st.none() | st.integers(0, 3))
def test_nothing_is_left_and_done_at_once(
    finished: set[str],
    failed: set[str],
    retry: bool,
    released: bool,
    number: int | None,
) -> None:
    failures = tuple({"step": "relax", "ordering_id": name} for name in sorted(failed))
    known = Calculated(n_orderings=number, finished=finished, failures=failures)
    gate_spec = GateSpec(energy_above_hull=0.0)
    needs = known.needs_work(gate_spec, released=released, retry_failed=retry)
    assert known.failed.isdisjoint(finished)
    assert known.done(retry_failed=True) == finished
    assert known.done(retry_failed=False) == finished | failed
    if known.is_complete and not (retry and failures):
        assert not needs
    if not known.is_complete:
        assert needs
    ending = known.ending(gate_spec)
    assert (ending is EndingKind.COMPUTED) is bool(finished)
    assert (ending is EndingKind.FAILED) is (not finished and bool(failed))
