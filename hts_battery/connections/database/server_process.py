"""The process of the embedded database server: launched, recognised, ended."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from threading import Thread
from typing import TYPE_CHECKING, Self

from pydantic import Field, ValidationError
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from hts_battery.connections.database.clients import error_codes
from hts_battery.connections.database.embedded_user import (
    HOST,
    certificate,
    certificate_options,
    make_user,
    new_user,
    open_uri,
    read_user,
    write_user,
)
from hts_battery.connections.durable_files import make_folders, write_whole
from hts_battery.connections.processes import (
    boot_identity,
    host_name,
    process_identity,
)
from hts_battery.errors import DatabaseOutageError, StoreError
from hts_battery.schemas.base import Document

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PACKAGE = "secantus"
_PROGRAM = "hts_battery.connections.database.server_program"
_OPTIONS = ("--sync-on-commit", "--standalone", "--cache-size", "256M")
_ASKS = ("--auth",)
_LISTENING = re.compile(r"secantus listening on 127\.0\.0\.1:(\d+)")
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_ASK_AGAIN_SECONDS = 0.3
_PING_SECONDS = 10.0
_INTERNAL = 1
_ROOM = 16 * 1024**2  # a file of its log has 10 MB
_REMEDY = "free it, 'hts db down', 'hts db up'"
_DAMAGED = ("WT_TRY_SALVAGE", "WT_PANIC")
_RESTORE = (
    "its files are damaged: move them to another place, and 'hts db restore' puts a "
    "backup into a new database"
)
_OTHERS = 0o077
_POLL_SECONDS = 0.02
# A folder that holds nothing else is nobody else's business.
_OURS = frozenset(("database", "server", "executions", "launches", "offline"))
_INSTALL = (
    "pip install 'hts_battery[embedded]', or set HTS_BATTERY_MONGO_URI to use a "
    "MongoDB server"
)


class ServerState(Document):
    """What is written down about a running server."""

    pid: int = Field(description="Process id on host.")
    identity: str = Field(description="Boot and start time: tells a recycled pid.")
    host: str = Field(description="Host on which it runs.")
    boot: str = Field(description="Boot of that host.")
    port: int | None = Field(None, description="TCP port; none until it listens.")
    keep: bool = Field(
        default=False, description="Started with up: stays without clients."
    )
    asks: bool = Field(default=False, description="Whether it asks who is there.")


class ServerFolder:
    """The paths inside a data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.expanduser().absolute()
        self.database = self.data_dir / "database"
        self.server = self.data_dir / "server"
        self.state = self.server / "state.json"
        self.log = self.server / "server.log"
        self.last_port = self.server / "last_port"
        self.user = self.server / "user.json"
        self.certificate = self.server / "first.pem"

    def create(self) -> Self:
        """Make the folders, closed to other users."""
        try:
            for folder in (self.database, self.server):
                make_folders(folder)
                folder.chmod(0o700)
            if {path.name for path in self.data_dir.iterdir()} <= _OURS:
                self.data_dir.chmod(0o700)
        except OSError as err:
            raise StoreError(
                f"data folder {self.data_dir} cannot be made: {err.strerror}; "
                "choose another with HTS_BATTERY_DATA_DIR"
            ) from err
        return self

    def read_state(self) -> ServerState | None:
        """Return what is known of a server, dead or alive."""
        try:
            return ServerState.model_validate_json(self.state.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as err:
            raise StoreError(
                f"{self.state} is damaged; end any {_PROGRAM} that uses "
                f"{self.database}, then delete it"
            ) from err

    def write_state(self, state: ServerState) -> ServerState:
        """Replace what is known of the server, whole or not at all."""
        write_whole(self.state, state.model_dump_json(), mode=0o600)
        return state


def living_server(folder: ServerFolder) -> ServerState | None:
    """Return the state of the server if its process is alive on this host."""
    state = folder.read_state()
    if state is None:
        return None
    if state.host != host_name() and state.boot != boot_identity():
        raise StoreError(
            f"{folder.data_dir} is served on host {state.host} (process {state.pid}): "
            f"stop it there with 'hts db down'; if that host is gone, delete "
            f"{folder.state}"
        )
    return state if process_identity(state.pid) == state.identity else None


def start_server(folder: ServerFolder, *, keep: bool) -> ServerState:
    """
    Start a server that asks who is there, at its last port if that is free.

    None is started on a full disk: it would write its files half.
    """
    if is_full(folder):
        raise _not_started(folder)
    if read_user(folder.user) is None:
        _make_user(folder, keep=keep)
    port = _last_port(folder)
    started = _start(folder, _ASKS, port=port, keep=keep)
    if started is None and port:
        started = _start(folder, _ASKS, port=0, keep=keep)
    if started is None:
        raise _not_started(folder)
    if (fault := fault_of(folder, started)) is not None:
        stop_server(folder, started)
        raise DatabaseOutageError(f"the embedded database: {fault}")
    write_whole(folder.last_port, str(started.port), mode=0o600)
    return started


def _make_user(folder: ServerFolder, *, keep: bool) -> None:
    """Give a folder its user; what is killed on the way is begun again."""
    user = new_user()
    with certificate(folder.certificate) as file:
        started = _start(folder, certificate_options(file), port=0, keep=keep)
        if started is None:
            raise _not_started(folder)
        try:
            make_user(_port(started), file, user)
        finally:
            stop_server(folder, started)
    write_user(folder.user, user)


def _start(
    folder: ServerFolder, options: Sequence[str], *, port: int, keep: bool
) -> ServerState | None:
    """Launch a server and wait until it listens; none if it does not."""
    state = launch(folder, options, port=port, keep=keep)
    found = wait_until_listening(folder, state)
    if found is None:
        folder.state.unlink(missing_ok=True)
        return None
    return folder.write_state(state.model_copy(update={"port": found}))


def _not_started(folder: ServerFolder) -> StoreError:
    if is_full(folder):
        return DatabaseOutageError(
            f"the embedded database did not start on {folder.database}: its disk is "
            "full: free it, 'hts db up'"
        )
    said = _last_line(folder.log)
    remedy = f"; {_RESTORE}" if any(word in said for word in _DAMAGED) else ""
    return StoreError(
        f"the embedded database did not start on {folder.database}: "
        f"{said} (all of it in {folder.log}){remedy}"
    )


def _port(state: ServerState) -> int:
    """Return the port of a server that listens."""
    if state.port is None:
        raise StoreError(f"the embedded database (process {state.pid}) has no port yet")
    return state.port


def complete_uri(folder: ServerFolder, state: ServerState) -> str:
    """Return the address of a server that listens, password included."""
    user = read_user(folder.user)
    if user is None:
        raise StoreError(
            f"{folder.user}, the password of the embedded database, is gone: 'hts db "
            "down' and the next start makes a new one"
        )
    return user.uri(_port(state))


def launch(
    folder: ServerFolder, options: Sequence[str], *, port: int, keep: bool
) -> ServerState:
    """Launch the server process and write down which it is before it runs."""
    # An empty configuration of our own keeps one in the home folder from being read.
    configuration = folder.server / "secantusd.toml"
    configuration.touch()
    if find_spec(_PACKAGE) is None:
        raise StoreError(f"the embedded database is not installed: {_INSTALL}")
    command = [
        *(sys.executable, "-P", "-m", _PROGRAM),
        *("--config", str(configuration)),
        *("--host", HOST, "--port", str(port)),
        *("--storage-path", str(folder.database)),
        *_OPTIONS,
        *options,
    ]
    if folder.log.exists():
        folder.log.replace(folder.log.with_suffix(".previous.log"))
    log = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    # The shell waits for a line and becomes the server. If we are killed before the
    # state is written it reads the end of the pipe instead, and no server is left
    # that nobody knows of.
    try:
        process = subprocess.Popen(  # noqa: S603 - our own server, no user text in a shell
            ["/bin/sh", "-c", 'read -r go && exec "$0" "$@" </dev/null', *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder.server,
            umask=_OTHERS,
            start_new_session=True,  # Ctrl-C is for the user, not for the server
        )
    finally:
        os.close(log)
    # Collects the exit status whenever it comes, so that no zombie stays.
    Thread(target=process.wait, name="embedded-server-reaper", daemon=True).start()
    state = ServerState(
        pid=process.pid,
        identity=process_identity(process.pid) or "",
        host=host_name(),
        boot=boot_identity(),
        keep=keep,
        asks=options == _ASKS,
    )
    folder.write_state(state)
    with suppress(BrokenPipeError), process.stdin:  # type: ignore[union-attr] # a pipe was asked for
        process.stdin.write(b"go\n")  # type: ignore[union-attr] # likewise
    return state


def _last_port(folder: ServerFolder) -> int:
    """Return the port of the last run if it is free, 0 (any) otherwise."""
    with suppress(FileNotFoundError, ValueError, OSError), socket.socket() as trial:
        port = int(folder.last_port.read_text(encoding="ascii"))
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind((HOST, port))
        return port
    return 0


def wait_until_listening(folder: ServerFolder, state: ServerState) -> int | None:
    """Return the port once the server listens; none if its process ended."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        alive = process_identity(state.pid) == state.identity
        found = _LISTENING.search(folder.log.read_text("utf-8", errors="replace"))
        if found and alive:
            return int(found[1])
        if not alive:
            return None
        time.sleep(_POLL_SECONDS)
    stop_server(folder, state)
    return None


def fault_of(folder: ServerFolder, state: ServerState) -> str | None:
    """
    Say what keeps a server from being used, and what to do; none where nothing does.

    A server whose disk was full answers a ping for ever and nothing else, until it is
    started again.
    """
    if state.port is None:
        return "it does not listen yet"
    uri = complete_uri(folder, state) if state.asks else open_uri(state.port)
    with MongoClient[dict[str, object]](
        uri, serverSelectionTimeoutMS=int(1000 * _PING_SECONDS)
    ) as client:
        try:
            client.list_database_names()
        except PyMongoError as err:
            if is_full(folder):
                return f"its disk is full: {_REMEDY}"
            if _INTERNAL in error_codes(err):
                return (
                    f"its storage has failed, as when its disk was full ({folder.log} "
                    "says why): 'hts db down', 'hts db up'"
                )
            return f"it does not answer; see {folder.log}, then stop it: 'hts db down'"
    return None


def is_full(folder: ServerFolder) -> bool:
    """Say whether the disk of a data folder has no room for the server's next file."""
    return shutil.disk_usage(folder.database).free < _ROOM


def stop_server(folder: ServerFolder, state: ServerState) -> None:
    """End exactly that process, and wait until it is gone."""
    deadline = time.monotonic() + _STOP_SECONDS
    asked: float | None = None
    while process_identity(state.pid) == state.identity:
        now = time.monotonic()
        if now > deadline:
            raise StoreError(
                f"the embedded database (process {state.pid}) did not end within "
                f"{_STOP_SECONDS:.0f} s; see {folder.log}"
            )
        listens = _knock(state.port)
        if asked is None or (listens and now > asked + _ASK_AGAIN_SECONDS):
            # A Python process that is about to wait when the signal comes misses it,
            # and then sleeps on; but one that is already stopping is left alone.
            with suppress(ProcessLookupError):
                os.kill(state.pid, signal.SIGTERM)
            asked = now
        time.sleep(_POLL_SECONDS)
    folder.state.unlink(missing_ok=True)


def _knock(port: int | None) -> bool:
    """
    Connect once to a server that is being stopped, and say whether it listens.

    It waits for connections in a thread that only a connection wakes; without one it
    gives up on that thread after two seconds.
    """
    if port is None:
        return False
    try:
        socket.create_connection((HOST, port), timeout=_POLL_SECONDS).close()
    except OSError:
        return False
    return True


def _last_line(log: Path) -> str:
    """Return the last words of a log."""
    lines = log.read_text("utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")
