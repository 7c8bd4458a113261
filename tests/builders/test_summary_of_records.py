"""One flat document of a candidate: what it takes over, and when it may not be made."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.builders.summary import (
    candidate_summary,
    cell_of,
    grouped_records,
    largest_deviation,
    same_cells,
    why_unmade,
)
from hts_battery.schemas.build import ThermoRecord
from hts_battery.schemas.candidate import Candidate, CandidateDoc
from hts_battery.schemas.entropy import EntropyOptions
from hts_battery.schemas.summary import SummaryDoc, temperature_key
from hts_battery.thermo.entropy import candidate_entropy
from hts_battery.thermo.hull import Hull
from hts_battery.thermo.stability import CandidateEnergy, stabilities

AMOUNTS = {"Li": Fraction(4, 3), "Ti": Fraction(2, 3), "O": Fraction(2)}
ASSIGNMENT = {
    "cation": {"Li+": Fraction(4, 3), "Ti4+": Fraction(2, 3)},
    "anion": {"O2-": Fraction(2)},
}
SITES = {"cation": Fraction(2), "anion": Fraction(2)}
CANDIDATE = Candidate("hedrx", AMOUNTS, sites=SITES, assignments=(ASSIGNMENT,))
DOCUMENT = CandidateDoc.from_candidate(CANDIDATE)
TEMPERATURES = (0.0, 300.0, 1473.0)


def records(**changes: Any) -> list[ThermoRecord]:  # noqa: ANN401 - any field
    hull = Hull(
        ["Li", "Ti", "O2", "Li2O", "TiO2"],
        [-1.9, -7.8, -4.9, -4.8, -8.8],
        ids=["Li", "Ti", "O2", "Li2O", "TiO2"],
    )
    energy = CandidateEnergy(
        candidate_id=CANDIDATE.candidate_id,
        formula=CANDIDATE.formula,
        energy_per_atom=-7.0,
        entropy=candidate_entropy(CANDIDATE, EntropyOptions()),
    )
    (found,) = stabilities(
        [energy], hull, calculator="fake 1", temperatures=TEMPERATURES
    )
    assert isinstance(found, tuple)
    fields = {
        "campaign": "one",
        "candidate_id": CANDIDATE.candidate_id,
        "state": "successful",
        "entry_id": "e",
        "engine": "fake",
        "options_digest": "o",
        "code_version": "1",
        "input_digest": "i",
    } | changes
    return [
        ThermoRecord(temperature=result.temperature, result=result, **fields)
        for result in found
    ]


def summary(*made: ThermoRecord, same_cell_as: str | None = None) -> SummaryDoc:
    return candidate_summary(
        DOCUMENT, list(made), digest="d", same_cell_as=same_cell_as
    )


def test_each_temperature_has_its_number_and_the_rest_is_said_once() -> None:
    made = records()
    found = summary(*made)
    keys = [temperature_key(kelvin) for kelvin in TEMPERATURES]
    assert list(found.energy_above_hull_at) == keys
    assert list(found.label_at) == list(found.open_at) == keys
    results = [one.result for one in made]
    for key, result in zip(keys, results, strict=True):
        assert result is not None
        assert found.energy_above_hull_at[key] == result.energy_above_hull
        assert found.label_at[key] is result.label
    first = results[0]
    assert first is not None
    for name in (
        *("calculator", "energy_per_atom", "uncertainty", "entropy", "decomposition"),
        *("mixing_temperature", "n_references", "excluded_references"),
        *("hull_version", "hull_depth_risk", "hull_depth_reason"),
    ):
        assert getattr(found, name) == getattr(first, name), name
    assert found.energy_above_hull == first.energy_above_hull_0k
    # Nobody gave an error, and no ordering is random: nothing is made up.
    assert found.probability_stable_at == found.energy_above_hull_upper_at == {}


def test_what_is_looked_up_is_that_of_the_candidate() -> None:
    found = summary(*records())
    assert found.formula == "Li2TiO3"
    assert found.chemical_system == "Li-O-Ti"
    assert found.element_keys == ("Li", "O", "Ti")  # carriers and anions make no pair
    assert found.species == ("Li+", "O2-", "Ti4+")
    assert found.n_metals == 1
    assert found.roles["charge_carrier"] == ("Li",)
    assert (found.deviation, found.same_cell_as) == (0.0, None)
    assert SummaryDoc.model_validate_json(found.model_dump_json()) == found


def test_a_cell_that_deviates_says_by_how_much_and_whose_it_is() -> None:
    deviation = {"Li": Fraction(-1, 20), "Ti": Fraction(1, 80)}
    found = summary(*records(deviation=deviation), same_cell_as="other")
    assert found.deviation == 0.05
    assert found.deviation_by_element == deviation
    assert found.same_cell_as == "other"


def test_without_a_result_there_is_nothing_to_summarise() -> None:
    failed = records()[0].model_copy(update={"result": None, "state": "failed"})
    with pytest.raises(ValueError, match="no successful record"):
        summary(failed)


@pytest.mark.parametrize(
    ("known", "wanted", "says"),
    [
        ({0.0: ("i", "h")}, [0.0], None),
        ({}, [0.0, 300.0], "not assessed at 0, 300 K"),
        ({0.0: ("i", "h"), 300.0: ("i", "h")}, [0.0], "still assessed at 300 K"),
        (
            {0.0: ("i", "h"), 300.0: ("i", "g")},
            [0.0, 300.0],
            "different hulls: h at 0 K, g at 300 K",
        ),
        (
            {0.0: ("i", "h"), 300.0: ("j", "h")},
            [0.0, 300.0],
            "different inputs at different temperatures",
        ),
        ({0.0: ("i", None)}, [0.0], None),
    ],
)
def test_when_records_are_not_one_summary(
    known: dict[float, tuple[str, str | None]], wanted: list[float], says: str | None
) -> None:
    found = why_unmade(known, wanted)
    assert (found is None) is (says is None)
    if says is not None:
        assert found is not None
        assert says in found


def test_a_candidate_that_failed_anywhere_is_in_no_group() -> None:
    rows = [
        {"candidate_id": name, "temperature": kelvin, "state": state}
        | {"input_digest": "i", "hull_version": "h"}
        for name, kelvin, state in (
            ("a", 0.0, "successful"),
            ("a", 300.0, "successful"),
            ("b", 0.0, "successful"),
            ("b", 300.0, "failed"),
        )
    ]
    assert grouped_records(rows) == {"a": {0.0: ("i", "h"), 300.0: ("i", "h")}}
    assert grouped_records(reversed(rows)) == grouped_records(rows)


SHIFTS = st.fractions(Fraction(-1, 2), Fraction(1, 2), max_denominator=40)


@given(SHIFTS)
def test_a_cell_is_named_by_what_it_holds(shift: Fraction) -> None:
    stored = {"family": "hedrx", "amounts": {el: str(n) for el, n in AMOUNTS.items()}}
    deviation = {"Li": str(shift), "Ti": str(-shift)} if shift else {}
    held = {"Li": AMOUNTS["Li"] + shift, "Ti": AMOUNTS["Ti"] - shift, "O": Fraction(2)}
    other = Candidate("hedrx", held, sites=SITES, assignments=())
    assert cell_of(stored, deviation) == other.candidate_id  # type: ignore[arg-type] # as stored
    assert largest_deviation(deviation) == pytest.approx(abs(float(shift)))


@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.tuples(st.sampled_from("xyz"), SHIFTS), min_size=1
    )
)
def test_each_shared_cell_is_ranked_once(
    drawn: dict[str, tuple[str, Fraction]],
) -> None:
    cells = {name: cell for name, (cell, _) in drawn.items()}
    deviations = {name: {"Li": str(far)} for name, (_, far) in drawn.items()}
    found = same_cells(cells, deviations)
    ranked = set(cells) - set(found)
    assert {cells[name] for name in ranked} == set(cells.values())
    assert len(ranked) == len(set(cells.values()))
    for name, nearest in found.items():
        assert nearest in ranked
        assert cells[nearest] == cells[name]
        far = largest_deviation(deviations[nearest])
        assert far <= largest_deviation(deviations[name])
