"""What was computed twice counts once: no spread is made of copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hts_battery.operations import database_checks

if TYPE_CHECKING:
    from conftest import Chain

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

RELAX = {"metadata.step": "relax", "metadata.final": True}


def plant_copy(stores: Stores, name: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    """Store the first relaxation once more, as a second rocket does."""
    task = stores.tasks.query_one(RELAX, sort={"uuid": 1})
    original = {**task}
    task.pop("_id")
    task["uuid"] = name
    task["completed_at"] = "2999-01-01"
    for field, value in changes.items():
        task["output"][field] = value
    stores.tasks.update(task, key=["uuid", "index"])
    return original


def names(stores: Stores) -> set[str]:
    return set(stores.entries.distinct("entry_id", {"kind": "candidate"}))


def test_one_entry_of_each_calculation(chain: Chain, stores: Stores) -> None:
    chain.run()
    before = names(stores)
    summaries = {doc["candidate_id"]: doc for doc in stores.summary.query()}
    # One that sorts before, one behind; another energy would make a spread of them.
    original = plant_copy(stores, "zzzz")
    plant_copy(stores, "0000")
    chain.run()
    assert names(stores) == before
    assert original["uuid"] in before
    for doc in stores.summary.query():
        old = summaries[doc["candidate_id"]]
        for field in ("n_orderings", "ordering_spread", "energy_per_atom", "entry_id"):
            assert doc[field] == old[field], field


def test_from_scratch_the_same_copy_counts(chain: Chain, stores: Stores) -> None:
    original = plant_copy(stores, "0000")
    chain.run()
    assert original["uuid"] in names(stores)
    assert "0000" not in names(stores)
    assert len(names(stores)) == stores.members.count()


def test_a_copy_that_succeeded_counts_before_one_that_did_not(
    chain: Chain, stores: Stores
) -> None:
    original = plant_copy(stores, "again")
    stores.tasks.collection.update_one(
        {"uuid": original["uuid"]}, {"$set": {"output.state": "unsuccessful"}}
    )
    chain.run()
    assert "again" in names(stores)
    assert original["uuid"] not in names(stores)
    assert not list(database_checks.copies(stores)), "it was tried again, and worked"


def test_several_workers_agree(chain: Chain, stores: Stores) -> None:
    from hts_battery.builders.screening_builder import run_builder  # noqa: PLC0415 - one test

    plant_copy(stores, "0000")
    for shard in (0, 1):
        run_builder(chain.make("entries", shard=(shard, 2)))
    assert len(names(stores)) == stores.members.count()
    assert "0000" not in names(stores)


def test_the_doctor_counts_and_names_copies(chain: Chain, stores: Stores) -> None:
    chain.run()
    assert not list(database_checks.copies(stores))
    original = plant_copy(stores, "0000")
    (found,) = database_checks.copies(stores)
    assert found.what.startswith("1 calculations were done more than once, 1 for")
    assert original["metadata"]["content_key"] in found.what
    assert original["metadata"]["ordering_id"] in found.what
