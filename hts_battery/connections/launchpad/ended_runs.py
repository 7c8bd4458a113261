"""How the last runs of a worker ended: whether they had begun, and their last words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.connections.database.uris import redact
from hts_battery.connections.launchpad.workflows import last_sign
from hts_battery.connections.records.launch_files import mark_of

if TYPE_CHECKING:
    from datetime import datetime

    from fireworks import LaunchPad

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.launchpad_rows import LaunchRow

_ERROR_FILES = ("*.error", "*.err", "*.e[0-9]*", "*.out", "*.o[0-9]*")
_TAIL_BYTES = 16_384
_WORDS = 300
_LOOKED_AT = 5
"""Times as many launches are read: some have only just begun."""


class EndedRun(NamedTuple):
    """A run of a worker that is over, or one that runs and has begun its job."""

    launch_id: int
    fw_id: int
    folder: Path
    last_sign: datetime
    """When it last showed that it was alive."""
    began: bool
    """Whether its job began, or nobody here can say."""


def last_runs(launchpad: LaunchPad, worker: str, count: int) -> list[EndedRun]:
    """Return the last runs of a worker, the newest first, of which one can say it."""
    found = launchpad.launches.find(
        {"fworker.name": worker, "state": {"$ne": "RESERVED"}},
        ["launch_id", "fw_id", "launch_dir", "state", "state_history"],
        sort=[("launch_id", -1)],
        limit=_LOOKED_AT * count,
    )
    runs = []
    for one in found:
        began = _began(one)
        if began is not None:
            folder = Path(one["launch_dir"])
            run = EndedRun(
                one["launch_id"], one["fw_id"], folder, last_sign(one), began
            )
            runs.append(run)
    return runs[:count]


def _began(launch: LaunchRow) -> bool | None:
    """Say whether a job began in a launch: its rocket took it, and it left its mark."""
    if launch["state"] == "COMPLETED":
        return True
    if all(one["state"] != "RUNNING" for one in launch["state_history"]):
        return False
    folder = Path(launch["launch_dir"])
    if not folder.is_dir():
        return True  # on another machine, or tidied
    if mark_of(folder, launch["fw_id"]) is not None:
        return True
    return None if launch["state"] == "RUNNING" else False  # it may yet write it


def completed_since(stores: Stores, worker: str, launch_id: int) -> bool:
    """Say whether a later run of a worker was completed and is archived by now."""
    criteria = {
        "launches": {
            "$elemMatch": {
                "worker": worker,
                "state": "COMPLETED",
                "launch_id": {"$gt": launch_id},
            }
        }
    }
    return stores.archived_workflows.query_one(criteria, ["fw_id"]) is not None


def last_words(folder: Path) -> str | None:
    """Return the last line that a queue job wrote into its error file; None if none."""
    for pattern in _ERROR_FILES:
        for path in sorted(folder.glob(pattern), key=_age):
            line = _last_line(path)
            if line is not None:
                return line
    return None


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0


def _last_line(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return redact(lines[-1][:_WORDS]) if lines else None
