"""
Time and quality of orderings, side by side with other programs on the same cells.

One line a figure; with ``--json`` one object a line. The electrostatic peer is
pymatgen's OrderDisorderedStructureTransformation with its default algorithm, stopped
where it does not end.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, Structure
from pymatgen.transformations.standard_transformations import (
    OrderDisorderedStructureTransformation,
)

from hts_battery.schemas.candidate import Candidate
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.structures.cells import build_cell, compact_supercell
from hts_battery.structures.correlations import correlation_errors, objective
from hts_battery.structures.decoration import decorated_structure
from hts_battery.structures.ewald import ewald_matrix
from hts_battery.structures.electrostatic import (
    electrostatic_energy,
    lowest_electrostatic,
)
from hts_battery.structures.ordering import order_candidate, random_decoration
from hts_battery.structures.sqs import generate_sqs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hts_battery.structures.cells import Cell
    from hts_battery.structures.sizes import SiteCounts

T = TypeVar("T")

SQS_ITERATIONS = 200_000
CANDIDATES = 40
MOST_FLUORINE = 19
PEER_SECONDS = 40
OXYFLUORIDE = {
    "cation": {"Li+": 13, "Mn3+": 4, "Ti4+": 3},
    "anion": {"O2-": 17, "F-": 3},
}
SILICOPHOSPHATE = {
    "alkali": {"Na+": 6, "Vac": 2},
    "metal": {"Zr4+": 4},
    "polyanion": {"P5+": 2, "Si4+": 4},
    "oxygen": {"O2-": 24},
}


class Figure(NamedTuple):
    """One measured number."""

    figure: str
    value: float
    unit: str
    peer: str | None = None
    ratio: float | None = None


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """Return the result of a call and its seconds."""
    start = time.perf_counter()
    return call(), time.perf_counter() - start


def rocksalt(cells: int) -> Cell:
    """Return a compact rocksalt cell."""
    return build_cell("rocksalt", compact_supercell("rocksalt", cells))


def sqs_figures() -> Iterator[Figure]:
    """Speed and objective of quasirandom cells, against the mean of shuffles."""
    cell = rocksalt(20)
    generate_sqs(cell, OXYFLUORIDE, iterations=100, seed=0)
    found, seconds = timed(
        lambda: generate_sqs(cell, OXYFLUORIDE, iterations=SQS_ITERATIONS, seed=0)
    )
    yield Figure("sqs_configurations", SQS_ITERATIONS / seconds, "1/s")
    shuffles = [
        objective(
            correlation_errors(cell, random_decoration(cell, OXYFLUORIDE, seed=seed))
        )
        for seed in range(200)
    ]
    mean = float(np.mean(shuffles))
    yield Figure(
        "sqs_objective", found.objective, "1", "mean shuffle", found.objective / mean
    )
    best = min(shuffles)
    yield Figure(
        "sqs_objective",
        found.objective,
        "1",
        "best of 200 shuffles",
        found.objective / best,
    )


def candidates() -> list[Candidate]:
    """Different charge-neutral oxyfluorides with three to five metals."""
    found = []
    for manganese in range(1, 6):
        for chromium in range(1, 6):
            for niobium in (1, 2):
                lithium = 20 - manganese - chromium - niobium
                charge = lithium + 3 * (manganese + chromium) + 5 * niobium
                fluorine = 40 - charge
                if not 0 < fluorine <= MOST_FLUORINE:
                    continue
                tenth = Fraction(1, 10)
                cation = {
                    "Li+": lithium * tenth,
                    "Mn3+": manganese * tenth,
                    "Cr3+": chromium * tenth,
                    "Nb5+": niobium * tenth,
                }
                anion = {"O2-": (20 - fluorine) * tenth, "F-": fluorine * tenth}
                found.append(candidate({"cation": cation, "anion": anion}))
    return found[:CANDIDATES]


def candidate(assignment: dict[str, dict[str, Fraction]]) -> Candidate:
    """Make a candidate of the rocksalt family from its assignment."""
    amounts: dict[str, Fraction] = {}
    for occupation in assignment.values():
        for species, amount in occupation.items():
            element = parse_species(species).element
            amounts[element] = amounts.get(element, Fraction(0)) + amount
    sites = {name: Fraction(2) for name in assignment}
    return Candidate("hedrx", amounts, sites=sites, assignments=(assignment,))


def throughput_figures() -> Iterator[Figure]:
    """Whole orderings: from a candidate to a document, one process."""
    todo = candidates()
    for method in ("sqs", "electrostatic"):
        order_candidate(todo[0], method=method)
        _, seconds = timed(
            lambda method=method: [order_candidate(c, method=method) for c in todo]
        )
        yield Figure(f"{method}_cell", seconds / len(todo), "s")
        yield Figure(f"{method}_thousand_cells", 1000 * seconds / len(todo), "s")


def disordered(cell: Cell, counts: SiteCounts, volume: float) -> Structure:
    """Write a cell with partial occupancies, as pymatgen's transformation wants it."""
    lattice = Lattice(cell.lattice)
    species = []
    for name in cell.sublattices:
        total = sum(counts[name].values())
        species.append(
            {
                f"{p.element}{abs(p.charge)}{'+' if p.charge > 0 else '-'}": n / total
                for s, n in counts[name].items()
                if s != VACANCY
                for p in (parse_species(s),)
            }
        )
    structure = Structure(lattice, species, cell.coordinates)
    structure.scale_lattice(volume)
    return structure


