"""What a competing phase must satisfy, before and after it is relaxed."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.analysis.molecule_structure_comparator import CovalentRadius
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from hts_battery.schemas.formula import canonical_formula
from hts_battery.structures.neighbours import lattice_vectors, structure_pairs
from hts_battery.structures.references.geometry import (
    SITE_OF_ATOM,
    mean_valence_radius,
    primitive_cell,
)
from hts_battery.structures.references.library import (
    conventional_structure,
    reference_structure,
)

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
    return tuple(_relaxation_problems(phase, reference_structure(phase), relaxed))


def drift_problems(phase: ReferencePhase, relaxed: Structure) -> tuple[str, ...]:
    """Say why a relaxed cell is none at all: the one question to a rough potential."""
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


def _relaxation_problems(
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
    """Find the bonds of a structure; none in an element or an alloy."""
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
    """Count the directions in which the largest bonded part of a crystal is endless."""
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


SYMMETRY_TOLERANCE_ANGSTROM = 0.1
SHORTEST_BOND = 0.72
"""Shortest cation-anion distance over the sum of Shannon radii, at least."""
LONGEST_BOND = 1.35
"""Distance of a cation to its nearest anion over that sum, at most."""
SHORTEST_ANION_CONTACT_ANGSTROM = 1.9
SHORTEST_PEROXIDE_CONTACT_ANGSTROM = 1.3
SHORTEST_SUPEROXIDE_CONTACT_ANGSTROM = 1.2
SHORTEST_CATION_CONTACT_ANGSTROM = 2.0
ELEMENT_BOND = (0.7, 1.6)
"""Nearest distance in an element over twice its covalent radius, from and to."""
_COORDINATION = 6  # radii of the bounds; the bounds leave room for other numbers
_SHORT_OXYGEN = {
    Fraction(-1): SHORTEST_PEROXIDE_CONTACT_ANGSTROM,
    Fraction(-1, 2): SHORTEST_SUPEROXIDE_CONTACT_ANGSTROM,
}


def phase_problems(phase: ReferencePhase) -> tuple[str, ...]:
    """
    Say everything that is wrong with a phase; nothing if it may be used.

    Examples
    --------
    >>> from hts_battery.structures.references.library import reference_phase
    >>> phase_problems(reference_phase("TiO2-rutile"))
    ()
    """
    return tuple(_problems(phase))


def _problems(phase: ReferencePhase) -> Iterator[str]:
    conventional = conventional_structure(phase)
    primitive = primitive_cell(conventional, phase.space_group_symbol)
    yield from composition_problems(phase, primitive)
    yield from charge_problems(phase, conventional)
    yield from distance_problems(phase, primitive)
    yield from symmetry_problems(phase, primitive)


def composition_problems(phase: ReferencePhase, structure: Structure) -> Iterator[str]:
    """Compare the atoms of the cell with the formula."""
    amounts = {
        element: Fraction(round(amount))
        for element, amount in structure.composition.get_el_amt_dict().items()
    }
    found, stated = canonical_formula(amounts), canonical_formula(phase.amounts)
    if found != stated:
        yield f"the cell holds {found}, the formula says {stated}"


def charge_problems(phase: ReferencePhase, structure: Structure) -> Iterator[str]:
    """Add up oxidation states over the conventional cell."""
    charge = sum(
        (
            phase.sites[index].oxidation_state
            for index in structure.site_properties[SITE_OF_ATOM]
        ),
        Fraction(0),
    )
    if charge:
        yield f"oxidation states add up to {charge} in the conventional cell"


def symmetry_problems(phase: ReferencePhase, structure: Structure) -> Iterator[str]:
    """Compare the space group found with the one stated."""
    expected = phase.supergroup or phase.space_group_number
    found = SpacegroupAnalyzer(
        structure, symprec=SYMMETRY_TOLERANCE_ANGSTROM
    ).get_space_group_number()
    if found != expected:
        yield f"space group {found} is found, {expected} is stated"


def distance_problems(phase: ReferencePhase, structure: Structure) -> Iterator[str]:
    """
    Compare shortest distances with radii.

    Cation to anion within ``SHORTEST_BOND`` and ``LONGEST_BOND`` of the sum of
    Shannon radii; like ions apart; elements near twice the covalent radius.
    """
    charges = charge_of_element(phase)
    distances = _distances(structure)
    symbols = np.array([site.specie.symbol for site in structure])
    if len(phase.elements) == 1:
        yield from _element_distances(symbols[0], float(distances.min()))
        return
    yield from _lonely_cations(charges, symbols, distances)
    kinds = sorted(phase.elements)
    for index, first in enumerate(kinds):
        for second in kinds[index:]:
            block = distances[np.ix_(symbols == first, symbols == second)]
            pair = ((first, charges[first]), (second, charges[second]))
            yield from _pair_distances(pair, block)


def _distances(structure: Structure) -> np.ndarray:
    """Distances between sites; of a site to its own images on the diagonal."""
    matrix = np.array(structure.distance_matrix)
    lattice = structure.lattice
    images = np.linalg.norm(
        lattice_vectors(lattice.matrix, min(lattice.abc) + 0.1), axis=1
    )
    np.fill_diagonal(matrix, images[images > SHORTEST_BOND].min())
    return matrix


def charge_of_element(phase: ReferencePhase) -> dict[str, Fraction]:
    """Mean oxidation state of each element of a phase."""
    charges: dict[str, list[Fraction]] = {}
    for site in phase.sites:
        charges.setdefault(site.element, []).append(site.oxidation_state)
    return {
        element: sum(values, Fraction(0)) / len(values)
        for element, values in charges.items()
    }


def _element_distances(symbol: str, nearest: float) -> Iterator[str]:
    bond = 2 * float(CovalentRadius.radius[symbol])
    low, high = (factor * bond for factor in ELEMENT_BOND)
    if not low <= nearest <= high:
        yield (
            f"{symbol}-{symbol} is {nearest:.2f} angstrom, outside "
            f"{low:.2f} to {high:.2f}"
        )


def _lonely_cations(
    charges: dict[str, Fraction], symbols: np.ndarray, distances: np.ndarray
) -> Iterator[str]:
    """Find cations whose nearest anion is farther than any bond of theirs."""
    anions = [element for element in charges if charges[element] < 0]
    for cation in (element for element in charges if charges[element] > 0):
        nearest = {
            anion: float(distances[np.ix_(symbols == cation, symbols == anion)].min())
            / radii_sum((cation, charges[cation]), (anion, charges[anion]))
            for anion in anions
        }
        anion = min(nearest, key=lambda element: nearest[element])
        if nearest[anion] > LONGEST_BOND:
            yield (
                f"{cation} is {nearest[anion]:.2f} times the sum of radii away from "
                f"the nearest {anion}, too far"
            )


def radii_sum(first: tuple[str, Fraction], second: tuple[str, Fraction]) -> float:
    """Sum of two Shannon radii in angstrom."""
    return mean_valence_radius(*first, _COORDINATION) + mean_valence_radius(
        *second, _COORDINATION
    )


def _pair_distances(
    pair: tuple[tuple[str, Fraction], tuple[str, Fraction]], block: np.ndarray
) -> Iterator[str]:
    (first, charge), (second, other) = pair
    nearest = float(block.min())
    names = f"{first}-{second}"
    if charge * other < 0:
        total = radii_sum(*pair)
        if nearest < SHORTEST_BOND * total:
            yield f"{names} is {nearest:.2f} angstrom, the radii say {total:.2f}"
        return
    if charge > 0:
        bound = SHORTEST_CATION_CONTACT_ANGSTROM
    elif first == second == "O" and charge in _SHORT_OXYGEN:
        bound = _SHORT_OXYGEN[charge]
    else:
        bound = SHORTEST_ANION_CONTACT_ANGSTROM
    if nearest < bound:
        yield f"{names} is {nearest:.2f} angstrom, less than {bound:.2f}"
