"""What a build may skip, and what makes it look again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fakes import fake_reference_energies

from hts_battery.builders.screening_builder import run_builder
from hts_battery.campaign.build import build_all, chain_of_builders
from hts_battery.campaign.references import store_references

if TYPE_CHECKING:
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.build import BuildReport

pytestmark = [pytest.mark.mongo, pytest.mark.usefixtures("ranked")]

TEMPERATURES = (0.0, 1473.0)


def night(stores: Stores, **options: Any) -> dict[str, BuildReport]:  # noqa: ANN401 - those of build_all
    return build_all(stores, temperatures=TEMPERATURES, **options)


def energies_above_hull(stores: Stores) -> dict[str, float]:
    docs = stores.summary.query({})
    return {doc["candidate_id"]: doc["energy_above_hull"] for doc in docs}


CORE = ("entries", "thermo", "summary", "summary_table")
"""Builders whose documents this file counts; those of properties have their own."""


def written(reports: dict[str, BuildReport]) -> list[int]:
    return [report.written for report in reports.values()]


def test_an_unchanged_night_reads_nothing_that_was_written(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = night(stores)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("entries, thermo or summary were read")

    for name in ("entries", "thermo", "summary"):
        store = getattr(stores, name)
        monkeypatch.setattr(store, "query", refuse)
        monkeypatch.setattr(store, "update", refuse)
    again = night(stores)
    for name, report in again.items():
        assert report.read == report.unchanged == first[name].read
        assert report.read or name not in CORE
        assert report.written == report.removed == 0
    latest, before = stores.builds.query({}, sort={"run_id": -1}, limit=2)
    assert latest["hulls"] == before["hulls"]
    assert latest["input_digests"] == before["input_digests"]


@pytest.mark.parametrize("name", ["entries", "thermo", "summary"])
def test_a_document_that_disappeared_is_made_again(stores: Stores, name: str) -> None:
    store = getattr(stores, name)
    lost = store.query_one({})
    store.remove_docs({"_id": lost["_id"]})
    night(stores)
    key = ("entry_id", "candidate_id", "temperature")
    found = store.query_one(
        {field: lost[field] for field in key if lost.get(field) is not None}
    )
    found.pop("_id")
    lost.pop("_id")
    if name == "thermo":
        assert found["result"] == lost["result"]
    else:
        assert found == lost


def test_a_hand_edited_entry_is_found_when_asked(stores: Stores) -> None:
    night(stores)
    entry = stores.entries.query_one({"kind": "candidate"})
    entry.pop("_id")
    entry["energy"]["energy_per_atom"] -= 0.01
    stores.entries.update(entry, key="entry_id")
    assert not any(written(night(stores)))
    again = night(stores, verify=True)
    found = {name: again[name].written for name in CORE}
    assert found == {"entries": 0, "thermo": 2, "summary": 1, "summary_table": 2}


def test_inputs_that_changed_and_changed_back_during_a_dead_run_are_seen(
    stores: Stores,
) -> None:
    night(stores)
    before = energies_above_hull(stores)
    energies = fake_reference_energies()
    lower = [
        energy.model_copy(update={"energy_per_atom": -4.0})
        for energy in energies
        if energy.formula == "TiO2"
    ]
    store_references(lower, stores)
    # As if killed before its end: everything is written, the manifest says running.
    night(stores)
    latest = stores.builds.query_one({}, sort={"run_id": -1})
    latest.pop("_id")
    stores.builds.update(latest | {"state": "running"}, key="run_id")
    store_references(energies, stores)
    assert night(stores)["thermo"].written == 4
    assert energies_above_hull(stores) == pytest.approx(before)


def test_a_build_by_mrun_in_between_is_noticed(stores: Stores) -> None:
    night(stores)
    energies = fake_reference_energies()
    lower = [
        energy.model_copy(update={"energy_per_atom": -4.0})
        for energy in energies
        if energy.formula == "TiO2"
    ]
    store_references(lower, stores)
    for builder in chain_of_builders(stores, temperatures=TEMPERATURES):
        run_builder(builder)
    store_references(energies, stores)
    reports = night(stores)
    assert reports["local_structure"].written == 0
    found = {name: reports[name].written for name in CORE}
    assert found == {"entries": 1, "thermo": 4, "summary": 2, "summary_table": 2}


def test_a_candidate_edited_by_hand_is_seen(stores: Stores, ranked: Campaign) -> None:
    assert ranked.spec.name == "small"
    night(stores)
    doc = stores.candidates.query_one({})
    doc.pop("_id")
    stores.candidates.update(doc | {"formula": doc["formula"] + "F0"})
    assert night(stores)["thermo"].written == 2


def test_a_new_release_of_the_corrections_remakes_entries_of_vasp(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = stores.tasks.query_one({"metadata.step": "relax"})
    task["metadata"]["calculation"]["engine"] = "vasp-mp-gga"
    stores.tasks.update(task, key=["uuid", "index"])
    night(stores)
    monkeypatch.setattr("hts_battery.builders.entries.version", lambda _: "next")
    assert night(stores)["entries"].written == 1
