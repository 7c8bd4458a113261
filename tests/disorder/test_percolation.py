"""Thresholds and accessible carriers against published numbers and another search."""

from __future__ import annotations

from collections import deque
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from hts_battery.disorder import (
    accessible_carriers,
    lattice_cell,
    percolation_threshold,
)
from hts_battery.disorder.accessible import carriers_on
from hts_battery.disorder.clusters import SiteNetwork, clusters, fill, grouped
from hts_battery.disorder.networks import (
    neighbours,
    percolation_network,
    replicated,
    tetrahedra,
)
from hts_battery.disorder.parents import parent_lattice
from hts_battery.disorder.percolation import (
    AccessibleCurve,
    RandomFilling,
    accessible_curve,
)
from hts_battery.disorder.torus import torus
from hts_battery.errors import OrderingError

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.filterwarnings("ignore:.*not charge balanced")


def mixed(x: float) -> dict[str, dict[str, float]]:
    """Composition Li(x)M(2-x)O2."""
    return {"cation": {"Li": x / 2, "Mn": 1 - x / 2}, "anion": {"O": 1}}


@pytest.mark.physics
@pytest.mark.parametrize(
    ("parent", "rule", "size", "samples", "right", "within"),
    [
        # Lorenz & Ziff, 10.1103/PhysRevE.57.230; sites of fcc 0.1992365(10)
        ("fcc", "nearest", 16, 400, 0.1992, 0.0012),
        ("fcc", "bond", 10, 200, 0.1201635, 0.001),
        ("simple_cubic", "bond", 16, 400, 0.2488126, 0.0016),
        # 6b and 18e are vertices and bonds of a simple cubic network
        ("nasicon", "nasicon", 10, 300, 0.2488126, 0.002),
    ],
)
def test_published_thresholds(
    parent: str, rule: str, size: int, samples: int, right: float, within: float
) -> None:
    found = percolation_threshold(parent, rule, size=size, samples=samples, seed=3)
    assert found.criterion == "one axis"
    assert found.unit == "open fraction"
    assert found.value == pytest.approx(right, abs=within)
    assert found.standard_error < within / 1.5
    assert abs(found.value - right) < 4 * found.standard_error


@pytest.mark.physics
def test_the_threshold_of_random_rock_salt() -> None:
    """1.0862 ± 0.0015, from 2,000 samples of this size; 1.09 by Urban et al. 2014."""
    found = percolation_threshold("rocksalt", "0tm", size=16, samples=400, seed=1)
    assert found.unit == "x of Li(x)M(2-x)O2"
    assert found.value == pytest.approx(1.0862, abs=0.004)
    assert found.bracket[0] < found.value + 3 * found.standard_error
    assert found.sites == 16384


@pytest.mark.physics
@pytest.mark.parametrize(
    ("parent", "size", "right"),
    [
        # Urban, Lee, Ceder, 10.1002/aenm.201400478: 1.14, 0.77; 1.34 is our own
        ("layered", (15, 15, 5), 1.14),
        ("spinel_like", 6, 0.77),
        ("gamma_lifeo2", (12, 12, 6), 1.34),
    ],
)
def test_ordered_parents_fill_their_own_sublattice_first(
    parent: str, size: int | tuple[int, int, int], right: float
) -> None:
    found = percolation_threshold(parent, "0tm", size=size, samples=100)
    assert found.criterion == "bracket"
    assert found.value == pytest.approx(right, abs=0.012)
    assert found.value == pytest.approx(sum(found.bracket) / 2)
    assert found.bracket[0] < found.bracket[1]
    assert "bracket" in found.caveat


def test_a_flat_cell_gives_a_bracket_and_says_so() -> None:
    found = percolation_threshold("fcc", "nearest", size=(4, 4, 12), samples=20)
    assert found.criterion == "bracket"


