"""The collections: each is named, keyed and indexed here and nowhere else."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from jobflow import JobStore
from maggma.stores import GridFSStore, MongoStore, S3Store
from pymongo.errors import BulkWriteError

from hts_battery.connections.clients import (
    acquire_client,
    redact,
    release_client,
    shared_client,
    translated_errors,
)
from hts_battery.connections.database import Database, database
from hts_battery.connections.layout import check_layout, mark_layout
from hts_battery.errors import ConfigurationError, StoreError
from hts_battery.settings import BlobStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from maggma.core import Store
    from pymongo.collection import Collection
    from pymongo.database import Database as MongoDatabase

    from hts_battery.settings import HTSBatterySettings

_INSERT_BATCH = 1000
_DUPLICATE = 11000

BLOBS = "blobs"
"""Collection of large outputs, or of their index when a bucket holds them."""


class Index(NamedTuple):
    """An index of a collection: its fields in order, and whether they identify."""

    fields: tuple[str, ...]
    unique: bool = False


COLLECTIONS: dict[str, tuple[str, tuple[Index, ...]]] = {
    "campaigns": ("name", (Index(("name",), unique=True),)),
    "members": (
        "candidate_id",
        (
            Index(("campaign", "candidate_id"), unique=True),
            Index(("campaign", "released")),
            Index(("content_key",)),
            Index(("released", "campaign")),
        ),
    ),
    "candidates": (
        "candidate_id",
        (Index(("candidate_id",), unique=True), Index(("family",))),
    ),
    "tasks": (
        "uuid",
        (
            # jobflow resolves every reference by uuid and newest index.
            Index(("uuid", "index"), unique=True),
            Index(("metadata.candidate_id",)),
            Index(("metadata.content_key", "metadata.step")),
            Index(("metadata.phase_id",)),
            Index(("metadata.step",)),
            Index(("completed_at",)),
        ),
    ),
    BLOBS: (
        "blob_uuid",
        (
            Index(("blob_uuid",), unique=True),
            Index(("job_uuid", "job_index")),
        ),
    ),
    "failures": (
        "content_key",
        (Index(("content_key",), unique=True), Index(("candidate_id",))),
    ),
    "references": (
        "phase_id",
        (Index(("phase_id", "engine"), unique=True), Index(("engine", "rejected"))),
    ),
    "entries": (
        "entry_id",
        (
            Index(("entry_id",), unique=True),
            Index(("candidate_id", "engine")),
            Index(("content_key",)),
            Index(("kind", "engine", "state")),
            Index(("input_digest",)),
        ),
    ),
    "thermo": (
        "candidate_id",
        (
            Index(("campaign", "candidate_id", "temperature"), unique=True),
            Index(("candidate_id", "temperature")),
            Index(("campaign", "state")),
            Index(("input_digest",)),
        ),
    ),
    "summary": (
        "candidate_id",
        (
            Index(("campaign", "candidate_id"), unique=True),
            Index(("candidate_id",)),
            Index(("canonical_formula",)),
            Index(("chemical_system",)),
            Index(("element_keys",)),
            Index(("energy_above_hull",)),
            Index(("mixing_temperature",)),
            Index(("n_metals",)),
            Index(("family",)),
            Index(("flags",)),
            Index(("input_digest",)),
        ),
    ),
    "rankings": (
        "ranking_id",
        (
            Index(("ranking_id",), unique=True),
            Index(("campaign", "temperature", "first_rank")),
        ),
    ),
    "aggregates": ("campaign", (Index(("campaign",), unique=True),)),
    # What an OPTIMADE filter may name; see schemas/optimade.py.
    "optimade_structures": (
        "id",
        (
            Index(("campaign", "candidate_id"), unique=True),
            Index(("id",), unique=True),
            Index(("elements",)),
            Index(("nelements",)),
            Index(("chemical_formula_reduced",)),
            Index(("chemical_formula_anonymous",)),
            Index(("e_hull",)),
        ),
    ),
    "hulls": ("hull_version", (Index(("hull_version",), unique=True),)),
    "changes": (
        "change_id",
        (Index(("change_id",), unique=True), Index(("run_id",))),
    ),
    "builds": (
        "run_id",
        (Index(("run_id",), unique=True), Index(("state",))),
    ),
    "locks": ("name", (Index(("name",), unique=True),)),
    "submissions": ("campaign", (Index(("campaign",), unique=True),)),
    "backlog": ("block", (Index(("campaign", "block"), unique=True),)),
    # What the builders said, in few documents; which messages were sent.
    "judged": ("block", (Index(("campaign", "block"), unique=True),)),
    "alerts": ("campaign", (Index(("campaign",), unique=True),)),
    # Workflows that ended, out of FireWorks' own collections.
    "archived_workflows": (
        "fw_id",
        (Index(("fw_id",), unique=True), Index(("campaign",))),
    ),
}
"""Name of each collection → key field and indexes."""

_BLOB_INDEXES: dict[BlobStore, tuple[str, tuple[Index, ...]]] = {
    BlobStore.MONGO: (BLOBS, COLLECTIONS[BLOBS][1]),
    BlobStore.GRIDFS: (
        f"{BLOBS}.files",
        (
            Index(("metadata.blob_uuid",)),
            Index(("metadata.job_uuid", "metadata.job_index")),
        ),
    ),
    BlobStore.S3: (BLOBS, COLLECTIONS[BLOBS][1]),
}
"""Where the index of the blobs stands, and on which fields."""


class SharedMongoStore(MongoStore):
    """
    A maggma store on this process's one client of a server.

    Maggma opens a client for every store, and a builder closes its stores when it is
    done; here closing gives the shared client back and touches nobody else's store.
    Made by :func:`open_stores`; serialises, its URI included, like any store.
    """

    _coll: Any

    @property
    def name(self) -> str:
        """Server, database and collection, without credentials."""
        return f"{redact(str(self.uri))}#{self.database}.{self.collection_name}"

    @property
    def collection(self) -> Collection[dict[str, Any]]:
        """The collection itself, for what maggma's stores do not offer."""
        if self._coll is None:
            raise StoreError(f"store {self.collection_name} is not connected")
        found: Collection[dict[str, Any]] = self._coll
        return found

    def connect(self, force_reset: bool = False) -> None:
        """Take part in the shared client."""
        if self._coll is not None:
            if not force_reset:
                return
            self.close()
        client = acquire_client(str(self.uri))
        self._coll = client[self.database][self.collection_name]

    def close(self) -> None:
        """Give the shared client back; a closed store stays closed."""
        if self._coll is not None:
            self._coll = None
            release_client(str(self.uri))

    def __eq__(self, other: object) -> bool:
        return bool(super().__eq__(other))

    __hash__ = MongoStore.__hash__


