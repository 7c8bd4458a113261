"""hts build list and diff."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import fake_reference_energies

from hts_battery.campaign.build import build_all
from hts_battery.campaign.references import store_references

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Answer

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


@pytest.fixture
def hts_here(
    hts: Callable[..., Answer], stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Answer]:
    """Call ``hts`` on the database of the test."""
    monkeypatch.setenv("HTS_BATTERY_MONGO_URI", stores.database.uri)
    monkeypatch.setenv("HTS_BATTERY_DATABASE", stores.database.name)
    return hts


def test_runs_are_listed_and_what_changed_since_one(
    hts_here: Callable[..., Answer], ranked: Campaign, stores: Stores
) -> None:
    (first,) = hts_here("build", "list", "--json").lines
    assert first["state"] == "finished"
    assert first["options"][ranked.spec.name]["engine"] == "chgnet"
    lithia = next(e for e in fake_reference_energies() if e.formula == "TiO2")
    store_references([lithia.model_copy(update={"energy_per_atom": -1.0})], stores)
    build_all(stores, temperatures=(0.0, 1473.0))
    rows = hts_here(
        "build", "diff", "--since", first["run_id"], "--all", "--json"
    ).lines
    assert len(rows) == 4
    for row in rows:
        assert row["change"] < 0
        assert any("fake-TiO2" in why for why in row["reasons"])
    table = hts_here("build", "diff", "--all").out
    assert "labels flipped" in table
    assert first["run_id"] in table
    assert len(hts_here("build", "list", "--limit", "1", "--json").lines) == 1
    assert "finished" in hts_here("build", "list").out


def test_a_run_nobody_knows_is_refused_in_one_line(
    hts_here: Callable[..., Answer], ranked: Campaign
) -> None:
    assert ranked.spec.name == "small"
    answer = hts_here("build", "diff", "--since", "nobody")
    assert answer.status == 2
    assert "hts build list" in answer.err


def test_failures_are_tried_again_on_demand(
    hts_here: Callable[..., Answer], ranked: Campaign, stores: Stores
) -> None:
    assert ranked.spec.name == "small"
    stores.references.remove_docs({"formula": {"$in": ["Mn", "MnO", "Mn2O3"]}})
    (failed,) = hts_here("build", "all", "--json").lines
    assert failed["thermo"]["failed"] == 4
    (again,) = hts_here("build", "all", "--json").lines
    assert again["thermo"]["written"] == 0
    (tried,) = hts_here("build", "all", "--retry-failed", "--json").lines
    assert tried["thermo"]["written"] == 4
    flipped = hts_here("build", "diff", "--since", first_run(stores), "--json").lines
    assert {row["after_label"] for row in flipped} == {None}


def first_run(stores: Stores) -> str:
    found: str = stores.builds.query_one({}, sort={"run_id": 1})["run_id"]
    return found
