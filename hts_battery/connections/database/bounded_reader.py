"""A view of a database for servers: some collections, reads only, bounded in time."""

from __future__ import annotations

from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

from pymongo.errors import ExecutionTimeout, NetworkTimeout, OperationFailure

from hts_battery.connections.database.clients import shared_client, translated_errors
from hts_battery.errors import QueryLimitError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pymongo.collection import Collection

    from hts_battery.connections.database.database import Database

_SHOWN = ("builds", "campaigns", "candidates", "members", "tasks")
"""What the dashboard shows beside what builders write."""


def readable(written: Iterable[str]) -> frozenset[str]:
    """
    Name what the dashboard shows; it cannot reach any other collection.

    ``written``: collections that builders write.

    Examples
    --------
    >>> "summary" in readable(["summary"]), "locks" in readable(["summary"])
    (True, False)
    """
    return frozenset((*_SHOWN, *written))


class BoundedReader:
    """
    Read some collections of a database; nothing here can write.

    A query takes the server at most ``seconds``; of more than ``concurrency`` at once
    the others wait for their turn, at most ``turn_seconds``.
    """

    def __init__(
        self,
        database: Database,
        collections: Iterable[str],
        *,
        seconds: float = 10.0,
        concurrency: int = 8,
        turn_seconds: float = 10.0,
    ) -> None:
        self._database = database
        self._readable = frozenset(collections)
        self._milliseconds = round(1000 * seconds)
        self._turns = BoundedSemaphore(concurrency)
        self._turn_seconds = turn_seconds

    @property
    def location(self) -> str:
        """Name of the database, without server or credentials."""
        return self._database.name

    def find(
        self,
        collection: str,
        criteria: Mapping[str, object],
        *,
        fields: Sequence[str] | None = None,
        sort: Mapping[str, int] | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> list[dict[str, Any]]:
        """
        Return documents, without their ``_id``.

        The criteria are made by us and never taken from a request; a ``limit`` of 0 is
        none.

        Raises
        ------
        QueryLimitError
            If the query takes too long, or too many are under way.
        StoreError
            If the collection may not be read, or the server refuses.
        """
        projection = {"_id": 0, **dict.fromkeys(fields or (), 1)}
        with self._reading(collection) as found:
            cursor = found.find(dict(criteria), projection, skip=skip, limit=limit)
            if sort:
                cursor = cursor.sort(list(sort.items()))
            return list(cursor.max_time_ms(self._milliseconds))

    def find_one(
        self,
        collection: str,
        criteria: Mapping[str, object],
        *,
        fields: Sequence[str] | None = None,
        sort: Mapping[str, int] | None = None,
    ) -> dict[str, Any] | None:
        """Return the first document, or none."""
        found = self.find(collection, criteria, fields=fields, sort=sort, limit=1)
        return found[0] if found else None

    def count(
        self, collection: str, criteria: Mapping[str, object] | None = None
    ) -> int:
        """Count documents; all of them by metadata, which costs nothing."""
        with self._reading(collection) as found:
            if not criteria:
                return found.estimated_document_count(maxTimeMS=self._milliseconds)
            return found.count_documents(dict(criteria), maxTimeMS=self._milliseconds)

    @contextmanager
    def _reading(self, collection: str) -> Iterator[Collection[dict[str, Any]]]:
        if collection not in self._readable:
            raise StoreError(f"the collection {collection} may not be read here")
        if not self._turns.acquire(timeout=self._turn_seconds):
            raise QueryLimitError("too many queries are under way: try again")
        uri = self._database.uri
        try:
            with (
                translated_errors(uri, f"reading {collection}"),
                shared_client(uri) as client,
                _translated_limits(self._milliseconds),
            ):
                yield client[self._database.name][collection]
        finally:
            self._turns.release()


@contextmanager
def _translated_limits(milliseconds: int) -> Iterator[None]:
    """Say of a query that was cut off, or that the server cannot do, what it was."""
    try:
        yield
    except (ExecutionTimeout, NetworkTimeout):
        raise QueryLimitError(
            f"the query took more than {milliseconds / 1000:g} s: ask for less"
        ) from None
    except OverflowError:
        # A whole number of more than eight bytes, which no document can hold.
        raise QueryLimitError("a number of the filter is too large") from None
    except OperationFailure as err:
        if err.code != _BAD_VALUE:
            raise
        raise QueryLimitError("the server cannot answer this filter") from None


_BAD_VALUE = 2
"""By which a server says that a filter is not one."""