class SharedGridFSStore(GridFSStore):
    """A GridFS store whose name does not show the password of its URI."""

    @property
    def name(self) -> str:
        """Server, database and bucket, without credentials."""
        return f"{redact(str(self.uri))}#{self.database}.{self.collection_name}"

    def close(self) -> None:
        """Close the store's client; a closed store stays closed."""
        if self._coll is not None:
            self._files_collection.database.client.close()
            self._coll = None


@dataclass(frozen=True)
class Stores:
    """
    Every store of one database, connected; a context manager that closes them.

    Parameters
    ----------
    database
        The database they belong to.
    campaigns
        Campaign files as they were last run.
    members
        Which candidates each campaign screens, with the key of the calculation.
    candidates
        One document per candidate, whatever becomes of it.
    tasks
        Outputs of jobs, without their large parts.
    blobs
        Large parts of outputs.
    failures
        Why the last execution of a calculation failed.
    references
        Energies of competing phases.
    entries
        Comparable energies of candidates and competing phases, or why not.
    thermo
        Stability of each candidate at each temperature.
    summary
        One flat document per candidate and campaign for analysts.
    rankings
        Blocks of each campaign's candidates in the order of E_hull.
    aggregates
        Counts and histograms over each campaign.
    optimade_structures
        The same candidates in OPTIMADE's words.
    hulls
        The references of each hull version.
    changes
        What each build wrote, replaced and removed, and why.
    builds
        One manifest per run of the builders.
    locks
        Who may build or send work now.
    submissions
        How each campaign is sent to its worker.
    backlog
        What was sent of each campaign and how it ended, in blocks of candidates.
    judged
        What the builders said of each campaign, in blocks of candidates.
    alerts
        Which messages were sent about each campaign.
    archived_workflows
        Workflows that ended, with their launches, one document each.
    job_store
        jobflow's store: ``tasks``, with ``blobs`` as the additional store ``data``.
    blob_store
        Kind of the blob store.
    """

    database: Database
    campaigns: SharedMongoStore
    members: SharedMongoStore
    candidates: SharedMongoStore
    tasks: SharedMongoStore
    blobs: Store
    failures: SharedMongoStore
    references: SharedMongoStore
    entries: SharedMongoStore
    thermo: SharedMongoStore
    summary: SharedMongoStore
    rankings: SharedMongoStore
    aggregates: SharedMongoStore
    optimade_structures: SharedMongoStore
    hulls: SharedMongoStore
    changes: SharedMongoStore
    builds: SharedMongoStore
    locks: SharedMongoStore
    submissions: SharedMongoStore
    backlog: SharedMongoStore
    judged: SharedMongoStore
    alerts: SharedMongoStore
    archived_workflows: SharedMongoStore
    job_store: JobStore
    blob_store: BlobStore = BlobStore.MONGO

    @property
    def all(self) -> tuple[Store, ...]:
        """Every store that holds a connection."""
        return tuple(getattr(self, item.name) for item in fields(self)[1:-2])

    def close(self) -> None:
        """Close every store; the server's client goes with its last user."""
        for store in self.all:
            store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()


