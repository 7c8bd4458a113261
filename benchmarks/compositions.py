"""Composition spaces against brute force, smol and SMACT, on one core, in one run."""

from __future__ import annotations

import argparse
import importlib.util
import resource
import time
from itertools import combinations_with_replacement, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from figures import Printer

from hts_battery.compositions import load_space

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.compositions.grid import GridSpace

WORKFLOWS = Path(__file__).resolve().parents[1] / "workflows"
TWELVE = [
    *("Mn2+", "Co2+", "Mn3+", "Cr3+", "Ti4+", "Nb5+"),
    *("Ni2+", "Fe3+", "V3+", "Zr4+", "Mg2+", "Al3+"),
]
TWELVE_UNITS, TWELVE_CHARGE = 10, 30
FIVE = ["Mn2+", "Cr3+", "V3+", "Ti4+", "Nb5+"]
SMACT_ELEMENTS = ("Li", "Mn", "Ti", "Nb", "Cr", "V", "O")


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU time of some work, and what it returned; everything runs on one core."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def hedrx(species: list[str], **more: object) -> GridSpace:
    """Make an oxide or oxyfluoride space at 0.1 per formula unit."""
    return load_space(
        {
            "family": "hedrx",
            "basis": "formula-unit",
            "step": 0.1,
            "sublattices": {
                "cation": {"sites": 2, "species": ["Li+", *species]},
                "anion": {"sites": 2, "species": ["O2-", "F-"]},
            },
            **more,
        }
    )


def large_space(show: Printer, streamed: int) -> None:
    """Count, unrank and stream a space of more than ten thousand million members."""
    file = WORKFLOWS / "campaigns" / "hedrx_full.yaml"
    took, space = seconds(lambda: load_space(file))
    show("load and count the elements view of hedrx_full", took, "s")
    show("members, elements view", space.count, "compositions")
    took, count = seconds(lambda: space.species_count)
    show("count the species view of hedrx_full", took, "s")
    show("members, species view", count, "compositions")
    indices = space.sample_indices(20_000, seed=0)
    list(map(space.__getitem__, indices[:100]))
    took, _ = seconds(lambda: [space[index] for index in indices])
    show("unrank random members", len(indices) / took, "members/s")
    took, rows = seconds(lambda: _tuples(space, 10**9, 300_000))
    show("stream integer compositions as tuples", rows / took, "members/s")
    took, rows = seconds(lambda: _rows(space, 0, 3_000_000))
    show("stream integer compositions in numpy blocks", rows / took, "members/s")
    took, keys = seconds(lambda: _ids(space, 10**9, 40_000))
    show("stream candidates with ids", keys / took, "members/s")
    before = _memory()
    took, rows = seconds(lambda: _rows(space, 0, streamed))
    show(f"stream {streamed} members", rows / took, "members/s")
    show("peak memory gained by it", _memory() - before, "MiB")
    show("peak memory of the process", _memory(), "MiB")


def _tuples(space: GridSpace, start: int, count: int) -> int:
    return sum(
        len(list(map(tuple, rows.tolist())))
        for _, rows in space.blocks(start, start + count)
    )


def _rows(space: GridSpace, start: int, count: int) -> int:
    return sum(len(rows) for _, rows in space.blocks(start, start + count))


def _ids(space: GridSpace, start: int, count: int) -> int:
    members = space.iterate(start, start + count)
    return sum(1 for one in members if one.candidate_id)


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def against_brute_force(show: Printer) -> None:
    """List the neutral members of twelve species at Li1.0 O2: 37,759 of 92,378."""
    peer = "itertools and numpy, every filling tried"
    slow, expected = seconds(_brute_force)
    contents = {"Li": [1.0], "F": [0]}
    fast, space = seconds(lambda: hedrx(TWELVE, contents=contents))
    assert space.species_count == expected
    show("twelve species, Li1.0 O2: brute force", slow, "s", peer=peer)
    show("the same, counted", fast, "s", peer=peer, ratio=slow / fast)
    fast, rows = seconds(
        lambda: _rows(hedrx(TWELVE, contents=contents), 0, space.count)
    )
    assert rows == space.count
    show("the same, listed", fast, "s", peer=peer, ratio=slow / fast)


