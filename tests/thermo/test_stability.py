from __future__ import annotations

import csv
import json
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from hts_battery.errors import MissingReferenceError
from hts_battery.schemas.candidate import Candidate
from hts_battery.schemas.entropy import EntropyConvention
from hts_battery.schemas.formula import canonical_formula, parse_formula
from hts_battery.schemas.thermo import (
    CompetitorKind,
    OrderingKind,
    StabilityLabel,
    StabilityOptions,
    ThermoDoc,
)
from hts_battery.thermo import (
    CandidateEnergy,
    Hull,
    HullContext,
    OtherCandidate,
    ReferenceFacts,
    candidate_entropy,
    mixing_temperature,
    nasicon_mixing_entropy,
    ordering_estimates,
    ordering_kind,
    stabilities,
    stability,
    stability_label,
)
from hts_battery.thermo.competing_phases import is_gas

if TYPE_CHECKING:
    from pathlib import Path

F = Fraction
CANDIDATE = Candidate(
    "hedrx",
    {"Li": F("1.2"), "Mn": F("0.4"), "Ti": F("0.4"), "O": F(2)},
    sites={"cation": F(2), "anion": F(2)},
    assignments=(
        {
            "cation": {"Li+": F("1.2"), "Mn3+": F("0.4"), "Ti4+": F("0.4")},
            "anion": {"O2-": F(2)},
        },
    ),
)
HULL = Hull(
    ["Li", "Mn", "Ti", "O2", "LiMnO2", "Li2TiO3", "MnO"],
    [0.0, 0.0, 0.0, 0.0, -2.1, -2.8, -1.9],
)


def given(energy: float, **changes: object) -> CandidateEnergy:
    values: dict[str, object] = {
        "candidate_id": CANDIDATE.candidate_id,
        "formula": CANDIDATE.formula,
        "energy_per_atom": energy,
        "entropy": candidate_entropy(CANDIDATE),
    } | changes
    return CandidateEnergy(**values)  # type: ignore[arg-type]


def documents(
    candidate: CandidateEnergy,
    *temperatures: float,
    context: HullContext | None = None,
    calculator: str = "chgnet 0.4.2",
) -> list[ThermoDoc]:
    return list(
        stability(
            candidate,
            HULL,
            calculator=calculator,
            temperatures=temperatures,
            context=context,
        )
    )


@pytest.mark.physics
def test_entropy_lowers_the_energy_above_hull() -> None:
    cold, hot = documents(given(-2.4), 0, 1473)
    assert cold.temperature == 0
    assert cold.entropy_term == 0
    assert str(cold.entropy_term) == "0.0"
    assert cold.energy_above_hull == cold.energy_above_hull_0k > 0
    assert hot.entropy_term * 1000 == pytest.approx(-60.310, abs=1e-3)
    assert hot.energy_above_hull == pytest.approx(
        hot.energy_above_hull_0k - 1473 * hot.entropy, abs=1e-15
    )
    assert hot.mixing_temperature == pytest.approx(
        hot.energy_above_hull_0k / hot.entropy
    )
    assert hot.entropy_terms.terms[0].sublattice == "cation"


def test_everything_behind_the_number_is_stored() -> None:
    (document,) = documents(given(-2.4), 300)
    assert document.hull_version == HULL.digest
    assert document.n_references == 7
    assert document.systems_without_reference == (
        "Li-Mn",
        "Li-O",
        "Li-Ti",
        "Mn-Ti",
        "O-Ti",
    )
    assert document.largest_system_checked == 2
    amounts = [phase.amount for phase in document.decomposition]
    assert amounts == sorted(amounts, reverse=True)
    assert sum(amounts) == pytest.approx(1)
    assert set(document.chemical_potentials) == {"Li", "Mn", "Ti", "O"}
    assert ThermoDoc.model_validate(document.model_dump(mode="json")) == document


