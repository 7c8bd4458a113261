"""
Time and quality of orderings, side by side with other programs on the same cells.

One line a figure; with ``--json`` one object a line. Times are processor time of one
thread unless they say wall, so that they mean something on a machine in use: set
OMP_NUM_THREADS=1. Quasirandom cells of every program are judged by our objective after
the same time of search; icet and smol are looked for in the interpreter that
HTS_BATTERY_PEERS_PYTHON names, or in this one. Electrostatic orderings are compared
with pymatgen's OrderDisorderedStructureTransformation, its default algorithm stopped
where it does not end, and its best-first algorithm.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from figures import Printer
from peers.ordering import disordered, timed, within
from pymatgen.core import Element

from hts_battery.schemas.candidate import Candidate
from hts_battery.schemas.species import parse_species
from hts_battery.structures import electrostatic, ewald
from hts_battery.structures.cells import (
    build_cell,
    compact_supercell,
    site_permutations,
)
from hts_battery.structures.correlations import (
    correlation_errors,
    objective,
    pair_shells,
)
from hts_battery.structures.decoration import decorated_structure
from hts_battery.structures.electrostatic import ChargeSwaps, lowest_electrostatic
from hts_battery.structures.ordering import order_candidate, random_decoration
from hts_battery.structures.sqs import DEFAULT_ITERATIONS, generate_sqs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hts_battery.structures.cells import Cell
    from hts_battery.structures.electrostatic import ElectrostaticResult
    from hts_battery.structures.nearest_counts import SiteCounts

PRIMITIVE = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
PROCESSES = 2
FAST, BEST_FIRST = 0, 2
OXYFLUORIDE = {
    "cation": {"Li+": 13, "Mn3+": 4, "Ti4+": 3},
    "anion": {"O2-": 17, "F-": 3},
}
SIX_METALS = {
    "cation": {
        "Li+": 13,
        "Mn2+": 1,
        "Co2+": 1,
        "Mn3+": 1,
        "Cr3+": 1,
        "Ti4+": 1,
        "Nb5+": 2,
    },
    "anion": {"O2-": 17, "F-": 3},
}
LITHIUM_COBALT_OXIDE = {"cation": {"Li+": 4, "Co3+": 4}, "anion": {"O2-": 8}}
SILICOPHOSPHATE = {
    "alkali": {"Na+": 6, "Vac": 2},
    "metal": {"Zr4+": 4},
    "polyanion": {"P5+": 2, "Si4+": 4},
    "oxygen": {"O2-": 24},
}
SODIUM_ZIRCONIUM_PHOSPHATE = SILICOPHOSPHATE | {
    "polyanion": {"P5+": 6},
    "alkali": {"Na+": 2, "Vac": 6},
}


class Extent(NamedTuple):
    """How much is measured."""

    seconds: float
    """Search time of each program on each cell."""
    peer_limit: int
    """Seconds after which pymatgen's default algorithm is stopped."""
    candidates: int
    sqs_cases: int
    sizes: tuple[int, ...]
    """Oxyfluoride cells of the curves, in units of 40 atoms."""


FULL = Extent(8.0, 20, 200, 4, (1, 2, 3, 4))
QUICK = Extent(2.0, 5, 40, 2, (1, 2))


def compact(prototype: str, cells: int) -> Cell:
    """Return the compact cell of a size."""
    return build_cell(prototype, compact_supercell(prototype, cells))


def times(counts: SiteCounts, factor: int) -> SiteCounts:
    """Multiply every number of sites."""
    return {
        name: {s: factor * n for s, n in occupation.items()}
        for name, occupation in counts.items()
    }


SQS_CASES = (
    ("oxyfluoride_40", "rocksalt", 20, OXYFLUORIDE),
    ("oxyfluoride_80", "rocksalt", 40, times(OXYFLUORIDE, 2)),
    ("six_metals_40", "rocksalt", 20, SIX_METALS),
    ("nasicon_120", "nasicon", 3, times(SILICOPHOSPHATE, 3)),
)


