"""
Clusters of a periodic network, by union-find with integer displacements.

Every site keeps its displacement, in cells, from the root of its cluster. Two sites of
one cluster that are joined along a way with another displacement close a loop round
the cell: the cluster wraps (Newman & Ziff, 10.1103/PhysRevE.64.016706; Machta et al.,
10.1103/PhysRevE.54.1332).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.disorder.kernels import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Flags = NDArray[np.uint8]

KERNEL = "clusters 1"
"""Name and version of what counts, stored with every result."""

# A displacement is one integer: 20 bits an axis, balanced.
_BITS = 20
_SPAN = 1 << _BITS
_HALF = _SPAN >> 1
_ROOT = -1  # a root holds minus the size of its cluster


class SiteNetwork(NamedTuple):
    """Sites and the groups of them that join their carriers, with periodic images."""

    sites: int
    """Number of sites."""
    members: NDArray[np.int32]
    """Sites of each group, (groups, k)."""
    images: NDArray[np.int64]
    """Cell of each member as seen from the first, (groups, k, 3)."""
    needed: int
    """Carriers that a group needs before it joins them."""


class Groups(NamedTuple):
    """The same as what the kernels read: packed, and listed by site."""

    members: NDArray[np.int32]
    cells: NDArray[np.int64]
    """Packed displacement of each member, (groups, k)."""
    starts: NDArray[np.int64]
    """Where the list of a site begins, (sites + 1)."""
    by_site: NDArray[np.int32]
    """Groups of each site, one after the other."""
    needed: int


class Filling(NamedTuple):
    """What happened while sites were filled one by one."""

    first_wraps: NDArray[np.int64]
    """Sites filled when a cluster first wrapped along each axis, 0 for never, (3,)."""
    accessible: NDArray[np.int64]
    """Filled sites in wrapping clusters after each step, (steps + 1)."""


class Clusters(NamedTuple):
    """Clusters of one decoration."""

    roots: NDArray[np.int64]
    """Root of each site's cluster, -1 where no carrier stands, (sites,)."""
    wraps: NDArray[np.uint8]
    """One bit an axis for the cluster of each root, (sites,)."""


