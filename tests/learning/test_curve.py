from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from monty.serialization import dumpfn
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry
from typer.testing import CliRunner

from hts_battery.cli.app import app
from hts_battery.errors import ConfigurationError
from hts_battery.learning import learning_curve
from hts_battery.learning.curve import Model, noise_floor
from hts_battery.learning.universal import (
    UniversalOutput,
    chgnet_output,
    curve_models,
    read_entries,
)

if TYPE_CHECKING:
    from pathlib import Path

SHARED = "disorder/li_mn_o_f_dft_entries.json.gz"


def planted(n: int = 120, noise: float = 0.0) -> tuple[np.ndarray, Any, list[str]]:
    random = np.random.default_rng(0)
    x = random.normal(size=(n, 4))
    y = x @ [0.3, -0.2, 0.1, 0.0] + noise * random.normal(size=n)
    return x, y, [str(row // 3) for row in range(n)]


def test_a_planted_line_is_learned_and_its_mean_is_not() -> None:
    x, y, groups = planted()
    found = learning_curve(
        y.tolist(), groups, {"mean": Model(), "line": Model(x)}, sizes=[10, 30, 60, 999]
    )
    errors = {(one.model, one.structures): one.error for one in found.points}
    assert set(errors) == {(m, n) for m in ("mean", "line") for n in (10, 30, 60)}
    assert errors["line", 60] < 1e-4
    assert errors["mean", 60] > 0.1
    assert found.groups == 40
    assert found.test_groups == 8
    slope, error = found.exponents["mean"]
    assert abs(slope) < 0.2
    assert error > 0


def test_rows_of_one_group_never_stand_on_both_sides() -> None:
    """With the group's number as a column, only a random split knows it."""
    random = np.random.default_rng(1)
    levels = random.normal(size=40)
    codes = np.repeat(np.arange(40), 4)
    x = np.eye(40)[codes]
    y = levels[codes]
    kept = learning_curve(
        y.tolist(), [str(n) for n in codes], {"a": Model(x)}, sizes=[100]
    )
    mixed = learning_curve(
        y.tolist(), [str(n) for n in range(160)], {"a": Model(x)}, sizes=[100]
    )
    assert kept.points[0].error > 0.5
    assert mixed.points[0].error < 0.2


def test_the_noise_floor_is_that_of_planted_noise() -> None:
    random = np.random.default_rng(2)
    y = (0.01 * random.normal(size=4000)).tolist()
    floor = noise_floor(y, [str(n // 2) for n in range(4000)])
    assert floor == pytest.approx(0.01 * (2 / np.pi) ** 0.5, rel=0.05)
    assert noise_floor([1.0], ["a"]) is None


def test_what_cannot_be_measured_is_refused() -> None:
    x, y, groups = planted(12)
    with pytest.raises(ConfigurationError, match="12 energies and 11 groups"):
        learning_curve(y.tolist(), groups[:11], {}, sizes=[4])
    with pytest.raises(ConfigurationError, match="2 groups: too few"):
        learning_curve([1.0, 2.0], ["a", "b"], {}, sizes=[2])
    x[0, 0] = np.nan
    with pytest.raises(ConfigurationError, match=r"line: 12 rows .* 1 values not"):
        learning_curve(y.tolist(), groups, {"line": Model(x)}, sizes=[4])
    with pytest.raises(ConfigurationError, match="head needs --universal"):
        curve_models(["head"], ["LiF"], None)
    with pytest.raises(ConfigurationError, match="no model 'magic'"):
        curve_models(["magic"], ["LiF"], None)


def test_models_of_a_universal_output() -> None:
    x, y, _ = planted(30)
    formulas = [f"Li{n + 1}O{40 - n}" for n in range(30)]
    output = UniversalOutput(y + 5.0, x)
    found = curve_models(["shifted", "per-element", "head"], formulas, output)
    curve = learning_curve(y.tolist(), formulas, found, sizes=[20])
    assert all(one.error < 1e-3 for one in curve.points)
    assert found["head"].columns is not None
    assert found["head"].columns.shape == (30, 6)


@pytest.fixture
def entries(tmp_path: Path) -> Path:
    cells = []
    for n in range(12):
        cell = Structure(
            Lattice.cubic(4 + 0.02 * n), ["Li+", "F-"], [[0, 0, 0], [0.5, 0.5, 0.5]]
        )
        if n % 2:
            cell.append("F-", [0.5, 0, 0])
        cells.append(ComputedStructureEntry(cell, -4.0 * len(cell) - 0.1 * n))
    dumpfn(cells, tmp_path / "cells.json")
    return tmp_path / "cells.json"


def test_the_command_measures_draws_and_warns_of_a_random_split(
    entries: Path, tmp_path: Path
) -> None:
    words = ["learn", "curve", "--dataset", str(entries), "--sizes", "4,6,8"]
    picture = tmp_path / "curve.png"
    found = CliRunner().invoke(
        app, [*words, "--split", "random", "--figure", str(picture)]
    )
    assert found.exit_code == 0
    assert "errors are too small" in " ".join(found.output.split())
    assert picture.stat().st_size > 5000
    answer = CliRunner().invoke(app, [*words, "--split", "random", "--json"])
    lines = [
        json.loads(one) for one in answer.output.splitlines() if one.startswith("{")
    ]
    assert {one["model"] for one in lines} == {"dummy", "elements"}


def test_a_file_without_entries_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"ComputedStructureEntry"):
        read_entries(tmp_path / "none.json")


@pytest.mark.physics
def test_compositions_of_the_public_cells_are_left_out_whole(shared_data: Path) -> None:
    """638 Li-Mn-O-F cells of smol's documentation: 59 meV/atom linear in elements."""
    found = read_entries(shared_data / SHARED)
    assert (len(found.formulas), len(set(found.formulas))) == (638, 145)
    models = curve_models(["dummy", "elements"], found.formulas, None)
    curve = learning_curve(
        found.energies.tolist(), found.formulas, models, sizes=[320], test_share=0.207
    )
    dummy, elements = curve.points
    assert curve.test_groups == 30
    assert 1000 * dummy.error == pytest.approx(1137, rel=0.12)
    assert 1000 * elements.error == pytest.approx(59, rel=0.12)


@pytest.mark.slow
def test_chgnet_computes_energies_and_features(entries: Path) -> None:
    pytest.importorskip("chgnet")
    found = read_entries(entries)
    output = chgnet_output(found.structures[:3], "0.3.0")
    assert output.energies.shape == (3,)
    assert output.features.shape == (3, 64)
    assert np.isfinite(output.features).all()
