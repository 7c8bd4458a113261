"""
Outputs of jobs on their way to the store: written there, or kept on disk meanwhile.

A job that has finished while the database is away leaves its output as the file
``hts_output.json.gz`` in its launch folder: a :class:`SpooledOutput`, large parts
included. :func:`store_spooled` puts it into the store later. The large parts are
written before the document that refers to them, so one that is there is whole.
"""

from __future__ import annotations

import logging
from copy import copy
from typing import TYPE_CHECKING, Any, cast

from jobflow import JobStore
from jobflow.core.schemas import JobStoreDocument
from pydantic import ValidationError

from hts_battery.connections.durable_files import move_aside, write_whole
from hts_battery.connections.extended_json import pack_document, unpack_document
from hts_battery.errors import BrokenFileError, StoreError
from hts_battery.schemas.recovery import ResponseKind, SpooledOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jobflow import Response
    from maggma.core import Store

logger = logging.getLogger(__name__)

SPOOL = "hts_output.json.gz"
"""File in a launch folder that holds an output which is not in the store yet."""

RESPONSE_FIELD = "response"
"""Where the metadata of an output say what kind of response it came from."""

_KEY = ["uuid", "index"]


class HeldStore(JobStore):
    """
    A job store that keeps back the output of one job and passes everything else on.

    Whoever runs the job decides what becomes of the output, when it knows the whole
    response.
    """

    def __init__(self, store: JobStore, uuid: str) -> None:
        # JobStore's own initialiser would change the stores that it is given.
        super(JobStore, self).__init__(
            key=store.key,
            last_updated_field=store.last_updated_field,
            last_updated_type=store.last_updated_type,
        )
        self.docs_store, self.additional_stores = store.docs_store, large_parts(store)  # type: ignore[has-type] # as there
        for name in ("save", "load"):  # maggma types them otherwise
            setattr(self, name, getattr(store, name))
        self._store, self._uuid = store, uuid
        self._held: tuple[JobStoreDocument, Any] | None = None

    def update(self, docs: Any, key: Any = None, save: Any = None) -> None:  # noqa: ANN401 - jobflow's own types
        """Keep the output of the job; pass on what else is written."""
        if isinstance(docs, JobStoreDocument) and docs.uuid == self._uuid:
            self._held = (docs, save)
            return
        self._store.update(docs, key=key, save=save)

    def output(self, response: Response[Any]) -> SpooledOutput:
        """Return the output as it will be stored, its large parts apart."""
        if self._held is None:
            raise StoreError(f"job {self._uuid} ended without an output")
        document, save = self._held
        more = (response.replace, response.detour, response.addition)
        kind = (
            ResponseKind.OUTPUT
            if all(one is None for one in more)
            else ResponseKind.CONTINUED
        )
        tagged = copy(document)
        tagged.metadata = {**document.metadata, RESPONSE_FIELD: str(kind)}
        tasks = _Captured()
        blobs = {name: _Captured() for name in large_parts(self._store)}
        # jobflow itself takes the large parts out, into stores that only remember.
        JobStore(
            cast("Store", tasks),
            cast("dict[str, Store]", blobs),
            save=getattr(self._store, "save"),  # noqa: B009 - maggma types it otherwise
        ).update(tagged, key=_KEY, save=save)
        return SpooledOutput(
            uuid=document.uuid,
            index=document.index,
            response=kind,
            task=tasks.documents[0],
            blobs={name: one.documents for name, one in blobs.items() if one.documents},
        )


class _Captured:
    """Remember what would be stored."""

    key, last_updated_field, last_updated_type = "uuid", "completed_at", "isoformat"

    def __init__(self) -> None:
        self.documents: list[dict[str, object]] = []

    def update(self, docs: list[dict[str, object]], key: object = None) -> None:  # noqa: ARG002 - as maggma's
        self.documents += docs


def large_parts(store: JobStore) -> dict[str, Store]:
    """Return the additional stores of a job store by name."""
    stores: dict[str, Store] = store.additional_stores  # type: ignore[has-type]
    return stores


def store_output(output: SpooledOutput, store: JobStore) -> None:
    """Write an output to the store; twice comes to the same."""
    for name, blobs in output.blobs.items():
        large_parts(store)[name].update(blobs, key="blob_uuid")
    store.docs_store.update([output.task], key=_KEY)


def spool(output: SpooledOutput, folder: Path) -> Path:
    """Keep an output on disk, whole or not at all, in the launch folder of its job."""
    path = folder / SPOOL
    write_whole(path, pack_document(output.model_dump(mode="python")))
    return path


def read_spool(path: Path) -> SpooledOutput:
    """Read a spooled output; StoreError if the file is none."""
    document = unpack_document(path.read_bytes(), str(path))
    try:
        return SpooledOutput.model_validate(document)
    except ValidationError as err:
        first = err.errors()[0]
        raise StoreError(f"{path}: {first['loc']}: {first['msg']}") from err


def spooled(folder: Path) -> Iterator[Path]:
    """Yield the spooled outputs in and below a folder."""
    yield from sorted(folder.rglob(SPOOL))


def _whole(
    path: Path, *, dry_run: bool, report: Callable[[str], None]
) -> SpooledOutput | None:
    """Read a spooled output; report what is none, and move aside what is damaged."""
    try:
        return read_spool(path)
    except BrokenFileError as err:
        try:
            aside = path if dry_run else move_aside(path)
        except OSError as refused:
            report(f"{err}; it cannot be moved aside: {refused.strerror}")
        else:
            report(f"{err}; kept as {aside.name}, its job is computed again")
    except (StoreError, OSError) as err:
        report(str(err))
    return None


def store_spooled(
    folder: Path,
    store: JobStore,
    *,
    dry_run: bool = False,
    report: Callable[[str], None] = logger.warning,
) -> tuple[str, ...]:
    """
    Put the outputs that lie in and below a folder into the store.

    A file goes when the store has its output. Killed in between, the next call goes on;
    an output that the store has already is left as it is there. A file that is cut off
    is reported and moved aside, one of another format is reported and stays; what comes
    after is stored all the same. Returns the uuids of the jobs whose output was put
    there, or would be.
    """
    done = []
    for path in spooled(folder):
        output = _whole(path, dry_run=dry_run, report=report)
        if output is None:
            continue
        known = store.docs_store.query_one(
            {"uuid": output.uuid, "index": output.index}, properties=["uuid"]
        )
        if known is None:
            done.append(output.uuid)
        if dry_run:
            continue
        if known is None:
            store_output(output, store)
        path.unlink(missing_ok=True)
    return tuple(done)
