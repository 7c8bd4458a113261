"""Rules and formulas of campaigns in a database, and of spaces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from learning.planted_campaign import plant, rebuild
from synthetic_summaries import CAMPAIGN
from typer.testing import CliRunner

from hts_battery.campaign.build import build
from hts_battery.cli.app import app
from hts_battery.errors import ConfigurationError, MixedCalculatorError
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

RUN = CliRunner()


def run(*words: object) -> Result:
    return RUN.invoke(app, [str(word) for word in words])


@pytest.fixture
def asked(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """Make the commands read the database of the test."""
    monkeypatch.setenv("HTS_BATTERY_MONGO_URI", stores.database.uri)
    monkeypatch.setenv("HTS_BATTERY_DATABASE", stores.database.name)
    get_settings.cache_clear()
    yield stores
    get_settings.cache_clear()


@pytest.mark.mongo
def test_rules_and_a_formula_of_a_campaign(asked: Stores, tmp_path: Path) -> None:
    plant(asked, 120)
    rules_of(tmp_path / "rules.json")
    formulas_of(tmp_path / "found.json")
    failed = run("rules", "mine", "other")
    assert "no candidate of campaign other was assessed" in str(failed.exception)
    failed = run("rules", "mine", CAMPAIGN, "--temperature", "300")
    assert "no energies at 300 K were built: there are 0, 1473 K" in (
        str(failed.exception)
    )


def rules_of(kept: Path) -> None:
    """Mine the planted rule; keep it, and make filters of it."""
    words = ("rules", "mine", CAMPAIGN, "--temperature", "0", "--save", kept)
    mined = run(*words, "--json")
    assert mined.exit_code == 0, mined.output
    rules = {
        one["columns"][0]: one for one in map(json.loads, mined.output.splitlines())
    }
    assert rules["metal_electronegativity_mean"]["verdict"] == "supported"
    assert rules["metal_electronegativity_mean"]["odds_ratio"] < 1
    assert rules["metal_charge_spread"]["verdict"] == "not supported"
    document = json.loads(kept.read_text())
    assert (document["used"], document["groups"]) == (120, "metals")
    assert document["conventions"]["calculator"] == "chgnet synthetic"
    assert document["conventions"]["hull_version"] == "synthetic-hull"
    assert '"atoms": 40' in document["conventions"]["structure_settings"]
    assert "120 rows, stable share" in run("rules", "show", kept).output
    found = json.loads(run("rules", "filter", kept, "--json").output)
    assert found["structure_types"]["disordered rocksalt"]["known"] == 13
    assert found["filters"][0]["descriptor"] == "metal_electronegativity_mean"
    said = run("rules", "filter", kept).output
    assert "13 known disordered rocksalt compounds would be lost" in said


def formulas_of(kept: Path) -> None:
    """Search the planted quantity; keep it, and score the campaign by it."""
    columns = "metal_electronegativity_mean,metal_radius_mean,metal_charge_spread"
    words = ("learn", "descriptor", CAMPAIGN, "--target", "energy", "--dimensions", "1")
    words += ("--groups", "metals", "--columns", columns, "--temperature", "0")
    learned = run(*words, "--save", kept, "--subgroups", "n_metals")
    assert learned.exit_code == 0, learned.output
    assert "at 10% false positives" in learned.output
    best = json.loads(kept.read_text())["formulas"][0]
    assert "metal_electronegativity_mean" in best["text"]
    assert set(best["kept_aside"]["subgroups"]) == {"4", "5", "6", "7", "8"}
    scored = run("learn", "apply", kept, CAMPAIGN, "--json")
    rows = list(map(json.loads, scored.output.splitlines()))
    assert len(rows) == 120
    assert {type(one["stable"]) for one in rows} == {bool}
    assert "Li1.2" in rows[0]["formula"]


@pytest.mark.mongo
def test_a_campaign_whose_labels_come_from_two_hulls_is_refused(
    asked: Stores,
) -> None:
    plant(asked, 40)
    older = [
        {**doc, "hull_version": "older", "input_digest": doc["candidate_id"]}
        for doc in list(asked.summary.query({}))[:7]
    ]
    asked.summary.update(older, key="candidate_id")
    rebuild(asked)
    failed = run("rules", "mine", CAMPAIGN)
    assert isinstance(failed.exception, MixedCalculatorError)
    assert "older (7 rows), synthetic-hull (33 rows)" in str(failed.exception)


@pytest.mark.mongo
def test_two_candidates_of_a_real_build_are_too_few(
    ranked: Campaign, asked: Stores
) -> None:
    build(ranked.spec, asked, temperatures=(0.0,))
    mined = run("rules", "mine", ranked.spec.name, "--json")
    assert mined.exit_code == 0, mined.output
    rules = list(map(json.loads, mined.output.splitlines()))
    assert {one["verdict"] for one in rules} == {"too few rows"}
    assert {one["n"] for one in rules} == {2}


def test_a_formula_is_applied_to_a_space(tmp_path: Path, project_root: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"carrier_amount": random.uniform(0, 4, 60)})
    frame["energy"] = frame.carrier_amount - 2
    frame.to_csv(tmp_path / "table.csv", index=False)
    kept = tmp_path / "found.json"
    words = ("learn", "descriptor", tmp_path / "table.csv", "--target", "energy")
    assert run(*words, "--dimensions", "1", "--save", kept).exit_code == 0
    space = project_root / "workflows" / "campaigns" / "nasicon_2021.yaml"
    scored = run("learn", "apply", kept, space, "--limit", "5", "--json")
    assert scored.exit_code == 0, scored.output
    assert len(scored.output.splitlines()) == 5
    drawn = run(
        "learn", "apply", kept, space, "--limit", "20", "--sample", "1", "--json"
    )
    rows = list(map(json.loads, drawn.output.splitlines()))
    assert [one["stable"] for one in rows] == [
        one["score"] <= json.loads(kept.read_text())["formulas"][0]["boundary"]
        for one in rows
    ]
    assert "stable by it" in run("learn", "apply", kept, space, "--limit", "2").output
    failed = run("learn", "descriptor", space, "--target", "energy")
    assert isinstance(failed.exception, ConfigurationError)
    assert "has no energies" in str(failed.exception)
