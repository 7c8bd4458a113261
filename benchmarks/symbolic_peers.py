"""
Fit a symbolic regression of another package for a time; print its scores.

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
_TRIAL = 20_000
"""Evaluations from which the speed is known."""


def by_pyoperon(columns: Array, target: Array, seconds: float) -> Array:
    """Evolve trees of at most 30 nodes, as many as the processor's time is for."""
    from pyoperon.sklearn import SymbolicRegressor  # noqa: PLC0415 - one of two

    def fitted(evaluations: int) -> tuple[Array, float]:
        start = time.process_time()
        model = SymbolicRegressor(
            allowed_symbols="add,sub,mul,div,exp,log,sqrt,cbrt,square,constant,variable",
            max_length=30,
            population_size=_POPULATION,
            pool_size=_POPULATION,
            generations=1_000_000,
            max_evaluations=evaluations,
            n_threads=1,
            random_state=0,
        ).fit(columns, target)
        return np.asarray(model.predict(columns)), time.process_time() - start

    # It can only be told a time of the clock, which a busy machine does not keep.
    _, short = fitted(_TRIAL)
    return fitted(int(_TRIAL * seconds / short))[0]


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
    start = time.process_time()
    while time.process_time() - start < seconds:
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
