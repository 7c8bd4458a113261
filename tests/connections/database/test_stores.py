from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jobflow import Flow, OutputReference, job, run_locally
from monty.json import MontyDecoder
from planted import PlantedModule

from hts_battery.connections.database.clients import open_clients, shared_client
from hts_battery.connections.database.collection_specs import COLLECTIONS
from hts_battery.connections.database.embedded import status
from hts_battery.connections.database.indexes import ensure_indexes, missing_indexes
from hts_battery.connections.database.stores import (
    SharedMongoStore,
    open_stores,
    screening_stores,
)
from hts_battery.errors import ConfigurationError, ForeignClassError
from hts_battery.settings import BlobStore, HTSBatterySettings

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


@job(data="large")
def make_output(number: int) -> dict[str, Any]:
    return {"number": number, "large": list(range(1000))}


@job
def add_up(numbers: list[int]) -> int:
    return sum(numbers)


def test_every_collection_has_a_store(stores: Stores) -> None:
    for name, (key, _) in COLLECTIONS.items():
        store = getattr(stores, name)
        assert store.key == key
        assert store.collection_name == name
    assert len(stores.all) == len(COLLECTIONS)
    assert stores.job_store.docs_store is stores.tasks
    assert stores.job_store.additional_stores == {"data": stores.blobs}


def test_stores_share_one_client(stores: Stores) -> None:
    assert isinstance(stores.blobs, SharedMongoStore)
    assert stores.candidates._collection.database.client is (  # noqa: SLF001 - maggma has no other way
        stores.blobs._collection.database.client  # noqa: SLF001 - likewise
    )
    assert open_clients() == 1


def test_closing_one_store_leaves_the_others(stores: Stores) -> None:
    stores.candidates.close()
    stores.candidates.close()
    assert stores.thermo.count({"candidate_id": "x"}) == 0
    stores.candidates.connect()
    stores.candidates.connect(force_reset=True)
    assert stores.candidates.count({"candidate_id": "x"}) == 0


def test_documents_of_a_key_are_replaced(stores: Stores) -> None:
    stores.candidates.update([{"candidate_id": "a", "family": "x"}])
    stores.candidates.update([{"candidate_id": "a", "family": "y"}])
    assert [doc["family"] for doc in stores.candidates.query()] == ["y"]


def test_jobs_leave_outputs_and_blobs(stores: Stores) -> None:
    parts = [make_output(number) for number in (1, 2)]
    total = add_up([part.output["number"] for part in parts])
    flow = Flow([*parts, total])
    flow.update_metadata({"candidate_id": "c"})
    run_locally(flow, store=stores.job_store, log=False, ensure_success=True)
    assert stores.job_store.get_output(total.uuid) == 3
    output = stores.job_store.get_output(parts[0].uuid, load=True)
    assert output["large"] == list(range(1000))
    assert "blob_uuid" in stores.job_store.get_output(parts[0].uuid)["large"]
    assert stores.blobs.count({"job_uuid": parts[0].uuid}) == 1
    assert stores.tasks.count({"metadata.candidate_id": "c"}) == 3


def test_blobs_in_gridfs(database: Database) -> None:
    with open_stores(database, blob_store=BlobStore.GRIDFS) as stores:
        created = ensure_indexes(stores)
        assert "blobs.files: metadata.blob_uuid" in created
        part = make_output(1)
        run_locally(part, store=stores.job_store, log=False, ensure_success=True)
        output = stores.job_store.get_output(part.uuid, load=True)
        assert output["large"] == list(range(1000))


def test_blobs_in_a_bucket_are_configured(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="s3_bucket"):
        open_stores(database, blob_store=BlobStore.S3)


def test_password_is_not_in_the_name_of_a_store() -> None:
    store = SharedMongoStore("d", "c", uri="mongodb://me:secret@host/", key="k")
    assert store.name == "mongodb://***@host/#d.c"


def test_store_survives_serialisation(stores: Stores) -> None:
    copy = MontyDecoder().process_decoded(stores.candidates.as_dict())
    assert isinstance(copy, SharedMongoStore)
    assert copy == stores.candidates
    assert hash(copy) == hash(stores.candidates)
    copy.connect()
    assert copy.count({"candidate_id": "x"}) == 0
    copy.close()


def test_stores_of_settings(tmp_path: Path) -> None:
    settings = HTSBatterySettings(data_dir=tmp_path)
    with screening_stores(settings) as stores:
        assert missing_indexes(stores) == ()
        stores.candidates.update([{"candidate_id": "a"}])
    assert not status(tmp_path).running
    with screening_stores(settings) as stores:
        assert stores.candidates.count({"candidate_id": "a"}) == 1


def test_unreachable_stores(database: Database) -> None:
    with open_stores(database) as stores, shared_client(database.uri):
        pass
    with pytest.raises(Exception, match="connect"):
        stores.candidates.count({})


def test_an_output_that_names_a_foreign_module_is_refused(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = PlantedModule(tmp_path, monkeypatch)
    reference = OutputReference("a", attributes=(("i", "value"),))
    for value in (planted.naming(), [{"deep": planted.naming("callable")}]):
        stores.job_store.update({"uuid": "a", "index": 1, "output": {"value": value}})
        with pytest.raises(ForeignClassError, match=f"output of job a.*{planted.name}"):
            reference.resolve(stores.job_store)
        with pytest.raises(ForeignClassError):
            stores.job_store.get_output("a", load=True)
    stores.job_store.update({"uuid": "a", "index": 1, "output": {"value": 5}})
    assert reference.resolve(stores.job_store) == 5
    assert not planted.was_imported
