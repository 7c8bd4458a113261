from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from hts_battery.errors import ConfigurationError
from hts_battery.learning import DescriptorSearch, pair_accuracy
from hts_battery.learning.descriptor_models import best_boundary, fold_score
from hts_battery.learning.expressions import BINARY, Expression
from hts_battery.learning.feature_table import feature_table
from hts_battery.learning.shares import area_under_curve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def drawn(seed: int, rows: int = 200, names: str = "abcd") -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(random.uniform(0.5, 3, (rows, len(names))), columns=list(names))


def by_source(search: DescriptorSearch, frame: pd.DataFrame) -> Array:
    """Scores by the source that the search writes."""
    names: dict[str, object] = {}
    exec(search.to_python(), names)  # noqa: S102 - the source that is tested
    columns: Mapping[str, Array] = {name: frame[name].to_numpy() for name in frame}
    score = names["score"]
    assert callable(score)
    return np.asarray(score(columns))


@pytest.mark.parametrize("task", ["rank", "regress", "classify"])
@pytest.mark.parametrize("method", ["so", "rank", "tree"])
def test_every_task_and_method(task: str, method: str) -> None:
    frame = drawn(0, 80, "abc")
    energy = 3 * frame.a * frame.b - frame.c - 8
    y = (energy <= -5).astype(int) if task == "classify" else energy
    search = DescriptorSearch(task, method).fit(frame, y)  # type: ignore[arg-type] - text
    scores = search.predict(frame)
    stable = (energy <= -5).to_numpy()
    assert area_under_curve(-scores, stable.astype(float)) > 0.95
    if task != "classify":
        assert pair_accuracy(scores, energy) > (0.85 if method == "tree" else 0.95)
    assert by_source(search, frame) == pytest.approx(scores, rel=1e-12, abs=1e-12)
    assert search.to_latex().count("{") == search.to_latex().count("}")
    assert len(search.formulas_) == len(search.descriptors_) > 5
    assert len(set(search.formulas_)) == len(search.formulas_)
    assert sum(one.wins for one in search.descriptors_) == pytest.approx(1)
    complexities = [one.complexity for one in search.front_]
    assert complexities == sorted(set(complexities))
    assert np.isfinite(search.descriptors_[0].fold_score)
    if task != "regress":
        assert search.descriptors_[0].boundary is not None


def recovered(seed: int) -> bool:
    """Plant two random features of two operators under 5 % noise; find both."""
    random = np.random.default_rng(seed)
    frame = drawn(seed, 500, "abcdefgh")
    columns = {name: frame[name].to_numpy() for name in frame}
    table = feature_table(columns)
    planted: list[Array] = []
    while len(planted) < 2:
        first, second = random.choice(len(table.expressions), 2, replace=False)
        pair = (table.expressions[first], table.expressions[second])
        values = Expression(str(random.choice(list(BINARY))), pair)(columns)
        if np.isfinite(values).all() and values.std() > 0:
            planted.append((values - values.mean()) / values.std())
    clean = planted[0] + planted[1] * random.uniform(0.5, 1.5)
    y = clean + 0.05 * clean.std() * random.normal(size=500)
    found = DescriptorSearch("regress").fit(frame, y).descriptors_[0].expressions
    design = np.column_stack([np.ones(500), *(one(columns) for one in found)])
    rests = [one - design @ np.linalg.lstsq(design, one)[0] for one in planted]
    return max(np.abs(rest).max() for rest in rests) < 1e-6


@pytest.mark.slow
def test_planted_pairs_are_recovered() -> None:
    """Plain screening finds six to eight of twelve."""
    assert sum(recovered(seed) for seed in range(12)) >= 9


def test_a_planted_triple() -> None:
    frame = drawn(1, 80)
    y = frame.a * frame.b + 2 * np.log(frame.c) - 3 * frame.d**2
    search = DescriptorSearch("regress", dimensions=3).fit(frame, y)
    assert search.predict(frame) == pytest.approx(y.to_numpy(), abs=1e-6)


def test_order_of_rows_and_units_of_columns_change_no_formula() -> None:
    frame = drawn(2, 100, "abc")
    random = np.random.default_rng(0)
    y = frame.a * frame.b + np.sqrt(frame.c) + 0.3 * random.normal(size=len(frame))
    groups = pd.Series([f"g{n % 25}" for n in range(len(frame))])
    units = {"a": "eV", "b": "angstrom", "c": "pauling"}
    search = DescriptorSearch(units=units).fit(frame, y, groups)
    order = random.permutation(len(frame))
    shuffled = clone(search).fit(frame.iloc[order], y.iloc[order], groups.iloc[order])
    assert shuffled.formulas_ == search.formulas_
    assert np.array_equal(shuffled.predict(frame), search.predict(frame))
    scaled = frame.assign(a=frame.a * 1e-3, b=frame.b * 7.3, c=frame.c * 1e5)
    other = clone(search).fit(scaled, y, groups)
    assert other.formulas_[0] == search.formulas_[0]
    assert other.predict(scaled) == pytest.approx(search.predict(frame), rel=1e-6)


