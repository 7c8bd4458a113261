from __future__ import annotations

from math import isclose, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.thermo.ordering_spectrum import (
    OrderingSpectrum,
    compensation_temperature,
    energies_above_hull,
    sample_of,
)

DRAWN = (-5.00, -5.01, -5.03, -4.98, -5.02, -4.99, -5.00, -5.01)


@pytest.mark.physics
@pytest.mark.parametrize(
    ("cost", "inverse_spread", "descriptor", "temperature"),
    [(22, 92, 65, 180), (36, 99, 53, 220), (39, 55, 37, 311), (225, 37, 13, 901)],
)
def test_the_descriptor_is_that_of_the_published_table(
    cost: float, inverse_spread: float, descriptor: float, temperature: float
) -> None:
    """Table 1 of 10.1038/s41586-023-06786-y: whole meV/atom, (eV/atom)^-1 and K."""
    spread = 1 / inverse_spread
    # Two arrangements of equal weight whose spread, by sum g - 1, is the published one.
    half = spread / sqrt(2)
    spectrum = OrderingSpectrum((-5 - half, -5 + half), degeneracies=(1, 1))
    assert isclose(spectrum.standard_deviation, spread, rel_tol=1e-9)
    found = spectrum.disordered_enthalpy_entropy(-5 - cost / 1000).value
    assert found is not None
    # The table's own numbers are rounded: 22 meV/atom to 2 %.
    assert isclose(found, descriptor, rel_tol=0.03)
    assert isclose(compensation_temperature(found), temperature, rel_tol=0.03)


@given(
    st.lists(
        st.tuples(st.floats(-6, -4), st.integers(1, 9)), min_size=2, max_size=12
    ).filter(lambda rows: np.ptp([energy for energy, _ in rows]) > 1e-3)
)
def test_a_degeneracy_is_as_many_equal_orderings(rows: list[tuple[float, int]]) -> None:
    energies, counts = zip(*rows, strict=True)
    short = OrderingSpectrum(energies, degeneracies=counts, atoms=10)
    long = OrderingSpectrum(
        tuple(np.repeat(energies, counts).tolist()),
        degeneracies=(1,) * sum(counts),
        atoms=10,
    )
    assert isclose(short.mean, long.mean)
    assert isclose(short.standard_deviation, long.standard_deviation, rel_tol=1e-6)
    assert isclose(
        short.standard_deviation,
        float(np.std(np.repeat(energies, counts), ddof=1)),
        rel_tol=1e-6,
    )
    assert isclose(short.boltzmann_mean(900).value, long.boltzmann_mean(900).value)


def test_draws_leave_an_interval_and_an_enumeration_none() -> None:
    drawn = OrderingSpectrum(DRAWN)
    ability = drawn.entropy_forming_ability
    assert ability.value is not None
    assert ability.interval is not None
    low, high = ability.interval
    assert low < ability.value < high
    # chi-squared of 7 degrees of freedom: 1.690 and 16.013.
    assert isclose(low / ability.value, sqrt(1.6899 / 7), rel_tol=1e-3)
    assert isclose(high / ability.value, sqrt(16.0128 / 7), rel_tol=1e-3)
    whole = OrderingSpectrum(DRAWN, degeneracies=(1,) * len(DRAWN))
    assert whole.entropy_forming_ability.interval is None
    assert whole.entropy_forming_ability.value == ability.value


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    stream = np.random.default_rng(0)
    inside = tried = 0
    for _ in range(400):
        spectrum = OrderingSpectrum(tuple(stream.normal(-5, 0.02, 8).tolist()))
        for found, true in (
            (spectrum.entropy_forming_ability, 50.0),
            (spectrum.disordered_enthalpy_entropy(-5.05), sqrt(50 / 0.05)),
        ):
            assert found.interval is not None
            inside += found.interval[0] <= true <= found.interval[1]
            tried += 1
    assert 0.91 < inside / tried < 0.985


@pytest.mark.parametrize(
    ("energies", "says"),
    [
        (DRAWN[:5], "5 random orderings: a spread needs 6"),
        ((-5.0,), "1 random ordering: a spread needs 6"),
        ((-5.0,) * 8, "one energy"),
    ],
)
def test_no_spread_says_why(energies: tuple[float, ...], says: str) -> None:
    spectrum = OrderingSpectrum(energies)
    for found in (
        spectrum.entropy_forming_ability,
        spectrum.disordered_enthalpy_entropy(-9),
    ):
        assert found.value is None
        assert says in str(found.reason)
    assert says in str(sample_of([("random", one) for one in energies])[1])


def test_below_the_hull_disorder_costs_nothing() -> None:
    found = OrderingSpectrum(DRAWN).disordered_enthalpy_entropy(-4.9)
    assert found.value is None
    assert "on or below the hull" in str(found.reason)
    assert OrderingSpectrum(DRAWN).entropy_forming_ability.value is not None


def test_one_arrangement_has_no_spread() -> None:
    found = OrderingSpectrum((-5.0,), degeneracies=(1,))
    assert np.isnan(found.standard_deviation)
    assert "one energy" in str(found.entropy_forming_ability.reason)


def test_only_draws_are_a_sample() -> None:
    chosen = [("sqs", -5.0)] * 6 + [("electrostatic", -5.1)] * 8
    spectrum, reason = sample_of(chosen)
    assert spectrum is None
    assert "sqs 6, electrostatic 8" in str(reason)
    mixed, reason = sample_of([*chosen, *(("random", one) for one in DRAWN)])
    assert reason is None
    assert mixed is not None
    assert mixed.energies == DRAWN
    assert "there are none" in str(sample_of([])[1])


def test_a_boltzmann_mean_goes_from_the_lowest_to_the_mean() -> None:
    spectrum = OrderingSpectrum(DRAWN, atoms=40)
    cold, warm, hot = (spectrum.boltzmann_mean(kelvin) for kelvin in (0, 1000, 1e9))
    assert cold.value == min(DRAWN)
    assert cold.effective_orderings == 1
    assert cold.value < warm.value < hot.value
    assert isclose(hot.value, spectrum.mean, rel_tol=1e-6)
    assert isclose(hot.effective_orderings, len(DRAWN), rel_tol=1e-6)
    assert warm.standard_error is not None
    # Two levels by hand: 40 atoms, 1 meV/atom, 40 meV against kT of 1000 K.
    two = OrderingSpectrum((-5.0, -4.999), degeneracies=(1, 3), atoms=40)
    ratio = 3 * np.exp(-0.04 / 0.08617333262)
    assert isclose(
        two.boltzmann_mean(1000).value, -5 + 0.001 * ratio / (1 + ratio), rel_tol=1e-9
    )
    assert two.boltzmann_mean(1000).standard_error is None


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: OrderingSpectrum(()), "finite"),
        (lambda: OrderingSpectrum((float("nan"),)), "finite"),
        (lambda: OrderingSpectrum((-5.0,), degeneracies=(0,)), "whole number"),
        (lambda: OrderingSpectrum((-5.0,), degeneracies=(1, 2)), "for each of 1"),
        (lambda: OrderingSpectrum(DRAWN).boltzmann_mean(300), "give atoms"),
        (lambda: OrderingSpectrum(DRAWN, atoms=40).boltzmann_mean(-1), "0 or more"),
        (lambda: energies_above_hull(0.1, 1e-5, [300, -1]), "-1.0 K: give 0 or more"),
        (lambda: energies_above_hull(0.1, 1e-5, float("inf")), "0 or more"),
    ],
)
def test_what_cannot_be_is_refused(make: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()  # type: ignore[operator]
