"""The six commands of the page of lattice models, one after the other."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from hts_battery.cli.app import app
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.connections.database.stores import Stores

PAGE = Path(__file__).parents[2] / "docs" / "lattice_models.md"
SMALLER = {"run": ["--cations", "500", "--sweeps", "60", "--json"]}


def commands() -> list[list[str]]:
    text = PAGE.read_text(encoding="utf-8")
    block = re.search(r"```bash\n(hts disorder plan.*?)```", text, re.DOTALL)
    assert block is not None
    return [shlex.split(line)[1:] for line in block[1].splitlines()]


def test_there_are_six() -> None:
    assert len(commands()) == 6


@pytest.fixture
def folder(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("MONGO_URI", stores.database.uri),
        ("DATABASE", stores.database.name),
        ("DATA_DIR", str(tmp_path / "data")),
    ):
        monkeypatch.setenv(f"HTS_BATTERY_{name}", value)
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


@pytest.mark.long
@pytest.mark.mongo
def test_from_a_plan_to_accessible_lithium(folder: Path) -> None:
    shown = ""
    for words in commands():
        more = SMALLER["run"] if words[:2] == ["disorder", "run"] else []
        found = CliRunner().invoke(app, [*words, *more])
        assert found.exit_code == 0, f"{words}: {found.output}"
        shown = found.stdout
    run = json.loads(shown)
    assert run["equilibrated"], run["reasons"]
    assert 0 <= run["accessible"]["value"] <= 1
    assert (folder / "cell.cif").exists()
    model = json.loads((folder / "model.json").read_text())
    assert model["closing"][0]["cells"] >= 6
