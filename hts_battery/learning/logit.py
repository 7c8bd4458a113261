"""Logistic regression of stability on descriptors, and where it has no answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import expit
from scipy.stats import norm, t

from hts_battery.errors import ConfigurationError
from hts_battery.learning.tables import (
    LabelledTable,
    deviation,
    independent,
    read_table,
    with_text_names,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Verdict = Literal["fitted", "separates", "too few rows"]

_NEWTON_STEPS = 20
"""Steps that suffice: a maximum is reached in fewer than ten, and where rows separate
each gains a factor of e for ever."""
_DECREMENT = 1e-12
_FIRTH_STEPS = 200
_LARGEST_STEP = 5.0
_CONVERGED = 1e-8
_FIRTH_CONVERGED = 1e-5


@dataclass(frozen=True)
class LogitFit:
    """Coefficients of standardised columns, the intercept first, and covariance."""

    coefficients: Array
    covariance: Array
    freedom: float
    """Degrees of freedom of the t distribution; infinite without groups."""
    penalised: bool
    """Whether the rows separate, so that a penalty keeps the coefficients finite."""
    rows: Array | None = None
    """Covariance that rows on their own would give, where there are groups."""

    def probability(self, number: int) -> float:
        """Two-sided p value of one coefficient."""
        ratio = abs(self.coefficients[number]) / self.error(number)
        return float(2 * t.sf(ratio, self.freedom))

    def error(self, number: int) -> float:
        """
        Return the standard error of one coefficient, of groups or rows.

        The larger of both: of a column that differs in few groups the variance between
        groups says little.
        """
        variance = self.covariance[number, number]
        if self.rows is not None:
            variance = max(variance, self.rows[number, number])
        return float(np.sqrt(variance))

    def odds_ratio(self, number: int) -> tuple[float, tuple[float, float]]:
        """Odds ratio of one unit of a column, with its 95 % interval."""
        value = float(self.coefficients[number])
        half = float(t.ppf(0.975, self.freedom)) * self.error(number)
        low, middle, high = np.exp(
            np.clip([value - half, value, value + half], -50, 50)
        )
        return float(middle), (float(low), float(high))


def fit_logit(
    design: Array, label: Array, groups: NDArray[np.int64] | None = None
) -> LogitFit:
    """
    Fit by maximum likelihood, or with Firth's penalty where that has no maximum.

    Parameters
    ----------
    design
        Columns of shape (n, k), linearly independent, the first all ones.
    label
        Zeros and ones.
    groups
        Rows of one group are not independent: the covariance is that between groups.
    """
    found, inverse = _maximum(design, label)
    if inverse is None:
        return firth_logit(design, label)
    if groups is None:
        return LogitFit(found, inverse, np.inf, penalised=False)
    scores = (label - expit(design @ found))[:, None] * design
    count = int(groups.max()) + 1
    summed = np.zeros((count, design.shape[1]))
    np.add.at(summed, groups, scores)
    count = len(np.unique(groups))
    rows, terms = design.shape
    # The usual correction for few groups, and the t distribution below.
    factor = count / (count - 1) * (rows - 1) / (rows - terms)
    covariance = factor * inverse @ (summed.T @ summed) @ inverse
    return LogitFit(found, covariance, float(count - 1), penalised=False, rows=inverse)


def _maximum(design: Array, label: Array) -> tuple[Array, Array | None]:
    """Climb by Newton's steps; no inverse where they do not come to an end."""
    found = np.zeros(design.shape[1])
    height = _log_likelihood(design @ found, label)
    for _ in range(_NEWTON_STEPS):
        chance = expit(design @ found)
        information = design.T @ ((chance * (1 - chance))[:, None] * design)
        score = design.T @ (label - chance)
        try:
            step = np.linalg.solve(information, score)
        except np.linalg.LinAlgError:
            return found, None
        if not 0 <= score @ step < np.inf:
            return found, None
        if score @ step < _DECREMENT:
            return found + step, np.asarray(np.linalg.inv(information), dtype=float)
        while (next_height := _log_likelihood(design @ (found + step), label)) < height:
            step = step / 2
            if np.abs(step).max() < _CONVERGED:
                return found, None
        found, height = found + step, next_height
    return found, None


def _log_likelihood(logits: Array, label: Array) -> float:
    return float(label @ logits - np.logaddexp(0.0, logits).sum())


def firth_logit(design: Array, label: Array) -> LogitFit:
    """
    Fit with the penalty of Jeffreys' prior: finite also where rows separate.

    D. Firth, Biometrika 80, 27 (1993), 10.1093/biomet/80.1.27.
    """
    found = np.zeros(design.shape[1])
    inverse: Array = np.eye(design.shape[1])
    for _ in range(_FIRTH_STEPS):
        chance = expit(design @ found)
        weight = chance * (1 - chance)
        information = design.T @ (weight[:, None] * design)
        inverse = np.asarray(np.linalg.pinv(information), dtype=float)
        leverage = weight * ((design @ inverse) * design).sum(axis=1)
        step = inverse @ (design.T @ (label - chance + leverage * (0.5 - chance)))
        step *= min(1.0, _LARGEST_STEP / max(float(np.abs(step).max()), _CONVERGED))
        found += step
        if np.abs(step).max() < _FIRTH_CONVERGED:
            break
    return LogitFit(found, inverse, np.inf, penalised=True)


