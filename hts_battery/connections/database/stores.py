"""The stores: every collection of a database as a connected maggma store."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self, cast

from jobflow import JobStore
from maggma.stores import GridFSStore, MongoStore, S3Store
from pymongo.errors import BulkWriteError, ExecutionTimeout

from hts_battery.connections.database.clients import (
    acquire_client,
    release_client,
    translated_errors,
)
from hts_battery.connections.database.collection_specs import BLOBS, COLLECTIONS
from hts_battery.connections.database.database import Database, database
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.layout import check_layout
from hts_battery.connections.database.slices import read_sliced
from hts_battery.connections.database.uris import redact
from hts_battery.errors import ConfigurationError, QueryError, StoreError
from hts_battery.schemas.decoding import check_document
from hts_battery.settings import BlobStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from maggma.core import Store
    from pymongo.collection import Collection

    from hts_battery.settings import HTSBatterySettings


_INSERT_BATCH = 1000
_DUPLICATE = 11000


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
    def collection(self) -> Collection[dict[str, object]]:
        """The collection itself, for what maggma's stores do not offer."""
        if self._coll is None:
            raise StoreError(f"store {self.collection_name} is not connected")
        found: Collection[dict[str, object]] = self._coll
        return found

    def estimated_count(self) -> int:
        """Count the documents by what the server notes of them: at no cost."""
        return self.collection.estimated_document_count()

    def every(self, fields: Sequence[str]) -> Iterator[dict[str, object]]:
        """Yield some fields of every document, however many, slice by slice."""
        return read_sliced(self.collection, fields)

    def insert_new(self, docs: Iterable[dict[str, object]]) -> list[dict[str, object]]:
        """
        Insert documents that are probably new; several times faster than updating.

        Return those that stood there already, by a unique index: they are left as they
        are.
        """
        known, every = [], list(docs)
        for start in range(0, len(every), _INSERT_BATCH):
            batch = every[start : start + _INSERT_BATCH]
            try:
                # Copies, because the driver writes an _id into what it inserts.
                self.collection.insert_many([dict(doc) for doc in batch], ordered=False)
            except BulkWriteError as err:
                failed = (err.details or {})["writeErrors"]
                if any(one["code"] != _DUPLICATE for one in failed):
                    raise
                known += [batch[one["index"]] for one in failed]
        return known

    def update_fields(
        self, criteria: Mapping[str, object], fields: Mapping[str, object]
    ) -> int:
        """Change fields of documents that are there, those alone; count them."""
        changed = self.collection.update_many(dict(criteria), {"$set": dict(fields)})
        return changed.matched_count

    def aggregated(
        self, stages: Sequence[Mapping[str, object]], *, time_limit: float | None = None
    ) -> Iterator[dict[str, object]]:
        """
        Yield what an aggregation that reads only finds, without object ids.

        Raises
        ------
        QueryError
            If the server took longer than the limit in s.
        StoreError
            If the server refuses or is gone.
        """
        limit = None if time_limit is None else round(1000 * time_limit)
        pipeline = [dict(stage) for stage in stages]
        with translated_errors(str(self.uri), f"reading {self.collection_name}"):
            try:
                for doc in self.collection.aggregate(pipeline, maxTimeMS=limit):
                    doc.pop("_id", None)
                    yield doc
            except ExecutionTimeout as err:
                raise QueryError(
                    f"the query took longer than {time_limit:g} s; ask for less: a "
                    "bound of e_hull, two elements or a chemical system"
                ) from err

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


class GuardedJobStore(JobStore):
    """
    A job store whose outputs hold data only.

    A job that refers to an output of another gets it as the objects that it names.
    """

    def query(self, *args: Any, **kwargs: Any) -> Iterator[dict[str, object]]:  # noqa: ANN401 - those of the base class
        """Yield documents; one that names a foreign module is refused."""
        for doc in super().query(*args, **kwargs):
            check_document(doc.get("output"), f"output of job {doc.get('uuid')}")
            yield doc


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
    properties
        One property of one candidate, entry or structure a document.
    summary
        One flat document per candidate and campaign for analysts.
    summary_table
        The same as one table: Parquet files, and the head that names the valid ones.
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
    dispatches
        What was sent, each once, and what of it is in hand.
    built_states
        What the builders said of each campaign, in blocks of candidates.
    alerts
        Which messages were sent about each campaign.
    workers
        How each worker may be used, and what its launcher last said.
    archived_workflows
        Workflows that ended, with their launches, one document each.
    job_store
        jobflow's store: ``tasks``, with ``blobs`` as the additional store ``data``.
    blob_store
        Kind of the blob store.
    further
        Collections that only builders of properties and recipes know, by name.
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
    properties: SharedMongoStore
    summary: SharedMongoStore
    summary_table: SharedMongoStore
    hulls: SharedMongoStore
    changes: SharedMongoStore
    builds: SharedMongoStore
    locks: SharedMongoStore
    submissions: SharedMongoStore
    backlog: SharedMongoStore
    dispatches: SharedMongoStore
    built_states: SharedMongoStore
    alerts: SharedMongoStore
    workers: SharedMongoStore
    archived_workflows: SharedMongoStore
    job_store: JobStore
    blob_store: BlobStore = BlobStore.MONGO
    further: Mapping[str, SharedMongoStore] = field(default_factory=dict)

    @property
    def all(self) -> tuple[Store, ...]:
        """Every store that holds a connection."""
        named = (getattr(self, item.name) for item in fields(self)[1:-3])
        return (*named, *self.further.values())

    def store(self, name: str) -> SharedMongoStore:
        """Return the store of a collection; KeyError where it is none of them."""
        if name not in COLLECTIONS or name == BLOBS:
            raise KeyError(name)
        found = self.further.get(name) or getattr(self, name)
        return cast("SharedMongoStore", found)

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
    Connect every store of a database; to be closed, or used as a context manager.

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
    attributes = {item.name for item in fields(Stores)}
    opened = Stores(
        database=database,
        blobs=blobs,
        job_store=_job_store(stores["tasks"], blobs),
        blob_store=blob_store,
        further={name: one for name, one in stores.items() if name not in attributes},
        **{name: one for name, one in stores.items() if name in attributes},
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

    Without ``make_indexes`` nothing is written; with ``any_layout`` a database of
    another layout than this code's is opened all the same, to say what is wrong with
    it.

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
    return GuardedJobStore(tasks, additional_stores={"data": blobs}, load=False)
