"""
Quasirandom cells by other programs, run by an interpreter that has them.

Reads one JSON object a line from standard input: ``program``, ``seconds``, ``seed``,
the primitive cell (``lattice``, ``positions``, ``sublattices``), the ``supercell``
matrix and its fractional ``coordinates``, and ``counts`` of element symbols by
sublattice. Writes one object a line: for each of several searches that share the time
the symbol on every site, and trial swaps and seconds of all, or ``missing`` with the
reason.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from contextlib import redirect_stdout
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PROBE_STEPS = 400
# Searches that share the time; ours makes several too.
SEARCHES = 4
# Fractional coordinates that agree to this are one site.
SAME_SITE = 1e-3
SMOL_TEMPERATURES = 20

Task = dict[str, Any]


def assigned(
    task: Task, fractional: NDArray[np.float64], symbols: list[str]
) -> list[str]:
    """Bring the symbols of a peer's structure into the order of our sites."""
    ours = np.array(task["coordinates"])
    difference = ours[:, None, :] - fractional[None, :, :]
    difference -= np.round(difference)
    distance = np.abs(difference).max(axis=2)
    nearest = distance.argmin(axis=1)
    assert distance.min(axis=1).max() < SAME_SITE
    return [symbols[k] for k in nearest]


def by_icet(task: Task) -> dict[str, Any]:
    """Anneal the cluster vector by icet, in the same supercell."""
    from ase import Atoms  # noqa: PLC0415 - belongs to the peer's interpreter
    from icet import ClusterSpace  # noqa: PLC0415 - likewise
    from icet.tools.structure_generation import (  # noqa: PLC0415 - likewise
        generate_sqs_from_supercells,
    )

    names = task["sublattices"]
    symbols = [sorted(task["counts"][name]) for name in names]
    lattice = np.array(task["lattice"])
    primitive = Atoms(
        [s[0] for s in symbols],
        scaled_positions=task["positions"],
        cell=lattice,
        pbc=True,
    )
    space = ClusterSpace(primitive, [task["cutoff"]], symbols)
    supercell = Atoms(
        [min(task["counts"][name]) for name in task["sites"]],
        scaled_positions=task["coordinates"],
        cell=np.array(task["supercell"]) @ lattice,
        pbc=True,
    )
    concentrations: dict[str, Any] = {}
    for sublattice in space.get_sublattices(supercell):
        if len(sublattice.chemical_symbols) > 1:
            name = task["sites"][sublattice.indices[0]]
            total = sum(task["counts"][name].values())
            concentrations[sublattice.symbol] = {
                s: n / total for s, n in task["counts"][name].items()
            }

    def search(steps: int, seed: int) -> list[str]:
        found = generate_sqs_from_supercells(
            space,
            [supercell.copy()],
            concentrations,
            n_steps=steps,
            random_seed=seed,
        )
        return assigned(task, found.get_scaled_positions(), list(found.symbols))

    return for_seconds(search, task) | {"version": version("icet")}


def by_smol(task: Task) -> dict[str, Any]:
    """Anneal the correlations by smol, in the same supercell."""
    from pymatgen.core import Lattice, Structure  # noqa: PLC0415 - as above
    from smol.capp.generate import StochasticSQSGenerator  # noqa: PLC0415 - as above

    species = []
    for name in task["sublattices"]:
        total = sum(task["counts"][name].values())
        # A little less than one in all, which rounding errors may not exceed.
        share = (1 - 1e-12) / total
        species.append({s: n * share for s, n in task["counts"][name].items()})
    structure = Structure(Lattice(task["lattice"]), species, task["positions"])
    matrix = np.array(task["supercell"])
    generator = StochasticSQSGenerator.from_structure(
        structure,
        cutoffs={2: task["cutoff"]},
        supercell_size=round(abs(np.linalg.det(matrix))),
        supercell_matrices=[matrix],
        kernel_kwargs={"seed": task["seed"]},
    )

    own_cell = np.linalg.inv(matrix @ np.array(task["lattice"]))

    def search(steps: int, _seed: int) -> list[str]:
        # Its random stream goes on, so every search starts elsewhere.
        generator.generate(
            max(1, steps // SMOL_TEMPERATURES),
            temperatures=np.linspace(5.0, 0.01, SMOL_TEMPERATURES),
            max_save_num=100,
        )
        found = generator.get_best_sqs(
            1, remove_duplicates=False, reduction_algorithm=None
        )[0].structure
        return assigned(
            task, found.cart_coords @ own_cell, [s.specie.symbol for s in found]
        )

    return for_seconds(search, task) | {"version": version("smol")}


def for_seconds(search: Callable[[int, int], list[str]], task: Task) -> dict[str, Any]:
    """Search several times, with as many steps as a probe says fit the time."""
    search(2 * SMOL_TEMPERATURES, 0)  # loads what is loaded on first use
    began = time.process_time()
    search(PROBE_STEPS, 0)
    rate = PROBE_STEPS / (time.process_time() - began)
    steps = max(PROBE_STEPS, int(rate * task["seconds"] / SEARCHES))
    began = time.process_time()
    symbols = [search(steps, task["seed"] + k) for k in range(SEARCHES)]
    seconds = time.process_time() - began
    return {"symbols": symbols, "trials": steps * SEARCHES, "seconds": seconds}


PROGRAMS = {"icet": by_icet, "smol": by_smol}


def main() -> None:
    """Answer every task; what a peer prints goes to standard error."""
    warnings.simplefilter("ignore")  # the peers' own, about their dependencies
    for line in sys.stdin:
        task = json.loads(line)
        try:
            with redirect_stdout(sys.stderr):
                answer = PROGRAMS[task["program"]](task)
        except ModuleNotFoundError as err:
            answer = {"missing": str(err)}
        print(json.dumps(answer, default=int), flush=True)


if __name__ == "__main__":
    main()
