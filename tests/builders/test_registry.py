"""The registry of builders: order, what each is made from, who may read what."""

from __future__ import annotations

from dataclasses import replace
from graphlib import CycleError
from typing import TYPE_CHECKING

import pytest

from hts_battery.builders.registry import (
    BuilderSpec,
    ancestors,
    builder_named,
    builders,
    collections_of,
    in_order,
    property_builders,
)
from hts_battery.campaign.build import build_all
from hts_battery.connections.database.collection_specs import COLLECTIONS
from hts_battery.connections.database.roles import Role, privileges
from hts_battery.errors import ConfigurationError
from hts_battery.schemas.fields import PROPERTIES

if TYPE_CHECKING:
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

TEMPERATURES = (0.0, 1473.0)


def spec(name: str, reads: str, writes: str) -> BuilderSpec:
    whole = builder_named("entries")
    return replace(
        whole, name=name, reads=tuple(reads.split()), writes=tuple(writes.split())
    )


def test_each_comes_behind_those_that_write_what_it_reads() -> None:
    seen: set[str] = set()
    found = builders()
    every = {written for one in found for written in one.writes}
    for one in found:
        for read in one.reads:
            parts = {
                name for name in every if name == read or read == name.split("/")[0]
            }
            assert parts - set(one.writes) <= seen, one.name
        seen |= set(one.writes)
    assert found[0].name == "entries"
    assert found[-1].name == "summary_table"


def test_parts_of_a_collection_have_an_order() -> None:
    known = [
        spec("table", "properties", "table"),
        spec("learned", "properties/order", "properties/learned"),
        spec("order", "entries", "properties/order"),
        spec("entries", "tasks", "entries"),
    ]
    names = [one.name for one in in_order(known)]
    assert names == ["entries", "order", "learned", "table"]
    assert [one.name for one in ancestors(known[1], known)] == [
        "entries",
        "learned",
        "order",
    ]
    with pytest.raises(CycleError):
        in_order([spec("a", "y", "x"), spec("b", "x", "y")])


def test_what_builders_read_and_write_is_known_and_granted() -> None:
    known = {*COLLECTIONS, "blobs"}
    reads, writes = collections_of("reads"), collections_of("writes")
    assert {*reads, *writes} <= known
    granted = privileges(["voltages_raw"], ["voltages"])
    assert "insert" in granted[Role.BUILDER]["voltages"]
    assert "insert" not in granted[Role.BUILDER]["voltages_raw"]
    assert granted[Role.ANALYST]["voltages"] == ("find", "listIndexes", "collStats")
    assert "voltages" not in granted[Role.WORKER]
    assert "properties" in privileges(reads, writes)[Role.ANALYST]


def test_every_property_of_a_builder_is_declared() -> None:
    declared = {one.name for one in PROPERTIES}
    made = [name for one in property_builders() for name in one.names]
    assert set(made) == declared
    assert len(made) == len(set(made))


def test_an_unknown_builder_is_refused_with_all_names() -> None:
    with pytest.raises(
        ConfigurationError, match="no builder 'volts'; choose one of all"
    ):
        builder_named("volts")


@pytest.mark.mongo
def test_a_new_version_of_one_builder_runs_what_reads_from_it(
    ranked: Campaign, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ranked.spec.name == "small"
    build_all(stores, temperatures=TEMPERATURES)
    (local,) = [one for one in property_builders() if one.name == "local_structure"]
    monkeypatch.setattr(local, "code_version", "next")
    reports = build_all(stores, temperatures=TEMPERATURES)
    again = {name for name, report in reports.items() if report.written}
    # Its values are what they were, and the table with them.
    assert again == {"local_structure"}
    assert all(
        report.unchanged == report.read
        for name, report in reports.items()
        if name != "local_structure"
    )
    (version,) = stores.properties.distinct("provenance.code_version")
    assert version == "next"


@pytest.mark.mongo
def test_a_builder_without_its_packages_is_skipped_once_with_its_reason(
    ranked: Campaign,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert ranked.spec.name == "small"
    before = stores.properties.count()
    (local,) = [one for one in property_builders() if one.name == "local_structure"]
    monkeypatch.setattr(local, "requires", ("no_such_package",))
    monkeypatch.setattr(local, "extra", "disorder")
    monkeypatch.setattr(local, "code_version", "next")
    report = build_all(stores, temperatures=TEMPERATURES)["local_structure"]
    why = "no_such_package is not installed: pip install 'hts_battery[disorder]'"
    assert report.skipped == why
    assert caplog.text.count("local_structure is skipped") == 1
    assert stores.properties.count() == before
    monkeypatch.undo()
    report = build_all(stores, temperatures=TEMPERATURES)["local_structure"]
    assert report.skipped is None
    assert report.unchanged == report.read == 2
