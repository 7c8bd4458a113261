"""Elements as bits, groups of systems, bases that are kept: against plain sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.thermo.envelope import (
    Envelope,
    KnownBases,
    by_system,
    contained,
    element_words,
    pure_phases,
)
from hts_battery.thermo.simplex import Bases, Problems, lowest_mixture, solve_batch

COLUMNS = 70  # more than one word of bits
SYSTEMS = st.lists(
    st.frozensets(st.integers(0, COLUMNS - 1), min_size=1, max_size=5),
    min_size=1,
    max_size=12,
)


def rows_of(systems: list[frozenset[int]]) -> np.ndarray:
    rows = np.zeros((len(systems), COLUMNS))
    for number, system in enumerate(systems):
        rows[number, sorted(system)] = 1 / len(system)
    return rows


@given(SYSTEMS, SYSTEMS)
def test_what_lies_inside_a_system_is_what_sets_say(
    references: list[frozenset[int]], systems: list[frozenset[int]]
) -> None:
    found = contained(
        element_words(rows_of(references)), element_words(rows_of(systems))
    )
    assert found.tolist() == [
        [reference <= system for reference in references] for system in systems
    ]


@given(SYSTEMS)
def test_compositions_are_grouped_by_their_elements(
    systems: list[frozenset[int]],
) -> None:
    words = element_words(rows_of(systems))
    groups = by_system(words, np.arange(len(systems)))
    assert sorted(np.concatenate(list(groups.values()))) == list(range(len(systems)))
    for key, numbers in groups.items():
        assert {systems[number] for number in numbers} == {systems[numbers[0]]}
        assert key == words[numbers[0]].tobytes()
    assert len(groups) == len(set(systems))


def test_nothing_is_grouped_into_nothing() -> None:
    none = np.zeros(0, dtype=np.intp)
    assert by_system(np.zeros((0, 1), dtype=np.int64), none) == {}


def test_the_lowest_polymorph_of_an_element_is_its_reference() -> None:
    fractions = np.array([[1, 0], [1, 0], [0.5, 0.5]])
    assert pure_phases(fractions, np.array([-1.0, -1.5, -3.0])).tolist() == [1, -1]


@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.integers(1, 6), st.floats(-3, 0)),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 9),
)
def test_the_batch_gives_what_highs_gives(
    phases: list[tuple[int, int, float]], share: int
) -> None:
    fractions = np.array([[a / (a + b), b / (a + b)] for a, b, _ in phases])
    energies = np.array([energy for *_, energy in phases])
    target = np.array([share / 10, 1 - share / 10])
    ends = np.eye(2)
    exact = lowest_mixture(
        np.concatenate([fractions, ends]), np.array([*energies, 0.0, 0.0]), target
    )
    batch = solve_batch(
        Problems(fractions[None], energies[None], target[None], np.zeros((1, 2)))
    )
    assert exact is not None
    assert batch.solved[0]
    assert batch.potentials[0] @ target == pytest.approx(exact.energy, abs=1e-9)
    envelope = Envelope(
        np.concatenate([fractions, ends]), np.array([*energies, 0.0, 0.0])
    )
    found = envelope.solve(np.array([target, [0.5, 0.4]]))
    assert found.energies[0] == pytest.approx(exact.energy, abs=1e-9)
    assert np.isnan(found.energies[1])  # no composition: adds up to 0.9


def test_no_phases_make_no_mixture() -> None:
    assert lowest_mixture(np.zeros((0, 1)), np.zeros(0), np.ones(1)) is None
    only = lowest_mixture(np.array([[1.0, 0.0]]), np.zeros(1), np.array([0.5, 0.5]))
    assert only is None


def test_a_system_keeps_no_more_bases_than_pay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hts_battery.thermo.envelope._KEPT_BASES", 3)
    known, words = KnownBases(), np.ones((2, 1), dtype=np.int64)
    bases = Bases(
        phases=np.array([[0], [1]]),
        amounts=np.ones((2, 1)),
        potentials=np.array([[-1.0], [-2.0]]),
        inverses=np.ones((2, 1, 1)),
        solved=np.ones(2, dtype=bool),
    )
    for _ in range(3):
        known.keep(words, bases)
    (key,) = by_system(words[:1], np.arange(1))
    assert known.count(key) == 3
    assert known.count(b"another") == 0
    answered, found = known.answer(key, np.ones((4, 1)), skip=1)
    assert answered.all()
    assert found.amounts.tolist() == [[1.0]] * 4
