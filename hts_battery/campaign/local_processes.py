"""Computing candidates in several processes of this machine, each with one thread."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe, wait
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast

from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.database.stores import screening_stores
from hts_battery.errors import ConfigurationError, StoreError, SubmissionError
from hts_battery.settings import ENV_PREFIX, get_settings
from hts_battery.settings_file import profile_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hts_battery.campaign.local_run import Progress
    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
)
_SECONDS_TO_END = 10.0
_GB = 1e9


class Startable(Protocol):
    """What is sent to a process: it says there how candidates are computed."""

    def started(self, stores: Stores) -> Callable[[CandidateDoc], bool]:
        """Return what computes one; false where it was left to somebody else."""


def default_processes(
    spec: CampaignSpec, *, device: str, note: Callable[[str], None]
) -> int:
    """
    Say how many candidates are computed at once: one a core, as far as memory goes.

    Parameters
    ----------
    spec
        The campaign. An engine that starts a program leaves the cores to that.
    device
        Where force fields compute; but for ``cpu``, processes would share it.
    note
        Told where memory is short.
    """
    from psutil import virtual_memory  # noqa: PLC0415 - only where something is computed

    from hts_battery.flows.engines.registry import engine  # noqa: PLC0415 - likewise

    names = {spec.engine} | ({spec.prerelax.engine} if spec.prerelax else set())
    needs = [engine(name).process_memory for name in names]
    if None in needs or device != "cpu":
        return 1
    cores = _usable_cores()
    free, need = virtual_memory().available / _GB, max(filter(None, needs))
    fitting = max(1, int(free / need))
    if fitting < cores:
        note(
            f"{fitting} of {cores} cores compute: {free:.1f} GB of memory are free, a "
            f"process takes about {need:g}"
        )
    return min(cores, fitting)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_in_processes(  # noqa: PLR0913 - each is named by its caller
    todo: Iterable[CandidateDoc],
    run: Startable,
    database: Database,
    *,
    processes: int,
    execution_folder: Path,
    log: Path,
    progress: Progress,
) -> int:
    """
    Hand candidates to processes, one at a time to each, until none is left.

    The processes end with this one, however it ends. One that is lost or fails leaves
    its candidate to another call; the others go on.

    Parameters
    ----------
    todo
        The candidates.
    run
        Sent to each process.
    database
        Opened by each process.
    processes
        Their number.
    execution_folder
        Folder of the execution record.
    log
        File of what they print.
    progress
        Told before and after each candidate, and of what ended a process.

    Returns
    -------
    int
        Number of candidates that were computed.

    Raises
    ------
    HTSBatteryError
        If no process came to the end, with what ended the last one.
    """
    variables = {
        **_ONE_THREAD,
        **profile_variables(),
        f"{ENV_PREFIX}MONGO_URI": database.uri,
        f"{ENV_PREFIX}DATABASE": database.name,
        f"{ENV_PREFIX}EXECUTION_RECORD": str(execution_folder),
    }
    workers: list[_Worker] = []
    try:
        while len(workers) < processes:
            workers.append(_Worker(run, log, variables))
        return _hand_out(iter(todo), workers, progress)
    finally:
        for worker in workers:
            worker.end()
        for worker in workers:
            worker.wait()


def _hand_out(
    todo: Iterator[CandidateDoc], workers: Sequence[_Worker], progress: Progress
) -> int:
    """Give each worker the next candidate as soon as it is ready."""
    busy = {worker.connection: worker for worker in workers}
    computed = 0
    while busy:
        for connection in wait(list(busy)):
            worker = busy[cast("Connection", connection)]
            before, answer = worker.candidate, worker.answer()
            if isinstance(answer, Exception):
                del busy[worker.connection]
                if not busy and not any(one.done for one in workers):
                    raise answer
                name = "" if before is None else f"{before.formula}: "
                progress.problem(f"{name}{answer}")
                continue
            computed += bool(answer)
            if before is not None:
                progress.advance("compute", before.formula)
            following = worker.hand(next(todo, None))
            if following is None:
                del busy[worker.connection]
            else:
                progress.begin("compute", following.formula)
    return computed


class _Worker:
    """A process, and the candidate that it computes."""

    def __init__(self, run: Startable, log: Path, variables: Mapping[str, str]) -> None:
        self.candidate: CandidateDoc | None = None
        self.done = False
        self.log = log
        self.connection, theirs = Pipe()
        log.parent.mkdir(parents=True, exist_ok=True)
        with theirs, log.open("ab") as printed:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                env=os.environ | variables,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
            )
        self.connection.send(sys.path)
        self.connection.send(run)

    def answer(self) -> bool | Exception | None:
        """Read whether the last candidate was computed, or why the process ended."""
        try:
            return cast("bool | Exception | None", self.connection.recv())
        except (EOFError, OSError):
            status = self.process.wait()
            how = signal.Signals(-status).name if status < 0 else f"status {status}"
            return SubmissionError(
                f"a process that computes ended with {how}; {self.log} may say why"
            )

    def hand(self, candidate: CandidateDoc | None) -> CandidateDoc | None:
        """Hand over a candidate; none lets the process end."""
        self.candidate, self.done = candidate, candidate is None
        with suppress(OSError):  # it was lost just now: the next answer says so
            self.connection.send(candidate)
        return candidate

    def end(self) -> None:
        """End the process in the middle of its work."""
        if not self.done:
            self.process.terminate()

    def wait(self) -> None:
        """Wait for the end of the process, but not for ever."""
        try:
            self.process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.connection.close()


def main() -> None:
    """Compute what the process that started this one hands over."""
    # Ctrl-C reaches every process of a terminal; the parent ends this one.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    connection = Connection(int(sys.argv[1]))
    sys.path[:] = connection.recv()
    received: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_receive, args=(connection, received), daemon=True).start()
    try:
        run = received.get()
        with (
            screening_stores(get_settings(), make_indexes=False) as stores,
            translated_outages(stores.database.uri, "computing candidates"),
        ):
            compute = run.started(stores)
            connection.send(None)
            while (candidate := received.get()) is not None:
                connection.send(compute(candidate))
    except Exception as err:  # noqa: BLE001 - the parent says it in one line
        traceback.print_exc()
        known = isinstance(err, StoreError | ConfigurationError | SubmissionError)
        connection.send(
            err if known else SubmissionError(f"{type(err).__name__}: {err}")
        )


def _receive(connection: Connection, received: SimpleQueue[Any]) -> NoReturn:
    """Receive what the parent sends; end at once when the parent is gone."""
    try:
        while True:
            received.put(connection.recv())
    except (EOFError, OSError):
        os._exit(1)


if __name__ == "__main__":
    main()
