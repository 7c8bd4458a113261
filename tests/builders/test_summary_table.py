"""The table of summaries: written in parts, swapped in one write, remade in part."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synthetic_summaries import (
    CAMPAIGN,
    TEMPERATURES,
    campaign_spec,
    fill,
    synthetic_summaries,
)

from hts_battery.builders.screening_builder import run_builder
from hts_battery.builders.summary_table import LARGEST_PART, arrow_table, part_documents
from hts_battery.campaign.build import build_all, summary_table_builder
from hts_battery.query import ScreeningDatabase
from hts_battery.schemas.summary_table import (
    PART_ROWS,
    TableHead,
    TablePart,
    row_summary,
    table_row,
)

if TYPE_CHECKING:
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.build import BuildReport

MEGABYTE = 1_000_000


def built(stores: Stores, *names: str) -> BuildReport:
    campaigns = dict.fromkeys(names or (CAMPAIGN,), TEMPERATURES)
    return run_builder(summary_table_builder(stores, campaigns))


def parts_of(stores: Stores, campaign: str = CAMPAIGN) -> list[dict[str, Any]]:
    return list(stores.summary_table.query({"campaign": campaign}))


def head_of(stores: Stores) -> TableHead:
    doc = stores.summary_table.query_one({"part_id": "head"})
    doc.pop("_id")
    return TableHead.model_validate(doc)


def test_a_row_says_what_its_summary_says() -> None:
    for doc in synthetic_summaries(30):
        (row,) = arrow_table([table_row(doc)]).to_pylist()  # type: ignore[arg-type]
        found = row_summary(row)
        for name, value in found.items():
            if name == "amounts":
                assert sum(value.values()) > 3  # type: ignore[attr-defined]
            elif name == "decomposition":
                phases = [(one["formula"], one["amount"]) for one in doc[name]]
                assert [tuple(one.values()) for one in value] == phases  # type: ignore[attr-defined]
            else:
                assert value == doc[name], name
        missing = set(doc) - set(found)
        assert missing == {"element_keys", "excluded_references", "previous_at"}


@pytest.mark.mongo
def test_what_is_unchanged_is_not_written(stores: Stores) -> None:
    fill(stores, 40)
    first = head_of(stores)
    (part,) = parts_of(stores)
    TablePart.model_validate(
        {name: part[name] for name in part if name not in {"_id", "data"}}
    )
    report = built(stores)
    assert (report.read, report.unchanged, report.written) == (40, 40, 0)
    assert head_of(stores) == first
    # A part that is gone is noticed, though no summary has changed.
    stores.summary_table.remove_docs({"part_id": part["part_id"]})
    assert built(stores).written == 2
    assert parts_of(stores)[0]["data"] == part["data"]


@pytest.mark.mongo
def test_rows_of_unchanged_summaries_are_kept(stores: Stores) -> None:
    fill(stores, 40)
    before = pq.read_table(io.BytesIO(parts_of(stores)[0]["data"]))
    changed, gone = before["candidate_id"].to_pylist()[7:9]
    stores.summary.collection.update_one(
        {"candidate_id": changed}, {"$set": {"input_digest": "other", "n_metals": 99}}
    )
    # Not read again: its digest is the same.
    untouched = before["candidate_id"][0].as_py()
    stores.summary.collection.update_one(
        {"candidate_id": untouched}, {"$set": {"n_metals": 77}}
    )
    stores.summary.remove_docs({"candidate_id": gone})
    assert built(stores).written == 2
    (part,) = parts_of(stores)
    after = pq.read_table(io.BytesIO(part["data"]))
    assert len(after) == 39
    metals = dict(zip(*after.select(["candidate_id", "n_metals"]), strict=True))
    found = {key.as_py(): value.as_py() for key, value in metals.items()}
    assert found[changed] == 99
    assert found[untouched] != 77
    assert gone not in found


@pytest.mark.mongo
def test_a_campaign_is_swapped_beside_the_others(stores: Stores) -> None:
    fill(stores, 20)
    fill(stores, 10, campaign="second", shift=0.01)
    assert [one.n_rows for one in head_of(stores).campaigns] == [10, 20]
    screening = ScreeningDatabase(stores)
    assert screening.count() == 30
    stores.summary.remove_docs({"campaign": "second"})
    built(stores, "second")
    assert [one.campaign for one in head_of(stores).campaigns] == [CAMPAIGN]
    assert parts_of(stores, "second") == []
    assert len(parts_of(stores)) == 1
    assert screening.count() == 20


@pytest.mark.mongo
def test_readers_see_the_old_table_until_the_head_is_written(stores: Stores) -> None:
    fill(stores, 20)
    stores.summary.remove_docs(
        {"candidate_id": stores.summary.query_one({})["candidate_id"]}
    )
    builder = summary_table_builder(stores, {CAMPAIGN: TEMPERATURES})
    for item in builder.get_items():
        # As if killed before this write.
        assert ScreeningDatabase(stores).count() == 20
        builder.update_targets([builder.process_item(item)])
    assert ScreeningDatabase(stores).count() == 19
    assert len(parts_of(stores)) == 1


@pytest.mark.mongo
def test_a_killed_build_leaves_nothing_behind(stores: Stores) -> None:
    fill(stores, 20)
    stores.summary.remove_docs(
        {"candidate_id": stores.summary.query_one({})["candidate_id"]}
    )
    builder = summary_table_builder(stores, {CAMPAIGN: TEMPERATURES})
    first = next(iter(builder.get_items()))
    builder.update_targets([builder.process_item(first)])
    assert len(parts_of(stores)) == 2
    assert built(stores).written == 2
    assert len(parts_of(stores)) == 1


@pytest.mark.mongo
def test_a_table_older_than_the_summaries_is_said(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    stores.campaigns.update(
        {"name": CAMPAIGN, "spec": campaign_spec().model_dump(mode="json")}, key="name"
    )
    fill(stores, 5)
    assert ScreeningDatabase(stores).count() == 5
    assert "older than" not in caplog.text
    # Summaries that no stability vouches for are removed by the builder alone.
    build_all(stores, temperatures=TEMPERATURES, only="summary")
    assert ScreeningDatabase(stores).count() == 5
    assert "older than the summaries of run" in caplog.text
    assert "hts build summary-table" in caplog.text
    caplog.clear()
    build_all(stores, temperatures=TEMPERATURES, only="summary_table")
    assert ScreeningDatabase(stores).count() == 0
    assert "older than" not in caplog.text


def test_no_document_of_400_000_rows_nears_16_megabytes() -> None:
    rows = [table_row(doc) for doc in synthetic_summaries(500)]  # type: ignore[arg-type]
    small = arrow_table(rows)
    draw = random.Random(4)  # noqa: S311 - no secret
    sizes, total = [], 0
    for first in range(0, 400_000, PART_ROWS):
        table = pa.concat_tables([small] * (PART_ROWS // len(small)))
        # Nothing of this can be compressed; in truth every row differs, too.
        for name, digits in (("candidate_id", 20), ("entry_id", 32), ("formula", 40)):
            column = pa.array(
                [f"{draw.getrandbits(4 * digits):0{digits}x}" for _ in range(PART_ROWS)]
            )
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, column)
        for part in part_documents(CAMPAIGN, "v", first, table):
            sizes.append(len(part["data"]))  # type: ignore[arg-type]
            total += part["n_rows"]  # type: ignore[operator]
            assert part["first_row"] == total - part["n_rows"]  # type: ignore[operator]
    assert total == 400_000
    assert max(sizes) <= LARGEST_PART < 16 * MEGABYTE
