"""
Fit a symbolic regression of another package for some seconds; print its scores.

Runs in an environment of its own, which need not hold this project:

    PYTHON benchmarks/symbolic_peers.py pyoperon|gplearn ROWS.npz SECONDS
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_POPULATION = 1000


def by_pyoperon(columns: Array, target: Array, seconds: float) -> Array:
    """Evolve trees of at most 30 nodes until the time is spent."""
    from pyoperon.sklearn import SymbolicRegressor  # noqa: PLC0415 - one of two

    model = SymbolicRegressor(
        allowed_symbols="add,sub,mul,div,exp,log,sqrt,cbrt,square,constant,variable",
        max_length=30,
        population_size=_POPULATION,
        pool_size=_POPULATION,
        generations=1_000_000,
        max_evaluations=10**12,
        max_time=max(int(seconds), 1),
        n_threads=1,
        random_state=0,
    )
    return np.asarray(model.fit(columns, target).predict(columns))


def by_gplearn(columns: Array, target: Array, seconds: float) -> Array:
    """Evolve one generation after the other until the time is spent."""
    from gplearn.genetic import SymbolicRegressor  # noqa: PLC0415 - one of two

    model = SymbolicRegressor(
        population_size=_POPULATION,
        generations=1,
        function_set=("add", "sub", "mul", "div", "log", "sqrt", "inv", "abs"),
        warm_start=True,
        random_state=0,
    )
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        model.fit(columns, target)
        model.set_params(generations=model.generations + 1)
    return np.asarray(model.predict(columns))


PEERS = {"pyoperon": by_pyoperon, "gplearn": by_gplearn}


def main(peer: str, file: str, seconds: float) -> None:
    """Fit and print the scores of all rows as one line."""
    rows = np.load(file)
    scores = PEERS[peer](rows["columns"], rows["target"], seconds)
    print(json.dumps(np.nan_to_num(scores).tolist()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
