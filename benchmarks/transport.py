"""
Speed of the room transport, each figure beside a peer of the same run.

Processor time of one thread. pymatgen-analysis-diffusion is run where it is installed
(the project does not need it); the plain double sum over windows always is.

    python benchmarks/transport.py --json
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from figures import Printer
from pymatgen.core import Lattice, Structure

from hts_battery.schemas.transport import KB_EV_PER_K
from hts_battery.transport import arrhenius, diffusivity
from hts_battery.transport.published_methods import mean_squared_displacements

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

IONS, FRAMES, LAGS = 24, 2001, 200
STEP_FS = 100.0
ROUNDS = 7
show = Printer()


def milliseconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median of processor time, after one call that warms up."""
    work()
    took = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        took.append(time.process_time() - start)
    return 1000 * float(np.median(took))


def walk() -> NDArray[np.float64]:
    """Make 24 ions that jump a thousand times in a framework's frame of reference."""
    random = np.random.default_rng(0)
    jumps = random.random((FRAMES, IONS, 3)) < 1000 / (3 * IONS * FRAMES)
    steps = 3.0 * jumps * random.choice([-1, 1], jumps.shape)
    return np.cumsum(steps, axis=0) + 0.2 * random.normal(size=jumps.shape)


def double_sum(ways: NDArray[np.float64]) -> list[float]:
    """Average over windows at every lag, as textbooks write it."""
    return [
        float(np.square(ways[lag:] - ways[:-lag]).sum(axis=2).mean())
        for lag in range(1, FRAMES)
    ]


def pymatgen_analysis(ways: NDArray[np.float64]) -> float | None:
    """Time DiffusionAnalyzer on the same displacements, where it is installed."""
    if find_spec("pymatgen.analysis.diffusion") is None:
        return None
    from pymatgen.analysis.diffusion.analyzer import (  # noqa: PLC0415 - a peer
        DiffusionAnalyzer,
    )

    box = Lattice.cubic(1000)
    cell = Structure(box, ["Na"] * IONS, np.random.default_rng(0).random((IONS, 3)))
    moved = (ways - ways[0]).transpose(1, 0, 2)
    return milliseconds(
        lambda: DiffusionAnalyzer(cell, moved, "Na", 800, STEP_FS, 1, smoothed="max")
    )


def trajectory() -> None:
    """Measure D with its error, a curve of displacements, and the memory."""
    ways = walk()
    ions = range(IONS)
    ours = milliseconds(lambda: diffusivity(ways, None, mobile=ions, time_step=STEP_FS))
    peer = pymatgen_analysis(ways)
    name = f"D and its error, {IONS} ions x {FRAMES} frames"
    if peer is not None:
        show(name, ours, "ms", "pymatgen-analysis-diffusion", peer / ours)
    plain = milliseconds(lambda: double_sum(ways), 3)
    show(name, ours, "ms", "double sum over all windows", plain / ours)
    lags = np.arange(1, LAGS + 1)
    curve = milliseconds(lambda: mean_squared_displacements(ways, lags))
    show(f"displacements at {LAGS} lags", curve, "ms", "D and its error", ours / curve)
    tracemalloc.start()
    diffusivity(ways, None, mobile=ions, time_step=STEP_FS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    show("memory beside the positions", peak / ways.nbytes, "times the positions")


def lines() -> None:
    """Measure the test of an Arrhenius line, simulated lines included."""
    random = np.random.default_rng(0)
    kelvin = np.linspace(600, 1500, 8)
    line = np.exp(-7 - 0.25 / (KB_EV_PER_K * kelvin))
    seeds = iter(range(1000))

    def fit() -> object:
        values = line * np.exp(0.15 * random.normal(size=8))
        return arrhenius(kelvin, values, 0.15, seed=next(seeds))

    show("Arrhenius line with its break test", milliseconds(fit), "ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="accepted; always JSON")
    parser.parse_args()
    trajectory()
    lines()
