"""
What earlier launches of the same Firework left, for the launch that runs it again.

FireWorks writes the Firework as ``FW.json`` into the launch folder before its task
starts, with its earlier launches in it, so a node needs no database to know them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from hts_battery.connections.launch_marks import mark_of
from hts_battery.schemas.failure import FailureDoc

if TYPE_CHECKING:
    from collections.abc import Mapping

FIREWORK_FILE = "FW.json"
LOST_FIELD = "hts_lost"
"""Where a launch that was lost says in its action's ``stored_data`` how."""


@dataclass(frozen=True)
class EarlierLaunch:
    """
    A launch of the same Firework that ended before this one began.

    Parameters
    ----------
    folder
        Its launch folder, as it was called where it ran.
    failure
        How it was lost, if it was.
    """

    folder: Path
    failure: FailureDoc | None = None

    def ran(self, uuid: str) -> bool:
        """Say whether its folder can be seen from here and is that of a job."""
        mark = mark_of(self.folder)
        return mark is not None and mark.uuid == uuid


def earlier_launches(folder: Path) -> tuple[EarlierLaunch, ...]:
    """
    Read the earlier launches of the Firework that runs in a folder, the last one last.

    Parameters
    ----------
    folder
        Launch folder of the rocket.

    Returns
    -------
    tuple of EarlierLaunch
        Empty where no Firework runs there, or this is its first launch.
    """
    try:
        content = json.loads((folder / FIREWORK_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return ()
    launches = sorted(
        content.get("archived_launches") or (), key=lambda one: one["launch_id"]
    )
    return tuple(
        EarlierLaunch(Path(one["launch_dir"]), loss_of(one)) for one in launches
    )


def loss_of(launch: Mapping[str, Any]) -> FailureDoc | None:
    """
    Read how a launch was lost.

    Parameters
    ----------
    launch
        Document of the launch.

    Returns
    -------
    FailureDoc or None
        None if it was not lost, or nobody wrote down how.
    """
    stored = (launch.get("action") or {}).get("stored_data") or {}
    try:
        return FailureDoc.model_validate(stored.get(LOST_FIELD))
    except ValidationError:
        return None
