"""hts transport: what a person types and reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from pymatgen.core import Lattice, Structure
from typer.testing import CliRunner
from walkers_of_ions import random_walk

from hts_battery.cli.app import app
from hts_battery.transport.trajectory_files import Trajectory, write_chunk

if TYPE_CHECKING:
    from pathlib import Path

RUN = CliRunner()


@pytest.fixture(scope="module")
def chunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    ways = random_walk(random, jumps=500, ions=8, frames=1000)
    still = np.broadcast_to(random.random((6, 3)) * 30, (1000, 6, 3))
    frames = Trajectory(
        ("Na",) * 8 + ("O",) * 6,
        np.concatenate([ways + random.random((8, 3)) * 30, still], axis=1),
        np.broadcast_to(np.eye(3) * 30, (1000, 3, 3)),
        50.0,
        800.0,
    )
    path = tmp_path_factory.mktemp("run") / "chunk-0001.parquet"
    write_chunk(path, frames, np.zeros(1000))
    return path


def test_a_trajectory_is_analysed(chunk: Path, tmp_path: Path) -> None:
    words = ["transport", "analyse", str(chunk), "--ion", "Na"]
    shown = RUN.invoke(app, [*words, "--figure", str(tmp_path / "strides.png")])
    assert shown.exit_code == 0, shown.output
    assert "diffusive: strides" in shown.output
    assert "conductivity, charge" in shown.output
    assert (tmp_path / "strides.png").stat().st_size > 10_000
    found = json.loads(RUN.invoke(app, [*words, "--json"]).stdout)
    assert found["temperature"] == 800
    assert found["haven_ratio_interval"][0] < 1 < found["haven_ratio_interval"][1]
    cold = RUN.invoke(app, [*words, "--temperature", "0"])
    assert "temperature 0" in str(cold.exception)


@pytest.mark.parametrize("method", ["mogroup", "pymatgen"])
def test_fits_of_others_have_no_error(method: str, chunk: Path) -> None:
    words = ["transport", "analyse", str(chunk), "--ion", "Na", "--method", method]
    shown = RUN.invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert "its error is not known" in shown.output
    assert json.loads(RUN.invoke(app, [*words, "--json"]).stdout)["tracer"] > 0


def test_an_upper_bound_says_what_a_run_would_need(chunk: Path) -> None:
    shown = RUN.invoke(app, ["transport", "analyse", str(chunk), "--ion", "O"])
    assert shown.exit_code == 0, shown.output
    assert "framework moved" in shown.output or "too few jumps" in shown.output


def test_a_file_without_a_time_step_is_refused(tmp_path: Path) -> None:
    atoms = [Atoms("Na2", np.eye(3)[:2] * 3, cell=[9] * 3, pbc=True)] * 3
    write(tmp_path / "XDATCAR", atoms, format="vasp-xdatcar")
    words = ["transport", "analyse", str(tmp_path / "XDATCAR"), "--ion", "Na"]
    shown = RUN.invoke(app, words)
    assert shown.exit_code != 0
    assert "--time-step" in str(shown.exception)
    shown = RUN.invoke(app, [*words, "--time-step", "2"])
    assert "too few jumps" in shown.output
    for method in ("covariance", "pymatgen"):
        zero = RUN.invoke(app, [*words, "--time-step", "0", "--method", method])
        assert "--time-step 0" in str(zero.exception)
    shown = RUN.invoke(app, [*words, "--method", "guess"])
    assert "covariance, mogroup, pymatgen" in str(shown.exception)


def test_a_table_is_fitted(tmp_path: Path) -> None:
    kelvin = np.linspace(600, 1500, 8)
    values = 1e-3 * np.exp(-0.25 / (8.617333262e-5 * kelvin))
    rows = [f"{t},{d},{0.1 * d}" for t, d in zip(kelvin, values, strict=True)]
    table = tmp_path / "line.csv"
    table.write_text("\n".join(["T,D,D_error", *rows]))
    Structure(Lattice.cubic(5), ["Li", "O"], [[0, 0, 0], [0.5] * 3]).to(
        str(tmp_path / "POSCAR"), fmt="poscar"
    )
    words = ["transport", "arrhenius", str(table)]
    also = ["--cell", str(tmp_path / "POSCAR"), "--figure", str(tmp_path / "line.png")]
    shown = RUN.invoke(app, [*words, *also])
    assert shown.exit_code == 0, shown.output
    assert "0.2500 ±" in shown.output
    assert "conductivity (Nernst-Einstein)" in shown.output
    assert (tmp_path / "line.png").stat().st_size > 10_000
    once, twice = (
        json.loads(RUN.invoke(app, [*words, *also, "--charge", e, "--json"]).stdout)
        for e in ("1", "2")
    )
    assert twice["conductivity_300K"]["value"] == pytest.approx(
        4 * once["conductivity_300K"]["value"]
    )
    wrong = RUN.invoke(app, [*words, *also, "--ion", "Xx"])
    assert "has no Xx" in str(wrong.exception)
    found = json.loads(RUN.invoke(app, [*words, "--json"]).stdout)
    assert found["verdict"] == "single"
    assert found["diffusivity_300K"]["value"] == pytest.approx(6.31e-8, rel=0.01)


def test_a_break_predicts_nothing(tmp_path: Path) -> None:
    kelvin = np.linspace(600, 1500, 8)
    x = 1 / (8.617333262e-5 * kelvin)
    values = np.exp(-7 - 0.2 * x - 0.2 * np.maximum(x - x[3], 0))
    rows = [f"{t},{d},{0.05 * d}" for t, d in zip(kelvin, values, strict=True)]
    (tmp_path / "kink.csv").write_text("\n".join(["a,b,c", *rows]))
    words = ["transport", "arrhenius", str(tmp_path / "kink.csv")]
    shown = RUN.invoke(app, [*words, "--figure", str(tmp_path / "kink.png")])
    assert shown.exit_code == 0, shown.output
    assert "kink: nothing is predicted at 300 K" in shown.output
    assert "energies below and above" in shown.output
    assert (
        json.loads(RUN.invoke(app, [*words, "--json"]).stdout)["diffusivity_300K"]
        is None
    )