def _brute_force() -> int:
    charges = np.array([int(text[-2]) for text in TWELVE])
    picks = combinations_with_replacement(range(len(TWELVE)), TWELVE_UNITS)
    found = 0
    while chunk := list(islice(picks, 50_000)):
        found += int((charges[np.array(chunk)].sum(axis=1) == TWELVE_CHARGE).sum())
    return found


def against_smol(show: Printer) -> None:
    """List metals, lithium and fluorine at 0.1 per formula unit against smol's grid."""
    if importlib.util.find_spec("smol") is None:
        show("compositions_peer_missing", 0, "1", "smol: not importable")
        return
    from pymatgen.core import Species  # noqa: PLC0415 - only with smol
    from smol.moca.composition.space import CompositionSpace  # noqa: PLC0415 - optional

    anions = [Species("O", -2), Species("F", -1)]
    peer = "smol CompositionSpace.get_composition_grid"
    for metals in (FIVE, [*FIVE, "Mg2+"], [*FIVE, "Mg2+", "Zr4+"]):
        cations = [Species("Li", 1)] + [_species(Species, text) for text in metals]
        peer_space = CompositionSpace([cations, anions], [1, 1])
        slow, grid = seconds(
            lambda one=peer_space: one.get_composition_grid(supercell_size=20)
        )
        fast, count = seconds(lambda names=metals: _same_grid(names))
        assert count == len(grid), (count, len(grid))
        name = f"{len(metals)} metals, Li and F free, {count} members"
        show(f"{name}: smol", slow, "s", peer=peer)
        show(f"{name}: ours", fast, "s", peer=peer, ratio=slow / fast)


def _same_grid(species: list[str]) -> int:
    space = hedrx(species)
    assert _rows(space, 0, space.count) == space.count
    return space.species_count


def _species(kind: type, text: str) -> object:
    return kind(text.rstrip("+0123456789"), int(text[-2]) if text[-2].isdigit() else 1)


def against_smact(show: Printer) -> None:
    """
    List neutral oxides Li12 (Mn, Ti, Nb, Cr, V) O20 of one to six atoms of each metal.

    SMACT gives each element one oxidation state and does not bound the number of
    atoms; ours mixes oxidation states on full sublattices. The two lists are not the
    same, so members a second are compared.
    """
    if importlib.util.find_spec("smact") is None:
        show("compositions_peer_missing", 0, "1", "SMACT: not importable")
        return
    import smact  # noqa: PLC0415 - optional peer
    from smact.screening import smact_filter  # noqa: PLC0415 - optional peer

    elements = [smact.Element(symbol) for symbol in SMACT_ELEMENTS]
    metals = [list(range(1, 7))] * (len(elements) - 2)
    slow, found = seconds(lambda: smact_filter(elements, stoichs=[[12], *metals, [20]]))
    rate = len(found) / slow
    peer = "SMACT smact_filter"
    show(f"Li and five metals, {len(found)} members", rate, "members/s", peer=peer)
    contents = {"Li": {"first": 1.0, "last": 1.4, "step": 0.1}}
    fast, count = seconds(lambda: _listed(TWELVE, contents))
    show(
        f"neutral oxyfluorides, {count} members",
        count / fast,
        "members/s",
        peer=peer,
        ratio=count / fast / rate,
    )


def _listed(species: list[str], contents: dict[str, Any]) -> int:
    space = hedrx(species, contents=contents)
    return _tuples(space, 0, min(space.count, 500_000))


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--members", type=int, default=10**7, help="members of the memory test"
    )
    arguments = parser.parse_args()
    show = Printer(as_json=arguments.json)
    large_space(show, arguments.members)
    against_brute_force(show)
    against_smol(show)
    against_smact(show)


if __name__ == "__main__":
    main()
