from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from maggma.stores import JSONStore

from hts_battery.connections.database.content_digests import (
    content_digests,
    query_values,
    write_documents,
)

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


def digests(stores: Stores) -> dict[str, str]:
    found = content_digests(stores.candidates, {}, ["candidate_id"])
    return {name: digest for (name,), digest in found}


def test_a_digest_is_that_of_the_content_and_not_of_the_object_id(
    stores: Stores,
) -> None:
    stores.candidates.update({"candidate_id": "a", "x": {"y": [1, 2.5]}})
    before = digests(stores)
    stores.candidates.remove_docs({})
    stores.candidates.update({"candidate_id": "a", "x": {"y": [1, 2.5]}})
    assert digests(stores) == before
    stores.candidates.update({"candidate_id": "a", "x": {"y": [1, 2.6]}})
    assert digests(stores) != before


def test_fields_may_be_dotted_and_may_be_missing(stores: Stores) -> None:
    stores.candidates.update({"candidate_id": "a", "x": {"y": 3}})
    fields = ["x.y", "x.z", "x.y.w", "q"]
    ((values, _),) = content_digests(stores.candidates, {}, fields)
    assert values == (3, None, None, None)


def test_another_kind_of_store_is_digested_too(tmp_path: Path) -> None:
    file = tmp_path / "store.json"
    file.write_text('[{"candidate_id": "a", "x": {"y": 3}}]')
    with JSONStore(str(file), key="candidate_id") as store:
        ((values, digest),) = content_digests(store, {}, ["x.y"])
        assert values == (3,)
        assert len(digest) == 24


@pytest.mark.parametrize("count", [3, 250, 450])
def test_many_values_are_found_whatever_way_is_taken(
    stores: Stores, count: int
) -> None:
    docs = [{"candidate_id": f"{i:04}", "family": "x", "n": i} for i in range(500)]
    stores.candidates.update(docs)
    wanted = [f"{i:04}" for i in range(count)] + ["absent"]
    found = query_values(
        stores.candidates,
        "candidate_id",
        wanted,
        criteria={"family": "x"},
        properties=["n"],
    )
    assert sorted(doc["n"] for doc in found) == list(range(count))


def test_what_somebody_else_inserted_is_replaced(stores: Stores) -> None:
    stores.candidates.update({"candidate_id": "b", "n": 0})
    docs = [{"candidate_id": name, "n": 1} for name in "abc"]
    write_documents(stores.candidates, docs, ["candidate_id"], known=set())
    assert stores.candidates.count({"n": 1}) == stores.candidates.count() == 3
    changed = [{"candidate_id": name, "n": 2} for name in "cd"]
    write_documents(stores.candidates, changed, ["candidate_id"], known={("c",)})
    assert stores.candidates.count({"n": 2}) == 2
    assert all("_id" not in doc for doc in docs + changed)
