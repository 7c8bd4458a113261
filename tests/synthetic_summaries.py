"""Summaries of thousands of candidates that nobody calculated, and their table."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from hts_battery.builders.screening_builder import run_builder
from hts_battery.campaign.build import summary_table_builder
from hts_battery.connections.database.content_digests import write_documents
from hts_battery.connections.database.indexes import ensure_index
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.candidate import candidate_id
from hts_battery.schemas.formula import canonical_formula, parse_formula
from hts_battery.schemas.species_table import species_properties
from hts_battery.schemas.summary import SummaryDoc, element_pairs
from hts_battery.thermo.estimates import probability_stable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hts_battery.connections.database.stores import Stores

CAMPAIGN = "synthetic"
TEMPERATURES = (0.0, 1473.0)
METALS = (
    *("Mg2+", "Al3+", "Sc3+", "Ti4+", "V3+", "Cr3+", "Mn3+", "Fe3+", "Co3+"),
    *("Ni3+", "Cu2+", "Zn2+", "Ga3+", "Y3+", "Zr4+", "Nb5+", "Mo4+", "In3+"),
    *("Sn4+", "Sb5+", "Hf4+", "Ta5+", "W6+"),
)
_BATCH = 250


def synthetic_summaries(
    count: int,
    *,
    campaign: str = CAMPAIGN,
    engine: str = "chgnet",
    shift: float = 0.0,
    metals: Sequence[str] = METALS,
) -> Iterator[dict[str, Any]]:
    """Yield summaries with 4 to 8 metals; the same candidates every time."""
    draw = random.Random(20252)  # noqa: S311 - no secret
    noise = random.Random(campaign)  # noqa: S311 - no secret
    seen: set[str] = set()
    while len(seen) < count:
        species = sorted(draw.sample(metals, 4 + len(seen) % 5))
        doc = _summary(draw, species, len(seen))
        cold = shift * noise.random()
        doc |= {
            "campaign": campaign,
            "engine": engine,
            "calculator": f"{engine} synthetic",
            "entry_id": f"entry-{campaign}-{len(seen)}",
            "input_digest": f"{campaign}-{len(seen)}-{shift}",
            "energy_above_hull": doc["energy_above_hull"] + cold,
            "energy_above_hull_at": {
                key: value + cold for key, value in doc["energy_above_hull_at"].items()
            },
        }
        if doc["candidate_id"] not in seen:
            seen.add(doc["candidate_id"])
            yield doc


def _summary(
    draw: random.Random, species: Sequence[str], number: int
) -> dict[str, Any]:
    fluorine = draw.choice((0, 1, 2, 3))
    parts = [draw.randint(1, 9) for _ in species]
    symbols = [name.rstrip("+0123456789") for name in species]
    metals = "".join(
        f"{symbol}{part / 100:g}" for symbol, part in zip(symbols, parts, strict=True)
    )
    anions = f"O{2 - fluorine / 10:g}" + (f"F{fluorine / 10:g}" if fluorine else "")
    formula = f"Li1.2{metals}{anions}"
    amounts = parse_formula(formula)
    elements = tuple(sorted(amounts))
    canonical = canonical_formula(amounts)
    cold = draw.uniform(-0.01, 0.13)
    entropy = draw.uniform(2e-5, 9e-5)
    at = {"0K": cold, "1473K": cold - 1473 * entropy}
    roles: dict[str, set[str]] = {"charge_carrier": {"Li"}, "anion": {"O"}}
    if fluorine:
        roles["anion"].add("F")
    for name, symbol in zip(species, symbols, strict=True):
        role = str(species_properties(name).role).replace(" ", "_")
        roles.setdefault(role, set()).add(symbol)
    labels = {
        key: "GS" if cold <= 0 else "LS" if value <= 0 else "US"
        for key, value in at.items()
    }
    phases = ("Li2O", "LiF", "MgO", "TiO2", "Mn2O3", "Fe2O3")
    return SummaryDoc(
        campaign=CAMPAIGN,
        candidate_id=candidate_id("hedrx", canonical),
        formula=formula,
        canonical_formula=canonical,
        family="hedrx",
        elements=elements,
        n_elements=len(elements),
        chemical_system="-".join(elements),
        element_keys=(*elements, *element_pairs(elements)),
        n_metals=len(species),
        species=tuple(sorted(["Li+", "O2-", *(["F-"] if fluorine else []), *species])),
        roles={role: tuple(sorted(found)) for role, found in sorted(roles.items())},
        engine="chgnet",
        calculator="chgnet synthetic",
        energy_per_atom=-6 + cold,
        energy_above_hull=cold,
        energy_above_hull_at=at,
        energy_above_hull_upper_at={key: value + 0.01 for key, value in at.items()},
        label_at=labels,
        open_at={
            key: abs(value) < 0.02 or (value <= 0 < value + 0.01)
            for key, value in at.items()
        },
        probability_stable_at={
            key: probability_stable(value, 0.02) for key, value in at.items()
        },
        uncertainty=0.02,
        uncertainty_source="synthetic",
        mixing="cations and anions, by element",
        other_mixing="cations only, by element",
        energy_above_hull_other_at={
            key: value + (0 if key == "0K" else 0.01) for key, value in at.items()
        },
        entropy=entropy,
        entropy_by_sublattice={"cation": 2 * entropy, "anion": 0.0},
        mixing_temperature=cold / entropy if cold > 0 else None,
        decomposition=[
            {
                "formula": phase,
                "reference_id": f"chgnet:{phase}",
                "amount": 1 / 3,
                "gas": False,
            }
            for phase in draw.sample(phases, 3)
        ],
        n_orderings=1,
        n_random_orderings=1,
        lowest_ordering_kind="random",
        ordering_spread=None,
        entry_id=f"entry-{number}",
        calculated_formula=formula,
        deviation=0.0,
        deviation_by_element={},
        same_cell_as=None,
        n_references=400,
        excluded_references=(),
        hull_version="synthetic-hull",
        flags=("releases gas",) if number % 11 == 0 else (),
        input_digest=str(number),
    ).model_dump(mode="json")


def campaign_spec(name: str = CAMPAIGN, engine: str = "chgnet") -> CampaignSpec:
    """Return the campaign that would have screened them."""
    return CampaignSpec(
        name=name,
        space={"name": name},
        selection={"method": "all"},
        engine=engine,
        temperatures=TEMPERATURES,
    )


def fill(
    stores: Stores,
    count: int,
    *,
    campaign: str = CAMPAIGN,
    engine: str = "chgnet",
    shift: float = 0.0,
    metals: Sequence[str] = METALS,
) -> None:
    """Write a campaign of synthetic summaries, its indexes and the table of them."""
    spec = campaign_spec(campaign, engine)
    for key in ("0K", "1473K"):
        ensure_index(stores, "summary", f"energy_above_hull_at.{key}")
        ensure_index(stores, "summary", "campaign", f"energy_above_hull_at.{key}")
    stores.campaigns.update(
        {"name": campaign, "spec": spec.model_dump(mode="json")}, key="name"
    )
    batch: list[dict[str, Any]] = []
    for doc in synthetic_summaries(
        count, campaign=campaign, engine=engine, shift=shift, metals=metals
    ):
        batch.append(doc)
        if len(batch) == _BATCH:
            write_documents(
                stores.summary, batch, ["campaign", "candidate_id"], known=()
            )
            batch = []
    if batch:
        write_documents(stores.summary, batch, ["campaign", "candidate_id"], known=())
    run_builder(summary_table_builder(stores, {campaign: TEMPERATURES}))
