"""What a launch leaves in its folder: which job runs there, and how it ended untold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from hts_battery.connections.durable_files import write_whole
from hts_battery.connections.extended_json import pack_document, unpack_document
from hts_battery.errors import StoreError
from hts_battery.schemas.launch import LaunchMark
from hts_battery.schemas.recovery import LeftAction

if TYPE_CHECKING:
    from pathlib import Path

    from fireworks import FWAction

MARK = "hts_launch.json"
"""File in a launch folder that says which job ran there."""
LEFT_ACTION = "hts_action.json.gz"
"""File in a launch folder that says how its launch ended."""


def write_mark(folder: Path, mark: LaunchMark) -> None:
    """Write down which job runs in a folder."""
    (folder / MARK).write_text(mark.model_dump_json(), encoding="utf-8")


def mark_of(folder: Path, fw_id: int | None = None) -> LaunchMark | None:
    """Return which job runs in a folder, one of a Firework if that is asked for."""
    try:
        found = LaunchMark.model_validate_json((folder / MARK).read_text("utf-8"))
    except (ValidationError, OSError):
        return None  # half-written at a kill, or removed meanwhile: nobody's to touch
    return found if fw_id in {None, found.fw_id} else None


def leave_action(
    folder: Path, launch_id: int, action: FWAction | None, state: str
) -> Path:
    """Write down how a launch ended (COMPLETED or FIZZLED), and what follows."""
    left = LeftAction(
        launch_id=launch_id,
        state=state,
        action=None if action is None else action.to_dict(),
        time=datetime.now(UTC),
    )
    path = folder / LEFT_ACTION
    try:
        write_whole(path, pack_document(left.model_dump(mode="python")))
    except OSError as err:
        raise StoreError(
            f"{path} cannot be written: {err.strerror}; launch {launch_id} is {state}, "
            "and nobody can be told: the job is run again"
        ) from err
    return path


def left_action(folder: Path) -> LeftAction | None:
    """Read how the launch of a folder ended, if that was left there."""
    path = folder / LEFT_ACTION
    if not path.is_file():
        return None
    document = unpack_document(path.read_bytes(), str(path))
    try:
        return LeftAction.model_validate(document)
    except ValidationError as err:
        first = err.errors()[0]
        raise StoreError(f"{path}: {first['loc']}: {first['msg']}") from err


def remove_action(folder: Path) -> None:
    """Forget it, once the launchpad knows."""
    (folder / LEFT_ACTION).unlink(missing_ok=True)