@dataclass(frozen=True)
class StabilityLogit:
    """
    Logit of being stable as a polynomial of columns, in their own units.

    Keys are column names, ``X^2`` for the square of ``X``. Where the rows separate, or
    are too few, there are no numbers and ``verdict`` says so.
    """

    coefficients: Mapping[str, float]
    standard_errors: Mapping[str, float]
    p_values: Mapping[str, float]
    intercept: float
    optima: Mapping[str, float | None]
    """Squared column → value at which the logit is greatest; None where it has none."""
    verdict: Verdict
    n: int
    stable: int
    left_out: Mapping[str, int]

    @property
    def optimum(self) -> float | None:
        """Value of the (first) squared column at which stability is most likely."""
        return next(iter(self.optima.values()), None)


def stability_logit(
    frame: pd.DataFrame,
    label: str,
    columns: Sequence[str],
    *,
    squared: Sequence[str] = (),
) -> StabilityLogit:
    r"""
    Fit the logarithm of the odds of being stable, by maximum likelihood.

    .. math:: \ln\frac{p}{1-p} = a + \sum_i b_i X_i + \sum_j c_j X_j^2

    Parameters
    ----------
    frame
        A row a composition.
    label
        Column of zeros and ones, or booleans: stable or not.
    columns
        Columns that enter linearly.
    squared
        Columns that enter with their square as well; their linear term is implied.

    Raises
    ------
    ConfigurationError
        If a column is missing, not numeric, constant, or follows from the others.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> x = np.linspace(0, 4, 200)
    >>> stable = np.random.default_rng(0).random(200) < np.exp(-((x - 2) ** 2))
    >>> fit = stability_logit(
    ...     pd.DataFrame({"x": x, "stable": stable}), "stable", ["x"], squared=["x"]
    ... )
    >>> fit.coefficients["x^2"] < 0, round(fit.optimum)
    (True, 2)
    """
    linear = list(dict.fromkeys([*columns, *squared]))
    table = read_table(with_text_names(frame), label, columns=linear)
    table.check_independent(linear)
    squares = list(dict.fromkeys(squared))
    _check_squares(table, linear, squares)
    names = [*linear, *(f"{name}^2" for name in squares)]
    verdict: Verdict = "fitted"
    values = errors = np.full(1 + len(names), np.nan)
    if table.too_few:
        verdict = "too few rows"
    else:
        fit, back = _polynomial(
            np.column_stack([table.columns[name] for name in linear]),
            [linear.index(name) for name in squares],
            table.label,
        )
        verdict = "separates" if fit.penalised else "fitted"
        if not fit.penalised:
            values = back @ fit.coefficients
            errors = np.sqrt(np.diag(back @ fit.covariance @ back.T))
    found = dict(zip(names, map(float, values[1:]), strict=True))
    p_values = 2 * norm.sf(np.abs(values / errors))
    return StabilityLogit(
        coefficients=found,
        standard_errors=dict(zip(names, map(float, errors[1:]), strict=True)),
        p_values=dict(zip(names, map(float, p_values[1:]), strict=True)),
        intercept=float(values[0]),
        optima={name: _optimum(found[name], found[f"{name}^2"]) for name in squares},
        verdict=verdict,
        n=len(table.label),
        stable=int(table.label.sum()),
        left_out=table.left_out,
    )


def _check_squares(
    table: LabelledTable, linear: Sequence[str], squares: Sequence[str]
) -> None:
    """Refuse a square that follows from the other terms, such as that of yes or no."""
    if not len(table.label):
        return
    values = [table.columns[name] for name in linear]
    scaled = [(one - one.mean()) / deviation(one) for one in values]
    powers = [scaled[linear.index(name)] ** 2 for name in squares]
    design = np.column_stack([np.ones(len(table.label)), *scaled, *powers])
    kept = independent(design)
    for number, name in enumerate(squares, start=1 + len(linear)):
        if number not in kept:
            raise ConfigurationError(
                f"the square of {name!r} follows from the other columns: leave it out "
                "of those squared"
            )


def _polynomial(
    values: Array, squared: Sequence[int], label: Array
) -> tuple[LogitFit, Array]:
    """Fit standardised columns; also return what turns it into their own units."""
    middle, width = values.mean(axis=0), values.std(axis=0)
    scaled = (values - middle) / width
    design = np.column_stack([np.ones(len(scaled)), scaled, scaled[:, squared] ** 2])
    terms = np.arange(values.shape[1])
    back = np.zeros((design.shape[1], design.shape[1]))
    back[0, 0] = 1
    back[0, 1 + terms] = -middle / width
    back[1 + terms, 1 + terms] = 1 / width
    for number, place in enumerate(squared, start=1 + len(terms)):
        m, s = middle[place], width[place]
        back[[0, 1 + place, number], number] = np.array([m**2, -2 * m, 1]) / s**2
    return fit_logit(design, label), back


def _optimum(linear: float, square: float) -> float | None:
    return -linear / (2 * square) if square < 0 else None
