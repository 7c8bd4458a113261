"""Builders of properties: what is made again, removed, refused and left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from hts_battery.builders.property_builder import (
    CandidateInputs,
    PropertyBuilder,
    Value,
)
from hts_battery.builders.screening_builder import run_builder
from hts_battery.campaign.build import build_all, summary_table_builder
from hts_battery.query import ScreeningDatabase
from hts_battery.schemas.property import PropertyDoc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.build import BuildReport

pytestmark = pytest.mark.mongo
TEMPERATURES = (0.0, 1473.0)


class Planted(PropertyBuilder):
    """Says what a test wants it to."""

    name = "planted"
    names = ("alpha_LiM_1", "alpha_LiM_2")
    reads = ("entries", "thermo", "properties/local_structure")
    code_version = "1"
    said: ClassVar[list[Value]] = []
    seen: ClassVar[list[CandidateInputs]] = []
    error: ClassVar[Exception | None] = None

    def common(self) -> tuple[object, object]:
        return {"hull": 1}, "mark"

    def values(self, found: CandidateInputs) -> Iterator[Value]:
        self.seen.append(found)
        if self.error is not None:
            raise self.error
        yield from self.said


@pytest.fixture
def planted(ranked: Campaign, monkeypatch: pytest.MonkeyPatch) -> type[Planted]:
    assert ranked.spec.name == "small"
    monkeypatch.setattr(Planted, "said", [Value("alpha_LiM_1", 0.5, 0.1, n=2)])
    monkeypatch.setattr(Planted, "seen", [])
    return Planted


def ran(
    builder: type[PropertyBuilder], campaign: Campaign, stores: Stores
) -> BuildReport:
    return run_builder(
        builder(
            *(stores.members, stores.candidates, stores.entries),
            *(stores.thermo, stores.properties),
            campaign=campaign.spec,
            temperatures=TEMPERATURES,
        )
    )


def found(stores: Stores) -> list[PropertyDoc]:
    docs = stores.properties.query({"builder": "planted"}, sort={"property_id": 1})
    docs = [{k: v for k, v in doc.items() if k != "_id"} for doc in docs]
    return [PropertyDoc.model_validate(doc) for doc in docs]


def test_what_is_unchanged_is_left_and_what_is_whole_is_known(
    planted: type[Planted], ranked: Campaign, stores: Stores
) -> None:
    planted.said += [Value("alpha_LiM_2", reason="not known")]
    report = ran(planted, ranked, stores)
    assert (report.read, report.written, report.failed) == (2, 4, 0)
    one = planted.seen[0]
    assert one.common == {"hull": 1}
    assert len(one.stabilities) == 2
    assert [entry.kind for entry in one.entries] == ["candidate"]
    assert {doc.builder for doc in one.properties} == {"local_structure"}
    docs = found(stores)
    assert {doc.provenance.inputs for doc in docs} == {
        (entry.entry_id,) for inputs in planted.seen for entry in inputs.entries
    }
    assert {doc.unit for doc in docs} == {"1"}
    report = ran(planted, ranked, stores)
    assert (report.unchanged, report.written) == (2, 0)
    # As a kill between two writes leaves it.
    stores.properties.remove_docs({"property_id": docs[0].property_id})
    report = ran(planted, ranked, stores)
    assert (report.unchanged, report.written) == (1, 2)
    assert found(stores) == docs


def test_a_name_that_is_not_made_any_more_goes(
    planted: type[Planted],
    ranked: Campaign,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planted.said += [Value("alpha_LiM_2", 0.25)]
    ran(planted, ranked, stores)
    planted.said.pop()
    monkeypatch.setattr(planted, "code_version", "2")
    assert ran(planted, ranked, stores).written == 2
    assert {doc.name for doc in found(stores)} == {"alpha_LiM_1"}
    stores.members.remove_docs({"candidate_id": found(stores)[0].subject_id})
    assert ran(planted, ranked, stores).removed == 1
    assert len(found(stores)) == 1


def test_what_is_refused_becomes_a_null_with_its_reason(
    planted: type[Planted],
    ranked: Campaign,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planted, "error", ValueError("no lithium"))
    report = ran(planted, ranked, stores)
    assert (report.failed, report.written) == (2, 4)
    assert {(doc.value, doc.reason) for doc in found(stores)} == {(None, "no lithium")}
    monkeypatch.setattr(planted, "error", KeyError("a bug"))
    monkeypatch.setattr(planted, "code_version", "2")
    with pytest.raises(KeyError, match="a bug"):
        ran(planted, ranked, stores)


def test_a_property_at_temperatures_is_a_column_at_each(
    planted: type[Planted],
    ranked: Campaign,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build_all(stores, temperatures=TEMPERATURES)
    planted.said[:] = [
        Value("alpha_LiM_1", 0.7, conditions={"temperature": 300}),
        Value("alpha_LiM_1", 0.9, conditions={"temperature": 300, "carrier": "Na"}),
        Value("alpha_LiM_2", array=[1.0, 2.0]),
    ]
    ran(planted, ranked, stores)
    assert len({doc.property_id for doc in found(stores)}) == 6
    run_builder(summary_table_builder(stores, {"small": TEMPERATURES}))
    screening = ScreeningDatabase(stores)
    # Declared without temperature: what stands under one is no column of it.
    frame = screening.to_frame(fields=["alpha_LiM_1"])
    assert frame["alpha_LiM_1"].between(-1, 0.5).all()
    assert "alpha_LiM_1_300K" not in screening.to_frame().columns
    del monkeypatch


def test_a_builder_travels_to_other_processes(
    planted: type[Planted], ranked: Campaign, stores: Stores
) -> None:
    made = planted(
        *(stores.members, stores.candidates, stores.entries),
        *(stores.thermo, stores.properties),
        campaign=ranked.spec,
        temperatures=TEMPERATURES,
        batch_size=1,
    )
    plain = made.as_dict()
    assert plain["campaign"]["name"] == "small"  # type: ignore[index]
    assert plain["temperatures"] == list(TEMPERATURES)
    items = list(made.get_items())
    assert [len(item["inputs"]) for item in items] == [1, 1]
    docs = made.process_item(items[0])["documents"]
    assert docs[0]["value"] == 0.5
