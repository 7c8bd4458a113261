from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hts_battery.errors import OrderingError
from hts_battery.structures import electrostatic
from hts_battery.structures.electrostatic import (
    ChargeProblem,
    ChargeSwaps,
    arrangements,
    lowest_charge_orders,
    whole_energies,
)


def problem(seed: int, *, sites: int = 9, scale: float = 1.0) -> ChargeProblem:
    """Two sublattices, one of three charges, and sites of fixed charge."""
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(sites, sites)) * scale
    background = np.zeros(sites)
    background[6:] = -2
    groups = (
        (np.array([0, 3, 1, 5]), ((0, 1), (1, 1), (3, 2))),
        (np.array([2, 4]), ((-1, 1), (2, 1))),
    )
    return ChargeProblem(whole_energies(matrix + matrix.T), background, groups)


def energy(matrix: np.ndarray, charges: np.ndarray) -> float:
    return float(charges @ matrix @ charges)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_enumeration_finds_every_arrangement_once_in_order(seed: int) -> None:
    given_problem = problem(seed)
    orders = lowest_charge_orders(given_problem, swaps=0, seed=0)
    assert orders.exact
    assert orders.tried == len(orders.charges) == 12 * 2
    expected = []
    first, second = (sites for sites, _ in given_problem.groups)
    for one, other in product(
        set(permutations([0, 1, 3, 3])), set(permutations([-1, 2]))
    ):
        charges = given_problem.background.copy()
        charges[first], charges[second] = one, other
        expected.append((energy(given_problem.matrix, charges), tuple(charges)))
    found = zip(orders.energies, map(tuple, orders.charges), strict=True)
    assert sorted(found) == sorted(expected)
    assert (np.diff(orders.energies) >= 0).all()


@given(seed=st.integers(0, 1000), swaps=st.integers(0, 3000))
@settings(max_examples=20, deadline=None)
def test_updates_agree_exactly_with_recomputation(seed: int, swaps: int) -> None:
    given_problem = problem(seed)
    search = ChargeSwaps(given_problem, seed=seed)
    everyone = np.arange(len(search.scores))
    for step in range(swaps % 20):
        costs = search.costs(everyone)
        chosen = (everyone * 5 + step) % costs.shape[1]
        allowed = np.isfinite(costs[everyone, chosen])
        rows = everyone[allowed]
        search.swap(rows, chosen[allowed], costs[rows, chosen[allowed]])
    search.run(swaps)
    search.quench()
    assert np.array_equal(search.potentials, search.arrangements @ search.matrix)
    for charges, found in zip(search.arrangements, search.scores, strict=True):
        assert energy(search.matrix, charges) == found
        assert sorted(charges[[0, 1, 3, 5]]) == [0, 1, 3, 3]
    # No swap lowers any replica.
    assert (search.costs(everyone) >= 0).all()


@pytest.mark.parametrize("seed", range(8))
def test_the_search_finds_what_enumeration_proves(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_problem = problem(seed)
    certain = lowest_charge_orders(given_problem, swaps=0, seed=0)
    monkeypatch.setattr(electrostatic, "EXACT_LIMIT", 0)
    searched = lowest_charge_orders(given_problem, swaps=10_000, seed=seed)
    assert not searched.exact
    assert 0 < searched.tried <= 10_000
    assert searched.energies[0] == certain.energies[0]


def test_arrangements_are_counted_by_the_multinomial() -> None:
    rows = arrangements((3, 2, 1, 1))
    assert len(rows) == 420
    assert len(np.unique(rows, axis=0)) == 420


def test_nearly_equal_energies_become_equal_whole_numbers() -> None:
    noise = np.array([[3.0, 1 / 3], [1 / 3 + 4e-9, 3.0 - 2e-12]])
    whole = whole_energies(noise)
    assert whole[0, 1] == whole[1, 0] == 333333335
    assert whole[0, 0] == whole[1, 1] == 3 * 10**9


def test_energies_beyond_exact_sums_are_refused() -> None:
    with pytest.raises(OrderingError, match="take a smaller cell"):
        lowest_charge_orders(problem(0, scale=1e5), swaps=1, seed=0)
