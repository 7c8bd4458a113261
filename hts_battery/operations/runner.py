"""
The runner: a feeder and launchers that stay up, as one tree of processes.

What ends is started again, after a pause that grows. Each child reads a pipe that only
the runner holds: killed, however it was, the runner takes its children with it, and
none goes on submitting unseen. What they print goes to files that are rotated.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from logging.handlers import RotatingFileHandler
from threading import Event, Thread
from typing import IO, TYPE_CHECKING

import psutil
from pydantic import ValidationError

from hts_battery.connections.durable_files import write_whole
from hts_battery.connections.processes import host_name, process_identity
from hts_battery.errors import BusyError, StoreError
from hts_battery.schemas.runner import RunnerChild, RunnerState, RunnerStatus
from hts_battery.settings_file import profile_variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

FEEDER = "feeder"
"""Name of the child that feeds."""
RUNNER = "runner"
"""Name of the log of the runner itself."""
HTS = (sys.executable, "-P", "-m", "hts_battery.cli.app")
"""The command `hts`, whatever stands on the path; no folder of the user in the way."""
_LOG_BYTES, _LOGS_KEPT = 10 * 1024**2, 5
_SHORTEST_S, _LONGEST_S = 1.0, 300.0
_STEADY_S = 600.0
"""After so long a child counts as well: the pause before its next start is short."""
_END_S = 20.0
_START_S = 60.0
_POLL_S = 0.2


@dataclass(frozen=True)
class RunnerFolder:
    """The files of a runner."""

    folder: Path

    @property
    def state(self) -> Path:
        """What it writes down of itself."""
        return self.folder / "state.json"

    @property
    def lock(self) -> Path:
        """Held as long as it lives."""
        return self.folder / "lock"

    def log(self, name: str) -> Path:
        """Where a child's words go."""
        return self.folder / "logs" / f"{name}.log"

    def create(self) -> None:
        """Make the folders, closed to other users."""
        (self.folder / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self) -> RunnerState | None:
        """Read what the last runner wrote down; none where none ever ran."""
        try:
            return RunnerState.model_validate_json(self.state.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as err:
            raise StoreError(
                f"{self.state} is damaged: end `hts runner` by hand, then delete it"
            ) from err


@dataclass
class _Child:
    """One process that is kept alive."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    identity: str | None = None
    began: float = 0.0
    started: datetime | None = None
    due: float = 0.0
    restarts: int = 0
    failures: int = 0
    last_status: int | None = None

    def forget(self, status: int) -> None:
        """Note how its process ended."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
        self.process = self.identity = None
        self.last_status = status

    def described(self, now: float) -> RunnerChild:
        waits = self.process is None
        due = datetime.now(UTC) + timedelta(seconds=max(0.0, self.due - now))
        return RunnerChild(
            name=self.name,
            pid=None if self.process is None else self.process.pid,
            identity=self.identity,
            started=self.started,
            restarts=self.restarts,
            last_status=self.last_status,
            due=due if waits else None,
        )


def restart_delay(failures: int) -> float:
    """
    Return the pause in s before a child is started again.

    Examples
    --------
    >>> [restart_delay(n) for n in (1, 2, 3, 20)]
    [1.0, 2.0, 4.0, 300.0]
    """
    return min(_LONGEST_S, _SHORTEST_S * 2.0 ** min(failures - 1, 20))


@dataclass
class Runner:
    """
    Keeps some commands alive until it is told to stop.

    Parameters
    ----------
    folder
        Its files.
    commands
        Name of each child → its command.
    stopping
        Set when it is to end.
    """

    folder: RunnerFolder
    commands: Mapping[str, Sequence[str]]
    stopping: Event = field(default_factory=Event)

    def run(self) -> None:
        """
        Run until :attr:`stopping` is set, then end every child.

        Raises
        ------
        BusyError
            If a runner of this folder runs already.
        """
        self.folder.create()
        with _alone(self.folder):
            self._children = [_Child(*one) for one in self.commands.items()]
            self._began = datetime.now(UTC)
            self._logs = {name: _log(self.folder.log(name)) for name in self.commands}
            try:
                while not self.stopping.is_set():
                    if self._look():
                        self._write()
                    self.stopping.wait(_POLL_S)
            finally:
                self._end()

    def _look(self) -> bool:
        """Start what is due and notice what ended; say whether anything changed."""
        changed = False
        for child in self._children:
            now = time.monotonic()
            if child.process is None:
                if now >= child.due:
                    self._start(child)
                    changed = True
            elif (status := child.process.poll()) is not None:
                steady = now - child.began >= _STEADY_S
                child.failures = 1 if steady else child.failures + 1
                delay = restart_delay(child.failures)
                child.forget(status)
                child.due = now + delay
                child.restarts += 1
                self._say(
                    child, f"ended with status {status}; started again in {delay:g} s"
                )
                changed = True
        return changed

    def _start(self, child: _Child) -> None:
        child.process = subprocess.Popen(  # noqa: S603 - our own command
            list(child.command),
            # Held open by us alone: its end says that we are gone.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **profile_variables()},
            start_new_session=True,  # Ctrl-C is for us, and we end it
        )
        child.identity = process_identity(child.process.pid)
        child.began, child.started = time.monotonic(), datetime.now(UTC)
        self._say(child, f"started as process {child.process.pid}")
        Thread(
            target=_copy_lines,
            args=(child.process.stdout, self._logs[child.name]),
            daemon=True,
        ).start()

    def _say(self, child: _Child, text: str) -> None:
        self._logs[child.name].info("[runner] %s %s", child.name, text)

    def _write(self, *, ended: bool = False) -> None:
        now = time.monotonic()
        pid = psutil.Process().pid
        state = RunnerState(
            pid=pid,
            identity=process_identity(pid) or "",
            host=host_name(),
            started=self._began,
            ended=datetime.now(UTC) if ended else None,
            children=tuple(one.described(now) for one in self._children),
        )
        write_whole(self.folder.state, state.model_dump_json())

    def _end(self) -> None:
        """End every child with what it started, then forget them."""
        running = {one.name: one.process for one in self._children if one.process}
        end_trees([process.pid for process in running.values()])
        for child in self._children:
            if child.name in running:
                child.forget(running[child.name].wait())
                self._say(child, f"was ended, status {child.last_status}")
        self._write(ended=True)
        for log in self._logs.values():
            for handler in log.handlers:
                handler.close()


@contextmanager
def _alone(folder: RunnerFolder) -> Iterator[None]:
    """Hold the lock of a folder, which ends with this process however it ends."""
    with folder.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            known = folder.read()
            who = f" (process {known.pid} on {known.host})" if known else ""
            raise BusyError(
                f"a runner is running{who}: `hts runner stop` ends it"
            ) from None
        yield


def _log(path: Path) -> logging.Logger:
    """Open a log that is rotated; not a part of this process's own logging."""
    handler = RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=_LOGS_KEPT)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.Logger(path.stem, logging.INFO)  # noqa: LOG001 - nobody else's
    log.addHandler(handler)
    return log


