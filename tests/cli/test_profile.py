from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.settings import use_profile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Answer

FILE = """\
database: drx
profiles:
  cluster:
    mongo_uri: mongodb://me:p@ss@db.example.org/?authSource=admin
    notify_urls: ["mailto://me:hush@mail.example.org"]
    database: cluster
  broken: {databas: secret-by-mistake}
  lost: nowhere.yaml
"""


@pytest.fixture(autouse=True)
def settings_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = folder / "settings.yaml"
    path.write_text(FILE)
    monkeypatch.setenv("HTS_BATTERY_CONFIG_FILE", str(path))
    yield path
    use_profile(None)


def test_profiles_are_listed_without_what_lets_somebody_in(
    hts: Callable[..., Answer],
) -> None:
    shown = hts("profile", "list")
    found = hts("--profile", "cluster", "profile", "list", "--json")
    assert shown.status == found.status == 0
    assert not {"hush", "p@ss", "secret"} & set(shown.out.split())
    for secret in ("hush", "p@ss", "ss@", "secret-by"):
        assert secret not in shown.out + found.out
    rows = {row["profile"]: row for row in found.lines}
    assert rows[None]["settings"] == {"database": "drx"}
    assert [name for name, row in rows.items() if row["in_use"]] == ["cluster"]
    assert rows["cluster"]["settings"]["database"] == "cluster"
    assert "db.example.org" in rows["cluster"]["settings"]["mongo_uri"]
    assert rows["broken"]["problem"] == "no settings: databas"
    assert "there is no file" in rows["lost"]["problem"]


def test_a_profile_belongs_to_one_call(hts: Callable[..., Answer]) -> None:
    wrong = hts("--profile", "none", "db", "status")
    assert wrong.status == 2
    assert "there is no profile none" in wrong.err
    assert hts("db", "status").status == 0


def test_without_a_file_it_says_where_one_would_stand(
    hts: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.delenv("HTS_BATTERY_CONFIG_FILE")
    monkeypatch.setenv("HOME", str(folder))
    answer = hts("profile", "list")
    assert answer.status == 0
    assert str(folder / ".hts_battery.yaml") in answer.out
