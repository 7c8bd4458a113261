"""
A job store on a file system, for compute nodes that do not reach the database.

It is a memory store whose every update is appended to a journal, one JSON line a
document, and on the disk before the update returns. A process killed in the middle of
a line loses that line and nothing before it, which cannot be said of stores that write
their whole file again for each update. Every launch of one Firework appends to the same
journal, so a repeated launch knows what a killed one has finished.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from bson import json_util
from bson.errors import BSONError
from maggma.stores import MemoryStore

from hts_battery.connections.database.collection_specs import BLOBS
from hts_battery.connections.durable_files import append_durably
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

_FIREWORK = "FW.json"  # FireWorks writes it into every launch folder
_SUFFIX = ".jsonl"


class JournalStore(MemoryStore):
    """
    Documents of one Firework, in memory and in its journal.

    The folder of the journals is on a file system that the login node sees too.
    """

    def __init__(
        self, folder: str, collection_name: str = "tasks", *, key: str = "uuid"
    ) -> None:
        super().__init__(collection_name, key=key)
        self.folder = folder
        self._journal: Path | None = None

    @property
    def journal(self) -> Path:
        """The file that this store appends to."""
        if self._journal is None:
            raise StoreError(f"journal of {self.collection_name} is not connected")
        return self._journal

    def connect(self, force_reset: bool = False) -> None:
        """Read what earlier launches of the Firework of this folder left."""
        if self._coll is not None and not force_reset:
            return
        super().connect(force_reset)
        # Jobs change the working directory afterwards.
        name = f"{_firework(Path.cwd())}.{self.collection_name}{_SUFFIX}"
        self._journal = Path(self.folder).expanduser().absolute() / name
        for document, key in read_journal(self._journal):
            super().update([document], key=key)

    def update(
        self,
        docs: list[dict[str, object]] | dict[str, object],
        key: list[str] | str | None = None,
    ) -> None:
        """Update or insert documents, and append them to the journal."""
        found = docs if isinstance(docs, list) else [docs]
        fields = self.key if key is None else key
        lines = [
            json_util.dumps(
                {
                    "key": fields,
                    "document": {k: v for k, v in one.items() if k != "_id"},
                },
                json_options=json_util.RELAXED_JSON_OPTIONS,
            )
            for one in found
        ]
        try:
            for line in lines:
                append_durably(self.journal, f"{line}\n".encode())
        except OSError as err:
            raise StoreError(
                f"{self.journal} cannot be written: {err.strerror}; free the disk, or "
                "render the worker with another HTS_OFFLINE_FOLDER"
            ) from err
        super().update(found, key=fields)

    def remove_docs(self, criteria: dict[str, object]) -> None:
        """Refuse: a journal only grows."""
        raise StoreError(f"{self.journal} only grows; nothing is removed: {criteria}")


def read_journal(path: Path) -> Iterator[tuple[dict[str, object], str | list[str]]]:
    """
    Yield the documents of a journal in the order of their updates, with their keys.

    Lines that a kill cut off are left out, and so are outputs whose large parts are
    missing: jobflow writes those after the output. A journal that does not exist holds
    nothing.
    """
    owner = path.name.partition(".")[0]
    blobs = path.with_name(f"{owner}.{BLOBS}{_SUFFIX}")
    present = {document["blob_uuid"] for document, _ in _lines(blobs)}
    for document, key in _lines(path):
        if path == blobs or present.issuperset(_blob_uuids(document)):
            yield document, key


def _lines(path: Path) -> Iterator[tuple[dict[str, object], str | list[str]]]:
    """Yield what every whole line of a journal holds."""
    if not path.is_file():
        return
    cut = 0
    with path.open("rb") as lines:
        for line in lines:
            try:
                content = json_util.loads(line)
                found = content["document"], content["key"]
            except (ValueError, KeyError, TypeError, BSONError):
                cut += 1
                continue
            yield found
    if cut:
        logger.warning(
            "%d lines of %s were cut off by a kill: what they held is computed again",
            cut,
            path,
        )


def _blob_uuids(content: object) -> Iterator[str]:
    """Find the references to large parts in an output."""
    if isinstance(content, dict):
        if "blob_uuid" in content:
            yield content["blob_uuid"]
        for value in content.values():
            yield from _blob_uuids(value)
    elif isinstance(content, list):
        for value in content:
            yield from _blob_uuids(value)


def journals(folder: Path, collection: str) -> dict[int | None, Path]:
    """
    Find the journals of a collection in a folder: Firework → file.

    The Firework is None for what ran without one.
    """
    ending = f".{collection}{_SUFFIX}"
    found: dict[int | None, Path] = {}
    for path in sorted(folder.glob(f"*{ending}")):
        number = path.name.removesuffix(ending).removeprefix("firework-")
        found[int(number) if number.isdecimal() else None] = path
    return found


def _firework(folder: Path) -> str:
    """Name the Firework that runs in a folder."""
    try:
        number = json.loads((folder / _FIREWORK).read_text("utf-8"))["fw_id"]
    except FileNotFoundError:
        return "no-firework"
    return f"firework-{number}"