def _copy_lines(stream: IO[bytes], log: logging.Logger) -> None:
    """Copy what a child prints into its log until it ends."""
    with stream:
        for line in stream:
            log.info("%s", line.decode("utf-8", errors="replace").rstrip("\n"))


def end_trees(pids: Sequence[int], *, seconds: float = _END_S) -> None:
    """End processes and all that they started: asked first, then killed."""
    tree = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            tree += [root, *root.children(recursive=True)]
    for process in tree:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(tree, timeout=seconds)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=seconds)


def runner_status(folder: RunnerFolder) -> RunnerStatus:
    """Say how a runner stands: by its processes, not by what it wrote down."""
    state = folder.read()
    if state is None:
        return RunnerStatus(running=False)
    if state.host != host_name():
        return RunnerStatus(running=False, state=state, elsewhere=True)
    running = state.ended is None and process_identity(state.pid) == state.identity
    alive = [
        one
        for one in state.children
        if one.pid is not None and process_identity(one.pid) == one.identity
    ]
    return RunnerStatus(
        running=running,
        state=state,
        alive=tuple(one.name for one in alive),
        orphans=() if running else tuple(one.pid for one in alive if one.pid),
    )


def stop_runner(folder: RunnerFolder) -> tuple[int, ...]:
    """
    End a runner and exactly what it started; return the processes that were there.

    Raises
    ------
    StoreError
        If it was started on another host.
    """
    status = runner_status(folder)
    state = status.state
    if status.elsewhere and state is not None:
        raise StoreError(
            f"the runner of {folder.folder} was started on {state.host}: run `hts "
            "runner stop` there"
        )
    if state is None or not (status.running or status.orphans):
        return ()
    roots = [state.pid] if status.running else list(status.orphans)
    if status.running:
        # It ends its children itself; what would not end is ended below.
        process = psutil.Process(state.pid)
        tree = [process, *process.children(recursive=True)]
        process.terminate()
        psutil.wait_procs([process], timeout=2 * _END_S)
        left = [one.pid for one in tree if one.is_running()]
        end_trees([pid for pid in left if pid != state.pid] or left)
        return tuple(one.pid for one in tree)
    end_trees(roots)
    return tuple(roots)


