"""Electrostatic orderings by pymatgen, in a process that ends where its time does."""

from __future__ import annotations

import multiprocessing
import resource
import time
from typing import TYPE_CHECKING, Any, TypeVar

from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, Structure
from pymatgen.transformations.standard_transformations import (
    OrderDisorderedStructureTransformation,
)

from hts_battery.schemas.species import VACANCY, parse_species

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.structures.cells import Cell
    from hts_battery.structures.nearest_counts import SiteCounts

T = TypeVar("T")


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """Return the result of a call and its seconds of processor time."""
    start = time.process_time()
    return call(), time.process_time() - start


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


def peer_energy(
    start: Structure, algorithm: int, limit: int, results: multiprocessing.Queue[Any]
) -> None:
    """Order a structure by pymatgen; put its Ewald energy and shortest seconds."""
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    transformation = OrderDisorderedStructureTransformation(
        algo=algorithm, symmetrized_structures=False
    )
    taken = []
    for _ in range(9):
        ranked, seconds = timed(
            lambda: transformation.apply_transformation(start, return_ranked_list=1)
        )
        taken.append(seconds)
        if seconds > 1:
            break
    energy = EwaldSummation(ranked[0]["structure"]).total_energy
    results.put((energy, min(taken)))


def within(limit: int, start: Structure, algorithm: int) -> tuple[float | None, float]:
    """Peer's energy and seconds, or nothing and the limit where it did not end."""
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[Any] = context.Queue()
    process = context.Process(
        target=peer_energy, args=(start, algorithm, limit, results)
    )
    process.start()
    process.join()
    if process.exitcode:  # the system ends it at the limit of processor time
        return None, limit
    energy, seconds = results.get()
    return energy, seconds
