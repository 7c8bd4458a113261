"""Tell processes apart: a pid that was recycled is another process."""

from __future__ import annotations

import socket
from functools import lru_cache
from pathlib import Path

import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_DEAD = frozenset({psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD})


def host_name() -> str:
    """Return the name of this host as it is written into records."""
    return socket.gethostname()


def process_identity(pid: int) -> str | None:
    """
    Return a text that no other process of this host has: pid, time of start and boot.

    None if there is no such process, or only its unreaped remains.

    Examples
    --------
    >>> import os
    >>> process_identity(os.getpid()) == process_identity(os.getpid())
    True
    >>> process_identity(2**22 + 1) is None
    True
    """
    try:
        process = psutil.Process(pid)
        # Threads that outlive the first one of a process that was killed hold its
        # sockets and file locks for some milliseconds more.
        if process.status() in _DEAD and process.num_threads() <= 1:
            return None
        # Since the boot: a clock that is set moves both times and not what is between.
        started = process.create_time() - psutil.boot_time()
    except psutil.NoSuchProcess:
        return None
    return f"{pid}:{started:.2f}:{boot_identity()}"


@lru_cache(maxsize=1)
def boot_identity() -> str:
    """Return a text that changes when the machine boots; empty where unknown."""
    # psutil has only the time of the boot, which moves with the clock.
    if _BOOT_ID.is_file():
        return _BOOT_ID.read_text(encoding="ascii").strip()
    return ""