def test_below_the_hull_stays_negative_and_has_no_mixing_temperature() -> None:
    cold, hot = documents(given(-3.5), 0, 1473)
    assert cold.energy_above_hull < 0
    assert hot.energy_above_hull < cold.energy_above_hull
    assert hot.mixing_temperature is None
    assert cold.label is hot.label is StabilityLabel.GROUND_STATE


def test_gas_in_the_decomposition_is_flagged() -> None:
    (document,) = documents(given(-2.0), 0)
    gases = [phase.formula for phase in document.decomposition if phase.gas]
    assert document.releases_gas == bool(gases)
    lean = Hull(["Li", "Mn", "Ti", "O2"], [0.0] * 4)
    (released,) = stability(given(0.1), lean, calculator="x", temperatures=[0])
    assert released.releases_gas
    assert [phase.formula for phase in released.decomposition if phase.gas] == ["O2"]
    assert is_gas("O")
    assert is_gas("SO3")
    assert not is_gas("TiO2")


def test_ordered_candidate_has_no_mixing_temperature() -> None:
    assert mixing_temperature(0.1, 0.0) is None
    assert mixing_temperature(0.0, 1e-5) is None
    assert mixing_temperature(-0.1, 1e-5) is None
    assert mixing_temperature(0.1, 1e-4) == pytest.approx(1000)


def test_missing_reference_is_raised_for_one_and_returned_in_a_batch() -> None:
    iron = given(-2.0, formula="LiFeO2")
    with pytest.raises(MissingReferenceError, match="Fe"):
        documents(iron, 0)
    found = stabilities(
        [iron, given(-2.0)], HULL, calculator="chgnet", temperatures=(0, 1473)
    )
    assert isinstance(found[0], MissingReferenceError)
    assert not isinstance(found[1], MissingReferenceError)
    assert [document.temperature for document in found[1]] == [0, 1473]


def test_left_out_references_are_stored() -> None:
    (with_all,) = documents(given(-2.1, formula="LiMnO2"), 0)
    (without,) = documents(given(-2.1, formula="LiMnO2", exclude=("LiMnO2",)), 0)
    assert with_all.energy_above_hull == pytest.approx(0, abs=1e-12)
    assert without.energy_above_hull < 0
    assert without.excluded_references == ("LiMnO2",)
    assert without.n_references == with_all.n_references - 1


def test_a_lower_phase_of_the_composition_that_is_left_out_is_told() -> None:
    def flags(energy: float, *exclude: str) -> tuple[str, ...]:
        (found,) = documents(given(energy, formula="LiMnO2", exclude=exclude), 0)
        return found.flags

    assert flags(-2.0, "LiMnO2") == ("lower_polymorph",)
    assert flags(-2.0) == flags(-2.0, "MnO") == ()
    # The same phase, relaxed twice.
    assert flags(-2.0995, "LiMnO2") == flags(-2.2, "LiMnO2") == ()


def test_both_bounds_of_several_orderings() -> None:
    orderings = ordering_estimates(
        {OrderingKind.LOW_ENERGY: [-2.45], OrderingKind.RANDOM: [-2.38, -2.42, -2.40]}
    )
    assert orderings.lowest == -2.45
    assert orderings.lowest_kind is OrderingKind.LOW_ENERGY
    assert orderings.random_mean == pytest.approx(-2.40)
    assert orderings.random_spread == pytest.approx(0.02)
    assert (orderings.n_orderings, orderings.n_random) == (4, 3)
    (document,) = documents(
        given(-2.45, orderings=orderings),
        1473,
        context=HullContext(options=StabilityOptions(calculator_error=0.015)),
    )
    assert document.energy_above_hull_lowest == pytest.approx(
        document.energy_above_hull, abs=1e-12
    )
    assert document.uncertainty_terms.calculator_error == 0.015
    assert document.energy_above_hull_random == pytest.approx(
        document.energy_above_hull + 0.05
    )
    # The scatter of its own orderings is no error of the calculator.
    assert document.uncertainty == pytest.approx(0.015)
    (plain,) = documents(given(-2.45), 1473)
    assert plain.uncertainty is None
    assert plain.energy_above_hull_random is None


