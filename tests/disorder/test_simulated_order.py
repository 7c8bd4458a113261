"""Cells with a wanted order: known behaviour, what misleads, refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from hts_battery.disorder import (
    LatticeModel,
    accessible_carriers,
    lattice_monte_carlo,
    warren_cowley,
)
from hts_battery.disorder.monte_carlo import BOLTZMANN
from hts_battery.disorder.simulated_order import (
    FLUORINE_REPULSION,
    read_pair_energies,
    simulated_order,
)
from hts_battery.errors import OrderingError

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.filterwarnings("ignore:.*not charge balanced")
QUICK = {"size": 4, "cells": 2, "attempts": 20}
LI12 = {"cation": {"Li": 0.6, "Mn": 0.4}, "anion": {"O": 1}}
KELVIN = 1000.0


@pytest.mark.physics
@pytest.mark.long
@pytest.mark.parametrize(
    ("energies", "shell", "alpha", "four", "accessible"),
    [
        ([-0.1], 0, -0.044, 0.108, 0.54),
        ([-0.3], 0, -0.096, None, 0.0),
        ([0.0, -0.3], 1, -0.152, 0.131, 0.81),
    ],
)
def test_known_behaviour_of_ten_cells(
    energies: list[float], shell: int, alpha: float, four: float, accessible: float
) -> None:
    """6,912 cations of Li1.2, 300 swaps a site, each within 0.03 (issue 19)."""
    model = LatticeModel.from_pairs(
        "rocksalt", {("Li", "Mn"): [J * BOLTZMANN * KELVIN for J in energies]}
    )
    orders, shares, full = [], [], []
    for seed in range(10):
        run = lattice_monte_carlo(
            model, LI12, 12, temperature=KELVIN, sweeps=150, seed=seed
        )
        found = accessible_carriers(run.structure)
        orders.append(warren_cowley(run.structure)["Li", "Mn"][shell])
        shares.append(found.fraction)
        full.append(found.tetrahedra[4])
    assert np.mean(orders) == pytest.approx(alpha, abs=0.03)
    assert np.mean(shares) == pytest.approx(accessible, abs=0.03)
    if four is not None:
        assert np.mean(full) == pytest.approx(four, abs=0.03)


@pytest.mark.physics
def test_four_lithium_alone_mislead() -> None:
    """Order in the second shell leaves Li4 and changes what is accessible."""
    kept = simulated_order(1.2, energies={("Li", "M"): [0, -0.3]}, cells=2, attempts=60)
    assert kept.li4 == pytest.approx(kept.li4_random, abs=0.005)
    assert kept.accessible == pytest.approx(0.81, abs=0.03)
    assert kept.alpha["Li-M"][1] == pytest.approx(-0.152, abs=0.01)
    gone = simulated_order(1.2, energies={("Li", "M"): [-0.3]}, cells=2, attempts=60)
    assert (gone.accessible, gone.wrap_probability) == (0, 0)
    assert gone.li4 > 0.05
    assert gone.alpha["Li-M"][0] == pytest.approx(-0.096, abs=0.01)
    assert gone.sites == 6912


@pytest.mark.physics
@pytest.mark.long
def test_accessible_lithium_is_not_monotonic_in_fluorine() -> None:
    """Metals that repel F by 2.5 kT: more than 5.5 Li around it; up, down, up."""
    none, some, more, most = (
        simulated_order(1.3, y, energies=FLUORINE_REPULSION, cells=4)
        for y in (0, 0.2, 0.4, 0.8)
    )
    assert none.accessible < some.accessible
    assert more.accessible < some.accessible - 0.03
    assert most.accessible > more.accessible + 0.05
    assert none.li_around_f is None
    assert all((one.li_around_f or 0) > 5.5 for one in (some, more, most))
    fours = [one.li4 for one in (none, some, more, most)]
    assert fours == sorted(fours)  # all the while Li4 only grows


@pytest.mark.physics
def test_fluorine_is_surrounded_by_lithium() -> None:
    found = simulated_order(
        1.3, 0.2, energies=FLUORINE_REPULSION, size=8, cells=2, attempts=60
    )
    assert (found.li_around_f or 0) > 5.5
    assert found.alpha["M-F"][0] > 0.7


def test_without_energies_a_cell_is_random() -> None:
    found = simulated_order(1.0, 0.5, energies={}, size=8, cells=4)
    for pair, values in found.alpha.items():
        errors = np.array(found.alpha_errors[pair])
        assert np.all(np.abs(values) < 5 * errors + 2 / found.sites), pair
    assert found.li4 == pytest.approx(found.li4_random, abs=0.01)
    assert found.li_around_f == pytest.approx(3, abs=0.2)


def test_the_same_seed_gives_the_same_cells() -> None:
    first, again, other = (
        simulated_order(1.2, 0.2, energies={("M", "F"): [1]}, seed=seed, **QUICK)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first.alpha != other.alpha
    assert first.energies == {"M-F": (1.0,)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulated_order(2.2, energies={}), "between 0 and 2"),
        (lambda: simulated_order(1, -0.1, energies={}), "between 0 and 2"),
        (lambda: simulated_order(1, energies={}, rule="nearest"), "rule 'nearest' of"),
        (lambda: simulated_order(1, energies={}, cells=1), "two cells"),
        (lambda: simulated_order(1, energies={("Li", "Mn"): [1]}), "no Mn in a"),
        (lambda: simulated_order(1, energies={("M", "M"): [1]}), "unlike pair"),
        (lambda: read_pair_energies(["Li-M"]), "write it as Li-M:-0.1"),
        (lambda: read_pair_energies(["Li-M:x"]), "write it as Li-M:-0.1"),
        (lambda: read_pair_energies(["Li-M:nan"]), "write it as Li-M:-0.1"),
        (lambda: read_pair_energies(["Li-M:1", "M-Li:2"]), "M-Li is given twice"),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(OrderingError, match=message):
        call()


@pytest.mark.parametrize("amounts", [(0.0, 0.0), (2.0, 2.0), (0.0, 1.0)])
def test_one_species_on_a_sublattice_is_no_failure(
    amounts: tuple[float, float],
) -> None:
    found = simulated_order(*amounts, energies=FLUORINE_REPULSION, **QUICK)
    assert found.accessible == (1.0 if amounts[0] else 0.0)
