"""
The program of the embedded server: SecantusDB over a storage that keeps its word.

Its storage library, WiredTiger 11.2, breaks it in three ways, each mended here where
the server's process opens it:

- It reports a commit as done whose log record the full disk refused.
- It does not read past a log file that ends behind its header, which a start that was
  killed, or that found the disk full, leaves behind.
- It keeps a table of which a killed process had written the name and no more; then
  nobody may use it or make it anew. Such a table has never held anything.

Started as a process of its own with the options of ``secantusd-py``.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import wiredtiger
from secantus import cli

if TYPE_CHECKING:
    from collections.abc import Callable

_HEADER_BYTES = 128
_commit: Callable[..., int] = wiredtiger.Session.commit_transaction
_open: Callable[..., wiredtiger.Connection] = wiredtiger.wiredtiger_open


def commit(session: wiredtiger.Session, config: str | None = None) -> int:
    """Commit, and fail where the storage has failed meanwhile: it may hold nothing."""
    done = _commit(session, config)
    session.log_flush("sync=off")
    return done


def open_storage(home: str, config: str | None = None) -> wiredtiger.Connection:
    """Open the files of a server, completing what one that was killed left half."""
    try:
        connection = _open(home, config)
    except wiredtiger.WiredTigerError:
        if not complete_logs(Path(home)):
            raise
        connection = _open(home, config)
    drop_half_made_tables(connection)
    return connection


def complete_logs(home: Path) -> int:
    """
    Add an empty record to each log file that has none, and return how many these were.

    The newest is left alone: it may be another server's.
    """
    older = sorted(home.glob("WiredTigerLog.*"))[:-1]
    short = [path for path in older if path.stat().st_size == _HEADER_BYTES]
    for path in short:
        with suppress(FileNotFoundError):
            os.truncate(path, 2 * _HEADER_BYTES)
    return len(short)


def drop_half_made_tables(connection: wiredtiger.Connection) -> None:
    """Drop tables that a killed process had begun to make."""
    session = connection.open_session()
    entries = session.open_cursor("metadata:")
    names = set()
    while entries.next() == 0:
        names.add(entries.get_key())
    entries.close()
    for name in sorted(names):
        kind, _, table = name.partition(":")
        if kind == "table" and not {f"colgroup:{table}", f"file:{table}.wt"} <= names:
            session.drop(name, "force=true")
    session.close()


def main() -> None:
    """Run the server until it is told to end."""
    wiredtiger.Session.commit_transaction = commit
    wiredtiger.wiredtiger_open = open_storage
    sys.exit(cli.main())


if __name__ == "__main__":
    main()
