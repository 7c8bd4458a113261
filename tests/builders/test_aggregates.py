"""Rankings and counts of whole campaigns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from synthetic_summaries import (
    CAMPAIGN,
    TEMPERATURES,
    campaign_spec,
    fill,
    synthetic_summaries,
)

from hts_battery.builders.aggregates import campaign_aggregate, ranking_blocks
from hts_battery.builders.screening_builder import run_builder
from hts_battery.campaign.build import build, campaign_builder
from hts_battery.schemas.aggregate import (
    BLOCK_SIZE,
    AggregateDoc,
    ColumnBlock,
    RankingBlock,
)
from hts_battery.schemas.summary import element_pairs

if TYPE_CHECKING:
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.build import BuildReport

ROWS = list(synthetic_summaries(1_234))


def aggregate(rows: list[dict[str, Any]]) -> AggregateDoc:
    return campaign_aggregate(
        CAMPAIGN, rows, temperatures=TEMPERATURES, digest="digest"
    )


def test_a_ranking_is_every_candidate_once_in_order() -> None:
    blocks = ranking_blocks(CAMPAIGN, ROWS, temperature=1473.0)
    assert [block.first_rank for block in blocks] == [1, 501, 1001]
    assert [len(block.energies) for block in blocks] == [BLOCK_SIZE, BLOCK_SIZE, 234]
    energies = [energy for block in blocks for energy in block.energies]
    names = [name for block in blocks for name in block.candidate_ids]
    expected = sorted(
        (row["energy_above_hull_at"]["1473K"], row["candidate_id"]) for row in ROWS
    )
    assert list(zip(energies, names, strict=True)) == expected
    for block in blocks:
        assert (block.lowest, block.highest) == (block.energies[0], block.energies[-1])


def test_one_candidate_that_moves_changes_the_blocks_between_its_places() -> None:
    before = ranking_blocks(CAMPAIGN, ROWS, temperature=0.0)
    first = before[0].candidate_ids[0]
    moved = [
        row
        | (
            {"energy_above_hull_at": {"0K": before[1].lowest, "1473K": 0.0}}
            if row["candidate_id"] == first
            else {}
        )
        for row in ROWS
    ]
    after = ranking_blocks(CAMPAIGN, moved, temperature=0.0)
    same = [
        old.input_digest == new.input_digest
        for old, new in zip(before, after, strict=True)
    ]
    assert same[2]
    assert not same[0]


def test_counts_are_those_of_the_summaries() -> None:
    found = aggregate(ROWS)
    assert found.n_candidates == len(ROWS)
    for key in ("0K", "1473K"):
        energies = [row["energy_above_hull_at"][key] for row in ROWS]
        stable = sum(energy <= 0 for energy in energies)
        assert sum(found.labels[key].values()) == len(ROWS)
        assert len(ROWS) - found.labels[key].get("US", 0) == stable
        histogram = found.histograms[key]
        assert sum(histogram.counts) == len(ROWS)
        assert histogram.first_edge <= min(energies)
        last = histogram.first_edge + histogram.width * len(histogram.counts)
        assert max(energies) < last + 1e-12
        by_metals = found.n_metals.values()
        assert sum(group.n_candidates for group in by_metals) == len(ROWS)
        assert sum(group.n_stable[key] for group in by_metals) == stable
        assert min(group.lowest[key] for group in by_metals) == min(energies)
    both = [row for row in ROWS if {"Mn", "Ti"} <= set(row["elements"])]
    pair = found.pairs["Mn-Ti"]
    assert pair.n_candidates == len(both)
    assert pair.n_stable["1473K"] == sum(
        row["energy_above_hull_at"]["1473K"] <= 0 for row in both
    )
    assert "Li-Mn" not in found.pairs
    assert found.elements["Li"].n_candidates == len(ROWS)
    assert found.flags == {"releases gas": sum(bool(row["flags"]) for row in ROWS)}


def test_more_are_stable_the_hotter_it_is() -> None:
    found = aggregate(ROWS)
    assert list(found.grid_stable) == sorted(found.grid_stable)
    cold = sum(row["energy_above_hull"] <= 0 for row in ROWS)
    assert found.grid_stable[0] == cold
    assert found.grid_temperatures[:2] == (0.0, 25.0)


def test_an_empty_campaign_adds_up_to_nothing() -> None:
    found = aggregate([])
    assert found.n_candidates == 0
    assert found.histograms["0K"].counts == ()
    assert ranking_blocks(CAMPAIGN, [], temperature=0.0) == []


def test_pairs_leave_out_what_every_candidate_holds() -> None:
    assert element_pairs(["Zr", "Na", "P", "Si", "O"]) == ("P-Si", "P-Zr", "Si-Zr")


def run(stores: Stores) -> BuildReport:
    return run_builder(
        campaign_builder("aggregates", campaign_spec(), stores, TEMPERATURES)
    )


@pytest.mark.mongo
def test_what_is_unchanged_is_not_written(stores: Stores) -> None:
    fill(stores, 40)
    again = run(stores)
    assert (again.read, again.unchanged, again.written) == (40, 40, 0)
    doc = next(synthetic_summaries(1))
    doc["energy_above_hull_at"]["1473K"] -= 1e-6
    doc["input_digest"] = "changed"
    stores.summary.update(doc, key=["campaign", "candidate_id"])
    # The aggregate, and the ranking of the one temperature.
    assert run(stores).written == 2
    assert run(stores).written == 0
    # Columns are copies: made again, and not counted.
    stores.summary_columns.remove_docs({"path": "formula"})
    assert run(stores).written == 1
    assert stores.summary_columns.count({"path": "formula"}) == 1
    # A build that died between blocks and aggregate is completed.
    stores.aggregates.remove_docs({})
    assert run(stores).written == 1
    stores.rankings.remove_docs({"temperature": 0.0})
    assert run(stores).written == 2
    stores.summary.remove_docs({})
    gone = run(stores)
    assert (gone.written, gone.removed) == (0, 3)
    assert stores.rankings.count() == stores.aggregates.count() == 0
    assert stores.summary_columns.count() == 0


@pytest.mark.mongo
def test_what_is_stored_is_what_the_schemas_say(
    ranked: Campaign, stores: Stores
) -> None:
    for store, schema in (
        (stores.rankings, RankingBlock),
        (stores.summary_columns, ColumnBlock),
        (stores.aggregates, AggregateDoc),
    ):
        docs = list(store.query({}))
        assert docs
        for doc in docs:
            doc.pop("_id")
            schema.model_validate(doc)
    reports = build(ranked.spec, stores, temperatures=(0.0,))
    assert reports["aggregates"].written == 0
