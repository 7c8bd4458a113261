"""One MongoDB client per server and process, and its errors in our words."""

from __future__ import annotations

import atexit
import os
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from botocore.exceptions import (  # type: ignore[import-untyped]
    ConnectionError as BucketUnreachableError,
)
from botocore.exceptions import HTTPClientError
from pymongo import MongoClient
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
)

from hts_battery.connections.database.uris import check_uri, redact, refused
from hts_battery.errors import DatabaseOutageError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Codes by which a server says that the fault is its own or its operator's: not
# authorised, authentication failed, shutting down, disk full, out of space.
_REFUSALS = frozenset((13, 18))
# The embedded server's only word for a storage that failed, as on a full disk.
_INTERNAL = 1
_ADVICE = "; its log says why. If its disk is full: free it, 'hts db down', 'hts db up'"
_OUTAGE_CODES = _REFUSALS | frozenset((91, 11600, 11602, 12501, 14031))
_UNREACHABLE = (ConnectionFailure, BucketUnreachableError, HTTPClientError)

OUTAGES = (DatabaseOutageError, OperationFailure, *_UNREACHABLE)
"""Errors among which :func:`may_pass` finds those that are worth waiting for."""

type_client = MongoClient[dict[str, object]]


class _Shared:
    """A client and the number of its users."""

    def __init__(self, client: type_client) -> None:
        self.client = client
        self.users = 0


# Each client costs threads and sockets, and maggma opens one per store. The pid is
# part of the key because a client must not be used across a fork.
_clients: dict[tuple[int, str], _Shared] = {}
_lock = Lock()


def acquire_client(uri: str) -> type_client:
    """
    Return this process's client of a server; opening it does not yet connect.

    Raises
    ------
    ConfigurationError
        If the address is none, in one line that names the setting.
    """
    key = (os.getpid(), uri)
    with _lock:
        if key not in _clients:
            check_uri(uri)
            try:
                client = type_client(uri, appname="hts_battery")
            except (PyMongoError, ValueError, TypeError, OSError) as err:
                # The original may repeat the password, and a traceback would show it.
                raise refused(uri, err) from None
            _clients[key] = _Shared(client)
        _clients[key].users += 1
        return _clients[key].client


def release_client(uri: str) -> None:
    """Give the client back; the last user closes it."""
    key = (os.getpid(), uri)
    with _lock:
        shared = _clients.get(key)
        if shared is None:
            return
        shared.users -= 1
        if shared.users > 0:
            return
        del _clients[key]
    shared.client.close()


@contextmanager
def shared_client(uri: str) -> Iterator[type_client]:
    """Use this process's client of a server for a while."""
    client = acquire_client(uri)
    try:
        yield client
    finally:
        release_client(uri)


def open_clients() -> int:
    """Return how many clients this process holds open."""
    with _lock:
        return sum(pid == os.getpid() for pid, _ in _clients)


@contextmanager
def translated_errors(uri: str, doing: str = "") -> Iterator[None]:
    """
    Turn an error of the database driver into a StoreError without secrets.

    It says server, action (``doing``) and the driver's own words.
    """
    try:
        yield
    except PyMongoError as err:
        message = _said(err, uri, doing)
        if redact(str(err), uri) == str(err):
            raise StoreError(message) from err
        # The original repeats the password, and a traceback would show it.
        raise StoreError(message) from None


@contextmanager
def translated_outages(uri: str, doing: str) -> Iterator[None]:
    """
    Turn a lost or refusing server into a DatabaseOutageError; leave other errors.

    An error of what is stored, such as a document that is too large, belongs to the one
    who stores it; an outage belongs to nobody's calculation. The service of a bucket
    counts as the database that its blobs belong to.
    """
    try:
        yield
    except (PyMongoError, RuntimeError, *_UNREACHABLE) as err:
        # FireWorks raises a plain RuntimeError in the middle of the driver's.
        hidden = isinstance(err, RuntimeError) and may_pass(err)
        lost = isinstance(err, _UNREACHABLE) or bool(error_codes(err) & _OUTAGE_CODES)
        # What is stored may be what the server fails on: then it does everything else.
        lost = lost or (_INTERNAL in error_codes(err) and not _does_anything(uri))
        if not hidden and not lost:
            raise
        raise DatabaseOutageError(_said(err, uri, doing)) from None


def may_pass(error: BaseException) -> bool:
    """
    Say whether the same operation may succeed when the server is back.

    What the error was raised in the middle of counts too: FireWorks hides the driver's
    behind its own.

    Examples
    --------
    >>> from pymongo.errors import AutoReconnect, OperationFailure
    >>> may_pass(AutoReconnect("closed")), may_pass(OperationFailure("no", code=18))
    (True, False)
    """
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, (DatabaseOutageError, *_UNREACHABLE)):
            return True
        if error_codes(found) & ((_OUTAGE_CODES | {_INTERNAL}) - _REFUSALS):
            return True
        found = found.__cause__ or found.__context__
    return False


def _does_anything(uri: str) -> bool:
    """Say whether a server that reported an internal error reads what it has stored."""
    try:
        with shared_client(uri) as client:
            client.list_database_names()
    except PyMongoError:
        return False
    return True


def error_codes(error: BaseException) -> frozenset[int]:
    """Return the server's codes in an error, those of each write of many included."""
    if not isinstance(error, OperationFailure):
        return frozenset()
    codes = {error.code}
    if isinstance(error, BulkWriteError):
        codes |= {one.get("code") for one in error.details.get("writeErrors", ())}
    return frozenset(code for code in codes if code is not None)


def _said(err: Exception, uri: str, doing: str) -> str:
    """Server, action and the driver's own words, without secrets."""
    # FireWorks puts a whole trace into its error; the last line says what it was.
    text = str(err).strip().rpartition("\n")[2]
    words = redact(text.partition(", Timeout:")[0], uri)
    action = f" while {doing}" if doing else ""
    advice = _ADVICE if _INTERNAL in error_codes(err) else ""
    return f"database {redact(uri)}{action}: {type(err).__name__}: {words}{advice}"


@atexit.register
def _close_all() -> None:
    """Close what stores opened on a node never gave back."""
    for (pid, _), shared in list(_clients.items()):
        if pid == os.getpid():
            shared.client.close()
    _clients.clear()
