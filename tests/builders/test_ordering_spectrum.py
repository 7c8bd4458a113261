"""Properties from the spread of orderings: of one random sample, or null and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.builders.properties.ordering_spectrum import OrderingSpectrumBuilder
from hts_battery.builders.property_builder import CandidateInputs, Value
from hts_battery.schemas.build import OrderingEnergy, ThermoRecord
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.entry import EntryDoc
from hts_battery.schemas.fields import FIELDS
from hts_battery.schemas.structure import OrderingMethod
from hts_battery.schemas.thermo import OrderingKind
from hts_battery.thermo.ordering_spectrum import OrderingSpectrum

if TYPE_CHECKING:
    from builders.conftest import Chain

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo
DRAWN = (-2.40, -2.41, -2.43, -2.38, -2.42, -2.39, -2.40, -2.41)
SPREAD = OrderingSpectrum(DRAWN)


@pytest.fixture
def known(
    ranked: Campaign, stores: Stores
) -> tuple[OrderingSpectrumBuilder, CandidateInputs]:
    """Return the builder and what the small campaign knows of one candidate."""
    numbers = {OrderingMethod.RANDOM: 8}
    structure = ranked.spec.structure.model_copy(update={"n_orderings": numbers})
    builder = OrderingSpectrumBuilder(
        *(stores.members, stores.candidates, stores.entries),
        *(stores.thermo, stores.tasks, stores.properties),
        campaign=ranked.spec.model_copy(update={"structure": structure}),
        temperatures=(0.0,),
    )
    candidate = stores.candidates.query_one({"formula": "Li1.2Mn0.4Ti0.4O2"})
    name = candidate["candidate_id"]

    def docs(store: object, **criteria: object) -> list[dict[str, object]]:
        found = store.query({"candidate_id": name, **criteria})  # type: ignore[attr-defined]
        return [{k: v for k, v in doc.items() if k != "_id"} for doc in found]

    return builder, CandidateInputs(
        CandidateDoc.model_validate(docs(stores.candidates)[0]),
        tuple(map(EntryDoc.model_validate, docs(stores.entries))),
        tuple(map(ThermoRecord.model_validate, docs(stores.thermo))),
        (),
        None,
    )


def ordered(
    found: CandidateInputs,
    energies: tuple[float, ...],
    *,
    method: str = "random",
    kind: OrderingKind = OrderingKind.RANDOM,
    source: str | None = "small",
) -> tuple[OrderingEnergy, ...]:
    return tuple(
        OrderingEnergy(
            entry_id=found.entries[0].entry_id,
            source=source,
            method=method,
            kind=kind,
            energy_per_atom=energy,
            correction_per_atom=0.0,
            scheme="none",
        )
        for energy in energies
    )


def values(
    known: tuple[OrderingSpectrumBuilder, CandidateInputs],
    *orderings: OrderingEnergy,
) -> dict[str, Value]:
    builder, found = known
    records = tuple(
        record.model_copy(update={"orderings": orderings})
        for record in found.stabilities
    )
    said = list(builder.values(found._replace(stabilities=records)))
    assert {one.name for one in said} == set(builder.names)
    # The lowest temperature last, so that it is the one that stands.
    return {one.name: one for one in reversed(said)}


def test_a_random_sample_gives_all_numbers(
    known: tuple[OrderingSpectrumBuilder, CandidateInputs],
) -> None:
    _, found = known
    result = found.stabilities[0].result
    assert result is not None
    said = values(
        known,
        *ordered(found, DRAWN),
        *ordered(found, (-9.0,), method="sqs"),
        *ordered(found, (-9.0,), source="of another campaign"),
    )
    ability = said["entropy_forming_ability"]
    assert ability.value == pytest.approx(1 / SPREAD.standard_deviation)
    assert ability.uncertainty == pytest.approx(ability.value / 14**0.5)
    assert ability.n == 8
    assert ability.method == OrderingMethod.RANDOM
    assert "95% by the draws" in " ".join(ability.notes)
    mean = said["e_hull_boltzmann"]
    assert mean.conditions == {"temperature": 0.0}
    assert mean.value == pytest.approx(min(DRAWN) - result.hull_energy)
    descriptor = said["disordered_enthalpy_entropy"]
    expected = SPREAD.disordered_enthalpy_entropy(result.hull_energy)
    assert descriptor.value == expected.value
    assert descriptor.reason == expected.reason


def test_fewer_than_asked_for_says_so(
    known: tuple[OrderingSpectrumBuilder, CandidateInputs],
) -> None:
    said = values(known, *ordered(known[1], DRAWN[:6]))
    assert said["entropy_forming_ability"].value is not None
    assert "6 of 8 orderings" in " ".join(said["entropy_forming_ability"].notes)


def test_what_is_no_sample_is_null_with_its_reason(
    known: tuple[OrderingSpectrumBuilder, CandidateInputs],
) -> None:
    found = known[1]
    for orderings, says in (
        (ordered(found, DRAWN[:5]), "a spread needs 6"),
        (ordered(found, DRAWN, method="sqs"), "no ordering was drawn at random"),
        (ordered(found, DRAWN, method="electrostatic"), "electrostatic 8"),
        (ordered(found, DRAWN, kind=OrderingKind.SMALL_CELL), "too small"),
        ((), "there are none"),
    ):
        for one in values(known, *orderings).values():
            assert one.value is None
            assert says in str(one.reason)


def test_without_a_stability_the_failure_is_the_reason(
    known: tuple[OrderingSpectrumBuilder, CandidateInputs],
) -> None:
    builder, found = known
    failed = tuple(
        record.model_copy(
            update={"result": None, "error": "no hull", "state": "failed"}
        )
        for record in found.stabilities
    )
    for one in builder.values(found._replace(stabilities=failed)):
        assert one.reason == "no hull"
    for one in builder.values(found._replace(stabilities=())):
        assert one.reason == "no stability of it is known"


def test_the_chain_writes_nulls_that_can_be_asked_for(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    docs = list(stores.properties.query({"builder": "ordering_spectrum"}))
    assert {doc["name"] for doc in docs} == set(OrderingSpectrumBuilder.names)
    assert all("sqs 1" in doc["reason"] for doc in docs)
    declared = {field.name for field in FIELDS}
    assert set(OrderingSpectrumBuilder.names) <= declared
    assert chain.run()["ordering_spectrum"].written == 0
