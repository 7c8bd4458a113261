"""Columns answer as the server does on documents, or not at all."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from filter_meanings import SAME
from synthetic_summaries import CAMPAIGN, fill

from hts_battery.query import ScreeningDatabase
from hts_battery.query.columns import ColumnReader, in_order, is_column
from hts_battery.query.filters import filter_criteria
from hts_battery.query.query_fields import FIELDS, TEMPERATURE_FIELDS, query_field
from hts_battery.query.row_conditions import matching, without_keys
from hts_battery.query.selection import fields_of, selected_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hts_battery.connections.database.stores import Stores

RAW: list[dict[str, Any]] = [
    {"n_metals": {"$in": [4, 5]}, "flags": {"$size": 0}},
    {"$or": [{"n_metals": 4}, {"elements": {"$all": ["Mn", "Ti"]}}]},
    {"$nor": [{"n_metals": 4}, {"flags": "releases gas"}]},
    {"elements": {"$nin": ["Mn", "W"]}, "mixing_temperature": None},
    {"roles.redox_centre": {"$exists": False}},
    {
        "roles.charge_carrier": {"$exists": True},
        "mixing_temperature": {"$exists": True},
    },
    {"elements": {"$elemMatch": {"$gte": "V", "$lt": "Y"}}},
    {"elements": {"$not": {"$elemMatch": {"$nin": ["Li", "O", "F", "Mn", "Al"]}}}},
    {"formula": {"$regex": "^Li1\\.2"}, "label_at.1473K": {"$ne": "US"}},
    {"mixing_temperature": {"$not": {"$gt": 900}}},
    {"mixing_temperature": {"$lte": None}},
    {"ordering_spread": {"$gt": 0}},
    {"n_metals": {"$gt": "4"}},
    {"n_metals": True},
    {"n_metals": {"$in": [True, 4]}},
    {"family": {"$in": [None, "hedrx"]}},
    {"campaign": {"$ne": "other"}, "energy_above_hull": {"$gt": 0.05, "$lt": 0.06}},
    {"campaign": "other"},
    {"element_keys": {"$in": ["Mn", "W"]}},
]


def keys_of(stores: Stores, criteria: Mapping[str, Any]) -> set[str]:
    """Ask the server."""
    found = stores.summary.collection.find(dict(criteria), {"candidate_id": 1})
    return {doc["candidate_id"] for doc in found}


@pytest.mark.mongo
def test_a_filter_means_the_same_on_columns(stores: Stores) -> None:
    fill(stores, 300)
    columns = ColumnReader(stores)
    texts = [text for text in SAME if "decomposition" not in text]
    draw = random.Random(3)  # noqa: S311 - no secret
    for _ in range(40):
        first, second = draw.sample([text for text in texts if text], 2)
        join = draw.choice(["AND", "OR", "AND NOT", "OR NOT"])
        texts.append(f"({first}) {join} ({second})")
    for criteria in (*map(filter_criteria, texts), *RAW):
        rows = columns.rows(criteria, ["candidate_id"])
        assert rows is not None, criteria
        found = [row["candidate_id"] for row in rows]
        assert set(found) == keys_of(stores, criteria), criteria
        assert len(found) == len(set(found))


@pytest.mark.mongo
def test_a_table_has_what_the_documents_have(stores: Stores) -> None:
    fill(stores, 300)
    fill(stores, 40, campaign="second", shift=0.01)
    screening = ScreeningDatabase(stores)
    names = screening.default_fields()
    chosen = fields_of(names)
    for text, options in (
        ("", {}),
        ("", {"limit": 7}),
        # T_mix is the same in both campaigns, and equal ones have no order.
        ('campaign = "second"', {"sort": ["-t_mix"], "limit": 30}),
        ('campaign = "synthetic"', {"sort": ["t_mix", "-formula"]}),
        ('campaign = "second" AND t_mix > 300', {"sort": ["n_metals", "-e_hull"]}),
        ('elements HAS ALL "Mn","Ti"', {}),
        ('decomposition HAS "LiF"', {"limit": 4}),
    ):
        docs = list(screening.find(text, **options))  # type: ignore[arg-type]
        assert docs
        shown = screening.table(text, **options)  # type: ignore[arg-type]
        assert shown == selected_rows(docs, chosen), text
        assert screening.count(text) >= len(docs)
    every = list(screening.find(fields=["decomposition", "formula"], limit=3))
    assert all(row["decomposition"] for row in every)
    assert dict(screening.distinct("n_metals"))[4] == sum(
        doc["n_metals"] == 4 for doc in screening.find()
    )


@pytest.mark.mongo
def test_what_is_not_whole_is_not_used(stores: Stores) -> None:
    fill(stores, 30)
    columns = ColumnReader(stores)
    assert len(columns.rows({}, ["formula"]) or ()) == 30
    assert columns.rows({"decomposition.formula": "LiF"}, ["formula"]) is None
    assert columns.rows({"element_keys": {"$ne": "Mn"}}, ["formula"]) is None
    # Another build has begun to replace them.
    stores.aggregates.collection.update_one({}, {"$set": {"input_digest": "later"}})
    assert columns.rows({}, ["formula"]) is None
    screening = ScreeningDatabase(stores)
    assert len(screening.table(fields=["formula"])) == screening.count() == 30
    assert sum(n for _, n in screening.distinct("family")) == 30
    assert sum(one.n_candidates for one in screening.group("n-metals")) == 30
    stores.aggregates.remove_docs({})
    assert columns.rows({}, ["formula"]) is None
    assert len(screening.table(fields=["formula"])) == 30


@pytest.mark.mongo
def test_columns_follow_the_summaries(stores: Stores) -> None:
    fill(stores, 30)
    before = ColumnReader(stores).rows({}, ["candidate_id"])
    fill(stores, 31)
    after = ColumnReader(stores).rows({}, ["candidate_id"])
    assert before is not None
    assert after is not None
    assert len(after) == len(before) + 1
    versions = stores.summary_columns.distinct("version", {"campaign": CAMPAIGN})
    assert len(versions) == 1


def test_every_field_but_the_decomposition_is_a_column() -> None:
    names = (*FIELDS, *(f"{name}_1473" for name in TEMPERATURE_FIELDS))
    missing = {name for name in names if not is_column(query_field(name).path)}
    assert missing == {"decomposition"}
    assert not is_column("element_keys")
    assert not is_column("roles")


def test_the_unknown_is_the_lowest() -> None:
    rows = [{"a": 2, "b": "x"}, {"a": None, "b": "y"}, {"a": 2, "b": "a"}]
    found = in_order(rows, {"a": 1, "b": -1})
    assert [(row["a"], row["b"]) for row in found] == [(None, "y"), (2, "x"), (2, "a")]


def test_keys_of_elements_become_elements() -> None:
    assert without_keys({"element_keys": "Ti-Mn"}) is None
    assert without_keys({"element_keys": "Li-Mn"}) is None
    assert without_keys({"$or": [{"element_keys": "Ti-Mn"}, {"a": 1}]}) is None
    found = without_keys({"$or": [{"element_keys": "Mn"}, {"elements": "O"}]})
    assert found is not None
    columns = {"elements": [["Mn"], ["O"], ["Li"]]}
    assert matching(found, columns, range(3)) == [0, 1]
