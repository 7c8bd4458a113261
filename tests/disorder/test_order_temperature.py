"""Order-disorder temperatures: Ising lattices with known ones, exact free energies."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from hts_battery.disorder import LatticeModel, lattice_cell
from hts_battery.disorder.branches import (
    binder_crossing,
    free_energy_from_disorder,
)
from hts_battery.disorder.ground_state import (
    OrderParameter,
    enlarged,
    ground_state,
)
from hts_battery.disorder.monte_carlo import BOLTZMANN
from hts_battery.disorder.order_temperature import order_temperature
from hts_battery.errors import OrderingError

HALF = {"cation": {"Li": 0.5, "Mn": 0.5}}
UNLIKE = -0.1  # eV a pair
CUBIC = LatticeModel.from_pairs("simple_cubic", {("Li", "Mn"): [UNLIKE]})
EXACT = abs(UNLIKE) / BOLTZMANN / (2 * 0.22165)  # Ferrenberg & Landau

pytestmark = pytest.mark.filterwarnings("ignore:.*not charge balanced")


@pytest.mark.slow
@pytest.mark.physics
def test_binder_crossing_of_the_simple_cubic_lattice() -> None:
    """10.1103/PhysRevB.44.5081: 0.22165 for E = -J sum s s', L = 6 and 10."""
    unit = ground_state(CUBIC, HALF).structure
    states = [CUBIC.state(enlarged(unit, count, 0)) for count in (216, 1000)]
    assert [state.tables.cations for state in states] == [216, 1000]
    found = binder_crossing(
        states, np.linspace(0.97, 1.03, 7) * EXACT, sweeps=4_000, seed=1
    )
    assert found is not None
    assert found.value == pytest.approx(EXACT, rel=0.01)


@pytest.mark.long  # the Binder crossing above asks the same of one part of it
@pytest.mark.physics
def test_order_of_the_simple_cubic_lattice_goes_where_it_is_known_to() -> None:
    found = order_temperature(CUBIC, HALF, cations=1000, sweeps=100)
    assert found.method == "binder"
    assert found.value == pytest.approx(EXACT, rel=0.015)
    assert found.bracket[0] <= EXACT <= found.bracket[1]
    assert found.space_group == "Fm-3m (225)"
    assert found.ground_state_energy == pytest.approx(3 * UNLIKE)
    assert found.latent_heat is None


@pytest.mark.physics
def test_a_first_order_transition_is_where_free_energies_cross() -> None:
    """Face-centred cubic AB with unlike first neighbours: k T = 1.74 J (10.1103/\
PhysRevB.24.2701: 1.73 to 1.77), J half the energy of a pair."""
    model = LatticeModel.from_pairs("rocksalt", {("Li", "Mn"): [-0.03, 0.015]})
    mix = {**HALF, "anion": {"O": 1}}
    found = order_temperature(model, mix, cations=864, sweeps=60)
    assert found.space_group == "P4/mmm (123)"
    assert found.bracket[0] < found.bracket[1] < found.mean_field
    if found.value is None:
        assert found.reason
    else:
        assert found.method == "crossing"
        assert found.bracket[0] <= found.value <= found.bracket[1]
        assert found.latent_heat > 0


@pytest.mark.physics
@pytest.mark.parametrize("temperature", [600.0, 1500.0])
def test_the_free_energy_of_sixteen_sites_is_the_enumerated_one(
    temperature: float,
) -> None:
    model = LatticeModel.from_pairs("fcc", {("Li", "Mn"): [0.04, -0.02]})
    state = model.state(lattice_cell("fcc", HALF, (2, 2, 1)))
    energies = []
    for chosen in combinations(range(16), 8):
        species = np.ones(16, dtype=np.int64)
        species[list(chosen)] = 0
        energies.append(state.energy(species))
    kt = BOLTZMANN * temperature
    exact = np.array(energies)
    lowest = exact.min()
    total = np.log(np.exp(-(exact - lowest) / kt).sum()) - lowest / kt
    found = free_energy_from_disorder(state, temperature, sweeps=8_000, seed=2)
    assert found.value / kt == pytest.approx(-total / 16, abs=2e-3)
    assert 0 < found.error / kt < 1e-2  # an upper estimate


def test_an_order_parameter_is_one_in_every_variant_and_nothing_at_random() -> None:
    model = LatticeModel.from_pairs("rocksalt", {("Li", "Mn"): [-0.03, 0.02]})
    found = ground_state(model, {**HALF, "anion": {"O": 1}})
    state = model.state(enlarged(found.structure, 256, 1))
    order = OrderParameter(state)
    assert order.value(state.species) == pytest.approx(1)
    swapped = np.where(
        state.species[:256] == state.species[0], state.species[1], state.species[0]
    )
    chaos = np.random.default_rng(0).permutation(state.species[: state.tables.cations])
    assert order.value(chaos) < 0.05
    assert len(swapped) == 256


def test_what_has_no_order_is_refused() -> None:
    flat = LatticeModel.from_pairs("simple_cubic", {})
    with pytest.raises(OrderingError, match="nothing orders"):
        order_temperature(flat, HALF, cations=64, sweeps=16)
    odd = {"cation": {"Li": 0.4971, "Mn": 0.5029}}
    with pytest.raises(OrderingError, match="holds the composition exactly"):
        ground_state(CUBIC, odd)
