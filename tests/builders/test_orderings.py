"""Several orderings, cells of other compositions, and energies that do not compare."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import pytest
from planted import PlantedModule

from hts_battery.builders.entries import candidate_entry
from hts_battery.schemas.entry import SMALL_CELL, EntryState

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Chain

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

SMALL = 1e-9


def add_ordering(stores: Stores, method: str, energy: float, name: str) -> str:
    """Add an entry of another ordering of the first candidate; return the candidate."""
    entry = stores.entries.query_one({"kind": "candidate"}, sort={"entry_id": 1})
    entry.pop("_id")
    entry["entry_id"] = entry["ordering_id"] = name
    entry["ordering_series"] = {}
    entry["ordering_method"] = method
    entry["energy"]["energy_per_atom"] = energy
    stores.entries.update(entry, key="entry_id")
    found: str = entry["candidate_id"]
    return found


def run_later_builders(chain: Chain) -> None:
    from hts_battery.builders.screening_builder import run_builder  # noqa: PLC0415 - one test helper

    for name in ("thermo", "summary"):
        run_builder(chain.make(name))


def summary_of(stores: Stores, candidate_id: str) -> dict[str, Any]:
    found: dict[str, Any] = stores.summary.query_one({"candidate_id": candidate_id})
    return found


def test_both_bounds_come_from_their_kinds_of_ordering(
    chain: Chain, stores: Stores
) -> None:
    chain.asks_for(sqs=2, electrostatic=1)
    chain.run()
    name = add_ordering(stores, "sqs", -2.36, "second")
    add_ordering(stores, "electrostatic", -2.46, "third")
    run_later_builders(chain)
    doc = summary_of(stores, name)
    assert (doc["n_orderings"], doc["n_random_orderings"]) == (3, 2)
    assert doc["lowest_ordering_kind"] == "low_energy"
    assert doc["entry_id"] == "third"
    assert doc["energy_per_atom"] == -2.46
    # The SQS of the fixture is at -2.4: their mean is 80 meV above the lowest.
    for key, lower in doc["energy_above_hull_at"].items():
        upper = doc["energy_above_hull_upper_at"][key]
        assert upper - lower == pytest.approx(0.080, abs=SMALL)
    assert doc["ordering_spread"] == pytest.approx(0.04 / 2**0.5)
    # That scatter is no error of CHGNet, which its engine states.
    assert doc["uncertainty"] == pytest.approx(0.0446, abs=1e-4)
    assert "10.1038/s42256-023-00716-3" in doc["uncertainty_source"]
    for key, value in doc["energy_above_hull_at"].items():
        upper = doc["energy_above_hull_upper_at"][key]
        crosses = (value <= 0) != (upper <= 0)
        assert doc["open_at"][key] == (crosses or abs(value) < doc["uncertainty"])
        assert doc["probability_stable_at"][key] == pytest.approx(
            NormalDist().cdf(-value / doc["uncertainty"])
        )
    assert doc["previous_at"]["0K"]["reasons"] == ["new ordering"]


def test_without_a_random_ordering_there_is_no_upper_bound(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    for entry in list(stores.entries.query({"kind": "candidate"})):
        entry.pop("_id")
        series = {"electrostatic": [entry["ordering_id"]]}
        stores.entries.update(entry | {"ordering_series": series})
    chain.asks_for(electrostatic=1)
    run_later_builders(chain)
    for doc in stores.summary.query({}):
        assert doc["energy_above_hull_upper_at"] == {}
        assert doc["n_random_orderings"] == 0


def test_an_ordering_of_a_small_cell_is_no_upper_bound(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    for entry in list(stores.entries.query({"kind": "candidate"})):
        entry.pop("_id")
        assert SMALL_CELL not in entry["flags"]
        stores.entries.update(entry | {"flags": [SMALL_CELL]})
    run_later_builders(chain)
    for doc in stores.summary.query({}):
        assert doc["energy_above_hull_upper_at"] == {}
        assert doc["n_random_orderings"] == 0
        assert doc["lowest_ordering_kind"] == "small_cell"
        assert SMALL_CELL in doc["flags"]


def test_energy_and_entropy_belong_to_what_the_cell_holds(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    entry = stores.entries.query_one({"kind": "candidate", "elements": {"$ne": "F"}})
    entry.pop("_id")
    entry["deviation"] = {"Mn": "1/10", "Ti": "-1/10"}
    entry["assignment"] = {
        "cation": {"Li+": "6/5", "Mn3+": "1/2", "Ti4+": "3/10"},
        "anion": {"O2-": "2"},
    }
    stores.entries.update(entry, key="entry_id")
    run_later_builders(chain)
    name = entry["candidate_id"]
    record = stores.thermo.query_one({"candidate_id": name, "temperature": 0.0})
    assert record["result"]["formula"] == "Li1.2Mn0.5Ti0.3O2"
    cation = record["result"]["entropy_terms"]["terms"][0]["fractions"]
    assert cation == {"Li": "3/5", "Mn": "1/4", "Ti": "3/20"}
    doc = summary_of(stores, name)
    assert doc["formula"] == "Li1.2Mn0.4Ti0.4O2"
    assert doc["calculated_formula"] == "Li1.2Mn0.5Ti0.3O2"
    assert doc["deviation"] == pytest.approx(0.1)
    assert doc["deviation_by_element"] == {"Mn": "1/10", "Ti": "-1/10"}
    assert "cell of another composition" in doc["flags"]


def test_the_cells_nearest_to_the_candidate_count(chain: Chain, stores: Stores) -> None:
    chain.asks_for(sqs=2)
    chain.run()
    name = add_ordering(stores, "sqs", -9.0, "far")
    far = stores.entries.query_one({"entry_id": "far"})
    far.pop("_id")
    far["deviation"] = {"Mn": "1/10", "Ti": "-1/10"}
    stores.entries.update(far, key="entry_id")
    run_later_builders(chain)
    doc = summary_of(stores, name)
    assert doc["energy_per_atom"] == pytest.approx(-2.4)
    assert "orderings of other compositions left out" in doc["flags"]


def test_another_correction_scheme_does_not_enter_the_hull(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    entry = stores.entries.query_one({"kind": "candidate"})
    entry.pop("_id")
    entry["energy"]["correction_scheme"] = "another one"
    stores.entries.update(entry, key="entry_id")
    run_later_builders(chain)
    record = stores.thermo.query_one({"candidate_id": entry["candidate_id"]})
    assert record["state"] == "failed"
    assert "2 calculators or correction schemes" in record["error"]
    assert record["previous"]["label"] in {"GS", "LS", "US"}
    assert stores.summary.count() == 1


def test_a_correction_change_says_so(chain: Chain, stores: Stores) -> None:
    chain.run()
    for entry in list(stores.entries.query({})):
        entry.pop("_id")
        energy = entry["energy"]
        energy["energy_per_atom"] -= 0.1
        energy["adjustments"] = [
            {"name": "x", "value": -0.1 * energy["n_atoms"], "reason": "test"}
        ]
        energy["package_versions"] = {"corrections": "next"}
        stores.entries.update(entry, key="entry_id")
    run_later_builders(chain)
    for doc in stores.summary.query({}):
        assert doc["previous_at"]["0K"]["reasons"] == ["correction change"]


def test_a_broken_task_is_a_rejected_entry_and_the_night_goes_on(
    chain: Chain, stores: Stores
) -> None:
    task = stores.tasks.query_one({"metadata.step": "relax"})
    task["output"] = {"state": "lost"}
    stores.tasks.update(task, key=["uuid", "index"])
    reports = chain.run()
    assert reports["entries"].failed == 1
    entry = stores.entries.query_one({"entry_id": task["uuid"]})
    assert entry["state"] == "rejected"
    assert entry["reason"] == "the task cannot be read: KeyError: 'output'"
    assert stores.summary.count() == 1
    assert chain.run()["entries"].written == 0
    assert chain.run(retry_failed=True)["entries"].written == 1


@pytest.mark.parametrize("place", ["site", "structure"])
def test_a_task_that_names_a_foreign_module_is_rejected_and_imports_nothing(
    chain: Chain,
    stores: Stores,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    planted = PlantedModule(tmp_path, monkeypatch)
    task = stores.tasks.query_one({"metadata.step": "relax"})
    structure = task["output"]["structure"]
    if place == "site":
        structure["sites"][3]["properties"]["x"] = [planted.naming()]
    else:
        structure["properties"] = {"x": planted.naming("callable")}
    stores.tasks.update(task, key=["uuid", "index"])
    assert chain.run()["entries"].failed == 1
    entry = stores.entries.query_one({"entry_id": task["uuid"]})
    assert entry["state"] == "rejected"
    assert planted.name in entry["reason"]
    assert not planted.was_imported
    assert stores.summary.count() == 1


def test_only_the_final_task_of_an_ordering_counts(
    chain: Chain, stores: Stores
) -> None:
    task = stores.tasks.query_one({"metadata.step": "relax"})
    task.pop("_id")
    first = task | {
        "uuid": "first-of-two",
        "metadata": task["metadata"] | {"final": False},
    }
    stores.tasks.update(first, key=["uuid", "index"])
    reports = chain.run()
    assert reports["entries"].failed == 0
    assert stores.entries.count({"kind": "candidate"}) == 2


def test_an_edited_ordering_is_seen(chain: Chain, stores: Stores) -> None:
    chain.run()
    order = stores.tasks.query_one({"metadata.step": "order"})
    cells = order["output"]
    cells[0]["seed"] = 77
    stores.tasks.update(order, key=["uuid", "index"])
    assert chain.run()["entries"].written == 1
    assert stores.entries.count({"ordering_seed": 77}) == 1


def test_an_edited_candidate_is_seen(chain: Chain, stores: Stores) -> None:
    chain.run()
    doc = stores.candidates.query_one({})
    doc.pop("_id")
    doc["formula"] = f"{doc['formula']}F0"
    stores.candidates.update(doc, key="candidate_id")
    reports = chain.run()
    assert reports["thermo"].read == 4
    assert reports["thermo"].written == 2


def test_an_entry_without_a_task_body_names_what_is_missing() -> None:
    entry = candidate_entry(
        {
            "uuid": "u",
            "output": {},
            "metadata": {
                "candidate_id": "c",
                "content_key": "k",
                "calculation": {"engine": "chgnet"},
            },
        },
        None,
        "digest",
        series={},
    )
    assert entry.state is EntryState.REJECTED
    assert entry.formula is None
