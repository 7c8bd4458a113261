"""Files that are whole or not there, whatever is killed or full."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO


def write_whole(path: Path, content: bytes | str, *, mode: int = 0o666) -> None:
    """
    Write a file, text as UTF-8, so that its name never stands for a part of it.

    Where it cannot be written (OSError) nothing is left of it.
    """
    with whole_file(path, mode=mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_file(path: Path, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a file that has its name, and is on the disk, when the block has ended."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        # What is raised is why it could not be written; `hts doctor` finds the rest.
        with suppress(OSError):
            part.unlink()
        raise
    _sync_folder(path.parent)


def make_folders(folder: Path, *, mode: int = 0o700) -> None:
    """Make a folder and those above it; what is new is closed to other users."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=mode, exist_ok=True)


def move_aside(path: Path) -> Path:
    """
    Give a damaged file another name, under which nobody looks for it; return that.

    What was moved aside before stays.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    path.rename(aside)
    return aside


def append_durably(path: Path, line: bytes) -> None:
    """
    Append a line to a file, made with its folder if need be, and wait for the disk.

    A line that an earlier writer left unfinished is ended first. Those of the same
    group may read it, nobody else.
    """
    is_new = not path.exists()
    if is_new:
        make_folders(path.parent)
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            # An earlier line was cut off by a full disk: do not continue it.
            line = b"\n" + line
        while line:
            line = line[os.write(file, line) :]
        os.fsync(file)
    finally:
        os.close(file)
    if is_new:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file as durable as its content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
