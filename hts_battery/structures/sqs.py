"""Special quasirandom structures: cells whose pair correlations are nearly random."""

from __future__ import annotations

from hashlib import sha256
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.core import Element

from hts_battery.errors import OrderingError
from hts_battery.structures.cells import site_permutations
from hts_battery.structures.correlations import (
    PairSwaps,
    comparable,
    correlation_errors,
    objective,
    pair_errors,
    pair_shells,
    shell_weights,
)
from hts_battery.structures.decoration import canonical_decoration
from hts_battery.structures.neighbours import minimum_image_vectors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hts_battery.structures.cells import Cell
    from hts_battery.structures.nearest_counts import SiteCounts

    _Placed = Mapping[str, tuple[tuple[str, ...], NDArray[np.intp]]]
    """Sublattice → its species and, site by site, which of them."""

DEFAULT_ITERATIONS = 200_000
"""Configurations that a search tries when nothing else is said."""

# Best decorations of each sublattice that are tried against those of the others.
_KEPT_PER_SUBLATTICE = 12
# Partial combinations carried from one sublattice to the next.
_BEAM = 12
# Combinations that are improved by swaps.
_REFINED = 3
# Swaps without improvement after which that ends; fewer where each is dear, so that
# in the largest cells it is a plain descent.
_MOST_STEPS, _WORK = 40, 10**7
# The stream of random configurations depends on the chunk that one call works
# on, so it is part of what makes a result reproducible.
_CHUNK = 10_000
_RESULTS_PER_OBJECTIVE = 64
_MOST_SPECIES = 100


class SQSResult(NamedTuple):
    """Outcome of a search for a quasirandom decoration."""

    decoration: tuple[str, ...]
    """Species of each site of the cell."""
    objective: float
    """Weighted sum of pair-correlation errors, dimensionless."""
    correlation_errors: dict[str, tuple[float, ...]]
    """Pair-correlation errors, see :func:`correlations.correlation_errors`."""
    iterations: int
    """Configurations tried; 0 where nothing could be varied."""
    generator: str
    """Program and version."""


class _Choices(NamedTuple):
    """Good decorations of one sublattice."""

    name: str
    species: tuple[str, ...]
    codes: NDArray[np.intp]
    """(choices, sites of the sublattice): index into species."""
    scores: NDArray[np.float64]
    """Objective of the pairs within the sublattice."""


def sublattice_seed(seed: int, sublattice: str) -> int:
    """Seed of one sublattice's stream, independent of the other sublattices."""
    digest = sha256(f"{seed} {sublattice}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def generate_sqs(
    cell: Cell, counts: SiteCounts, *, iterations: int, seed: int
) -> SQSResult:
    """
    Search the decoration of a cell that is nearest to a random alloy.

    sqsgenerator (10.1016/j.cpc.2023.108664) varies all mixed sublattices at once, on
    one thread and one seed a sublattice, and keeps its best configurations. It
    counts a pair of sites once however many periodic images are near and sees no
    pairs across sublattices; so the kept ones are scored anew with every image, the
    sublattices are turned and shifted against each other by the parent's symmetry
    until the pairs between them are random too. The best of these combinations are
    improved by swaps until none lowers the objective (:class:`PairSwaps`), and among
    equal objectives the smallest canonical decoration is taken. The same arguments
    give the same decoration in every process.

    Examples
    --------
    >>> from hts_battery.structures.cells import build_cell, compact_supercell
    >>> cell = build_cell("rocksalt", compact_supercell("rocksalt", 8))
    >>> counts = {"cation": {"Li+": 4, "Co3+": 4}, "anion": {"O2-": 8}}
    >>> generate_sqs(cell, counts, iterations=1000, seed=0).objective < 0.25
    True
    """
    _check_counts(cell, counts)
    mixed = {name: species for name, species in counts.items() if len(species) > 1}
    if mixed:
        found = _search(cell, mixed, iterations=iterations, seed=seed)
        decorations = _refined(cell, counts, _combine(cell, found, counts))
    else:
        decorations = [_fill(cell, counts, {})]
    decoration = min(canonical_decoration(cell, d) for d in decorations)
    errors = correlation_errors(cell, decoration)
    return SQSResult(
        decoration,
        objective(errors),
        errors,
        iterations if mixed else 0,
        _generator(),
    )


