from __future__ import annotations

import csv
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from hts_battery.errors import MissingReferenceError
from hts_battery.schemas.candidate import Candidate
from hts_battery.schemas.thermo import (
    EntropyConvention,
    OrderingKind,
    StabilityLabel,
    ThermoDoc,
)
from hts_battery.thermo import (
    CandidateEnergy,
    Hull,
    candidate_entropy,
    mixing_temperature,
    nasicon_mixing_entropy,
    ordering_estimates,
    ordering_kind,
    stabilities,
    stability,
    stability_label,
)
from hts_battery.thermo.gases import is_gas

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


def documents(candidate: CandidateEnergy, *temperatures: float) -> list[ThermoDoc]:
    return list(
        stability(candidate, HULL, calculator="chgnet 0.4.2", temperatures=temperatures)
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
        given(-2.45, orderings=orderings, calculator_error=0.015), 1473
    )
    assert document.energy_above_hull_random == pytest.approx(
        document.energy_above_hull + 0.05
    )
    assert document.uncertainty == pytest.approx(0.025)
    (plain,) = documents(given(-2.45), 1473)
    assert plain.uncertainty is None
    assert plain.energy_above_hull_random is None


def test_methods_of_ordering_have_a_kind() -> None:
    assert ordering_kind("sqs") is ordering_kind("random") is OrderingKind.RANDOM
    assert ordering_kind("electrostatic") is OrderingKind.LOW_ENERGY
    with pytest.raises(ValueError, match="sqs, random, electrostatic"):
        ordering_kind("annealed")


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
