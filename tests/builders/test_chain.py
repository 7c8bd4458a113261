"""The three builders one after the other: what changes, and only that, is redone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fakes import fake_reference_energies

from hts_battery.campaign.references import store_references

if TYPE_CHECKING:
    from conftest import Chain

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.build import BuildReport

pytestmark = pytest.mark.mongo

CANDIDATES = 2
REFERENCES = len(fake_reference_energies())
TEMPERATURES = 2


def counts(report: BuildReport) -> tuple[int, int, int, int, int]:
    """Read, written, failed, unchanged, removed."""
    return (
        report.read,
        report.written,
        report.failed,
        report.unchanged,
        report.removed,
    )


def documents(stores: Stores) -> dict[str, list[dict[str, Any]]]:
    """Return everything that the builders wrote."""
    return {
        name: sorted(
            (
                {key: value for key, value in doc.items() if key != "_id"}
                for doc in getattr(stores, name).query({})
            ),
            key=str,
        )
        for name in ("entries", "thermo", "summary")
    }


def edit_task(stores: Stores, energy: float) -> str:
    """Change the energy of one relaxation; return the candidate."""
    task = stores.tasks.query_one({"metadata.step": "relax"})
    task["output"]["output"]["energy"] = energy
    stores.tasks.update(task, key=["uuid", "index"])
    name: str = task["metadata"]["candidate_id"]
    return name


def test_a_first_run_writes_everything(chain: Chain, stores: Stores) -> None:
    reports = chain.run()
    total = CANDIDATES + REFERENCES
    assert counts(reports["entries"]) == (total, total, 0, 0, 0)
    judged = CANDIDATES * TEMPERATURES
    assert counts(reports["thermo"]) == (judged, judged, 0, 0, 0)
    assert counts(reports["summary"]) == (CANDIDATES, CANDIDATES, 0, 0, 0)
    assert all(report.seconds > 0 for report in reports.values())
    assert stores.summary.count() == CANDIDATES


def test_an_unchanged_second_run_writes_nothing(chain: Chain, stores: Stores) -> None:
    first = chain.run()
    before = documents(stores)
    ids = [doc["_id"] for doc in stores.entries.query({})]
    second = chain.run()
    for name, report in second.items():
        assert (report.written, report.failed, report.removed) == (0, 0, 0)
        assert report.unchanged == report.read == first[name].read
    assert documents(stores) == before
    assert [doc["_id"] for doc in stores.entries.query({})] == ids


def test_an_edited_task_is_seen_whatever_its_date(chain: Chain, stores: Stores) -> None:
    chain.run()
    before = {doc["candidate_id"]: doc for doc in stores.summary.query({})}
    edited = edit_task(stores, -2.41 * 40)
    reports = chain.run()
    assert reports["entries"].written == 1
    assert reports["thermo"].written == TEMPERATURES
    assert reports["summary"].written == 1
    after = {doc["candidate_id"]: doc for doc in stores.summary.query({})}
    for name, doc in after.items():
        change = doc["energy_above_hull"] - before[name]["energy_above_hull"]
        assert change == pytest.approx(-0.01 if name == edited else 0, abs=1e-12)


def test_an_edited_reference_moves_every_hull(chain: Chain, stores: Stores) -> None:
    chain.run()
    before = {doc["candidate_id"]: doc for doc in stores.summary.query({})}
    energies = {energy.formula: energy for energy in fake_reference_energies()}
    lower = energies["Li2O"].model_copy(update={"energy_per_atom": -2.1})
    store_references([lower], stores)
    reports = chain.run()
    assert reports["entries"].written == 1
    assert reports["thermo"].written == CANDIDATES * TEMPERATURES
    assert reports["summary"].written == CANDIDATES
    for doc in stores.summary.query({}):
        old = before[doc["candidate_id"]]
        assert doc["hull_version"] != old["hull_version"]
        assert doc["energy_above_hull"] > old["energy_above_hull"]


def test_what_lost_its_task_is_removed(chain: Chain, stores: Stores) -> None:
    chain.run()
    task = stores.tasks.query_one({"metadata.step": "relax"})
    stores.tasks.remove_docs({"uuid": task["uuid"]})
    reports = chain.run()
    assert reports["entries"].removed == 1
    assert reports["thermo"].removed == TEMPERATURES
    assert reports["summary"].removed == 1
    gone = task["metadata"]["candidate_id"]
    assert gone not in stores.entries.distinct("candidate_id")
    assert gone not in stores.thermo.distinct("candidate_id")
    assert stores.summary.distinct("candidate_id") == [
        name for name in stores.candidates.distinct("candidate_id") if name != gone
    ]


def test_a_failed_judgement_is_a_document_and_tried_again(
    chain: Chain, stores: Stores
) -> None:
    stores.references.remove_docs({"formula": "Mn"})
    stores.references.remove_docs({"formula": {"$in": ["MnO", "Mn2O3"]}})
    reports = chain.run()
    assert reports["thermo"].failed == CANDIDATES * TEMPERATURES
    assert reports["summary"].read == 0
    records = list(stores.thermo.query({}))
    assert len(records) == CANDIDATES * TEMPERATURES
    for record in records:
        assert record["state"] == "failed"
        assert "Mn" in record["error"]
        assert record["result"] is None

    # Nothing changed: nothing is tried.
    assert chain.run()["thermo"].written == 0

    store_references(fake_reference_energies(), stores)
    reports = chain.run()
    assert reports["thermo"].written == CANDIDATES * TEMPERATURES
    assert reports["thermo"].failed == 0
    assert stores.thermo.count({"state": "failed"}) == 0
    assert stores.summary.count() == CANDIDATES


def test_a_rejected_energy_takes_its_stability_with_it(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    task = stores.tasks.query_one({"metadata.step": "relax"})
    task["output"]["is_force_converged"] = False
    stores.tasks.update(task, key=["uuid", "index"])
    reports = chain.run()
    assert (reports["entries"].written, reports["entries"].failed) == (1, 1)
    assert reports["thermo"].removed == TEMPERATURES
    assert reports["summary"].removed == 1
    entry = stores.entries.query_one({"entry_id": task["uuid"]})
    assert entry["reason"] == "relaxation not converged after 7 steps"
    assert entry["energy"] is None


def test_every_entry_is_used_or_has_a_reason(chain: Chain, stores: Stores) -> None:
    bad = fake_reference_energies()[3].model_copy(
        update={"phase_id": "bad", "converged": False, "rejected": "not converged"}
    )
    store_references([bad], stores)
    reports = chain.run()
    assert reports["entries"].read == stores.references.count() + CANDIDATES
    used = stores.entries.count({"state": "used"})
    reasons = [doc["reason"] for doc in stores.entries.query({"state": "rejected"})]
    assert reports["entries"].read == used + len(reasons)
    assert reasons == ["not converged"]
    assert reports["entries"].failed == 1


def test_temperatures_and_entropy_options_can_change(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    chain.spec = chain.spec.model_copy(update={"temperatures": (0.0, 1000.0)})
    reports = chain.run()
    assert reports["entries"].written == 0
    assert reports["thermo"].written == CANDIDATES
    assert reports["thermo"].removed == CANDIDATES
    for doc in stores.summary.query({}):
        assert set(doc["energy_above_hull_at"]) == {"0K", "1000K"}


def test_two_campaigns_do_not_touch_each_other(
    chain: Chain, computed: Campaign, stores: Stores
) -> None:
    chain.run()
    before = documents(stores)
    other = computed.spec.model_copy(update={"name": "other"})
    first = stores.members.query_one({"campaign": "small"})
    stores.members.update(
        {key: value for key, value in first.items() if key != "_id"}
        | {"campaign": "other"},
        key=["campaign", "candidate_id"],
    )
    chain.spec = other
    reports = chain.run()
    assert reports["entries"].written == 0
    assert reports["thermo"].written == TEMPERATURES
    assert reports["summary"].written == 1
    assert stores.summary.count({"campaign": "small"}) == CANDIDATES
    after = documents(stores)
    for name in ("thermo", "summary"):
        kept = [doc for doc in after[name] if doc["campaign"] == "small"]
        assert kept == before[name]
