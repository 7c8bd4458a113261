from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.compositions.sampling import (
    Draws,
    Stratum,
    distinct_indices,
    in_turns,
)

# 99.9th percentile of chi-square with 99 degrees of freedom.
CHI_SQUARE_99 = 148.2

FIRST = [568536224041, 574786845781, 604349831179]


def test_indices_stay_the_same_for_ever() -> None:
    assert list(distinct_indices(10**12, 3, seed=0)) == FIRST
    assert list(distinct_indices(10**12, 3, seed=1)) != FIRST


def test_indices_are_uniform_and_distinct() -> None:
    drawn = list(distinct_indices(10**9, 20_000, seed=7))
    assert len(set(drawn)) == len(drawn)
    bins = Counter(index // 10**7 for index in drawn)
    chi_square = sum((bins[place] - 200) ** 2 / 200 for place in range(100))
    assert chi_square < CHI_SQUARE_99


def test_every_order_of_a_small_set_is_equally_likely() -> None:
    orders = Counter(tuple(distinct_indices(3, 3, seed=seed)) for seed in range(3000))
    assert len(orders) == 6
    assert sum((n - 500) ** 2 / 500 for n in orders.values()) < 20.5  # 99.9 %, 5 d.o.f.


@given(total=st.integers(1, 200), count=st.integers(0, 200), seed=st.integers(0, 9))
def test_a_longer_sample_begins_with_the_shorter(
    total: int, count: int, seed: int
) -> None:
    if count > total:
        with pytest.raises(ValueError, match="cannot draw"):
            list(distinct_indices(total, count, seed))
        return
    drawn = list(distinct_indices(total, count, seed))
    assert len(set(drawn)) == count
    assert all(0 <= index < total for index in drawn)
    assert list(distinct_indices(total, count // 2, seed)) == drawn[: count // 2]


def test_a_draw_below_one_is_zero_and_large_bounds_work() -> None:
    draws = Draws(3)
    assert draws.below(1) == 0
    assert 0 <= draws.below(2**700 + 1) <= 2**700


@given(
    sizes=st.dictionaries(
        st.tuples(st.integers(0, 3), st.integers(0, 3)), st.integers(1, 9), min_size=1
    ),
    wanted=st.integers(0, 150),
)
def test_strata_take_turns_at_every_level(
    sizes: dict[tuple[int, int], int], wanted: int
) -> None:
    strata = {
        key: Stratum(str(key), size, lambda place, key=key: (*key, place))  # type: ignore[misc] # a mark for an index
        for key, size in sorted(sizes.items())
    }
    every = list(in_turns(strata, lambda one: one.draw(1)))
    assert len(set(every)) == len(every) == sum(sizes.values())
    drawn = every[:wanted]
    outer = Counter(one[0] for one in drawn)  # type: ignore[index] # as above
    total = Counter({first: 0 for first, _ in sizes})
    for (first, _), size in sizes.items():
        total[first] += size
    # Who gave fewer than another has nothing left, but for the turn that was cut short.
    for first in total:
        if outer[first] < total[first]:
            assert outer[first] >= max(outer.values(), default=0) - 1
    inner = Counter(one[:2] for one in drawn)  # type: ignore[index] # as above
    for key, size in sizes.items():
        if inner[key] < size:
            peers = [inner[other] for other in sizes if other[0] == key[0]]
            assert inner[key] >= max(peers) - 1
