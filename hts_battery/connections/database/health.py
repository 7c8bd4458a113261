"""What a database server and its collections say about their health."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, cast

from pymongo.errors import OperationFailure
from pymongo.uri_parser import parse_uri

from hts_battery.connections.database.clients import shared_client, translated_errors
from hts_battery.connections.database.collection_specs import expected_indexes
from hts_battery.connections.database.locks import holder_death, server_time
from hts_battery.connections.database.slices import slices_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import timedelta

    from pymongo.collection import Collection

    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.locks import HeldLock
    from hts_battery.connections.database.stores import Stores

_ID_INDEX = "_id_"
# The builders index each temperature of each campaign.
_BY_TEMPERATURE = "energy_above_hull_at."


class LargeDocument(NamedTuple):
    """A document near the limit of the server."""

    name: str
    """Of its collection."""
    key: str
    bytes: int


class Durability(NamedTuple):
    """Whether a write that was acknowledged outlives the server."""

    server: str
    """Its version, and what it is."""
    write_concern: Mapping[str, object]
    """What this process asks for."""
    replicas: int | None
    """Members of the replica set; none for a single server."""


def unknown_indexes(stores: Stores) -> tuple[str, ...]:
    """Return ``collection: index`` of each index of ours that no query needs."""
    uri, database = stores.database.uri, stores.database.name
    found = []
    with translated_errors(uri, "listing indexes"), shared_client(uri) as client:
        for name, indexes in expected_indexes(stores.blob_store).items():
            wanted = {index.fields for index in indexes}
            present = client[database][name].index_information()
            found += [
                f"{name}: {index}"
                for index, value in sorted(present.items())
                if index != _ID_INDEX
                and (fields := tuple(field for field, _ in value["key"])) not in wanted
                and not any(field.startswith(_BY_TEMPERATURE) for field in fields)
            ]
    return tuple(found)


def dead_locks(stores: Stores) -> Iterator[tuple[HeldLock, str]]:
    """Yield the locks whose holders are dead, each with how one knows."""
    uri = stores.database.uri
    with translated_errors(uri, "asking the time"), shared_client(uri) as client:
        now = server_time(client)
    for doc in stores.locks.query({}):
        held = cast("HeldLock", doc)
        why = holder_death(held, now)
        if why is not None:
            yield held, why


def drop_lock(stores: Stores, lock: HeldLock) -> bool:
    """Remove a lock unless somebody has taken it meanwhile; say whether it went."""
    uri = stores.database.uri
    with translated_errors(uri, "dropping a lock"):
        done = stores.locks.collection.delete_one(
            {"name": lock["name"], "token": lock["token"], "beat_at": lock["beat_at"]}
        )
    return bool(done.deleted_count)


def large_documents(
    database: Database, *, above: int, at_most: int = 5, sampled: int = 20_000
) -> tuple[LargeDocument, ...]:
    """
    Find documents above a number of bytes by the server's own measure, in bounded time.

    Of a collection of outputs about ``sampled`` documents are looked at, spread over
    it; of the others all are.
    """
    uri, found = database.uri, list[LargeDocument]()
    with translated_errors(uri, "measuring documents"), shared_client(uri) as client:
        mongo = client[database.name]
        for name in sorted(mongo.list_collection_names()):
            if name.startswith("system.") or name.endswith(".chunks"):
                continue
            large = _large(mongo[name], above, sampled)
            large.sort(key=lambda one: -one.bytes)
            found += large[:at_most]
    return tuple(found)


def _large(
    collection: Collection[dict[str, object]], above: int, sampled: int
) -> list[LargeDocument]:
    """Measure the documents of slices at equal distances."""
    cut = slices_of(collection)
    step = max(1, -(-collection.estimated_document_count() // sampled))
    return [
        LargeDocument(collection.name, str(row["_id"]), int(str(row["bytes"])))
        for criteria in cut[::step]
        for row in collection.aggregate(
            [
                {"$match": criteria},
                {"$project": {"bytes": {"$bsonSize": "$$ROOT"}}},
                {"$match": {"bytes": {"$gt": above}}},
            ]
        )
    ]


def clock_skew(database: Database) -> timedelta:
    """Return the server's clock minus this host's, at the middle of the question."""
    uri = database.uri
    with translated_errors(uri, "asking the time"), shared_client(uri) as client:
        before = datetime.now(UTC)
        answer = client.admin.command("hello")
        after = datetime.now(UTC)
    there = answer["localTime"].replace(tzinfo=UTC)
    skew: timedelta = there - (before + (after - before) / 2)
    return skew


def durability(database: Database) -> Durability:
    """Ask what a server does with a write before it acknowledges it."""
    uri = database.uri
    with (
        translated_errors(uri, "asking for its settings"),
        shared_client(uri) as client,
    ):
        version = str(client.server_info()["version"])
        hello = client.admin.command("hello")
        concern = dict(client.write_concern.document)
        if not concern and "setName" in hello:
            try:
                answer = client.admin.command("getDefaultRWConcern")
                concern = dict(answer.get("defaultWriteConcern", {}))
            except OperationFailure:  # not allowed to ask, or too old to answer
                concern = {}
    hosts = hello.get("hosts")
    return Durability(version, concern, len(hosts) if hosts else None)


def uri_options(uri: str) -> dict[str, object]:
    """Return the options of a URI by lower-case name, credentials left out."""
    options = parse_uri(uri, validate=False, warn=True).get("options") or {}
    return {str(name).lower(): value for name, value in options.items()}
