"""
Backups of a database over the wire, and putting them back.

A backup is a folder: ``manifest.json`` and one ``COLLECTION.bson.gz`` for every
collection, documents one after the other as BSON, which other tools read too.
"""

from __future__ import annotations

import gzip
import json
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b, file_digest
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from bson import decode_file_iter
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pydantic import ValidationError

from hts_battery.connections.database.clients import shared_client, translated_errors
from hts_battery.connections.database.collection_specs import SLICED_BY
from hts_battery.connections.database.layout import (
    LAYOUT_VERSION,
    SCHEMA,
    read_layout,
    write_layout,
)
from hts_battery.connections.database.locks import exclusive
from hts_battery.connections.database.slices import read_sliced
from hts_battery.connections.processes import host_name
from hts_battery.errors import StoreError
from hts_battery.schemas.backup import FORMAT, BackupManifest, CollectionBackup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from pymongo.collection import Collection
    from pymongo.database import Database as MongoDatabase

    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores

MANIFEST = "manifest.json"
_PART = ".part"
_SUFFIX = ".bson.gz"
# Who holds a lock now is nothing to put back, and the layout is in the manifest.
_LEFT_OUT = frozenset({"locks", SCHEMA})
_RAW = CodecOptions(document_class=RawBSONDocument)
_COUNTERS = "fw_id_assigner"  # FireWorks' own, which gives out numbers
_NUMBERED = {
    "next_fw_id": (
        ("fireworks", "fw_id"),
        ("workflows", "nodes"),
        ("backlog", "items.fw_id"),
        ("archived_workflows", "fw_id"),
        ("dispatches", "fw_id"),
    ),
    "next_launch_id": (
        ("launches", "launch_id"),
        ("archived_workflows", "launches.launch_id"),
    ),
}
"""Counter of the launchpad → where its numbers stand."""
_FAR = 1_000_000
_BATCH_BYTES = 8_000_000
_BATCH_DOCUMENTS = 1000
_MODULUS = 1 << 256
_GZIP_LEVEL = 3


@dataclass
class _DocumentSum:
    """Number, size and digest of documents, whatever their order."""

    documents: int = 0
    size: int = 0
    _digests: int = 0

    def add(self, raw: bytes) -> None:
        self.documents += 1
        self.size += len(raw)
        digest = int.from_bytes(blake2b(raw, digest_size=32).digest(), "big")
        self._digests = (self._digests + digest) % _MODULUS

    @property
    def digest(self) -> str:
        return f"{self._digests:064x}"


def collection_sizes(database: Database) -> dict[str, int]:
    """Count the documents of every collection that a backup would hold."""
    uri = database.uri
    with translated_errors(uri, "counting"), shared_client(uri) as client:
        mongo = client[database.name]
        return {name: mongo[name].estimated_document_count() for name in _names(mongo)}


def _names(mongo: MongoDatabase[dict[str, object]]) -> list[str]:
    names = set(mongo.list_collection_names()) - _LEFT_OUT
    return sorted(name for name in names if not name.startswith("system."))


def backup(
    stores: Stores,
    folder: Path,
    *,
    locks: Sequence[str],
    advance: Callable[[str], None] | None = None,
) -> BackupManifest:
    """
    Write every collection of a database into a new folder.

    The folder appears under its name when everything is in it and on the disk. With the
    locks held no builder and no feeder writes; jobs that end meanwhile may be in
    ``tasks`` and not in what FireWorks knows, as after a crash, and are found again by
    their content. ``advance`` is told the collection once for every document.

    Raises
    ------
    StoreError
        If the folder exists, the database cannot be read, or the disk is full.
    BusyError
        If somebody holds one of the locks.
    """
    part = folder.with_name(folder.name + _PART)
    if folder.exists():
        raise StoreError(f"{folder} exists already: name a new folder")
    database = stores.database
    uri = database.uri
    with ExitStack() as stack:
        for lock in locks:
            stack.enter_context(exclusive(stores, lock, holder="hts db backup"))
        stack.enter_context(translated_errors(uri, "making a backup"))
        client = stack.enter_context(shared_client(uri))
        mongo = client[database.name]
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True, mode=0o700)
            written = tuple(
                _written(mongo[name], part, advance) for name in _names(mongo)
            )
            manifest = BackupManifest(
                format=FORMAT,
                database=database.name,
                layout=LAYOUT_VERSION,
                created=datetime.now(UTC).replace(microsecond=0),
                host=host_name(),
                versions={
                    "hts_battery": version("hts_battery"),
                    "pymongo": version("pymongo"),
                    "server": str(client.server_info()["version"]),
                },
                locked=tuple(locks),
                blob_store=str(stores.blob_store),
                collections=written,
            )
            text = manifest.model_dump_json(indent=1) + "\n"
            (part / MANIFEST).write_text(text, encoding="utf-8")
            part.rename(folder)
        except OSError as err:
            raise StoreError(f"{part}: {err.strerror}") from err
    return manifest