def test_methods_of_ordering_have_a_kind() -> None:
    assert ordering_kind("sqs") is ordering_kind("random") is OrderingKind.RANDOM
    assert ordering_kind("electrostatic") is OrderingKind.LOW_ENERGY
    for method in ("sqs", "random"):
        assert ordering_kind(method, small_cell=True) is OrderingKind.SMALL_CELL
    lowest = ordering_kind("electrostatic", small_cell=True)
    assert lowest is OrderingKind.LOW_ENERGY
    with pytest.raises(ValueError, match="sqs, random, electrostatic"):
        ordering_kind("annealed")


def test_a_compound_in_a_small_cell_is_no_bound_from_above() -> None:
    found = ordering_estimates({OrderingKind.SMALL_CELL: [-2.5, -2.4]})
    assert (found.lowest, found.lowest_kind) == (-2.5, OrderingKind.SMALL_CELL)
    assert (found.random_mean, found.n_random, found.n_orderings) == (None, 0, 2)
    both = ordering_estimates(
        {OrderingKind.SMALL_CELL: [-2.5], OrderingKind.RANDOM: [-2.3]}
    )
    assert (both.random_mean, both.n_random) == (-2.3, 1)


OXIDE = OtherCandidate("b", "Li2MnO3", energy_per_atom=-2.2, entropy=5e-5)
HOT = OtherCandidate("c", "LiMnO2", energy_per_atom=-2.0, entropy=2e-4)


def among(*others: OtherCandidate, **options: object) -> HullContext:
    return HullContext(
        options=StabilityOptions.model_validate({"other_candidates": True} | options),
        others=others,
    )


def test_other_candidates_take_part_with_their_own_entropy() -> None:
    itself = OtherCandidate(
        CANDIDATE.candidate_id,
        CANDIDATE.formula,
        -2.4,
        candidate_entropy(CANDIDATE).entropy,
    )
    cold, hot = documents(given(-2.4), 0, 1473, context=among(itself, OXIDE, HOT))
    (alone,) = documents(given(-2.4), 1473)
    assert alone.n_other_candidates is alone.other_candidates_digest is None
    assert hot.n_other_candidates == 2
    assert hot.hull_version == HULL.digest
    assert hot.other_candidates_digest
    joined = HULL.joined_by(
        ["Li2MnO3", "LiMnO2"],
        [-2.2 - 1473 * 5e-5, -2.0 - 1473 * 2e-4],
        ids=["candidate:b", "candidate:c"],
    )
    expected = -2.4 - 1473 * hot.entropy - joined.lower_energies(CANDIDATE.formula)
    assert hot.energy_above_hull == pytest.approx(float(expected), abs=1e-12)
    assert hot.competition_term > 0
    assert cold.competition_term == 0
    assert hot.energy_above_hull == pytest.approx(
        hot.energy_above_hull_0k + hot.entropy_term + hot.competition_term, abs=1e-12
    )
    assert hot.hull_energy == cold.hull_energy
    kinds = {phase.reference_id: phase.kind for phase in hot.decomposition}
    assert kinds["candidate:c"] is CompetitorKind.CANDIDATE
    assert f"candidate:{CANDIDATE.candidate_id}" not in kinds
    assert ThermoDoc.model_validate(hot.model_dump(mode="json")) == hot


def test_a_candidate_alone_among_candidates_is_compared_with_references() -> None:
    itself = OtherCandidate(CANDIDATE.candidate_id, CANDIDATE.formula, -9.0, 1e-4)
    (document,) = documents(given(-2.4), 1473, context=among(itself))
    (alone,) = documents(given(-2.4), 1473)
    assert document.energy_above_hull == alone.energy_above_hull
    assert document.n_other_candidates == 0
    with pytest.raises(ValueError, match="give them, or none"):
        HullContext(options=StabilityOptions(other_candidates=True))
    with pytest.raises(ValueError, match="given twice"):
        documents(given(-2.4), 0, context=among(OXIDE, OXIDE))


