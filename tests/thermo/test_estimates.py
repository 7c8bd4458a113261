from __future__ import annotations

from math import hypot
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.schemas.uncertainty import CalculatorError
from hts_battery.thermo.estimates import (
    is_open,
    probability_stable,
    stability_label,
    uncertainty_terms,
)

ENERGIES = st.floats(-0.5, 0.5, allow_subnormal=False)
SPREADS = st.none() | st.floats(0, 0.2, allow_subnormal=False)
ROUNDING = 1e-12  # of a cumulative probability


@pytest.mark.parametrize(
    ("energy", "upper", "uncertainty", "expected"),
    [
        (-0.030, -0.010, 0.020, False),
        (-0.030, 0.010, None, True),
        (-0.030, 0.010, 0.001, True),
        (-0.030, None, None, False),
        (-0.030, None, 0.0301, True),
        (0.030, 0.040, 0.0301, True),
        # One whole standard deviation away is no longer open.
        (-0.030, None, 0.030, False),
        # On the hull counts as stable: bounds of 0 and below do not differ.
        (-0.010, 0.0, None, False),
        (0.0, 0.0, None, False),
        (0.0, 0.001, None, True),
        (0.0, None, 0.0, False),
    ],
)
def test_a_label_is_open_by_its_bounds_or_its_uncertainty(
    energy: float, upper: float | None, uncertainty: float | None, *, expected: bool
) -> None:
    found = is_open(energy, lower=energy, upper=upper, uncertainty=uncertainty)
    assert found is expected


@given(ENERGIES, SPREADS, SPREADS)
def test_what_is_certain_is_probable_too(
    energy: float, spread: float | None, uncertainty: float | None
) -> None:
    upper = None if spread is None else energy + spread
    chance = probability_stable(energy, uncertainty)
    assert (chance is None) == (uncertainty is None)
    if chance is None:
        return
    assert 0 <= chance <= 1
    if is_open(energy, lower=energy, upper=upper, uncertainty=uncertainty):
        return
    label = stability_label(energy, 0.0, 0.0)
    one_deviation = NormalDist().cdf(1)
    probable = chance if label == "GS" else 1 - chance
    assert probable >= one_deviation - ROUNDING


def test_terms_add_up_as_independent_ones_and_nothing_is_made_up() -> None:
    terms = [
        {"value": 0.0376, "source": "a", "meaning": "potential"},
        {"value": 0.024, "source": "b", "meaning": "functional"},
    ]
    found = uncertainty_terms(CalculatorError.model_validate({"terms": terms}))
    assert found.calculator_error == hypot(0.0376, 0.024)
    assert found.words == "potential (a); functional (b)"
    unknown = uncertainty_terms(CalculatorError(reason="nobody has measured it"))
    assert unknown.calculator_error is None
    assert unknown.words == "not known: nobody has measured it"