def start_runner(folder: RunnerFolder, workers: Sequence[str]) -> RunnerState:
    """
    Start a runner that stays when this process ends; return what it wrote down.

    Raises
    ------
    BusyError
        If one runs already.
    StoreError
        If it ends at once, with its last words.
    """
    folder.create()
    status = runner_status(folder)
    if status.running and status.state is not None:
        raise BusyError(
            f"a runner is running (process {status.state.pid}): `hts runner stop` "
            "ends it"
        )
    if status.orphans:
        stop_runner(folder)
    with folder.log(RUNNER).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*HTS, "runner", "start", "--foreground", *workers],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **profile_variables()},
            start_new_session=True,
        )
    Thread(target=process.wait, daemon=True).start()  # so that no zombie stays
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        found = folder.read()
        if found is not None and found.pid == process.pid:
            return found
        if process.poll() is not None:
            break
        time.sleep(_POLL_S)
    raise StoreError(
        f"the runner did not start: {_last_line(folder.log(RUNNER))} (all of it in "
        f"{folder.log(RUNNER)})"
    )


def _last_line(path: Path) -> str:
    lines = path.read_text("utf-8", errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")


def end_with_runner() -> None:
    """
    Let this process end when the runner that started it is gone.

    Its standard input is a pipe that the runner alone holds open.
    """

    def wait() -> None:
        with suppress(OSError, ValueError):
            while sys.stdin.buffer.read(1):
                pass
        # To the process, not to this thread: the one that sleeps is to wake up.
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=wait, name="runner-watch", daemon=True).start()


_UNIT = """\
[Unit]
Description=hts_battery runner: feeder and launchers ({workers})
After=network-online.target

[Service]
Type=exec
WorkingDirectory={folder}
{environment}ExecStart={command}
Restart=on-failure
RestartSec=30
KillMode=mixed
TimeoutStopSec=60

[Install]
WantedBy=default.target
"""


def systemd_unit(
    workers: Sequence[str],
    folder: Path,
    env_file: Path | None = None,
    profile: str | None = None,
) -> str:
    """
    Return a systemd unit of the user that keeps the runner up.

    Parameters
    ----------
    workers
        Workers whose launchers it runs.
    folder
        Folder in which it is to run.
    env_file
        File of the variables that `hts` needs, one ``NAME=value`` a line.
    profile
        Profile of the settings file that is used, if one is.
    """
    chosen = () if profile is None else ("--profile", profile)
    command = [*HTS, *chosen, "runner", "start", "--foreground", *workers]
    line = "" if env_file is None else f"EnvironmentFile={_escaped(str(env_file))}\n"
    return _UNIT.format(
        workers=", ".join(workers) or "no worker",
        folder=_escaped(str(folder)),
        environment=line,
        command=" ".join(map(_quoted, command)),
    )


def _escaped(text: str) -> str:
    """Write a path as a value of its own, in which systemd would read specifiers."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """Quote a word of a command line of systemd."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("%", "%%").replace("$", "$$") + '"'