def test_label_counts_what_other_candidates_take_away() -> None:
    rival = OtherCandidate("b", CANDIDATE.formula, -2.3, 2e-4)
    (alone,) = documents(given(-2.4), 1473)
    (rivalled,) = documents(given(-2.4), 1473, context=among(rival))
    assert rivalled.energy_above_hull > alone.energy_above_hull
    assert rivalled.energy_above_hull == pytest.approx(
        -0.1 + 1473 * (2e-4 - rivalled.entropy)
    )
    assert rivalled.competition_term == pytest.approx(2.3 + 1473 * 2e-4 - 2.52)
    assert (rivalled.label is StabilityLabel.UNSTABLE) == (
        rivalled.energy_above_hull > 0
    )


def test_own_orderings_take_part_only_where_asked_for() -> None:
    candidate = given(-2.4, own_orderings={"x": -2.9, "y": -2.45})
    (without,) = documents(candidate, 1473)
    (with_them,) = documents(
        candidate,
        1473,
        context=HullContext(options=StabilityOptions(own_orderings=True)),
    )
    assert without.n_own_orderings == 0
    assert with_them.n_own_orderings == 2
    assert with_them.hull_energy == -2.9
    assert with_them.energy_above_hull_0k == pytest.approx(0.5)
    (phase,) = with_them.decomposition
    assert phase.reference_id == "ordering:x"
    assert phase.kind is CompetitorKind.ORDERING
    fractions = {"Li": 0.3, "Mn": 0.1, "Ti": 0.1, "O": 0.5}
    plane = sum(with_them.chemical_potentials[el] * x for el, x in fractions.items())
    assert plane == pytest.approx(-2.9)
    (higher,) = documents(
        given(-2.4, own_orderings={"x": 1.0}),
        0,
        context=HullContext(options=StabilityOptions(own_orderings=True)),
    )
    assert higher.energy_above_hull == documents(given(-2.4), 0)[0].energy_above_hull


SPECIES = {"Li+": F("1.2"), "Mn3+": F("0.4"), "Ti4+": F("0.4"), "O2-": F(2)}
STATES = {
    "LiMnO2": {"Li": 1, "Mn": 3, "O": -2},
    "Li2TiO3": {"Li": 1, "Ti": 4, "O": -2},
    "MnO": {"Mn": 2, "O": -2},
}


def test_reactions_that_gpaw_gets_wrong_are_flagged() -> None:
    facts = HullContext(facts=ReferenceFacts(oxidation_states=STATES))
    for calculator in ("gpaw 26.7.0", "chgnet 0.4.2"):
        (document,) = documents(
            given(-2.0, species=SPECIES), 0, context=facts, calculator=calculator
        )
        phases = {phase.formula for phase in document.decomposition}
        assert phases == {"LiMnO2", "Li2TiO3"}
        assert document.changes_valence is False
        assert document.flags == ()
    lean = Hull(["Li", "Mn", "Ti", "O2", "MnO"], [0.0, 0, 0, 0, -1.9])
    (released,) = stability(
        given(0.1, species=SPECIES),
        lean,
        calculator="gpaw 26.7.0",
        temperatures=[0],
        context=facts,
    )
    assert released.changes_valence is True
    assert released.valence_changes == pytest.approx(
        {"Li": 1.0, "Mn": 1.0, "O": 0.8, "Ti": 1.0}
    )
    assert released.flags == ("gas_release_uncorrected", "valence_change_uncorrected")
    (unknown,) = documents(given(-2.0), 0, calculator="gpaw 26.7.0")
    assert unknown.changes_valence is None
    assert unknown.valences_unknown == ("Li2TiO3", "LiMnO2")
    assert unknown.flags == ("valence_change_unknown",)