def _written(
    collection: Collection[dict[str, object]],
    folder: Path,
    advance: Callable[[str], None] | None,
) -> CollectionBackup:
    """Write one collection and describe it."""
    path = folder / f"{collection.name}{_SUFFIX}"
    there = collection.estimated_document_count()
    seen = _DocumentSum()
    with gzip.open(path, "wb", compresslevel=_GZIP_LEVEL) as file:
        for raw in _raw_documents(collection):
            file.write(raw)
            seen.add(raw)
            if advance is not None:
                advance(collection.name)
    if seen.documents < there:
        raise StoreError(
            f"{collection.name}: {seen.documents} of {there} documents were "
            "read. If some were removed meanwhile, try again; a server that was killed "
            "may count wrongly until `validate` is run on the collection; otherwise "
            f"{SLICED_BY.get(collection.name)} of the others is no text: correct it"
        )
    return CollectionBackup(
        name=collection.name,
        documents=seen.documents,
        bytes=seen.size,
        digest=seen.digest,
        file_digest=_file_digest(path),
        indexes=tuple(_indexes(collection)),
    )


def _raw_documents(collection: Collection[dict[str, object]]) -> Iterator[bytes]:
    for doc in read_sliced(collection.with_options(codec_options=_RAW)):
        yield bytes(doc.raw)


