"""Files that are whole or not there, whatever is killed or full."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """
    Write a file so that its name never stands for a part of it.

    Parameters
    ----------
    path
        Its name; a file that has it is replaced.
    content
        What is written, flushed to the disk before the file has its name.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left of it then.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        # What is raised is why it could not be written; `hts doctor` finds the rest.
        with suppress(OSError):
            part.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the name of a new file as durable as its content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
