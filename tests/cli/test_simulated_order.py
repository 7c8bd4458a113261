"""hts disorder simulate, map, composite."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from hts_battery.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path

RUN = CliRunner()
QUICK = ["--size", "4", "--cells", "2", "--attempts", "5"]


def asked(*arguments: str) -> str:
    found = RUN.invoke(app, ["disorder", *arguments])
    assert found.exit_code == 0, found.output
    return found.output


def test_order_is_shown_beside_random() -> None:
    shown = asked("simulate", "Li1.2Mn0.4Ti0.4O1.9F0.1", "--pair", "Li-M:-0.1", *QUICK)
    assert "carriers at random" in shown
    assert "Li-M -0.1 kT" in shown
    assert "Li among the six cations around F" in shown
    said = " ".join(asked("simulate", "Li1.2Mn0.8O2", *QUICK).split())
    assert "M-F 2.5 kT" in said
    assert "alone mislead" in said


def test_a_scan_is_drawn_and_printed(tmp_path: Path) -> None:
    picture = tmp_path / "scan.png"
    options = ["--scan", "--figure", str(picture), "--json", *QUICK]
    shown = RUN.invoke(app, ["disorder", "simulate", "Li1.2Mn0.8O2", *options])
    rows = [json.loads(line) for line in shown.stdout.splitlines()]
    assert len(rows) == 22
    assert rows[0]["energies"] == {"Li-M": [-0.4], "M-F": [2.5]}
    assert picture.exists()


def test_the_map_is_drawn_and_printed(tmp_path: Path) -> None:
    picture = tmp_path / "map.png"
    options = ["--lithium", "1.1:1.3:0.1", "--fluorine", "0.2", *QUICK]
    shown = asked("map", *options, "--figure", str(picture))
    assert "0.712 ± 0.001" in shown
    assert picture.exists()
    found = RUN.invoke(app, ["disorder", "map", *options, "--json"])
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert [row["lithium"] for row in rows] == [1.1, 1.2, 1.3]
    assert {row["fluorine"] for row in rows} == {0.2}


def test_a_composite_lies_within_its_bounds(tmp_path: Path) -> None:
    picture = tmp_path / "mix.png"
    options = ["--fast", "10", "--slow", "1", "--share", "0.5"]
    row = json.loads(asked("composite", *options, "--json"))
    assert (round(row["series"], 6), row["parallel"]) == (1.818182, 5.5)
    assert row["series"] < row["lower"] < row["bruggeman"] < row["upper"] < 5.5
    shown = asked(
        "composite", "--fast", "1e-3", "--slow", "0", "--figure", str(picture)
    )
    assert "Hashin-Shtrikman" in shown
    assert picture.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulate", "Li3MnO2"], "rocksalt has as many sites for both"),
        (["simulate", "Li1.2Mn0.8O2", "--pair", "Li-M"], "write it as Li-M:-0.1"),
        (["simulate", "Li1.2Mn0.8O2", "--figure", "a.png"], "give --scan with it"),
        (["map", "--lithium", "1:2"], "write first:last:step"),
        (["map", "--lithium", "x"], "write first:last:step"),
        (["map", "--fluorine", "1:0:0.1"], "a step above 0"),
        (["map", "--lithium", "3"], "between 0 and 2|room"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(arguments: list[str], message: str) -> None:
    refused = RUN.invoke(app, ["disorder", *arguments])
    assert refused.exit_code != 0
    said = str(refused.exception) + refused.output
    assert any(part in said for part in message.split("|")), said
