"""
Sure independence screening over features of two operators, by matrix products.

The correlation of a product a b with a target needs the sums of a b, a² b² and a b y
over rows: three matrix products of the table of one-operator features give them for all
pairs at once. Quotients are products with inverses; sums need only first and second
moments. R. Ouyang et al., Phys. Rev. Materials 2, 083802 (2018),
10.1103/PhysRevMaterials.2.083802, for the method that evaluates each feature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.learning.expressions import UNARY, Expression, allowed
from hts_battery.learning.feature_table import is_usable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from hts_battery.learning.feature_table import FeatureTable

    Array = NDArray[np.float64]
    Indices = NDArray[np.intp]

_CHUNK = 64
_ROUNDING = 1e-11
"""Variance, relative to the mean square, below which rounding has eaten it."""
_PARALLEL = 1e-8
_SAME = 1e-10
"""One minus the squared correlation of two features that say the same."""
_SAME_SCORE = 1e-8
_MARGIN = 1.5
"""Candidates verified for each that is asked for: some turn out undefined or twins."""


class Feature(NamedTuple):
    """A feature that survived, evaluated in double precision."""

    expression: Expression
    column: Array
    score: float


class _Block(NamedTuple):
    """Features of one form, most of them not evaluated."""

    expression: Callable[[int], Expression]
    variance: Array
    """Sum of squared deviations of each feature; 0 where it is not defined."""
    sums: Callable[[Array], Array]
    """Centred vectors, shape (k, rows) → sums of their products with each feature."""


class Screen:
    """
    All features of up to two operators of one table of columns.

    Parameters
    ----------
    table
        Features of up to one operator.

    Notes
    -----
    Scores are shares: of the squares of a target that one more feature explains,
    beside those that are already chosen.
    """

    def __init__(self, table: FeatureTable) -> None:
        self.table = table
        self._blocks: list[_Block] = []
        if not table.expressions:
            return
        self._first, self._second = np.triu_indices(len(table.expressions), k=1)
        same = table.unit_classes[self._first] == table.unit_classes[self._second]
        self._alike = (self._first[same], self._second[same])
        self._blocks = [
            *self._evaluated(),
            *self._products(),
            *self._sums(),
            *self._differences(),
        ]

    @property
    def count(self) -> int:
        """Number of features, twins and undefined ones among them."""
        return sum(len(block.variance) for block in self._blocks)

    def best(
        self, target: Array, number: int, *, beside: Array | None = None
    ) -> list[Feature]:
        """
        Return the features that explain most of a target, best first, no twins.

        Parameters
        ----------
        target
            Shape (rows,).
        number
            How many at most.
        beside
            Features already chosen, shape (rows, k).
        """
        held = _orthonormal(beside, len(target))
        rest = target - target.mean()
        rest = rest - held @ (held.T @ rest)
        scores = np.concatenate([_scores(one, rest, held) for one in self._blocks])
        few = min(int(_MARGIN * number) + 10, len(scores))
        order = np.argpartition(-scores, few - 1)[:few]
        ends = np.cumsum([len(block.variance) for block in self._blocks])
        candidates = []
        for place in order[scores[order] > 0]:
            block = int(np.searchsorted(ends, place, side="right"))
            start = ends[block] - len(self._blocks[block].variance)
            candidates.append(self._blocks[block].expression(int(place - start)))
        return self._verified(candidates, rest, held, number)

    def _verified(
        self, candidates: Sequence[Expression], rest: Array, held: Array, number: int
    ) -> list[Feature]:
        """Evaluate candidates; leave out what is undefined, and twins."""
        found = []
        for expression in candidates:
            here = expression(self.table.columns)
            if is_usable(here):
                found.append(Feature(expression, here, _exact(here, rest, held)))
        found.sort(key=lambda one: _rank(one.score, one.expression))
        return _without_twins(found)[:number]

    def _evaluated(self) -> Iterator[_Block]:
        """Features of the table, and functions of them."""
        table = self.table
        yield _made(list(table.expressions), table.values)
        for name, operator in UNARY.items():
            places = [
                n for n, one in enumerate(table.expressions) if allowed(name, one)
            ]
            if not places:
                continue
            with np.errstate(all="ignore"):  # what is not finite is left out below
                values = operator.apply(table.values[:, places])
            good = [n for n in range(len(places)) if is_usable(values[:, n])]
            if good:
                made = [Expression(name, (table.expressions[places[n]],)) for n in good]
                yield _made(made, values[:, good])

    def _products(self) -> Iterator[_Block]:
        """Products of two, and quotients where there is no zero below."""
        # A factor changes no correlation; this one keeps the sums in range.
        values = self.table.values / np.abs(self.table.values).max(axis=0)
        yield self._bilinear("*", values, values, self._first, self._second)
        places = np.flatnonzero((values != 0).all(axis=0))
        if not len(places):
            return
        inverse = 1 / values[:, places]
        inverse /= np.abs(inverse).max(axis=0)
        above, below = np.nonzero(np.arange(values.shape[1])[:, None] != places)
        yield self._bilinear("/", values, inverse, above, below, places)

    def _bilinear(
        self,
        operator: str,
        left: Array,
        right: Array,
        first: Indices,
        second: Indices,
        places: Indices | None = None,
    ) -> _Block:
        """Products of the columns of two tables, by their sums over rows."""
        names = self.table.expressions
        below = second if places is None else places[second]
        mean = (left.T @ right)[first, second] / len(left)
        square = (np.square(left).T @ np.square(right))[first, second]
        variance = _positive(square - len(left) * mean**2, square)

        def sums(vectors: Array) -> Array:
            products = [(left.T * one) @ right for one in vectors]
            return np.stack([one[first, second] for one in products])

        def expression(number: int) -> Expression:
            return Expression(operator, (names[first[number]], names[below[number]]))

        return _Block(expression, variance, sums)

    def _sums(self) -> Iterator[_Block]:
        """Add and subtract two in one unit, by their covariances."""
        first, second = self._alike
        if not len(first):
            return
        centred = self.table.values - self.table.values.mean(axis=0)
        within = centred.T @ centred
        own = np.diag(within)
        for operator, sign in (("+", 1), ("-", -1)):
            square = own[first] + own[second]
            variance = _positive(square + 2 * sign * within[first, second], square)

            def sums(vectors: Array, sign: int = sign) -> Array:
                found = vectors @ centred
                return np.asarray(found[:, first] + sign * found[:, second])

            def expression(number: int, operator: str = operator) -> Expression:
                names = self.table.expressions
                return Expression(
                    operator, (names[first[number]], names[second[number]])
                )

            yield _Block(expression, variance, sums)

    def _differences(self) -> Iterator[_Block]:
        """Absolute differences, evaluated: of those that change their sign."""
        first, second = self._alike
        values = self.table.values
        low, high = values.min(axis=0), values.max(axis=0)
        meet = (low[first] < high[second]) & (low[second] < high[first])
        first, second = first[meet], second[meet]
        if not len(first):
            return

        lines = np.ascontiguousarray(values.T)

        def parts() -> Iterator[Array]:
            for start in range(0, len(first), _CHUNK):
                chosen = slice(start, start + _CHUNK)
                part = lines[first[chosen]]
                part -= lines[second[chosen]]
                yield np.abs(part, out=part)

        def sums(vectors: Array) -> Array:
            return np.concatenate([vectors @ part.T for part in parts()], axis=1)

        def expression(number: int) -> Expression:
            names = self.table.expressions
            return Expression("|-|", (names[first[number]], names[second[number]]))

        moments = [
            (part.mean(axis=1), np.einsum("ij,ij->i", part, part)) for part in parts()
        ]
        mean, square = (np.concatenate(one) for one in zip(*moments, strict=True))
        variance = _positive(square - len(values) * mean**2, square)
        yield _Block(expression, variance, sums)


def _made(expressions: Sequence[Expression], values: Array) -> _Block:
    """Wrap features that are evaluated."""
    centred = values - values.mean(axis=0)
    variance = _positive(np.square(centred).sum(axis=0), np.square(values).sum(axis=0))
    return _Block(
        expressions.__getitem__, variance, lambda vectors: np.asarray(vectors @ centred)
    )


def _positive(variance: Array, square: Array) -> Array:
    """Return variances, 0 where they are within the rounding of what they come from."""
    good = np.isfinite(square) & (variance > _ROUNDING * square)
    return np.where(good, variance, 0.0)


def _orthonormal(beside: Array | None, rows: int) -> Array:
    if beside is None or not beside.size:
        return np.empty((rows, 0))
    return np.asarray(np.linalg.qr(beside - beside.mean(axis=0))[0])


def _scores(block: _Block, rest: Array, held: Array) -> Array:
    """Share of the squares of the rest that each feature of a block explains."""
    *beside, explained = np.square(block.sums(np.vstack([held.T, rest])))
    free = block.variance - sum(beside)
    good = free > np.maximum(_PARALLEL * block.variance, 0.0)
    found = np.zeros(len(free))
    total = float(rest @ rest)
    if total > 0:
        found[good] = explained[good] / (free[good] * total)
    return found


def _exact(values: Array, rest: Array, held: Array) -> float:
    """Score one evaluated feature, without differences of large sums."""
    centred = values - values.mean()
    size = float(centred @ centred)
    centred = centred - held @ (held.T @ centred)
    free = float(centred @ centred)
    if free <= _PARALLEL * size or not rest.any():
        return 0.0
    return float((centred @ rest) ** 2 / (free * (rest @ rest)))


def _without_twins(found: Sequence[Feature]) -> list[Feature]:
    """Leave out what follows linearly from a simpler one; only equal scores can."""
    kept: list[Feature] = []
    alike: list[tuple[float, Array]] = []
    for one in found:
        centred = one.column - one.column.mean()
        centred = centred / np.linalg.norm(centred)
        alike = [two for two in alike if two[0] - one.score < _SAME_SCORE]
        if any(1 - float(centred @ two[1]) ** 2 < _SAME for two in alike):
            continue
        alike.append((one.score, centred))
        kept.append(one)
    return kept


def _rank(score: float, expression: Expression) -> tuple[float, int, str]:
    """Sort key: the score but for rounding, then the simpler formula."""
    return (-round(score, 10), expression.complexity, expression.text)