def sqs_figures(show: Printer, extent: Extent, _folder: Path | None) -> None:
    """Objective after the same time of search, ours and the peers'."""
    if shutil.which("mcsqs") is None:
        show("sqs_peer_missing", 0, "1", "ATAT: no program mcsqs in the path")
    else:
        show("sqs_peer_missing", 0, "1", "ATAT: mcsqs is here, not driven yet")
    for name, prototype, cells, counts in SQS_CASES[: extent.sqs_cases]:
        cell = compact(prototype, cells)
        generate_sqs(cell, counts, iterations=100, seed=0)
        _, once = timed(
            lambda cell=cell, counts=counts: generate_sqs(
                cell, counts, iterations=DEFAULT_ITERATIONS, seed=0
            )
        )
        show(f"sqs_{name}_one_search", once, "s")
        ours, searches = repeated_sqs(cell, counts, extent.seconds)
        show(f"sqs_{name}_objective", ours, "1")
        show(f"sqs_{name}_searches", searches, "1")
        shuffles = [
            objective(
                correlation_errors(cell, random_decoration(cell, counts, seed=seed))
            )
            for seed in range(200)
        ]
        mean = float(np.mean(shuffles))
        show(
            f"sqs_{name}_objective",
            ours,
            "1",
            "mean shuffle",
            mean / ours if ours else None,
        )
        for program in ("icet", "smol"):
            peer_sqs(show, name, cell, counts, ours, (program, extent.seconds))


def repeated_sqs(cell: Cell, counts: SiteCounts, seconds: float) -> tuple[float, int]:
    """Search with one seed after the other until the time is used up."""
    start = time.process_time()
    found: list[float] = []
    while not found or time.process_time() - start < seconds:
        result = generate_sqs(
            cell, counts, iterations=DEFAULT_ITERATIONS, seed=len(found)
        )
        found.append(result.objective)
    return min(found), len(found)


def peer_sqs(
    show: Printer,
    name: str,
    cell: Cell,
    counts: SiteCounts,
    ours: float,
    peer: tuple[str, float],
) -> None:
    """Objective and speed of another program on the same cell, by our objective."""
    program, seconds = peer
    species = sorted({(n, s) for n, occupation in counts.items() for s in occupation})
    # One element a species and sublattice: two valences must not look alike.
    symbols = {key: Element.from_Z(z).symbol for z, key in enumerate(species, start=3)}
    primitive = build_cell(cell.prototype, PRIMITIVE)
    mixed = {n for n, occupation in counts.items() if len(occupation) > 1}
    reach = max(
        distance
        for shells in pair_shells(cell.prototype, cell.supercell)
        if shells.first in mixed and shells.second in mixed
        for distance in shells.distances
    )
    task: dict[str, Any] = {
        "program": program,
        "seconds": seconds,
        "seed": 1,
        "lattice": primitive.lattice.tolist(),
        "positions": primitive.coordinates.tolist(),
        "sublattices": primitive.sublattices,
        "supercell": cell.supercell,
        "coordinates": cell.coordinates.tolist(),
        "sites": cell.sublattices,
        "cutoff": reach + 0.05,
        "counts": {
            n: {symbols[n, s]: count for s, count in occupation.items()}
            for n, occupation in counts.items()
        },
    }
    answer = ask_peer(task)
    if "missing" in answer:
        show("sqs_peer_missing", 0, "1", f"{program}: {answer['missing']}")
        return
    back = {symbol: s for (_, s), symbol in symbols.items()}
    theirs = min(
        objective(correlation_errors(cell, [back[s] for s in symbols]))
        for symbols in answer["symbols"]
    )
    label = f"{program} {answer['version']}, {answer['seconds']:.1f} s of search"
    # Above 1: the peer's cell is further from random than ours.
    show(
        f"sqs_{name}_peer_objective",
        theirs,
        "1",
        label,
        theirs / ours if ours else None,
    )
    rate = answer["trials"] / answer["seconds"]
    show(f"sqs_{name}_peer_trials", rate, "1/s", label)


