"""
Hull energies side by side: this package, scipy, HiGHS, pymatgen and emmet in one run.

The references are machine-learned formation energies of Materials Project compositions
(10.1038/s41524-020-00362-y) in Li, O, F and 22 metals, the elements at zero. The
compositions are drawn with a seed: Li(1+x)M(1-x)O(2-y)F(y) in steps of 0.1 with 4 to 8
metals; they need not be neutral, since charge plays no part in a hull.

Prints one JSON object a line. Times are processor seconds of one core, so that a busy
machine does not change them. ``ratio`` is the peer's time over ours: above one, ours
is faster. Peers marked "scaled" ran on fewer compositions of the same set; a peer that
needs more processor seconds than the limit is stopped, and the line says so.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import random
import re
import resource
import signal
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import highspy
import numpy as np
from emmet.core.thermo import ThermoDoc
from emmet.core.types.enums import ThermoType
from figures import Printer
from one_core import on_one_core
from pymatgen.analysis.phase_diagram import (
    PatchedPhaseDiagram,
    PDEntry,
    PhaseDiagram,
)
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from hts_battery.schemas.entropy import EntropyOptions, EntropyResult
from hts_battery.thermo import CandidateEnergy, Hull, stabilities
from hts_battery.thermo.envelope import fraction_rows
from hts_battery.thermo.simplex import lowest_mixture

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
show = Printer()


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
    show(f"largest difference to {peer}", worst, "eV/atom", peer=peer)


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
    show("references", len(known), "phases")
    show(
        "distinct chemical systems asked for",
        len({frozenset(symbols(formula)) for formula in formulas}),
        "systems",
    )
    hull, seconds = timed(fresh_hull, known)
    show("set-up: read references", seconds, "s")
    # The first question judges every reference inside its elements.
    _, seconds = timed(hull.lower_energies, [dict.fromkeys(ELEMENTS, 1)])
    show("set-up: prune references, one composition", seconds, "s")
    stable = hull.stable_references(ELEMENTS)
    show("references left after pruning", len(stable), "phases")
    ours, mine = timed(hull.lower_energies, formulas)
    name = f"{len(formulas)} compositions of 4 to 8 metals"
    show(name, mine, "s")
    show(f"{name}, bases known", timed(hull.lower_energies, formulas)[1], "s")
    again, total = timed(fresh_answer, known, formulas)
    show(f"{name}, set-up included", total, "s")
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
        show(name, seconds, "s, scaled", peer=peer, ratio=seconds / mine)


def campaign_figures(known: dict[str, float], args: argparse.Namespace) -> None:
    """Report what many compositions of few chemical systems cost."""
    formulas = campaign(args.count, args.seed)
    _, seconds = timed(judged_hull(known).lower_energies, formulas)
    show(f"{len(formulas)} compositions in 20 sets of metals", seconds, "s")


def ask_pymatgen(
    kind: type[PhaseDiagram], known: dict[str, float], formulas: Sequence[str]
) -> tuple[np.ndarray, float, float]:
    """Build a phase diagram and ask it: energies, seconds for each of the two."""
    entries = [
        PDEntry(Composition(f), e * Composition(f).num_atoms) for f, e in known.items()
    ]
    diagram, build = timed(kind, entries)
    ask = [timed(diagram.get_hull_energy_per_atom, Composition(f)) for f in formulas]
    return np.array([e for e, _ in ask]), build, sum(seconds for _, seconds in ask)


def ask_emmet(
    known: dict[str, float], formulas: Sequence[str], energies: Sequence[float]
) -> tuple[np.ndarray, float, float]:
    """Make the documents of emmet's thermo builder by the two calls it makes."""
    everything = [*known.items(), *zip(formulas, energies, strict=True)]
    entries = [
        emmet_entry(number, formula, energy)
        for number, (formula, energy) in enumerate(everything)
    ]
    diagram, build = timed(ThermoDoc.construct_phase_diagram, entries)
    documents, ask = timed(
        lambda: ThermoDoc.from_entries(
            entries, ThermoType.GGA_GGA_U, diagram, use_max_chemsys=True
        )
    )
    above = {str(document.material_id): document for document in documents}
    wanted = [entry.data["material_id"] for entry in entries[len(known) :]]
    return np.array([above[name].energy_above_hull for name in wanted]), build, ask


def emmet_entry(number: int, formula: str, energy: float) -> ComputedStructureEntry:
    """Entry with a cell of the composition; where atoms sit does not matter."""
    composition, _ = Composition(formula).get_integer_formula_and_factor()
    elements = [
        el for el, n in Composition(composition).items() for _ in range(round(n))
    ]
    places = [[i / len(elements), 0.0, 0.0] for i in range(len(elements))]
    name = f"mp-{number + 1}"
    return ComputedStructureEntry(
        Structure(Lattice.cubic(10.0), elements, places),
        energy * len(elements),
        parameters={"run_type": "GGA"},
        data={"material_id": name, "task_id": name, "run_type": "GGA"},
        entry_id=name,
    )


