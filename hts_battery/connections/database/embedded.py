"""
The embedded database server: a process of its own, started and stopped by its users.

It speaks MongoDB's wire protocol, so nothing beyond this file knows it. Layout of a
data folder::

    database/            the server's files
    server/state.json    which process serves it, on which port
    server/user.json     name and password with which it is reached
    server/start.lock    held while a server is started, adopted or stopped
    server/clients.lock  held shared by every process that uses the server
    server/server.log    what the server printed since it started

Every decision is taken under the start lock, so two processes that begin at once end
with one server, and none stops a server that another is about to use. Locks belong to
the kernel: a process killed with kill -9 leaves none behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from pydantic import Field

from hts_battery.connections.database.embedded_user import open_uri
from hts_battery.connections.database.server_process import (
    ServerFolder,
    ServerState,
    complete_uri,
    fault_of,
    living_server,
    start_server,
    stop_server,
    wait_until_listening,
)
from hts_battery.connections.database.uris import redact
from hts_battery.errors import DatabaseOutageError, StoreError
from hts_battery.schemas.base import Document

if TYPE_CHECKING:
    from collections.abc import Iterator


class ServerStatus(Document):
    """The embedded server of one data folder, for people."""

    running: bool = Field(description="Whether its process is alive.")
    reachable: bool = Field(description="Whether it answers and can be used.")
    fault: str | None = Field(
        description="What keeps it from being used, and what to do; none if nothing."
    )
    in_use: bool = Field(description="Whether any process uses it now.")
    keep: bool = Field(description="Whether it stays when nobody uses it.")
    pid: int | None = Field(description="Its process id.")
    uri: str | None = Field(
        description="Where it is reached, on this host only; without its password."
    )
    database_folder: Path = Field(description="Folder of the server's files.")
    log: Path = Field(description="What the server printed.")
    size_bytes: int = Field(description="Bytes of the server's files.")


@dataclass(frozen=True)
class EmbeddedServer:
    """A running embedded server, as seen by one of its users."""

    data_dir: Path
    uri: str = field(repr=False)

    def revive(self) -> None:
        """Start the server again if it died; it comes back at the same address."""
        folder = ServerFolder(self.data_dir)
        with _on_disk(folder), _locked(folder):
            uri = complete_uri(folder, _adopt_or_start(folder, keep=False))
        if uri != self.uri:
            raise StoreError(
                f"the embedded database of {self.data_dir} came back at another "
                "address; start this command again"
            )


@contextmanager
def embedded_server(data_dir: Path) -> Iterator[EmbeddedServer]:
    """
    Use the embedded server of a folder; the first user starts it, the last stops it.

    A server started with :func:`up` is left running. A server whose users were all
    killed is adopted by the next one. Do not leave this context in a parent while a
    forked child still uses the server: a child opens its own.

    Raises
    ------
    StoreError
        If the server is not installed, does not start, or the folder is served on
        another host.
    """
    folder = ServerFolder(data_dir).create()
    with ExitStack() as stack:
        clients = stack.enter_context(_open_lock(folder.server / "clients.lock"))
        with _on_disk(folder), _locked(folder):
            state = _adopt_or_start(folder, keep=False)
            fcntl.flock(clients, fcntl.LOCK_SH)
        try:
            yield EmbeddedServer(folder.data_dir, complete_uri(folder, state))
        finally:
            with _locked(folder):
                _leave(folder, clients)


def up(data_dir: Path) -> ServerStatus:
    """Start the server of a folder, if need be, and let it stay until :func:`down`."""
    folder = ServerFolder(data_dir).create()
    with _on_disk(folder), _locked(folder):
        _adopt_or_start(folder, keep=True)
        return _status(folder)


def has_database(data_dir: Path) -> bool:
    """Say whether a folder has been served before, without asking anybody."""
    return ServerFolder(data_dir).database.is_dir()


def address(data_dir: Path) -> str:
    """Return the complete address of a running server: whoever has it may do all."""
    folder = ServerFolder(data_dir)
    state = living_server(folder)
    if state is None:
        raise StoreError(f"the embedded database of {data_dir} is not running")
    return complete_uri(folder, state)


def down(data_dir: Path) -> ServerStatus:
    """Stop the server of a folder, or let it stop with its last user."""
    folder = ServerFolder(data_dir)
    if not folder.state.exists():
        return status(data_dir)
    with _on_disk(folder), _locked(folder):
        state = living_server(folder)
        with _open_lock(folder.server / "clients.lock") as clients:
            if state is not None and _try_lock(clients):
                # Before anything is written: its disk may be full.
                stop_server(folder, state)
            elif state is not None:
                folder.write_state(state.model_copy(update={"keep": False}))
        return _status(folder)


def status(data_dir: Path) -> ServerStatus:
    """Describe the server of a folder without starting or creating anything."""
    folder = ServerFolder(data_dir)
    if not folder.server.is_dir():
        return _status(folder)
    with _locked(folder):
        return _status(folder)


def _status(folder: ServerFolder) -> ServerStatus:
    """Describe the server; the start lock is held."""
    state = living_server(folder)
    port = None if state is None else state.port
    uri = None
    if state is not None and port is not None:
        uri = redact(complete_uri(folder, state)) if state.asks else open_uri(port)
    fault = None if state is None else fault_of(folder, state)
    return ServerStatus(
        running=state is not None,
        reachable=state is not None and fault is None,
        fault=fault,
        in_use=_in_use(folder),
        keep=state is not None and state.keep,
        pid=None if state is None else state.pid,
        uri=uri,
        database_folder=folder.database,
        log=folder.log,
        size_bytes=_size(folder.database),
    )


def _in_use(folder: ServerFolder) -> bool:
    """Say whether anybody holds the clients lock; the start lock is held."""
    path = folder.server / "clients.lock"
    if not path.exists():
        return False
    with _open_lock(path) as clients:
        return not _try_lock(clients)


def _leave(folder: ServerFolder, clients: int) -> None:
    """Stop the server if nobody else uses it and nobody asked it to stay."""
    if not _try_lock(clients):
        return
    state = living_server(folder)
    if state is not None and not state.keep:
        stop_server(folder, state)


def _adopt_or_start(folder: ServerFolder, *, keep: bool) -> ServerState:
    """Return the state of a server that answers; the start lock is held."""
    old = folder.read_state()
    keep = keep or (old is not None and old.keep)
    state = living_server(folder)
    if state is not None and not state.asks:
        # Its starter was killed before it had a user, or knew of none.
        if _in_use(folder):
            raise StoreError(
                f"the embedded database (process {state.pid}) asks for no password and "
                "is in use: end what uses it, then 'hts db down'"
            )
        stop_server(folder, state)
        state = None
    if state is not None and state.port is None:
        # Its starter was killed before it listened; its log tells the port.
        port = wait_until_listening(folder, state)
        state = None if port is None else state.model_copy(update={"port": port})
    if state is None:
        return start_server(folder, keep=keep)
    if (fault := fault_of(folder, state)) is not None:
        if living_server(folder) is None:  # it was dying as it was asked
            return start_server(folder, keep=keep)
        raise DatabaseOutageError(
            f"the embedded database (process {state.pid}): {fault}"
        )
    return folder.write_state(state.model_copy(update={"keep": keep}))


@contextmanager
def _open_lock(path: Path) -> Iterator[int]:
    """Open a file for a shared lock, which filelock has not; closing gives it back."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield lock
    finally:
        os.close(lock)


@contextmanager
def _on_disk(folder: ServerFolder) -> Iterator[None]:
    """Say in our words what the disk refuses."""
    try:
        yield
    except OSError as err:
        said = f"the embedded database of {folder.data_dir}: {err.strerror}"
        if err.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DatabaseOutageError(
                f"{said}: its disk is full: free it, 'hts db down', 'hts db up'"
            ) from err
        raise StoreError(f"{said} ({err.filename})") from err


def _locked(folder: ServerFolder) -> FileLock:
    """Return the start lock of a folder, to be held in a ``with`` block."""
    return FileLock(folder.server / "start.lock", mode=0o600, poll_interval=0.01)


def _try_lock(lock: int) -> bool:
    """Take a lock alone if nobody else holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _size(folder: Path) -> int:
    """Add up the bytes of the files of a folder that may be in use."""
    total = 0
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total
