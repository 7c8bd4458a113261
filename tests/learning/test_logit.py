from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from learning.planted_tables import planted
from scipy.special import expit
from statsmodels.discrete.discrete_model import Logit

from hts_battery.errors import ConfigurationError
from hts_battery.learning import stability_logit
from hts_battery.learning.logit import firth_logit, fit_logit

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def design(
    seed: int, rows: int = 300
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    found = np.column_stack([np.ones(rows), random.normal(size=(rows, 3))])
    chance = 1 / (1 + np.exp(1 - found[:, 1]))
    groups = random.integers(0, 40, rows)
    return found, (random.random(rows) < chance).astype(float), groups


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_statsmodels_with_and_without_groups(seed: int) -> None:
    columns, label, groups = design(seed)
    for here, how in (
        (None, {}),
        (groups, {"cov_type": "cluster", "cov_kwds": {"groups": groups}}),
    ):
        ours, theirs = (
            fit_logit(columns, label, here),
            Logit(label, columns).fit(disp=0, **how),
        )
        assert ours.coefficients == pytest.approx(theirs.params, abs=1e-7)
        assert ours.covariance == pytest.approx(theirs.cov_params(), rel=1e-4, abs=1e-6)
    assert ours.freedom == 39


def test_rows_that_separate_have_finite_penalised_numbers() -> None:
    columns, _, _ = design(0)
    label = (columns[:, 1] > 0.3).astype(float)
    fit = fit_logit(columns, label)
    assert fit.penalised
    assert fit.coefficients[1] > 3
    assert np.isfinite(fit.covariance).all()
    # Two by two: the penalty is half a row in every field.
    x = np.repeat([0.0, 1.0], [20, 10])
    y = np.concatenate([np.repeat([0.0, 1.0], [15, 5]), np.ones(10)])
    two = firth_logit(np.column_stack([np.ones(30), x]), y)
    expected = np.log(10.5 / 0.5) - np.log(5.5 / 15.5)
    assert two.coefficients[1] == pytest.approx(expected, abs=1e-4)


@pytest.mark.physics
def test_published_numbers_of_nasicon(nasicon: pd.DataFrame) -> None:
    """Electronegativity bounded on both sides; optimum raw and adjusted differ."""
    x = "metal_electronegativity_mean"
    raw = stability_logit(nasicon, "stable", [x], squared=[x])
    assert raw.coefficients[f"{x}^2"] == pytest.approx(-9.19, abs=0.01)
    assert raw.standard_errors[f"{x}^2"] == pytest.approx(1.34, abs=0.01)
    assert raw.optimum == pytest.approx(1.42, abs=0.005)
    frame = nasicon.assign(mismatch=nasicon.metal_radius_spread * 10)
    held = [x, "mismatch", "mixed", "carrier_amount"]
    adjusted = stability_logit(frame, "stable", held, squared=[x])
    found = {
        name: (adjusted.coefficients[name], adjusted.standard_errors[name])
        for name in (f"{x}^2", "mismatch", "mixed")
    }
    assert found[f"{x}^2"] == pytest.approx((-7.57, 1.49), abs=0.01)
    assert found["mismatch"] == pytest.approx((-1.73, 0.13), abs=0.01)
    assert found["mixed"] == pytest.approx((-1.59, 0.14), abs=0.01)
    assert adjusted.optimum == pytest.approx(1.24, abs=0.005)
    assert (adjusted.n, adjusted.stable, adjusted.left_out) == (3104, 513, {})


def test_units_and_order_of_rows_change_nothing_but_units() -> None:
    frame = planted(400, 5)
    frame["stable"] = frame.a**2 + frame.b / 2 + frame.c < 0.7
    first = stability_logit(frame, "stable", ["a", "b"], squared=["a"])
    other = stability_logit(
        frame.assign(a=1e6 + 1e3 * frame.a).sample(frac=1, random_state=0),
        "stable",
        ["a", "b"],
        squared=["a"],
    )
    assert other.coefficients["a^2"] * 1e6 == pytest.approx(first.coefficients["a^2"])
    assert other.coefficients["b"] == pytest.approx(first.coefficients["b"])
    assert first.optimum is not None
    assert other.optimum == pytest.approx(1e6 + 1e3 * first.optimum)


def test_verdicts_instead_of_numbers() -> None:
    frame = planted(400, 1)
    apart = stability_logit(frame.assign(stable=frame.a > 0), "stable", ["a", "b"])
    assert apart.verdict == "separates"
    assert np.isnan(apart.coefficients["a"])
    few = stability_logit(frame.head(29), "stable", ["a"], squared=["a"])
    assert (few.verdict, few.optimum) == ("too few rows", None)
    rare = stability_logit(frame.assign(stable=frame.index < 4), "stable", ["a"])
    assert rare.verdict == "too few rows"
    holes = frame.assign(a=frame.a.where(frame.index > 9))
    fit = stability_logit(holes, "stable", ["a"])
    assert (fit.n, fit.left_out) == (390, {"no value of a": 10})


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        ({}, ["z"], "no column 'z'"),
        ({"a": 1.0}, ["a"], "'a' is constant"),
        ({"b": lambda frame: 2 * frame.a}, ["a", "b"], "'b' follows from"),
        ({"a": "text"}, ["a"], "'a' is not numeric"),
        ({"stable": 2}, ["a"], "0 and 1"),
        ({"stable": "yes"}, ["a"], "0 and 1"),
    ],
)
def test_bad_columns_are_refused(
    change: dict[str, object], columns: list[str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        stability_logit(planted(60, 0).assign(**change), "stable", columns)


def test_heavy_tails_are_no_separation() -> None:
    """Newton's steps without a check of the height end in a singular matrix there."""
    random = np.random.default_rng(1)
    singular = 0
    for _ in range(120):
        x = np.clip(random.standard_t(1.5, size=(200, 3)), -30, 30)
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        design = np.column_stack([np.ones(200), x, x[:, :1] ** 2])
        logits = design @ (6 * random.normal(size=5))
        chance = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
        label = (random.random(200) < chance).astype(float)
        fit = fit_logit(design, label)
        if fit.penalised:
            continue
        chance = expit(design @ fit.coefficients)
        assert np.abs(design.T @ (label - chance)).max() < 1e-5
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                Logit(label, design).fit(disp=0, method="newton")
            except np.linalg.LinAlgError:
                singular += 1
    assert singular > 0


def test_the_square_of_yes_or_no_is_refused() -> None:
    frame = planted(200, 0).assign(m=lambda f: (f.b > 0).astype(float))
    with pytest.raises(ConfigurationError, match="square of 'm' follows"):
        stability_logit(frame, "stable", ["a"], squared=["m"])
    assert stability_logit(frame, "stable", ["m"]).verdict == "fitted"