def open_stores(
    database: Database,
    *,
    blob_store: BlobStore = BlobStore.MONGO,
    s3_bucket: str | None = None,
    s3_endpoint_url: str | None = None,
    s3_prefix: str = "",
) -> Stores:
    """
    Connect every store of a database.

    Parameters
    ----------
    database
        An open database.
    blob_store
        Where large outputs are kept.
    s3_bucket
        Bucket of blob store s3.
    s3_endpoint_url
        Address of an S3 service other than Amazon's.
    s3_prefix
        Prefix of the names in the bucket.

    Returns
    -------
    Stores
        Use it as a context manager, or close it.

    Raises
    ------
    StoreError
        If a store cannot be reached.
    ConfigurationError
        If blob store s3 lacks its bucket.
    """
    stores = {
        name: SharedMongoStore(database.name, name, uri=database.uri, key=key)
        for name, (key, _) in COLLECTIONS.items()
    }
    blobs: Store = stores.pop(BLOBS)
    if blob_store is BlobStore.GRIDFS:
        blobs = SharedGridFSStore(
            database.name, BLOBS, uri=database.uri, key="blob_uuid"
        )
    elif blob_store is BlobStore.S3:
        if s3_bucket is None:
            raise ConfigurationError("blob_store s3 needs s3_bucket")
        blobs = S3Store(
            index=blobs,
            bucket=s3_bucket,
            endpoint_url=s3_endpoint_url,
            sub_dir=s3_prefix,
            key="blob_uuid",
        )
    opened = Stores(
        database=database,
        blobs=blobs,
        job_store=_job_store(stores["tasks"], blobs),
        blob_store=blob_store,
        **stores,
    )
    with translated_errors(database.uri, "opening its stores"):
        for store in opened.all:
            store.connect()
    return opened


