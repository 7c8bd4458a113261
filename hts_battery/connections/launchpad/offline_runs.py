"""Fireworks that ran without the database, completed from what their launches left."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Collection

    from fireworks import LaunchPad

_OFFLINE, _PING = "FW_offline.json", "FW_ping.json"  # written by FireWorks' rocket
_FIREWORK = "FW.json"  # what it runs
_ENDED = frozenset({"COMPLETED", "FIZZLED", "DEFUSED", "ARCHIVED"})


class _Left(TypedDict, total=False):
    """What an offline launch says of itself."""

    state: str
    fwaction: object
    started_on: str
    ping_time: str


@dataclass(frozen=True)
class OfflineRuns:
    """What became of the launches that were prepared to run offline."""

    completed: list[int] = field(default_factory=list)
    """Fireworks whose launch has ended well."""
    fizzled: list[int] = field(default_factory=list)
    """Fireworks whose launch has failed."""
    running: list[int] = field(default_factory=list)
    """Fireworks whose launch has begun and not ended, as far as its files tell."""
    waiting: list[int] = field(default_factory=list)
    """Fireworks whose launch has not begun."""
    refused: list[int] = field(default_factory=list)
    """Fireworks that ended and could not be completed now; the next time again."""


def complete_offline_runs(
    launchpad: LaunchPad, *, dry_run: bool = False
) -> OfflineRuns:
    """
    Tell the launchpad how offline launches ended.

    Their outputs must be in the job store before: completing a Firework may start its
    children. A launch that was put back meanwhile is left alone.
    """
    found = OfflineRuns()
    open_runs = list(
        launchpad.offline_runs.find(
            {"completed": False, "deprecated": False}, {"launch_id": 1, "fw_id": 1}
        )
    )
    for run in open_runs:
        launch = launchpad.get_launch_by_id(run["launch_id"])
        folder = Path(launch.launch_dir)
        left = _read(folder / _OFFLINE)
        if "fwaction" in left:
            # With its own error handling FireWorks would fail the Firework if the
            # database blinked; so the next call tries again.
            refused = not dry_run and launchpad.recover_offline(
                run["launch_id"], ignore_errors=True
            )
            ended = found.completed if left["state"] == "COMPLETED" else found.fizzled
            (found.refused if refused else ended).append(run["fw_id"])
        elif "started_on" in left:
            if not dry_run:
                seen = _read(folder / _PING).get("ping_time", left["started_on"])
                _note_running(launchpad, run["launch_id"], seen)
            found.running.append(run["fw_id"])
        else:
            found.waiting.append(run["fw_id"])
    return found


def _note_running(launchpad: LaunchPad, launch_id: int, seen: str) -> None:
    """Take over the last sign of life of a launch."""
    with warnings.catch_warnings():
        # It warns of a launch that began less than a ping ago; its beginning will do.
        warnings.filterwarnings("ignore", "Unable to find FW_ping", UserWarning)
        launchpad.recover_offline(launch_id, ignore_errors=True)
    # FireWorks notes the time at which it looked instead of the ping it has read, and a
    # launch that died would never count as lost.
    launchpad.ping_launch(launch_id, ptime=datetime.fromisoformat(seen))


def ended_fireworks(launchpad: LaunchPad, fw_ids: Collection[int]) -> set[int]:
    """Return those of some Fireworks that ended, archived ones included."""
    known = {
        one["fw_id"]: one["state"]
        for one in launchpad.fireworks.find(
            {"fw_id": {"$in": list(fw_ids)}}, {"fw_id": 1, "state": 1}
        )
    }
    return {one for one in fw_ids if known.get(one, "ARCHIVED") in _ENDED}


def withdraw_offline(folder: Path) -> None:
    """
    Keep an offline launch from starting whose submission failed.

    Its queue may have the job all the same, and such a rocket asks nobody.
    """
    if (folder / _OFFLINE).exists():
        (folder / _FIREWORK).unlink(missing_ok=True)


def _read(path: Path) -> _Left:
    """Read what a launch says of itself; nothing where it was cut off or is gone."""
    try:
        content: _Left = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content