def test_arbitrary_temperatures_in_their_order() -> None:
    found = documents(given(-2.4), 1473, 0, 298.15, 1000)
    assert [document.temperature for document in found] == [1473, 0, 298.15, 1000]
    assert documents(given(-2.4)) == []


@pytest.mark.parametrize("temperature", [-1.0, float("nan"), float("inf")])
def test_impossible_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        documents(given(-2.0), temperature)


def test_bad_energies_are_refused() -> None:
    with pytest.raises(ValueError, match="not a finite"):
        documents(given(float("nan")), 0)
    with pytest.raises(ValueError, match="finite energies"):
        ordering_estimates({})
    with pytest.raises(ValueError, match="finite energies"):
        ordering_estimates({OrderingKind.RANDOM: [float("nan")]})


@pytest.fixture(scope="module")
def published_rows(shared_data: Path) -> list[tuple[str, float]]:
    """Formula and E_hull at 0 K in eV/atom of the published training table."""
    path = shared_data / "nasicon_2021" / "compositions.csv"
    rows = csv.DictReader(path.read_text().splitlines())
    return [
        (
            row["CompName"],
            float(row["NewEhullLst"]) / 1000
            + 1000 * nasicon_mixing_entropy(row["CompName"], "ouyang2021"),
        )
        for row in rows
    ]


@pytest.mark.physics
def test_labels_of_the_published_table(published_rows: list[tuple[str, float]]) -> None:
    rows = published_rows
    assert len(rows) == 3104
    labels = Counter(
        stability_label(
            _without_rounding(above),
            nasicon_mixing_entropy(formula, "ouyang2021"),
            1000,
        )
        for formula, above in rows
    )
    assert labels == {
        StabilityLabel.GROUND_STATE: 199,
        StabilityLabel.LIKELY_SYNTHESIZABLE: 314,
        StabilityLabel.UNSTABLE: 2591,
    }


def _without_rounding(energy: float) -> float:
    """Published energies on the hull are zero only up to the sum's rounding."""
    return 0.0 if abs(energy) < 1e-9 else energy


@pytest.mark.physics
@pytest.mark.parametrize(
    ("convention", "temperature", "expected"),
    [
        (EntropyConvention.OUYANG2021, 1000, 513),
        (EntropyConvention.TEXTBOOK, 1000, 599),
        (EntropyConvention.OUYANG2021, 1473, 811),
        (EntropyConvention.TEXTBOOK, 1473, 894),
    ],
)
def test_how_many_of_the_published_table_are_stable(
    published_rows: list[tuple[str, float]],
    convention: EntropyConvention,
    temperature: float,
    expected: int,
) -> None:
    stable = sum(
        above - temperature * nasicon_mixing_entropy(formula, convention) <= 0
        for formula, above in published_rows
    )
    assert stable == expected


@pytest.mark.physics
@pytest.mark.parametrize(
    ("convention", "temperature", "in_the_file", "of_all"),
    [
        (EntropyConvention.OUYANG2021, 1000, 12, 15),
        (EntropyConvention.TEXTBOOK, 1000, 13, 17),
        (EntropyConvention.OUYANG2021, 1473, 15, 19),
        (EntropyConvention.TEXTBOOK, 1473, 17, 21),
    ],
)
def test_compounds_known_from_experiment(
    shared_data: Path,
    published_rows: list[tuple[str, float]],
    convention: EntropyConvention,
    temperature: float,
    in_the_file: int,
    of_all: int,
) -> None:
    """23 of the 27 are in the published part; the full table says ``of_all``."""
    path = shared_data / "nasicon_2021" / "experimental.json"
    known = {
        canonical_formula(parse_formula(formula))
        for formula in json.loads(path.read_text())["reported_exp_comps"]
    }
    assert len(known) == 27
    found = [
        above - temperature * nasicon_mixing_entropy(formula, convention) <= 0
        for formula, above in published_rows
        if canonical_formula(parse_formula(formula)) in known
    ]
    assert len(found) == 23
    assert sum(found) == in_the_file
    assert in_the_file <= of_all <= in_the_file + 4
