"""Random decorations: whole sites, charges, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.disorder import lattice_cell
from hts_battery.disorder.cells import cation_sites, whole_numbers
from hts_battery.disorder.parents import parent_lattice, parent_names
from hts_battery.errors import OrderingError

HALF = {"cation": {"Li": 0.5, "Mn": 0.5}, "anion": {"O": 1}}


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 500))
def test_whole_sites_add_up_and_are_nearest(weights: list[int], sites: int) -> None:
    shares = {f"M{k}": weight / sum(weights) for k, weight in enumerate(weights)}
    numbers = whole_numbers(shares, sites)
    assert sum(numbers.values()) == sites
    for name, share in shares.items():
        assert abs(numbers[name] - share * sites) < 1 + 1e-6


def test_a_neutral_cell_where_one_state_makes_it_so() -> None:
    cell = lattice_cell("rocksalt", HALF, 3)
    assert cell.charge == pytest.approx(0)
    states = {site.specie.symbol: site.specie.oxi_state for site in cell}
    assert states == {"Li": 1, "Mn": 3, "O": -2}
    mixed = {
        "cation": {"Li": 0.6, "Mn2+": 0.1, "Nb": 0.3},
        "anion": {"O": 0.9, "F": 0.1},
    }
    cell = lattice_cell("rocksalt", mixed, 5)
    assert cell.composition.reduced_formula
    assert {str(site.specie) for site in cell} >= {"Mn2+", "F-", "Li+"}


def test_without_anions_metals_have_usual_states() -> None:
    cell = lattice_cell("fcc", {"cation": {"Li": 0.5, "Ti": 0.5}}, 2)
    assert len(cell) == 32
    assert np.all(cation_sites(cell))


@pytest.mark.parametrize("parent", ["layered", "gamma_lifeo2", "spinel_like"])
def test_carriers_fill_their_own_sublattice_first(parent: str) -> None:
    lattice = parent_lattice(parent)
    mix = {"cation": {"Li": 0.25, "Mn": 0.75}, "anion": {"O": 1}}
    cell = lattice_cell(parent, mix, 2)
    symbols = np.array([site.specie.symbol for site in cell])
    cations = len(lattice.sites) * 8
    own = np.tile(lattice.own, 8)
    assert set(symbols[:cations][~own]) == {"Mn"}
    assert (symbols[:cations][own] == "Li").sum() == cations // 4


@pytest.mark.parametrize(
    "parent", [name for name in parent_names() if name != "nasicon"]
)
def test_every_anion_has_six_cations(parent: str) -> None:
    lattice = parent_lattice(parent)
    if not len(lattice.anions):
        return
    assert len(lattice.anions) == len(lattice.sites)
    cell = lattice_cell(parent, HALF, 2)
    for anion in (len(cell) - 1, len(cell) // 2):
        near = cell.get_neighbors(cell[anion], 2.2)
        assert len(near) == 6
        assert all(one.specie.symbol != "O" for one in near)


@pytest.mark.parametrize(
    ("parent", "composition", "message"),
    [
        ("rocksalt", {"cation": {"Li": 0.5, "Mn": 0.4}, "anion": {"O": 1}},
         "cation sites add up to 0.9, not to one: Li 0.5, Mn 0.4"),
        ("rocksalt", {"cation": {"Li": 1}}, "anion and cation fractions"),
        ("fcc", HALF, "decorated by cation fractions, not anion, cation"),
        ("nasicon", {"cation": {"Na": 1}}, "order_candidate"),
        ("rocksalt", {"cation": {"Lithium": 1}, "anion": {"O": 1}},
         "'Lithium' is no element"),
        ("rocksalt", {"cation": {"Li": float("nan"), "Mn": 0.5}, "anion": {"O": 1}},
         "fractions of the cation sites: Li nan, Mn 0.5"),
        ("rocksalt", {"cation": {"Li": 1.5, "Mn": -0.5}, "anion": {"O": 1}},
         "not to one"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    parent: str, composition: dict[str, dict[str, float]], message: str
) -> None:
    with pytest.raises(OrderingError, match=message):
        lattice_cell(parent, composition, 2)


@pytest.mark.parametrize("size", [0, (2, 2), 1.5, (1, 2, -1)])
def test_a_size_is_one_whole_number_or_three(size: object) -> None:
    with pytest.raises(OrderingError, match=r"size .*: (one whole|at least one)"):
        lattice_cell("rocksalt", HALF, size)
