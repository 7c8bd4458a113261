"""Simulated short-range order of candidates as properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.builders.properties.simulated_order import SimulatedOrderBuilder
from hts_battery.builders.property_builder import CandidateInputs, Value
from hts_battery.schemas.candidate import CandidateDoc

if TYPE_CHECKING:
    from hts_battery.campaign.spec_file import Campaign


def said(document: CandidateDoc, **changed: object) -> dict[str, Value]:
    builder = object.__new__(SimulatedOrderBuilder)  # its values need no store
    other = CandidateDoc.model_validate(document.model_dump(mode="json") | changed)
    found = CandidateInputs(other, (), (), (), None)
    return {one.name: one for one in builder.values(found)}


@pytest.fixture
def document(small_campaign: Campaign) -> CandidateDoc:
    return next(iter(small_campaign.members()))[1]


def test_fluorine_gathers_lithium(document: CandidateDoc) -> None:
    amounts = {"Li": "6/5", "Mn": "2/5", "Ti": "2/5", "O": "9/5", "F": "1/5"}
    found = said(document, amounts=amounts)
    assert tuple(found) == SimulatedOrderBuilder.names
    share = found["accessible_li_simulated"]
    assert share.value == pytest.approx(0.79, abs=0.05)
    assert (share.n, share.seed) == (4, 0)
    assert 0 < (share.uncertainty or 0) < 0.05
    assert "4 cells of 4,000 cations" in share.notes[0]
    assert "assumed" in share.notes[2]
    assert found["li4_fraction_simulated"].value > 0.6**4 + 0.05
    assert found["alpha_LiF_1_simulated"].value < -0.5
    assert found["alpha_LiM_1_simulated"].value > 0.05


def test_without_fluorine_it_is_the_random_limit(document: CandidateDoc) -> None:
    found = said(document, amounts={"Li": "6/5", "Mn": "2/5", "Ti": "2/5", "O": 2})
    assert found["accessible_li_simulated"].value == pytest.approx(0.711, abs=0.01)
    assert found["li4_fraction_simulated"].value == pytest.approx(0.6**4)
    assert found["alpha_LiF_1_simulated"].reason == "no fluorine in it"
    assert found["accessible_li_simulated"].notes[0] == "no fluorine: as at random"


def test_other_families_have_none(document: CandidateDoc) -> None:
    found = said(document, family="nasicon")
    assert {one.value for one in found.values()} == {None}
    assert "not for nasicon" in str(found["alpha_LiM_1_simulated"].reason)