def peer_energy(start: Structure, results: multiprocessing.Queue[float]) -> None:
    """Order a structure by pymatgen's default algorithm; put its Ewald energy."""
    transformation = OrderDisorderedStructureTransformation(
        symmetrized_structures=False
    )
    ranked = transformation.apply_transformation(start, return_ranked_list=1)
    results.put(EwaldSummation(ranked[0]["structure"]).total_energy)


def within(limit: float, start: Structure) -> tuple[float | None, float]:
    """Peer's energy and seconds, or nothing and the limit where it did not end."""
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[float] = context.Queue()
    process = context.Process(target=peer_energy, args=(start, results))
    began = time.perf_counter()
    process.start()
    process.join(limit)
    seconds = time.perf_counter() - began
    if process.is_alive():
        process.terminate()
        process.join()
        return None, seconds
    return results.get(), seconds


def electrostatic_figures() -> Iterator[Figure]:
    """Lowest energy and time against pymatgen, on the same cells."""
    nasicon = build_cell("nasicon", compact_supercell("nasicon", 1))
    sodium = SILICOPHOSPHATE | {"polyanion": {"P5+": 6}, "alkali": {"Na+": 2, "Vac": 6}}
    lithium = {"cation": {"Li+": 4, "Co3+": 4}, "anion": {"O2-": 8}}
    cases = (
        ("licoo2_16", rocksalt(8), lithium),
        ("nazr2po43_36", nasicon, sodium),
        ("oxyfluoride_40", rocksalt(20), OXYFLUORIDE),
        ("nasicon_40", nasicon, SILICOPHOSPHATE),
    )
    for name, cell, counts in cases:
        ewald_matrix(cell.prototype, cell.supercell)
        found, seconds = timed(
            lambda cell=cell, counts=counts: lowest_electrostatic(
                cell, counts, iterations=100_000, seed=0
            )
        )
        ours = decorated_structure(cell, found[0].decoration)
        theirs, peer_seconds = within(
            PEER_SECONDS, disordered(cell, counts, ours.volume)
        )
        peer = "pymatgen OrderDisorderedStructureTransformation"
        if theirs is None:
            peer += f", stopped after {PEER_SECONDS} s: the ratio is a lower bound"
        yield Figure(
            f"electrostatic_{name}", seconds, "s", peer, peer_seconds / seconds
        )
        if theirs is not None:
            energy = electrostatic_energy(cell, found[0].decoration)
            below = (theirs - energy) / len(ours) * 1000
            yield Figure(f"electrostatic_{name}_below_peer", below, "meV/atom", peer)
    yield swap_rate()


def swap_rate() -> Figure:
    """Count the swaps that the annealing tries a second."""
    cell, trials = rocksalt(20), 1_000_000
    _, seconds = timed(
        lambda: lowest_electrostatic(cell, OXYFLUORIDE, iterations=trials, seed=0)
    )
    return Figure("electrostatic_swaps", trials / seconds, "1/s")


def main() -> None:
    """Print every figure as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object a line")
    chosen = parser.parse_args()
    for group in (sqs_figures, throughput_figures, electrostatic_figures):
        for figure in group():
            line = json.dumps(figure._asdict()) if chosen.json else str(figure)
            print(line)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
