"""What all builders share, without a database: digests, shards, batches, counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from maggma.stores import MemoryStore

from hts_battery.builders.screening_builder import (
    ScreeningBuilder,
    input_digest,
    new_run_id,
    run_builder,
    shard_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.builders.screening_builder import Made

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


class Doubled(ScreeningBuilder):
    """Doubles a number: the smallest builder that there can be."""

    code_version = "1"

    def __init__(
        self,
        numbers: MemoryStore,
        doubled: MemoryStore,
        **options: Any,  # noqa: ANN401 - those of all builders
    ) -> None:
        self.numbers, self.doubled = numbers, doubled
        super().__init__(
            [numbers],
            [doubled],
            key=["candidate_id"],
            scope={"campaign": "one"},
            options=options,  # type: ignore[arg-type] # a test's own
        )

    def get_items(self) -> Iterator[dict[str, Any]]:
        known = self.stored_digests(self.doubled)
        for name in known:
            self.knows(name)
        rows = {row["candidate_id"]: row for row in self.numbers.query({})}
        rows = {name: row for name, row in rows.items() if self.mine(name)}
        digests = {name: input_digest(row["n"]) for name, row in rows.items()}
        self.remove("candidate_id", set(known) - set(rows))
        for digest in digests.values():
            self.saw(digest)
        outdated = [name for name in rows if known.get(name) != digests[name]]
        self.unchanged = len(rows) - len(outdated)
        for names in self.batches(outdated):
            yield {name: (rows[name]["n"], digests[name]) for name in names}

    def process_item(self, item: dict[str, Any]) -> Made:
        documents = [
            {
                "campaign": "one",
                "candidate_id": name,
                "n": 2 * number,
                "input_digest": digest,
            }
            for name, (number, digest) in item.items()
        ]
        return {"documents": documents, "failed": sum(d["n"] < 0 for d in documents)}


def stores(numbers: dict[str, int]) -> tuple[MemoryStore, MemoryStore]:
    found = MemoryStore("numbers"), MemoryStore("doubled")
    for store in found:
        store.connect()
    found[0].update(
        [{"candidate_id": name, "n": n} for name, n in numbers.items()],
        key="candidate_id",
    )
    return found


def contents(store: MemoryStore) -> dict[str, int]:
    return {doc["candidate_id"]: doc["n"] for doc in store.query({})}


def test_what_is_unchanged_is_left_and_what_is_gone_is_removed() -> None:
    numbers, doubled = stores({"a": 1, "b": 2, "c": -3})
    first = run_builder(Doubled(numbers, doubled))
    assert (first.read, first.written, first.failed, first.unchanged) == (3, 3, 1, 0)
    again = run_builder(Doubled(numbers, doubled))
    assert (again.written, again.unchanged, again.removed) == (0, 3, 0)
    numbers.update({"candidate_id": "b", "n": 7}, key="candidate_id")
    numbers.remove_docs({"candidate_id": "a"})
    # Somebody else's document stands in no scope of ours.
    other = {"campaign": "two", "candidate_id": "a", "n": 0, "input_digest": "x"}
    doubled.update(other, key=["campaign", "candidate_id"])
    third = run_builder(Doubled(numbers, doubled))
    assert (third.read, third.written, third.unchanged, third.removed) == (2, 1, 1, 1)
    assert contents(doubled) == {"a": 0, "b": 14, "c": -6}


def test_an_edited_document_is_made_again() -> None:
    numbers, doubled = stores({"a": 1})
    run_builder(Doubled(numbers, doubled))
    edited = {"campaign": "one", "candidate_id": "a", "n": 9, "input_digest": "edited"}
    doubled.update(edited, key=["campaign", "candidate_id"])
    assert run_builder(Doubled(numbers, doubled)).written == 1
    assert contents(doubled) == {"a": 2}


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_workers_share_the_documents(workers: int) -> None:
    numbers, doubled = stores({f"name {n}": n for n in range(40)})
    parts = list(Doubled(numbers, doubled).prechunk(workers))
    assert len({part["run_id"] for part in parts}) == 1
    reports = [run_builder(Doubled(numbers, doubled, **part)) for part in parts]
    assert sum(report.written for report in reports) == 40
    assert contents(doubled) == {f"name {n}": 2 * n for n in range(40)}
    whole = Doubled(numbers, doubled)
    assert run_builder(whole).unchanged == 40


@pytest.mark.parametrize(("size", "items"), [(1, 5), (2, 3), (5, 1), (100, 1)])
def test_batches_hold_every_name_once_and_in_order(size: int, items: int) -> None:
    builder = Doubled(*stores({}), batch_size=size)
    found = list(builder.batches("edcba"))
    assert [name for batch in found for name in batch] == list("abcde")
    assert len(found) == items
    assert max(map(len, found)) <= size


def test_nothing_is_written_after_the_lock_is_lost() -> None:
    numbers, doubled = stores({"a": 1})

    def lost() -> None:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        run_builder(Doubled(numbers, doubled), before_write=lost)
    assert contents(doubled) == {}


def test_the_digest_of_all_inputs_does_not_depend_on_their_order() -> None:
    first, second = Doubled(*stores({})), Doubled(*stores({}))
    for digest in ("x", "y"):
        first.saw(digest)
    for digest in ("y", "x"):
        second.saw(digest)
    assert first.inputs_digest == second.inputs_digest
    second.saw("x")
    assert first.inputs_digest != second.inputs_digest


@given(PLAIN, PLAIN)
def test_equal_contents_have_equal_digests_and_others_have_not(
    first: Any,  # noqa: ANN401 - what JSON holds
    second: Any,  # noqa: ANN401 - likewise
) -> None:
    def shuffled(value: Any) -> Any:  # noqa: ANN401 - likewise
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in reversed(value)}
        return [shuffled(one) for one in value] if isinstance(value, list) else value

    assert input_digest(first) == input_digest(shuffled(first))
    if repr(first) != repr(second) and first != second:
        assert input_digest(first) != input_digest(second)
    assert input_digest(first, second) != input_digest([first, second])


@given(st.text(max_size=8), st.integers(1, 9))
def test_a_name_belongs_to_one_worker(name: str, workers: int) -> None:
    assert 0 <= shard_of(name, workers) < workers
    assert shard_of(name, 1) == 0


def test_runs_are_sorted_by_their_time() -> None:
    found = [new_run_id() for _ in range(20)]
    times = [run.rpartition("-")[0] for run in found]
    assert times == sorted(times)
    assert len(set(found)) == 20
    assert {len(run) for run in found} == {24}
