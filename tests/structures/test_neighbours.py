from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from hts_battery.structures.neighbours import (
    lattice_points_within,
    lattice_vectors,
    minimum_image_vectors,
    neighbour_pairs,
    structure_pairs,
    wrapped,
)


def skew(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    lattice = 4 * np.eye(3) + random.uniform(-1.5, 1.5, (3, 3))
    return lattice, random.uniform(-1, 2, (3, 3))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_pairs_are_those_of_a_search_through_all_images(seed: int) -> None:
    lattice, sites = skew(seed)
    images = np.array(list(product(range(-6, 7), repeat=3)))
    ends = sites[None, :, None, :] + images - sites[:, None, None, :]
    lengths = np.linalg.norm(ends @ lattice, axis=-1)
    i, j, k = np.nonzero((lengths < 5) & (lengths > 1e-9))
    pairs = neighbour_pairs(lattice, sites, 5)
    assert np.array_equal(pairs.first, i)
    assert np.array_equal(pairs.second, j)
    assert np.array_equal(pairs.images, images[k])
    assert pairs.lengths == pytest.approx(lengths[i, j, k])
    some = neighbour_pairs(lattice, sites, 5, sites=[0, 2])
    assert np.array_equal(some.lengths, pairs.lengths[pairs.first != 1])


def test_two_atoms_in_one_place_are_a_pair() -> None:
    twice = Structure(Lattice.cubic(5), ["Li", "Li"], [[0, 0, 0], [0, 0, 1]])
    pairs = structure_pairs(twice, 1)
    assert pairs.first.tolist() == [0, 1]
    assert pairs.lengths.tolist() == [0, 0]


def test_nothing_within_reach_is_an_empty_list() -> None:
    assert len(neighbour_pairs(5 * np.eye(3), np.zeros((1, 3)), 1).first) == 0


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_lattice_vectors_come_in_opposite_pairs_and_reach_as_far(seed: int) -> None:
    lattice, sites = skew(seed)
    vectors = lattice_vectors(lattice, 9)
    assert vectors == pytest.approx(-vectors[::-1])
    rows, lengths = lattice_points_within(lattice, sites @ lattice, 4)
    images = lattice_vectors(lattice, 40)
    for number, site in enumerate(sites @ lattice):
        all_lengths = np.linalg.norm(images - site, axis=1)
        expected = np.sort(all_lengths[all_lengths < 4])
        assert np.sort(lengths[rows == number]) == pytest.approx(expected)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_minimum_image_vectors_are_the_shortest(seed: int) -> None:
    random = np.random.default_rng(seed)
    lattice = 5 * np.eye(3) + random.uniform(-1.5, 1.5, (3, 3))
    start, end = random.random((2, 3))
    steps = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3), axis=-1).reshape(-1, 3)
    shortest = np.linalg.norm((end - start + steps) @ lattice, axis=1).min()
    found = minimum_image_vectors(lattice, start, end)
    assert np.linalg.norm(found) == pytest.approx(shortest)


def test_what_rounds_up_to_one_is_zero() -> None:
    found = wrapped(np.array([-1e-17, 1.0, -0.25, 3.5]))
    assert found.tolist() == [0.0, 0.0, 0.75, 0.5]
