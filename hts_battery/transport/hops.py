"""
Hops of ions by the topology of a crystal, without a search.

In a rock salt an ion goes from octahedron to octahedron through one of the two
tetrahedra beside the edge between them; how many other cations stand on that
tetrahedron decides what it costs (0-, 1-, 2-TM). In NASICON an ion goes from a 6b
cavity through an oxygen triangle to one of six 18e cavities around it, and where
another 18e cavity beside the 6b one is taken, that ion may follow: as many of each
site stay taken (10.1038/s41467-022-32190-7).
"""

from __future__ import annotations

from itertools import combinations, zip_longest
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.core import SymmOp
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from hts_battery.errors import HopError, OrderingError
from hts_battery.structures.descriptors import faces_towards
from hts_battery.structures.neighbours import nearest_image, structure_pairs
from hts_battery.structures.site_labels import nasicon_sites

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.schemas.barrier import HopKind
    from hts_battery.structures.site_labels import NasiconSites

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_ANIONS = frozenset(("N", "O", "F", "S", "Se", "Te", "Cl", "Br", "I"))
_NEIGHBOURS = 12
_NEAREST = 1.2  # times the distance of neighbours; the second shell is at 1.41
_SAME_PLACE = 0.05  # Å
_SYMMETRY = 0.02  # Å


class Move(NamedTuple):
    """One ion of a hop."""

    atom: int
    """Its index."""
    via: Floats
    """Displacement from where it stands to the narrowest place, Å."""
    end: Floats
    """Displacement to where it goes, Å."""


class Hop(NamedTuple):
    """What one hop is, in the cell that it was found in."""

    label: str
    """``o-t-o 1-TM``, ``6b-18e``, ``18e-6b``; the longest move of a concerted one."""
    kind: HopKind
    moves: tuple[Move, ...]
    vacancy: int | None = None
    """Atom that is taken out to make room; None where there is room."""
    metals: int | None = None
    """Other cations on the tetrahedron that a hop in a rock salt goes through."""
    equal: int = 1
    """Hops of the cell that symmetry makes equal to it, itself included."""

    @property
    def length(self) -> float:
        """From start to end of the longest move, Å."""
        return max(float(np.linalg.norm(move.end)) for move in self.moves)


def rocksalt_hops(structure: Structure, *, carrier: str = "Li") -> list[Hop]:
    """
    List the hops between neighbouring octahedra of a rock salt, equal ones once.

    Each is that of an ion into a vacancy made beside it.

    Parameters
    ----------
    structure
        Ordered; every cation on an octahedron, distorted or not.
    carrier
        Element that moves.

    Raises
    ------
    HopError
        The cations form no face-centred cubic lattice, or no two carriers are
        neighbours.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(4.0), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... )
    >>> [(hop.label, hop.equal, round(hop.length, 3)) for hop in rocksalt_hops(salt)]
    [('o-t-o 0-TM', 48, 2.828)]
    """
    symbols = np.array([site.specie.symbol for site in structure])
    cations = np.flatnonzero(~np.isin(symbols, list(_ANIONS)))
    near = _neighbours(structure, cations)
    lattice, found = structure.lattice.matrix, []
    for first in cations[symbols[cations] == carrier].tolist():
        ends, ways = near[first]
        close = np.linalg.norm(ways[:, None] - ways, axis=2) < _edge(structure, cations)
        for second in np.flatnonzero(symbols[ends] == carrier).tolist():
            if ends[second] <= first:  # once, and not into its own image
                continue
            common = np.flatnonzero(close[second])
            for one, other in combinations(common.tolist(), 2):
                if not close[one, other] or second in (one, other):
                    continue
                corners = ways[[second, one, other]]
                metals = int((symbols[ends[[one, other]]] != carrier).sum())
                move = Move(first, corners.sum(axis=0) / 4, ways[second])
                label = f"o-t-o {metals}-TM"
                vacancy = int(ends[second])
                found.append(Hop(label, "single", (move,), vacancy, metals))
    if not found:
        raise HopError(f"no two {carrier} ions are neighbours: nothing hops")
    return _distinct(structure, found, lattice)


