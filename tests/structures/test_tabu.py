from __future__ import annotations

from itertools import combinations

import numpy as np

from hts_battery.structures.tabu import TabuSearch

TENURE = np.array([2])


class Line:
    """Numbers on a line; the score is the sum of steps between neighbours."""

    def __init__(self, numbers: list[int]) -> None:
        pairs = list(combinations(range(len(numbers)), 2))
        self.first, self.second = np.array(pairs).T
        self.arrangements = np.array([numbers], dtype=float)
        self.scores = self._score(self.arrangements)

    @staticmethod
    def _score(rows: np.ndarray) -> np.ndarray:
        return np.abs(np.diff(rows, axis=1)).sum(axis=1)

    def costs(self, rows: np.ndarray) -> np.ndarray:
        swapped = np.repeat(self.arrangements[rows], len(self.first), axis=0)
        every = np.arange(len(self.first))
        swapped[every, self.first] = self.arrangements[0, self.second]
        swapped[every, self.second] = self.arrangements[0, self.first]
        return (self._score(swapped) - self.scores)[None]

    def swap(self, rows: np.ndarray, chosen: np.ndarray, costs: np.ndarray) -> None:
        if len(rows):
            pair = [self.first[chosen[0]], self.second[chosen[0]]]
            self.arrangements[0, pair] = self.arrangements[0, pair[::-1]]
            self.scores = self.scores + costs


def test_it_climbs_out_of_a_minimum_and_keeps_the_best() -> None:
    # No swap improves this line, yet it is not sorted.
    line = Line([0, 3, 4, 2, 1])
    assert line.costs(np.array([0])).min() >= 0
    search = TabuSearch(line)
    for _ in range(30):
        search.advance(TENURE)
    assert search.descended.all()
    assert search.best[0] == 4
    assert 0 < search.improved < search.step == 30
    assert sorted(search.arrangements[0]) == [0, 1, 2, 3, 4]
    assert Line(search.arrangements[0].astype(int).tolist()).scores[0] == 4


def test_a_swap_that_is_barred_leaves_nothing_to_do() -> None:
    search = TabuSearch(Line([0, 1]))
    assert search.advance(TENURE)
    assert not search.advance(TENURE)