@contextmanager
def screening_stores(
    settings: HTSBatterySettings, *, make_indexes: bool = True, any_layout: bool = False
) -> Iterator[Stores]:
    """
    Open database and stores as the settings say, indexes included.

    Parameters
    ----------
    settings
        Where the database is and where blobs go.
    make_indexes
        Whether missing indexes are made; without, nothing is written.
    any_layout
        Whether a database of another layout than this code's is opened all the same,
        to copy it.

    Yields
    ------
    Stores
        Closed at the end, and the embedded server with its last user.

    Raises
    ------
    StoreError
        If the database cannot be used, or has another layout than this code's.
    """
    with (
        database(
            settings.mongo_uri, name=settings.database, data_dir=settings.data_dir
        ) as opened,
        open_stores(
            opened,
            blob_store=settings.blob_store,
            s3_bucket=settings.s3_bucket,
            s3_endpoint_url=settings.s3_endpoint_url,
            s3_prefix=settings.s3_prefix,
        ) as stores,
    ):
        if not any_layout:
            check_layout(opened)
        if make_indexes:
            ensure_indexes(stores)
        yield stores


def _job_store(tasks: Store, blobs: Store) -> JobStore:
    """Join outputs and blobs; force-field jobs ask for a store named ``data``."""
    return JobStore(tasks, additional_stores={"data": blobs}, load=False)


def insert_new(store: SharedMongoStore, docs: Iterable[dict[str, Any]]) -> int:
    """
    Insert documents that are probably new; several times faster than updating.

    Parameters
    ----------
    store
        A store with a unique index.
    docs
        Documents; one that stands there already, by that index, is left as it is.

    Returns
    -------
    int
        Number of documents that were inserted.
    """
    inserted, every = 0, list(docs)
    for start in range(0, len(every), _INSERT_BATCH):
        batch = every[start : start + _INSERT_BATCH]
        try:
            done = store.collection.insert_many(batch, ordered=False)
            inserted += len(done.inserted_ids)
        except BulkWriteError as err:
            details = err.details or {}
            if any(one["code"] != _DUPLICATE for one in details["writeErrors"]):
                raise
            inserted += details["nInserted"]
    return inserted


def expected_indexes(blob_store: BlobStore) -> Mapping[str, tuple[Index, ...]]:
    """Return the indexes of every collection, those of the blobs by their kind."""
    name, indexes = _BLOB_INDEXES[blob_store]
    kept = {key: value[1] for key, value in COLLECTIONS.items() if key != BLOBS}
    return {**kept, name: indexes}


def ensure_indexes(stores: Stores) -> tuple[str, ...]:
    """
    Create the indexes that are missing, and mark an empty database with its layout.

    Every field that is queried stands in an index, because a scan costs 200 ms at
    10,000 documents on the embedded server.

    Parameters
    ----------
    stores
        Open stores.

    Returns
    -------
    tuple of str
        ``collection: field, field`` of each index that was created.

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
                if Index(index.fields, not index.unique) in present:
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


def _present_indexes(mongo: MongoDatabase[dict[str, Any]], name: str) -> set[Index]:
    """Read which ascending indexes a collection has."""
    return {
        Index(tuple(field for field, _ in found["key"]), bool(found.get("unique")))
        for found in mongo[name].index_information().values()
    }


def ensure_index(stores: Stores, collection: str, *fields: str) -> None:
    """
    Create one index beyond the fixed ones, for example on a temperature's field.

    Parameters
    ----------
    stores
        Open stores.
    collection
        Name of the collection.
    fields
        Its fields, in order.

    Raises
    ------
    StoreError
        If the server refuses.
    """
    uri = stores.database.uri
    with translated_errors(uri, "making an index"), shared_client(uri) as client:
        mongo = client[stores.database.name]
        if Index(fields) not in _present_indexes(mongo, collection):
            _create_index(mongo[collection], Index(fields))


def _create_index(collection: Collection[dict[str, Any]], index: Index) -> None:
    """Create one index; the same from two processes at once is one index."""
    collection.create_index([(field, 1) for field in index.fields], unique=index.unique)
