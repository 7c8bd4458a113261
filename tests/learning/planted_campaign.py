"""A campaign of candidates with descriptors and a stability that follows a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from synthetic_summaries import CAMPAIGN, TEMPERATURES, fill

from hts_battery.builders.screening_builder import run_builder
from hts_battery.campaign.build import summary_table_builder
from hts_battery.compositions.candidate_descriptors import candidate_descriptors
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.property import (
    PropertyDoc,
    Provenance,
    SubjectKind,
    property_id,
)
from hts_battery.schemas.species import parse_species

if TYPE_CHECKING:
    from fractions import Fraction

    from hts_battery.connections.database.stores import Stores

METALS = (
    *("Mg2+", "Al3+", "Sc3+", "Ti4+", "Cr3+", "Mn3+", "Fe3+", "Ni3+"),
    *("Zn2+", "Y3+", "Zr4+", "Nb5+"),
)
EFFECT = 0.03
"""What yttrium adds to E_hull, eV/atom."""
SLOPE = 0.6
"""E_hull over the mean electronegativity of the metals, eV/atom."""
_MIDDLE = 1.5523
_SCATTER = 0.015


def plant(stores: Stores, count: int) -> None:
    """Fill a campaign: E_hull rises with the electronegativity, and with yttrium."""
    fill(stores, count, metals=METALS)
    random = np.random.default_rng(0)
    summaries, properties = [], []
    for doc in sorted(stores.summary.query({}), key=lambda doc: doc["entry_id"]):
        amounts = parse_formula(doc["formula"])
        species: dict[str, Fraction] = {
            one: amounts[parse_species(one).element] for one in doc["species"]
        }
        found = candidate_descriptors(species)
        mean = found["metal_electronegativity_mean"]
        assert isinstance(mean, float)
        energy = SLOPE * (mean - _MIDDLE) + EFFECT * (("Y" in amounts) - 0.5)
        energy += _SCATTER * float(random.normal())
        at = {"0K": energy, "1473K": energy - 1473 * doc["entropy"]}
        name = doc["candidate_id"]
        digest = {"input_digest": f"planted-{name}"}
        change = {"energy_above_hull": energy, "energy_above_hull_at": at}
        summaries.append({**doc, **change, **digest})
        properties += [
            property_of(name, field, value, len(found))
            for field, value in found.items()
        ]
    stores.summary.update(summaries, key="candidate_id")
    stores.properties.update(properties, key="property_id")
    rebuild(stores)


def rebuild(stores: Stores) -> None:
    """Make the table of summaries again."""
    run_builder(summary_table_builder(stores, {CAMPAIGN: TEMPERATURES}))


def property_of(
    name: str, field: str, value: float | str, siblings: int
) -> dict[str, object]:
    """Write one descriptor of a candidate as its builder does."""
    subject = (SubjectKind.CANDIDATE, name)
    where = {"campaign": CAMPAIGN, "builder": "descriptors", "name": field}
    return PropertyDoc(
        property_id=property_id(
            subject, campaign=CAMPAIGN, builder="descriptors", name=field, conditions={}
        ),
        subject_kind=SubjectKind.CANDIDATE,
        subject_id=name,
        **where,
        conditions={},
        value=None if isinstance(value, str) else value,
        unit="1",
        reason=value if isinstance(value, str) else None,
        provenance=Provenance(code_version="1", inputs=()),
        siblings=siblings,
        input_digest="planted",
    ).model_dump(mode="json")
