"""
Electrochemistry side by side: this package and pymatgen in one run.

The references are the 837 CHGNet energies kept for tests; compositions are those of two
campaigns. A peer answers a sample of the same compositions, and its answer is compared
before its time counts. Times are processor seconds of one core; ``ratio`` is the peer's
time over ours, for one composition: above one, ours is faster.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
import warnings
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from figures import Printer
from one_core import on_one_core
from pymatgen.analysis.interface_reactions import InterfacialReactivity
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition, Element

from hts_battery.compositions import load_space
from hts_battery.electrochemistry import capacity, interface_reaction, stability_window
from hts_battery.thermo import Hull

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROJECT = Path(__file__).resolve().parents[1]
LIBRARY = PROJECT / "tests" / "data" / "references_chgnet_837.csv"
CAMPAIGNS = PROJECT / "workflows" / "campaigns"
DISAGREEMENT = 1e-8
HEDRX = 18_810
PEER = "pymatgen"
Answer = TypeVar("Answer")
show = Printer()


def timed(function: Callable[[], Answer]) -> tuple[Answer, float]:
    """Call a function; return its answer and the processor seconds it took."""
    start = time.process_time()
    return function(), time.process_time() - start


def library() -> Hull:
    """Build a hull that knows nothing yet."""
    with LIBRARY.open(encoding="utf-8") as file:
        used = [row for row in csv.DictReader(file) if not row["rejected"]]
    return Hull(
        [row["formula"] for row in used],
        [float(row["energy_per_atom"]) for row in used],
        ids=[row["phase_id"] for row in used],
    )


def diagram(entries: Sequence[PDEntry], *formulas: str) -> PhaseDiagram:
    """Build the phase diagram of a candidate, as one has to for each."""
    inside = {el for formula in formulas for el in Composition(formula)}
    return PhaseDiagram([e for e in entries if inside.issuperset(e.composition)])


def peer_window(
    entries: Sequence[PDEntry], formula: str, carrier: str
) -> tuple[float, float]:
    """Read both limits off pymatgen's element profile."""
    found = diagram(entries, formula)
    profile = found.get_element_profile(Element(carrier), Composition(formula))
    metal = found.el_refs[Element(carrier)].energy_per_atom
    stays = next(step for step in profile if step["evolution"] < 1e-7)  # noqa: PLR2004
    leaves = next(step for step in profile if step["evolution"] < -1e-7)  # noqa: PLR2004
    return metal - stays["chempot"], metal - leaves["chempot"]


def windows(formulas: Sequence[str], carrier: str, sample: int) -> None:
    """Report windows of one campaign on a fresh hull, and pymatgen's of some."""
    hull = library()
    ours, mine = timed(lambda: stability_window(hull, list(formulas), carrier=carrier))
    name = f"{len(formulas)} stability windows against {carrier}"
    show(name, mine, "s")
    entries = [
        PDEntry(Composition(f), e * Composition(f).num_atoms)
        for f, e in zip(hull.formulas, hull.energies_per_atom, strict=True)
    ]
    holding = [i for i, formula in enumerate(formulas) if carrier in formula]
    some = holding[:: max(1, len(holding) // sample)][:sample]
    theirs, seconds = timed(
        lambda: [peer_window(entries, formulas[i], carrier) for i in some]
    )
    worst = max(
        max(abs(ours.reduction[i] - low), abs(ours.oxidation[i] - high))
        for i, (low, high) in zip(some, theirs, strict=True)
    )
    check(f"largest difference of {len(some)} windows", worst, "V")
    each = seconds / len(some)
    show(
        f"one of {name}",
        each,
        "s",
        peer=PEER,
        ratio=each / (mine / len(formulas)),
    )


def interfaces(formulas: Sequence[str], electrode: str, sample: int) -> None:
    """Report reactions with one electrode, and pymatgen's of some."""
    hull = library()
    ours, mine = timed(lambda: interface_reaction(hull, list(formulas), electrode))
    name = f"{len(formulas)} reactions with {electrode}"
    show(name, mine, "s")
    entries = [
        PDEntry(Composition(f), e * Composition(f).num_atoms)
        for f, e in zip(hull.formulas, hull.energies_per_atom, strict=True)
    ]
    some = range(0, len(formulas), max(1, len(formulas) // sample))

    def peer(formula: str) -> float:
        found = InterfacialReactivity(
            Composition(formula),
            Composition(electrode),
            diagram(entries, formula, electrode),
            use_hull_energy=True,
        )
        return float(found.minimum[1])

    theirs, seconds = timed(lambda: [peer(formulas[i]) for i in some])
    worst = max(
        abs(float(ours.mutual[i]) - their)
        for i, their in zip(some, theirs, strict=True)
    )
    check(f"largest difference of {len(some)} reactions", worst, "eV/atom")
    each = seconds / len(some)
    show(f"one of {name}", each, "s", peer=PEER, ratio=each / (mine / len(formulas)))


def check(figure: str, worst: float, unit: str) -> None:
    """Stop where the peer gets another answer: then its time means nothing."""
    if not worst < DISAGREEMENT:
        sys.exit(f"{figure}: {worst} {unit}; the times mean nothing")
    show(figure, worst, unit, peer=PEER)


def main() -> None:
    """Run every comparison."""
    on_one_core()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--json", action="store_true", help="accepted: always JSON")
    parser.add_argument("--sample", type=int, default=20, help="compositions of peers")
    args = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # pymatgen's, of missing entries
    nasicon = [one.formula for one in load_space(CAMPAIGNS / "nasicon_2021.yaml")]
    space = load_space(CAMPAIGNS / "hedrx_18810.yaml")
    hedrx = [one.formula for one in islice(space.sample(HEDRX, seed=0), HEDRX)]
    found, seconds = timed(lambda: [capacity(f).metal_redox for f in hedrx])
    show(f"{len(found)} capacities", seconds, "s")
    windows(nasicon, "Na", args.sample)
    interfaces(nasicon, "Na", args.sample)
    _, seconds = timed(lambda: stability_window(library(), hedrx, carrier="Li"))
    show(f"{len(hedrx)} stability windows against Li", seconds, "s")


if __name__ == "__main__":
    main()
