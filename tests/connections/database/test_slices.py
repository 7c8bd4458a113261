"""Slices of a collection: every document in one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.connections.database.collection_specs import SLICED_BY
from hts_battery.connections.database.content_digests import (
    content_digests,
    query_values,
)
from hts_battery.connections.database.slices import (
    SLICE,
    bounds,
    read_sliced,
    slices_of,
)

if TYPE_CHECKING:
    from hts_battery.connections.database.stores import Stores

COUNT = 2 * SLICE + 10


@given(st.integers(0, 10**6), st.integers(1, 10**5), st.text(max_size=6))
def test_every_text_lies_in_one_slice(count: int, size: int, value: str) -> None:
    holding = [
        cut
        for cut in bounds(min(count, 256 * size), size)
        if cut.get("$gte", "") <= value and ("$lt" not in cut or value < cut["$lt"])
    ]
    assert len(holding) == 1


@pytest.mark.mongo
def test_every_document_is_read_once_whatever_its_name(stores: Stores) -> None:
    names = [*(f"{7919 * i % 65536:04x}" for i in range(COUNT)), "A", "~", "", "g1"]
    docs = [{"candidate_id": name} for name in names]
    stores.candidates.collection.insert_many([*docs, {"no": "id"}])
    assert len(slices_of(stores.candidates.collection)) == 17
    read = [
        doc.get("candidate_id") for doc in read_sliced(stores.candidates.collection)
    ]
    assert sorted(map(str, read)) == sorted([*names, "None"])
    some = stores.candidates.every(["no"])
    assert [doc["no"] for doc in some if set(doc) > {"_id"}] == ["id"]
    digests = content_digests(stores.candidates, {}, ["candidate_id"])
    assert sorted(str(name) for (name,), _ in digests) == sorted([*names, "None"])


@pytest.mark.mongo
def test_without_the_index_a_collection_is_read_at_once(stores: Stores) -> None:
    stores.candidates.collection.drop_indexes()
    docs = [{"candidate_id": f"{i:04x}"} for i in range(COUNT)]
    stores.candidates.collection.insert_many(docs)
    assert slices_of(stores.candidates.collection) == [{}]
    assert len(list(read_sliced(stores.candidates.collection))) == COUNT


@pytest.mark.mongo
def test_each_field_begins_an_index(stores: Stores) -> None:
    for name, field in SLICED_BY.items():
        made = stores.members.collection.database[name].index_information().values()
        assert field in {one["key"][0][0] for one in made}, name


@pytest.mark.mongo
def test_very_many_values_are_found_by_the_ranges_they_span(stores: Stores) -> None:
    docs = [{"candidate_id": f"{i:04}", "family": "xy"[i % 2]} for i in range(1200)]
    stores.candidates.update(docs)
    wanted = [f"{i:04}" for i in range(0, 1200, 2)] + ["absent", "0001"]
    found = query_values(
        stores.candidates, "candidate_id", wanted, criteria={"family": "x"}
    )
    assert sorted(doc["candidate_id"] for doc in found) == sorted(wanted[:600])
