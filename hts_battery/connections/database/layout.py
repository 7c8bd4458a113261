"""
The layout of a database: which version of the documents it holds.

One document in the collection ``schema`` says it for the whole database, see
docs/decisions/0012-schema-version.md. A layout changes when code of the old layout
would misread or damage what code of the new one writes, or the other way round.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.connections.database.clients import shared_client, translated_errors
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from hts_battery.connections.database.database import Database

SCHEMA = "schema"
"""Collection of the one document that names the layout."""
LAYOUT_VERSION = 3
"""The layout that this code reads and writes."""
_NAME = "database"
_RESTORING = "restoring"


class Layout(NamedTuple):
    """What a database says of itself."""

    version: int | None
    """Its layout; none where it does not say."""
    is_empty: bool
    """Whether it holds nothing yet."""
    restoring: str | None
    """The backup that is being put into it, if that has not ended."""


def read_layout(database: Database) -> Layout:
    """Read the layout of a database."""
    uri = database.uri
    with translated_errors(uri, "reading its layout"), shared_client(uri) as client:
        mongo = client[database.name]
        found = mongo[SCHEMA].find_one({"name": _NAME})
        if found is not None:
            backup = found.get(_RESTORING)
            restoring = None if backup is None else str(backup)
            return Layout(int(str(found["version"])), False, restoring)  # noqa: FBT003
        is_empty = not any(
            mongo[name].find_one({}, {"_id": 1}) is not None
            for name in ("campaigns", "candidates", "tasks", "references")
        )
        return Layout(LAYOUT_VERSION if is_empty else None, is_empty, None)


def check_layout(database: Database) -> None:
    """Refuse a database of another layout, or one whose restoration has not ended."""
    layout = read_layout(database)
    if layout.restoring is not None:
        raise StoreError(
            f"{database.location}: the backup {layout.restoring} was not put back to "
            "its end: run `hts db restore` again with it"
        )
    if layout.version != LAYOUT_VERSION:
        raise StoreError(
            f"{database.location} has layout {layout.version or 'unknown'}, written by "
            f"another hts_battery; this one knows {LAYOUT_VERSION}: use that version, "
            "or choose another database with HTS_BATTERY_DATABASE"
        )


def mark_layout(database: Database) -> None:
    """Write the layout into a database that is empty; leave any other alone."""
    if read_layout(database).is_empty:
        write_layout(database, LAYOUT_VERSION)


def write_layout(
    database: Database, version: int, *, restoring: str | None = None
) -> None:
    """Write down the layout of a database, and which backup is being put into it."""
    uri = database.uri
    with translated_errors(uri, "writing its layout"), shared_client(uri) as client:
        client[database.name][SCHEMA].update_one(
            {"name": _NAME},
            {
                "$set": {
                    "version": version,
                    _RESTORING: restoring,
                    f"reached.{version}": datetime.now(UTC),
                }
            },
            upsert=True,
        )
