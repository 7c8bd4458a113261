"""Energies that are linear in atomic fractions, with their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import beta, t

from hts_battery.errors import ConfigurationError
from hts_battery.learning.separable import SeparableSurrogate
from hts_battery.schemas.formula import atomic_fractions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.schemas.formula import Formula

    Array = NDArray[np.float64]

MIN_ROWS = 10
LEAST_COVERAGE = 0.8
"""Below it, surely, an element's compositions are outside of what a fit says."""
_PENALTIES = np.logspace(-6, 1, 15)
_LEAST_HELD = 5
_LEAST_VARIANCE = 1e-12  # eV²: no energy is known better than a µeV


def fractions(formulas: Sequence[Formula], elements: Sequence[str]) -> Array:
    """Return atomic fractions, shape (formulas, elements); others are passed over."""
    place = {element: n for n, element in enumerate(elements)}
    found = np.zeros((len(formulas), len(elements)))
    for row, formula in enumerate(formulas):
        for element, share in atomic_fractions(formula).items():
            if element in place:
                found[row, place[element]] = float(share)
    return found


@dataclass(frozen=True, eq=False)
class LinearEnergies:
    """A ridge fit of energies per atom to atomic fractions."""

    elements: tuple[str, ...]
    weights: Array
    """eV, shape (elements,)."""
    intercept: float
    """eV per atom."""
    centre: Array
    inverse: Array
    """Of the penalised scatter matrix: covariance of the weights over the variance."""
    variance: float
    """Of one energy about the fit, eV²."""
    degrees_of_freedom: float
    rows: int

    @property
    def surrogate(self) -> SeparableSurrogate:
        """The same as a score that ranks whole spaces."""
        weights = dict(zip(self.elements, self.weights.tolist(), strict=True))
        return SeparableSurrogate(weights, intercept=self.intercept)

    def predict(self, formulas: Sequence[Formula]) -> tuple[Array, Array]:
        """Return energies and the standard deviations of one more, eV per atom."""
        x = fractions(formulas, self.elements)
        off = x - self.centre
        leverage = np.einsum("ij,jk,ik->i", off, self.inverse, off) + 1 / self.rows
        mean: Array = self.intercept + x @ self.weights
        return mean, np.sqrt(self.variance * (1 + leverage))

    def half_width(self, deviations: Array, level: float = 0.9) -> Array:
        """Half the width of an interval of one more energy, eV per atom."""
        found: Array = deviations * t.ppf((1 + level) / 2, self.degrees_of_freedom)
        return found

    def probability_below(self, means: Array, deviations: Array) -> Array:
        """Chance that one more energy is at most zero."""
        found: Array = t.cdf(-means / deviations, self.degrees_of_freedom)
        return found


def fit_linear_energies(
    formulas: Sequence[Formula], energies: Sequence[float]
) -> LinearEnergies:
    """
    Fit energies by a weight of each element; the penalty by leaving one out.

    Parameters
    ----------
    formulas
        Compositions, one a row.
    energies
        eV per atom.

    Raises
    ------
    ConfigurationError
        If there are fewer than ten rows, or energies that are not finite.

    Examples
    --------
    >>> rows = [f"Li{n}O{10 - n}" for n in range(1, 10)] + ["LiO"]
    >>> fit = fit_linear_energies(rows, [-0.1 * n for n in range(1, 10)] + [-0.5])
    >>> fit.predict(["LiO3"])[0].round(3)
    array([-0.25])
    """
    y = np.asarray(energies, dtype=float)
    if len(y) < MIN_ROWS or not np.isfinite(y).all():
        raise ConfigurationError(
            f"{len(y)} energies, {int((~np.isfinite(y)).sum())} of them not finite: "
            f"a fit needs {MIN_ROWS} finite ones"
        )
    elements = tuple(sorted(set().union(*map(atomic_fractions, formulas))))
    x = fractions(formulas, elements)
    centre, mean = x.mean(axis=0), float(y.mean())
    left, values, right = np.linalg.svd(x - centre, full_matrices=False)
    off, squares = y - mean, values**2
    scale = float(squares.max()) or 1.0
    along = left.T @ off
    best = None
    for penalty in _PENALTIES * scale / len(y):
        shrunk = squares / (squares + penalty)
        hat = (left**2 * shrunk).sum(axis=1) + 1 / len(y)
        error = float((((off - left @ (shrunk * along)) / (1 - hat)) ** 2).mean())
        if best is None or error < best[0]:
            best = error, penalty, shrunk
    if best is None:  # pragma: no cover - penalties are finite
        raise AssertionError
    _, penalty, shrunk = best
    weights = right.T @ (shrunk * along / np.where(values > 0, values, 1.0))
    freedom = max(len(y) - 1 - float(shrunk.sum()), 1.0)
    rest = off - left @ (shrunk * along)
    return LinearEnergies(
        elements=elements,
        weights=weights,
        intercept=mean - float(centre @ weights),
        centre=centre,
        inverse=np.linalg.inv(
            (x - centre).T @ (x - centre) + penalty * np.eye(len(elements))
        ),
        variance=max(float(rest @ rest) / freedom, _LEAST_VARIANCE),
        degrees_of_freedom=freedom,
        rows=len(y),
    )


