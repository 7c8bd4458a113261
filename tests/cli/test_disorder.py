"""hts disorder: what a person types and reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from hts_battery.cli.app import app
from hts_battery.disorder import lattice_cell, pair_distribution
from hts_battery.disorder.refinement import write_gr

if TYPE_CHECKING:
    from pymatgen.core import Structure

RUN = CliRunner()
QUICK = ["--cations", "2000", "--samples", "10"]


@pytest.fixture(scope="module")
def cell() -> Structure:
    mix = {"cation": {"Li": 0.6, "Mn": 0.4}, "anion": {"O": 0.9, "F": 0.1}}
    return lattice_cell("rocksalt", mix, 3, seed=1)


@pytest.fixture
def cell_file(cell: Structure, tmp_path: Path) -> Path:
    cell.to(str(tmp_path / "cell.cif"))
    return tmp_path / "cell.cif"


def test_a_formula() -> None:
    shown = RUN.invoke(
        app, ["disorder", "percolate", "Li1.3Mn0.4Ti0.3O1.7F0.3", *QUICK]
    )
    assert shown.exit_code == 0, shown.output
    assert "Li1.3Mn0.4Ti0.3O1.7F0.3" in shown.output
    found = RUN.invoke(
        app, ["disorder", "percolate", "Li1.3Mn0.4Ti0.3O1.7F0.3", *QUICK, "--json"]
    )
    document = json.loads(found.stdout)
    assert 0.6 < document["accessible"] < 1
    assert document["samples"] == 10


def test_a_space_lists_every_carrier_content_once() -> None:
    file = Path(__file__).parents[2] / "workflows" / "spaces" / "layered.yaml"
    shown = RUN.invoke(app, ["disorder", "percolate", str(file), *QUICK, "--json"])
    assert shown.exit_code == 0, shown.output
    rows = [json.loads(line) for line in shown.stdout.splitlines()]
    carriers = [row["carriers_per_formula_unit"] for row in rows]
    assert sorted(carriers) == [pytest.approx(n / 10) for n in range(1, 11)]
    assert {row["parent"] for row in rows} == {"layered"}


def test_a_small_cell_is_refused_unless_asked_for(cell_file: Path) -> None:
    refused = RUN.invoke(app, ["disorder", "percolate", str(cell_file)])
    assert refused.exit_code != 0
    assert "--small" in str(refused.exception) + refused.output
    shown = RUN.invoke(app, ["disorder", "percolate", str(cell_file), "--small"])
    assert shown.exit_code == 0, shown.output
    assert "tetrahedra with 0 to 4 Li" in shown.output
    found = RUN.invoke(
        app, ["disorder", "percolate", str(cell_file), "--small", "--json"]
    )
    assert json.loads(found.stdout)["sites"] == 108


def test_order_parameters_of_a_file(cell_file: Path) -> None:
    found = RUN.invoke(app, ["disorder", "order", str(cell_file), "--json"])
    values = json.loads(found.stdout)
    assert len(values["Li-Mn"]) == 4
    shown = RUN.invoke(app, ["disorder", "order", str(cell_file), "--shells", "2"])
    assert "shell 2" in shown.output
    assert "Li-F" in shown.output


def test_scattering_writes_and_refines(
    cell: Structure, cell_file: Path, tmp_path: Path
) -> None:
    measured = tmp_path / "measured.gr"
    r = np.arange(1.5, 8, 0.05)
    write_gr(measured, r, 0.9 * pair_distribution(cell, r).values)
    asked = [
        "disorder", "scattering", str(cell_file), "--pdf",
        "--data", str(measured), "--diffuse", "hk0", "--out", str(tmp_path),
        "--longest", "6",
    ]  # fmt: skip
    shown = RUN.invoke(app, asked)
    assert shown.exit_code == 0, shown.output
    assert "Mn, Li scatter with the other sign" in shown.output
    said = " ".join(shown.output.split())
    assert "cations Li, Mn: mean -2.6" in said
    assert said.index("contrast (mean square about it)") < said.index("diffuse hk0")
    assert "scale 0.9" in shown.output
    for name in ("cell.gr", "measured_refined.png", "cell_hk0.png"):
        assert (tmp_path / name).stat().st_size > 500
    found = json.loads(RUN.invoke(app, [*asked, "--json"]).stdout)
    assert found["refined"]["scale"][0] == pytest.approx(0.9, abs=1e-3)
    assert len(found["files"]) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["percolate", "nowhere.cif"], "nowhere.cif: no such file"),
        (["scattering", "CELL"], "give --pdf, --data FILE or --diffuse PLANE"),
        (["percolate", "Li3MnO2"], "rocksalt has as many sites for both"),
        (["percolate", "LiMnO2", "--rule", "2tm"], "no rule '2tm'"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    arguments: list[str], message: str, cell_file: Path
) -> None:
    asked = [str(cell_file) if word == "CELL" else word for word in arguments]
    refused = RUN.invoke(
        app,
        [
            "disorder",
            *asked,
            *(QUICK if "percolate" in asked and "nowhere.cif" not in asked else []),
        ],
    )
    assert refused.exit_code != 0
    assert message in str(refused.exception) + refused.output


def test_a_file_that_is_no_structure_is_named(tmp_path: Path) -> None:
    file = tmp_path / "broken.cif"
    file.write_text("this is no cell")
    refused = RUN.invoke(app, ["disorder", "order", str(file)])
    assert (
        "not a structure that pymatgen reads" in str(refused.exception) + refused.output
    )


@pytest.mark.parametrize("command", ["percolate", "simulate"])
def test_without_the_extra_the_command_says_which(command: str) -> None:
    """In another process, where numba cannot be imported."""
    program = (
        "import sys; sys.modules['numba'] = None; "
        "from hts_battery.cli.app import app, main; main()"
    )
    asked = [sys.executable, "-c", program, "disorder", command, "Li1.2Mn0.8O2"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 2
    said = " ".join((done.stdout + done.stderr).split())
    assert "numba is missing: install the extra with pip install" in said
    assert "hts_battery[disorder]" in said
    assert "Traceback" not in said
