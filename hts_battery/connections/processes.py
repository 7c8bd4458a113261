"""Telling processes apart: a pid that was recycled is another process."""

from __future__ import annotations

import socket
import subprocess
from functools import lru_cache
from pathlib import Path

_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys/kernel/random/boot_id"
_START_FIELD = 19  # starttime is field 22 of proc(5) stat; three stand before the tail


def host_name() -> str:
    """Return the name of this host as it is written into records."""
    return socket.gethostname()


def process_identity(pid: int) -> str | None:
    """
    Return a text that no other process has: pid, time of start and boot.

    Parameters
    ----------
    pid
        Process id on this host.

    Returns
    -------
    str or None
        None if there is no such process, or only its unreaped remains.

    Examples
    --------
    >>> import os
    >>> process_identity(os.getpid()) == process_identity(os.getpid())
    True
    >>> process_identity(2**22 + 1) is None
    True
    """
    if not _PROC.is_dir():
        return _identity_by_ps(pid)
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name of the program stands in parentheses and may hold blanks itself.
    state, *fields = text.rpartition(")")[2].split()
    if state in "ZX" and not _other_threads(pid):
        return None
    return f"{pid}:{fields[_START_FIELD - 1]}:{boot_identity()}"


def _other_threads(pid: int) -> bool:
    """
    Say whether threads outlive the first one of a process that was killed.

    They hold its sockets and file locks for some milliseconds more.
    """
    try:
        return any(
            path.name != str(pid) for path in (_PROC / str(pid) / "task").iterdir()
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


@lru_cache(maxsize=1)
def boot_identity() -> str:
    """Return a text that changes when the machine boots; empty where unknown."""
    if _BOOT_ID.is_file():
        return _BOOT_ID.read_text(encoding="ascii").strip()
    return ""


def _identity_by_ps(pid: int) -> str | None:
    """Ask ps where there is no /proc (macOS, BSD)."""
    answer = subprocess.run(  # noqa: S603 - fixed program, integer argument
        ["/bin/ps", "-o", "state=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, started = answer.stdout.strip().partition(" ")
    if answer.returncode or not started or state.startswith("Z"):
        return None
    return f"{pid}:{started.strip()}"
