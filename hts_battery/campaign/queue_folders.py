"""Launch folders of a queue: tidied when the workflows that made them have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.connections.left_actions import LEFT_ACTION
from hts_battery.connections.lost_runs import has_ended
from hts_battery.flows.launch_folders import marked_folders, tidy
from hts_battery.flows.spool import SPOOL

if TYPE_CHECKING:
    from pathlib import Path

    from fireworks import LaunchPad

    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.launch import LaunchAction


def tidy_queue(
    folder: Path, stores: Stores, launchpad: LaunchPad, *, dry_run: bool = False
) -> list[tuple[Path, LaunchAction]]:
    """
    Tidy the launch folders below a folder whose workflows have ended.

    A calculation of a workflow reads the files of the one before it, so nothing of a
    workflow is touched while any of it may run. Nor is a folder that holds what the
    database has not been told.

    Parameters
    ----------
    folder
        Folder in which a queue's jobs ran.
    stores
        Open stores.
    launchpad
        The launchpad of the same database.
    dry_run
        Only say what would be done.

    Returns
    -------
    list
        Launch folder and action.
    """
    done = []
    ended: dict[int, bool] = {}
    for launch, mark in list(marked_folders(folder)):
        if mark.fw_id is None or not launch.is_dir():
            continue  # inside the folder of a chunk, which goes as a whole
        if mark.fw_id not in ended:
            ended[mark.fw_id] = has_ended(launchpad, mark.fw_id)
        untold = any(launch.rglob(LEFT_ACTION)) or any(launch.rglob(SPOOL))
        if ended[mark.fw_id] and not untold:
            done += tidy(launch, stores.tasks, dry_run=dry_run)
    return done
