from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hts_battery.learning.closed_form import best_subsets
from hts_battery.learning.expressions import UNARY, Expression, column
from hts_battery.learning.feature_table import (
    feature_table,
    is_usable,
    one_operator_more,
)
from hts_battery.learning.screening import Screen
from hts_battery.learning.units import read_units
from hts_battery.thermo import nasicon_mixing_entropy

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def drawn(seed: int, names: str = "abcd", rows: int = 80) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    return {name: random.uniform(-1, 3, rows) for name in names}


def evaluated(columns: dict[str, Array], target: Array) -> list[tuple[str, float]]:
    """Every feature of up to two operators, made and correlated one by one."""
    table = feature_table(columns)
    expressions = [*table.expressions, *one_operator_more(table.expressions)]
    found = []
    for expression in expressions:
        values = expression(columns)
        if is_usable(values):
            correlation = np.corrcoef(values, target)[0, 1]
            found.append((expression.text, correlation**2))
    return sorted(found, key=lambda one: -one[1])


@pytest.mark.parametrize("seed", range(3))
def test_screened_features_are_the_evaluated_ones(seed: int) -> None:
    columns = drawn(seed)
    columns["d"][:5] = 0.0  # under log and inverse
    target = columns["a"] * columns["b"] - np.abs(columns["c"])
    right = evaluated(columns, target)
    screen = Screen(feature_table(columns))
    found = screen.best(target, 200)
    scores = dict(right)
    assert found[0].score == pytest.approx(right[0][1], abs=1e-9)
    for one in found:
        assert one.score == pytest.approx(scores[one.expression.text], abs=1e-8)
    distinct = [right[0][1]]
    for _, score in right:
        if distinct[-1] - score > 1e-7:
            distinct.append(score)
    ours = [one.score for one in found]
    for score in distinct[:150]:
        assert min(abs(score - one) for one in ours) < 1e-7


def test_beside_what_is_chosen_the_rest_counts() -> None:
    columns = drawn(4)
    chosen = columns["a"] ** 2
    target = 10 * chosen + columns["b"] * columns["c"]
    screen = Screen(feature_table(columns))
    found = screen.best(target, 1, beside=chosen[:, None])
    assert found[0].expression.text == "(b * c)"
    assert found[0].score == pytest.approx(1)
    design = np.column_stack([chosen, found[0].column])
    assert best_subsets(design, target, 2, 1)[0].explained == pytest.approx(1)


def test_twins_and_constants_stand_once_or_not_at_all() -> None:
    columns = drawn(5) | {"one": np.ones(80), "e": drawn(5)["a"].copy()}
    columns["f"] = 2 * columns["a"] + 1
    table = feature_table(columns)
    names = [one.text for one in table.expressions if not one.operands]
    assert names == ["a", "b", "c", "d", "f"]
    found = Screen(table).best(columns["a"] ** 2, 300)
    scaled = np.column_stack([one.column for one in found])
    correlation = np.abs(np.corrcoef(scaled.T)) - np.eye(len(found))
    assert correlation.max() < 1 - 1e-11
    assert found[0].expression.complexity == 1


def test_nothing_to_screen() -> None:
    empty = feature_table({"a": np.ones(40)})
    assert empty.expressions == ()
    assert Screen(empty).count == 0
    lone = Screen(feature_table({"a": np.linspace(-1, 1, 40)}))
    assert lone.best(np.zeros(40), 5) == []
    huge = {"a": np.linspace(1, 2, 40) * 1e48, "b": np.linspace(1, 800, 40) ** 2}
    found = Screen(feature_table(huge)).best(huge["a"] * huge["b"], 20)
    assert all(np.isfinite(one.column).all() for one in found)


def test_units_leave_out_what_they_forbid() -> None:
    columns = drawn(6)
    units = read_units({"a": "eV", "b": "eV"})
    table = feature_table(columns, units)
    texts = {one.text for one in table.expressions}
    assert "(a + b)" in texts
    assert "(a * c)" in texts
    assert "exp(c)" in texts
    assert not texts & {"exp(a)", "(a + c)", "|b - c|", "log(b)"}
    for one in Screen(table).best(columns["a"], 100):
        assert one.expression.units is not None


def test_the_count_is_that_of_all_forms() -> None:
    columns = {name: values + 2 for name, values in drawn(7).items()}
    table = feature_table(columns)
    screen = Screen(table)
    m = len(table.expressions)
    pairs = m * (m - 1) // 2
    assert screen.count >= m + pairs * 3 + m * (m - 1)
    unary = sum(
        is_usable(Expression(name, (one,))(columns))
        for name in UNARY
        for one in table.expressions
    )
    made = [one(columns) for one in table.expressions]
    meet = sum(
        one.min() < two.max() and two.min() < one.max()
        for one, two in combinations(made, 2)
    )
    quotients = sum((one != 0).all() for one in made) * (m - 1)
    assert screen.count == m + unary + pairs * 3 + quotients + meet


PUBLISHED = {
    "EWaldSumLst": "E",
    "EFormLst": "Ef",
    "RDiffLst": "D",
    "RDiffStdLst": "R",
    "RDiffNaLst": "P",
    "EleNegStdLst": "Xs",
    "XDiffLst": "Xd",
    "AnionXStdLst": "AX",
    "XWithNaLst": "X",
    "ChgDiffLst": "C",
    "ChgStdLst": "Z",
    "AnionChgStdLst": "Q",
    "NNaLst": "N",
    "RRatioNaLst": "V",
}


@pytest.mark.physics
def test_the_selection_of_sisso(published: pd.DataFrame) -> None:
    """1,000 + 1,000 features; the first of each, and what both together leave."""
    entropy = [
        nasicon_mixing_entropy(text, convention="ouyang2021")
        for text in published.CompName
    ]
    cold = published.NewEhullLst + 1e6 * np.array(entropy)
    rows = published[(cold > -100) & (cold <= 300)]
    assert len(rows) == 3079
    columns = {new: rows[old].to_numpy() for old, new in PUBLISHED.items()}
    units = read_units(
        dict.fromkeys(("E", "Ef"), "eV")
        | dict.fromkeys(("D", "R", "P"), "angstrom")
        | dict.fromkeys(("Xs", "Xd", "AX", "X"), "pauling")
    )
    energy = rows.NewEhullLst.to_numpy()
    screen = Screen(feature_table(columns, units))
    first = screen.best(energy, 1000)
    assert first[0].expression.text == "(exp(Q) * cbrt(N))"
    one = np.column_stack([np.ones(len(energy)), first[0].column])
    rest = energy - one @ np.linalg.lstsq(one, energy, rcond=None)[0]
    second = screen.best(rest, 1000)
    assert second[0].expression.text == "((E * R) * (Xs + X))"
    both = np.column_stack([first[0].column, second[0].column])
    explained = best_subsets(both, energy, 2, 1)[0].explained
    assert np.sqrt((1 - explained) * energy.var()) == pytest.approx(22.2167, abs=1e-4)
    pool = np.column_stack([one.column for one in [*first, *second]])
    best = best_subsets(pool, energy, 2, 1)[0]
    assert np.sqrt((1 - best.explained) * energy.var()) <= 22.2168
    assert column("E").text == "E"
