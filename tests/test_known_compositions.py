"""The table of known compositions: how it is made, and that it is the shipped one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from programs import run_program

from hts_battery.campaign.spec_file import read_campaign
from hts_battery.thermo.hull_depth import known_compositions

PROJECT = Path(__file__).resolve().parents[1]
DATA = PROJECT.parent / "shared" / "data"
ENERGIES = {
    "Li2O1": -2.0,
    "Li4O2": -1.9,  # the same composition, higher
    "Li1O1": -1.46,  # 40 meV/atom above Li2O and O
    "Li1O2": -0.9,  # 100 meV/atom above them
    "Cs2O1": -1.2,
}


@pytest.fixture(scope="module")
def program() -> dict[str, Any]:
    return run_program("workflows/known_compositions.py")


def test_what_lies_near_the_hull_is_kept(program: dict[str, Any]) -> None:
    found = program["near_hull"](ENERGIES, {"Li", "O"})
    assert found == {"Li1": 0.0, "O1": 0.0, "Li2O1": -2.0, "Li1O1": -1.46}


def test_rows_say_who_reports_them(program: dict[str, Any]) -> None:
    reports = {"Li1": "element", "Li2O1": "COD 9009059", "Al2O3": "elsewhere, 1950"}
    rows = program["rows"]({**ENERGIES, "Al2O3": -3.44444}, reports)
    found = {row.formula: row for row in rows}
    assert found["Li2O"] == ("Li2O", -2.0, True, "Roost; COD 9009059")
    assert found["LiO"] == ("LiO", -1.46, False, "Roost")
    assert found["Al2O3"].formation_energy == -3.4444
    lines = program["text"](rows).splitlines()
    assert "Li2O,-2,1,Roost; COD 9009059" in lines
    assert 'Al2O3,-3.4444,1,"Roost; elsewhere, 1950"' in lines
    assert all(line.startswith("#") for line in lines[: lines.index(_heading(program))])


def _heading(program: dict[str, Any]) -> str:
    return ",".join(program["Row"]._fields)


def test_the_order_of_the_input_does_not_matter(program: dict[str, Any]) -> None:
    backwards = dict(reversed(ENERGIES.items()))
    assert program["rows"](ENERGIES, {}) == program["rows"](backwards, {})


def test_the_elements_of_every_campaign_are_in_it(program: dict[str, Any]) -> None:
    listed = {row.formula for row in known_compositions() if row.formation_energy == 0}
    assert listed >= program["ELEMENTS"]
    for path in sorted((PROJECT / "workflows" / "campaigns").glob("*.yaml")):
        space = read_campaign(path).space
        if space is None:
            continue  # members of an earlier campaign
        assert space[0].amounts.keys() | space[-1].amounts.keys() <= listed, path.name


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
def test_the_shipped_table_is_what_the_data_give(program: dict[str, Any]) -> None:
    assert program["table"](DATA) == program["TABLE"].read_text("utf-8")


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
def test_what_counts_as_reported(program: dict[str, Any]) -> None:
    found = program["reported"](DATA)
    assert found["Li1"] == "element"
    assert found["Al2Ge2O7"] == "amcsd 0013582"
    assert "Co1Cu2O3" not in found  # its row says: not tagged as of the ICSD
    assert "Li7O6Ta1" not in found  # derived, and found by nobody named there
    assert "Li4Mo1O5" in found