def _generator() -> str:
    return f"sqsgenerator {version('sqsgenerator')}, pair swaps"


def _check_counts(cell: Cell, counts: SiteCounts) -> None:
    for name in sorted(set(cell.sublattices) | set(counts)):
        sites = len(cell.sites[name])
        filled = sum(counts.get(name, {}).values())
        if sites != filled:
            raise OrderingError(
                f"sublattice {name} has {sites} sites in the cell, {filled} are filled"
            )
        if len(counts[name]) > _MOST_SPECIES:
            raise OrderingError(f"{len(counts[name])} species on sublattice {name}")


def _fill(
    cell: Cell,
    counts: SiteCounts,
    placed: _Placed,
) -> tuple[str, ...]:
    """Species of every site: those chosen, and the only one where none was."""
    species = [""] * len(cell.sublattices)
    for name, occupation in counts.items():
        names, codes = placed.get(name, ((), np.array([], dtype=int)))
        for position, site in enumerate(cell.sites[name]):
            species[site] = names[codes[position]] if names else next(iter(occupation))
    return tuple(species)


def _configuration(
    cell: Cell, mixed: SiteCounts, *, iterations: int, seed: int
) -> dict[str, object]:
    """Write the settings of one run of sqsgenerator, nothing left to its defaults."""
    shells = {
        s.first: s
        for s in pair_shells(cell.prototype, cell.supercell)
        if s.first == s.second
    }
    composition, radii, weights, pairs, prefactors = [], [], [], [], []
    for name, occupation in mixed.items():
        fractions = np.array([occupation[s] for s in sorted(occupation)], dtype=float)
        fractions /= fractions.sum()
        seen = _pairs_seen(cell, name, shells[name].distances)
        usable = len(seen)
        edges = shells[name].distances[:usable]
        per_shell = shell_weights(usable)
        # Weighted so that a pair counts by its probability, as in pair_errors; by
        # default a species on one site would outweigh all others.
        product = np.outer(fractions, fractions)
        np.fill_diagonal(product, 0)
        composition.append(
            {"sites": [int(i) for i in cell.sites[name]]}
            # Placeholder elements, species in alphabetical order: two oxidation
            # states of one element must not look alike to the generator.
            | {
                Element.from_Z(z).symbol: occupation[s]
                for z, s in enumerate(sorted(occupation), start=1)
            }
        )
        radii.append(
            [0.0, *((a + b) / 2 for a, b in pairwise(edges)), 1.02 * edges[-1]]
        )
        weights.append({s + 1: float(w) for s, w in enumerate(per_shell)})
        pairs.append((per_shell[:, None, None] * product).tolist())
        # Its own factors assume that every site of a shell has as many neighbours,
        # which the two kinds of sodium site in NASICON have not.
        random = np.outer(fractions, fractions)
        prefactors.append([(1 / (count * random)).tolist() for count in seen])
    return {
        "iterations": iterations,
        "iteration_mode": "random",
        "sublattice_mode": "split",
        "prec": "double",
        "structure": {
            "lattice": np.round(cell.lattice, 10).tolist(),
            "coords": cell.coordinates.tolist(),
            "species": ["H"] * len(cell.sublattices),
        },
        "composition": composition,
        "shell_radii": radii,
        "shell_weights": weights,
        "pair_weights": pairs,
        "prefactors": prefactors,
        "seed": [sublattice_seed(seed, name) for name in mixed],
        "thread_config": 1,
        "chunk_size": min(_CHUNK, iterations),
        "max_results_per_objective": _RESULTS_PER_OBJECTIVE,
    }


def _pairs_seen(cell: Cell, name: str, distances: Sequence[float]) -> list[int]:
    """Ordered pairs that sqsgenerator sees: shortest ones, to the first empty shell."""
    sites = cell.coordinates[cell.sites[name]]
    vectors = minimum_image_vectors(cell.lattice, sites[:, None, :], sites)
    shortest = np.linalg.norm(vectors, axis=-1)
    seen: list[int] = []
    for distance in distances:
        count = int(np.count_nonzero(np.abs(shortest - distance) < 0.01 * distance))
        if not count:
            break
        seen.append(count)
    return seen or [1]


