"""
The append-only record of every execution of a job.

Each process appends to a file of its own, ``HOST-PID-START.jsonl``, one line before a
job runs and one after, flushed to the disk before anything else happens. So what ran,
how often and how it ended can be counted without asking any database. The lines are
described in :mod:`hts_battery.schemas.execution`.
"""

from __future__ import annotations

import json
import os
import re
import time
import traceback
import uuid
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

from pydantic import ValidationError

from hts_battery.connections.durable_files import append_durably
from hts_battery.connections.processes import (
    ProcessState,
    host_name,
    process_identity,
    process_scope,
    process_state,
)
from hts_battery.errors import StoreError
from hts_battery.schemas.execution import (
    SCHEMA_VERSION,
    Execution,
    ExecutionCounts,
    ExecutionEnd,
    ExecutionStart,
    Ledger,
    Outcome,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_MESSAGE_LENGTH = 2000
_TRACEBACK_LENGTH = 4000
_TAIL_BYTES = 1 << 18
_write_lock = Lock()


@dataclass(frozen=True)
class ExecutionRecord:
    """The folder in which executions are written down; it may be shared by hosts."""

    folder: Path

    @contextmanager
    def execution(  # noqa: PLR0913 - each is a field of the line
        self,
        *,
        job_uuid: str,
        name: str,
        candidate_id: str | None = None,
        content_key: str | None = None,
        step: str | None = None,
        ordering_id: str | None = None,
        reused: bool = False,
    ) -> Iterator[ExecutionStart]:
        """
        Record a start, run the body, record how it ended.

        With ``reused`` the body computes nothing and only finds an output again.

        Raises
        ------
        StoreError
            If a line cannot be written. Before the body this keeps it from running;
            after a body that failed it is added as a note to the body's own error.
        """
        start = ExecutionStart(
            execution_id=uuid.uuid4().hex,
            job_uuid=job_uuid,
            name=name,
            candidate_id=candidate_id,
            content_key=content_key,
            step=step,
            ordering_id=ordering_id,
            host=host_name(),
            pid=os.getpid(),
            process=process_identity(os.getpid()) or "",
            scope=process_scope(),
            time=datetime.now(UTC),
        )
        began = time.monotonic()
        self._append(start)
        try:
            yield start
        except BaseException as err:
            try:
                self._append(_end(start, began, err))
            except StoreError as unwritten:
                err.add_note(str(unwritten))
            raise
        self._append(_end(start, began, None, reused=reused))

    def _append(self, line: ExecutionStart | ExecutionEnd) -> None:
        """Write one line at the end of this process's file, onto the disk."""
        identity = process_identity(os.getpid()) or f"{os.getpid()}:0"
        owner = "-".join((host_name(), *identity.split(":")[:2]))
        path = self.folder / f"{_owner(owner)}.jsonl"
        text = line.model_dump_json(exclude_none=True) + "\n"
        try:
            with _write_lock:
                append_durably(path, text.encode())
        except OSError as err:
            raise StoreError(
                f"execution record {path} cannot be written: {err.strerror}; free "
                "the disk or choose a folder with HTS_BATTERY_EXECUTION_RECORD"
            ) from err


@dataclass(frozen=True)
class RecordedExecutions:
    """What a record holds: executions with a start, and lines that were cut off."""

    executions: tuple[Execution, ...]
    torn_lines: int


def read_executions(folder: Path) -> RecordedExecutions:
    """
    Read the record of a folder, if it is there: pair every start with its end.

    Raises
    ------
    StoreError
        If a file was written by a newer version, or is not a record.
    """
    starts: dict[str, ExecutionStart] = {}
    ends: dict[str, ExecutionEnd] = {}
    torn = 0
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            event = _read_line(line, place=f"{path}:{number}")
            if event is None:
                torn += 1
            elif isinstance(event, ExecutionStart):
                starts[event.execution_id] = event
            else:
                ends[event.execution_id] = event
    executions = tuple(
        Execution(
            start=start, end=ends.get(key), outcome=_outcome(start, ends.get(key))
        )
        for key, start in starts.items()
    )
    return RecordedExecutions(executions, torn)


def running_keys(folder: Path) -> set[str]:
    """
    Return the content keys that processes of this host compute now.

    Only the ends of the files of processes that are alive are read: quick, however long
    the record.
    """
    found = set()
    for path in folder.glob(f"{_owner(host_name())}-*.jsonl"):
        pid, _, began = path.stem.removeprefix(f"{_owner(host_name())}-").partition("-")
        identity = process_identity(int(pid)) if pid.isdigit() else None
        if identity is None or identity.split(":")[1] != began:
            continue
        open_starts: dict[str, str | None] = {}
        for number, line in enumerate(_last_lines(path), start=1):
            event = _read_line(line, place=f"{path}, last lines:{number}")
            if isinstance(event, ExecutionStart):
                open_starts[event.execution_id] = event.content_key
            elif event is not None:
                open_starts.pop(event.execution_id, None)
        found |= {key for key in open_starts.values() if key}
    return found


def _last_lines(path: Path) -> list[bytes]:
    """Read the whole lines at the end of a file."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read().splitlines()
    return lines if size <= _TAIL_BYTES else lines[1:]


def _owner(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "_", text)


def ledger(folder: Path) -> Ledger:
    """Count the executions of the record of a folder by outcome."""
    recorded = read_executions(folder)
    executions = recorded.executions
    return Ledger(
        total=_tally(execution.outcome for execution in executions),
        by_content_key=_tallies(
            (execution.start.content_key, execution.outcome) for execution in executions
        ),
        by_job=_tallies(
            (execution.start.job_uuid, execution.outcome) for execution in executions
        ),
        error_classes=dict(
            Counter(
                execution.end.error_class
                for execution in executions
                if execution.end is not None and execution.end.error_class is not None
            )
        ),
        torn_lines=recorded.torn_lines,
    )


def _end(
    start: ExecutionStart,
    began: float,
    error: BaseException | None,
    *,
    reused: bool = False,
) -> ExecutionEnd:
    """Describe how an execution ended."""
    if error is None:
        outcome = Outcome.REUSED if reused else Outcome.COMPLETED
    elif isinstance(error, Exception):
        outcome = Outcome.FAILED
    else:  # KeyboardInterrupt, SystemExit: somebody asked it to stop
        outcome = Outcome.INTERRUPTED
    return ExecutionEnd(
        execution_id=start.execution_id,
        outcome=outcome,
        **({} if error is None else described_error(error)),
        time=datetime.now(UTC),
        seconds=time.monotonic() - began,
    )


def described_error(error: BaseException) -> dict[str, str]:
    """
    Write down an error: its class, its message, and where it was raised.

    Returns
    -------
    dict
        ``error_class``, ``error_message`` and ``traceback``, both texts cut if long:
        the message at its end, the traceback at its beginning.

    Examples
    --------
    >>> described_error(ValueError("no such luck"))["error_class"]
    'builtins.ValueError'
    """
    kind = type(error)
    lines = "".join(traceback.format_exception(error))
    return {
        "error_class": f"{kind.__module__}.{kind.__qualname__}",
        "error_message": str(error)[:_MESSAGE_LENGTH],
        "traceback": lines[-_TRACEBACK_LENGTH:],
    }


def _read_line(line: bytes, *, place: str) -> ExecutionStart | ExecutionEnd | None:
    """Read one line; none if it was cut off."""
    try:
        content = json.loads(line)
    except ValueError:
        return None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{place}: line format {version} is not {SCHEMA_VERSION}: not an execution "
            "record, or one of a newer hts_battery"
        )
    document = ExecutionStart if content.get("event") == "start" else ExecutionEnd
    try:
        return document.model_validate(content)
    except ValidationError as err:
        raise StoreError(
            f"{place}: {err.errors()[0]['loc']}: {err.errors()[0]['msg']}"
        ) from err


_OUTCOMES = {
    ProcessState.ALIVE: Outcome.RUNNING,
    ProcessState.STOPPED: Outcome.RUNNING,
    ProcessState.GONE: Outcome.INTERRUPTED,
    ProcessState.UNKNOWN: Outcome.UNKNOWN,
}


def _outcome(start: ExecutionStart, end: ExecutionEnd | None) -> Outcome:
    """Say how an execution ended; the process table decides where no end is."""
    if end is not None:
        return end.outcome
    return _OUTCOMES[process_state(start.host, start.pid, start.process, start.scope)]


def _tally(outcomes: Iterable[Outcome]) -> ExecutionCounts:
    """Count outcomes."""
    return ExecutionCounts(
        **{outcome.value: n for outcome, n in Counter(outcomes).items()}
    )


def _tallies(pairs: Iterable[tuple[str | None, Outcome]]) -> dict[str, ExecutionCounts]:
    """Count outcomes for each key; what has no key is left out."""
    grouped: defaultdict[str, list[Outcome]] = defaultdict(list)
    for key, outcome in pairs:
        if key is not None:
            grouped[key].append(outcome)
    return {key: _tally(outcomes) for key, outcomes in grouped.items()}
