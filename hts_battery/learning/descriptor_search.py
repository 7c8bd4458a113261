"""Search for the few features, of millions, that order or separate compositions."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from hts_battery.errors import ConfigurationError
from hts_battery.learning.closed_form import best_subsets
from hts_battery.learning.descriptor_models import fit_descriptor, fold_score
from hts_battery.learning.feature_table import feature_table
from hts_battery.learning.folds import assign_folds, each_fold
from hts_battery.learning.screening import Screen
from hts_battery.learning.units import read_units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from hts_battery.learning.descriptor_models import (
        Descriptor,
        Features,
        Method,
        Task,
    )
    from hts_battery.learning.screening import Feature

    Array = NDArray[np.float64]

_KEPT = 1000
"""Features that each screening keeps."""
_KEPT_FOR_TRIPLES = 150
_KEPT_FOR_FRONT = 300
_ASSESSED = {"so": 40, "rank": 25, "tree": 15}
"""Sets of features that are fitted and compared on folds, by method."""
_SCREENED = 2e10
"""Values of features that the refinement may go through, rows times features."""
_FEWEST, _MOST = 6, 40
"""Bounds to the number of its screenings."""
_RESAMPLES = 100
_MIN_ROWS = 30


class DescriptorSearch(BaseEstimator):
    """
    Find the formulas of one to three features that order or separate rows best.

    Features are all those of up to two of ``+ - |-| * / exp log 1/ ^2 ^3 sqrt cbrt``
    that units allow. They are screened by what they explain of the target, beside what
    is already chosen; all pairs (triples) of what is kept are fitted in closed form;
    each of the best is refined by exchanging one member for the best of *all* features.
    The order of rows changes nothing.

    Parameters
    ----------
    task
        ``rank`` (order by energy; the target is its normal score, so that outliers do
        not decide), ``regress`` (the value), ``classify`` (labels: 1 stable, or an
        energy whose sign is the label).
    method
        ``so``: least squares of the features; ``rank``: exact ranking SVM on them;
        ``tree``: a decision tree of depth three on them.
    dimensions
        Features in a formula, 1 to 3.
    units
        Column → unit such as ``eV`` or ``eV/angstrom^2``; columns that are not named
        are pure numbers. None: every operator is allowed.
    seed
        Of folds and resampling.

    Examples
    --------
    >>> x = np.random.default_rng(0).uniform(1, 2, size=(200, 3))
    >>> search = DescriptorSearch("regress", dimensions=1)
    >>> search.fit(pd.DataFrame(x, columns=list("abc")), x[:, 0] * x[:, 2] / x[:, 1])
    DescriptorSearch(dimensions=1, task='regress')
    >>> search.formulas_[0]
    '((a * c) / b)'
    """

    formulas_: list[str]
    """Formulas, best first: features joined by ``; ``, coefficients left out."""
    descriptors_: list[Descriptor]
    """The same with coefficients, scores on folds, boundary and share of wins."""
    front_: list[Descriptor]
    """Best formula of each complexity that is better than all simpler ones."""
    features_screened_: int

    def __init__(
        self,
        task: Task = "rank",
        method: Method = "so",
        dimensions: int = 2,
        units: Mapping[str, str] | None = None,
        seed: int = 0,
    ) -> None:
        self.task = task
        self.method = method
        self.dimensions = dimensions
        self.units = units
        self.seed = seed

    def fit(
        self,
        X: pd.DataFrame | ArrayLike,  # noqa: N803 - scikit-learn's name
        y: ArrayLike,
        groups: ArrayLike | None = None,
    ) -> Self:
        """
        Search.

        Parameters
        ----------
        X
            Rows of numeric columns, finite; an array gets the names x0, x1, …
        y
            Energies (rank, regress), or labels (classify; 1 is stable).
        groups
            Rows of one group stay together in folds and resampling.

        Raises
        ------
        ConfigurationError
            If rows are too few, not finite, or no feature can be made of them.
        """
        columns, target, codes = self._read(X, y, groups)
        units = None if self.units is None else read_units(self.units)
        screen = Screen(feature_table(columns, units))
        if not screen.count:
            raise ConfigurationError("no column varies: there is nothing to search")
        self.features_screened_ = screen.count
        pool = self._pool(screen, target)
        sets = self._sets(screen, pool, target)
        assess = _Assessment(columns, self._label, target, codes, self)
        self.descriptors_ = assess.ranked(sets[: _ASSESSED[self.method]])
        self.formulas_ = [one.text for one in self.descriptors_]
        self.front_ = assess.front(pool, self.dimensions)
        return self

    def predict(self, X: pd.DataFrame | ArrayLike) -> Array:  # noqa: N803 - as above
        """Return scores of the best formula; higher: less stable. NaN: not defined."""
        check_is_fitted(self)
        columns, best = _columns(X), self.descriptors_[0]
        missing = sorted(best.columns - columns.keys())
        if missing:
            raise ConfigurationError(
                f"no column {missing[0]!r}; there are {', '.join(columns)}"
            )
        return best(columns)

    def goals(self, y: Array) -> tuple[Array, Array]:
        """Return what formulas are assessed by, and what least squares are taken of."""
        target = _target(self.task, y)
        return (target if self.task == "classify" else y), target

    def to_latex(self) -> str:
        """Return the best formula as LaTeX."""
        return self.descriptors_[0].latex

    def to_python(self) -> str:
        """Return source of ``score(columns)`` over a mapping of arrays."""
        return self.descriptors_[0].python

    def _read(
        self,
        table: pd.DataFrame | ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None,
    ) -> tuple[dict[str, Array], Array, NDArray[np.int64] | None]:
        """Check the rows and put them into an order that does not depend on theirs."""
        if self.task not in ("rank", "regress", "classify"):
            raise ConfigurationError(f"no task {self.task!r}: rank, regress, classify")
        if self.method not in _ASSESSED:
            raise ConfigurationError(f"no method {self.method!r}: so, rank, tree")
        if not 1 <= self.dimensions <= 3:  # noqa: PLR2004
            raise ConfigurationError("a formula has one to three dimensions")
        columns = _columns(table)
        label = np.asarray(y, dtype=float)
        rows = len(next(iter(columns.values()), []))
        if label.shape != (rows,) or rows < _MIN_ROWS:
            raise ConfigurationError(
                f"{rows} rows and a target of shape {label.shape}: at least "
                f"{_MIN_ROWS} rows with one target each are needed"
            )
        for name, values in {**columns, "the target": label}.items():
            if not np.isfinite(values).all():
                bad = int((~np.isfinite(values)).sum())
                raise ConfigurationError(
                    f"{name} has no value in {bad} rows: leave them out"
                )
        codes = None
        if groups is not None:
            names = np.asarray(groups).astype(str)
            codes = np.unique(names, return_inverse=True)[1].astype(np.int64)
        keys = [*(columns[name] for name in sorted(columns)), label]
        order = np.lexsort(keys if codes is None else [codes, *keys])
        self._label = label[order]
        target = _target(self.task, self._label)
        columns = {name: values[order] for name, values in columns.items()}
        return columns, target, None if codes is None else codes[order]

    def _pool(self, screen: Screen, target: Array) -> list[Feature]:
        """Screen once for each dimension, beside the best set of the one before."""
        kept = _KEPT if self.dimensions < 3 else _KEPT_FOR_TRIPLES  # noqa: PLR2004
        pool: list[Feature] = []
        beside: Array | None = None
        for size in range(1, self.dimensions + 1):
            seen = {one.expression.text for one in pool}
            found = screen.best(target, kept + len(pool), beside=beside)
            pool += [one for one in found if one.expression.text not in seen][:kept]
            if not pool:
                raise ConfigurationError("no feature explains anything of the target")
            if size == self.dimensions:
                break
            values = np.column_stack([one.column for one in pool])
            sets = best_subsets(values, target, min(size, len(pool)), 1)
            beside = values[:, list(sets[0].columns)] if sets else values[:, :1]
        return pool

    def _sets(
        self, screen: Screen, pool: Sequence[Feature], target: Array
    ) -> list[Features]:
        """Best sets of the pool, and what exchanging their members leads to."""
        number = 2 * _ASSESSED[self.method]
        values = np.column_stack([one.column for one in pool])
        size = min(self.dimensions, len(pool))
        found = {
            _key(one): (one, subset.explained)
            for subset in best_subsets(values, target, size, number)
            for one in [tuple(pool[place] for place in subset.columns)]
        }
        work = len(target) * screen.count
        left = int(np.clip(_SCREENED / max(work, 1), _FEWEST, _MOST))
        starts = [one for one, _ in list(found.values())]
        if size > 1:
            starts = _in_turns(starts, [(one,) for one in _spread(pool)])
        if size > 1:
            _exchange(screen, target, starts, (size, left), found)
        return [one for one, _ in sorted(found.values(), key=_by_explained)]


def _by_explained(found: tuple[Features, float]) -> tuple[float, int, tuple[str, ...]]:
    features, explained = found
    complexity = sum(one.expression.complexity for one in features)
    return -round(explained, 10), complexity, _key(features)


def _exchange(
    screen: Screen,
    target: Array,
    starts: Sequence[Features],
    limits: tuple[int, int],
    found: dict[tuple[str, ...], tuple[Features, float]],
) -> None:
    """
    Exchange one member after the other for the best of all, while that helps.

    Several sets are exchanged at a time, since one pass over the features answers for
    all. ``limits``: members of a set, and screenings at most. ``found``: what is added
    to, sets and what they explain.
    """
    size, left = limits
    most = int(np.clip(_AT_ONCE // max(size * screen.count, 1), 1, _WIDEST))
    waiting = deque(_Climb(list(start), size) for start in starts)
    seen: set[tuple[str, ...]] = set()
    while waiting and left > 0:
        asked: list[_Climb] = []
        while waiting and len(asked) < min(most, left):
            one = waiting.popleft()
            key = _key(tuple(one.others))
            if one.others and key not in seen:
                seen.add(key)
                asked.append(one)
        left -= len(asked)
        besides = [np.column_stack([f.column for f in one.others]) for one in asked]
        partners = screen.best_several(target, 3, besides) if asked else []
        for one, partner in zip(asked, partners, strict=True):
            if one.take(partner, target, found):
                waiting.appendleft(one)


_AT_ONCE, _WIDEST = 2e7, 8
"""Sums held at a time, and sets that are exchanged at a time."""


@dataclass
class _Climb:
    """A set of features whose members are exchanged one after the other."""

    here: list[Feature]
    size: int
    best: float = -1.0
    idle: int = 0

    @property
    def others(self) -> list[Feature]:
        """Members that stay when the next one is exchanged."""
        return self.here[1:] if len(self.here) == self.size else self.here

    def take(
        self,
        partners: Sequence[Feature],
        target: Array,
        found: dict[tuple[str, ...], tuple[Features, float]],
    ) -> bool:
        """Take the best partner; say whether to go on."""
        others = self.others
        for one in partners:
            made = (*others, one)
            found.setdefault(_key(made), (made, _explained(made, target)))
        if not partners:
            return False
        self.here = [*others, partners[0]]
        if len(self.here) == self.size:
            explained = _explained(tuple(self.here), target)
            self.idle = 0 if explained > self.best + _GAIN else self.idle + 1
            self.best = max(self.best, explained)
        return self.idle < self.size


_GAIN = 1e-9


def _explained(features: Features, target: Array) -> float:
    values = np.column_stack([one.column for one in features])
    found = best_subsets(values, target, len(features), 1)
    return found[0].explained if found else 0.0


def _key(features: Features) -> tuple[str, ...]:
    return tuple(sorted(one.expression.text for one in features))


def _spread(pool: Sequence[Feature], most: int = 40) -> list[Feature]:
    """Best features none of which moves closely with one before."""
    kept: list[tuple[Feature, Array]] = []
    for one in pool:
        centred = one.column - one.column.mean()
        centred = centred / np.linalg.norm(centred)
        if all(abs(float(centred @ other)) < _CLOSE for _, other in kept):
            kept.append((one, centred))
        if len(kept) == most:
            break
    return [one for one, _ in kept]


_CLOSE = 0.95


def _in_turns(*lists: Sequence[Features]) -> list[Features]:
    longest = max(map(len, lists))
    return [one[n] for n in range(longest) for one in lists if n < len(one)]


def _columns(X: pd.DataFrame | ArrayLike) -> dict[str, Array]:  # noqa: N803 - as above
    frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X))
    if not isinstance(X, pd.DataFrame):
        frame.columns = [f"x{number}" for number in range(frame.shape[1])]
    try:
        return {str(name): frame[name].to_numpy(dtype=float) for name in frame.columns}
    except (TypeError, ValueError) as err:
        raise ConfigurationError(f"a column is not numeric: {err}") from err


def _target(task: Task, label: Array) -> Array:
    """Return what least squares are taken of; higher: less stable."""
    if task == "regress":
        return label
    if task == "rank":
        scores = norm.ppf((rankdata(label) - 0.5) / len(label))
        return np.asarray(scores)
    stable = label > 0 if set(np.unique(label)) <= {0.0, 1.0} else label <= 0
    if stable.all() or not stable.any():
        raise ConfigurationError("all labels are one: nothing to separate")
    return np.where(stable, 0.0, 1.0)


class _Assessment:
    """Fits of sets of features, compared on folds and on resampled groups."""

    def __init__(
        self,
        columns: Mapping[str, Array],
        label: Array,
        target: Array,
        groups: NDArray[np.int64] | None,
        search: DescriptorSearch,
    ) -> None:
        self.columns, self.target, self.groups = columns, target, groups
        # What is ordered: energies as they are, classes by what least squares take.
        self.goal = label if search.task != "classify" else target
        self.task, self.method, self.seed = search.task, search.method, search.seed
        is_class = search.task == "classify"
        self.folds = assign_folds(
            target if is_class else np.arange(len(target), dtype=float),
            groups,
            seed=search.seed,
        )

    def ranked(self, sets: Sequence[Features]) -> list[Descriptor]:
        """Fit each set; order by what it does on rows kept aside."""
        found = [self.fitted(one) for one in sets]
        if self.task != "regress":  # there the smallest squared error is the question
            found.sort(
                key=lambda one: (-round(one.fold_score, 9), one.complexity, one.text)
            )
        wins = self._wins(found)
        return [one.with_wins(won) for one, won in zip(found, wins, strict=True)]

    def fitted(self, features: Features) -> Descriptor:
        """Fit on all rows, and on each part of them to assess the others."""
        scores = []
        for seen, aside in each_fold(self.folds):
            fit = fit_descriptor(
                features, self.target, self.goal, self.method, rows=seen
            )
            values = np.column_stack([one.column[aside] for one in features])
            scores.append(fold_score(self.task, fit.score(values), self.goal[aside]))
        fit = fit_descriptor(features, self.target, self.goal, self.method)
        good = [one for one in scores if np.isfinite(one)]
        return fit.assessed(self.task, self.goal, float(np.mean(good)) if good else 0.5)

    def _wins(self, found: Sequence[Descriptor]) -> list[float]:
        """Share of resamplings of groups in which each fit explains most."""
        random = np.random.default_rng(self.seed)
        codes = np.arange(len(self.target)) if self.groups is None else self.groups
        count = int(codes.max()) + 1
        won = np.zeros(len(found))
        scores = np.column_stack([one.train_scores for one in found])
        for _ in range(_RESAMPLES):
            weights = np.bincount(random.integers(0, count, count), minlength=count)[
                codes
            ]
            won[_most_correlated(scores, self.target, weights.astype(float))] += 1
        return [float(one) for one in won / _RESAMPLES]

    def front(self, pool: Sequence[Feature], dimensions: int) -> list[Descriptor]:
        """Best set of each complexity of features that beats all simpler ones."""
        found: list[Descriptor] = []
        for most in range(3 + 1):
            simple = [one for one in pool if one.expression.complexity <= most]
            simple = simple[:_KEPT_FOR_FRONT]
            for size in range(1, dimensions + 1):
                if len(simple) < size:
                    continue
                values = np.column_stack([one.column for one in simple])
                if size == 3:  # noqa: PLR2004
                    values = values[:, :_KEPT_FOR_TRIPLES]
                found += [
                    self.fitted(tuple(simple[n] for n in one.columns))
                    for one in best_subsets(values, self.target, size, 1)
                ]
        found.sort(key=lambda one: (one.complexity, -one.fold_score, one.text))
        front: list[Descriptor] = []
        for one in found:
            if not front or one.fold_score > front[-1].fold_score:
                front.append(one)
        return front


def _most_correlated(scores: Array, target: Array, weights: Array) -> int:
    total = weights.sum()
    centred = scores - weights @ scores / total
    rest = target - weights @ target / total
    with np.errstate(all="ignore"):  # a constant score wins nothing
        found = (weights * rest) @ centred / np.sqrt(weights @ centred**2)
    return int(np.nanargmax(found))
