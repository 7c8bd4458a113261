"""What a launch that was lost left behind, and what is done about it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hts_battery.flows.failures import Evidence, classify, last_lines
from hts_battery.schemas.failure import FailureClass, FailureDoc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hts_battery.schemas.recovery import LostRun

_PRINTED = ("*.error", "*.err", "*.out", "*.e[0-9]*", "*.o[0-9]*", "*.log")
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<h>\d+):(?P<m>\d\d):(?P<s>\d\d)")
_MEMORY = re.compile(r"(?P<number>\d+)(?P<unit>[A-Za-z]*)")
_SUBMISSION = "FW_submit.script"


def loss(lost: LostRun, attempt: int, *, outage: bool = False) -> FailureDoc:
    """
    Classify how a launch was lost, by what its queue printed.

    Parameters
    ----------
    lost
        The launch.
    attempt
        Number of this loss of its Firework.
    outage
        Whether it is known that the database was away.

    Returns
    -------
    FailureDoc
        A node failure where nothing says otherwise.
    """
    words = f"{lost.why}, {lost.seconds:.0f} s after its last sign of life"
    lines: tuple[str, ...] = ()
    if lost.folder is not None:
        lines = last_lines(_printed(Path(lost.folder)))
    found = classify(Evidence(last_lines=lines))
    is_known = found.failure_class is not FailureClass.UNKNOWN and not outage
    if outage:
        words = "the database was away when it ended"
    seconds = 0.0
    if lost.started is not None and lost.last_ping is not None:
        seconds = max(0.0, (lost.last_ping - lost.started).total_seconds())
    return FailureDoc(
        failure_class=found.failure_class if is_known else FailureClass.NODE,
        step=lost.step or lost.name,
        attempt=attempt,
        reason=found.reason if is_known else words,
        last_lines=lines,
        folder=None if lost.folder is None else f"{lost.host}:{lost.folder}",
        seconds=seconds,
        time=datetime.now(UTC),
    )


def _printed(folder: Path) -> Iterable[Path]:
    """Yield what the queue and the rocket printed; above it, where several share it."""
    for place in (folder, folder.parent):
        if place == folder or (place / _SUBMISSION).is_file():
            for pattern in _PRINTED:
                yield from sorted(place.glob(pattern))


def is_here(lost: LostRun) -> bool:
    """Say whether the folder of a launch can be read from here."""
    return lost.folder is not None and Path(lost.folder).is_dir()


def larger_request(
    request: Mapping[str, Any], factors: Mapping[str, float], *, max_hours: float
) -> dict[str, Any]:
    """
    Ask a queue for more than before.

    Parameters
    ----------
    request
        ``_queueadapter`` of a Firework.
    factors
        ``wall_time`` and ``memory`` → factor.
    max_hours
        Longest time in h that the worker allows.

    Examples
    --------
    >>> larger_request({"walltime": "12:00:00", "mem": "4G"},
    ...                {"wall_time": 3, "memory": 2}, max_hours=24)
    {'walltime': '24:00:00', 'mem': '8G'}
    """
    changed = dict(request)
    time = _TIME.fullmatch(str(request.get("walltime", "")))
    if time is not None and "wall_time" in factors:
        hours = int(time["days"] or 0) * 24 + int(time["h"]) + int(time["m"]) / 60
        minutes = round(min(hours * factors["wall_time"], max_hours) * 60)
        changed["walltime"] = f"{minutes // 60:02d}:{minutes % 60:02d}:00"
    memory = _MEMORY.fullmatch(str(request.get("mem", "")))
    if memory is not None and "memory" in factors:
        changed["mem"] = (
            f"{round(int(memory['number']) * factors['memory'])}" + (memory["unit"])
        )
    return changed
