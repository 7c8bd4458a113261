"""
What a failed calculation left behind, read as far as it can be read.

Whatever is broken (empty, cut off, no text, unreadable) is passed over with a note:
evidence of a failure must never be another failure.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from hts_battery.schemas.failure import Correction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PACKED = ".gz"
_END_BYTES = 2**16
"""What is read at both ends of a file that is too long to be read whole."""
_WHOLE_BYTES = 2**18
_CHUNK_BYTES = 2**20
_LONGEST_UNPACKED_BYTES = 2**28
_LONGEST_LINE = 500
_MOST_OTHER = 0.3
"""Largest share of characters that are no text in a file that is read as text."""
_BROKEN = (OSError, EOFError, zlib.error)

_CUSTODIAN_LOG = "custodian.json"
_CUSTODIAN_ENDED = ("max_errors", "max_errors_per_job", "max_errors_per_handler")
_CUSTODIAN_SAYS = re.compile(
    r"Max errors( per job)? reached|Maximum number of corrections .* reached"
    r"|Unrecoverable error|MaxCorrections\w*Error|NonRecoverableError"
)

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NO_TEXT = re.compile(r"[^\t\n\r\x20-\x7e\x80-\U0010ffff]|\ufffd")
_RANK = r"^(?:\[rank\d+\]:|\[\d+\]|\d+:)?\s*"
_PYTHON_FRAME = re.compile(_RANK + r'File ".*", line \d+')
_PYTHON_SOURCE = re.compile(r"^(?:\[rank\d+\]:|\[\d+\]|\d+:)?\s{4,}\S")
_FRAMES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # Intel: name, program counter, routine, line, source.
        r"^Image\s+PC\s+Routine\s+Line\s+Source",
        r"^\S+\s+[0-9A-F]{8,16}\s+\S+\s+(Unknown|\d+)\s+\S+\s*$",
        r"^Stack trace terminated abnormally|^\s*traceback not available",
        # gfortran and LLVM: number, address, function.
        r"^\s*#\d+\s+(0x[0-9a-f]+|\S+ at )|^\s+at \S+:\d+\s*$",
        r"^\s*(Program received signal .*\s)?Backtrace for this error:\s*$",
        # glibc, NVHPC, Open MPI, UCX: object(function+offset)[address].
        r"^.*\S\((\S*\+)?0x[0-9a-f]+\)\s*\[0x[0-9a-f]+\]\s*$",
        r"^.*\S\+0x[0-9a-f]+\)\s*\[0x[0-9a-f]+\]\s*$",
        r"^\s*(\[\S+\]\s*)?(\[\s*\d+\]\s*)?\S*\[0x[0-9a-f]+\]\s*$",
        r"^=+\s*(backtrace( \(tid:.*\))?:?|memory map:?)?\s*=*\s*$",
        r"^[0-9a-f]{8,16}-[0-9a-f]{8,16} [-r][-w][-xs][-ps] ",
        r"^.*\*\*\* (Process received signal|End of error message) \*\*\*",
        # Cray: walkback of a rank.
        r"^ATP Stack walkback for Rank \d+ (starting|done)",
        r"^\s+\S+@(0x[0-9a-f]+|\S+:\d+)\s*$",
        # C++ of PyTorch.
        r"^\s*frame #\d+: ",
        r"^Exception raised from .*most recent call first",
        # Python.
        _RANK + r"Traceback \(most recent call last\)",
        _RANK + r"[\^~]+\s*$",
        _RANK + r"(During handling of|The above exception was) .*exception",
    )
)


@dataclass(frozen=True)
class Evidence:
    """
    What a failed calculation left behind, whatever the code.

    Parameters
    ----------
    error
        The exception that ended it, if one did.
    messages
        Class and message of exceptions of which only the text is left.
    corrections
        What custodian noticed and changed, in order.
    last_lines
        Last lines of what the code and its launcher printed, for people.
    problems
        What is wrong with outputs that could be read.
    printed
        Everything that the code and its launcher printed, without traceback frames.
    notes
        What could not be read, and why.
    is_custodians_end
        Whether custodian's own log says that custodian ended the run.
    """

    error: BaseException | None = None
    messages: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()
    last_lines: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    printed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    is_custodians_end: bool = False

    @property
    def decisive(self) -> tuple[Correction, ...]:
        """Return what custodian could not correct, or else what it corrected last."""
        helpless = tuple(one for one in self.corrections if not one.actions)
        return helpless or self.corrections[-1:]

    @property
    def ended_by_custodian(self) -> bool:
        """Say whether custodian ended the run, so that what it printed was killed."""
        helpless = any(not one.actions for one in self.corrections)
        said = any(
            _CUSTODIAN_SAYS.search(text) for text in (*self.errors, *self.messages)
        )
        return self.is_custodians_end or helpless or said

    @property
    def errors(self) -> tuple[str, ...]:
        """Return class, message and notes of the exceptions, innermost first."""
        return tuple(reversed(list(_exception_texts(self.error))))

    @property
    def output(self) -> tuple[str, ...]:
        """Return each line that was printed once, traceback frames left out."""
        return tuple(dict.fromkeys(without_frames((*self.printed, *self.last_lines))))


def _exception_texts(error: BaseException | None) -> Iterator[str]:
    """Yield an exception, those that it groups, and its causes."""
    while error is not None:
        notes = getattr(error, "__notes__", ())
        yield "\n".join(map(str, (f"{type(error).__name__}: {error}", *notes)))
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _exception_texts(one)
        error = error.__cause__ or error.__context__


class Printed:
    """What was printed into some files: lines, the last ones, and what is broken."""

    def __init__(self, paths: Iterable[Path], *, limit: int = 10) -> None:
        self.lines: tuple[str, ...] = ()
        self.last: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()
        for path in paths:
            text, note = read_text(path)
            lines = [line.strip() for line in without_frames(text.splitlines())]
            lines = [line for line in lines if line]
            self.lines += tuple(lines)
            self.last += tuple(line[:_LONGEST_LINE] for line in lines[-limit:])
            if note:
                self.notes += (note,)


def without_frames(lines: Iterable[str]) -> Iterator[str]:
    """
    Yield lines that are no frames of a traceback, whatever run-time printed it.

    Examples
    --------
    >>> list(without_frames(["Traceback (most recent call last):",
    ...     '  File "a.py", line 1, in f', "    raise MemoryError", "ValueError: 1"]))
    ['ValueError: 1']
    """
    in_frame = False
    for line in lines:
        if _PYTHON_FRAME.match(line):
            in_frame = True
            continue
        if in_frame and _PYTHON_SOURCE.match(line):
            continue
        in_frame = False
        if not any(frame.match(line) for frame in _FRAMES):
            yield line


def read_text(path: Path) -> tuple[str, str | None]:
    """
    Return the text of a file, or its two ends if it is long; and what is broken.

    A file that is not there is empty, and nothing is wrong with it.
    """
    try:
        content, note = _content(path)
    except FileNotFoundError:
        return "", None
    except _BROKEN as err:
        return "", f"{path.name} cannot be read: {getattr(err, 'strerror', 0) or err}"
    # A node that is lost leaves blocks of zeros at the end of what it wrote.
    text = content.replace(b"\0", b"").decode("utf-8", errors="replace")
    other = len(_NO_TEXT.findall(_COLOUR.sub("", text)))
    if other > _MOST_OTHER * len(text):
        return "", f"{path.name} is no text"
    return _COLOUR.sub("", text), note


def _content(path: Path) -> tuple[bytes, str | None]:
    """Read a file, packed or not, as far as it is whole."""
    if not path.is_file():
        raise FileNotFoundError(path)
    if path.suffix != _PACKED:
        with path.open("rb") as file:
            return _ends(file)
    with gzip.open(path) as packed:
        return _ends(cast("BinaryIO", packed), name=path.name)


def _ends(file: BinaryIO, name: str = "") -> tuple[bytes, str | None]:
    """Read everything, or both ends where that is much."""
    head, tail, note, total = b"", b"", None, 0
    try:
        while total < _LONGEST_UNPACKED_BYTES and (more := file.read(_CHUNK_BYTES)):
            total += len(more)
            if len(head) < _WHOLE_BYTES:
                head += more
            tail = (tail + more)[-_END_BYTES:]
    except _BROKEN as err:
        if not total:
            raise
        note = f"{name or 'a file'} is cut off: {err}"
    if total <= _WHOLE_BYTES:
        return head, note
    # Lines that are cut through say nothing.
    first, last = head[:_END_BYTES], tail
    return first.rpartition(b"\n")[0] + b"\n" + last.partition(b"\n")[2], note


def last_lines(paths: Iterable[Path], *, limit: int = 10) -> tuple[str, ...]:
    """Return the last lines of some files that are there, empty lines left out."""
    return Printed(paths, limit=limit).last


@dataclass(frozen=True)
class CustodianLog:
    """What custodian wrote down: corrections, whether it ended the run, and notes."""

    corrections: tuple[Correction, ...] = ()
    is_end: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> CustodianLog:
        """Read the log of a folder, packed or not; one that is broken says nothing."""
        for name in (_CUSTODIAN_LOG, _CUSTODIAN_LOG + _PACKED):
            try:
                path = folder / name
                if not path.is_file():
                    continue
                content = path.read_bytes()
                if name.endswith(_PACKED):
                    content = gzip.decompress(content)
                return cls.of(json.loads(content.decode("utf-8")))
            except (*_BROKEN, ValueError) as err:
                return cls(notes=(f"{name} cannot be read: {err}",))
        return cls()

    @classmethod
    def of(cls, log: object) -> CustodianLog:
        """Take what custodian.json holds, as far as it has the form of a log."""
        if not isinstance(log, Sequence) or not all(
            isinstance(entry, Mapping) for entry in log
        ):
            return cls(notes=(f"{_CUSTODIAN_LOG} is no log of custodian",))
        last = log[-1] if log else {}
        corrections = corrections_from_log(log)
        ended = any(last.get(key) for key in _CUSTODIAN_ENDED) or any(
            not one.actions for one in corrections
        )
        return cls(corrections, ended)


def corrections_from_log(log: Sequence[Mapping[str, object]]) -> tuple[Correction, ...]:
    """Read what custodian noticed and changed from custodian.json, one entry a job."""
    return tuple(
        Correction(
            handler=_handler_name(one.get("handler")),
            errors=tuple(map(str, _listed(one.get("errors")))),
            actions=tuple(
                action for action in _listed(one.get("actions")) if _is_plain(action)
            )
            or None,
        )
        for entry in log
        for one in _listed(entry.get("corrections"))
        # With skip_over_errors, custodian lists a handler of its own that broke.
        if isinstance(one, Mapping) and not one.get("skipped")
    )


def _listed(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _is_plain(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _handler_name(handler: object) -> str:
    if isinstance(handler, Mapping):
        return str(handler.get("@class", "unknown handler"))
    return type(handler).__name__ if handler is not None else "unknown handler"
