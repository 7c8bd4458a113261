from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.errors import CalculationError
from hts_battery.thermo.equation_of_state import (
    GPA_PER_EV_ANGSTROM3,
    equation_fit,
    other_fits,
)

STRAINS = np.linspace(-0.03, 0.03, 7)
KITTEL_12, KITTEL_6 = 12.13188, 14.45392
"""Lattice sums of the face-centred cubic structure over r^-12 and r^-6."""


def birch_murnaghan(
    v: np.ndarray, energy: float, modulus: float, derivative: float, volume: float
) -> np.ndarray:
    x = (volume / v) ** (2 / 3) - 1
    return energy + 9 * modulus * volume / 16 * x**2 * (
        6 + derivative * x - 4 * (x + 1)
    )


@given(
    energy=st.floats(-10, -1),
    modulus=st.floats(5, 400),
    derivative=st.floats(2, 8),
    volume=st.floats(5, 30),
    off=st.floats(0.98, 1.02),
)
def test_a_planted_equation_is_found(
    energy: float, modulus: float, derivative: float, volume: float, off: float
) -> None:
    v = off * volume * (1 + STRAINS) ** 3
    planted = birch_murnaghan(
        v, energy, modulus / GPA_PER_EV_ANGSTROM3, derivative, volume
    )
    fit = equation_fit(v, planted)
    assert fit.bulk_modulus == pytest.approx(modulus, rel=1e-4)
    assert fit.volume == pytest.approx(volume, rel=1e-5)
    assert fit.energy == pytest.approx(energy, abs=1e-6)
    assert fit.derivative == pytest.approx(derivative, rel=1e-2)
    assert fit.residual < 1e-7


def test_the_error_is_that_of_repeated_measurements() -> None:
    v, rng = 10 * (1 + STRAINS) ** 3, np.random.default_rng(1)
    exact = birch_murnaghan(v, -4.0, 100 / GPA_PER_EV_ANGSTROM3, 4.0, 10.0)
    fits = [equation_fit(v, exact + rng.normal(0, 1e-4, len(v))) for _ in range(200)]
    spread = np.std([fit.bulk_modulus for fit in fits])
    # Root of the mean square: of three degrees of freedom the errors scatter.
    stated = np.sqrt(np.mean([fit.bulk_modulus_error**2 for fit in fits]))
    assert stated == pytest.approx(spread, rel=0.2)


@pytest.mark.physics
def test_the_solid_of_lennard_jones_has_the_published_bulk_modulus() -> None:
    """
    Kittel, Introduction to Solid State Physics, chapter 3: R0 is 1.09, B is 75.

    In units of the potential, here eV and angstrom; an atom has the volume R³/√2.
    """
    r = 1.09 * (1 + STRAINS)
    energies = 2 * (KITTEL_12 * r**-12 - KITTEL_6 * r**-6)
    fit = equation_fit(r**3 / np.sqrt(2), energies)
    assert fit.bulk_modulus / GPA_PER_EV_ANGSTROM3 == pytest.approx(75, rel=0.01)
    assert (np.sqrt(2) * fit.volume) ** (1 / 3) == pytest.approx(1.09, abs=0.005)
    assert fit.energy == pytest.approx(-8.6, abs=0.02)
    # Other equations differ by what they make of the curve's third derivative.
    others = other_fits(r**3 / np.sqrt(2), energies, besides="birch_murnaghan")
    assert set(others) == {"vinet", "murnaghan", "birch", "pourier_tarantola"}
    assert all(
        one == pytest.approx(fit.bulk_modulus, rel=0.03) for one in others.values()
    )


def test_too_few_volumes_have_no_error() -> None:
    with pytest.raises(ValueError, match="needs 5 volumes or more"):
        equation_fit([9, 10, 11, 12], [1, 0, 1, 4])


@pytest.mark.parametrize("energies", [STRAINS, -(STRAINS**2), 0 * STRAINS])
def test_energies_without_a_minimum_are_refused(energies: np.ndarray) -> None:
    with pytest.raises(CalculationError, match=r"between 9\.13 and 10\.93 angstrom"):
        equation_fit(10 * (1 + STRAINS) ** 3, energies)


def test_an_equation_that_does_not_fit_is_left_out() -> None:
    assert other_fits(10 * (1 + STRAINS) ** 3, STRAINS, besides="birch") == {}
