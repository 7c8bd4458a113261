from __future__ import annotations

import numpy as np
import pytest

from hts_battery.errors import ConfigurationError
from hts_battery.learning.linear_energies import (
    LEAST_COVERAGE,
    binomial_interval,
    fit_linear_energies,
    fractions,
    left_out_coverage,
)

METALS = ("Mn", "Ti", "Cr", "Nb", "Zr")
WEIGHTS = {"Li": -0.3, "O": -1.0, **dict(zip(METALS, (0.1, -0.2, 0.3, 0.0, -0.1)))}  # noqa: B905


def planted(n: int, noise: float, seed: int = 0) -> tuple[list[str], list[float]]:
    """Rock salts whose energy is linear in atomic fractions, and normal noise."""
    random = np.random.default_rng(seed)
    formulas = []
    for _ in range(n):
        held = random.choice(METALS, 3, replace=False)
        amounts = random.integers(1, 6, 3)
        metals = "".join(f"{m}{a}" for m, a in zip(held, amounts, strict=True))
        formulas.append(f"Li{random.integers(10, 14)}{metals}O20")
    elements = sorted(WEIGHTS)
    truth = fractions(formulas, elements) @ [WEIGHTS[one] for one in elements]
    return formulas, (truth + noise * random.normal(size=n)).tolist()


def test_planted_energies_are_found_and_ranked_alike() -> None:
    formulas, energies = planted(80, noise=0)
    fit = fit_linear_energies(formulas, energies)
    asked, truth = planted(30, noise=0, seed=1)
    assert fit.predict(asked)[0] == pytest.approx(truth, abs=1e-4)
    surrogate = fit.surrogate
    x = fractions(asked, list(surrogate.weights))
    scores = surrogate.intercept + x @ list(surrogate.weights.values())
    assert scores == pytest.approx(fit.predict(asked)[0], abs=1e-12)


def test_intervals_and_probabilities_hold_what_they_say() -> None:
    inside, below, expected, rows = 0, 0, 0.0, 0
    for seed in range(12):
        formulas, energies = planted(60, noise=0.02, seed=seed)
        shift = float(np.median(energies))
        fit = fit_linear_energies(formulas, [one - shift for one in energies])
        asked, truth = planted(100, noise=0.02, seed=100 + seed)
        mean, deviation = fit.predict(asked)
        off = np.abs(np.array(truth) - shift - mean)
        inside += int((off <= fit.half_width(deviation, 0.9)).sum())
        below += int((np.array(truth) - shift <= 0).sum())
        expected += float(fit.probability_below(mean, deviation).sum())
        rows += 100
    assert inside / rows == pytest.approx(0.9, abs=0.03)
    assert below == pytest.approx(expected, rel=0.05)


def test_an_element_unlike_the_others_is_outside_when_it_is_left_out() -> None:
    formulas, energies = planted(150, noise=0.002)
    strange = fractions(formulas, ["Nb"])[:, 0]
    energies = (np.array(energies) + 6 * strange).tolist()
    found = {
        one.element: one
        for one in left_out_coverage(formulas, energies, elements=METALS)
    }
    assert found["Nb"].outside
    assert found["Nb"].interval[1] < LEAST_COVERAGE
    assert not found["Ti"].outside
    assert not left_out_coverage(formulas[:12], energies[:12], elements=["Ta"])


def test_a_share_has_its_exact_interval() -> None:
    assert binomial_interval(0, 10) == pytest.approx((0, 0.3085), abs=1e-4)
    assert binomial_interval(10, 10) == pytest.approx((0.6915, 1), abs=1e-4)


def test_too_little_to_fit_is_refused() -> None:
    formulas, energies = planted(9, noise=0)
    with pytest.raises(ConfigurationError, match="9 energies, 0 of them not finite"):
        fit_linear_energies(formulas, energies)
    formulas, energies = planted(12, noise=0)
    with pytest.raises(ConfigurationError, match="1 of them not finite"):
        fit_linear_energies(formulas, [float("nan"), *energies[1:]])
