"""
Speed of the room disorder, each figure beside a peer or beside the code it replaces.

Processor time of one thread, set-up and compilation apart. The only public code for
0-TM percolation, dribble, no longer runs on current numpy: its rate is the one measured
once on a quiet core (3,000 sites a second on 432 cations) and is quoted, not run.

    python benchmarks/disorder.py --json
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from figures import Printer
from pymatgen.core import Species, Structure

from hts_battery.disorder import LatticeModel, lattice_cell, warren_cowley
from hts_battery.disorder.accessible import accessible_carriers
from hts_battery.disorder.clusters import clusters, grouped
from hts_battery.disorder.lattice_fit import fit_lattice_model
from hts_battery.disorder.monte_carlo import lattice_monte_carlo
from hts_battery.disorder.networks import percolation_network, tetrahedra
from hts_battery.disorder.order_temperature import order_temperature
from hts_battery.disorder.parents import parent_lattice
from hts_battery.disorder.percolation import RandomFilling
from hts_battery.disorder.torus import torus
from hts_battery.structures.cells import build_cell
from hts_battery.structures.correlations import occupations, pair_shells
from hts_battery.structures.short_range_order import short_range_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.structures.cells import Cell

DRIBBLE = 3_000  # sites a second
MIX = {"cation": {"Li": 0.6, "Mn": 0.4}, "anion": {"O": 1}}
show = Printer()


def processor(work: Callable[[], object], times: int = 1) -> float:
    """Seconds of processor for one call, after one that compiles."""
    work()
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times


def percolation() -> None:
    """Fill a large rock salt; set a cell up; find its clusters."""
    lattice = parent_lattice("rocksalt")
    network = percolation_network(lattice, "0tm", torus(20))
    filling = RandomFilling(grouped(network.network), network)
    random = np.random.default_rng(0)
    peer = "dribble, quoted: 3,000 sites/s"
    for name, until_all in (("threshold", True), ("every filling", False)):
        took = processor(partial(filling.follow, random, until_all=until_all), 20)
        rate = filling.sites / took
        show(f"0-TM {name}, 32,000 cations", rate, "sites/s", peer, rate / DRIBBLE)
    cell = lattice_cell("rocksalt", MIX, 20)
    cations = np.asarray(cell.frac_coords)[:32_000]
    matrix = np.asarray(cell.lattice.matrix)
    took = processor(lambda: tetrahedra(matrix, cations))
    show("tetrahedra of a cell of 32,000 cations", took, "s")
    groups = grouped(tetrahedra(matrix, cations))
    occupied = np.random.default_rng(1).random(32_000) < 0.6  # noqa: PLR2004
    took = processor(lambda: clusters(groups, occupied), 20)
    show("clusters of a cell of 32,000 cations", took * 1000, "ms")
    took = processor(lambda: accessible_carriers(cell))
    show("accessible carriers of a Structure, 64,000 sites", took, "s")


def dense_parameters(
    cell: Cell, decoration: list[str]
) -> dict[str, list[dict[str, float]]]:
    """Return the same parameters by products of whole tables of pairs."""
    texts = np.array(decoration)
    found = {}
    for shells in pair_shells(cell.prototype, cell.supercell):
        rows = texts[cell.sites[shells.first]]
        columns = texts[cell.sites[shells.second]]
        a, b = occupations(list(rows)), occupations(list(columns))
        paired = np.einsum("ia,sij,jb->sab", a, shells.counts, b, optimize=True)
        paired /= shells.counts.sum(axis=(1, 2)).reshape(-1, 1, 1)
        alpha = 1 - paired / np.outer(a.mean(axis=0), b.mean(axis=0))
        found[f"{shells.first}/{shells.second}"] = [
            {
                f"{x}/{y}": float(shell[m, n])
                for m, x in enumerate(sorted(set(rows)))
                for n, y in enumerate(sorted(set(columns)))
                if shells.first != shells.second or m <= n
            }
            for shell in alpha
        ]
    return found


def order_parameters() -> None:
    """Warren-Cowley parameters beside the count over a parent cell."""
    cell = build_cell("rocksalt", ((8, 0, 0), (0, 8, 0), (0, 0, 8)))
    random = np.random.default_rng(0)
    kinds = {"cation": ("Li+", "Mn3+"), "anion": ("O2-", "F-")}
    decoration = [str(random.choice(kinds[name])) for name in cell.sublattices]
    species = [Species.from_str(text) for text in decoration]
    structure = Structure(cell.lattice, species, cell.coordinates)
    took = processor(lambda: warren_cowley(structure), 5)
    before = dense_parameters(cell, decoration)
    long = processor(lambda: dense_parameters(cell, decoration))
    sites, peer = len(structure), "products of dense tables of pairs, made before"
    show(f"order parameters, {sites} sites", took * 1000, "ms", peer, long / took)
    take = processor(lambda: short_range_order(cell, decoration), 5)
    show(
        f"order of a parent's cell, {sites} sites, lists made before",
        take * 1000,
        "ms",
        peer,
        long / take,
    )
    worst = max(
        abs(now[s][pair] - value)
        for name, now in short_range_order(cell, decoration).items()
        for s, shell in enumerate(before[name])
        for pair, value in shell.items()
    )
    show("order of a parent's cell, largest difference", worst, "1", peer)
    large = lattice_cell("rocksalt", MIX, 16)
    took = processor(lambda: warren_cowley(large))
    show(f"order parameters, {len(large)} sites", took * 1000, "ms")


def monte_carlo() -> None:
    """Count trials a second of a pair model, order parameters included."""
    model = LatticeModel.from_pairs("rocksalt", {("Li", "Mn"): [0.01, 0.005]})
    sweeps = 20
    took = processor(
        lambda: lattice_monte_carlo(model, MIX, 12, temperature=1273, sweeps=sweeps)
    )
    trials = 2 * sweeps * 4 * 12**3
    show("lattice Monte Carlo, two shells, 6,912 cations", trials / took, "trials/s")


def lattice_models() -> None:
    """Sweep with electrostatics; fit 300 cells; bracket an order of three shells."""
    charged = LatticeModel.from_pairs("rocksalt", {("Li", "Mn"): [0.01]}, dielectric=20)
    mix = {"cation": {"Li": 0.6, "Mn": 0.2, "Ti": 0.2}, "anion": {"O": 1}}
    start = lattice_cell("rocksalt", mix, 10)
    setup = processor(lambda: charged.state(start))
    show("lattice model with electrostatics, set-up at 8,000 sites", setup, "s")
    took = processor(
        lambda: lattice_monte_carlo(charged, mix, 10, temperature=1273, sweeps=20)
    )
    show(
        "1,000 sweeps with electrostatics, 4,000 cations",
        (took - setup) / 40 * 1000,
        "s",
        "aim: 180 s",
        180 / ((took - setup) / 40 * 1000),
    )
    cells = [
        lattice_cell("rocksalt", mix, (2, (1, 2, 2), (2, 1, 2))[n % 3], seed=n)
        for n in range(300)
    ]
    energies = [charged.energy(cell) for cell in cells]
    fit = processor(lambda: fit_lattice_model(cells, energies))
    show("fit of 300 cells", fit, "s", "aim: 5 s", 5 / fit)
    three = LatticeModel.from_pairs("rocksalt", {("Li", "Mn"): [-0.03, 0.015, 0.004]})
    half = {"cation": {"Li": 0.5, "Mn": 0.5}, "anion": {"O": 1}}
    order = processor(lambda: order_temperature(three, half, cations=2_000))
    name = "order-disorder temperature, three shells, 2,000 cations"
    show(name, order, "s", "aim: 300 s", 300 / order)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="accepted; always JSON")
    parser.parse_args()
    percolation()
    order_parameters()
    monte_carlo()
    lattice_models()