def _edge(structure: Structure, cations: Integers) -> float:
    """Return the longest distance of neighbours on a face-centred cubic lattice."""
    return _NEAREST * float((np.sqrt(2) * structure.volume / len(cations)) ** (1 / 3))


def _neighbours(
    structure: Structure, cations: Integers
) -> dict[int, tuple[Integers, Floats]]:
    """Return, for each cation, its twelve neighbours and the ways to them in Å."""
    if not len(cations):
        raise HopError("no cations: no rock salt")
    pairs = structure_pairs(
        structure, _edge(structure, cations), sites=cations.tolist()
    )
    keep = np.isin(pairs.second, cations)
    first, second = pairs.first[keep], pairs.second[keep]
    places = structure.frac_coords
    ways = places[second] + pairs.images[keep] - places[first]
    found = {}
    for atom in cations.tolist():
        own = first == atom
        if own.sum() != _NEIGHBOURS:
            raise HopError(
                f"{structure[atom].specie.symbol} atom {atom} has {own.sum()} cations "
                "around it, not 12: no rock salt"
            )
        found[atom] = (second[own], ways[own] @ structure.lattice.matrix)
    return found


def nasicon_hops(structure: Structure, *, carrier: str = "Na") -> list[Hop]:
    """
    List the hops between 6b and 18e cavities of NASICON, equal ones once.

    Single-ion hops into empty cavities either way, and concerted ones: an ion leaves a
    6b cavity for an empty 18e one while another comes from an 18e cavity into it.

    Raises
    ------
    HopError
        No carrier has an empty cavity beside it.
    OrderingError
        No network of NASICON.
    """
    sites = nasicon_sites(structure)
    lattice = structure.lattice.matrix
    found: list[Hop] = []
    for number, octahedron in enumerate(sites.octahedra):
        centre = sites.cavities[octahedron.cavity]
        around = _around(structure, sites, number)
        empty = [way for way in around if way.atom is None]
        taken = [way for way in around if _is(structure, way.atom, carrier)]
        if centre.atom is None:
            found += [_inwards(structure, way) for way in taken]
        elif _is(structure, centre.atom, carrier):
            here = _place(structure, centre.atom, centre.position)
            for way in empty:
                out = Move(centre.atom, way.face - here, way.end - here)
                found.append(Hop("6b-18e", "single", (out,)))
                for other in taken:
                    follow = _inwards(structure, other).moves[0]
                    found.append(Hop("6b-18e", "concerted", (out, follow)))
    if not found:
        raise HopError(f"no {carrier} ion has an empty cavity beside it: nothing hops")
    return _distinct(structure, found, lattice)


class _Way(NamedTuple):
    """From a 6b cavity to one of the six 18e cavities around it; Cartesian, Å."""

    atom: int | None
    centre: Floats
    face: Floats
    end: Floats


def _around(structure: Structure, sites: NasiconSites, number: int) -> list[_Way]:
    """List the six ways out of a 6b cavity."""
    octahedron, lattice = sites.octahedra[number], structure.lattice.matrix
    cavities = sites.cavities
    centre = cavities[octahedron.cavity].position @ lattice
    oxygens = structure.frac_coords[octahedron.oxygens] + octahedron.images
    ends = np.array([cavities[n].position for n in octahedron.neighbours])
    ends = (ends + octahedron.neighbour_images) @ lattice
    faces = faces_towards(centre[None], (oxygens @ lattice)[None], ends[None])[0]
    middles = faces.mean(axis=1)
    return [
        _Way(cavities[int(cavity)].atom, centre, middle, end)
        for cavity, middle, end in zip(
            octahedron.neighbours, middles, ends, strict=True
        )
    ]


def _is(structure: Structure, atom: int | None, carrier: str) -> bool:
    return atom is not None and structure[atom].specie.symbol == carrier


