"""
Is a line one line? Statistics of breaks, and how often a straight line shows them.

With residuals in units of the stated errors, a kink, a jump or a curve is a straight
line plus one or two further directions; what they take from chi squared is a square of
projections. The largest over all positions of a break follows no tabulated
distribution, so straight lines with the same temperatures and errors are simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hts_battery.schemas.transport import KB_EV_PER_K

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

KINDS = ("kink", "jump", "curved")
"""What a line may be instead; with the number of parameters that each adds."""
PARAMETERS = np.array([2, 3, 1])
CHOICE = np.array([1.25, 3, 1])
"""What a parameter more costs where one of them is chosen: the place of a kink, between
the temperatures, is worth a quarter. With 2 a true kink is called curved twice as often
as a kink, with 1 every second true curve a kink."""
SIMULATED = 10_000
LEVEL = 0.05

_KNOTS = 4  # positions of a kink between two temperatures
_TRUST = 8.0  # degrees of freedom that the stated errors count for


@dataclass(frozen=True)
class Found:
    """
    What the alternatives take from chi squared, rows x kinds.

    Parameters
    ----------
    line
        Chi squared of the straight line, one a row.
    gains
        What the best position of each kind takes from it.
    places
        Number of that position, in the order of the directions.
    """

    line: Floats
    gains: Floats
    places: NDArray[np.int64]


class BreakTest:
    """
    Directions of kinks, jumps and curves for some temperatures and errors.

    Parameters
    ----------
    temperatures
        In K, ascending, five or more.
    errors
        Standard errors of ln D.
    """

    def __init__(self, temperatures: Floats, errors: Floats) -> None:
        self.x = 1 / (KB_EV_PER_K * temperatures)
        self.errors = errors
        line = np.stack([np.ones_like(self.x), -self.x], axis=1) / errors[:, None]
        self._line, _ = np.linalg.qr(line)
        # Two temperatures at least on either side.
        inside = [
            (high, low)
            for high, low in zip(self.x[1:-2], self.x[2:-1], strict=True)
            if high > low
        ]
        self.knots = np.concatenate(
            [np.linspace(high, low, _KNOTS) for high, low in inside]
        )
        self.middles = np.array([(high + low) / 2 for high, low in inside])
        hinges = np.maximum(self.x - self.knots[:, None], 0)
        steps = (self.x > self.middles[:, None]).astype(float)
        jumps = np.stack([steps, steps * (self.x - self.middles[:, None])], axis=2)
        curve = (self.x - self.x.mean()) ** 2
        self._kinds = tuple(
            self._directions(columns)
            for columns in (hinges[:, :, None], jumps, curve[None, :, None])
        )

    def _directions(self, columns: Floats) -> Floats:
        """Return orthonormal directions beyond the line, positions x points x extra."""
        scaled = columns / self.errors[:, None]
        beyond = scaled - self._line @ (self._line.T @ scaled)
        return np.linalg.qr(beyond).Q

    def evaluate(self, residuals: Floats) -> Found:
        """Evaluate rows of ln D over its errors."""
        beyond = residuals - (residuals @ self._line) @ self._line.T
        gains, places = [], []
        for kind in self._kinds:
            positions, points, extra = kind.shape
            flat = kind.transpose(1, 0, 2).reshape(points, positions * extra)
            taken = np.square(beyond @ flat).reshape(-1, positions, extra).sum(axis=2)
            places.append(taken.argmax(axis=1))
            gains.append(taken.max(axis=1))
        return Found(
            np.square(beyond).sum(axis=1), np.stack(gains, 1), np.stack(places, 1)
        )

    def rest(self, found: Found) -> tuple[Floats, Floats]:
        """Return chi squared that is left, and degrees of freedom, rows x kinds."""
        freedom = np.maximum(len(self.x) - 2 - PARAMETERS, 0)
        return np.maximum(found.line[:, None] - found.gains, 0), freedom

    def statistics(self, found: Found, *, trust: float = _TRUST) -> Floats:
        """
        Return gains over the variance of the rest, rows x kinds.

        Parameters
        ----------
        found
            What was evaluated.
        trust
            Degrees of freedom that the stated errors count for in that variance. Many:
            the stated errors are believed, and too small ones make breaks; none: only
            the scatter counts, and a true break is seen less often.
        """
        rest, freedom = self.rest(found)
        return np.asarray(found.gains / ((trust + rest) / (trust + freedom)))


@dataclass(frozen=True)
class Nulls:
    """Statistics of simulated straight lines, sorted by kind."""

    by_kind: Floats
    smallest: Floats

    @classmethod
    def of(cls, statistics: Floats) -> Nulls:
        """Sort them, and note what the smallest of three p-values is by chance."""
        ordered = np.sort(statistics, axis=0)
        return cls(ordered, np.sort(_p_values(ordered, statistics).min(axis=1)))

    def p_values(self, statistics: Floats) -> tuple[Floats, Floats]:
        """Return the p-value of each kind, and that of any of them."""
        each = _p_values(self.by_kind, statistics)
        below = np.searchsorted(self.smallest, each.min(axis=1), side="right")
        return each, np.maximum(below, 1) / (len(self.smallest) + 1)


def _p_values(ordered: Floats, statistics: Floats) -> Floats:
    """Return the share of simulated statistics that are as large, rows x kinds."""
    lines = len(ordered)
    return np.stack(
        [
            (1 + lines - np.searchsorted(ordered[:, kind], statistics[:, kind]))
            / (1 + lines)
            for kind in range(len(KINDS))
        ],
        axis=1,
    )
