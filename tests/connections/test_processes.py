"""A process is told by its pid, its start and the boot; its remains are none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from hts_battery.connections.processes import (
    ProcessState,
    host_name,
    process_identity,
    process_scope,
    process_state,
)

_ASK = (
    "import sys; from hts_battery.connections.processes import process_identity; "
    "print(process_identity(int(sys.argv[1])))"
)
_FIRST_THREAD_ENDS = (
    "import ctypes, threading, time; "
    "threading.Thread(target=lambda: time.sleep(60)).start(); "
    "ctypes.CDLL(None).pthread_exit(None)"
)


def wait_for_zombie(pid: int) -> None:
    while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)


def test_another_process_tells_the_same_of_this_one() -> None:
    words = [sys.executable, "-c", _ASK, str(os.getpid())]
    answer = subprocess.check_output(words, text=True)  # noqa: S603 - our own
    assert answer.strip() == process_identity(os.getpid())


def test_a_clock_that_is_set_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = process_identity(os.getpid())
    boot_time, create_time = psutil.boot_time(), psutil.Process().create_time()
    monkeypatch.setattr(psutil, "boot_time", lambda: boot_time + 3600)
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: create_time + 3600)
    assert process_identity(os.getpid()) == before


def test_unreaped_remains_are_no_process() -> None:
    process = subprocess.Popen(["/bin/true"])
    wait_for_zombie(process.pid)
    assert process_identity(process.pid) is None
    process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="threads outlive the first there")
def test_a_process_lives_as_long_as_one_of_its_threads() -> None:
    words = [sys.executable, "-c", _FIRST_THREAD_ENDS]
    process = subprocess.Popen(words)  # noqa: S603 - our own
    wait_for_zombie(process.pid)
    assert process_identity(process.pid) is not None
    process.kill()
    process.wait()


def test_what_is_not_seen_is_gone_only_in_our_own_scope() -> None:
    here, me = host_name(), os.getpid()
    gone, never = 2**22 + 1, f"{2**22 + 1}:0.00:"
    ours = process_scope()
    namespace = ours.partition("@")[2]
    mine = process_identity(me)
    table = {
        (here, me, mine, ours): ProcessState.ALIVE,
        (here, me, mine, "7@pid:[1]"): ProcessState.ALIVE,
        ("elsewhere", me, mine, ours): ProcessState.UNKNOWN,
        (here, None, None, ours): ProcessState.UNKNOWN,
        (here, gone, never, ours): ProcessState.GONE,
        (here, gone, never, None): ProcessState.GONE,
        (here, gone, never, "7@pid:[1]"): ProcessState.UNKNOWN,
        # hidepid=2 hides another user's processes in our own namespace.
        (here, gone, never, f"7@{namespace}"): ProcessState.UNKNOWN,
        # Another process is seen under its number, which is not hidden then.
        (here, me, "1:0.00:", f"7@{namespace}"): ProcessState.GONE,
        (here, me, "1:0.00:", "7@pid:[1]"): ProcessState.UNKNOWN,
        (here, gone, "1:0.00:another boot", "7@pid:[1]"): ProcessState.GONE,
    }
    assert {key: process_state(*key) for key in table} == table


def test_a_stopped_process_is_told() -> None:
    process = subprocess.Popen(["/bin/sleep", "60"])
    process.send_signal(signal.SIGSTOP)
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    identity = process_identity(process.pid)
    state = process_state(host_name(), process.pid, identity, process_scope())
    assert state is ProcessState.STOPPED
    process.kill()
    process.wait()