def _place(structure: Structure, atom: int, cavity: Floats) -> Floats:
    """Return where an ion of a cavity stands, beside that cavity, Å."""
    shift = nearest_image(structure.frac_coords[atom] - cavity)
    return np.asarray((cavity + shift) @ structure.lattice.matrix)


def _inwards(structure: Structure, way: _Way) -> Hop:
    """Return the hop of an ion from an 18e cavity into the 6b one."""
    atom = way.atom
    if atom is None:
        raise HopError("an empty cavity has no ion to hop")
    cavity = way.end @ np.linalg.inv(structure.lattice.matrix)
    here = _place(structure, atom, cavity)
    move = Move(atom, way.face - here, way.centre - here)
    return Hop("18e-6b", "single", (move,))


def _distinct(structure: Structure, hops: Sequence[Hop], lattice: Floats) -> list[Hop]:
    """Keep one of the hops that symmetry makes equal, with their number."""
    inverse = np.asarray(np.linalg.inv(lattice), dtype=float)
    operations = symmetry_operations(structure)
    # A hop is known by its ends and narrow places; either direction of one into a
    # vacancy made for it is the same.
    places = [_marks(structure, hop, inverse) for hop in hops]
    left = np.ones(len(hops), dtype=bool)
    kept = []
    for number, hop in enumerate(hops):
        if not left[number]:
            continue
        same = np.zeros(len(hops), dtype=bool)
        candidates = np.flatnonzero(left & [one[:2] == hop[:2] for one in hops])
        known = np.array([places[one] for one in candidates])
        for operation in operations:
            both = operation.operate_multi(places[number])
            for turned in (both, both[:, ::-1]) if hop.vacancy is not None else (both,):
                away = nearest_image(known - turned) @ lattice
                far = np.abs(away).reshape(len(candidates), -1).max(axis=1)
                same[candidates[far < _SAME_PLACE]] = True
        same[number] = True
        left &= ~same
        kept.append(hop._replace(equal=int(same.sum())))
    return sorted(kept, key=lambda hop: (hop.kind, hop.label, hop.length))


def symmetry_operations(structure: Structure) -> list[SymmOp]:
    """
    List the symmetry operations of a cell, fractional; the identity at least.

    spglib finds none where distances lie about its tolerance: what is then taken as
    different costs work, and no number is wrong.
    """
    try:
        return list(SpacegroupAnalyzer(structure, _SYMMETRY).get_symmetry_operations())
    except ValueError:  # pymatgen's, of a search that failed
        return [SymmOp(np.eye(4))]


def _marks(structure: Structure, hop: Hop, inverse: Floats) -> Floats:
    """Return start, narrow place and end of each move, fractional."""
    marks = []
    for move in hop.moves:
        start = structure.frac_coords[move.atom]
        ways = np.array([np.zeros(3), move.via, move.end]) @ inverse
        marks.append(start + ways)
    return np.array(marks)


def hops_of(structure: Structure, *, carrier: str) -> list[Hop]:
    """
    List the different hops of a NASICON, or else of a rock salt.

    Raises
    ------
    HopError
        It is neither, or nothing hops; says why for both.
    """
    try:
        return nasicon_hops(structure, carrier=carrier)
    except OrderingError as err:
        first = str(err)
    try:
        return rocksalt_hops(structure, carrier=carrier)
    except HopError as err:
        raise HopError(f"{first}; {err}") from err


def chosen_hops(hops: Sequence[Hop], kinds: Sequence[str], most: int) -> list[Hop]:
    """
    Choose a few hops: of each label and kind in turn that which is most frequent.

    Raises
    ------
    HopError
        None is of the kinds asked for.
    """
    groups: dict[tuple[str, str], list[Hop]] = {}
    for hop in sorted(hops, key=lambda one: (-one.equal, one.length)):
        if hop.kind in kinds:
            groups.setdefault((hop.label, hop.kind), []).append(hop)
    if not groups:
        raise HopError(f"no hop is {' or '.join(kinds)}")
    rounds = zip_longest(*(groups[name] for name in sorted(groups)))
    return [hop for one in rounds for hop in one if hop is not None][:most]