def our_documents(
    known: dict[str, float], formulas: Sequence[str], energies: Sequence[float]
) -> np.ndarray:
    """Make our stabilities of the same compositions, hull included."""
    nothing = EntropyResult(
        entropy=0.0,
        entropy_per_formula_unit=0.0,
        atoms_per_formula_unit=1,
        terms=(),
        options=EntropyOptions(),
    )
    asked = [
        CandidateEnergy(str(number), formula, energy, nothing)
        for number, (formula, energy) in enumerate(zip(formulas, energies, strict=True))
    ]
    found = stabilities(
        asked, fresh_hull(known), calculator="benchmark", temperatures=[0.0]
    )
    return np.array([documents[0].energy_above_hull for documents in found])


def limited(
    seconds: int, function: Callable[..., Answer], *arguments: object
) -> Answer | None:
    """Call in a process of its own; None if it needs more processor seconds."""
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sender.send(function(*arguments))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    sender.close()
    try:
        answer: Answer | None = receiver.recv()
    except EOFError:  # killed at the limit
        answer = None
    process.join()
    if answer is None and process.exitcode != -signal.SIGXCPU:
        sys.exit(f"{function.__name__} ended with {process.exitcode}")
    return answer


def system_of(known: dict[str, float], size: int) -> tuple[list[str], dict[str, float]]:
    """First elements of the list, and the references inside them."""
    system = ["Li", "O", "F", *METALS[3:size]]
    return system, {f: e for f, e in known.items() if symbols(f) <= set(system)}


def questions(system: Sequence[str], count: int, seed: int) -> list[str]:
    """Draw compositions that hold every element."""
    draw = random.Random(seed)  # noqa: S311 - a drawing, not a secret
    return ["".join(f"{el}{draw.randint(1, 9)}" for el in system) for _ in range(count)]


def against_pymatgen(known: dict[str, float], args: argparse.Namespace) -> None:
    """Report PhaseDiagram and PatchedPhaseDiagram, each within a limit."""
    for size in args.elements:
        system, inside = system_of(known, size)
        formulas = questions(system, 100, args.seed)
        ours, mine = timed(fresh_answer, inside, formulas)
        name = f"{size} elements, {len(inside)} references, build and 100 questions"
        show(name, mine, "s")
        for kind, asked in ((PhaseDiagram, 100), (PatchedPhaseDiagram, 3)):
            peer = f"pymatgen {kind.__name__}"
            found = limited(args.limit, ask_pymatgen, kind, inside, formulas[:asked])
            if found is None:
                # At least: it was stopped, so the ratio is a lower bound.
                unit = f"s, stopped at the limit of {args.limit} s"
                show(name, args.limit, unit, peer=peer, ratio=args.limit / mine)
                continue
            theirs, build, ask = found
            check(ours[:asked], theirs, peer)
            seconds = build + ask * len(formulas) / asked
            unit = "s" if asked == len(formulas) else "s, scaled"
            show(name, seconds, unit, peer=peer, ratio=seconds / mine)


def against_emmet(known: dict[str, float], args: argparse.Namespace) -> None:
    """Report the documents of emmet's thermo builder beside ours."""
    for size in args.emmet:
        system, inside = system_of(known, size)
        formulas = questions(system, 50, args.seed)
        energies = fresh_answer(inside, formulas) + 0.05
        ours, mine = timed(our_documents, inside, formulas, energies.tolist())
        name = f"{size} elements, {len(inside)} references, 50 stability documents"
        show(name, mine, "s")
        found = limited(args.limit, ask_emmet, inside, formulas, energies.tolist())
        peer = f"emmet-core {version('emmet-core')} thermo documents"
        if found is None:
            unit = f"s, stopped at the limit of {args.limit} s"
            show(name, args.limit, unit, peer=peer, ratio=args.limit / mine)
            continue
        theirs, build, ask = found
        check(ours, theirs, peer)
        show(name, build + ask, "s", peer=peer, ratio=(build + ask) / mine)


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
        show(f"cost against {axis}: {number}", seconds, "s")
    return points


def plot(points: list[tuple[str, int, float]], folder: Path) -> None:
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
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "hull_cost.png", dpi=150)


def main() -> None:
    """Run every comparison."""
    on_one_core()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--json", action="store_true", help="accepted: always JSON")
    parser.add_argument("--count", type=int, default=COMPOSITIONS)
    parser.add_argument("--sample", type=int, default=400, help="compositions of peers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--elements", type=int, nargs="*", default=[6, 8, 9, 10, 11], help="of pymatgen"
    )
    parser.add_argument("--emmet", type=int, nargs="*", default=[4, 6])
    parser.add_argument(
        "--limit", type=int, default=20, help="processor seconds of each peer"
    )
    parser.add_argument(
        "--full", action="store_true", help="let each peer take ten minutes"
    )
    parser.add_argument("--plot", type=Path, help="draw the cost curves in this folder")
    parser.add_argument("--data", type=Path, default=DATA)
    args = parser.parse_args()
    if args.full:
        args.limit = 600
    path = args.data / ENERGIES
    if not path.is_file():
        sys.exit(f"{path} is not there: give the folder of {ENERGIES} with --data")
    known = references(path, ELEMENTS)
    against_programs(known, args)
    campaign_figures(known, args)
    against_pymatgen(known, args)
    against_emmet(known, args)
    points = scaling(known, args)
    if args.plot:
        plot(points, args.plot)


if __name__ == "__main__":
    main()
