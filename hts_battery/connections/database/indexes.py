"""Making the indexes that a database should have, and saying which it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.connections.database.clients import shared_client, translated_errors
from hts_battery.connections.database.collection_specs import Index, expected_indexes
from hts_battery.connections.database.layout import mark_layout
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database as MongoDatabase

    from hts_battery.connections.database.stores import Stores


def ensure_indexes(stores: Stores) -> tuple[str, ...]:
    """
    Create the indexes that are missing, and mark an empty database with its layout.

    Every field that is queried stands in an index, because a scan costs 200 ms at
    10,000 documents on the embedded server. Returns ``collection: field, field`` of
    each that was created.

    Raises
    ------
    StoreError
        If documents contradict a unique index, or the server refuses.
    """
    mark_layout(stores.database)
    created = []
    uri = stores.database.uri
    with translated_errors(uri, "making indexes"), shared_client(uri) as client:
        mongo = client[stores.database.name]
        for name, indexes in expected_indexes(stores.blob_store).items():
            present = _present_indexes(mongo, name)
            for index in indexes:
                if index in present:
                    continue
                if index._replace(unique=not index.unique) in present:
                    raise StoreError(
                        f"{stores.database.location}: the index of {name} on "
                        f"{', '.join(index.fields)} must be unique={index.unique}: "
                        "drop it by hand"
                    )
                _create_index(mongo[name], index)
                created.append(f"{name}: {', '.join(index.fields)}")
    return tuple(created)


def missing_indexes(stores: Stores) -> tuple[str, ...]:
    """Return ``collection: field, field`` of each index that is not there."""
    uri = stores.database.uri
    with translated_errors(uri, "listing indexes"), shared_client(uri) as client:
        mongo = client[stores.database.name]
        return tuple(
            f"{name}: {', '.join(index.fields)}"
            for name, indexes in expected_indexes(stores.blob_store).items()
            for index in set(indexes) - _present_indexes(mongo, name)
        )


def _present_indexes(mongo: MongoDatabase[dict[str, object]], name: str) -> set[Index]:
    """Read which ascending indexes a collection has."""
    present = set()
    for found in mongo[name].index_information().values():
        part = list((found.get("partialFilterExpression") or {}).items())
        index = Index(
            tuple(field for field, _ in found["key"]),
            bool(found.get("unique")),
            (part[0][0], part[0][1]) if len(part) == 1 else None,
        )
        present.add(index)
    return present


def ensure_index(stores: Stores, collection: str, *fields: str) -> None:
    """Create one index beyond the fixed ones, for example on a temperature's field."""
    uri = stores.database.uri
    with translated_errors(uri, "making an index"), shared_client(uri) as client:
        mongo = client[stores.database.name]
        if Index(fields) not in _present_indexes(mongo, collection):
            _create_index(mongo[collection], Index(fields))


def _create_index(collection: Collection[dict[str, object]], index: Index) -> None:
    """Create one index; the same from two processes at once is one index."""
    collection.create_index(
        [(field, 1) for field in index.fields], unique=index.unique, **index.part
    )
