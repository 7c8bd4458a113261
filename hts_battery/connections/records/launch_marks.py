"""The mark in a launch folder: which job runs there, and in which process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from hts_battery.schemas.launch import LaunchMark

if TYPE_CHECKING:
    from pathlib import Path

MARK = "hts_launch.json"
"""File in a launch folder that says which job ran there."""


def write_mark(folder: Path, mark: LaunchMark) -> None:
    """Write down which job runs in a folder."""
    (folder / MARK).write_text(mark.model_dump_json(), encoding="utf-8")


def mark_of(folder: Path) -> LaunchMark | None:
    """Return which job runs in a folder; none where nobody says."""
    try:
        return LaunchMark.model_validate_json((folder / MARK).read_text("utf-8"))
    except (ValidationError, OSError):
        return None  # half-written at a kill, or removed meanwhile: nobody's to touch
