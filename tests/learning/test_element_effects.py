"""Effects of metals with the others held."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS

from hts_battery.errors import ConfigurationError
from hts_battery.learning.element_effects import element_effects


def drawn(rows: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    ranks = random.random((rows, 8)).argsort(axis=1)
    return {name: ranks[:, n] < 3 for n, name in enumerate("ABCDEFGH")}


def test_a_planted_effect_is_found_beside_what_is_held() -> None:
    metals = drawn(600, 0)
    random = np.random.default_rng(1)
    lithium = random.random(600) + 0.5 * metals["B"]  # B goes with it, and does nothing
    energies = 4.0 * metals["A"] + 6.0 * lithium + random.normal(size=600)
    del metals["H"]
    found = {
        one.element: one for one in element_effects(energies, metals, {"Li": lithium})
    }
    assert found["A"].verdict == "supported"
    assert found["A"].effect == pytest.approx(4, abs=3 * (found["A"].error or 0))
    others = [one.verdict for name, one in found.items() if name != "A"]
    assert set(others) == {"not supported"}
    alone = {one.element: one for one in element_effects(energies, metals, {})}
    assert alone["B"].verdict == "supported"  # so it would seem, lithium not held


def test_it_is_least_squares_with_errors_of_unequal_scatter() -> None:
    metals = drawn(200, 3)
    del metals["H"]
    energies = np.random.default_rng(2).normal(size=200) * (1 + 3 * metals["C"])
    found = {one.element: one for one in element_effects(energies, metals, {})}
    design = np.column_stack([np.ones(200), *metals.values()]).astype(float)
    fit = OLS(energies, design).fit(cov_type="HC3")
    for place, name in enumerate(metals, start=1):
        assert found[name].effect == pytest.approx(fit.params[place])
        assert found[name].error == pytest.approx(fit.bse[place])


def test_noise_supports_next_to_nothing() -> None:
    speaking = 0
    for seed in range(20):
        metals = drawn(150, seed)
        del metals["H"]
        energies = np.random.default_rng(seed + 100).normal(size=150)
        found = element_effects(energies, metals, {})
        speaking += any(one.verdict == "supported" for one in found)
    assert speaking <= 3


def test_what_cannot_be_told_has_no_number() -> None:
    metals = drawn(100, 4)
    twin = {**metals, "Z": metals["A"].copy(), "R": np.arange(100) < 5}
    energies = np.random.default_rng(0).normal(size=100)
    energies[:3] = np.nan
    found = {one.element: one for one in element_effects(energies, twin, {})}
    assert found["Z"].reason == "it follows from the other metals and what is held"
    assert (found["Z"].effect, found["Z"].rows) == (None, 97)
    assert (found["R"].verdict, found["R"].n) == ("too few rows", 2)
    few = element_effects(energies[:20], {"A": metals["A"][:20]}, {})
    assert few[0].verdict == "too few rows"
    with pytest.raises(ConfigurationError, match="no metal"):
        element_effects(energies, {}, {})