def test_the_same_seed_gives_the_same_threshold() -> None:
    first, second, other = (
        percolation_threshold("fcc", "1tm", size=5, samples=10, seed=seed)
        for seed in (7, 7, 8)
    )
    assert first == second
    assert first.value != other.value
    assert first.value < 2 * 0.5  # three carriers of four are enough


@pytest.fixture(scope="module")
def random_rock_salt() -> AccessibleCurve:
    """Forty fillings of the size at which the known shares were measured."""
    return accessible_curve("rocksalt", "0tm", size=16, samples=40, seed=4)


@pytest.mark.physics
@pytest.mark.parametrize(
    ("x", "right"), [(1.15, 0.595), (1.2, 0.711), (1.3, 0.841), (1.4, 0.913)]
)
def test_accessible_lithium_of_random_rock_salt(
    x: float, right: float, random_rock_salt: AccessibleCurve
) -> None:
    share, error, wraps = random_rock_salt.at(x / 2)
    assert share == pytest.approx(right, abs=0.01)
    assert error < 0.01
    assert wraps == 1


def test_near_the_threshold_a_cell_wraps_or_does_not(
    random_rock_salt: AccessibleCurve,
) -> None:
    _, _, wraps = random_rock_salt.at(0.54)
    assert 0.1 < wraps < 0.95
    assert random_rock_salt.at(0.3) == (0, 0, 0)
    assert random_rock_salt.at(1.0) == (1, 0, 1)
    with pytest.raises(OrderingError, match="between 0 and 1"):
        random_rock_salt.at(1.5)


def test_a_cell_has_what_the_curve_says(random_rock_salt: AccessibleCurve) -> None:
    found = accessible_carriers(lattice_cell("rocksalt", mixed(1.3), 16))
    spread = random_rock_salt.at(0.65)[1] * np.sqrt(40)
    assert found.fraction == pytest.approx(random_rock_salt.at(0.65)[0], abs=4 * spread)
    assert found.wraps == (True, True, True)
    assert found.clusters == 1
    assert found.carriers == round(0.65 * found.sites)


@pytest.mark.physics
def test_tetrahedra_of_random_cells_are_binomial() -> None:
    """P(Li4) = (x/2)^4 within 5e-4 at the default size."""
    network = percolation_network(parent_lattice("rocksalt"), "0tm", torus(20)).network
    random = np.random.default_rng(2)
    shares = []
    for _ in range(20):
        occupied = np.zeros(network.sites, dtype=bool)
        occupied[random.permutation(network.sites)[: round(0.6 * network.sites)]] = True
        shares.append(carriers_on(network, occupied))
    right = [0.4**4, 4 * 0.6 * 0.4**3, 6 * 0.36 * 0.16, 4 * 0.6**3 * 0.4, 0.6**4]
    assert np.mean(shares, axis=0) == pytest.approx(right, abs=8e-4)


def test_each_tetrahedron_is_counted_once() -> None:
    lattice = parent_lattice("rocksalt")
    for size in (1, 2, 3):
        found = replicated(tetrahedra(lattice.lattice, lattice.sites), torus(size))
        assert len(found.members) == 2 * found.sites
        keys = {
            tuple(sorted(map(tuple, np.column_stack([m, c - c[0]]).tolist())))
            for m, c in zip(found.members, found.images, strict=True)
        }
        assert len(keys) == len(found.members)
        on_each = np.bincount(found.members.ravel(), minlength=found.sites)
        assert set(on_each) == {8}


def test_orientation_origin_and_order_do_not_matter() -> None:
    cell = lattice_cell("rocksalt", mixed(1.25), 6, seed=2)
    right = accessible_carriers(cell, small=True)
    random = np.random.default_rng(0)
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    order = random.permutation(len(cell))
    moved = Structure(
        Lattice(cell.lattice.matrix @ turn),
        [cell[int(i)].specie for i in order],
        cell.frac_coords[order] + random.random(3),
    )
    found = accessible_carriers(moved, small=True)
    assert found == right
    skewed = cell.copy()
    skewed.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    same = accessible_carriers(skewed, small=True)
    assert (same.fraction, same.tetrahedra) == (right.fraction, right.tetrahedra)


