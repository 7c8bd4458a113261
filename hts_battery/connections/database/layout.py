"""
The layout of a database: which version wrote it, and the steps to the newest one.

One document in the collection ``schema`` says it for the whole database, see
docs/decisions/0012-schema-version.md. A layout changes when code of the old layout
would misread or damage what code of the new one writes, or the other way round.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pymongo.errors import OperationFailure

from hts_battery.connections.database.clients import shared_client, translated_errors
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo.database import Database as MongoDatabase

    from hts_battery.connections.database.database import Database

SCHEMA = "schema"
"""Collection of the one document that names the layout."""
_NAME = "database"
_FIRST = 1
_RESTORING = "restoring"
_INDEX_NOT_FOUND = 27


class Step(NamedTuple):
    """What brings a database from the version before to this one."""

    version: int
    what: str
    """What is different, for people."""
    count: Callable[[MongoDatabase[dict[str, Any]]], int]
    """How many documents or indexes the step would change."""
    run: Callable[[MongoDatabase[dict[str, Any]]], None]
    """Does it; doing it twice is doing it once."""


def _outdated_summaries(mongo: MongoDatabase[dict[str, Any]]) -> int:
    return mongo["summary"].count_documents({"element_keys": {"$exists": False}})


_REPLACED_INDEXES = (
    ("summary", "formula_1"),
    ("tasks", "metadata.content_key_1"),
    ("references", "engine_1"),
    ("entries", "kind_1_engine_1"),
    ("members", "campaign_1_released_1"),
    ("candidates", "family_1"),
)


def _remake_summaries(mongo: MongoDatabase[dict[str, Any]]) -> None:
    """Drop indexes that others replace, and have the next build remake summaries."""
    for collection, index in _REPLACED_INDEXES:
        try:
            mongo[collection].drop_index(index)
        except OperationFailure as err:
            if err.code != _INDEX_NOT_FOUND:
                raise
    mongo["summary"].update_many(
        {"element_keys": {"$exists": False}}, {"$set": {"input_digest": ""}}
    )


_DERIVED = (
    "summary",
    "aggregates",
    "rankings",
    "summary_columns",
    "optimade_structures",
)
"""Collections that the builders make anew from stabilities."""


def _summaries_without_doubt(mongo: MongoDatabase[dict[str, Any]]) -> int:
    return mongo["summary"].count_documents({"open_at": {"$exists": False}})


def _remove_derived(mongo: MongoDatabase[dict[str, Any]]) -> None:
    """Remove what says nothing of its doubt; doors would stumble over it."""
    if _summaries_without_doubt(mongo):
        for collection in _DERIVED:
            mongo[collection].delete_many({})


STEPS = (
    Step(
        2,
        "summaries carry the fields of queries and rankings; remade by the next build",
        _outdated_summaries,
        _remake_summaries,
    ),
    Step(
        3,
        "summaries say how sure they are and what was calculated; removed, with what "
        "is counted from them, and made anew by the next build",
        _summaries_without_doubt,
        _remove_derived,
    ),
)
"""Every change of the layout since 0.1.0, oldest first."""

LAYOUT_VERSION = STEPS[-1].version
"""The layout that this code reads and writes."""


class LayoutState(NamedTuple):
    """What a database says of itself."""

    version: int
    """Its layout; the newest for an empty database."""
    is_empty: bool
    """Whether it holds nothing yet."""
    restoring: str | None
    """The backup that is being put into it, if that has not ended."""


def layout_state(database: Database) -> LayoutState:
    """
    Read the layout of a database.

    A database without the document was written before there was one: version 1.

    Raises
    ------
    StoreError
        If the database cannot be read.
    """
    uri = database.uri
    with translated_errors(uri, "reading its layout"), shared_client(uri) as client:
        mongo = client[database.name]
        found = mongo[SCHEMA].find_one({"name": _NAME})
        if found is not None:
            return LayoutState(
                int(found["version"]), is_empty=False, restoring=found.get(_RESTORING)
            )
        is_empty = not any(
            mongo[name].find_one({}, {"_id": 1}) is not None
            for name in ("campaigns", "candidates", "tasks", "references")
        )
        return LayoutState(LAYOUT_VERSION if is_empty else _FIRST, is_empty, None)


def check_layout(database: Database) -> None:
    """
    Refuse a database whose layout this code does not write.

    Raises
    ------
    StoreError
        If it is newer or older, or a restoration has not ended; says what to do.
    """
    state = layout_state(database)
    if state.restoring is not None:
        raise StoreError(
            f"{database.location}: the backup {state.restoring} was not put back to "
            "its end: run `hts db restore` again with it"
        )
    if state.version > LAYOUT_VERSION:
        raise StoreError(
            f"{database.location} has layout {state.version}, written by a newer "
            f"hts_battery; this one knows {LAYOUT_VERSION}: update it (pip install -U "
            "hts_battery), or choose another database with HTS_BATTERY_DATABASE"
        )
    if state.version < LAYOUT_VERSION:
        raise StoreError(
            f"{database.location} has layout {state.version}, of an earlier "
            f"hts_battery; this one writes {LAYOUT_VERSION}: run `hts db backup`, then "
            "`hts db migrate`"
        )


def mark_layout(database: Database) -> None:
    """
    Write the newest layout into a database that is empty; leave any other alone.

    Raises
    ------
    StoreError
        If the database cannot be read or written.
    """
    if layout_state(database).is_empty:
        write_layout(database, LAYOUT_VERSION)


def write_layout(
    database: Database, version: int, *, restoring: str | None = None
) -> None:
    """
    Write down the layout of a database.

    Parameters
    ----------
    database
        The database.
    version
        Its layout.
    restoring
        Name of a backup that is being put into it.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
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


def migrate(
    database: Database, *, dry_run: bool = False
) -> tuple[tuple[Step, int], ...]:
    """
    Bring a database to the newest layout, step by step.

    Each step is written down when it is done, so a migration that was killed goes on
    where it was.

    Parameters
    ----------
    database
        The database; nobody else may write to it meanwhile.
    dry_run
        Whether the steps are only counted.

    Returns
    -------
    tuple
        Each step that was, or would be, done, and how many documents it changes.

    Raises
    ------
    StoreError
        If the database is newer than this code, or a step fails.
    """
    state = layout_state(database)
    if state.version > LAYOUT_VERSION or state.restoring is not None:
        check_layout(database)
    uri, done = database.uri, []
    with translated_errors(uri, "migrating"), shared_client(uri) as client:
        mongo = client[database.name]
        for step in STEPS:
            if step.version <= state.version:
                continue
            done.append((step, step.count(mongo)))
            if not dry_run:
                step.run(mongo)
                write_layout(database, step.version)
    return tuple(done)
