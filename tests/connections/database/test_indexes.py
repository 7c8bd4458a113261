from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from hts_battery.connections.database.clients import shared_client
from hts_battery.connections.database.indexes import ensure_indexes, missing_indexes
from hts_battery.connections.database.stores import open_stores
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


def plan(database: Database, name: str, criteria: dict[str, Any]) -> str:
    with shared_client(database.uri) as client:
        return str(client[database.name][name].find(criteria).explain())


def test_second_call_makes_no_index_and_is_quick(stores: Stores) -> None:
    assert missing_indexes(stores) == ()
    start = time.perf_counter()
    assert ensure_indexes(stores) == ()
    assert time.perf_counter() - start < 0.5


def test_missing_index_is_named_and_made(stores: Stores, database: Database) -> None:
    with shared_client(database.uri) as client:
        client[database.name].thermo.drop_index(
            "campaign_1_candidate_id_1_temperature_1"
        )
    name = "thermo: campaign, candidate_id, temperature"
    assert missing_indexes(stores) == (name,)
    assert ensure_indexes(stores) == (name,)


def test_index_that_should_be_unique(stores: Stores, database: Database) -> None:
    with shared_client(database.uri) as client:
        collection = client[database.name].candidates
        collection.drop_index("candidate_id_1")
        collection.create_index("candidate_id")
    with pytest.raises(StoreError, match="candidates on candidate_id must be unique"):
        ensure_indexes(stores)


def test_documents_that_contradict_an_index(database: Database) -> None:
    with open_stores(database) as stores:
        with shared_client(database.uri) as client:
            client[database.name].candidates.insert_many(
                [{"candidate_id": "a"}, {"candidate_id": "a"}]
            )
        with pytest.raises(StoreError, match="making indexes"):
            ensure_indexes(stores)


@pytest.mark.parametrize(
    ("name", "criteria"),
    [
        ("tasks", {"uuid": "x"}),
        ("tasks", {"uuid": "x", "index": 1}),
        ("tasks", {"metadata.candidate_id": "x"}),
        ("tasks", {"metadata.content_key": {"$in": ["x"]}}),
        ("blobs", {"blob_uuid": {"$in": ["x", "y"]}}),
        ("blobs", {"job_uuid": "x", "job_index": 1}),
        ("candidates", {"candidate_id": "x"}),
        ("entries", {"kind": "reference", "engine": "x"}),
        ("thermo", {"candidate_id": "x", "temperature": 0.0}),
        ("summary", {"campaign": "x"}),
    ],
)
def test_query_uses_an_index(
    name: str, criteria: dict[str, Any], stores: Stores, database: Database
) -> None:
    assert missing_indexes(stores) == ()
    assert "IXSCAN" in plan(database, name, criteria)
