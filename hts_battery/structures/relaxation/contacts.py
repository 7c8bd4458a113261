"""Contacts between atoms: which of the parent's survive, and how many each has."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from importlib.resources import files
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import yaml
from scipy.spatial import Voronoi

from hts_battery.structures.cells import build_cell
from hts_battery.structures.neighbours import neighbour_pairs, structure_pairs
from hts_battery.structures.prototypes import load_prototype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.schemas.relaxed import RelaxationThresholds
    from hts_battery.structures.cells import Cell
    from hts_battery.structures.relaxation.parent_map import ParentMap

_PRIMITIVE = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
_IMAGES = 2  # cells round the one looked at: more than twice a polyhedron's radius
_SAME = 0.1  # angstrom; centres nearer than this are one
_OWN = 0.6  # angstrom; a cation this near to a centre stands in its polyhedron
_REACH = 1.3  # of the distance to the nearest other centre: neighbours share a face
_RESOLVED_BY_TOPOLOGY = "nasicon"


class _Ways(NamedTuple):
    """Steps from a cation site to the centres of the polyhedra beside its own."""

    site: int
    """The site in the primitive cell."""
    steps: NDArray[np.float64]
    """Fractional in the primitive cell, one a row."""


def cations_past_half_way(mapped: ParentMap) -> int | None:
    r"""
    Count the cations that are nearer to another polyhedron's centre than to their own.

    Polyhedra are the octahedra and tetrahedra between the anions of the parent, filled
    or empty; their centres are as far from their four or six anions as from none of
    the others. With the displacement :math:`u` of a cation from its own site and the
    step :math:`v` from there to the other centre, both in the relaxed lattice, its
    progress is :math:`u \cdot v / v^2`, and above one half it is past half way.

    Returns
    -------
    int or None
        None for NASICON, whose cavities are found by topology instead.
    """
    if mapped.cell.prototype == _RESOLVED_BY_TOPOLOGY:
        return None
    found = 0
    copies = round(abs(np.linalg.det(np.array(mapped.cell.supercell, dtype=float))))
    to_supercell = np.linalg.inv(np.array(mapped.cell.supercell, dtype=float))
    lattice = mapped.relaxed.lattice.matrix
    primitive_sites = mapped.own // copies
    moves = mapped.moves @ lattice
    for site, steps in _ways(mapped.cell.prototype):
        here = moves[primitive_sites == site]
        vectors = steps @ to_supercell @ lattice
        progress = here @ vectors.T / np.sum(vectors**2, axis=1)
        found += int(np.sum(np.any(progress > 1 / 2, axis=1)))
    return found


@lru_cache(maxsize=64)
def _ways(prototype_name: str) -> tuple[_Ways, ...]:
    """Find the steps from every cation site of the primitive parent cell."""
    prototype = load_prototype(prototype_name)
    cell = build_cell(prototype_name, _PRIMITIVE)
    cations = {first for first, _ in prototype.bonds}
    anions = {second for _, second in prototype.bonds}
    centres = _centres(cell, sorted(anions))
    found = []
    for site, name in enumerate(cell.sublattices):
        if name not in cations:
            continue
        steps = centres - cell.coordinates[site]
        lengths = np.linalg.norm(steps @ cell.lattice, axis=1)
        others = lengths > _OWN
        if np.all(others):  # no centre of a polyhedron: nothing to be past half way
            continue
        steps, lengths = steps[others], lengths[others]
        found.append(_Ways(site, steps[lengths < _REACH * lengths.min()]))
    return tuple(found)


def _centres(cell: Cell, anions: list[str]) -> NDArray[np.float64]:
    """Centres of the polyhedra of anions near the cell, fractional."""
    positions = np.concatenate([cell.coordinates[cell.sites[a]] for a in anions])
    steps = range(-_IMAGES, _IMAGES + 1)
    images = np.array(list(product(steps, repeat=3)))
    points = (positions[:, None, :] + images).reshape(-1, 3) @ cell.lattice
    # A vertex of the Voronoi cells of anions is as far from four or more of them, and
    # nearer to no other: the centre of the polyhedron that they span.
    vertices = Voronoi(points).vertices
    fractional = vertices @ np.linalg.inv(cell.lattice)
    # Beyond the outermost cells anions are missing.
    near = np.all(np.abs(fractional - 1 / 2) < _IMAGES, axis=1)
    return _distinct(fractional[near], cell.lattice)


def _distinct(
    points: NDArray[np.float64], lattice: NDArray[np.float64]
) -> NDArray[np.float64]:
    kept: list[NDArray[np.float64]] = []
    for point in points:
        if not kept or (
            np.linalg.norm((np.array(kept) - point) @ lattice, axis=1).min() > _SAME
        ):
            kept.append(point)
    return np.array(kept)


_DATA = files("hts_battery.structures") / "data" / "anion_radii.yaml"
_COVALENT, _VAN_DER_WAALS = "covalent", "van_der_waals"


class AnionPairs(NamedTuple):
    """Numbers of pairs of anions; the elements of a pair are alphabetical: ``F-O``."""

    bonds: dict[str, int]
    """Pairs at a bonding distance."""
    contacts: dict[str, int]
    """Pairs closer than anions come in a crystal, those at a bonding distance too."""


@lru_cache(maxsize=1)
def _radii() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = yaml.safe_load(_DATA.read_text("utf-8"))
    return found


def bond_limit(first: str, second: str, *, oxygen: float) -> float:
    """
    Distance below which two anions are bonded, in angstrom.

    .. math:: d_{AB} = d_{OO} (r_A + r_B) / 2 r_O

    with the radii of covalent single bonds (10.1002/chem.200800987).
    """
    radii = _radii()
    total = radii[first][_COVALENT] + radii[second][_COVALENT]
    return oxygen * total / (2 * radii["O"][_COVALENT])


def contact_limit(first: str, second: str, *, share: float) -> float:
    """Distance that anions keep, by van der Waals radii (10.1039/c3dt50599e)."""
    radii = _radii()
    return share * (radii[first][_VAN_DER_WAALS] + radii[second][_VAN_DER_WAALS])


def anion_pairs(
    structure: Structure, anions: Sequence[bool], limits: RelaxationThresholds
) -> AnionPairs:
    """
    Count the pairs of anions that are bonded, and those that are too close.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from hts_battery.schemas.relaxed import RelaxationThresholds
    >>> pair = Structure(Lattice.cubic(9), ["O", "F"], [[0, 0, 0], [0.16, 0, 0]])
    >>> anion_pairs(pair, [True, True], RelaxationThresholds())
    AnionPairs(bonds={'F-O': 1}, contacts={'F-O': 1})
    """
    symbols = [site.specie.symbol for site in structure]
    known = {
        symbol for symbol, anion in zip(symbols, anions, strict=True) if anion
    } & _radii().keys()
    bonds: Counter[str] = Counter()
    contacts: Counter[str] = Counter()
    if not known:
        return AnionPairs({}, {})
    limit = {
        (a, b): (
            bond_limit(a, b, oxygen=limits.oxygen_contact),
            contact_limit(a, b, share=limits.anion_contact),
        )
        for a in known
        for b in known
    }
    counted = np.array(anions) & np.isin(symbols, sorted(known))
    reach = max(max(pair) for pair in limit.values())
    first, second, _, lengths = structure_pairs(structure, reach)
    between = counted[first] & counted[second]
    for i, j, length in zip(
        first[between], second[between], lengths[between], strict=True
    ):
        pair = "-".join(sorted((symbols[i], symbols[j])))
        bond, contact = limit[symbols[i], symbols[j]]
        bonds[pair] += length < bond
        contacts[pair] += length < max(bond, contact)
    # Every pair is found from both of its ends.
    return AnionPairs(_halved(bonds), _halved(contacts))


def _halved(counts: Counter[str]) -> dict[str, int]:
    return {pair: int(n) // 2 for pair, n in sorted(counts.items()) if n}


# A contact as long as the shortest of its kind, to this fraction, is a nearest one.
_FIRST_SHELL = 1.25
_TWO_SHELLS = 8.0  # angstrom; in every parent the second shell of a bond is nearer


class Coordination(NamedTuple):
    """Numbers of neighbours of the cations of a relaxed cell."""

    numbers: dict[str, dict[str, int]]
    """Sublattice → number of neighbours → number of cations."""
    changed: float
    """Share of the cations with another number than at the start."""


def contacts_kept(mapped: ParentMap, *, stretch: float) -> float:
    """Share of the parent's nearest contacts that are not stretched too far."""
    start, relaxed, moves = mapped.start, mapped.relaxed, mapped.moves
    names = np.array(start.site_properties["sublattice"])
    # Scaled to the starting volume, so that swelling alone breaks nothing.
    lattice = relaxed.lattice.matrix * (start.volume / relaxed.volume) ** (1 / 3)
    kept = total = 0
    for first, second in load_prototype(mapped.cell.prototype).bonds:
        reach = _first_shell(start, names, first, second)
        i, j, images, lengths = structure_pairs(start, reach)
        bonded = (names[i] == first) & (names[j] == second)
        i, j, images, lengths = i[bonded], j[bonded], images[bonded], lengths[bonded]
        vectors = (
            start.frac_coords[j] + moves[j] + images - start.frac_coords[i] - moves[i]
        )
        kept += int(
            np.sum(np.linalg.norm(vectors @ lattice, axis=1) < stretch * lengths)
        )
        total += len(lengths)
    return kept / total if total else 1.0


