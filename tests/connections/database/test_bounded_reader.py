"""What servers read of a database: some collections, bounded, and never more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hts_battery.builders.registry import collections_of
from hts_battery.connections.database.bounded_reader import BoundedReader, readable
from hts_battery.connections.database.collection_specs import COLLECTIONS
from hts_battery.errors import QueryLimitError, StoreError

if TYPE_CHECKING:
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo
READABLE = readable(collections_of("writes"))
NAMES = [f"run {number}" for number in range(6)]


@pytest.fixture
def reader(stores: Stores) -> BoundedReader:
    docs = [
        {"run_id": name, "state": "finished" if n % 2 else "failed", "number": n}
        for n, name in enumerate(NAMES)
    ]
    stores.builds.update(docs, key="run_id")
    return BoundedReader(stores.database, READABLE)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"sort": {"number": 1}}, NAMES),
        ({"sort": {"number": -1}, "limit": 2}, NAMES[:-3:-1]),
        ({"sort": {"number": 1}, "skip": 4}, NAMES[4:]),
        ({"sort": {"number": 1}, "skip": 1, "limit": 2}, NAMES[1:3]),
        ({"sort": {"state": 1, "number": -1}, "limit": 1}, ["run 4"]),
    ],
)
def test_documents_come_sorted_and_cut(
    reader: BoundedReader, options: dict[str, Any], found: list[str]
) -> None:
    docs = reader.find("builds", {}, **options)
    assert [doc["run_id"] for doc in docs] == found
    assert all("_id" not in doc for doc in docs)


def test_only_the_fields_that_were_asked_for_come(reader: BoundedReader) -> None:
    docs = reader.find("builds", {"run_id": "run 1"}, fields=["number"])
    assert docs == [{"number": 1}]
    assert reader.find_one("builds", {"run_id": "none"}) is None
    one = reader.find_one("builds", {"state": "failed"}, sort={"number": -1})
    assert one is not None
    assert one["run_id"] == "run 4"


def test_counting_takes_the_criteria_or_all(reader: BoundedReader) -> None:
    assert reader.count("builds") == 6
    assert reader.count("builds", {"state": "failed"}) == 3
    assert reader.count("builds", {"state": "running"}) == 0


@pytest.mark.parametrize("collection", sorted(set(COLLECTIONS) - set(READABLE)))
def test_nothing_else_can_be_read(reader: BoundedReader, collection: str) -> None:
    with pytest.raises(StoreError, match=f"{collection} may not be read here"):
        reader.find(collection, {})
    with pytest.raises(StoreError, match="may not be read"):
        reader.count(collection)


@pytest.mark.parametrize(
    ("criteria", "says"),
    [
        ({"number": 2**70}, "a number of the filter is too large"),
        ({"number": {"$no_such": 1}}, "cannot answer this filter"),
    ],
)
def test_a_filter_that_is_none_says_so(
    reader: BoundedReader, criteria: dict[str, Any], says: str
) -> None:
    with pytest.raises(QueryLimitError, match=says):
        reader.find("builds", criteria)
    # Its turn was given back: the next one is answered.
    assert reader.count("builds") == 6


def test_it_names_the_database_and_no_server(
    reader: BoundedReader, stores: Stores
) -> None:
    assert reader.location == stores.database.name
    assert "mongodb" not in reader.location


def test_what_waits_too_long_for_its_turn_is_refused(stores: Stores) -> None:
    reader = BoundedReader(stores.database, READABLE, concurrency=1, turn_seconds=0.0)
    with (
        reader._reading("builds"),  # noqa: SLF001 - holds the only turn
        pytest.raises(QueryLimitError, match="try again"),
    ):
        reader.find("builds", {})
    assert reader.find("builds", {}) == []