def test_outliers_do_not_decide_a_ranking() -> None:
    """Sixteen failed references up to 8 eV stand in the published table."""
    frame = drawn(3, 400, "ab")
    y = 30 * frame.a / frame.b + np.random.default_rng(0).normal(size=400)
    y[:16] = 8000.0
    search = DescriptorSearch(dimensions=1).fit(frame, y)
    ratio = frame.a / frame.b
    assert pair_accuracy(search.predict(frame)[16:], ratio[16:]) > 0.95


def test_constants_zeros_and_twins_do_not_disturb() -> None:
    frame = drawn(4).assign(one=2.0, twin=lambda f: f.a, zero=lambda f: f.b - f.b.min())
    y = frame.a * frame.zero
    search = DescriptorSearch("regress", dimensions=1).fit(frame, y)
    assert search.formulas_[0] == "(a * zero)"
    unseen = search.predict(frame.assign(a=-1.0))
    assert np.isfinite(unseen).all()
    ratio = DescriptorSearch("regress", dimensions=1).fit(frame, 1 / frame.a)
    with np.errstate(all="ignore"):
        gone = ratio.predict(frame.assign(a=0.0, twin=0.0))
    assert not np.isfinite(gone).any()


def test_groups_keep_a_formula_from_learning_names() -> None:
    """A column that numbers groups explains them, and nothing of a group unseen."""
    random = np.random.default_rng(5)
    group = np.repeat(np.arange(30), 20)
    frame = pd.DataFrame(
        {"x": random.uniform(1, 2, 600), "name": random.permutation(30)[group] + 1.0}
    )
    y = frame.x + random.normal(size=30)[group] * 0.3
    search = DescriptorSearch(dimensions=1).fit(frame, y, group)
    assert "x" in search.formulas_[0]
    assert search.descriptors_[0].fold_score > 0.7


def test_arrays_and_one_column() -> None:
    x = np.linspace(1, 2, 50)
    search = DescriptorSearch("regress", dimensions=2).fit(x[:, None], x**2)
    assert search.predict(x[:, None]) == pytest.approx(x**2, abs=1e-9)
    assert "x0" in search.formulas_[0]


@pytest.mark.parametrize(
    ("arguments", "change", "message"),
    [
        ({"task": "sort"}, {}, "no task 'sort'"),
        ({"method": "forest"}, {}, "no method 'forest'"),
        ({"dimensions": 4}, {}, "one to three"),
        ({}, {"a": np.nan}, "a has no value in 200 rows"),
        ({}, {"a": "text"}, "not numeric"),
        ({}, {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}, "no column varies"),
        ({"units": {"a": "?"}}, {}, "unit"),
        ({"task": "classify"}, {}, "nothing to separate"),
    ],
)
def test_what_cannot_be_searched(
    arguments: dict[str, object], change: dict[str, object], message: str
) -> None:
    frame = drawn(6).assign(**change)
    search = DescriptorSearch(**arguments)  # type: ignore[arg-type] - wrong on purpose
    with pytest.raises(ConfigurationError, match=message):
        search.fit(frame, np.arange(200) + 1.0)
    with pytest.raises(ConfigurationError, match="at least 30 rows"):
        DescriptorSearch().fit(drawn(6, 29), np.arange(29))
    with pytest.raises(ConfigurationError, match="one target each"):
        DescriptorSearch().fit(drawn(6), np.arange(29))


def test_what_cannot_be_predicted() -> None:
    frame = drawn(6, 60)
    with pytest.raises(NotFittedError):
        DescriptorSearch().predict(frame)
    search = DescriptorSearch("regress", dimensions=1).fit(frame, frame.a * frame.b)
    with pytest.raises(ConfigurationError, match="no column 'b'; there are a, c, d"):
        search.predict(frame.drop(columns="b"))


def test_scores_of_parts() -> None:
    assert best_boundary(np.ones(4), np.array([0, 0, 1, 1]) > 0) == 1.0
    assert np.isnan(fold_score("rank", np.array([1.0]), np.array([1.0])))
    assert np.isnan(fold_score("rank", np.array([1.0, np.inf]), np.array([1.0, 2.0])))
    assert fold_score("regress", np.zeros(2), np.array([3.0, 4.0])) == -np.sqrt(12.5)
