"""
FireWorks' collections, which outlive outages.

Every operation on them is tried again while the server is away, so FireWorks itself,
which gives a workflow up in the middle of an update, never sees a short outage. Locks
of workflows say who took them and when, so that one whose holder was killed can be told
from one that is held.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pymongo import ReturnDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pymongo.collection import Collection
    from pymongo.cursor import Cursor

    from hts_battery.connections.database.retries import RetryPolicy

    Document = dict[str, object]

# Each comes to the same when it is done twice: FireWorks writes by its own numbers.
_REPEATABLE = frozenset(
    (
        *("find_one", "find_one_and_update", "find_one_and_replace"),
        *("update_one", "update_many", "replace_one", "delete_one", "delete_many"),
        *("count_documents", "create_index", "distinct", "index_information"),
    )
)
COUNTERS = {"next_fw_id": 1, "next_launch_id": 1}
"""The document from which FireWorks takes its numbers, as it is at the start."""
_LOCKED = "locked"
_TAKE, _GIVE_BACK = {"$set": {_LOCKED: True}}, {"$unset": {_LOCKED: True}}


class _RetryingCursor:
    """The answer to a query: read at once, and again if the server goes away."""

    def __init__(self, cursor: Cursor[Document], retries: RetryPolicy) -> None:
        self._cursor, self._retries = cursor, retries

    def __iter__(self) -> Iterator[Document]:
        return iter(self._retries.attempt(lambda: list(self._cursor.clone())))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a cursor has
        return getattr(self._cursor, name)


class RetryingCollection:
    """A collection of FireWorks whose operations wait for a server that is away."""

    def __init__(self, collection: Collection[Document], retries: RetryPolicy) -> None:
        self._collection, self._retries = collection, retries

    def find(self, *args: Any, **kwargs: Any) -> _RetryingCursor:  # noqa: ANN401 - pymongo's
        """Query as pymongo does."""
        return _RetryingCursor(self._collection.find(*args, **kwargs), self._retries)

    def insert_one(self, document: Document) -> None:
        """Insert a document, once however often it is tried."""
        self.insert_many([document])

    def insert_many(self, documents: Iterable[Document]) -> None:
        """Insert documents, each once however often it is tried."""
        todo = list(documents)
        tried = False

        def insert() -> None:
            nonlocal todo, tried
            if tried:  # the answer was lost, or what came before it
                ids = [one["_id"] for one in todo if "_id" in one]
                there = self._collection.find({"_id": {"$in": ids}}, {"_id": 1})
                known = {one["_id"] for one in there}
                todo = [one for one in todo if one.get("_id") not in known]
            tried = True
            if todo:
                self._collection.insert_many(todo)

        self._retries.attempt(insert)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else it has
        found = getattr(self._collection, name)
        if name not in _REPEATABLE:
            return found

        def retried(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - pymongo's
            return self._retries.attempt(lambda: found(*args, **kwargs))

        return retried


class LockingWorkflows(RetryingCollection):
    """
    The workflows, whose locks say who took them and when.

    FireWorks only looks whether there is a lock, so its own commands heed these.
    """

    def __init__(self, collection: Collection[Document], retries: RetryPolicy) -> None:
        super().__init__(collection, retries)
        self._by = uuid.uuid4().hex

    def find_one_and_update(
        self,
        criteria: Document,
        update: Document,
        **kwargs: Any,  # noqa: ANN401 - pymongo's
    ) -> Document | None:
        """Take a lock, give it back, or update as pymongo does."""
        write = self._collection.find_one_and_update
        if update == _GIVE_BACK:
            # Somebody may have broken it and others taken it since: that stays theirs.
            criteria = {**criteria, f"{_LOCKED}.by": self._by}
        if update != _TAKE:
            return self._retries.attempt(lambda: write(criteria, update, **kwargs))
        lock = {"$set": {_LOCKED: self._lock()}}
        found = self._retries.attempt(lambda: write(criteria, lock, **kwargs))
        if found is None:  # it is somebody's, or ours and the answer was lost
            mine = {"nodes": criteria["nodes"], f"{_LOCKED}.by": self._by}
            found = self._retries.attempt(lambda: self._collection.find_one(mine))
        return found

    def find_one_and_replace(
        self,
        criteria: Document,
        document: Document,
        **kwargs: Any,  # noqa: ANN401 - pymongo's
    ) -> Document | None:
        """Replace a workflow; a lock in it stays this launchpad's."""
        if document.get(_LOCKED) is True:
            document = {**document, _LOCKED: self._lock()}
        write = self._collection.find_one_and_replace
        return self._retries.attempt(lambda: write(criteria, document, **kwargs))

    def _lock(self) -> Document:
        return {"by": self._by, "since": datetime.now(UTC)}


class ExactCounters:
    """
    FireWorks' counters, where no number is given out twice.

    FireWorks increments a counter and takes the number from the document as it was
    *before*. The embedded server reads that document ahead of the atomic update, so two
    processes at once can see the same number (4 of 40 tries with four processes); the
    document *after* the update is right. A MongoDB server gives the same answer either
    way.
    """

    def __init__(self, collection: Collection[dict[str, int]]) -> None:
        self._collection = collection

    def find_one_and_update(
        self, criteria: Document, update: dict[str, dict[str, int]]
    ) -> dict[str, int] | None:
        """Increment, and return the counters as they were before."""
        after = self._collection.find_one_and_update(
            criteria, update, return_document=ReturnDocument.AFTER
        )
        if after is None:
            return None
        return {name: after[name] - update["$inc"].get(name, 0) for name in COUNTERS}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a collection has
        return getattr(self._collection, name)
