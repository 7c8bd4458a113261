"""hts rules and hts learn: what a person types and reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from hts_battery.cli.app import app
from hts_battery.compositions.filters import load_filters
from hts_battery.errors import ConfigurationError, MixedCalculatorError

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

RUN = CliRunner()
METALS = ("Zr", "Ti", "Hf", "Sn", "Ge")


def run(*words: object) -> Result:
    return RUN.invoke(app, [str(word) for word in words])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """NASICONs whose energy falls with the sodium and rises with the mixing."""
    random = np.random.default_rng(0)
    rows = []
    for _ in range(240):
        first, second = random.choice(METALS, 2, replace=False)
        sodium = int(random.integers(1, 5))
        parts = (
            (f"(SiO4){sodium - 1}", sodium > 1),
            (f"(PO4){4 - sodium}", sodium < 4),
        )
        centres = "".join(text for text, is_there in parts if is_there)
        formula = f"Na{sodium}{first}{second}{centres}"
        rows.append(
            {
                "formula": formula,
                "energy_above_hull": 0.02 * (sodium - 2.5) + 0.02 * random.normal(),
                "calculator": "one",
            }
        )
    rows.append(rows[0] | {"formula": "NaXx2(PO4)3"})
    rows.append(rows[0] | {"energy_above_hull": None})
    pd.DataFrame(rows).to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def test_rules_of_a_table_are_mined_kept_shown_and_made_filters(
    table: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "rules.json"
    assert (
        run("rules", "mine", "--table", table, "--save", kept, "--dry-run").exit_code
        == 0
    )
    assert not kept.exists()
    mined = run("rules", "mine", "--table", table, "--save", kept, "--json")
    assert mined.exit_code == 0, mined.output
    rules = {
        one["columns"][0]: one for one in map(json.loads, mined.stdout.splitlines())
    }
    assert rules["carrier_amount"]["verdict"] == "supported"
    assert rules["carrier_amount"]["odds_ratio"] < 1
    assert rules["carrier_amount"]["n"] == 240
    assert rules["metal_charge_spread"]["reason"] == "the column is constant"
    shown = run("rules", "show", kept)
    assert shown.exit_code == 0
    assert "240 rows, stable share" in shown.stdout
    assert "1 rows left out: no stable" in shown.output
    again = run("rules", "show", kept, "--json")
    assert again.stdout == mined.stdout
    people = run("rules", "mine", "--table", table)
    assert "'Xx' in 'NaXx2(PO4)3' is not an element" in people.output
    (tmp_path / "known.txt").write_text("NaZr2(PO4)3\nNa3Zr2Si2PO12\n")
    filters = run("rules", "filter", kept, "--known", tmp_path / "known.txt", "--json")
    found = json.loads(filters.stdout)
    assert load_filters(found["filters"])
    assert list(found["lost"]) == ["Na3Zr2Si2PO12"]
    block = run("rules", "filter", kept, "--known", tmp_path / "known.txt")
    assert block.stdout.startswith("filters:\n- rule: descriptor-window")
    assert "1 of 2 known compounds would be lost" in block.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("mine",), "one of both"),
        (("mine", "--table", "gone.csv"), "cannot be read"),
        (("show", "gone.json"), "holds no rules"),
        (("filter", "gone.json"), "holds no rules"),
    ],
)
def test_what_cannot_be_mined(words: tuple[str, ...], message: str) -> None:
    failed = run("rules", *words)
    assert isinstance(failed.exception, ConfigurationError)
    assert message in str(failed.exception)


def test_a_table_of_two_calculators_or_without_a_column(table: Path) -> None:
    frame = pd.read_csv(table)
    failed = run("rules", "mine", "--table", table, "--energy", "colour")
    assert "no column 'colour'" in str(failed.exception)
    failed = run("rules", "mine", "--table", table, "--energy", "formula")
    assert "formula is no number in 242 rows" in str(failed.exception)
    frame.loc[:9, "calculator"] = "another"
    frame.to_csv(table, index=False)
    failed = run("rules", "mine", "--table", table)
    assert isinstance(failed.exception, MixedCalculatorError)


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    random = np.random.default_rng(1)
    frame = pd.DataFrame(random.uniform(1, 2, (90, 2)), columns=["a", "b"])
    frame["energy"] = frame.a * frame.b - 2 + 0.01 * random.normal(size=90)
    frame["set"] = [f"s{number % 15}" for number in range(90)]
    frame.loc[3, "a"] = np.nan
    frame.to_csv(tmp_path / "numbers.csv", index=False)
    return tmp_path / "numbers.csv"


def test_a_descriptor_is_searched_kept_and_applied(
    numbers: Path, tmp_path: Path
) -> None:
    kept, folder = tmp_path / "found.json", tmp_path / "sisso"
    (tmp_path / "units.csv").write_text("column,unit\na,eV\nb,angstrom\n")
    words = ["learn", "descriptor", numbers, "--target", "energy", "--dimensions", "1"]
    words += ["--groups", "set", "--units", tmp_path / "units.csv", "--limit", "3"]
    dry = run(*words, "--save", kept, "--sisso", folder, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert not kept.exists()
    assert not folder.exists()
    found = run(*words, "--save", kept, "--sisso", folder, "--json")
    formulas = [json.loads(line) for line in found.stdout.splitlines()]
    assert len(formulas) == 3
    assert formulas[0]["text"] == "(a * b)"
    assert formulas[0]["fold_score"] > 0.95
    document = json.loads(kept.read_text())
    assert document["left_out"] == {"no value of a": 1}
    assert 0.5 < document["forest_score"] <= 1
    assert "funit=(1:1)(2:2)" in (folder / "SISSO.in").read_text()
    assert len((folder / "train.dat").read_text().splitlines()) == 90
    people = run(*words)
    assert "89 rows" in people.stdout
    scores = run("learn", "apply", kept, numbers, "--json")
    rows = [json.loads(line) for line in scores.stdout.splitlines()]
    frame = pd.read_csv(numbers)
    product = (frame.a * frame.b).to_numpy()
    assert rows[3]["score"] is None
    ours = np.array([np.nan if one["score"] is None else one["score"] for one in rows])
    assert np.corrcoef(np.delete(ours, 3), np.delete(product, 3))[
        0, 1
    ] == pytest.approx(1)
    assert "not defined" in run("learn", "apply", kept, numbers).stdout


def test_what_cannot_be_applied(numbers: Path, tmp_path: Path) -> None:
    kept = tmp_path / "found.json"
    words = (
        "--target",
        "energy",
        "--columns",
        "a",
        "--dimensions",
        "1",
        "--save",
        kept,
    )
    assert run("learn", "descriptor", numbers, *words).exit_code == 0
    failed = run("learn", "apply", kept, numbers, "--number", "99")
    assert "formulas 1 to" in str(failed.exception)
    pd.read_csv(numbers).drop(columns="a").to_csv(tmp_path / "less.csv")
    failed = run("learn", "apply", kept, tmp_path / "less.csv")
    assert "no column 'a'" in str(failed.exception)
    failed = run("learn", "apply", numbers, numbers)
    assert "holds no formulas" in str(failed.exception)
    for words in (
        ("--target", "set"),
        ("--target", "z"),
        ("--target", "a", "--columns", "set"),
    ):
        failed = run("learn", "descriptor", numbers, *words)
        assert isinstance(failed.exception, ConfigurationError)
    failed = run("learn", "descriptor", numbers, "--target", "a", "--units", numbers)
    assert "columns column and unit" in str(failed.exception)
