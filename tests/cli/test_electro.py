"""hts electro: what a person types and reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from hts_battery.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path

RUN = CliRunner()
STATES = "formula,energy_per_atom\nLiCoO2,-5.9\nCoO2,-5.6\nLi0.5CoO2,-5.8\n"


def shown(*arguments: str) -> str:
    found = RUN.invoke(app, ["electro", *arguments])
    assert found.exit_code == 0, found.output
    return found.output


def answers(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shown(*arguments, "--json").splitlines()]


@pytest.fixture
def states(tmp_path: Path) -> Path:
    (tmp_path / "states.csv").write_text(STATES)
    return tmp_path / "states.csv"


def test_capacity_of_several() -> None:
    assert "395" in shown("capacity", "Li1.2Mn0.4Ti0.4O2", "LiFePO4")
    first, second = answers("capacity", "Li1.2Mn0.4Ti0.4O2", "LiFePO4")
    assert first["capacity_metal_redox"] == pytest.approx(131.622, abs=1e-3)
    assert first["electrons"] == "2/5"
    assert second["capacity_oxygen_redox"] == 0
    (sodium,) = answers("capacity", "Na3V2(PO4)3")
    assert sodium["carrier"] == "Na"


def test_window_with_reactions_and_a_figure(tmp_path: Path) -> None:
    text = shown("window", "Li3PO4", "--figure", str(tmp_path / "d.png"))
    assert "against" in text
    assert "Li3PO4 + 5 Li" in text or "Li3PO4 + 8 Li" in text
    assert (tmp_path / "d.png").stat().st_size > 10_000
    (found,) = answers("window", "Li3PO4")
    # People are shown no third decimal; the document keeps them.
    assert f"{found['reduction']:.2f}" in text
    assert f"{found['reduction']:.4f}" not in text
    assert found["engine"] == "chgnet"
    (warm,) = answers("window", "Li3PO4", "--oxygen", "298.15")
    assert warm["oxidation"] <= found["oxidation"]
    assert warm["oxygen"] == {"temperature": 298.15, "pressure": 1.0}


def test_a_phase_without_carrier_says_why() -> None:
    assert "FePO4 holds no Li to give off" in shown("window", "FePO4")
    (found,) = answers("window", "FePO4")
    assert (found["oxidation"], found["width"]) == (None, None)


def test_of_two_alkali_metals_the_one_that_is_open_is_named() -> None:
    found = RUN.invoke(app, ["electro", "capacity", "NaLiFeO3", "--carrier", "Li"])
    assert "NaLiFeO3: Li is open, Na stays" in found.output
    found = RUN.invoke(app, ["electro", "window", "NaLiO", "--carrier", "Na"])
    assert "NaLiO: Na is open, Li stays" in found.output


def test_interface_closed_and_at_a_voltage() -> None:
    text = shown("interface", "LiTi2(PO4)3", "LiCoO2", "Li2O", "--voltage", "3.5")
    assert "meV/atom without Li" in " ".join(text.split())
    closed, inert = answers("interface", "Li2O", "LiCoO2", "Li")
    assert closed["unit"] == "eV/atom"
    assert (inert["mutual"], inert["equation"], inert["fraction"]) == (0, None, None)


def test_a_curve_needs_states(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("formula,energy_per_atom\n")
    found = RUN.invoke(app, ["electro", "curve", str(empty), "--metal", "-1.9"])
    assert found.exit_code != 0
    assert "a state a line" in found.output + str(found.exception or "")


def test_curve_and_its_figure(states: Path, tmp_path: Path) -> None:
    picture = tmp_path / "curve.png"
    text = shown("curve", str(states), "--metal", "-1.9", "--figure", str(picture))
    assert "average 4.90 V" in text
    assert picture.stat().st_size > 10_000
    (found,) = answers("curve", str(states), "--metal", "-1.9")
    assert found["amounts"] == [0, 0.5, 1]
    assert found["voltages"] == pytest.approx([5.1, 4.7])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["window", "LiKrO2"], "no reference phase for Kr"),
        (["window", "Li2O", "LiF", "--energy", "-4"], "are of one formula: give one"),
        (["window", "Li2O", "--engine", "vasp"], "no reference energies are shipped"),
        (
            ["capacity", "LiCoO2", "--ceilings", "high"],
            "give reachable or conservative",
        ),
        (["capacity", "Li2S"], "holds no anion"),
        (["interface", "Li2O", "Li", "--voltage", "1"], "is the open carrier"),
        (["curve", "none.csv", "--metal", "-1.9"], "none.csv"),
        (["capacity", "LiFePO4", "--carrier", "Fe"], "carrier 'Fe': give one of Li,"),
        (["window", "KFeO2", "--carrier", "K"], "no reference phase for K metal"),
        (["window", "Li2O", "--energy", "nan"], "not a finite number of eV/atom"),
        (["window", "Li2O", "--oxygen", "5000"], "give 100 to 2000 K"),
        (["window", "Li2O", "--tolerance", "-1"], "greater than or equal to 0"),
        (["interface", "Li2O", "LiF", "--voltage", "-1"], "greater than or equal"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: list[str], message: str
) -> None:
    found = RUN.invoke(app, ["electro", *arguments])
    assert found.exit_code != 0
    said = " ".join((found.output + str(found.exception or "")).split())
    assert message in said
