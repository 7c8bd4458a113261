"""Warren-Cowley parameters: known orders, the old count, and random alloys."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Species, Structure

from hts_battery.disorder import lattice_cell, warren_cowley
from hts_battery.errors import OrderingError
from hts_battery.structures.cells import build_cell
from hts_battery.structures.short_range_order import short_range_order

pytestmark = pytest.mark.filterwarnings("ignore:.*not charge balanced")
HALF = {"cation": {"Li": 0.5, "Mn": 0.5}, "anion": {"O": 1}}


@pytest.mark.physics
@pytest.mark.parametrize(
    ("parent", "alpha"),
    [
        ("layered", [0, -1, 0, 1]),
        ("gamma_lifeo2", [-1 / 3, 1 / 3, 1 / 3, -1 / 3]),
        ("spinel_like", [0, -1, 0, 1]),  # pairs do not tell it from layered
    ],
)
@pytest.mark.parametrize("size", [1, 2])
def test_known_orders(parent: str, alpha: list[float], size: int) -> None:
    found = warren_cowley(lattice_cell(parent, HALF, size))
    assert found["Li", "Mn"] == pytest.approx(alpha, abs=1e-12)
    assert found["Li", "Li"] == pytest.approx([-a for a in alpha], abs=1e-12)


@pytest.mark.parametrize(
    "supercell",
    [((4, 0, 0), (0, 4, 1), (0, 0, 4)), ((2, 0, 0), (0, 2, 0), (1, 1, 5))],
)
def test_it_equals_the_count_over_a_parent_cell(
    supercell: tuple[tuple[int, int, int], ...],
) -> None:
    """Any orientation, origin, order, and with atoms a little off their places."""
    cell = build_cell("rocksalt", supercell)
    random = np.random.default_rng(1)
    sites = len(cell.sublattices)
    kinds = {"cation": ("Li+", "Mn3+", "Ti4+"), "anion": ("O2-", "F-")}
    decoration = [str(random.choice(kinds[name])) for name in cell.sublattices]
    right = short_range_order(cell, decoration)
    order = random.permutation(sites)
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    structure = Structure(
        Lattice(cell.lattice @ turn),
        [Species.from_str(decoration[i]) for i in order],
        cell.coordinates[order] + random.random(3) + random.normal(0, 2e-3, (sites, 3)),
    )
    found = warren_cowley(structure)
    for sublattices, shells in right.items():
        for pair in shells[0]:
            names = tuple(name.rstrip("+-1234") for name in pair.split("/"))
            assert found[names] == pytest.approx(
                [shell[pair] for shell in shells], abs=1e-12
            ), (sublattices, pair)
    assert len(found) == sum(len(shells[0]) for shells in right.values())


def test_random_cells_have_minus_one_over_n_less_one() -> None:
    values = [
        warren_cowley(lattice_cell("rocksalt", HALF, 2, seed=seed))["Li", "Mn"]
        for seed in range(150)
    ]
    right = -1 / (32 - 1)
    error = np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
    assert np.all(np.abs(np.mean(values, axis=0) - right) < 4 * error)


def test_a_charge_that_tells_two_kinds_of_an_element_apart_is_in_the_name() -> None:
    mix = {"cation": {"Li": 0.5, "Mn2+": 0.25, "Mn4+": 0.25}, "anion": {"O": 1}}
    found = warren_cowley(lattice_cell("rocksalt", mix, 4), shells=2)
    assert ("Li", "Mn2+") in found
    assert found["Mn4+", "Li"] == found["Li", "Mn4+"]
    assert len(found["Li", "Li"]) == 2
    with pytest.raises(KeyError, match="no pair Li-Mn; there are"):
        _ = found["Li", "Mn"]


def test_cations_and_anions_have_parameters_of_their_own() -> None:
    mix = {"cation": {"Li": 0.6, "Ti": 0.4}, "anion": {"O": 0.8, "F": 0.2}}
    found = warren_cowley(lattice_cell("rocksalt", mix, 4))
    assert {("F", "O"), ("Li", "F"), ("Li", "Ti")} <= set(found)
    share = 0.6 * np.array(found["Li", "F"]) + 0.4 * np.array(found["Ti", "F"])
    assert share == pytest.approx(0, abs=0.02)  # weighted by cations they cancel


def test_what_is_on_no_lattice_is_refused() -> None:
    with pytest.raises(OrderingError, match="face-centred cubic lattice"):
        warren_cowley(
            Structure(
                Lattice.cubic(5),
                ["Li", "Mn", "O"],
                np.random.default_rng(0).random((3, 3)),
            )
        )
    cell = lattice_cell("rocksalt", HALF, 2)
    cell.remove_sites([0])
    with pytest.raises(OrderingError, match="face-centred cubic lattice"):
        warren_cowley(cell)
    cell = lattice_cell("rocksalt", HALF, 1)
    cell[0] = {"Li": 0.5, "Mn": 0.5}
    with pytest.raises(OrderingError, match="site 0 holds"):
        warren_cowley(cell)
