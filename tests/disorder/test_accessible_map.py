"""The map over lithium and fluorine, and the scan over order, with their figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.disorder.accessible_map import (
    Effort,
    accessible_map,
    map_rows,
    order_scan,
    two_by_two,
)
from hts_battery.disorder.order_figures import draw_composite, draw_map, draw_scan
from hts_battery.errors import OrderingError
from hts_battery.schemas.formula import parse_formula

if TYPE_CHECKING:
    from pathlib import Path

QUICK = Effort(size=4, cells=2, attempts=10)


def test_a_map_has_random_beside_simulated(tmp_path: Path) -> None:
    points = accessible_map([1.0, 1.3], [0.0, 0.4], {("M", "F"): (2.5,)}, QUICK)
    rows = map_rows(points)
    placed = [(row["lithium"], row["fluorine"]) for row in rows]
    assert placed == [(1.0, 0.0), (1.3, 0.0), (1.0, 0.4), (1.3, 0.4)]
    assert rows[0]["random"] == rows[2]["random"] == 0
    assert rows[1]["random"] == pytest.approx(0.841, abs=0.01)
    assert rows[2]["simulated"] > 0  # fluorine gathers lithium round it
    draw_map(points, tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 5_000
    with pytest.raises(OrderingError, match="needs amounts"):
        accessible_map([], [0.0], {}, QUICK)


def test_a_scan_goes_through_both_shells(tmp_path: Path) -> None:
    kept = {("M", "F"): (1.0,), ("Li", "M"): (9.0,)}
    shells = order_scan(1.2, 0.2, kept, QUICK, values=(-0.3, 0.0, 0.2))
    assert [len(one) for one in shells] == [3, 3]
    assert shells[1][0].energies == {"Li-M": (0.0, -0.3), "M-F": (1.0,)}
    for number, shell in enumerate(shells):
        alpha = [one.alpha["Li-M"][number] for one in shell]
        assert alpha == sorted(alpha)
    draw_scan(shells, tmp_path / "scan.png")
    assert (tmp_path / "scan.png").stat().st_size > 5_000


@pytest.mark.parametrize("slow", [0.0, 1e-6])
def test_a_composite_is_drawn(tmp_path: Path, slow: float) -> None:
    draw_composite(1e-3, slow, tmp_path / "mix.png")
    assert (tmp_path / "mix.png").stat().st_size > 5_000


def test_a_formula_is_taken_by_two_cations() -> None:
    assert two_by_two(parse_formula("Li13Mn7O17F3")) == (1.3, 0.3)
    assert two_by_two(parse_formula("NaMnO2")) == (1.0, 0.0)
    assert two_by_two(parse_formula("MnO"), "Li") == (0.0, 0.0)
    with pytest.raises(
        OrderingError, match="cations for 2 sites; order is simulated without"
    ):
        two_by_two(parse_formula("Li1.2Ti0.6O2"))
