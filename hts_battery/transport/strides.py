r"""
The covariance-based estimator on strides 1, 2, 4 …, and where it reaches a plateau.

With displacements d over a stride s, D = <d²>/(2 s) + <d d'>/s with d' the next one
(C. L. Vestergaard, P. C. Blainey, H. Flyvbjerg, Phys. Rev. E 89, 022726 (2014),
10.1103/PhysRevE.89.022726). As the displacement over two strides is d + d', this is
the slope (<d²(2s)> - <d²(s)>)/(2 s) of the mean squared displacement: noise of the
positions, as vibrations are, drops out of it as soon as it does not last for a stride.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaincinv, stdtrit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_MOST_BLOCKS, _FEWEST_BLOCKS = 20, 3
_ENOUGH = 8  # ions, or blocks in time, whose scatter says something
_LAST = 5  # a stride is a fifth of the run at most
_CLOSE, _FAR = 1.0, 2.0  # standard errors of a difference
_NORMAL = 1.959964
TOLD_FROM_ZERO = 2.5
"""Squared ratio of a diffusivity to its error that a reading needs."""


@dataclass(frozen=True)
class Stride:
    """
    Estimates at one stride.

    Parameters
    ----------
    length
        In frames.
    cells
        Slope of the mean squared displacement of each block in time and ion, blocks x
        ions, a sixth of it, in Å² a frame.
    msd
        Mean squared displacement over the stride, in Å².
    moving
        Ions that count for the scatter between ions.
    """

    length: int
    cells: Floats
    msd: float
    moving: NDArray[np.bool_]

    @property
    def value(self) -> float:
        """Mean over ions and time, in Å² a frame."""
        return float(self.cells.mean())

    @property
    def error(self) -> float:
        """Standard error, in Å² a frame."""
        return standard_error(self.cells, self.moving)[0]

    @property
    def interval(self) -> tuple[float, float]:
        """Of 95 %, in Å² a frame."""
        return interval(self.value, *standard_error(self.cells, self.moving))


def strides(ways: Floats, moving: NDArray[np.bool_] | None = None) -> list[Stride]:
    """
    Evaluate the estimator on strides 1, 2, 4 … up to a fifth of the run.

    Parameters
    ----------
    ways
        Unwrapped positions, frames x ions x 3, in Å.
    moving
        Ions that move; the scatter between ions is theirs alone. None: all.

    Examples
    --------
    >>> steps = np.random.default_rng(0).normal(size=(4000, 20, 3))
    >>> first = strides(np.cumsum(steps, axis=0))[0]
    >>> abs(first.value - 0.5) < 3 * first.error
    True
    """
    frames, ions, _ = ways.shape
    chosen = np.ones(ions, dtype=bool) if moving is None else moving
    found = []
    stride, short = 1, squares(ways, 1)
    while stride <= (frames - 1) // _LAST:
        long = squares(ways, 2 * stride)
        blocks = max(min(_MOST_BLOCKS, frames // (4 * stride)), _FEWEST_BLOCKS)
        slope = (_by_blocks(long, blocks) - _by_blocks(short, blocks)) / (6 * stride)
        found.append(Stride(stride, slope, float(short.mean()), chosen))
        stride, short = 2 * stride, long
    return found


def squares(ways: Floats, lag: int) -> Floats:
    """Return squared displacements over a lag, windows x ions."""
    moved = ways[lag:] - ways[:-lag]
    np.square(moved, out=moved)
    total = moved[..., 0] + moved[..., 1]
    total += moved[..., 2]
    return total


def tensors(ways: Floats, stride: int) -> Floats:
    """Return the diffusion tensor of each ion at a stride, ions x 3 x 3, Å² a frame."""

    def products(lag: int) -> Floats:
        moved = ways[lag:] - ways[:-lag]
        by_ion = moved.transpose(1, 2, 0)
        return by_ion @ by_ion.transpose(0, 2, 1) / len(moved)

    return (products(2 * stride) - products(stride)) / (2 * stride)


def plateau(found: list[Stride]) -> Stride | None:
    """
    Read the last of the first three strides that agree.

    They agree where each two differ by less than one standard error of their
    difference, or, if no three do, by less than two. At the first of the three, jumps
    back and vibrations that last would still count.
    """
    for limit in (_CLOSE, _FAR):
        for one, two, three in zip(found, found[1:], found[2:], strict=False):
            pairs = ((one, two), (two, three), (one, three))
            if all(_agree(short, long, limit) for short, long in pairs):
                return three
    return None


def _agree(short: Stride, long: Stride, limit: float) -> bool:
    """Compare two strides by what the same ions do in the same blocks of time."""
    difference = _by_blocks(short.cells, len(long.cells)) - long.cells
    error, _ = standard_error(difference, long.moving)
    return abs(short.value - long.value) <= limit * error


def standard_error(
    cells: Floats, moving: NDArray[np.bool_] | None = None
) -> tuple[float, int]:
    """
    Return the larger of the errors by ions and by blocks in time, and its freedom.

    The larger of two estimates of one variance is too large on average: with relative
    scatter sqrt(2/f) each, by the factor 1 + sqrt((2/f + 2/g)/(2 pi)), which is taken
    out.
    """
    blocks, ions = cells.shape
    chosen = np.ones(ions, dtype=bool) if moving is None else moving
    variances, freedoms = [], []
    if ions >= _ENOUGH and chosen.sum() > 1:
        means = cells.mean(axis=0)[chosen]
        variances.append(float(means.var(ddof=1)) * len(means) / ions**2)
        freedoms.append(len(means) - 1)
    if blocks >= _ENOUGH or not variances:
        variances.append(float(cells.mean(axis=1).var(ddof=1)) / blocks)
        freedoms.append(blocks - 1)
    variance = max(variances)
    if len(variances) > 1:
        variance /= 1 + np.sqrt(sum(1 / freedom for freedom in freedoms) / np.pi)
    return float(np.sqrt(variance)), sum(freedoms)


def interval(value: float, error: float, freedom: int) -> tuple[float, float]:
    """
    Return the 95 % interval of a positive quantity.

    Few jumps scatter as counts do: the interval is that of a count (mid-P) with the
    same relative error, which Student's factor widens; for many jumps it is the usual
    one. A value of zero or below is bounded as zero is: chance that went below
    bounds nothing more closely.
    """
    widened = error * float(stdtrit(freedom, 0.975)) / _NORMAL
    if value <= 0:
        return 0.0, _NORMAL * widened
    if widened == 0:
        return value, value
    count = (value / widened) ** 2
    low, high = gammaincinv(count + 0.5, np.array([0.025, 0.975])) / count
    return float(value * low), float(value * high)


def _by_blocks(values: Floats, blocks: int) -> Floats:
    """Average over blocks in time."""
    edges = np.linspace(0, len(values), blocks + 1).astype(int)
    sums = np.add.reduceat(values, edges[:-1], axis=0)
    return np.asarray(sums / np.diff(edges)[:, None])
