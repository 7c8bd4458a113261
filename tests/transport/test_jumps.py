"""Jumps are counted, and who never jumped is told from who might."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from walkers_of_ions import JUMP, random_walk, vibrations

from hts_battery.transport.jumps import count_jumps, most_jumps, never_moved


@given(st.lists(st.integers(1, 90), max_size=12, unique=True), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_planted_jumps_are_counted(when: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    ways = vibrations(random, (100, 2, 3), 0.1)
    for frame in when:
        ways[frame:, 1, random.integers(3)] += JUMP * random.choice([-1, 1])
    assert count_jumps(ways, JUMP).tolist() == [0, len(when)]


def test_a_plain_loop_counts_the_same() -> None:
    ways = random_walk(np.random.default_rng(1), jumps=900, ions=6, frames=500)
    plain = []
    for ion in range(6):
        place, count = ways[0, ion], 0
        for here in ways[1:, ion]:
            length = np.linalg.norm(here - place)
            if length > 0.6 * JUMP:
                place, count = here, count + max(round(length / JUMP), 1)
        plain.append(count)
    assert count_jumps(ways, JUMP).tolist() == plain


def test_a_few_that_rattle_do_not_make_the_others_immobile() -> None:
    assert not never_moved(np.array([0] * 14 + [2, 2, 2, 2, 2, 3])).any()
    assert not never_moved(np.zeros(5, dtype=int)).any()
    assert never_moved(np.array([0] * 6 + [30] * 6)).sum() == 6


def test_the_bound_of_a_count() -> None:
    assert most_jumps(2) == pytest.approx(6.296, abs=1e-3)