def _indexes(collection: Collection[dict[str, object]]) -> Iterator[dict[str, object]]:
    """List the indexes as options that make them again."""
    for name, found in sorted(collection.index_information().items()):
        if name == "_id_":
            continue
        options = {k: v for k, v in found.items() if k not in {"v", "ns", "key"}}
        yield {"name": name, "key": [list(part) for part in found["key"]], **options}


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def read_backup(folder: Path) -> BackupManifest:
    """Read a backup and compare its files with its manifest; errors name a file."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("format") != FORMAT:
            raise StoreError(
                f"{path}: format {content.get('format')} is not {FORMAT}: written by "
                "another hts_battery; restore it with that one"
            )
        manifest = BackupManifest.model_validate(content)
    except OSError as err:
        raise StoreError(f"{folder} is no backup: {path}: {err.strerror}") from err
    except (ValueError, ValidationError) as err:
        raise StoreError(f"{path} is damaged") from err
    for one in manifest.collections:
        file = folder / f"{one.name}{_SUFFIX}"
        if not file.is_file() or _file_digest(file) != one.file_digest:
            raise StoreError(f"{file} is missing or damaged: nothing was restored")
    return manifest


def restore(
    database: Database,
    folder: Path,
    *,
    advance: Callable[[str], None] | None = None,
) -> BackupManifest:
    """
    Put a backup into an empty database, and compare every document with it.

    Until that is done the database is marked, and every other command refuses it. A
    restoration that was killed is begun again by the next one. Launchers are to be
    stopped and queue jobs cancelled before. The launchpad begins a new epoch, with
    numbers far above all that were given out: what others of that number tell is kept
    apart, and what they computed is found by its content.

    Raises
    ------
    StoreError
        If the backup is damaged or of another layout, the database holds something, or
        what was written differs from the backup.
    """
    manifest = read_backup(folder)
    if manifest.layout != LAYOUT_VERSION:
        raise StoreError(
            f"{folder} has layout {manifest.layout}; this hts_battery knows "
            f"{LAYOUT_VERSION}: restore it with the one that wrote it"
        )
    uri = database.uri
    with translated_errors(uri, "restoring"), shared_client(uri) as client:
        mongo = client[database.name]
        _require_empty(database, mongo)
        write_layout(database, LAYOUT_VERSION, restoring=folder.name)
        for one in manifest.collections:
            mongo[one.name].drop()
            _put_back(mongo[one.name], folder, one, advance)
        _begin_epoch(mongo)
    write_layout(database, LAYOUT_VERSION)
    return manifest


def _begin_epoch(mongo: MongoDatabase[dict[str, object]]) -> None:
    """
    Let the launchpad give out numbers that nobody had, and name a new epoch.

    Since the backup was made it gave out others, and their queue jobs may still live:
    what they tell must not meet another Firework or launch of the same number.
    """
    counters = mongo[_COUNTERS].find_one({})
    if counters is None:
        return  # no launchpad
    values: dict[str, object] = {"epoch": uuid4().hex[:8]}
    for counter, places in _NUMBERED.items():
        known = [0, *_numbers(counters, counter)]
        for name, field in places:
            found = mongo[name].find({field: {"$exists": True}}, {field: 1})
            known += [number for doc in found for number in _numbers(doc, field)]
        values[counter] = (max(known) // _FAR + 2) * _FAR
    mongo[_COUNTERS].update_one({"_id": counters["_id"]}, {"$set": values})


def _numbers(doc: Mapping[str, object], field: str) -> Iterator[int]:
    """Yield the numbers that a field holds, in lists too."""
    first, _, rest = field.partition(".")
    found = doc.get(first)
    for one in found if isinstance(found, list) else [found]:
        if rest and isinstance(one, dict):
            yield from _numbers(one, rest)
        elif isinstance(one, int):
            yield one


def _require_empty(database: Database, mongo: MongoDatabase[dict[str, object]]) -> None:
    if read_layout(database).restoring is not None:
        return
    full = [n for n in _names(mongo) if mongo[n].find_one({}, {"_id": 1}) is not None]
    if full:
        raise StoreError(
            f"{database.location} is not empty ({', '.join(full)}): a backup goes into "
            "an empty database; name another with HTS_BATTERY_DATABASE"
        )


def _put_back(
    collection: Collection[dict[str, object]],
    folder: Path,
    one: CollectionBackup,
    advance: Callable[[str], None] | None,
) -> None:
    """Write one collection, its indexes after it, and read it again."""
    raw = collection.with_options(codec_options=_RAW)
    path = folder / f"{one.name}{_SUFFIX}"
    try:
        with gzip.open(path, "rb") as opened:
            file = cast("BinaryIO", opened)
            for batch in _batches(decode_file_iter(file, _RAW)):
                raw.insert_many(batch, ordered=False)
                for _ in batch:
                    if advance is not None:
                        advance(one.name)
    except (BSONError, OSError) as err:
        raise StoreError(f"{path} is damaged: {err}") from err
    for index in map(dict, one.indexes):
        key = cast("list[list[Any]]", index.pop("key"))
        collection.create_index([tuple(part) for part in key], **cast("Any", index))
    seen = _DocumentSum()
    for doc in _raw_documents(collection):
        seen.add(doc)
    if (seen.documents, seen.digest) != (one.documents, one.digest):
        raise StoreError(
            f"{collection.name}: what was restored differs from the backup: "
            f"{seen.documents} documents where there are {one.documents}; "
            "restore again"
        )


def _batches(docs: Iterable[Any]) -> Iterator[list[Any]]:
    """Group documents so that no message of the server's protocol is too large."""
    batch: list[Any] = []
    size = 0
    for doc in docs:
        batch.append(doc)
        size += len(doc.raw)
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_DOCUMENTS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
