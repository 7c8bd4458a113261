"""What is renamed or removed on purpose is told to users."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from golden.recording import RENAMED, SURFACES, renames

if TYPE_CHECKING:
    from pathlib import Path


def test_the_table_has_its_columns() -> None:
    heading = RENAMED.read_text("utf-8").splitlines()[0]
    assert heading == "surface,old,new"


def test_every_row_has_a_surface_and_stands_once() -> None:
    rows = renames()
    assert {one.surface for one in rows} <= SURFACES
    assert len({one[:2] for one in rows}) == len(rows)
    assert all(one.old and one.old != one.new for one in rows)


@pytest.mark.parametrize("place", ["old", "new"])
def test_the_changelog_tells_every_row(project_root: Path, place: str) -> None:
    text = (project_root / "CHANGELOG.md").read_text("utf-8")
    names = {str(getattr(one, place)) for one in renames()}
    assert not [name for name in sorted(names) if name not in text]
