"""
Hull energies side by side: this package, scipy, HiGHS and pymatgen in one run.

The references are machine-learned formation energies of Materials Project compositions
(10.1038/s41524-020-00362-y) in Li, O, F and 22 metals, the elements at zero. The
compositions are drawn with a seed: Li(1+x)M(1-x)O(2-y)F(y) in steps of 0.1 with 4 to 8
metals; they need not be neutral, since charge plays no part in a hull.

Prints one JSON object a line. Times are processor seconds of one core, so that a busy
machine does not change them. ``ratio`` is the peer's time over ours: above one, ours
is faster. Peers marked "scaled" ran on fewer compositions of the same set.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import highspy
import numpy as np
from pymatgen.analysis.phase_diagram import (
    PatchedPhaseDiagram,
    PDEntry,
    PhaseDiagram,
)
from pymatgen.core import Composition

from hts_battery.thermo import Hull
from hts_battery.thermo.atomic_fractions import fraction_rows
from hts_battery.thermo.linear_program import lowest_mixture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

METALS = tuple(
    "Mg Al Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Y Zr Nb Mo Sn Sb Hf Ta W".split()  # noqa: SIM905 - reads better
)
ELEMENTS = ["Li", "O", "F", *METALS]
Answer = TypeVar("Answer")
COMPOSITIONS = 18_810
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "hull"
ENERGIES = "formation_energies_roost.json.gz"
DISAGREEMENT = 1e-8  # eV/atom


def report(
    figure: str,
    value: float,
    unit: str,
    *,
    peer: str | None = None,
    ratio: float | None = None,
) -> None:
    """Print one figure."""
    line = {
        "figure": figure,
        "value": float(f"{value:.6g}"),
        "unit": unit,
        "peer": peer,
        "ratio": None if ratio is None else round(ratio, 2),
    }
    print(json.dumps(line), flush=True)


def timed(function: Callable[..., Answer], *arguments: object) -> tuple[Answer, float]:
    """Call a function; return its answer and the processor seconds it took."""
    start = time.process_time()
    answer = function(*arguments)
    return answer, time.process_time() - start


def fresh_hull(known: dict[str, float]) -> Hull:
    """Build a hull that knows nothing yet."""
    return Hull(list(known), list(known.values()))


def judged_hull(known: dict[str, float]) -> Hull:
    """Build a hull and let one question over all elements prune its references."""
    hull = fresh_hull(known)
    hull.lower_energies([dict.fromkeys(ELEMENTS, 1)])
    return hull


def fresh_answer(known: dict[str, float], formulas: Sequence[str]) -> np.ndarray:
    """Build a hull and ask it, everything included."""
    return fresh_hull(known).lower_energies(formulas)


def symbols(formula: str) -> set[str]:
    """Name the elements of a formula."""
    return set(re.findall("[A-Z][a-z]?", formula))


def references(path: Path, elements: Sequence[str]) -> dict[str, float]:
    """Read formation energies inside a system, eV/atom, the elements at zero."""
    with gzip.open(path, "rt") as file:
        energies = json.load(file)
    inside = {f: e for f, e in energies.items() if symbols(f) <= set(elements)}
    return inside | dict.fromkeys(elements, 0.0)


def composition(draw: random.Random, metals: Sequence[str]) -> str:
    """Draw a formula in tenths per formula unit that holds all the given metals."""
    metal = draw.randint(max(6, len(metals)), 10)
    cuts = sorted(draw.sample(range(1, metal), len(metals) - 1))
    parts = [b - a for a, b in zip([0, *cuts], [*cuts, metal], strict=True)]
    fluorine = draw.randint(0, 6)
    amounts = {"Li": 20 - metal, "O": 20 - fluorine, "F": fluorine}
    amounts |= dict(zip(metals, parts, strict=True))
    return "".join(f"{el}{n / 10}" for el, n in amounts.items() if n)


def compositions(count: int, seed: int) -> list[str]:
    """Draw compositions with any metals: few share a chemical system."""
    draw = random.Random(seed)  # noqa: S311 - a drawing, not a secret
    return [
        composition(draw, draw.sample(METALS, draw.randint(4, 8))) for _ in range(count)
    ]


def campaign(count: int, seed: int) -> list[str]:
    """Draw compositions of twenty sets of metals, as a campaign has them."""
    draw = random.Random(seed)  # noqa: S311 - a drawing, not a secret
    families = [draw.sample(METALS, draw.randint(4, 8)) for _ in range(20)]
    return [composition(draw, families[i % len(families)]) for i in range(count)]


def check(ours: np.ndarray, theirs: np.ndarray, peer: str) -> None:
    """Stop where a peer gets another answer: then its time means nothing."""
    worst = float(np.abs(ours - theirs).max())
    if not worst < DISAGREEMENT:
        sys.exit(f"{peer} differs by {worst} eV/atom: the times mean nothing")
    report(f"largest difference to {peer}", worst, "eV/atom", peer=peer)


class ScipyLoop:
    """What one writes first: linprog on every reference inside the elements."""

    def __init__(self, known: dict[str, float]) -> None:
        self.elements = sorted(ELEMENTS)
        self.rows, _ = fraction_rows(list(known), self.elements)
        self.energies = np.array(list(known.values()))

    def energies_of(self, formulas: Sequence[str]) -> np.ndarray:
        """Hull energies in eV/atom."""
        targets, _ = fraction_rows(formulas, self.elements)
        lowest = []
        for target in targets:
            active = np.flatnonzero(target)
            inside = (self.rows[:, target == 0] == 0).all(axis=1)
            mixture = lowest_mixture(
                self.rows[np.ix_(inside, active)],
                self.energies[inside],
                target[active],
            )
            assert mixture is not None
            lowest.append(mixture.energy)
        return np.array(lowest)


class WarmHighs:
    """One HiGHS model of our pruned references whose right-hand side changes."""

    def __init__(self, known: dict[str, float]) -> None:
        stable = judged_hull(known).stable_references(ELEMENTS)
        known = {name: known[name] for name in stable}
        self.elements = sorted(ELEMENTS)
        rows, _ = fraction_rows(list(known), self.elements)
        self.model = highspy.Highs()
        self.model.setOptionValue("output_flag", False)  # noqa: FBT003 - their API
        self.model.setOptionValue("threads", 1)
        for _ in self.elements:
            self.model.addRow(0.0, 0.0, 0, [], [])
        for row, energy in zip(rows, known.values(), strict=True):
            where = np.flatnonzero(row)
            self.model.addCol(energy, 0.0, 2.0, len(where), where, row[where])

    def energies_of(self, formulas: Sequence[str]) -> np.ndarray:
        """Hull energies in eV/atom."""
        targets, _ = fraction_rows(formulas, self.elements)
        lowest = []
        for target in targets:
            for number, amount in enumerate(target):
                self.model.changeRowBounds(number, amount, amount)
            self.model.run()
            lowest.append(self.model.getObjectiveValue())
        return np.array(lowest)


def against_programs(known: dict[str, float], args: argparse.Namespace) -> None:
    """Report the main figure and two linear-programming peers beside it."""
    formulas = compositions(args.count, args.seed)
    report("references", len(known), "phases")
    report(
        "distinct chemical systems asked for",
        len({frozenset(symbols(formula)) for formula in formulas}),
        "systems",
    )
    hull, seconds = timed(fresh_hull, known)
    report("set-up: read references", seconds, "s")
    # The first question judges every reference inside its elements.
    _, seconds = timed(hull.lower_energies, [dict.fromkeys(ELEMENTS, 1)])
    report("set-up: prune references, one composition", seconds, "s")
    stable = hull.stable_references(ELEMENTS)
    report("references left after pruning", len(stable), "phases")
    ours, mine = timed(hull.lower_energies, formulas)
    name = f"{len(formulas)} compositions of 4 to 8 metals"
    report(name, mine, "s")
    report(f"{name}, bases known", timed(hull.lower_energies, formulas)[1], "s")
    again, total = timed(fresh_answer, known, formulas)
    report(f"{name}, set-up included", total, "s")
    check(ours, again, "a fresh hull")
    for peer, make in (
        ("scipy linprog", ScipyLoop),
        ("HiGHS with warm start on our pruned references", WarmHighs),
    ):
        few = formulas[: args.sample]
        solver = make(known)
        theirs, seconds = timed(solver.energies_of, few)
        check(ours[: len(few)], theirs, peer)
        seconds *= len(formulas) / len(few)
        report(name, seconds, "s, scaled", peer=peer, ratio=seconds / mine)


def campaign_figures(known: dict[str, float], args: argparse.Namespace) -> None:
    """Report what many compositions of few chemical systems cost."""
    formulas = campaign(args.count, args.seed)
    _, seconds = timed(judged_hull(known).lower_energies, formulas)
    report(f"{len(formulas)} compositions in 20 sets of metals", seconds, "s")


def ask_pymatgen(diagram: PhaseDiagram, formulas: Sequence[str]) -> np.ndarray:
    """Hull energies in eV/atom from a phase diagram."""
    return np.array(
        [diagram.get_hull_energy_per_atom(Composition(f)) for f in formulas]
    )


def against_pymatgen(known: dict[str, float], args: argparse.Namespace) -> None:
    """Report PhaseDiagram and PatchedPhaseDiagram at small numbers of elements."""
    for size in args.elements:
        system = ["Li", "O", "F", *METALS[3:size]]
        inside = {f: e for f, e in known.items() if symbols(f) <= set(system)}
        draw = random.Random(args.seed)  # noqa: S311 - a drawing, not a secret
        formulas = [
            "".join(f"{el}{draw.randint(1, 9)}" for el in system) for _ in range(100)
        ]
        ours, mine = timed(fresh_answer, inside, formulas)
        name = f"{size} elements, {len(inside)} references, build and 100 questions"
        report(name, mine, "s")
        entries = [
            PDEntry(Composition(f), e * Composition(f).num_atoms)
            for f, e in inside.items()
        ]
        kinds = [PhaseDiagram, PatchedPhaseDiagram][: 2 if size in args.patched else 1]
        for kind in kinds:
            few = formulas if kind is PhaseDiagram else formulas[:3]
            diagram, build = timed(kind, entries)
            theirs, ask = timed(ask_pymatgen, diagram, few)
            peer = f"pymatgen {kind.__name__}"
            check(ours[: len(few)], theirs, peer)
            seconds = build + ask * len(formulas) / len(few)
            unit = "s" if len(few) == len(formulas) else "s, scaled"
            report(name, seconds, unit, peer=peer, ratio=seconds / mine)


def scaling(
    known: dict[str, float], args: argparse.Namespace
) -> list[tuple[str, int, float]]:
    """Measure cost against elements, references and candidates."""
    points: list[tuple[str, int, float]] = []
    draw = random.Random(args.seed)  # noqa: S311 - a drawing, not a secret
    for size in range(4, 13):
        formulas = [
            "".join(
                f"{el}{draw.randint(1, 9)}"
                for el in ["Li", "O", "F", *draw.sample(METALS, size - 3)]
            )
            for _ in range(1000)
        ]
        seconds = timed(judged_hull(known).lower_energies, formulas)[1]
        points.append(("elements", size, seconds))
    formulas = compositions(1000, args.seed)
    compounds = [name for name in known if name not in ELEMENTS]
    for count in (1000, 2000, 4000, len(known)):
        names = [*ELEMENTS, *draw.sample(compounds, count - len(ELEMENTS))]
        some = {name: known[name] for name in names}
        points.append(("references", count, timed(fresh_answer, some, formulas)[1]))
    for count in (1000, 2000, 5000, 10000, 20000):
        formulas = compositions(count, args.seed)
        seconds = timed(judged_hull(known).lower_energies, formulas)[1]
        points.append(("candidates", count, seconds))
    for axis, number, seconds in points:
        report(f"cost against {axis}: {number}", seconds, "s")
    return points


def plot(points: list[tuple[str, int, float]], path: Path) -> None:
    """Draw the cost curves."""
    import matplotlib as mpl  # noqa: PLC0415 - only where a plot is asked for

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend

    titles = {
        "elements": "elements (1,000 compositions)",
        "references": "references (1,000 compositions, pruning included)",
        "candidates": "compositions (7,766 references)",
    }
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), constrained_layout=True)
    for axis, (kind, title) in zip(axes, titles.items(), strict=True):
        chosen = [(n, s) for k, n, s in points if k == kind]
        axis.plot(*zip(*chosen, strict=True), "o-", color="#1b6ca8")
        axis.set(xlabel=title, ylabel="seconds on one core", ylim=(0, None))
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def on_one_core() -> None:
    """Start again with one thread where numpy was given more."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | one)  # noqa: S606 - this very script


def main() -> None:
    """Run every comparison."""
    on_one_core()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--json", action="store_true", help="accepted: always JSON")
    parser.add_argument("--count", type=int, default=COMPOSITIONS)
    parser.add_argument("--sample", type=int, default=400, help="compositions of peers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--elements", type=int, nargs="*", default=[4, 6, 8], help="for PhaseDiagram"
    )
    parser.add_argument(
        "--patched", type=int, nargs="*", default=[6], help="for PatchedPhaseDiagram"
    )
    parser.add_argument("--plot", type=Path, help="draw the cost curves to this file")
    parser.add_argument("--data", type=Path, default=DATA)
    args = parser.parse_args()
    path = args.data / ENERGIES
    if not path.is_file():
        sys.exit(f"{path} is not there: give the folder of {ENERGIES} with --data")
    known = references(path, ELEMENTS)
    against_programs(known, args)
    campaign_figures(known, args)
    against_pymatgen(known, args)
    points = scaling(known, args)
    if args.plot:
        plot(points, args.plot)


if __name__ == "__main__":
    main()
