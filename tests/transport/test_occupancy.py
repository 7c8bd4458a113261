"""Ions on planted sites with planted jumps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase.io.cube import read_cube_data

from hts_battery.errors import TrajectoryError
from hts_battery.transport.occupancy import (
    jumps_between,
    place_density,
    site_occupation,
    site_visits,
    write_cube,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CELL = np.array([[24.0, 0, 0], [0, 9, 0], [1.0, 0, 9]])
SITES = np.stack([np.arange(8) / 8, np.zeros(8), np.zeros(8)], axis=1)
LABELS = ["6b", "18e"] * 4


def trajectory(
    visits: NDArray[np.int64], seed: int = 0, amplitude: float = 0.2
) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    noise = amplitude * random.normal(size=(*visits.shape, 3)) @ np.linalg.inv(CELL)
    return SITES[visits] + noise + random.integers(-2, 3, (*visits.shape, 3))


def markov(frames: int, ions: int, rates: tuple[float, float]) -> NDArray[np.int64]:
    """Ions far from each other hop between even and odd sites of a pair."""
    random = np.random.default_rng(1)
    state = np.zeros((frames, ions), dtype=int)
    for frame in range(1, frames):
        before = state[frame - 1]
        hop = random.random(ions) < np.array(rates)[before]
        state[frame] = np.where(hop, 1 - before, before)
    return state + 2 * np.arange(ions)


def test_occupancy_residence_and_jumps_of_a_planted_process() -> None:
    visits = markov(8000, 4, (0.01, 0.03))
    found = site_occupation(
        trajectory(visits), CELL, SITES, LABELS, time_step=10.0, window=1.0
    )
    sodium = {kind.label: kind for kind in found.kinds}
    error = 4 * sodium["6b"].occupancy_error
    assert sodium["6b"].occupancy == pytest.approx(0.75, abs=error)
    assert sodium["6b"].residence_time == pytest.approx(1000, rel=0.2)
    assert sodium["18e"].residence_time == pytest.approx(333, rel=0.2)
    planted = int((np.diff(visits, axis=0) != 0).sum())
    assert found.jumps["6b"]["18e"] + found.jumps["18e"]["6b"] == planted
    assert found.jumps["6b"]["6b"] == 0
    assert found.concerted_share == pytest.approx(found.concerted_by_chance, abs=0.05)
    assert found.unassigned == 0


def test_concerted_jumps_are_told_from_chance() -> None:
    """Two neighbours always jump together, half a picosecond apart at most."""
    random = np.random.default_rng(2)
    visits = np.zeros((4000, 2), dtype=int)
    toggle = np.cumsum(random.random(4000) < 0.005) % 2
    visits[:, 0] = toggle
    visits[:, 1] = 2 + np.roll(toggle, 3)
    found = site_occupation(
        trajectory(visits), CELL, SITES, LABELS, time_step=10.0, window=50.0,
        distance=7.0,
    )  # fmt: skip
    assert found.concerted_share is not None
    assert found.concerted_by_chance is not None
    assert found.concerted_share > 0.9
    assert found.concerted_by_chance < 0.3


def test_thousands_of_jumps_of_a_crowd_in_an_oblique_cell() -> None:
    """A table of all pairs of jumps and their images would not fit into memory."""
    random = np.random.default_rng(4)
    cell = np.array([[20.0, 0, 0], [8, 18, 0], [-7, 6, 17]])
    grid = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    hops = np.eye(3, dtype=int)[random.integers(3, size=(2500, 20))]
    hops *= random.choice([-1, 0, 1], (2500, 20, 1), p=[0.05, 0.9, 0.05])
    places = np.cumsum(hops, axis=0)
    away = 0.15 * random.normal(size=places.shape) @ np.linalg.inv(cell)
    found = site_occupation(
        places / 4 + away, cell, grid / 4, ["o"] * 64, time_step=10.0, window=20.0
    )
    assert found.jumps["o"]["o"] == np.abs(hops[1:]).sum() > 4500
    assert found.concerted_share == pytest.approx(found.concerted_by_chance, abs=0.03)


def test_who_turns_round_half_way_has_not_jumped() -> None:
    places = np.array([0.0, 0.05, 0.07, 0.02, 0.0])[:, None, None] * [1, 0, 0]
    visits = site_visits(places, CELL, SITES, core_radius=0.8)
    assert visits[:, 0].tolist() == [0] * 5
    assert jumps_between(visits) == []
    lost = site_visits(places + np.array([0, 0.4, 0]), CELL, SITES, core_radius=0.8)
    assert set(lost[:, 0].tolist()) == {-1}
    found = site_occupation(places, CELL, SITES, LABELS, time_step=1.0)
    assert found.concerted_share is None
    assert found.kinds[0].residence_time is None


def test_a_density_is_a_cube_file(tmp_path: Path) -> None:
    ways = trajectory(markov(400, 3, (0.1, 0.1)))
    density = place_density(ways, CELL, spacing=0.5)
    volume = abs(np.linalg.det(CELL))
    assert density.mean() * volume == pytest.approx(3)
    write_cube(tmp_path / "na.cube", density, CELL, "sodium")
    values, atoms = read_cube_data(str(tmp_path / "na.cube"))
    assert values == pytest.approx(density, abs=1e-4)
    assert atoms.cell.array == pytest.approx(CELL, abs=1e-3)


def test_cores_that_overlap_are_refused() -> None:
    with pytest.raises(TrajectoryError, match="half of 3"):
        site_visits(np.zeros((2, 1, 3)), CELL, SITES, core_radius=1.6)
    with pytest.raises(TrajectoryError, match=r"half of 9\.00"):
        site_visits(np.zeros((2, 1, 3)), CELL, SITES[:1], core_radius=4.6)
    with pytest.raises(TrajectoryError, match="above zero"):
        site_visits(np.zeros((2, 1, 3)), CELL, SITES, core_radius=0.0)
    with pytest.raises(TrajectoryError, match="7 labels for 8 sites"):
        site_occupation(np.zeros((2, 1, 3)), CELL, SITES, LABELS[1:], time_step=1.0)