def ask_peer(task: dict[str, Any]) -> dict[str, Any]:
    """Have one task done by the peers' interpreter."""
    interpreter = os.environ.get("HTS_BATTERY_PEERS_PYTHON", sys.executable)
    script = Path(__file__).with_name("peers") / "quasirandom.py"
    done = subprocess.run(  # noqa: S603 - an interpreter that the user names
        [interpreter, str(script)],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"missing": done.stderr.strip().splitlines()[-1]}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def candidates(number: int) -> list[Candidate]:
    """Different charge-neutral oxyfluorides with four metals."""
    found: list[Candidate] = []
    tenth = Fraction(1, 10)
    for code in range(6**4):
        metals = dict(
            zip(
                ("Mn3+", "Cr3+", "Ti4+", "Nb5+"),
                (1 + code // 6**k % 6 for k in range(4)),
                strict=True,
            )
        )
        lithium = 20 - sum(metals.values())
        charge = lithium + sum(parse_species(s).charge * n for s, n in metals.items())
        fluorine = 40 - charge
        if lithium < 1 or not 0 < fluorine < 20:  # noqa: PLR2004 - sites of the cell
            continue
        cation = {"Li+": lithium} | metals
        anion = {"O2-": 20 - fluorine, "F-": fluorine}
        found.append(
            candidate(
                {
                    name: {s: n * tenth for s, n in occupation.items()}
                    for name, occupation in {"cation": cation, "anion": anion}.items()
                }
            )
        )
    return (found * (number // len(found) + 1))[:number]


def candidate(assignment: dict[str, dict[str, Fraction]]) -> Candidate:
    """Make a candidate of the rocksalt family from its assignment."""
    amounts: dict[str, Fraction] = {}
    for occupation in assignment.values():
        for species, amount in occupation.items():
            element = parse_species(species).element
            amounts[element] = amounts.get(element, Fraction(0)) + amount
    sites = {name: Fraction(2) for name in assignment}
    return Candidate("hedrx", amounts, sites=sites, assignments=(assignment,))


def processor_seconds() -> float:
    """Processor time of the processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def order_one(task: tuple[Candidate, str]) -> str:
    """Order a candidate in a process of its own."""
    return order_candidate(task[0], method=task[1]).ordering_id


def throughput_figures(show: Printer, extent: Extent, _folder: Path | None) -> None:
    """Whole orderings, from a candidate to a document, on two processes."""
    todo = candidates(extent.candidates)
    context = multiprocessing.get_context("fork")
    for method in ("sqs", "electrostatic"):
        before = processor_seconds()
        pool = context.Pool(PROCESSES)
        start = time.perf_counter()
        pool.map(order_one, [(c, method) for c in todo], chunksize=4)
        seconds = time.perf_counter() - start
        pool.close()
        pool.join()
        used = (processor_seconds() - before) / PROCESSES
        scale = 1000 / len(todo)
        unit = f"s, scaled from {len(todo)} candidates, {PROCESSES} processes, wall"
        show(f"{method}_thousand_cells", scale * seconds, unit)
        # What it takes where nobody else uses the cores.
        unit = unit.replace("wall", "processor time of each")
        show(f"{method}_thousand_cells", scale * used, unit)


def own_search(
    cell: Cell, counts: SiteCounts, swaps: int = DEFAULT_ITERATIONS
) -> tuple[ElectrostaticResult, float, float]:
    """Lowest ordering, seconds on a new cell and on one seen before."""

    def search() -> list[ElectrostaticResult]:
        return lowest_electrostatic(cell, counts, iterations=swaps, seed=0, results=1)

    _, first = timed(
        search
    )  # what every process loads once is no part of a cell's cost
    # The shortest of several, since others use the machine too.
    repeats = 9 if first < 1 else 2
    cold = []
    for _ in range(repeats):
        for cached in (
            ewald.ewald_matrix,
            electrostatic._whole_matrix,  # noqa: SLF001 - made with the cell
            site_permutations,
        ):
            cached.cache_clear()
        cold.append(timed(search)[1])
    warm = [timed(search)[1] for _ in range(repeats)]
    return search()[0], min(cold), min(warm)


def electrostatic_cases(extent: Extent) -> Iterator[tuple[str, Cell, SiteCounts]]:
    """Cells and species: two small, and two that pymatgen's search does not end on."""
    nasicon = compact("nasicon", 1)
    yield "licoo2_16", compact("rocksalt", 8), LITHIUM_COBALT_OXIDE
    yield "nazr2po43_36", nasicon, SODIUM_ZIRCONIUM_PHOSPHATE
    yield "nasicon_40", nasicon, SILICOPHOSPHATE
    for factor in extent.sizes:
        cell = compact("rocksalt", 20 * factor)
        yield f"oxyfluoride_{40 * factor}", cell, times(OXYFLUORIDE, factor)
    yield "nasicon_120", compact("nasicon", 3), times(SILICOPHOSPHATE, 3)


def electrostatic_figures(show: Printer, extent: Extent, _folder: Path | None) -> None:
    """Lowest energy and time against pymatgen, on the same cells."""
    for name, cell, counts in electrostatic_cases(extent):
        found, cold, warm = own_search(cell, counts)
        ours = decorated_structure(cell, found.decoration)
        start = disordered(cell, counts, ours.volume)
        show(f"electrostatic_{name}_is_exact", float(found.exact), "1")
        for label, algorithm in (("default", FAST), ("best first", BEST_FIRST)):
            theirs, seconds = within(extent.peer_limit, start, algorithm)
            peer = f"pymatgen OrderDisorderedStructureTransformation, {label}"
            unit = "s"
            if theirs is None:
                unit += f", the peer stopped after {seconds:.0f} s: ratio a lower bound"
            show(f"electrostatic_{name}_new_cell", cold, unit, peer, seconds / cold)
            show(f"electrostatic_{name}_known_cell", warm, unit, peer, seconds / warm)
            if theirs is not None:
                below = round((theirs - found.energy) / len(ours) * 1000, 5)
                show(f"electrostatic_{name}_below_peer", below, "meV/atom", peer)
            if theirs is not None and not found.exact:
                # Descents alone: as crude as the peer's greedy algorithm.
                crude, _, brief = own_search(cell, counts, swaps=1)
                below = round((theirs - crude.energy) / len(ours) * 1000, 5)
                name_of = f"electrostatic_{name}_descents"
                show(name_of, brief, "s", peer, seconds / brief)
                show(f"{name_of}_below_peer", below, "meV/atom", peer)
    swap_rate(show)


def swap_rate(show: Printer) -> None:
    """Count the swaps that the search weighs a second."""
    cell = compact("rocksalt", 40)
    problem = electrostatic._problem(cell, times(OXYFLUORIDE, 2))  # noqa: SLF001 - the search alone is timed
    search = ChargeSwaps(problem, seed=0)
    swaps, seconds = timed(lambda: search.run(3200))
    judged = swaps * len(search.first)
    show("electrostatic_swaps_judged", judged / seconds, "1/s")


def curve_figures(show: Printer, extent: Extent, folder: Path | None) -> None:
    """Cost and quality against the size of the cell."""
    rows = []
    for factor in extent.sizes:
        cell, counts = compact("rocksalt", 20 * factor), times(OXYFLUORIDE, factor)
        _, _, lowest = own_search(cell, counts)
        generate_sqs(cell, counts, iterations=100, seed=0)
        result, seconds = timed(
            lambda cell=cell, counts=counts: generate_sqs(
                cell, counts, iterations=DEFAULT_ITERATIONS, seed=0
            )
        )
        rows.append((40 * factor, seconds, lowest, result.objective))
        show(f"sqs_{40 * factor}_atoms", seconds, "s")
        show(f"sqs_{40 * factor}_atoms_objective", result.objective, "1")
        show(f"electrostatic_{40 * factor}_atoms", lowest, "s")
    if folder is not None:
        draw(rows, folder)


def draw(rows: list[tuple[int, float, float, float]], folder: Path) -> None:
    """Write the curves as a picture."""
    from matplotlib.figure import Figure as Picture  # noqa: PLC0415 - only if asked for

    atoms, sqs, lowest, objectives = zip(*rows, strict=True)
    picture = Picture(figsize=(8, 3.5), layout="constrained")
    left, right = picture.subplots(1, 2)
    left.loglog(atoms, sqs, "o-", label="quasirandom")
    left.loglog(atoms, lowest, "s-", label="electrostatic")
    left.set(xlabel="atoms in the cell", ylabel="seconds for one cell")
    left.legend()
    right.plot(atoms, objectives, "o-")
    right.set(xlabel="atoms in the cell", ylabel="objective", ylim=(0, None))
    folder.mkdir(parents=True, exist_ok=True)
    picture.savefig(folder / "structures_cost.png", dpi=150)


def load_figure(show: Printer, _extent: Extent, _folder: Path | None) -> None:
    """Load of the machine, without which no time means anything."""
    show("load_average", os.getloadavg()[0], f"{os.cpu_count()} cores")


GROUPS: dict[str, Callable[[Printer, Extent, Path | None], None]] = {
    "sqs": sqs_figures,
    "throughput": throughput_figures,
    "electrostatic": electrostatic_figures,
    "curves": curve_figures,
}


def main() -> None:
    """Print every figure as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--quick", action="store_true", help="fewer cells, less time")
    parser.add_argument("--plot", type=Path, help="folder for the cost curves")
    parser.add_argument("--only", choices=GROUPS, help="measure one group of figures")
    chosen = parser.parse_args()
    extent = QUICK if chosen.quick else FULL
    groups = [GROUPS[chosen.only]] if chosen.only else list(GROUPS.values())
    show = Printer(as_json=chosen.json)
    for group in (load_figure, *groups, load_figure):
        group(show, extent, chosen.plot)


if __name__ == "__main__":
    main()