def grouped(network: SiteNetwork) -> Groups:
    """Pack a network for the kernels."""
    members = np.ascontiguousarray(network.members, dtype=np.int32)
    factors = np.array([1, _SPAN, _SPAN * _SPAN], dtype=np.int64)
    cells = np.ascontiguousarray(network.images.astype(np.int64) @ factors)
    width = members.shape[1]
    order = np.argsort(members, axis=None, kind="stable")
    counts = np.bincount(members.ravel(), minlength=network.sites)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    by_site = (order // width).astype(np.int32)
    return Groups(members, cells, starts, by_site, network.needed)


def fill(
    groups: Groups, order: NDArray[np.int64], given: int = 0, *, until_all: bool = False
) -> Filling:
    """
    Fill sites one by one and follow the clusters.

    Parameters
    ----------
    groups
        The network.
    order
        Sites in the order in which they are filled, each once.
    given
        So many of the first are filled before the count begins.
    until_all
        Stop where every axis is wrapped; steps after that are not counted.
    """
    return Filling(
        *_fill(
            len(groups.starts) - 1,
            groups.members,
            groups.cells,
            groups.starts,
            groups.by_site,
            groups.needed,
            np.ascontiguousarray(order, dtype=np.int64),
            given,
            until_all,
        )
    )


def clusters(groups: Groups, occupied: NDArray[np.bool_]) -> Clusters:
    """Find the clusters of one decoration."""
    return Clusters(*_clusters(groups.members, groups.cells, groups.needed, occupied))


@kernel
def _find(parent: Integers, shift: Integers, site: int) -> tuple[int, int]:
    """Return the root of a site and its displacement; the way is shortened."""
    root = site
    total = np.int64(0)
    while parent[root] >= 0:
        total += shift[root]
        root = parent[root]
    left = total
    while parent[site] >= 0 and parent[site] != root:
        following = parent[site]
        step = shift[site]
        parent[site] = root
        shift[site] = left
        left -= step
        site = following
    return root, int(total)


@kernel
def _axes(gap: int) -> int:
    """Return one bit for each axis along which a displacement has a component."""
    bits = 0
    for axis in range(3):
        part = (gap + _HALF) % _SPAN - _HALF
        if part != 0:
            bits |= 1 << axis
        gap = (gap - part) >> _BITS
    return bits


@kernel
def _join(
    parent: Integers, shift: Integers, wraps: Flags, a: int, b: int, step: int
) -> tuple[int, int]:
    """Join two sites, one ``step`` apart: axes wrapped, newly wrapped sites."""
    first, from_first = _find(parent, shift, a)
    second, from_second = _find(parent, shift, b)
    gap = from_first + step - from_second
    if first == second:
        if gap == 0 or wraps[first] == 7:  # noqa: PLR2004 - every axis is wrapped
            return 0, 0
        bits = _axes(gap)
        new = 0 if wraps[first] else int(-parent[first])
        wraps[first] |= bits
        return bits, new
    new = 0
    if wraps[first] and not wraps[second]:
        new = int(-parent[second])
    elif wraps[second] and not wraps[first]:
        new = int(-parent[first])
    if parent[first] > parent[second]:  # the smaller goes under the larger
        first, second = second, first
        gap = -gap
    parent[first] += parent[second]
    parent[second] = first
    shift[second] = gap
    wraps[first] |= wraps[second]
    return 0, new


@kernel
def _join_group(
    parent: Integers,
    shift: Integers,
    wraps: Flags,
    members: NDArray[np.int32],
    cells: Integers,
    occupied: NDArray[np.bool_],
) -> tuple[int, int]:
    """Join the carriers of one group: axes wrapped by it, newly wrapped sites."""
    anchor = -1
    bits, reached = 0, 0
    for slot in range(len(members)):
        if not occupied[members[slot]]:
            continue
        if anchor < 0:
            anchor = slot
            continue
        step = cells[slot] - cells[anchor]
        found, new = _join(parent, shift, wraps, members[anchor], members[slot], step)
        bits |= found
        reached += new
    return bits, reached


@kernel
def _fill(  # noqa: PLR0913, PLR0917 - a kernel takes arrays, not objects
    sites: int,
    members: NDArray[np.int32],
    cells: Integers,
    starts: Integers,
    by_site: NDArray[np.int32],
    needed: int,
    order: Integers,
    given: int,
    until_all: bool,
) -> tuple[Integers, Integers]:
    """Fill sites in an order: first wraps by axis, accessible sites by step."""
    parent = np.full(sites, _ROOT, dtype=np.int64)
    shift = np.zeros(sites, dtype=np.int64)
    wraps = np.zeros(sites, dtype=np.uint8)
    occupied = np.zeros(sites, dtype=np.bool_)
    count = np.zeros(len(members), dtype=np.uint8)
    first_wraps = np.zeros(3, dtype=np.int64)
    accessible = np.zeros(len(order) - given + 1, dtype=np.int64)
    reached, seen = 0, 0
    for at, site in enumerate(order):
        filled = max(at + 1 - given, 0)
        occupied[site] = True
        for group in by_site[starts[site] : starts[site + 1]]:
            count[group] += 1
            if count[group] < needed:
                continue
            bits, new = _join_group(
                parent, shift, wraps, members[group], cells[group], occupied
            )
            reached += new
            for axis in range(3):
                if bits >> axis & ~(seen >> axis) & 1:
                    first_wraps[axis] = filled
            seen |= bits
        accessible[filled] = reached
        if until_all and seen == 7:  # noqa: PLR2004 - three axes
            break
    return first_wraps, accessible


@kernel
def _clusters(
    members: NDArray[np.int32],
    cells: Integers,
    needed: int,
    occupied: NDArray[np.bool_],
) -> tuple[Integers, Flags]:
    """Return the root of each occupied site, and the wrapped axes of each root."""
    sites = len(occupied)
    parent = np.full(sites, _ROOT, dtype=np.int64)
    shift = np.zeros(sites, dtype=np.int64)
    wraps = np.zeros(sites, dtype=np.uint8)
    for group in range(len(members)):
        count = 0
        for member in members[group]:
            count += occupied[member]
        if count >= needed:
            _join_group(parent, shift, wraps, members[group], cells[group], occupied)
    roots = np.full(sites, -1, dtype=np.int64)
    for site in np.flatnonzero(occupied):
        roots[site] = _find(parent, shift, int(site))[0]
    return roots, wraps