def _first_shell(
    start: Structure, names: NDArray[np.str_], first: str, second: str
) -> float:
    """Length up to which a contact between two sublattices is a nearest one."""
    distances = start.distance_matrix[names == first][:, names == second]
    return float(distances[distances > 0].min()) * _FIRST_SHELL


def coordination(mapped: ParentMap) -> Coordination:
    r"""
    Count the neighbours of every cation and compare with the start.

    A neighbour is an atom of the sublattice that the parent's file names as bonded,
    nearer than :math:`r_c (V / V_\mathrm{parent})^{1/3}`, with :math:`r_c` half-way
    between the last nearest and the first further one in the parent lattice. An empty
    anion site is missing at the start too, and changes nothing.
    """
    names = np.array(mapped.start.site_properties["sublattice"])
    found: dict[str, dict[str, int]] = {}
    cations = changed = 0
    for first, second, cutoff in _coordination_cutoffs(mapped.cell.prototype):
        here = np.flatnonzero(names == first)
        if not len(here):
            continue
        before = _neighbours(
            mapped, mapped.start, names, np.arange(len(names)), second, cutoff
        )
        after = _neighbours(
            mapped, mapped.relaxed, names, mapped.matched, second, cutoff
        )
        counts = Counter(int(n) for n in after[here])
        found[first] = {str(n): counts[n] for n in sorted(counts)}
        cations += len(here)
        changed += int(np.sum(before[here] != after[here]))
    return Coordination(found, changed / cations if cations else 0.0)


