"""The golden tests' own means: what differs is said, what is renamed is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from golden import recording
from golden.recording import Recording, Rename, as_now, differences, plain

if TYPE_CHECKING:
    from pathlib import Path

ROWS = (
    Rename("command", "campaign plan", "plan"),
    Rename("command", "db migrate", ""),
    Rename("option", "--chunk", "--pieces"),
    Rename("key", "label_at", "labels"),
    Rename("key", "hold", ""),
    Rename("word", "gated", "stopped"),
)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "renames", lambda: ROWS)


@pytest.mark.usefixtures("rows")
def test_the_table_is_applied_to_keys_and_words() -> None:
    recorded = {"label_at": {"0K": "GS"}, "hold": None, "states": ["gated", "ranked"]}
    assert as_now(recorded) == {"labels": {"0K": "GS"}, "states": ["stopped", "ranked"]}
    columns = {"columns": ["formula", "label_at", "hold"]}
    assert as_now(columns) == {"columns": ["formula", "labels"]}


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("words", "now"),
    [
        ("campaign plan small.yaml", "plan small.yaml"),
        ("campaign planet", "campaign planet"),
        ("db migrate --dry-run", ""),
        ("campaign submit a.yaml --chunk 1", "campaign submit a.yaml --pieces 1"),
    ],
)
def test_the_table_is_applied_to_commands(words: str, now: str) -> None:
    assert recording.renamed_command(words) == now


def test_differences_are_said_with_their_place() -> None:
    recorded = {"a": 1, "gone": 2, "rows": [{"x": 1.0}, {"x": 2.0}], "same": 4.1e-5}
    found = {"a": 1, "new": 3, "rows": [{"x": 1.5}], "same": 4.1e-5 + 1e-16}
    assert differences(recorded, found) == [
        "/gone: gone",
        "/new: new: 3",
        "/rows/0/x: recorded 1.0, found 1.5",
        "/rows: recorded 2, found 1",
    ]
    assert differences({"a": 1}, {"a": True}) == ["/a: recorded 1, found true"]


def test_what_changes_every_time_is_not_recorded() -> None:
    value = {
        "started_at": "2026-11-30T20:51:00Z",
        "seconds": 1.2345,
        "where": "/tmp/a/b of 0123456789abcdef",  # noqa: S108 - a text
        "energy": 1.23456789,
        "id": "5d1f4536cc4e96334537",
    }
    assert plain(value, {"/tmp/a": "<folder>"}) == {  # noqa: S108 - likewise
        "started_at": "<time>",
        "seconds": "<float>",
        "where": "<folder>/b of <id>",
        "energy": 1.23457,
        "id": "5d1f4536cc4e96334537",
    }


def test_recording_and_comparing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "RECORDED", tmp_path)
    Recording("some", anew=True).check("answer", {"rows": (1, 2)})
    Recording("some", anew=False).check("answer", {"rows": [1, 2]})
    with pytest.raises(AssertionError, match=r"/rows/1: recorded 2, found 3"):
        Recording("some", anew=False).check("answer", {"rows": [1, 3]})
    with pytest.raises(AssertionError, match="no test asks for"):
        Recording("some", anew=False).keep_only(set())
