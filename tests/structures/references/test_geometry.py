"""Primitive cells by centring, for every centring the library uses."""

from __future__ import annotations

import pytest

from hts_battery.structures.references.geometry import (
    conventional_cell,
    primitive_cell,
)

CUBE = (5.0, 5.0, 5.0, 90, 90, 90)


@pytest.mark.parametrize(
    ("symbol", "cell", "factor"),
    [
        ("Pm-3m", CUBE, 1),
        ("Im-3m", CUBE, 2),
        ("Fm-3m", CUBE, 4),
        ("C2/m", (5.0, 4.0, 6.0, 90, 100, 90), 2),
        ("Ama2", (5.0, 4.0, 6.0, 90, 90, 90), 2),
        ("R-3m", (3.0, 3.0, 14.0, 90, 90, 120), 3),
    ],
)
def test_centring_divides_the_cell(
    symbol: str, cell: tuple[float, ...], factor: int
) -> None:
    whole = conventional_cell(symbol, cell, ["Na"], [(0, 0, 0)])
    part = primitive_cell(whole, symbol)
    assert len(whole) == factor * len(part)
    assert whole.volume == pytest.approx(factor * part.volume)
    assert whole.distance_matrix.max() >= 0
