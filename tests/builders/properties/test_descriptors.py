"""Composition descriptors of candidates as properties."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from hts_battery.builders.properties.descriptors import DescriptorsBuilder
from hts_battery.builders.property_builder import CandidateInputs
from hts_battery.campaign.build import build
from hts_battery.compositions import load_space
from hts_battery.compositions.descriptors import composition_descriptors
from hts_battery.query import ScreeningDatabase
from hts_battery.schemas.candidate import Candidate, CandidateDoc
from hts_battery.schemas.property_fields.descriptors import FIELDS

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.builders.property_builder import Value
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores


def described(document: CandidateDoc) -> dict[str, Value]:
    # Its values are made without a store.
    builder = object.__new__(DescriptorsBuilder)
    found = CandidateInputs(document, (), (), (), None)
    return {one.name: one for one in builder.values(found)}


def test_every_declared_field_is_made_from_exact_amounts(project_root: Path) -> None:
    space = load_space(project_root / "workflows" / "campaigns" / "nasicon_2021.yaml")
    one = space[space.index("Na3HfScSi(PO6)2")]
    found = described(CandidateDoc.from_candidate(one))
    assert list(found) == list(DescriptorsBuilder.names)
    assert {spec.name for spec in FIELDS} == set(found)
    for name, value in composition_descriptors(one.formula).items():
        assert found[name].value == value
    assert found["metal_charge_mean"].value == 3.5
    assert found["metal_electronegativity_range"].value == pytest.approx(0.06)
    assert found["charge_compensator_distance"].value == 0
    assert found["ewald_energy"].reason == "no ordering of it is known"


def test_a_metal_without_a_radius_says_so() -> None:
    species = {"Na+": Fraction(2), "Fe6+": Fraction(1), "O2-": Fraction(4)}
    one = Candidate(
        "hedrx",
        {"Fe": Fraction(1), "Na": Fraction(2), "O": Fraction(4)},
        sites={"all": Fraction(7)},
        assignments=({"all": species},),
    )
    document = CandidateDoc.from_candidate(one)
    found = described(document)
    assert found["metal_radius_mean"].value is None
    assert found["metal_radius_mean"].reason == "no octahedral Shannon radius of Fe6+"
    assert found["metal_charge_mean"].value == 6


@pytest.mark.mongo
def test_they_are_asked_for_and_the_lowest_cell_has_its_ewald_energy(
    ranked: Campaign, stores: Stores
) -> None:
    build(ranked.spec, stores, temperatures=(0.0,))
    fields = ["candidate_id", "formula", "metal_radius_mean", "ewald_energy"]
    frame = ScreeningDatabase(stores).to_frame("ewald_energy < 0", fields=fields)
    assert len(frame) == 2
    entry = stores.entries.query_one({"candidate_id": frame["candidate_id"][0]})
    assert frame["ewald_energy"][0] == entry["electrostatic_energy"]
    known = composition_descriptors(frame["formula"][0])["metal_radius_mean"]
    assert frame["metal_radius_mean"][0] == known
    docs = {
        doc["name"]: doc["provenance"]
        for doc in stores.properties.query(
            {"builder": "descriptors", "subject_id": frame["candidate_id"][0]}
        )
    }
    assert docs["metal_radius_mean"]["calculator"] is None
    assert docs["metal_radius_mean"]["inputs"] == []
    assert docs["ewald_energy"]["inputs"] == [entry["entry_id"]]