def test_a_relaxed_cell_counts_like_the_ideal_one() -> None:
    cell = lattice_cell("rocksalt", mixed(1.25), 6, seed=2)
    right = accessible_carriers(cell, small=True)
    cell.perturb(0.12)
    assert accessible_carriers(cell, small=True) == right


def test_small_cells_are_refused_unless_asked_for() -> None:
    cell = lattice_cell("rocksalt", mixed(1.3), 5)
    with pytest.raises(OrderingError, match=r"500 sites.*4000.*--small"):
        accessible_carriers(cell)
    assert accessible_carriers(cell, small=True).sites == 500


def test_an_absent_carrier_has_nothing_accessible() -> None:
    cell = lattice_cell("rocksalt", {"cation": {"Mn": 1}, "anion": {"O": 1}}, 3)
    found = accessible_carriers(cell, small=True)
    assert (found.fraction, found.clusters) == (0, 0)
    assert found.reason == "no Li in the cell"
    assert accessible_carriers(cell, carrier="Mn", small=True).fraction == 1


def test_without_a_wrapping_cluster_the_reason_is_said() -> None:
    cell = lattice_cell("rocksalt", mixed(0.2), 4)
    found = accessible_carriers(cell, small=True)
    assert found.reason == "no cluster wraps the cell"
    assert found.wraps == (False, False, False)


