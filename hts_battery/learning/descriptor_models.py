"""A formula of a few features with its coefficients: fitted, written, assessed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from sklearn.tree import DecisionTreeRegressor

from hts_battery.learning.closed_form import least_squares
from hts_battery.learning.expressions import rounded
from hts_battery.learning.ranking import RankingSVM, pair_accuracy
from hts_battery.learning.shares import area_under_curve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hts_battery.learning.expressions import Expression
    from hts_battery.learning.screening import Feature

    Array = NDArray[np.float64]
    Features = tuple[Feature, ...]

Task = Literal["rank", "regress", "classify"]
Method = Literal["so", "rank", "tree"]
_DEPTH = 3
_LEAF = 0.02
"""Smallest share of the rows in a leaf of a tree."""


@dataclass(frozen=True, eq=False)
class Descriptor:
    """
    Features and what is made of them: a weighted sum, or a tree.

    Calling it with a mapping of columns gives scores; higher: less stable.
    """

    expressions: tuple[Expression, ...]
    coefficients: tuple[float, ...]
    intercept: float
    tree: DecisionTreeRegressor | None
    train_scores: Array
    boundary: float | None = None
    """Score that separates stable (below) from unstable rows best, balanced."""
    fold_score: float = float("nan")
    """Pair accuracy (rank), area under the curve (classify) or minus the root mean
    squared error (regress) on rows kept aside, mean over folds."""
    train_score: float = float("nan")
    """The same on the rows of the fit."""
    wins: float = float("nan")
    """Share of resamplings in which it was the best of the formulas compared."""

    @property
    def text(self) -> str:
        """Features, joined by semicolons."""
        return "; ".join(one.text for one in self.expressions)

    @property
    def columns(self) -> frozenset[str]:
        """Columns that the features are made of."""
        return frozenset().union(*(one.columns for one in self.expressions))

    @property
    def complexity(self) -> int:
        """Number of operators in all features."""
        return sum(one.complexity for one in self.expressions)

    @property
    def latex(self) -> str:
        """The weighted sum (of a tree its features) in LaTeX."""
        if self.tree is not None:
            return r",\; ".join(one.latex for one in self.expressions)
        terms = [
            f"{rounded(c):+g} \\, {one.latex}"
            for c, one in zip(self.coefficients, self.expressions, strict=True)
        ]
        return f"{rounded(self.intercept):g} " + " ".join(terms)

    @property
    def python(self) -> str:
        """Source of ``score(columns)``, equal to calling this to the last digit."""
        names = [f"f{number}" for number in range(len(self.expressions))]
        lines = [
            f"    {name} = {one.python}"
            for name, one in zip(names, self.expressions, strict=True)
        ]
        if self.tree is None:
            body = " + ".join(
                [repr(self.intercept)]
                + [
                    f"{c!r} * {n}"
                    for c, n in zip(self.coefficients, names, strict=True)
                ]
            )
        else:
            body = _branch(self.tree, 0, names)
        source = [*lines, f"    return {body}"]
        return (
            "import numpy as np\n\n\ndef score(columns):\n" + "\n".join(source) + "\n"
        )

    def __call__(self, columns: Mapping[str, Array]) -> Array:
        """Return scores; NaN or infinite where a feature is not defined."""
        return self.score(np.column_stack([one(columns) for one in self.expressions]))

    def score(self, values: Array) -> Array:
        """Return scores of evaluated features, shape (rows, features)."""
        if self.tree is None:
            found = np.full(len(values), self.intercept)
            for coefficient, one in zip(self.coefficients, values.T, strict=True):
                found = found + coefficient * one
            return found
        good = np.isfinite(values).all(axis=1)
        found = np.full(len(values), np.nan)
        if good.any():
            found[good] = _walk(self.tree, values[good])
        return found

    def assessed(self, task: Task, goal: Array, fold_score_: float) -> Descriptor:
        """Return the same with its scores and the boundary."""
        boundary = None
        unstable = goal > 0
        if unstable.any() and not unstable.all():
            boundary = best_boundary(self.train_scores, unstable)
        return replace(
            self,
            boundary=boundary,
            fold_score=fold_score_,
            train_score=fold_score(task, self.train_scores, goal),
        )

    def with_wins(self, wins: float) -> Descriptor:
        """Return the same with its share of wins."""
        return replace(self, wins=wins)


def fit_descriptor(
    features: Features,
    target: Array,
    goal: Array,
    method: Method,
    *,
    rows: NDArray[np.bool_] | None = None,
) -> Descriptor:
    """Fit features to some rows: least squares and tree to target, ranking to goal."""
    values = np.column_stack([one.column for one in features])
    seen = np.ones(len(values), dtype=bool) if rows is None else rows
    tree, intercept = None, 0.0
    coefficients: Array = np.zeros(values.shape[1])
    if method == "tree":
        tree = DecisionTreeRegressor(
            max_depth=_DEPTH, min_samples_leaf=_LEAF, random_state=0
        ).fit(values[seen], target[seen])
    elif method == "rank":
        width = values[seen].std(axis=0)
        width[width == 0] = 1.0
        pairs = seen.sum() ** 2 / 2
        model = RankingSVM(1e3 / pairs).fit(values[seen] / width, goal[seen])
        coefficients = model.coef_ / width
    else:
        width = np.ptp(values[seen], axis=0)
        if width.all():
            coefficients, intercept = least_squares(values[seen], target[seen])
    made = Descriptor(
        tuple(one.expression for one in features),
        tuple(map(float, coefficients)),
        float(intercept),
        tree,
        np.empty(0),
    )
    return replace(made, train_scores=made.score(values))


def fold_score(task: Task, scores: Array, goal: Array) -> float:
    """Return what a task asks for on some rows; NaN where they cannot say."""
    if not np.isfinite(scores).all() or len(scores) < 2:  # noqa: PLR2004
        return float("nan")
    if task == "regress":
        return -float(np.sqrt(np.mean((scores - goal) ** 2)))
    if task == "classify":
        return area_under_curve(scores, (goal > 0).astype(float))
    return pair_accuracy(scores, goal)


def best_boundary(scores: Array, unstable: NDArray[np.bool_]) -> float:
    """
    Return the score that separates two classes with the best balanced accuracy.

    Examples
    --------
    >>> best_boundary(np.array([0.0, 1.0, 3.0, 4.0]), np.array([0, 0, 1, 1]) > 0)
    2.0
    """
    order = np.argsort(scores, kind="stable")
    ordered, bad = scores[order], unstable[order]
    below_bad = np.cumsum(bad) / bad.sum()
    below_good = np.cumsum(~bad) / (~bad).sum()
    gain = np.where(np.diff(ordered) > 0, (below_good - below_bad)[:-1], -np.inf)
    if not len(gain) or not np.isfinite(gain).any():
        return float(ordered[0])
    place = int(gain.argmax())
    return float((ordered[place] + ordered[place + 1]) / 2)


def _walk(tree: DecisionTreeRegressor, values: Array) -> Array:
    """Follow the branches in double precision, as the source does."""
    parts = tree.tree_
    node = np.zeros(len(values), dtype=np.intp)
    for _ in range(_DEPTH):
        inner = parts.children_left[node] >= 0
        feature = np.where(inner, parts.feature[node], 0)
        left = values[np.arange(len(values)), feature] <= parts.threshold[node]
        below = np.where(left, parts.children_left[node], parts.children_right[node])
        node = np.where(inner, below, node)
    return np.asarray(parts.value[node, 0, 0])


def _branch(tree: DecisionTreeRegressor, node: int, names: list[str]) -> str:
    parts = tree.tree_
    if parts.children_left[node] < 0:
        return repr(float(parts.value[node, 0, 0]))
    question = f"{names[parts.feature[node]]} <= {float(parts.threshold[node])!r}"
    low = _branch(tree, parts.children_left[node], names)
    high = _branch(tree, parts.children_right[node], names)
    return f"np.where({question}, {low}, {high})"