@dataclass(frozen=True)
class Coverage:
    """How many energies of compositions with an element an interval held."""

    element: str
    rows: int
    covered: int
    interval: tuple[float, float]
    """95 % of the share, exact binomial."""

    @property
    def outside(self) -> bool:
        """Whether the share is surely below what the intervals are worth."""
        return self.interval[1] < LEAST_COVERAGE


def left_out_coverage(
    formulas: Sequence[Formula],
    energies: Sequence[float],
    *,
    elements: Sequence[str],
    level: float = 0.9,
) -> list[Coverage]:
    """
    Leave the compositions of one element out at a time, and try the intervals on them.

    An element whose compositions are surely covered by less than
    :data:`LEAST_COVERAGE` is one that the fit cannot be trusted with as long as it has
    not been seen: so little do its neighbours say of it.

    Parameters
    ----------
    formulas, energies
        As for :func:`fit_linear_energies`.
    elements
        Which; those of fewer than five compositions are passed over.
    level
        Of the intervals.
    """
    y = np.asarray(energies, dtype=float)
    found = []
    for element in elements:
        held = fractions(formulas, [element])[:, 0] > 0
        if held.sum() < _LEAST_HELD or (~held).sum() < MIN_ROWS:
            continue
        rest = [one for one, here in zip(formulas, held, strict=True) if not here]
        fit = fit_linear_energies(rest, y[~held].tolist())
        there = [one for one, here in zip(formulas, held, strict=True) if here]
        mean, deviation = _unseen(fit, there, element)
        inside = np.abs(y[held] - mean) <= fit.half_width(deviation, level)
        rows, covered = int(held.sum()), int(inside.sum())
        found.append(Coverage(element, rows, covered, binomial_interval(covered, rows)))
    return found


def _unseen(
    fit: LinearEnergies, formulas: Sequence[Formula], element: str
) -> tuple[Array, Array]:
    """Predict where an element has no weight: as that of a metal like any other."""
    mean, deviation = fit.predict(formulas)
    spread = float(np.std(fit.weights)) if len(fit.weights) else 0.0
    share = fractions(formulas, [element])[:, 0]
    centre = float(np.mean(fit.weights)) if len(fit.weights) else 0.0
    return mean + share * centre, np.hypot(deviation, share * spread)


def binomial_interval(successes: int, rows: int) -> tuple[float, float]:
    """
    95 % interval of a share, exact (Clopper and Pearson).

    Examples
    --------
    >>> [round(end, 3) for end in binomial_interval(7, 10)]
    [0.348, 0.933]
    """
    low = float(beta.ppf(0.025, successes, rows - successes + 1)) if successes else 0.0
    high = (
        float(beta.ppf(0.975, successes + 1, rows - successes))
        if successes < rows
        else 1.0
    )
    return low, high
