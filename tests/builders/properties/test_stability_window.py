"""Capacity, window and interfaces of candidates as properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.builders.properties.capacity import CapacityBuilder
from hts_battery.builders.properties.stability_window import StabilityWindowBuilder
from hts_battery.builders.property_builder import CandidateInputs, Value
from hts_battery.builders.registry import builder_named
from hts_battery.campaign.build import build, build_context
from hts_battery.compositions import load_space
from hts_battery.electrochemistry import capacity, stability_window
from hts_battery.query import ScreeningDatabase
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.electrochemistry import ElectrochemistryOptions, ElectrodeSpec

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.builders.stability import ReferenceHull
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec


@pytest.fixture
def cathode(small_campaign: Campaign) -> CandidateDoc:
    _, first = next(iter(small_campaign.members()))
    return CandidateDoc.model_validate(first.model_dump(mode="json"))


def counted(document: CandidateDoc, campaign: Campaign) -> dict[str, Value]:
    # Its values are made without a store.
    builder = object.__new__(CapacityBuilder)
    builder.campaign = campaign.spec
    found = CandidateInputs(document, (), (), (), None)
    return {one.name: one for one in builder.values(found)}


def test_a_cathode_says_how_much_of_its_capacity_is_from_oxygen(
    cathode: CandidateDoc, small_campaign: Campaign
) -> None:
    found = counted(cathode, small_campaign)
    expected = capacity(cathode.formula)
    assert found["capacity_carrier"].value == expected.carrier
    assert found["capacity_metal_redox"].value == expected.metal_redox
    assert found["capacity_oxygen_redox"].value == expected.oxygen_redox
    assert found["capacity_carrier"].notes == (
        "if every Li leaves; no other alkali metal",
        "ceilings: reachable",
    )


def test_an_electrolyte_has_none_and_says_so(
    project_root: Path, small_campaign: Campaign
) -> None:
    space = load_space(project_root / "workflows" / "campaigns" / "nasicon_2021.yaml")
    document = CandidateDoc.from_candidate(space[0])
    found = counted(document, small_campaign)
    assert {one.value for one in found.values()} == {None}
    assert found["capacity_carrier"].reason == (
        "nasicon without a metal that changes charge: no cathode"
    )


@pytest.mark.mongo
def test_windows_and_interfaces_are_asked_for_with_the_stability(
    ranked: Campaign, stores: Stores
) -> None:
    options = ElectrochemistryOptions(
        electrodes=(
            ElectrodeSpec(formula="Li"),
            ElectrodeSpec(formula="LiMnO2", voltage=3.0),
            ElectrodeSpec(formula="LiKrO2"),
        )
    )
    spec = ranked.spec.model_copy(update={"electrochemistry": options})
    build(spec, stores, temperatures=(0.0,))
    database = ScreeningDatabase(stores)
    fields = ["candidate_id", "window_reduction", "window_width", "capacity_carrier"]
    frame = database.to_frame("e_hull <= 100", fields=fields)
    assert len(frame) == 2
    assert (frame["window_reduction"] >= 0).all()
    assert (frame["capacity_carrier"] > 300).all()
    name = frame["candidate_id"][0]
    properties = {
        (doc["name"], str(doc["conditions"].get("electrode"))): doc
        for doc in stores.properties.query({"subject_id": name})
    }
    mutual = properties["interface_mutual", "None"]
    each = [properties["interface_mutual", el]["value"] for el in ("Li", "LiMnO2")]
    assert mutual["value"] == min(each) <= 0
    assert (
        "no reference phase for Kr"
        in (properties["interface_mutual", "LiKrO2"]["reason"])
    )
    reduction = properties["window_reduction", "None"]
    assert reduction["unit"] == "V"
    assert any("Li is open" in note for note in reduction["notes"])
    assert any("meV/atom above the hull" in note for note in reduction["notes"])
    # As by hand from the documents.
    record = stores.thermo.query_one({"candidate_id": name})
    hull = next(iter(_hulls(spec, stores).values())).hull
    window = stability_window(
        hull,
        record["result"]["formula"],
        record["result"]["energy_per_atom"],
        carrier="Li",
    )
    assert reduction["value"] == pytest.approx(window.reduction)


def _hulls(spec: CampaignSpec, stores: Stores) -> dict[str, ReferenceHull]:
    context = build_context(stores, [spec], (0.0,))
    builder = builder_named("stability_window").builder(context, spec)
    assert isinstance(builder, StabilityWindowBuilder)
    found, _ = builder.common()
    return found
