"""Backups, their return, other layouts, and the doctor, as an operator calls them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hts_battery.connections.database.layout import LAYOUT_VERSION, write_layout
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Answer

    from hts_battery.connections.database.database import Database

pytestmark = pytest.mark.mongo


def test_a_backup_is_made_and_put_back(
    hts: Callable[..., Answer],
    screened: Answer,
    database: Database,
    tmp_path: Path,
) -> None:
    assert screened.status == 0, screened.err
    before = hts("query", "stable", "--json").lines
    folder = tmp_path / "backup"
    dry = hts("db", "backup", folder, "--dry-run", "--json")
    assert dry.lines[0]["candidates"] == 2
    assert not folder.exists()
    made = hts("db", "backup", folder)
    assert made.status == 0, made.err
    assert "candidates" in made.out
    assert hts("db", "backup", folder).status == 1
    assert "is not empty" in hts("db", "restore", folder).err
    database.drop()
    assert hts("db", "restore", folder, "--dry-run").status == 0
    back = hts("db", "restore", folder, "--json")
    assert back.status == 0, back.err
    assert back.lines[0]["database"] == database.name
    assert hts("query", "stable", "--json").lines == before


def test_there_must_be_a_database(hts: Callable[..., Answer], folder: Path) -> None:
    answer = hts("db", "backup", folder / "b")
    assert answer.status == 2
    assert "there is no database" in answer.err


def test_layouts(
    hts: Callable[..., Answer], on_server: Path, database: Database
) -> None:
    assert on_server.is_dir()
    for other in (LAYOUT_VERSION - 1, LAYOUT_VERSION + 1):
        write_layout(database, other)
        for words in (("build", "all"), ("query", "stable")):
            refused = hts(*words)
            assert refused.status == 1
            assert f"has layout {other}, written by another" in refused.err


def test_the_doctor_finds_and_fixes(
    hts: Callable[..., Answer], screened: Answer, on_server: Path, database: Database
) -> None:
    assert screened.status == 0, screened.err
    (on_server / "constraints.txt").write_text("rich==0.0.1\n")
    found = {one["check"]: one for one in hts("doctor", "--json").lines}
    assert found["indexes"]["level"] == "ok"
    assert found["pins"]["level"] == "warning"
    from pymongo import MongoClient  # noqa: PLC0415 - one test breaks an index

    with MongoClient(database.uri) as client:
        client[database.name]["tasks"].drop_index("metadata.step_1")
    answer = hts("doctor")
    assert answer.status == 1
    assert "problem  indexes: 1 missing: tasks: metadata.step" in answer.out
    assert "hts doctor --fix" in answer.out
    assert "fixed" in hts("doctor", "--fix").out
    assert "missing" not in hts("doctor").out


def test_the_doctor_comes_without_a_database(
    hts: Callable[..., Answer], folder: Path
) -> None:
    answer = hts("doctor", "--json")
    assert json.dumps(answer.lines)
    assert not (folder / "hts-data").exists()
    assert get_settings().data_dir == folder / "hts-data"
