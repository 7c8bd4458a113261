"""Percolation of candidates as properties: values, doubts, and the filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.builders.properties.percolation import PercolationBuilder
from hts_battery.builders.property_builder import CandidateInputs, Value
from hts_battery.compositions import load_space
from hts_battery.query import ScreeningDatabase
from hts_battery.schemas.candidate import CandidateDoc

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores


def said(builder: PercolationBuilder, document: CandidateDoc) -> dict[str, Value]:
    found = CandidateInputs(document, (), (), (), None)
    return {one.name: one for one in builder.values(found)}


@pytest.fixture(scope="module")
def builder() -> PercolationBuilder:
    # Its values are made without a store.
    return object.__new__(PercolationBuilder)


@pytest.fixture(scope="module")
def document(project_root: Path) -> CandidateDoc:
    spaces = project_root / "workflows" / "spaces"
    space = load_space(spaces / "nasicon_grid.yaml")
    return CandidateDoc.from_candidate(space[0])


@pytest.mark.physics
def test_a_rock_salt_says_how_much_of_its_lithium_percolates(
    builder: PercolationBuilder, small_campaign: Campaign
) -> None:
    _, first = next(iter(small_campaign.members()))
    document = first.model_copy(
        update={"amounts": {"Li": "6/5", "Mn": "2/5", "Ti": "2/5", "O": 2}}
    )
    document = CandidateDoc.model_validate(document.model_dump(mode="json"))
    found = said(builder, document)
    assert tuple(found) == builder.names
    share = found["accessible_li"]
    assert share.value == pytest.approx(0.711, abs=0.01)
    assert (share.n, share.seed) == (60, 0)
    assert 0 < (share.uncertainty or 0) < 0.01
    assert found["accessible_li_amount"].value == pytest.approx(1.2 * share.value)
    threshold, excess = found["percolation_threshold"], found["percolation_excess"]
    error = 4 * (threshold.uncertainty or 0)
    assert threshold.value == pytest.approx(1.0862 / 2, abs=error)
    assert excess.value == pytest.approx(1.2 - 1.0862, abs=2 * error)
    assert found["wrap_probability"].value == 1
    assert "0tm, 60 cells of 32,000 sites" in share.notes[0]
    assert "short-range order" in share.notes[-1]
    without = document.model_copy(update={"amounts": {"Mn": 1, "O": 1}})
    nothing = said(builder, without)["accessible_li"]
    assert (nothing.value, nothing.notes[1]) == (0, "no Na in it")
    elsewhere = document.model_copy(update={"family": "perovskite"})
    assert {one.value for one in said(builder, elsewhere).values()} == {None}


def test_near_the_threshold_the_mean_is_of_two_kinds_of_cells(
    builder: PercolationBuilder, document: CandidateDoc
) -> None:
    amounts = {"Li": "543/500", "Mn": "457/500", "O": 2}
    near = document.model_dump(mode="json") | {"amounts": amounts, "family": "hedrx"}
    found = said(builder, CandidateDoc.model_validate(near))
    assert 0 < found["wrap_probability"].value < 1
    assert "of two kinds of cells" in found["accessible_li"].notes[1]


def test_sodium_of_a_nasicon(
    builder: PercolationBuilder, document: CandidateDoc
) -> None:
    amounts = {"Na": 3, "Zr": 2, "Si": 2, "P": 1, "O": 12}
    full = document.model_dump(mode="json") | {"amounts": amounts}
    found = said(builder, CandidateDoc.model_validate(full))
    assert found["accessible_li"].value > 0.99
    assert found["percolation_threshold"].value == pytest.approx(0.2488, abs=0.01)
    assert "Na on nasicon" in found["accessible_li"].notes[0]


@pytest.mark.mongo
def test_it_is_asked_for_with_the_stability(ranked: Campaign, stores: Stores) -> None:
    assert ranked.spec.name == "small"
    database = ScreeningDatabase(stores)
    fields = ["candidate_id", "accessible_li", "e_hull_1473"]
    frame = database.to_frame("e_hull <= 10", fields=fields)
    right = frame[(frame["accessible_li"] >= 0.5) & (frame["e_hull_1473"] <= 0)]
    found = database.find("accessible_li >= 0.5 AND e_hull_1473 <= 0")
    assert {doc["candidate_id"] for doc in found} == set(right["candidate_id"])
    assert frame["accessible_li"].between(0, 1).all()