def test_sodium_of_nasicon_is_joined_through_both_kinds_of_sites() -> None:
    lattice = parent_lattice("nasicon")
    network = percolation_network(lattice, "nasicon", torus(2))
    ends = np.bincount(network.network.members.ravel())
    assert set(ends[network.first]) == {6}  # each 6b has six 18e
    assert set(ends[network.others]) == {2}  # each 18e joins two 6b
    every = percolation_threshold("nasicon", "nasicon_all", size=4, samples=20)
    assert 0.3 < every.value < 0.7
    sodium = Structure(
        lattice.lattice,
        ["Na"] * 24 + ["O"] * 72,
        np.vstack([lattice.sites, np.random.default_rng(0).random((72, 3))]),
    )
    sodium.make_supercell(2)
    full = accessible_carriers(sodium, "nasicon", "Na", small=True)
    assert (full.fraction, full.sites) == (1, 192)
    ordered = sodium.copy()
    ordered.remove_sites(
        [i for i in range(192) if i // 8 >= 6]  # 18e gone: 6b alone do not touch
    )
    assert accessible_carriers(ordered, "nasicon", "Na", small=True).fraction == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: percolation_threshold("perovskite", "0tm", size=2, samples=1),
         "no parent lattice 'perovskite'"),
        (lambda: percolation_threshold("rocksalt", "2tm", size=2, samples=1),
         "no rule '2tm'; there are 0tm"),
        (lambda: percolation_threshold("nasicon", "0tm", size=2, samples=1),
         "no sites for the rule '0tm'; it takes nasicon"),
        (lambda: percolation_threshold("rocksalt", "nasicon", size=2, samples=1),
         "no sites for the rule 'nasicon'"),
        (lambda: percolation_threshold("simple_cubic", "0tm", size=3, samples=1),
         "twelve neighbours"),
        (lambda: percolation_threshold("fcc", "0tm", size=0, samples=1), "one cell"),
        (lambda: percolation_threshold("fcc", "0tm", size=(2, 2), samples=1),
         "one whole number of cells or three"),
        (lambda: percolation_threshold("fcc", "0tm", size=2, samples=0), "samples"),
        (lambda: accessible_carriers(lattice_cell("fcc", {"cation": {"Li": 1}}, 2),
                                     "bond", small=True), "filled at random"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(OrderingError, match=message):
        call()


Step = tuple[int, ...]


def wraps_by_search(network: SiteNetwork, occupied: np.ndarray) -> tuple[int, set[int]]:
    """Axes and sites of wrapping clusters by walking the unwrapped network."""
    links: dict[int, list[tuple[int, Step]]] = {}
    for members, cells in zip(network.members, network.images, strict=True):
        held = [k for k in range(len(members)) if occupied[members[k]]]
        if len(held) >= network.needed:
            for a, b in permutations(held, 2):
                step = tuple(int(x) for x in cells[b] - cells[a])
                links.setdefault(int(members[a]), []).append((int(members[b]), step))
    bits, sites = 0, set()
    seen: dict[int, Step] = {}
    for start in map(int, np.flatnonzero(occupied)):
        if start not in seen:
            found, cluster = walk(start, links, seen)
            bits |= found
            sites |= cluster if found else set()
    return bits, sites


def walk(
    start: int, links: dict[int, list[tuple[int, Step]]], seen: dict[int, Step]
) -> tuple[int, set[int]]:
    """Walk one cluster; an axis is wrapped where a site is met in two cells of it."""
    seen[start] = (0, 0, 0)
    queue, cluster, found = deque([start]), {start}, 0
    while queue:
        site = queue.popleft()
        for other, step in links.get(site, []):
            place = tuple(x + y for x, y in zip(seen[site], step, strict=True))
            if other not in seen:
                seen[other] = place
                cluster.add(other)
                queue.append(other)
            found |= sum(1 << a for a in range(3) if place[a] != seen[other][a])
    return found, cluster


shapes = st.lists(
    st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=3, max_size=3
).filter(lambda rows: 1 <= abs(round(np.linalg.det(np.array(rows)))) <= 12)


@settings(max_examples=60, deadline=None)
@given(
    shapes,
    st.sampled_from(["0tm", "1tm", "nearest"]),
    st.floats(0.1, 0.9),
    st.integers(0, 2**32 - 1),
)
def test_wrapping_is_what_a_search_finds(
    shape: list[list[int]], rule: str, share: float, seed: int
) -> None:
    """Small and skewed cells; statically, and at the same point of a filling."""
    network = percolation_network(parent_lattice("rocksalt"), rule, torus(shape))
    random = np.random.default_rng(seed)
    order = random.permutation(network.network.sites)
    filled = max(1, round(share * len(order)))
    occupied = np.zeros(len(order), dtype=bool)
    occupied[order[:filled]] = True
    groups = grouped(network.network)
    found = clusters(groups, occupied)
    bits, sites = wraps_by_search(network.network, occupied)
    held = found.roots[occupied]
    assert int(np.bitwise_or.reduce(found.wraps[held], initial=0)) == bits
    wrapping = np.flatnonzero(occupied)[found.wraps[held] > 0]
    assert set(map(int, wrapping)) == sites
    history = fill(groups, order)
    assert history.accessible[filled] == len(sites)
    reached = sum(
        1 << axis for axis in range(3) if 0 < history.first_wraps[axis] <= filled
    )
    assert reached == bits


def test_static_and_dynamic_agree_at_every_filling() -> None:
    network = percolation_network(parent_lattice("rocksalt"), "0tm", torus(4))
    filling = RandomFilling(grouped(network.network), network)
    random = np.random.default_rng(5)
    order = random.permutation(filling.sites)
    history = fill(filling.groups, order)
    for filled in range(0, filling.sites + 1, 16):
        occupied = np.zeros(filling.sites, dtype=bool)
        occupied[order[:filled]] = True
        found = clusters(filling.groups, occupied)
        held = found.roots[occupied]
        assert history.accessible[filled] == int((found.wraps[held] > 0).sum())


def test_pairs_of_neighbours_are_listed_once() -> None:
    found = neighbours(3 * np.eye(3), np.zeros((1, 3)))
    assert len(found.members) == 3
    assert np.abs(found.images[:, 1]).sum() == 3
