"""What a launch leaves in its folder: whole, and nobody's where it was cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fireworks import FWAction

from hts_battery.connections.records.launch_files import (
    LEFT_ACTION,
    MARK,
    leave_action,
    left_action,
    mark_of,
    remove_action,
    write_mark,
)
from hts_battery.errors import StoreError
from hts_battery.schemas.launch import LaunchMark

if TYPE_CHECKING:
    from pathlib import Path


def test_a_mark_is_read_back(tmp_path: Path) -> None:
    mark = LaunchMark(uuid="u", index=2, engine="chgnet", host="h", pid=7)
    write_mark(tmp_path, mark)
    assert mark_of(tmp_path) == mark
    write_mark(tmp_path, mark.model_copy(update={"index": 3}))
    assert mark_of(tmp_path) == mark.model_copy(update={"index": 3})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"uuid": "u"}', '{"index": 0}'])
def test_a_mark_that_was_cut_off_is_nobodys(tmp_path: Path, text: str) -> None:
    assert mark_of(tmp_path) is None
    (tmp_path / MARK).write_text(text)
    assert mark_of(tmp_path) is None


def test_how_a_launch_ended_is_left_and_forgotten(tmp_path: Path) -> None:
    assert left_action(tmp_path) is None
    action = FWAction(stored_data={"n": 1})
    path = leave_action(tmp_path, 7, action, "COMPLETED")
    assert path == tmp_path / LEFT_ACTION
    found = left_action(tmp_path)
    assert found is not None
    assert (found.launch_id, found.state) == (7, "COMPLETED")
    assert found.action is not None
    assert FWAction.from_dict(found.action).stored_data == {"n": 1}
    remove_action(tmp_path)
    assert left_action(tmp_path) is None
    remove_action(tmp_path)  # twice comes to the same


def test_a_launch_that_returned_nothing_leaves_no_action(tmp_path: Path) -> None:
    leave_action(tmp_path, 7, None, "FIZZLED")
    found = left_action(tmp_path)
    assert found is not None
    assert (found.action, found.state) == (None, "FIZZLED")


def test_what_is_left_is_whole_or_refused(tmp_path: Path) -> None:
    path = leave_action(tmp_path, 7, None, "COMPLETED")
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(StoreError, match="not a packed document"):
        left_action(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(StoreError, match=LEFT_ACTION):
        left_action(tmp_path)


def test_a_folder_that_is_gone_says_what_follows(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="launch 7 is COMPLETED, and nobody can be"):
        leave_action(tmp_path / "gone", 7, None, "COMPLETED")
