"""Which sites of a lattice join their carriers: tetrahedra, neighbours, bonds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.disorder.clusters import SiteNetwork
from hts_battery.disorder.kernels import kernel
from hts_battery.errors import OrderingError
from hts_battery.structures.neighbours import NeighbourPairs, neighbour_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hts_battery.disorder.parents import ParentLattice
    from hts_battery.disorder.torus import Torus

RULES = {
    "0tm": "a tetrahedron joins its carriers when all four of its corners hold one",
    "1tm": "a tetrahedron joins its carriers when three or four of its corners do",
    "nearest": "carriers on nearest-neighbour sites are joined",
    "bond": "every site holds a carrier; bonds to nearest neighbours open at random",
    "nasicon": "6b is full; 18e, each between two 6b, is filled at random",
    "nasicon_all": "6b and 18e are filled at random alike",
}
"""Rules that join carriers, each with what it means."""

TETRAHEDRAL = {"0tm": 4, "1tm": 3}
"""Rules of tetrahedra, and the carriers that each needs."""

_CORNERS = 4
_FCC_NEIGHBOURS = 12
_TETRAHEDRA_A_SITE = 2
# A neighbour is up to this times as far as the nearest; of a face-centred cubic lattice
# the second shell is 1.41 times as far, so that a relaxed cell has room on both sides.
_NEAREST = 1.2


class PercolationNetwork(NamedTuple):
    """A network, and what is filled at random on it."""

    network: SiteNetwork
    first: NDArray[np.int64]
    """Sites that are filled first: all of them before the others, at random."""
    others: NDArray[np.int64]
    """Sites that are filled at random after them."""
    given: bool
    """Whether the first are filled before the count begins."""


def percolation_network(
    parent: ParentLattice, rule: str, supercell: Torus
) -> PercolationNetwork:
    """
    Build the network of a rule on a supercell of a parent lattice.

    Parameters
    ----------
    parent
        The parent lattice.
    rule
        One of :data:`RULES`.
    supercell
        In units of the conventional cell.

    Raises
    ------
    OrderingError
        No such rule, or the parent has no sites for it.
    """
    refuse_rule(rule)
    nasicon = parent.name == "nasicon"
    if nasicon != rule.startswith("nasicon"):
        fitting = [r for r in RULES if r.startswith("nasicon") == nasicon]
        raise OrderingError(
            f"the parent {parent.name} has no sites for the rule {rule!r}; "
            f"it takes {', '.join(fitting)}"
        )
    sites = np.arange(supercell.size * len(parent.sites))
    own = np.tile(parent.own, supercell.size)
    if rule in TETRAHEDRAL:
        unit = tetrahedra(parent.lattice, parent.sites, TETRAHEDRAL[rule])
    else:
        unit = neighbours(parent.lattice, parent.sites)
    if rule == "bond":
        full, bonds = _bonds(unit, supercell)
        return PercolationNetwork(full, sites, len(sites) + bonds, given=True)
    full = replicated(unit, supercell)
    if rule == "nasicon_all":
        own[:] = False
    return PercolationNetwork(full, sites[own], sites[~own], given=rule == "nasicon")


def refuse_rule(rule: str) -> None:
    """Refuse a rule that is not known."""
    if rule not in RULES:
        raise OrderingError(f"no rule {rule!r}; there are {', '.join(RULES)}")


def neighbours(
    lattice: NDArray[np.float64],
    coordinates: NDArray[np.float64],
    *,
    cutoff: float | None = None,
) -> SiteNetwork:
    """
    List the pairs of nearest neighbours, each once.

    Parameters
    ----------
    lattice
        Vectors of the cell in angstrom, one a row.
    coordinates
        Fractional coordinates of the sites.
    cutoff
        In angstrom; 1.2 times the distance of a site's nearest neighbour, in the
        middle of all sites, where it is not given.
    """
    pairs = _near(lattice, coordinates, cutoff)
    ahead = pairs.images @ np.array([1 << 42, 1 << 21, 1])
    once = (pairs.first < pairs.second) | ((pairs.first == pairs.second) & (ahead > 0))
    members = np.stack([pairs.first[once], pairs.second[once]], axis=1)
    images = np.zeros((len(members), 2, 3), dtype=np.int64)
    images[:, 1] = pairs.images[once]
    return SiteNetwork(len(coordinates), members.astype(np.int32), images, 2)


def tetrahedra(
    lattice: NDArray[np.float64], coordinates: NDArray[np.float64], needed: int = 4
) -> SiteNetwork:
    """
    List the nearest-neighbour tetrahedra of a face-centred cubic lattice, each once.

    Parameters
    ----------
    lattice
        Vectors of the cell in angstrom, one a row.
    coordinates
        Fractional coordinates of the sites.
    needed
        Carriers that a tetrahedron needs before it joins them.

    Raises
    ------
    OrderingError
        The sites are not those of a face-centred cubic lattice: not every one has
        twelve nearest neighbours, or there are not two tetrahedra a site.
    """
    count = len(coordinates)
    pairs = _near(lattice, coordinates, None)
    number = np.bincount(pairs.first, minlength=count)
    if not np.all(number == _FCC_NEIGHBOURS):
        odd = int(np.count_nonzero(number != _FCC_NEIGHBOURS))
        raise OrderingError(
            f"{odd} of {count} sites do not have the twelve neighbours of a "
            "face-centred cubic lattice: tetrahedra cannot be told"
        )
    near = pairs.second.reshape(count, _FCC_NEIGHBOURS)
    images = pairs.images.reshape(count, _FCC_NEIGHBOURS, 3)
    places = (coordinates[near] + images - coordinates[:, None]) @ lattice
    cutoff = _cutoff(pairs.lengths, pairs.first, count)
    members, cells = _tetrahedra(near, images, places, cutoff * cutoff)
    if len(members) != _TETRAHEDRA_A_SITE * count:
        raise OrderingError(
            f"{len(members)} tetrahedra on {count} sites; a face-centred cubic "
            f"lattice has {_TETRAHEDRA_A_SITE} a site"
        )
    return SiteNetwork(count, members, cells, needed)


def replicated(unit: SiteNetwork, supercell: Torus) -> SiteNetwork:
    """
    Repeat a network on a supercell: site ``s`` of cell ``c`` is ``c * sites + s``.

    Parameters
    ----------
    unit
        Network of one cell.
    supercell
        In units of that cell.
    """
    cells = supercell.points()[:, None, None] + unit.images
    numbers, copies = supercell.locate(cells)
    members = numbers * unit.sites + unit.members
    width = unit.members.shape[1]
    return SiteNetwork(
        unit.sites * supercell.size,
        members.reshape(-1, width).astype(np.int32),
        (copies - copies[:, :, :1]).reshape(-1, width, 3),
        unit.needed,
    )


def _bonds(
    unit: SiteNetwork, supercell: Torus
) -> tuple[SiteNetwork, NDArray[np.int64]]:
    """Turn each pair into a site of its own between its ends."""
    pairs = replicated(unit, supercell)
    bonds = np.arange(len(pairs.members))
    ends = np.empty((2 * len(bonds), 2), dtype=np.int32)
    ends[0::2, 0], ends[1::2, 0] = pairs.members.T
    ends[:, 1] = pairs.sites + np.repeat(bonds, 2)
    images = np.zeros((len(ends), 2, 3), dtype=np.int64)
    images[1::2, 1] = -pairs.images[:, 1]  # the bond lies in the cell of its first end
    return SiteNetwork(pairs.sites + len(bonds), ends, images, 2), bonds


def _near(
    lattice: NDArray[np.float64],
    coordinates: NDArray[np.float64],
    cutoff: float | None,
) -> NeighbourPairs:
    """Return the pairs of nearest neighbours from both ends."""
    reach = cutoff
    if reach is None:  # no lattice of n points to a volume is sparser than this
        reach = 1.6 * (abs(np.linalg.det(lattice)) / len(coordinates)) ** (1 / 3)
    pairs = neighbour_pairs(lattice, coordinates, reach)
    if cutoff is not None:
        return pairs
    near = pairs.lengths <= _cutoff(pairs.lengths, pairs.first, len(coordinates))
    first, second, images, lengths = pairs
    return NeighbourPairs(first[near], second[near], images[near], lengths[near])


def _cutoff(
    lengths: NDArray[np.float64], first: NDArray[np.int64], count: int
) -> float:
    """Return how far nearest neighbours reach, from the middle of all sites."""
    nearest = np.full(count, np.inf)
    np.minimum.at(nearest, first, lengths)
    return _NEAREST * float(np.median(nearest))


@kernel
def _tetrahedra(  # noqa: C901 - three nested corners
    near: NDArray[np.int64],
    images: NDArray[np.int64],
    places: NDArray[np.float64],
    cutoff: float,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """List tetrahedra from the corner that comes first by site, then by cell."""
    members = np.empty((3 * len(near), 4), dtype=np.int32)
    cells = np.zeros((3 * len(near), 4, 3), dtype=np.int64)
    ahead = np.zeros(near.shape[1], dtype=np.bool_)
    found = 0
    for site in range(len(near)):
        for corner in range(len(ahead)):
            step = near[site, corner] - site
            ahead[corner] = _comes_after(step, images[site, corner])
        for j in np.flatnonzero(ahead):
            for k in np.flatnonzero(ahead[:j]):
                if not _close(places[site, j], places[site, k], cutoff):
                    continue
                for m in np.flatnonzero(ahead[:k]):
                    if not (
                        _close(places[site, j], places[site, m], cutoff)
                        and _close(places[site, k], places[site, m], cutoff)
                    ):
                        continue
                    if found == len(members):
                        return members[:0], cells[:0]
                    members[found, 0] = site
                    for slot, at in ((1, j), (2, k), (3, m)):
                        members[found, slot] = near[site, at]
                        cells[found, slot] = images[site, at]
                    found += 1
    return members[:found], cells[:found]


@kernel
def _comes_after(ahead: np.int64, image: NDArray[np.int64]) -> bool:
    """Say whether a corner comes after the site at the origin: by site, then cell."""
    for axis in range(3):
        if ahead == 0:
            ahead = image[axis]
    return bool(ahead > 0)


@kernel
def _close(one: NDArray[np.float64], other: NDArray[np.float64], cutoff: float) -> bool:
    """Say whether two places are neighbours, by the squared distance."""
    total = 0.0
    for axis in range(3):
        total += (one[axis] - other[axis]) ** 2
    return total <= cutoff