def _neighbours(
    mapped: ParentMap,
    structure: Structure,
    names: NDArray[np.str_],
    matched: NDArray[np.intp],
    second: str,
    cutoff: float,
) -> NDArray[np.intp]:
    """Neighbours on a sublattice of each atom, in the order of the start."""
    parent_volume = abs(np.linalg.det(mapped.cell.lattice))
    reach = cutoff * float(structure.volume / parent_volume) ** (1 / 3)
    own_names = np.empty_like(names)
    own_names[matched] = names
    i, j, _, _ = structure_pairs(structure, reach)
    numbers = np.bincount(i[own_names[j] == second], minlength=len(names))
    return np.asarray(numbers[matched])


@lru_cache(maxsize=64)
def _coordination_cutoffs(prototype_name: str) -> tuple[tuple[str, str, float], ...]:
    """Bonded sublattices and the length that ends the first shell of the first."""
    prototype = load_prototype(prototype_name)
    cell = build_cell(prototype_name, _PRIMITIVE)
    names = np.array(cell.sublattices)
    i, j, _, lengths = neighbour_pairs(cell.lattice, cell.coordinates, _TWO_SHELLS)
    found = []
    for first, second in prototype.bonds:
        number = prototype.sublattices[first].coordination
        rows = [
            np.sort(lengths[(i == site) & (names[j] == second)])
            for site in cell.sites[first]
        ]
        inside = max(row[number - 1] for row in rows)
        outside = min(row[number] for row in rows)
        if inside < outside:
            found.append((first, second, float(inside + outside) / 2))
    return tuple(found)
