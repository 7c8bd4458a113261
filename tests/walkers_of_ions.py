"""Walkers whose diffusivity is known exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from scipy.signal import lfilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

JUMP = 3.0
"""Length of a jump in Å."""


def random_walk(  # noqa: PLR0913 - what a walk can be
    random: np.random.Generator,
    *,
    jumps: float,
    ions: int = 24,
    frames: int = 2001,
    shares: Sequence[float] = (1, 1, 1),
    vibration: float = 0.2,
    correlation: float = 0.0,
) -> Floats:
    """Walk on a cubic lattice at random times, and vibrate; frames x ions x 3."""
    steps = np.zeros((frames, ions, 3))
    rate = jumps / (ions * (frames - 1))
    counts = random.poisson(rate, (frames - 1, ions))
    chances = np.asarray(shares, dtype=float) / np.sum(shares)
    for number in range(1, counts.max(initial=0) + 1):
        when, who = np.nonzero(counts >= number)
        axis = random.choice(3, len(when), p=chances)
        np.add.at(
            steps, (when + 1, who, axis), JUMP * random.choice([-1, 1], len(when))
        )
    return np.cumsum(steps, axis=0) + vibrations(
        random, steps.shape, vibration, correlation
    )


def vibrations(
    random: np.random.Generator,
    shape: tuple[int, ...],
    amplitude: float,
    correlation: float = 0.0,
) -> Floats:
    """Vibrate with an amplitude in Å; correlation: a time in frames."""
    noise = amplitude * random.normal(size=shape)
    if not correlation:
        return noise
    kept = np.exp(-1 / correlation)
    noise[1:] *= np.sqrt(1 - kept**2)
    return np.asarray(lfilter([1], [1, -kept], noise, axis=0))


def exact(jumps: float, ions: int = 24, frames: int = 2001, step: float = 1.0) -> float:
    """Diffusivity of such a walk in cm²/s."""
    return jumps * JUMP**2 / (6 * ions * (frames - 1) * step) * 0.1


def exclusion(*, size: int, ions: int, sweeps: int, seed: int) -> Floats:
    """
    Symmetric exclusion on a simple cubic lattice; sweeps x ions x 3, a frame a sweep.

    In a sweep as many ions as there are, drawn at random, try to jump to a neighbour;
    a taken one refuses. The charge has no memory: D_sigma = a² (1 - c) / 6 a sweep, c
    the share of the other sites that is taken.
    """
    return np.asarray(_exclusion(size, ions, sweeps, seed)) * JUMP


@njit(cache=False)
def _exclusion(size: int, ions: int, sweeps: int, seed: int) -> Floats:
    np.random.seed(seed)  # noqa: NPY002 - what numba has
    sites = size**3
    order = np.random.permutation(sites)  # noqa: NPY002
    taken = np.zeros((size, size, size), dtype=np.bool_)
    way = np.empty((ions, 3))
    for ion in range(ions):
        site = order[ion]
        at = (site // size**2, site // size % size, site % size)
        taken[at] = True
        way[ion, 0], way[ion, 1], way[ion, 2] = at
    frames = np.empty((sweeps, ions, 3))
    for sweep in range(sweeps):
        frames[sweep] = way
        for _ in range(ions):
            ion = np.random.randint(ions)  # noqa: NPY002
            axis, sign = np.random.randint(3), 2 * np.random.randint(2) - 1  # noqa: NPY002
            here, there = way[ion].copy(), way[ion].copy()
            there[axis] += sign
            a, b, c = int(here[0]) % size, int(here[1]) % size, int(here[2]) % size
            d, e, f = int(there[0]) % size, int(there[1]) % size, int(there[2]) % size
            if not taken[d, e, f]:
                taken[a, b, c], taken[d, e, f] = False, True
                way[ion] = there
    return frames