def _search(
    cell: Cell, mixed: SiteCounts, *, iterations: int, seed: int
) -> list[_Choices]:
    """Run sqsgenerator and keep the best decorations of each sublattice."""
    import sqsgenerator  # noqa: PLC0415 - takes 0.3 s, only where a search is made
    from sqsgenerator.core import LogLevel, ParseError  # noqa: PLC0415 - likewise

    settings = _configuration(cell, mixed, iterations=iterations, seed=seed)
    parsed = sqsgenerator.parse_config(settings)
    if isinstance(parsed, ParseError):
        raise OrderingError(f"sqsgenerator refuses {parsed.key}: {parsed.msg}")
    # Its warnings are about shells that its own counting of images cuts short.
    pack = sqsgenerator.optimize(parsed, level=LogLevel.error)
    numbers = np.unique(
        np.array([r.structure().species for _, results in pack for r in results]),
        axis=0,
    )
    found = []
    shells = {
        (s.first, s.second): s for s in pair_shells(cell.prototype, cell.supercell)
    }
    for name, occupation in mixed.items():
        species = tuple(sorted(occupation))
        codes = np.unique(numbers[:, cell.sites[name]] - 1, axis=0)
        one_hot = np.eye(len(species))[codes]
        counts = shells[name, name].counts
        errors = pair_errors(counts, one_hot, one_hot)
        scores = comparable(errors @ shell_weights(len(counts)))
        # np.unique sorted the codes, so a stable sort breaks ties by decoration.
        best = np.argsort(scores, kind="stable")[:_KEPT_PER_SUBLATTICE]
        found.append(_Choices(name, species, codes[best], scores[best]))
    return found


def _combine(
    cell: Cell, found: Sequence[_Choices], counts: SiteCounts
) -> list[tuple[str, ...]]:
    """Put sublattices together by a beam search so that pairs across are random too."""
    beam: list[tuple[float, _Placed]] = [(0.0, {})]
    for choices in found:
        own = choices.scores
        codes = choices.codes
        if beam[0][1]:
            codes, own = _images(cell, choices)
        extended: list[tuple[float, _Placed]] = []
        for score, placed in beam:
            across = _across_error(cell, choices, codes, placed)
            scores = comparable(score + own + across)
            extended += [
                (
                    float(scores[index]),
                    {**placed, choices.name: (choices.species, codes[index])},
                )
                for index in np.argsort(scores, kind="stable")[:_BEAM]
            ]
        extended.sort(key=lambda item: item[0])
        beam = extended[:_BEAM]
    return [_fill(cell, counts, placed) for _, placed in beam[:_REFINED]]


def _refined(
    cell: Cell, counts: SiteCounts, decorations: Sequence[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """Improve decorations by swaps; all that end with the lowest objective."""
    swaps = PairSwaps(cell, counts)
    steps = min(_MOST_STEPS, _WORK // swaps.work)
    ends = [swaps.improve(decoration, steps=steps) for decoration in decorations]
    lowest = min(score for score, _ in ends)
    return [decoration for score, decoration in ends if score == lowest]


def _images(
    cell: Cell, choices: _Choices
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Every choice in every orientation and position, and its own error."""
    sites = cell.sites[choices.name]
    permutations = site_permutations(cell.prototype, cell.supercell)[:, sites]
    position = np.full(len(cell.sublattices), -1)
    position[sites] = np.arange(len(sites))
    codes = choices.codes[:, position[permutations]].reshape(-1, len(sites))
    scores = np.repeat(choices.scores, len(permutations))
    unique, first = np.unique(codes, axis=0, return_index=True)
    return unique, scores[first]


def _across_error(
    cell: Cell, choices: _Choices, codes: NDArray[np.intp], placed: _Placed
) -> NDArray[np.float64]:
    """Objective of the pairs between a sublattice and those already placed."""
    total = np.zeros(len(codes))
    one_hot = np.eye(len(choices.species))[codes]
    for shells in pair_shells(cell.prototype, cell.supercell):
        others = {shells.first, shells.second} - {choices.name}
        if choices.name not in (shells.first, shells.second) or len(others) != 1:
            continue
        (other,) = others
        if other not in placed:
            continue
        species, fixed = placed[other]
        counts = shells.counts
        if shells.first == choices.name:
            counts = counts.transpose(0, 2, 1)
        errors = pair_errors(counts, np.eye(len(species))[fixed], one_hot)
        total += errors @ shell_weights(len(counts))
    return total
