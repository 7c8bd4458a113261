"""What a relaxation may do to a competing phase before its energy is another one's."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.structures.neighbours import structure_pairs
from hts_battery.structures.references.checks import (
    charge_of_element,
    composition_problems,
    distance_problems,
    radii_sum,
)
from hts_battery.structures.references.library import reference_structure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.schemas.reference import ReferencePhase

BONDED = 1.25
"""A cation and an anion nearer than this many sums of Shannon radii are bonded."""
FRAMEWORK_GROWTH = (0.75, 1.3)
"""Volume after over before, from and to, of a crystal bonded in three directions."""
OPEN_GROWTH = (0.5, 1.6)
"""The same for elements and for crystals of molecules, chains or layers: what holds
those together is dispersion, which the engines lack, and they drift."""
ANOTHER_SHELL = 0.3
"""A cation that loses or gains this share of its neighbours has another shell."""
TRANSFORMED = 0.5
"""More than this share of the cations with another shell is another structure."""
_THREE = 3
_SHORTEST = 0.1  # angstrom; nothing is as near, so that an element has no bonds


class Bonds(NamedTuple):
    """Bonds from cations to anions, each once."""

    cations: NDArray[np.intp]
    anions: NDArray[np.intp]
    images: NDArray[np.float64]


def relaxation_problems(phase: ReferencePhase, relaxed: Structure) -> tuple[str, ...]:
    """
    Say why a relaxed structure is no longer the phase; nothing if it is.

    Three questions: whether the volume stayed within ``FRAMEWORK_GROWTH`` (or
    ``OPEN_GROWTH``) of the start, whether distances still are those that
    :func:`~hts_battery.structures.references.checks.phase_problems` asks for, and
    whether no more than half of the cations have another coordination shell. The
    symmetry is not asked for: a distortion that keeps the bonds is the same compound.

    Parameters
    ----------
    phase
        A phase of the library.
    relaxed
        What an engine made of it, atoms in any order.

    Returns
    -------
    tuple[str, ...]
        One sentence a problem.

    Examples
    --------
    >>> from hts_battery.structures.references.library import reference_phase
    >>> phase = reference_phase("TiO2-rutile")
    >>> start = reference_structure(phase)
    >>> relaxation_problems(phase, start)
    ()
    >>> collapsed = start.copy()
    >>> _ = collapsed.scale_lattice(start.volume / 2)
    >>> relaxation_problems(phase, collapsed)[0]
    'the volume changed by a factor of 0.50, allowed are 0.75 to 1.3'
    """
    return tuple(_problems(phase, reference_structure(phase), relaxed))


def drift_problems(phase: ReferencePhase, relaxed: Structure) -> tuple[str, ...]:
    """
    Say why a relaxed cell is none at all: the one question to a rough potential.

    Parameters
    ----------
    phase
        A phase of the library.
    relaxed
        What an engine made of it.

    Returns
    -------
    tuple[str, ...]
        A sentence if the volume is not within ``OPEN_GROWTH`` of the start.
    """
    return tuple(_growth_problems(reference_structure(phase), relaxed, OPEN_GROWTH))


def _growth_problems(
    start: Structure, relaxed: Structure, allowed: tuple[float, float]
) -> Iterator[str]:
    low, high = allowed
    growth = relaxed.volume / start.volume
    if not low < growth < high:
        yield (
            f"the volume changed by a factor of {growth:.2f}, allowed are "
            f"{low:g} to {high:g}"
        )


def _problems(
    phase: ReferencePhase, start: Structure, relaxed: Structure
) -> Iterator[str]:
    other = list(composition_problems(phase, relaxed))
    if other:
        yield from other
        return
    bonds = bonds_of(phase, start)
    framework = dimensions(len(start), bonds) == _THREE
    yield from _growth_problems(
        start, relaxed, FRAMEWORK_GROWTH if framework else OPEN_GROWTH
    )
    yield from distance_problems(phase, relaxed)
    yield from _shell_problems(phase, start, relaxed)


def bonds_of(phase: ReferencePhase, structure: Structure) -> Bonds:
    """
    Find the bonds of a structure; none in an element or an alloy.

    Parameters
    ----------
    phase
        Says which charges its elements have.
    structure
        A structure of that composition.
    """
    charges = charge_of_element(phase)
    kinds = sorted(charges)
    reach = np.zeros((len(kinds), len(kinds)))
    for row, cation in enumerate(kinds):
        for column, anion in enumerate(kinds):
            if charges[anion] < 0 < charges[cation]:
                reach[row, column] = BONDED * radii_sum(
                    (cation, charges[cation]), (anion, charges[anion])
                )
    first, second, images, lengths = structure_pairs(
        structure, float(reach.max()) or _SHORTEST
    )
    kind = np.array([kinds.index(site.specie.symbol) for site in structure])
    bonded = lengths < reach[kind[first], kind[second]]
    return Bonds(first[bonded], second[bonded], images[bonded])


def dimensions(n_atoms: int, bonds: Bonds) -> int:
    """
    Count the directions in which the largest bonded part of a crystal is endless.

    Zero for molecules, one for chains, two for layers, three for a framework.

    Parameters
    ----------
    n_atoms
        Atoms in the cell.
    bonds
        Bonds with the cell that each leads into.
    """
    neighbours: list[list[tuple[int, NDArray[np.float64]]]] = [
        [] for _ in range(n_atoms)
    ]
    for cation, anion, image in zip(*bonds, strict=True):
        neighbours[cation].append((anion, image))
        neighbours[anion].append((cation, -image))
    places: dict[int, NDArray[np.float64]] = {}
    return max(
        _directions(origin, neighbours, places)
        for origin in range(n_atoms)
        if origin not in places
    )


def _directions(
    origin: int,
    neighbours: Sequence[Sequence[tuple[int, NDArray[np.float64]]]],
    places: dict[int, NDArray[np.float64]],
) -> int:
    """Walk the bonded part that holds an atom and note the cell of every atom."""
    places[origin] = np.zeros(3)
    loops = [np.zeros(3)]
    queue = deque([origin])
    while queue:
        atom = queue.popleft()
        for other, image in neighbours[atom]:
            place = places[atom] + image
            if other not in places:
                places[other] = place
                queue.append(other)
            # Two ways to the same atom that end in different cells are a direction.
            loops.append(place - places[other])
    return int(np.linalg.matrix_rank(np.array(loops)))


def _shell_problems(
    phase: ReferencePhase, start: Structure, relaxed: Structure
) -> Iterator[str]:
    """Compare the numbers of neighbours of every cation, element by element."""
    before, after = _neighbours(phase, start), _neighbours(phase, relaxed)
    changed = total = 0
    found = []
    for element, numbers in before.items():
        pairs = list(zip(numbers, after[element], strict=True))
        moved = [
            (old, new)
            for old, new in pairs
            if abs(new - old) >= ANOTHER_SHELL * max(old, new, 1)
        ]
        total += len(pairs)
        changed += len(moved)
        if moved:
            old, new = moved[0]
            found.append(f"{element} from {old} to {new}")
    if changed > TRANSFORMED * total:
        yield (
            f"transformed: {changed} of {total} cations have another number of "
            f"neighbours ({', '.join(found)})"
        )


def _neighbours(phase: ReferencePhase, structure: Structure) -> dict[str, list[int]]:
    """Sorted numbers of bonded anions of the cations of each element."""
    charges = charge_of_element(phase)
    counts = np.bincount(bonds_of(phase, structure).cations, minlength=len(structure))
    found: dict[str, list[int]] = {}
    for site, count in zip(structure, counts, strict=True):
        if charges[site.specie.symbol] > 0:
            found.setdefault(site.specie.symbol, []).append(int(count))
    return {element: sorted(numbers) for element, numbers in sorted(found.items())}
