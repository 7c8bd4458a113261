"""hts disorder plan, run, order-temperature: what a person types and reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from lattice_trainings import trainings
from pymatgen.core import Structure
from typer.testing import CliRunner

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.cli.app import app
from hts_battery.disorder.lattice_document import fit_training

if TYPE_CHECKING:
    from pathlib import Path

RUN = CliRunner()
FORMULA = "Li1.2Mn0.4Ti0.4O2"
SMALL = ["--cations", "256", "--sweeps", "60"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("models") / "model.json"
    document = fit_training(trainings(noise=0.001))
    file.write_text(document.model_dump_json())
    return file


def test_a_plan_is_a_campaign_file(tmp_path: Path) -> None:
    file = tmp_path / "My Training.yaml"
    command = ["disorder", "plan", FORMULA, "--engine", "ionic", "--out", str(file)]
    dry = RUN.invoke(app, [*command, "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "would write" in dry.output
    assert not file.exists()
    made = RUN.invoke(app, [*command, "--json"])
    assert made.exit_code == 0, made.output
    found = json.loads(made.stdout)
    assert found["campaign"] == "my-training"
    assert found["features"] == 11
    campaign = load_campaign(file)
    assert len(list(campaign.members())) == len(found["compositions"]) == 4


def test_a_run_prints_order_and_accessible_lithium(model: Path, tmp_path: Path) -> None:
    cif = tmp_path / "cell.cif"
    command = ["disorder", "run", str(model), FORMULA, "--temperature", "1273", *SMALL]
    shown = RUN.invoke(app, [*command, "--cif", str(cif)])
    assert shown.exit_code == 0, shown.output
    for text in ("accessible Li", "alpha Li-Ti, shell 1", "tetrahedra with 4 Li"):
        assert text in shown.output
    assert len(Structure.from_file(cif)) == 512
    found = json.loads(RUN.invoke(app, [*command, "--json"]).stdout)
    assert found["equilibrated"]
    assert found["temperature"] == 1273


def test_a_frozen_run_says_so(model: Path) -> None:
    command = ["disorder", "run", str(model), FORMULA, "--temperature", "15", *SMALL]
    shown = RUN.invoke(app, command)
    assert shown.exit_code == 0, shown.output
    assert "not equilibrated" in shown.output
    assert "accessible" not in shown.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([FORMULA, "--temperature", "0"], "above 0 K"),
        (["Li1.2Nb0.4Ti0.4O2", "--temperature", "900"], "knows nothing of Nb"),
        (["Li1.4Mn0.6O2", "--temperature", "900"], "no neutral choice"),
    ],
)
def test_what_a_model_cannot_say_is_refused(
    model: Path, words: list[str], says: str
) -> None:
    shown = RUN.invoke(app, ["disorder", "run", str(model), *words])
    assert shown.exit_code != 0
    assert says in f"{shown.output}{shown.exception}"


def test_a_file_that_is_no_model_is_named(model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    words = [FORMULA, "--temperature", "900"]
    shown = RUN.invoke(app, ["disorder", "run", str(broken), *words])
    assert "is no model of `hts disorder fit`" in f"{shown.output}{shown.exception}"
    changed = tmp_path / "changed.json"
    data = json.loads(model.read_text())
    data["parameters"]["dielectric"] = 3.5
    changed.write_text(json.dumps(data))
    shown = RUN.invoke(app, ["disorder", "run", str(changed), *words])
    assert "it was changed by hand" in f"{shown.output}{shown.exception}"


def test_an_order_temperature_is_printed_with_its_bracket(model: Path) -> None:
    small = ["--cations", "128", "--sweeps", "16"]
    command = ["disorder", "order-temperature", str(model), "LiMnO2", *small]
    shown = RUN.invoke(app, command)
    assert shown.exit_code == 0, shown.output
    assert "order goes between" in shown.output
    assert "mean field" in shown.output
    found = json.loads(RUN.invoke(app, [*command, "--json"]).stdout)
    assert found["bracket"][0] < found["bracket"][1]
    assert found["fit_error"] > 0
