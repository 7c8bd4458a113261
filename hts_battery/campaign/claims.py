"""Claims: of all processes that share a data folder, one computes a calculation."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DIGITS = 15  # hexadecimal: an offset below 2**60


class Claims:
    """
    Exclusive claims on content keys, held by a process and gone when it ends.

    Each key is one byte of one file, locked: nothing has to be cleaned up after a
    kill, and the file stays empty. Two keys share a byte once in 2**60.

    Parameters
    ----------
    path
        The file; made where it is not there.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # One descriptor for all claims: closing any other one of this process
            # would let go of every lock of the file.
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as err:
            raise StoreError(
                f"{path} cannot be opened: {err.strerror}; it keeps two processes from "
                "computing the same"
            ) from err

    def close(self) -> None:
        """Let go of every claim."""
        os.close(self._file)

    @contextmanager
    def claimed(self, key: str) -> Iterator[bool]:
        """
        Claim a key while a block runs.

        Parameters
        ----------
        key
            A content key.

        Yields
        ------
        bool
            False where another process holds the claim.
        """
        offset = int(key[:_DIGITS], 16)
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        except (BlockingIOError, PermissionError):
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, offset)
