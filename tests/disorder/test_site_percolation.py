"""Critical site energies: normal, uniform and equal levels, by their exact values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from hts_battery.disorder.site_percolation import site_percolation
from hts_battery.errors import OrderingError

BONDS = 0.2488126
"""Bond percolation of the simple cubic lattice: 10.1103/PhysRevE.87.052107."""


@pytest.mark.physics
@pytest.mark.parametrize("width", [0.2, 0.05])
def test_normal_levels_above_a_full_sublattice(width: float) -> None:
    """6b lies below all of 18e: E_c is mean plus width times a quantile."""
    random = np.random.default_rng(0)
    levels = {
        "6b": [np.full(200, -3.0)],
        "18e": [0.3 + width * random.normal(size=200_000)],
    }
    found = site_percolation(levels, size=10, samples=60)
    exact = 0.3 + width * norm.ppf(BONDS)
    assert found.critical_energy == pytest.approx(exact, abs=0.02 * width)
    assert found.standard_error < 0.01 * width
    assert found.spectrum_error is None
    assert np.all(np.diff(found.share) >= 0)
    assert found.share[-1] == pytest.approx(1)


@pytest.mark.physics
def test_uniform_levels_of_a_simple_cubic_lattice() -> None:
    """Sites open in the order of uniform levels: E_c is the threshold, 0.3116077."""
    levels = {"site": [np.random.default_rng(1).random(200_000)]}
    found = site_percolation(levels, "simple_cubic", "nearest", size=20, samples=80)
    assert found.critical_energy == pytest.approx(0.3116077, abs=0.003)


def test_equal_levels_are_a_step() -> None:
    levels = {"6b": [[-1.0]], "18e": [[0.25, 0.25]]}
    found = site_percolation(levels, size=4, samples=6)
    assert found.critical_energy == 0.25
    assert found.standard_error == 0
    assert found.share[-2] == 0
    assert found.share[-1] == 1


def test_orderings_that_differ_have_an_error_of_the_spectrum() -> None:
    random = np.random.default_rng(2)
    levels = {
        "6b": [[-1.0]] * 4,
        "18e": [mean + 0.1 * random.normal(size=40) for mean in (0.1, 0.2, 0.3, 0.4)],
    }
    found = site_percolation(levels, size=4, samples=12, bootstrap=12)
    assert found.spectrum_error is not None
    assert 0.01 < found.spectrum_error < 0.15


def test_labels_of_another_parent_are_refused() -> None:
    with pytest.raises(OrderingError, match="sites 18e, 6b are needed"):
        site_percolation({"site": [[0.1]]})
    with pytest.raises(OrderingError, match="given are those of 6b"):
        site_percolation({"6b": [[0.1]], "18e": [[]]})
