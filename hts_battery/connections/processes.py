"""Processes of this host: which is which, how they end, and how this one is ended."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from hts_battery.schemas.launchpad_rows import WrittenProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

_PID_NAMESPACE = Path("/proc/self/ns/pid")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_ENDING = (signal.SIGTERM, signal.SIGHUP)
_ENDING_S = 3.0
_DEAD = frozenset({psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD})
_STOPPED = frozenset({psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP})


class ProcessState(Enum):
    """What can be seen from here of a process that somebody wrote down."""

    ALIVE = "alive"
    STOPPED = "stopped"
    """It is there and does nothing, as after Ctrl-Z: it goes on when it is let."""
    GONE = "gone"
    UNKNOWN = "unknown"
    """It would not be seen from here if it were there."""


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
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return f"{pid}:{started:.2f}:{boot_identity()}"


@lru_cache(maxsize=1)
def process_scope() -> str:
    """
    Return a text for the processes that this one surely sees: its own user's, here.

    Others may be hidden (``hidepid``), and a container has numbers of its own.
    """
    try:
        namespace = str(_PID_NAMESPACE.readlink())
    except OSError:  # no Linux: one space of numbers
        namespace = ""
    return f"{os.getuid()}@{namespace}"


def own_process() -> WrittenProcess:
    """Write this process down."""
    pid = os.getpid()
    return WrittenProcess(
        host=host_name(), pid=pid, process=process_identity(pid), scope=process_scope()
    )


def process_state(
    host: str | None, pid: int | None, process: str | None, scope: str | None
) -> ProcessState:
    """
    Look for a process that was written down: its host, number, identity and scope.

    That there is no such number says something only in our own scope; what was written
    down without one was in ours.

    Examples
    --------
    >>> process_state("elsewhere", 1, "1:0:", None)
    <ProcessState.UNKNOWN: 'unknown'>
    """
    if host != host_name() or pid is None or process is None:
        return ProcessState.UNKNOWN
    found = process_identity(pid)
    if found == process:
        return ProcessState.STOPPED if _is_stopped(pid) else ProcessState.ALIVE
    _, _, namespace = process_scope().partition("@")
    ours = scope in (None, process_scope())
    # Another process that is seen under the number hides nobody.
    recycled = found is not None and str(scope).endswith(f"@{namespace}")
    if ours or recycled or _was_before_boot(process):
        return ProcessState.GONE
    return ProcessState.UNKNOWN


def _is_stopped(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() in _STOPPED
    except psutil.Error:
        return False


def _was_before_boot(process: str) -> bool:
    """Say whether this machine has booted since; then no namespace hides it."""
    _, began, boot = (*process.split(":", 2), "", "")[:3]
    known = bool(began and boot and boot_identity())
    return known and boot != boot_identity()


@lru_cache(maxsize=1)
def boot_identity() -> str:
    """Return a text that changes when the machine boots; empty where unknown."""
    # psutil has only the time of the boot, which moves with the clock.
    if _BOOT_ID.is_file():
        return _BOOT_ID.read_text(encoding="ascii").strip()
    return ""


def end_processes_below(folder: Path) -> None:
    """End the processes of this user that work in or below a folder, but this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.uids().real != os.getuid() or process.pid == os.getpid():
                continue
            if Path(process.cwd()).is_relative_to(folder.resolve()):
                process.terminate()
                found.append(process)
        except (psutil.Error, OSError):
            continue  # it ended, or it is nobody's to look at
    _, alive = psutil.wait_procs(found, timeout=_ENDING_S)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=_ENDING_S)


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a block as Ctrl-C does: what it opened is closed."""

    def end(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    with _handled(_ENDING, end):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Pass over Ctrl-C, SIGTERM and SIGHUP until a block has cleaned up."""
    with _handled((signal.SIGINT, *_ENDING), signal.SIG_IGN):
        yield


@contextmanager
def _handled(
    numbers: Sequence[signal.Signals],
    handler: Callable[[int, FrameType | None], None] | signal.Handlers,
) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, one in before.items():
            signal.signal(number, one)
