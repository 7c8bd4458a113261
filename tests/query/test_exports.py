from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from hts_battery.errors import ConfigurationError
from hts_battery.query.exports import (
    Content,
    ExportFormat,
    csv_text,
    printed,
    write_csv,
)
from hts_battery.query.figures import formula_label, ranking_figure
from hts_battery.query.tables import decomposition_text, summary_rows

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n"


def summary(number: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    """Make a summary as the builders write it."""
    cold, entropy = 0.01 * number + 1 / 3, 5e-5
    doc = {
        "campaign": "small",
        "candidate_id": f"id{number}",
        "formula": f"Li1.{number}Mn0.4Ti0.3O1.7F0.3",
        "canonical_formula": "F3 Li13 Mn4 O17 Ti3",
        "family": "hedrx",
        "elements": ["F", "Li", "Mn", "O", "Ti"],
        "n_elements": 5,
        "chemical_system": "F-Li-Mn-O-Ti",
        "n_metals": 2,
        "engine": "chgnet",
        "calculator": "chgnet fake",
        "energy_per_atom": -2.4,
        "energy_above_hull": cold,
        "energy_above_hull_at": {"0K": cold, "1473K": cold - 1473 * entropy},
        "energy_above_hull_upper_at": {"0K": cold, "1473K": cold - 1473 * entropy},
        "label_at": {"0K": "US", "1473K": "US"},
        "open_at": {"0K": False, "1473K": True},
        "probability_stable_at": {},
        "energy_above_hull_other_at": {"0K": cold, "1473K": cold - 1000 * entropy},
        "mixing": "cations and anions, by element",
        "other_mixing": "cations only, by element",
        "calculated_formula": f"Li1.{number}Mn0.5Ti0.2O1.7F0.3",
        "same_cell_as": None,
        "hull_depth_risk": 0.01,
        "hull_depth_risk_reported": 0.0,
        "hull_depth_reason": None,
        "uncertainty": None,
        "ordering_spread": None,
        "entropy": entropy,
        "entropy_by_sublattice": {"cation": 1.5e-4, "anion": 5e-5},
        "mixing_temperature": cold / entropy,
        "decomposition": [
            {"formula": "LiF", "amount": 0.25},
            {"formula": "TiO2", "amount": 0.75},
        ],
        "n_orderings": 1,
        "n_random_orderings": 1,
        "deviation": 0.1,
        "deviation_by_element": {"Mn": "1/10", "Ti": "-1/10"},
        "n_references": 12,
        "hull_version": "abc",
        "flags": ["releases gas", "contains, a comma"],
        "input_digest": "d",
    }
    return doc | changes


SUMMARIES = [summary(1), summary(2, mixing_temperature=None, flags=[])]


def test_rows_are_flat() -> None:
    rows = summary_rows(SUMMARIES)
    assert all(
        value is None or isinstance(value, str | float | int)
        for row in rows
        for value in row.values()
    )
    assert (
        rows[0]["energy_above_hull_1473K"]
        == SUMMARIES[0]["energy_above_hull_at"]["1473K"]
    )
    assert "energy_above_hull_0K" not in rows[0]
    assert rows[0]["energy_above_hull_upper_1473K"] < rows[0]["energy_above_hull"]
    assert rows[0]["label_1473K"] == "US"
    assert rows[0]["entropy_cation"] == 1.5e-4
    assert rows[0]["calculated_formula"] == "Li1.1Mn0.5Ti0.2O1.7F0.3"
    assert rows[0]["deviation"] == 0.1
    assert rows[0]["deviation_by_element"] == "Mn1/10 Ti-1/10"
    assert rows[0]["open_1473K"] is True
    assert rows[0]["other_mixing"] == "cations only, by element"
    assert rows[0]["energy_above_hull_other_1473K"] > rows[0]["energy_above_hull_1473K"]
    assert "probability_stable_1473K" not in rows[0]
    assert rows[0]["decomposition"] == "0.250 LiF + 0.750 TiO2"


def test_a_decomposition_into_one_phase() -> None:
    assert decomposition_text([{"formula": "LiF", "amount": 1.0}]) == "1.000 LiF"


def test_csv_is_read_back_to_the_last_digit() -> None:
    frame = pd.read_csv(io.StringIO(csv_text(SUMMARIES)), keep_default_na=True)
    rows = summary_rows(SUMMARIES)
    assert list(frame.columns) == list(rows[0])
    assert frame["energy_above_hull"].tolist() == [
        row["energy_above_hull"] for row in rows
    ]
    assert frame["flags"][0] == "releases gas; contains, a comma"
    assert frame["mixing_temperature"].isna().tolist() == [False, True]


def test_csv_holds_every_temperature_that_any_summary_has() -> None:
    other = summary(3, energy_above_hull_at={"0K": 0.1, "1000K": 0.05})
    frame = pd.read_csv(io.StringIO(csv_text([*SUMMARIES, other])))
    assert frame["energy_above_hull_1000K"].isna().tolist() == [True, True, False]
    assert frame["energy_above_hull_1473K"].isna().tolist() == [False, False, True]


def content() -> Content:
    return Content(summary_rows(SUMMARIES), SUMMARIES)


def test_json_lines_are_the_documents() -> None:
    lines = printed(content(), ExportFormat.JSON).splitlines()
    assert [json.loads(line) for line in lines] == SUMMARIES


@pytest.mark.parametrize("file_format", ["parquet", "optimade", "cif", "poscar"])
def test_binary_formats_cannot_be_printed(file_format: str) -> None:
    with pytest.raises(ConfigurationError, match="give a file"):
        printed(content(), ExportFormat(file_format))


def test_a_file_that_stands_there_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old\n" * 10_000)
    write_csv(SUMMARIES, path)
    assert path.read_text() == csv_text(SUMMARIES)
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize(
    ("formula", "label"),
    [
        ("LiF", "$\\mathrm{LiF}$"),
        ("Li2O", "$\\mathrm{Li_{2}O}$"),
        ("Na3Zr2Si2P1O12", "$\\mathrm{Na_{3}Zr_{2}Si_{2}P_{1}O_{12}}$"),
    ],
)
def test_a_formula_gets_subscripts(formula: str, label: str) -> None:
    assert formula_label(formula) == label


@pytest.mark.parametrize("count", [1, 2, 60])
def test_a_figure_is_a_picture(tmp_path: Path, count: int) -> None:
    path = tmp_path / "ranking.png"
    ranking_figure(
        [summary(number) for number in range(count)],
        temperature=1473.0,
        title="small",
        path=path,
    )
    content = path.read_bytes()
    assert content.startswith(PNG)
    assert len(content) > 10_000


def test_a_figure_of_what_is_all_below_the_hull(tmp_path: Path) -> None:
    below = summary(
        1,
        energy_above_hull=-0.2,
        energy_above_hull_at={"0K": -0.2, "1473K": -0.3},
        mixing_temperature=None,
    )
    path = tmp_path / "below.png"
    ranking_figure([below], temperature=1473.0, title="below", path=path)
    assert path.read_bytes().startswith(PNG)
