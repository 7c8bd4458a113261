"""Error against number of training structures, whole compositions left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import linregress

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]

_PENALTIES = np.logspace(-8, 2, 21)
_FOLDS = 5
_LEAST_ROWS = 2
_LEAST_SIZES = 3


@dataclass(frozen=True)
class Model:
    """
    What is fitted: a start that needs no fit, and columns whose ridge corrects it.

    Parameters
    ----------
    columns
        Shape (rows, columns); none: the mean of what is left is the correction.
    start
        Energies before any fit, eV per atom, such as those of a universal model.
    """

    columns: Array | None = None
    start: Array | None = None


@dataclass(frozen=True)
class CurvePoint:
    """Error of one model at one number of training structures, eV per atom."""

    model: str
    structures: int
    error: float
    """Mean absolute error over all repetitions."""
    standard_error: float
    """Of that mean, over repetitions."""
    repetitions: int


@dataclass(frozen=True)
class LearningCurve:
    """How errors fall, and down to what they can fall."""

    points: tuple[CurvePoint, ...]
    exponents: Mapping[str, tuple[float, float]]
    """Model → slope of log error against log structures, and its standard error."""
    groups: int
    test_groups: int


def learning_curve(  # noqa: PLR0913 - each is named by its caller
    energies: Sequence[float],
    groups: Sequence[str],
    models: Mapping[str, Model],
    *,
    sizes: Sequence[int],
    test_share: float = 0.2,
    repetitions: int = 10,
    seed: int = 0,
) -> LearningCurve:
    """
    Measure errors on whole groups of rows that no fit has seen.

    Parameters
    ----------
    energies
        eV per atom.
    groups
        Of each row, such as its composition: rows of one group stay together. Rows
        themselves as groups are a random split, which flatters.
    models
        Name → what is fitted.
    sizes
        Numbers of training structures; those that a repetition lacks are passed over.
    test_share
        Of the groups.
    repetitions
        Random choices of the test groups.
    seed
        Of all choices.

    Raises
    ------
    ConfigurationError
        If rows differ in number, hold what is not finite, or are of too few groups.

    Examples
    --------
    >>> x = np.arange(60.0)[:, None]
    >>> names = [str(n) for n in range(60)]
    >>> found = learning_curve(x[:, 0], names, {"line": Model(x)}, sizes=[40])
    >>> found.points[0].error < 1e-3
    True
    """
    y = _checked(energies, groups, models)
    names, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    tested = max(round(test_share * len(names)), 1)
    if len(names) - tested < _LEAST_ROWS:
        raise ConfigurationError(f"{len(names)} groups: too few to keep some aside")
    random = np.random.default_rng(seed)
    errors: dict[tuple[str, int], list[float]] = {}
    for _ in range(repetitions):
        aside = np.isin(codes, random.permutation(len(names))[:tested])
        order = random.permutation(np.flatnonzero(~aside))
        for size in sizes:
            if not _LEAST_ROWS <= size <= len(order):
                continue
            for name, model in models.items():
                off = _predicted(model, y, order[:size], codes, aside) - y[aside]
                errors.setdefault((name, size), []).append(float(np.abs(off).mean()))
    points = tuple(_point(*key, found) for key, found in errors.items())
    slopes = {
        name: _exponent([p for p in points if p.model == name]) for name in models
    }
    known = {name: one for name, one in slopes.items() if one is not None}
    return LearningCurve(points, known, len(names), tested)


def _checked(
    energies: Sequence[float], groups: Sequence[str], models: Mapping[str, Model]
) -> Array:
    y = np.asarray(energies, dtype=float)
    if len(groups) != len(y):
        raise ConfigurationError(f"{len(y)} energies and {len(groups)} groups")
    for name, model in {"energies": Model(start=y), **models}.items():
        for values in (model.columns, model.start):
            if values is None:
                continue
            if len(values) != len(y) or not np.isfinite(values).all():
                raise ConfigurationError(
                    f"{name}: {len(values)} rows for {len(y)} energies, "
                    f"{int((~np.isfinite(values)).sum())} values not finite"
                )
    return y


def _predicted(
    model: Model,
    y: Array,
    rows: NDArray[np.int64],
    codes: NDArray[np.int64],
    aside: Flags,
) -> Array:
    """Fit on some rows, and predict those kept aside."""
    start = np.zeros(len(y)) if model.start is None else model.start
    left = y[rows] - start[rows]
    if model.columns is None:
        found: Array = start[aside] + left.mean()
        return found
    x = model.columns
    scale = x[rows].std(axis=0)
    kept = scale > 0
    z = (x[:, kept] - x[rows][:, kept].mean(axis=0)) / scale[kept]
    weights = _ridge(z[rows], left - left.mean(), codes[rows])
    predicted: Array = start[aside] + left.mean() + z[aside] @ weights
    return predicted


def _ridge(x: Array, y: Array, groups: NDArray[np.int64]) -> Array:
    """Fit with the penalty that is best on groups left out of the training rows."""
    places = np.unique(groups, return_inverse=True)[1] % _FOLDS
    totals = np.zeros(len(_PENALTIES))
    for fold in np.unique(places):
        out = places == fold
        if out.all():
            continue
        for n, weights in enumerate(_solutions(x[~out], y[~out])):
            totals[n] += float(((y[out] - x[out] @ weights) ** 2).sum())
    return _solutions(x, y)[int(totals.argmin())]


def _solutions(x: Array, y: Array) -> list[Array]:
    """Weights for every penalty."""
    left, values, right = np.linalg.svd(x, full_matrices=False)
    along = values * (left.T @ y)
    scale = max(len(x), 1)
    return [right.T @ (along / (values**2 + scale * one)) for one in _PENALTIES]


def _point(model: str, size: int, errors: Sequence[float]) -> CurvePoint:
    n = len(errors)
    spread = float(np.std(errors, ddof=1)) if n > 1 else float("nan")
    return CurvePoint(model, size, float(np.mean(errors)), spread / n**0.5, n)


def _exponent(points: Sequence[CurvePoint]) -> tuple[float, float] | None:
    """Slope of a line through the logarithms, and its standard error."""
    usable = [one for one in points if one.error > 0]
    if len(usable) < _LEAST_SIZES:
        return None
    x = np.log([one.structures for one in usable])
    y = np.log([one.error for one in usable])
    fit = linregress(x, y)
    return float(fit.slope), float(fit.stderr)


def noise_floor(energies: Sequence[float], groups: Sequence[str]) -> float | None:
    """
    Mean absolute error that the best function of the group alone would make.

    From a pair of rows of each group: for normal noise the mean absolute difference
    of two is the square root of two times the mean absolute deviation of one.

    Examples
    --------
    >>> noise_floor([0.0, 1.0, 5.0], ["a", "a", "b"]).__round__(3)
    0.707
    """
    by_group: dict[str, list[float]] = {}
    for energy, group in zip(energies, groups, strict=True):
        by_group.setdefault(group, []).append(energy)
    pairs = [abs(one[0] - one[1]) for one in by_group.values() if len(one) > 1]
    return float(np.mean(pairs)) / 2**0.5 if pairs else None
