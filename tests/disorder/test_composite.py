"""Conductivity of mixtures: laminates, bounds, refusals."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.disorder import effective_conductivity
from hts_battery.errors import OrderingError


@pytest.mark.physics
@pytest.mark.parametrize(("axis", "right"), [(0, 20 / 11), (1, 5.5), (2, 5.5)])
def test_laminates(axis: int, right: float) -> None:
    layers = np.zeros((6, 4, 5), dtype=int)
    layers[::2] = 1
    found = effective_conductivity(layers, [1, 10], model="voxels", axis=axis)
    assert found == pytest.approx(right, rel=1e-9)
    assert effective_conductivity([0.5, 0.5], [1, 10], model="series") == (
        pytest.approx(20 / 11)
    )
    assert effective_conductivity([0.5, 0.5], [1, 10], model="parallel") == 5.5


@given(st.floats(0.001, 0.999), st.floats(-6, 6), st.floats(-6, 6))
def test_the_order_of_the_models(share: float, first: float, second: float) -> None:
    """Series, lower bound, effective medium, upper bound, parallel."""
    fractions, sigmas = [share, 1 - share], [10**first, 10**second]
    lower, upper = effective_conductivity(fractions, sigmas, model="hashin-shtrikman")
    values = [
        effective_conductivity(fractions, sigmas, model="series"),
        lower,
        effective_conductivity(fractions, sigmas, model="bruggeman"),
        upper,
        effective_conductivity(fractions, sigmas, model="parallel"),
    ]
    for smaller, larger in pairwise(values):
        assert smaller <= larger * (1 + 1e-6)


def test_random_voxels_lie_between_wieners_bounds() -> None:
    voxels = (np.random.default_rng(0).random((14, 14, 14)) < 0.4).astype(int)
    share = voxels.mean()
    found = effective_conductivity(voxels, [1, 20], model="voxels")
    fractions = [1 - share, share]
    assert effective_conductivity(fractions, [1, 20], model="series") < found
    assert found < effective_conductivity(fractions, [1, 20], model="parallel")


def test_an_insulator_carries_nothing_and_islands_do_not_matter() -> None:
    voxels = np.zeros((5, 5, 5), dtype=int)
    voxels[:, 2, 2] = 1
    assert effective_conductivity(voxels, [0, 5], model="voxels") == pytest.approx(0.2)
    voxels[2, 2, 2] = 0
    voxels[0, 0, 0] = 1  # touches one plate only
    assert effective_conductivity(voxels, [0, 5], model="voxels") == 0
    assert effective_conductivity([0.5, 0.5], [0, 1], model="series") == 0
    assert effective_conductivity([0.9, 0.1], [0, 1], model="bruggeman") == 0
    assert effective_conductivity([0.5, 0.5], [0, 1], model="bruggeman") == (
        pytest.approx(0.25)  # 1 - 3/2 of what does not conduct
    )
    assert effective_conductivity([0.5, 0.5], [0, 1], model="hashin-shtrikman")[0] == 0


def test_many_voxels_are_solved_by_iteration() -> None:
    layers = np.zeros((40, 25, 25), dtype=int)
    layers[20:] = 1
    found = effective_conductivity(layers, [1, 10], model="voxels")
    assert found == pytest.approx(20 / 11, rel=1e-6)


@pytest.mark.parametrize(
    ("fractions", "sigmas", "model", "message"),
    [
        ([0.5, 0.4], [1, 2], "parallel", "add up to one"),
        ([0.5, 0.5], [1], "parallel", "2 fractions and 1 conductivities"),
        ([0.5, 0.5], [1, -2], "parallel", "at least zero"),
        ([0.5, 0.5], [1, 2], "maxwell", "no model 'maxwell'"),
        ([0.5, 0.5], [1, 2], "voxels", "three-dimensional array"),
        (np.full((2, 2, 2), 2), [1, 2], "voxels", "run from 2 to 2, with 2"),
    ],
)
def test_what_cannot_be_is_refused(
    fractions: object, sigmas: list[float], model: str, message: str
) -> None:
    with pytest.raises(OrderingError, match=message):
        effective_conductivity(fractions, sigmas, model=model)
    with pytest.raises(OrderingError, match="axis 3"):
        effective_conductivity(
            np.zeros((2, 2, 2), dtype=int), [1], model="voxels", axis=3
        )
