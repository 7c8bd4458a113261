"""Cells with a wanted short-range order, and exact averages of a small cell."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from hts_battery.disorder import (
    LatticeModel,
    accessible_carriers,
    lattice_cell,
    lattice_monte_carlo,
    warren_cowley,
)
from hts_battery.disorder.lattice_model import pair_energy
from hts_battery.disorder.lattice_sites import FCC, lattice_sites
from hts_battery.disorder.monte_carlo import BOLTZMANN, correlated_error, halves_agree
from hts_battery.errors import OrderingError

pytestmark = pytest.mark.filterwarnings("ignore:.*not charge balanced")
LI12 = {"cation": {"Li": 0.6, "Mn": 0.4}, "anion": {"O": 1}}
KELVIN = 1000.0
KT = BOLTZMANN * KELVIN


@pytest.mark.physics
@pytest.mark.parametrize(
    ("interactions", "shell", "alpha", "all_lithium", "accessible"),
    [
        ([-0.1], 0, -0.044, 0.108, 0.54),
        ([-0.3], 0, -0.096, None, 0.0),
        ([0.0, -0.3], 1, -0.152, 0.131, 0.81),
    ],
)
def test_short_range_order_decides_what_is_accessible(
    interactions: list[float],
    shell: int,
    alpha: float,
    all_lithium: float | None,
    accessible: float,
) -> None:
    """6,912 cations of Li1.2; E/kT is the sum of J over unlike pairs."""
    model = LatticeModel.from_pairs(
        "rocksalt", {("Li", "Mn"): [value * KT for value in interactions]}
    )
    orders, shares, full = [], [], []
    for seed in range(3):
        run = lattice_monte_carlo(
            model, LI12, 12, temperature=KELVIN, sweeps=40, seed=seed
        )
        found = accessible_carriers(run.structure)
        orders.append(run.warren_cowley["Li", "Mn"][shell])
        shares.append(found.fraction)
        full.append(found.tetrahedra[4])
        assert run.equilibrated
    assert np.mean(orders) == pytest.approx(alpha, abs=0.01)
    assert np.mean(shares) == pytest.approx(accessible, abs=0.08)
    if all_lithium is not None:
        assert np.mean(full) == pytest.approx(all_lithium, abs=0.005)


@pytest.mark.physics
def test_fluorine_that_metals_repel_is_surrounded_by_lithium() -> None:
    mix = {"cation": {"Li": 0.6, "Mn": 0.4}, "anion": {"O": 0.9, "F": 0.1}}
    model = LatticeModel.from_pairs("rocksalt", {("Mn", "F"): [2.5 * KT]})
    run = lattice_monte_carlo(model, mix, 8, temperature=KELVIN, sweeps=60)
    probability = 0.6 * (1 - run.warren_cowley["Li", "F"][0])
    assert 6 * probability > 5.5


@pytest.mark.physics
def test_averages_of_a_small_cell_are_the_exact_ones() -> None:
    """16 cations, 8 of each kind: all 12,870 decorations are summed."""
    mix = {"cation": {"Li": 0.5, "Mn": 0.5}}
    size = (2, 2, 1)
    model = LatticeModel.from_pairs("fcc", {("Li", "Mn"): [0.04, -0.02]})
    start = lattice_cell("fcc", mix, size)
    found = lattice_sites(start)
    tables = model.tables(found.torus, "fcc", ["Li", "Mn"], has_anions=False)
    energies = []
    for chosen in combinations(range(16), 8):
        species = np.ones(16, dtype=np.int64)
        species[list(chosen)] = 0
        energies.append(pair_energy(*tables, species))
    exact = np.array(energies)
    weights = np.exp(-(exact - exact.min()) / (BOLTZMANN * 600))
    mean = float((weights * exact).sum() / weights.sum())
    run = lattice_monte_carlo(model, mix, size, temperature=600, sweeps=20_000, seed=5)
    assert run.equilibrated
    error = correlated_error(run.energies)
    assert abs(run.energies.mean() - mean) < 3 * error
    assert error < 0.01


def test_the_energy_of_a_run_is_that_of_its_cell() -> None:
    mix = {"cation": {"Li": 0.6, "Mn": 0.2, "Ti": 0.2}, "anion": {"O": 0.9, "F": 0.1}}
    pairs = {("Li", "Mn"): [0.01, 0.002], ("Ti", "F"): [0.05], ("O", "F"): [0, 0.03]}
    model = LatticeModel.from_pairs("rocksalt", pairs)
    run = lattice_monte_carlo(model, mix, 4, temperature=1500, sweeps=5, seed=3)
    assert model.energy(run.structure) == pytest.approx(run.energies[-1], abs=1e-9)
    assert run.structure.composition == lattice_cell("rocksalt", mix, 4).composition
    again = lattice_monte_carlo(model, mix, 4, temperature=1500, sweeps=5, seed=3)
    assert again.structure == run.structure


def test_unlike_pairs_are_counted_once_with_their_images() -> None:
    mix = {"cation": {"Li": 0.5, "Mn": 0.5}, "anion": {"O": 1}}
    layered = lattice_cell("layered", mix, 1)
    model = LatticeModel.from_pairs("rocksalt", {("Li", "Mn"): [1.0]})
    assert model.energy(layered) == pytest.approx(3 * 6)  # 6 unlike for each of 3 Li
    between = LatticeModel.from_pairs("rocksalt", {("Li", "O"): [0.0, 1.0]})
    assert between.energy(layered) == pytest.approx(3 * 8)
    assert lattice_sites(layered).vectors is FCC


def test_a_start_is_kept_where_nothing_is_accepted() -> None:
    mix = {"cation": {"Li": 0.5, "Mn": 0.5}, "anion": {"O": 1}}
    model = LatticeModel.from_pairs("rocksalt", {("Li", "Mn"): [0.0, -5.0]})
    start = lattice_cell("layered", mix, 2)
    run = lattice_monte_carlo(
        model, mix, 2, temperature=10, sweeps=3, start=start, seed=1
    )
    assert run.acceptance == 0
    assert not run.equilibrated
    assert warren_cowley(run.structure) == warren_cowley(start)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(OrderingError, match="each unlike pair of species once"):
        LatticeModel.from_pairs("rocksalt", {("Li", "Li"): [1.0]})
    with pytest.raises(OrderingError, match="each unlike pair of species once"):
        LatticeModel.from_pairs("fcc", {("Li", "Mn"): [1.0], ("Mn", "Li"): [1.0]})
    with pytest.raises(OrderingError, match="no Bravais lattice"):
        LatticeModel.from_pairs("nasicon", {})
    model = LatticeModel.from_pairs("rocksalt", {("Li", "Mn"): [1.0]})
    for temperature, sweeps in ((0, 1), (-5, 1), (300, 0)):
        with pytest.raises(OrderingError, match="both must be positive"):
            lattice_monte_carlo(model, LI12, 2, temperature=temperature, sweeps=sweeps)


def test_errors_of_correlated_series_are_not_too_small() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(size=4096)
    slow = np.convolve(noise, np.ones(32) / 32, mode="valid")
    naive = slow.std(ddof=1) / np.sqrt(len(slow))
    assert correlated_error(slow) > 3 * naive
    assert correlated_error(noise) == pytest.approx(1 / 64, rel=0.3)
    assert halves_agree(slow)
    assert not halves_agree(np.concatenate([slow, slow + 1]))
