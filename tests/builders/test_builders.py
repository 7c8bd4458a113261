"""Each builder alone: its three verbs, its documents, its way through JSON."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from monty.json import MontyDecoder, MontyEncoder

from hts_battery.builders.screening_builder import ScreeningBuilder, run_builder
from hts_battery.schemas.build import ThermoRecord
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.entry import EntryDoc
from hts_battery.schemas.summary import SummaryDoc, temperature_key
from hts_battery.thermo.entropy import KB_EV_PER_K, mixing_entropy

if TYPE_CHECKING:
    from conftest import Chain

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

NAMES = ("entries", "thermo", "summary")


def through_json(builder: ScreeningBuilder) -> ScreeningBuilder:
    text = json.dumps(builder, cls=MontyEncoder)
    back = json.loads(text, cls=MontyDecoder)
    assert type(back) is type(builder)
    assert json.loads(json.dumps(back, cls=MontyEncoder)) == json.loads(text)
    return back


def test_the_three_verbs_called_singly_do_what_the_run_does(
    chain: Chain, stores: Stores
) -> None:
    for name in NAMES:
        builder = chain.make(name)
        items = list(builder.get_items())
        groups = [builder.process_item(item) for item in items]
        assert groups
        # Neither reading nor processing writes.
        assert builder.target.count() == 0
        builder.update_targets(groups)
        made = sum(len(group["documents"]) for group in groups)
        assert builder.target.count() == made
    assert [chain.run()[name].written for name in NAMES] == [0, 0, 0]
    assert stores.summary.count() == 2


@pytest.mark.parametrize("size", [1, 3, 500])
def test_the_size_of_batches_changes_nothing(
    chain: Chain, stores: Stores, size: int
) -> None:
    for name in NAMES:
        builder = chain.make(name, batch_size=size)
        assert all(len(names) <= size for names in builder.batches("abcde"))
        report = run_builder(builder)
        assert report.written == builder.target.count()
    assert stores.summary.count() == 2


def test_each_builder_survives_json(chain: Chain, stores: Stores) -> None:
    for name in NAMES:
        back = through_json(chain.make(name))
        report = run_builder(back)
        assert report.written > 0
        for store in (*back.sources, *back.targets):
            store.close()
    assert [chain.run()[name].written for name in NAMES] == [0, 0, 0]
    assert stores.summary.count() == 2


def test_a_builder_that_travelled_judges_what_another_one_read(
    chain: Chain,
) -> None:
    # Distributed maggma workers rebuild a builder from JSON and only process items.
    chain.run()
    builder = chain.make("thermo")
    stored = list(builder.target.query({}))
    builder.target.remove_docs({})
    items = list(builder.get_items())
    worker = through_json(builder)
    worker.connect()
    made = [doc for item in items for doc in worker.process_item(item)["documents"]]
    worker.finalize()
    for doc in stored:
        doc.pop("_id")
    assert sorted(made, key=str) == sorted(stored, key=str)


def test_a_campaign_survives_json_inside_its_builder(chain: Chain) -> None:
    back = through_json(chain.make("thermo"))
    assert isinstance(back.campaign, CampaignSpec)
    assert back.campaign == chain.spec
    assert back.temperatures == (0.0, 1473.0)


def test_every_document_is_what_its_schema_says(chain: Chain, stores: Stores) -> None:
    chain.run()
    schemas = {"entries": EntryDoc, "thermo": ThermoRecord, "summary": SummaryDoc}
    for name, schema in schemas.items():
        for doc in getattr(stores, name).query({}):
            doc.pop("_id")
            assert schema.model_validate(doc).model_dump(mode="json") == doc


def test_an_entry_knows_its_ordering_and_its_relaxation(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    for task in stores.tasks.query({"metadata.step": "relax"}):
        entry = stores.entries.query_one({"entry_id": task["uuid"]})
        order = stores.tasks.query_one({"uuid": task["metadata"]["order_uuid"]})
        assert entry["ordering_seed"] == 3
        assert entry["ordering_score"] == order["output"][0]["score"]
        assert entry["content_key"] == task["metadata"]["content_key"]
        assert entry["relaxed"]["verdict"] == "kept"
        assert "ordering unknown" not in entry["flags"]
        assert entry["calculator"] == "chgnet fake"


def test_an_entry_whose_ordering_is_lost_says_so(chain: Chain, stores: Stores) -> None:
    stores.tasks.remove_docs({"metadata.step": "order"})
    chain.run()
    for doc in stores.summary.query({}):
        assert "ordering unknown" in doc["flags"]


def test_entropy_is_subtracted_exactly_and_sublattice_by_sublattice(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    sublattices = {
        "Li1.3Mn0.4Ti0.3O1.7F0.3": {
            "cation": {"Li": 0.65, "Mn": 0.2, "Ti": 0.15},
            "anion": {"O": 0.85, "F": 0.15},
        },
        "Li1.2Mn0.4Ti0.4O2": {
            "cation": {"Li": 0.6, "Mn": 0.2, "Ti": 0.2},
            "anion": {"O": 1.0},
        },
    }
    for doc in stores.summary.query({}):
        cold, entropy = doc["energy_above_hull"], doc["entropy"]
        for kelvin in (0.0, 1473.0):
            hot = doc["energy_above_hull_at"][temperature_key(kelvin)]
            assert hot == cold - kelvin * entropy
        occupied = sublattices[doc["formula"]]
        expected = mixing_entropy([(2, one) for one in occupied.values()], 4)
        assert entropy == pytest.approx(expected, rel=1e-12)
        terms = doc["entropy_by_sublattice"]
        assert set(terms) <= set(occupied)
        for name, term in terms.items():
            alone = 4 * mixing_entropy([(2, occupied[name])], 4)
            assert term == pytest.approx(alone, rel=1e-12)
        # The terms are per formula unit, the sum per atom.
        assert sum(terms.values()) / 4 == pytest.approx(entropy, rel=1e-12)
        assert entropy < 2 * KB_EV_PER_K
        mixing = None if cold <= 0 else pytest.approx(cold / entropy)
        assert doc["mixing_temperature"] == mixing


def test_a_decomposition_is_sorted_and_complete(chain: Chain, stores: Stores) -> None:
    chain.run()
    for doc in stores.summary.query({}):
        amounts = [phase["amount"] for phase in doc["decomposition"]]
        assert sum(amounts) == pytest.approx(1)
        assert all(first >= second for first, second in pairwise(amounts))
        assert doc["n_references"] > 3


def test_the_lowest_ordering_counts(chain: Chain, stores: Stores) -> None:
    task = stores.tasks.query_one({"metadata.step": "relax"})
    task.pop("_id")
    metadata = task["metadata"] | {"ordering_id": "second", "order_uuid": "lost"}
    lower = task | {"uuid": "a-second-ordering", "metadata": metadata}
    chain.asks_for(sqs=2)
    lower["output"]["output"]["energy"] = -2.5 * 40
    stores.tasks.update(lower, key=["uuid", "index"])
    chain.run()
    name = task["metadata"]["candidate_id"]
    summary = stores.summary.query_one({"candidate_id": name})
    assert summary["n_orderings"] == 2
    assert summary["energy_per_atom"] == pytest.approx(-2.5)
    records = list(stores.thermo.query({"candidate_id": name}))
    assert {record["entry_id"] for record in records} == {"a-second-ordering"}
