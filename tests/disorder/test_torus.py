"""Points of a supercell of any shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.disorder.torus import torus

rows = st.lists(st.integers(-4, 4), min_size=3, max_size=3)
matrices = st.lists(rows, min_size=3, max_size=3).filter(
    lambda matrix: round(np.linalg.det(np.array(matrix))) != 0
)


@given(matrices, st.lists(rows, min_size=1, max_size=5))
def test_a_point_is_its_number_and_its_copy(
    matrix: list[list[int]], points: list[list[int]]
) -> None:
    cell = torus(matrix)
    assert cell.size == abs(round(np.linalg.det(np.array(matrix))))
    listed = cell.points()
    numbers, copies = cell.locate(listed)
    assert numbers.tolist() == list(range(cell.size))
    assert not copies.any()
    asked = np.array(points)
    numbers, copies = cell.locate(asked)
    assert np.array_equal(listed[numbers] + copies @ cell.matrix, asked)


def test_flat_vectors_span_nothing() -> None:
    with pytest.raises(ValueError, match="span no volume"):
        torus([[1, 0, 0], [2, 0, 0], [0, 0, 1]])
