from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hts_battery.query.regression import (
    chemistry_terms,
    composition_terms,
    least_squares,
)

DRAW = np.random.default_rng(4)


def test_a_plane_is_found_exactly() -> None:
    a, b = DRAW.normal(size=(2, 20))
    fit = least_squares({"a": a, "b": b}, 3 * a - 2 * b + 5)
    assert fit.coefficients == pytest.approx({"a": 3, "b": -2, "intercept": 5})
    assert fit.r_squared == pytest.approx(1)
    assert max(fit.errors.values()) < 1e-10
    assert fit.cross_validated_error < 1e-10
    assert fit.n == 20


def test_one_left_out_is_what_a_fit_without_it_predicts() -> None:
    a = DRAW.normal(size=12)
    y = 2 * a + DRAW.normal(size=12)
    fit = least_squares({"a": a}, y)
    wrong = []
    for row in range(12):
        kept = np.arange(12) != row
        other = least_squares({"a": a[kept]}, y[kept]).coefficients
        wrong.append(y[row] - other["a"] * a[row] - other["intercept"])
    assert fit.cross_validated_error == pytest.approx(
        np.sqrt(np.mean(np.square(wrong)))
    )
    assert fit.residuals.sum() == pytest.approx(0, abs=1e-12)
    assert fit.r_squared == pytest.approx(np.corrcoef(a, y)[0, 1] ** 2)


def test_shares_are_given_against_the_mean_composition() -> None:
    shares = DRAW.dirichlet([1, 2, 3], size=200)
    lithium = DRAW.uniform(1.1, 1.4, size=200)
    y = shares @ [10.0, 20.0, 60.0] + 7 * lithium
    names = ("Fe", "Mn", "Ti")
    terms = dict(zip(names, shares.T, strict=True)) | {"Li": lithium}
    fit = least_squares(terms, y, shares=names)
    mean = float(shares.mean(axis=0) @ [10.0, 20.0, 60.0])
    expected = {"Fe": 10 - mean, "Mn": 20 - mean, "Ti": 60 - mean, "Li": 7}
    assert fit.coefficients == pytest.approx(expected)
    weighted = sum(
        fit.coefficients[name] * shares[:, place].mean()
        for place, name in enumerate(names)
    )
    assert weighted == pytest.approx(0, abs=1e-9)


def test_errors_are_those_of_repeated_draws() -> None:
    def drawn() -> tuple[float, float]:
        a = DRAW.normal(size=100)
        fit = least_squares({"a": a}, a + DRAW.normal(scale=1 + abs(a)))
        return fit.coefficients["a"], fit.errors["a"]

    found, errors = np.transpose([drawn() for _ in range(400)])
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.2)


def test_what_does_not_determine_the_terms_is_refused() -> None:
    a = np.arange(4.0)
    with pytest.raises(ValueError, match="one for each row"):
        least_squares({"a": a}, [1.0, 2.0])
    with pytest.raises(ValueError, match="do not determine"):
        least_squares({"a": a[:2]}, a[:2])
    with pytest.raises(ValueError, match="not independent"):
        least_squares({"a": a, "b": 2 * a}, a)
    with pytest.raises(ValueError, match="do not add up"):
        least_squares({"a": a, "b": 2 * a}, a, shares=("a", "b"))


F = Fraction
FORMULAS = ["Li1.2Mn0.4Ti0.4O2", "Li1.2Fe0.2Zr0.2Ni0.2Sb0.2O1.8F0.2"]
ASSIGNMENTS = [
    {
        "cation": {"Li+": F("1.2"), "Mn3+": F("0.4"), "Ti4+": F("0.4")},
        "anion": {"O2-": F(2)},
    },
    {
        "cation": {
            "Li+": F("1.2"),
            "Fe2+": F("0.2"),
            "Zr4+": F("0.2"),
            "Ni3+": F("0.2"),
            "Sb5+": F("0.2"),
        },
        "anion": {"O2-": F("1.8"), "F-": F("0.2")},
    },
]


def test_metals_count_among_each_other_only() -> None:
    terms, symbols = composition_terms(FORMULAS)
    assert symbols == ("Fe", "Mn", "Ni", "Sb", "Ti", "Zr")
    assert terms["Li"] == [12, 12]
    assert terms["F"] == [0, 2]
    assert terms["Mn"] == [0.5, 0]
    assert [sum(terms[symbol][row] for symbol in symbols) for row in (0, 1)] == [1, 1]


def test_what_the_chemistry_says() -> None:
    terms = chemistry_terms(FORMULAS, ASSIGNMENTS)
    assert terms["metals"] == [2, 4]
    assert terms["redox"] == pytest.approx([4, 4])
    assert terms["d0"] == pytest.approx([4, 2])
    # Ni3+ takes the electron of Fe2+; Mn3+ and Ti4+ leave each other alone.
    assert terms["incompatible"] == [0, 1]
    # Shannon: Mn3+ 0.645, Ti4+ 0.605 angstrom.
    assert terms["radius"][0] == pytest.approx(62.5)
    assert terms["mismatch"][0] == pytest.approx(100 * 0.02 / 0.625)
