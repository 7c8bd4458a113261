"""
Diffusivities as two published programs fit them, for numbers that must be remade.

Their errors are left out on purpose: the points of a curve of mean squared
displacements are correlated, and a fit that takes them for independent states errors a
thousand times too small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hts_battery.errors import TrajectoryError
from hts_battery.transport.conductivity import CM2_PER_S
from hts_battery.transport.unwrapping import mobile_ways

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hts_battery.transport.trajectory_files import Trajectory

    Floats = NDArray[np.float64]

METHODS = ("covariance", "mogroup", "pymatgen")
"""Names of the methods that can be asked for; the first has an honest error."""

_SHORTEST_FS = 1000.0
_MOST_LAGS = 200
_OBSERVATIONS = 30
_DIMENSIONS = 3


def mean_squared_displacements(ways: Floats, lags: ArrayLike) -> Floats:
    """
    Mean squared displacement at any lags, each over all windows, all ions at once.

    Parameters
    ----------
    ways
        Unwrapped positions, frames x ions x 3, in Å.
    lags
        In frames, each below the number of frames.

    Returns
    -------
    ndarray
        In Å², one a lag. The products of two times are summed by a Fourier transform.

    Examples
    --------
    >>> way = np.arange(5.0)[:, None, None] * np.array([1.0, 0.0, 0.0])
    >>> mean_squared_displacements(way, [1, 3]).round(6).tolist()
    [1.0, 9.0]
    """
    wanted = np.asarray(lags, dtype=int)
    frames, ions, _ = ways.shape
    size = 1 << (2 * frames - 1).bit_length()
    squared, products = np.zeros(frames), np.zeros(size)
    for ion in range(ions):
        way = ways[:, ion] - ways[:, ion].mean(axis=0)
        squared += np.einsum("tk,tk->t", way, way)
        waves = np.fft.rfft(way, size, axis=0)
        power = np.square(np.abs(waves)).sum(axis=1)
        products += np.fft.irfft(power, size)
    total = np.concatenate([[0.0], np.cumsum(squared)])
    windows = frames - wanted
    ends = total[windows] + total[-1] - total[wanted]
    return np.asarray((ends - 2 * products[wanted]) / (windows * ions))


def ways_of(frames: Trajectory, ion: str) -> Floats:
    """Return the ways of an element relative to the rest, frames x ions x 3, in Å."""
    return mobile_ways(frames.positions, frames.lattices, frames.indices(ion)).mobile


def displacement_curve(ways: Floats, time_step: float) -> tuple[Floats, Floats]:
    """Return every lag in fs, and the mean squared displacement in Å²."""
    lags = np.arange(1, len(ways))
    times = np.asarray(lags * time_step, dtype=float)
    return times, mean_squared_displacements(ways, lags)


def mogroup_diffusivity(
    times: ArrayLike, msd: ArrayLike, *, jump_length: float = 3.0
) -> float:
    """
    Fit a line from where the displacement is half a squared jump to half of the points.

    Parameters
    ----------
    times
        Lags in fs, ascending.
    msd
        Mean squared displacements in Å².
    jump_length
        In Å.

    Returns
    -------
    float
        A sixth of the slope, in cm²/s.

    Raises
    ------
    TrajectoryError
        The displacement never becomes so large before half of the points.

    References
    ----------
    X. He, Y. Zhu, A. Epstein, Y. Mo, npj Computational Materials 4, 18 (2018),
    10.1038/s41524-018-0074-y.
    """
    lags, values = np.asarray(times, dtype=float), np.asarray(msd, dtype=float)
    large = values >= jump_length**2 / 2
    first, last = int(large.argmax()), len(values) // 2
    if not large.any() or last - first < 2:  # noqa: PLR2004 - a line
        raise TrajectoryError(
            f"the mean squared displacement does not reach {jump_length**2 / 2:.3g} Å² "
            f"(half a jump of {jump_length:g} Å, squared) before half of the points"
        )
    slope = np.polynomial.Polynomial.fit(lags[first:last], values[first:last], 1)
    return float(slope.convert().coef[1]) / (2 * _DIMENSIONS) * CM2_PER_S


def pymatgen_diffusivity(ways: Floats, time_step: float) -> tuple[float, float]:
    """
    Fit lines to displacement curves as pymatgen-analysis-diffusion does by default.

    Lags from 1,000 fs on, as long as 30 windows of all ions are there, 200 of them;
    weights of one over the lag.

    Parameters
    ----------
    ways
        Unwrapped positions relative to the framework, frames x ions x 3, in Å.
    time_step
        Between frames, in fs.

    Returns
    -------
    tuple of float
        Tracer and charge diffusivity, in cm²/s.

    Raises
    ------
    TrajectoryError
        The trajectory is shorter than its shortest lag.
    """
    frames, ions, _ = ways.shape
    shortest = int(_SHORTEST_FS / time_step)
    longest = min(ions * frames // _OBSERVATIONS, frames)
    if shortest >= longest:
        raise TrajectoryError(
            f"{frames} frames of {time_step:g} fs: lags begin at {_SHORTEST_FS:g} fs"
        )
    lags = np.arange(shortest, longest, max((longest - shortest) // _MOST_LAGS, 1))
    times = lags * time_step
    charge = ways.sum(axis=1, keepdims=True) / np.sqrt(ions)
    tracer, collective = (
        _weighted_slope(times, mean_squared_displacements(one, lags))
        for one in (ways, charge)
    )
    return tracer, collective


def _weighted_slope(times: Floats, msd: Floats) -> float:
    """Return a sixth of the slope with weights of one over the time, cm²/s."""
    line = np.polynomial.Polynomial.fit(times, msd, 1, w=1 / np.sqrt(times))
    return float(line.convert().coef[1]) / (2 * _DIMENSIONS) * CM2_PER_S
