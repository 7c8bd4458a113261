"""Runs of the builders and what changed between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import fake_reference_energies

from hts_battery.builders.screening_builder import new_run_id
from hts_battery.campaign.build import BUILDERS, build_all
from hts_battery.campaign.references import store_references
from hts_battery.errors import ConfigurationError, StoreError
from hts_battery.query.builds import differences, fold_changes, runs
from hts_battery.schemas.build import BuildManifest

if TYPE_CHECKING:
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

TEMPERATURES = (0.0, 1473.0)


def lowered(formula: str, change: float) -> list[object]:
    energies = {energy.formula: energy for energy in fake_reference_energies()}
    old = energies[formula]
    assert old.energy_per_atom is not None
    return [old.model_copy(update={"energy_per_atom": old.energy_per_atom + change})]


@pytest.mark.mongo
def test_a_flipped_label_is_listed_with_its_reason(
    ranked: Campaign, stores: Stores
) -> None:
    (first,) = runs(stores)
    assert first["state"] == "finished"
    store_references(lowered("TiO2", 1.5), stores)  # type: ignore[arg-type]
    build_all(stores, temperatures=TEMPERATURES)
    found = differences(stores, since=first["run_id"])
    assert found.rows
    assert {row.campaign for row in found.rows} == {ranked.spec.name}
    for row in found.rows:
        assert row.change is not None
        assert row.change < 0
        assert any("changed reference chgnet:fake-TiO2" in why for why in row.reasons)
        assert row.flipped == (row.before_label != row.after_label)
    assert "labels flipped" in found.headline
    assert differences(stores).rows == found.rows
    assert differences(stores, since=runs(stores)[0]["run_id"]).rows == ()
    assert differences(stores, campaign="none").rows == ()


@pytest.mark.mongo
def test_a_manifest_says_what_went_in(ranked: Campaign, stores: Stores) -> None:
    (run,) = runs(stores, limit=1)
    run.pop("seconds")
    manifest = BuildManifest.model_validate(run)
    assert manifest.options[ranked.spec.name]["temperatures"] == [0.0, 1473.0]
    (hull,) = manifest.hulls
    assert hull.n_references == len(fake_reference_energies())
    assert hull.hull_version == stores.summary.query_one({})["hull_version"]
    assert set(manifest.reports) == set(BUILDERS)
    assert set(manifest.input_digests) == {
        name if name in {"entries", "summary_table"} else f"{name} small"
        for name in BUILDERS
    }
    assert "pymatgen" in manifest.versions
    build_all(stores, temperatures=TEMPERATURES)
    again = runs(stores, limit=1)[0]
    assert again["input_digests"] == manifest.input_digests


@pytest.mark.mongo
def test_a_run_that_fails_says_so_and_gives_the_lock_back(
    ranked: Campaign, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ranked.spec.name == "small"
    with monkeypatch.context() as patched:
        patched.setattr(
            "hts_battery.campaign.build.ThermoBuilder.get_items",
            lambda _: (_ for _ in ()).throw(StoreError("the server is gone")),
        )
        with pytest.raises(StoreError, match="the server is gone"):
            build_all(stores, temperatures=TEMPERATURES, verify=True)
    latest = runs(stores)[0]
    assert latest["state"] == "failed"
    assert latest["error"] == "StoreError: the server is gone"
    build_all(stores, temperatures=TEMPERATURES)
    assert runs(stores)[0]["state"] == "finished"


@pytest.mark.mongo
def test_a_run_nobody_knows_is_refused(ranked: Campaign, stores: Stores) -> None:
    assert ranked.spec.name == "small"
    with pytest.raises(ConfigurationError, match="hts build list"):
        differences(stores, since="20000101T000000000-abcde")


@pytest.mark.mongo
def test_without_a_run_there_is_no_difference(stores: Stores) -> None:
    with pytest.raises(ConfigurationError, match="not run yet"):
        differences(stores)


def test_later_runs_have_greater_ids() -> None:
    ids = [new_run_id() for _ in range(3)]
    assert [name[:-6] for name in ids] == sorted(name[:-6] for name in ids)


def change(before: str | None, after: str | None, why: str) -> dict[str, object]:
    def judged(label: str | None) -> dict[str, object] | None:
        if label is None:
            return None
        return {"label": label, "energy_above_hull": 0.1, "hull_version": label}

    return {
        "candidate_id": "c",
        "formula": "Li2O",
        "temperature": 0.0,
        "before": judged(before),
        "after": judged(after),
        "reasons": [why],
    }


def test_changes_of_several_runs_are_joined() -> None:
    sets = [
        {"campaign": "x", "run_id": run, "changes": [change(*words)]}
        for run, *words in (
            ("1", "GS", "LS", "new reference"),
            ("2", "GS", "LS", "new reference"),
            ("3", "LS", "US", "options"),
        )
    ]
    (row,) = fold_changes(sets)
    assert (row.before_label, row.after_label) == ("GS", "US")
    assert row.flipped
    assert row.reasons == ("new reference", "options")
    assert row.run_ids == ("1", "2", "3")
    (gone,) = fold_changes(
        [{"campaign": "x", "run_id": "1", "changes": [change("GS", None, "gone")]}]
    )
    assert gone.flipped
    assert gone.change is None
    (new,) = fold_changes(
        [{"campaign": "x", "run_id": "1", "changes": [change(None, "GS", "new")]}]
    )
    assert not new.flipped


@pytest.mark.mongo
def test_each_temperature_of_a_summary_is_indexed(
    ranked: Campaign, stores: Stores
) -> None:
    assert ranked.spec.name == "small"
    indexes = stores.summary.collection.index_information().values()
    fields = {field for index in indexes for field, _ in index["key"]}
    assert {
        "energy_above_hull_at.0K",
        "energy_above_hull_at.1473K",
        "energy_above_hull",
    } <= fields
