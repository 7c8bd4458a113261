"""
Which site of NASICON an atom is on, read from the network of its polyhedra.

Sites are named as in the rhombohedral parent (R-3c, hexagonal axes), see
``data/prototypes/nasicon.yaml``, even where the crystal is monoclinic.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from hts_battery.errors import OrderingError
from hts_battery.schemas.species import VACANCY
from hts_battery.structures.neighbours import structure_pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    Image = tuple[int, int, int]

SODIUM_BETWEEN_METALS = "6b"
SODIUM_BESIDE_CENTRE = "18e"
METAL = "12c"
CENTRE = "polyanion 18e"
LANTERN_OXYGEN = "36f-1"
OUTER_OXYGEN = "36f-2"
INTERSTITIAL = "interstitial"
"""Label of an alkali ion too far from every cavity."""

# Sublattices of the parent, and the elements on them where nothing else is said; any
# other element is a metal.
_ALKALI, _METAL, _CENTRE, _OXYGEN = "alkali", "metal", "polyanion", "oxygen"
_USUAL = dict.fromkeys(("Li", "Na", "K"), _ALKALI) | dict.fromkeys(
    ("Si", "P", "S"), _CENTRE
)
_USUAL["O"] = _OXYGEN
_HOME: Image = (0, 0, 0)
# Longest contact that still holds an oxygen, angstrom: the next ones begin at 3.8
# (metal) and 2.9 (centre) in the parent.
_METAL_REACH = 3.3
_CENTRE_REACH = 2.5
# An octahedron, a tetrahedron, and the three tetrahedra of a lantern.
_OCTAHEDRON, _TETRAHEDRON, _PROPS = 6, 4, 3
# The 18e cavity lies beyond the midpoint of two 6b cavities, seen from the polyanion
# centre beside it, by this share of the centre's distance from the midpoint; from the
# parent: (0.624 - 1/2) / (1/2 - 0.2911).
_BEYOND_MIDPOINT = 0.594
# Angstrom. Neighbouring cavities are 3.2 apart, so an ion half-way belongs to one.
_CAVITY_RADIUS = 2.2


class Cavity(NamedTuple):
    """A place for an alkali ion, filled or not."""

    label: str
    """6b or 18e."""
    position: NDArray[np.float64]
    """Fractional coordinates of its centre."""
    atom: int | None
    """Index of the alkali ion in it."""


class BetweenMetals(NamedTuple):
    """The oxygen octahedron of a 6b cavity and the ways out of it."""

    cavity: int
    """Index among the cavities."""
    oxygens: NDArray[np.intp]
    """Its six oxygen atoms, three of each metal."""
    images: NDArray[np.int64]
    """Lattice translations of the oxygen atoms, one a row."""
    neighbours: NDArray[np.intp]
    """The six 18e cavities around it."""
    neighbour_images: NDArray[np.int64]
    """Lattice translations of the neighbours, one a row."""


class Polyanion(NamedTuple):
    """A polyanion centre and its oxygen atoms."""

    centre: int
    """Index of the centre."""
    oxygens: NDArray[np.intp]
    """Indices of its four oxygen atoms."""
    images: NDArray[np.int64]
    """Lattice translations of the oxygen atoms, one a row."""


class NasiconSites(NamedTuple):
    """Every site of a NASICON crystal, by topology."""

    labels: tuple[str, ...]
    """Label of each atom in the order of the structure."""
    cavities: tuple[Cavity, ...]
    """6b cavities, then 18e cavities."""
    octahedra: tuple[BetweenMetals, ...]
    """The surroundings of each 6b cavity."""
    polyanions: tuple[Polyanion, ...]
    """The oxygen tetrahedra."""


class _Bond(NamedTuple):
    """A metal and a polyanion centre that share an oxygen atom."""

    oxygen: int
    partner: int
    image: Image
    """Translation of the partner as seen from the first atom."""
    oxygen_image: Image
    """Translation of the oxygen as seen from the first atom."""


class _Network(NamedTuple):
    of_metal: dict[int, list[_Bond]]
    of_centre: dict[int, list[_Bond]]


def nasicon_sites(
    structure: Structure, *, sublattices: Sequence[str] | None = None
) -> NasiconSites:
    """
    Label every atom and cavity of a NASICON crystal from its M-O-X network.

    No parent lattice is needed and no symmetry is assumed. Each oxygen atom joins the
    metal and the polyanion centre nearest to it. Two metals that share
    three centres form a lantern; the other three oxygen atoms of each metal form its
    outer face. Of all walks metal - outer centre - lantern metal - outer centre -
    metal, three end at one and the same metal, the one whose outer face looks at the
    first: between the two lies a 6b cavity. Each centre holds two outer faces apart,
    and thus two 6b cavities; beyond the midpoint of these lies its 18e cavity. Ions
    are given to cavities one to one at the least sum of squared distances.

    Parameters
    ----------
    structure
        The crystal; any cell, any distortion that keeps the network.
    sublattices
        What each atom is: alkali, metal, polyanion (centre) or oxygen. By default
        Li, Na, K are alkali; Si, P, S centres; O oxygen; all others metals.

    Raises
    ------
    OrderingError
        If the network is not that of NASICON; says where it breaks.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure(Lattice.cubic(4), ["Na", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> nasicon_sites(salt)
    Traceback (most recent call last):
    ...
    hts_battery.errors.OrderingError: not a NASICON network: no metal or no ...
    """
    if sublattices is None:
        sublattices = [_USUAL.get(site.specie.symbol, _METAL) for site in structure]
    network = _network(structure, np.asarray(sublattices))
    lanterns = _lantern_oxygens(network)
    facing = _facing_metals(network, lanterns)
    cavities, octahedra = _cavities(structure.frac_coords, network, lanterns, facing)
    ions = [i for i, name in enumerate(sublattices) if name == _ALKALI]
    filled = _fill(structure, ions, cavities)
    labels = dict.fromkeys(network.of_metal, METAL)
    labels |= dict.fromkeys(network.of_centre, CENTRE)
    for bonds in network.of_metal.values():
        for bond in bonds:
            inside = bond.oxygen in lanterns
            labels[bond.oxygen] = LANTERN_OXYGEN if inside else OUTER_OXYGEN
    labels |= dict.fromkeys(ions, INTERSTITIAL)
    labels |= {c.atom: c.label for c in filled if c.atom is not None}
    polyanions = tuple(
        Polyanion(
            centre,
            np.array([bond.oxygen for bond in bonds]),
            np.array([bond.oxygen_image for bond in bonds]),
        )
        for centre, bonds in network.of_centre.items()
    )
    return NasiconSites(
        tuple(labels[i] for i in range(len(structure))), filled, octahedra, polyanions
    )


def site_occupancies(
    sites: NasiconSites, structure: Structure
) -> dict[str, dict[str, int]]:
    """Count elements and vacancies on every NASICON label; 6b and 18e first."""
    counts: dict[str, dict[str, int]] = {
        SODIUM_BETWEEN_METALS: {},
        SODIUM_BESIDE_CENTRE: {},
    }
    for label, site in zip(sites.labels, structure, strict=True):
        here = counts.setdefault(label, {})
        here[site.specie.symbol] = here.get(site.specie.symbol, 0) + 1
    for cavity in sites.cavities:
        if cavity.atom is None:
            here = counts[cavity.label]
            here[VACANCY] = here.get(VACANCY, 0) + 1
    return counts


def _broken(reason: str) -> OrderingError:
    return OrderingError(f"not a NASICON network: {reason}")


def _network(structure: Structure, names: NDArray[np.str_]) -> _Network:
    """Join every oxygen atom with its nearest metal and its nearest centre."""
    metals, centres, oxygens = (
        np.flatnonzero(names == name).tolist() for name in (_METAL, _CENTRE, _OXYGEN)
    )
    if not (metals and centres and oxygens):
        raise _broken("no metal or no polyanion centre or no oxygen")
    rows, columns, images, lengths = structure_pairs(
        structure, _METAL_REACH, sites=oxygens
    )
    found = []
    for kind, targets, reach in (
        ("metal", metals, _METAL_REACH),
        ("polyanion centre", centres, _CENTRE_REACH),
    ):
        chosen = np.flatnonzero(np.isin(columns, targets) & (lengths <= reach))
        order = chosen[np.lexsort((lengths[chosen], rows[chosen]))]
        own, first = np.unique(rows[order], return_index=True)
        if lost := set(oxygens) - set(own.tolist()):
            raise _broken(f"oxygen atom {min(lost)} has no {kind} near it")
        found.append((columns[order[first]], images[order[first]]))
    (metal, metal_image), (centre, centre_image) = found
    network = _Network({i: [] for i in metals}, {i: [] for i in centres})
    for k, oxygen in enumerate(oxygens):
        m, x = int(metal[k]), int(centre[k])
        network.of_metal[m].append(
            _Bond(
                oxygen,
                x,
                _image(centre_image[k] - metal_image[k]),
                _image(-metal_image[k]),
            )
        )
        network.of_centre[x].append(
            _Bond(
                oxygen,
                m,
                _image(metal_image[k] - centre_image[k]),
                _image(-centre_image[k]),
            )
        )
    _check_degrees(network.of_metal, _OCTAHEDRON, structure)
    _check_degrees(network.of_centre, _TETRAHEDRON, structure)
    return network


def _check_degrees(
    bonds: dict[int, list[_Bond]], expected: int, structure: Structure
) -> None:
    for index, found in bonds.items():
        if len(found) != expected:
            symbol = structure[index].specie.symbol
            raise _broken(
                f"{symbol} atom {index} has {len(found)} oxygen atoms, not {expected}"
            )


def _image(values: Iterable[int]) -> Image:
    a, b, c = (int(x) for x in values)
    return a, b, c


def _plus(first: Image, second: Image) -> Image:
    return first[0] + second[0], first[1] + second[1], first[2] + second[2]


def _minus(image: Image) -> Image:
    return -image[0], -image[1], -image[2]


def _lantern_oxygens(network: _Network) -> set[int]:
    """Oxygen atoms inside lanterns: of centres that two metals share three times."""
    inside: set[int] = set()
    for metal, bonds in network.of_metal.items():
        walks = [
            (bond, (back.partner, _plus(bond.image, back.image)))
            for bond in bonds
            for back in network.of_centre[bond.partner]
        ]
        shared = Counter(end for _, end in walks if end != (metal, _HOME))
        partners = [end for end, times in shared.items() if times == _PROPS]
        if len(partners) != 1:
            raise _broken(
                f"metal atom {metal} shares three polyanions with {len(partners)} "
                f"metal atoms, not with one"
            )
        inside |= {bond.oxygen for bond, end in walks if end == partners[0]}
    for centre, bonds in network.of_centre.items():
        if sum(bond.oxygen in inside for bond in bonds) != _TETRAHEDRON // 2:
            raise _broken(f"polyanion centre {centre} is not in one lantern")
    return inside


def _facing_metals(
    network: _Network, lanterns: set[int]
) -> dict[int, tuple[int, Image]]:
    """For each metal the one whose outer face looks at its own."""
    facing: dict[int, tuple[int, Image]] = {}
    for metal in network.of_metal:
        ends = Counter(_walks(network, lanterns, metal))
        met = [end for end, times in ends.items() if times == _PROPS]
        if len(met) != 1:
            raise _broken(f"the outer face of metal atom {metal} looks at no other")
        facing[metal] = met[0]
    for metal, (other, image) in facing.items():
        if facing[other] != (metal, _minus(image)):
            raise _broken(f"metal atoms {metal} and {other} do not face each other")
    return facing


def _walks(
    network: _Network, lanterns: set[int], metal: int
) -> Iterator[tuple[int, Image]]:
    """Walk outer centre, lantern metal, outer centre, outer metal; yield the ends."""
    for first in _outer(network.of_metal[metal], lanterns):
        for second in network.of_centre[first.partner]:
            if second.oxygen not in lanterns:
                continue
            via = _plus(first.image, second.image)
            for third in _outer(network.of_metal[second.partner], lanterns):
                beyond = _plus(via, third.image)
                for fourth in _outer(network.of_centre[third.partner], lanterns):
                    end = (fourth.partner, _plus(beyond, fourth.image))
                    if end != (second.partner, via):
                        yield end


def _outer(bonds: list[_Bond], lanterns: set[int]) -> list[_Bond]:
    return [bond for bond in bonds if bond.oxygen not in lanterns]


def _cavities(
    coordinates: NDArray[np.float64],
    network: _Network,
    lanterns: set[int],
    facing: dict[int, tuple[int, Image]],
) -> tuple[list[Cavity], tuple[BetweenMetals, ...]]:
    """Centres of the 6b and 18e cavities, all of them empty, and the octahedra."""
    cavities: list[Cavity] = []
    faces: list[tuple[list[int], list[Image]]] = []
    # For each metal its 6b cavity, and where that is as seen from the metal.
    seen: dict[int, tuple[int, Image]] = {}
    for metal, (other, image) in facing.items():
        if metal in seen:
            continue
        outer = [
            (bond.oxygen, _plus(bond.oxygen_image, shift))
            for atom, shift in ((metal, _HOME), (other, image))
            for bond in _outer(network.of_metal[atom], lanterns)
        ]
        oxygens, images = [o for o, _ in outer], [t for _, t in outer]
        centre = (coordinates[oxygens] + np.array(images)).mean(axis=0)
        seen[metal] = (len(cavities), _HOME)
        seen[other] = (len(cavities), _minus(image))
        cavities.append(Cavity(SODIUM_BETWEEN_METALS, centre, None))
        faces.append((oxygens, images))
    between: list[list[tuple[int, Image]]] = [[] for _ in cavities]
    for atom, bonds in network.of_centre.items():
        ends = []
        for bond in _outer(bonds, lanterns):
            cavity, shift = seen[bond.partner]
            ends.append((cavity, _plus(bond.image, shift)))
        midpoint = np.mean([cavities[c].position + t for c, t in ends], axis=0)
        position = midpoint + _BEYOND_MIDPOINT * (midpoint - coordinates[atom])
        for cavity, shift in ends:
            between[cavity].append((len(cavities), _minus(shift)))
        cavities.append(Cavity(SODIUM_BESIDE_CENTRE, position, None))
    octahedra = tuple(
        BetweenMetals(
            index,
            np.array(faces[index][0]),
            np.array(faces[index][1]),
            np.array([cavity for cavity, _ in around]),
            np.array([image for _, image in around]),
        )
        for index, around in enumerate(between)
    )
    return cavities, octahedra


def _fill(
    structure: Structure, ions: list[int], cavities: list[Cavity]
) -> tuple[Cavity, ...]:
    """Put every alkali ion into a cavity of its own."""
    if len(ions) > len(cavities):
        raise _broken(f"{len(ions)} alkali ions and {len(cavities)} cavities")
    positions = np.array([cavity.position for cavity in cavities])
    distances = structure.lattice.get_all_distances(
        structure.frac_coords[ions].reshape(-1, 3), positions
    )
    rows, columns = linear_sum_assignment(distances**2)
    filled = list(cavities)
    for row, column in zip(rows, columns, strict=True):
        if distances[row, column] <= _CAVITY_RADIUS:
            filled[column] = filled[column]._replace(atom=ions[row])
    return tuple(filled)
