"""Walkers whose diffusivity is known exactly: is the stated error the error?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from walkers_of_ions import JUMP, exact, exclusion, random_walk, vibrations

from hts_battery.errors import TrajectoryError
from hts_battery.transport import diffusivity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hts_battery.schemas.transport import Diffusivity

    Floats = NDArray[np.float64]

STEP = 100.0
SPREAD = {50: 0.17, 200: 0.085, 1000: 0.045, 5000: 0.035}
"""Jumps in a run → largest allowed relative standard deviation."""
CUBE = 16.0 * np.eye(3)
TRICLINIC = np.array([[16.0, 0, 0], [7.2, 15.0, 0], [-6.1, 5.3, 14.5]])


def measure(ways: Floats, **also: object) -> Diffusivity:
    given: dict[str, Any] = {"lattices": None, "mobile": range(24), "time_step": STEP}
    return diffusivity(ways, **(given | also))


def table(jumps: float, runs: int, seed: int = 0) -> tuple[float, float, float]:
    """Return mean, standard deviation and coverage over runs, relative to the truth."""
    random = np.random.default_rng(seed)
    truth = exact(jumps, step=STEP)
    found = [measure(random_walk(random, jumps=jumps)) for _ in range(runs)]
    read = [one for one in found if one.tracer is not None]
    assert len(read) >= 0.95 * runs
    values = np.array([one.tracer for one in read]) / truth
    low, high = np.array([one.tracer_interval for one in read]).T / truth
    covered = float(np.mean((low <= 1) & (high >= 1)))
    return float(values.mean()), float(values.std()), covered


def test_the_interval_covers_the_truth() -> None:
    mean, spread, covered = table(200, 100)
    assert mean == pytest.approx(1, abs=0.02)
    assert spread < SPREAD[200] * 1.1
    assert 0.90 <= covered <= 1


@pytest.mark.slow
@pytest.mark.parametrize("jumps", SPREAD)
def test_coverage_bias_and_scatter_of_300_runs(jumps: int) -> None:
    mean, spread, covered = table(jumps, 300, seed=jumps)
    # 300 runs alone scatter by the standard deviation over 17.
    assert mean == pytest.approx(1, abs=max(0.01, 2 * spread / 300**0.5))
    assert spread <= SPREAD[jumps]
    assert 0.92 <= covered <= 0.985


@pytest.mark.long
@pytest.mark.parametrize(
    "walk",
    [
        {"shares": (1, 1, 0.05)},
        {"vibration": 0.0},
        {"vibration": 0.3, "correlation": 3.0},
        {"correlation": 10.0},
        {"frames": 400},
    ],
    ids=["anisotropic", "no vibration", "soft", "slow vibration", "short"],
)
@pytest.mark.parametrize("jumps", [200, 1000])
def test_coverage_of_other_walks(jumps: int, walk: dict[str, Any]) -> None:
    random = np.random.default_rng(3)
    truth = exact(jumps, frames=walk.get("frames", 2001), step=STEP)
    inside = []
    for _ in range(300):
        found = measure(random_walk(random, jumps=jumps, **walk))
        if found.tracer_interval is not None and found.tracer is not None:
            inside.append(found.tracer_interval[0] <= truth <= found.tracer_interval[1])
    assert len(inside) > 270
    assert 0.90 <= np.mean(inside) <= 0.99


def test_an_immobile_half_is_counted_apart() -> None:
    random = np.random.default_rng(1)
    inside, widths = [], []
    for _ in range(40):
        ways = random_walk(random, jumps=1000, ions=12)
        ways = np.concatenate([ways, vibrations(random, ways.shape, 0.2)], axis=1)
        found = measure(ways)
        assert found.tracer_interval is not None
        low, high = np.array(found.tracer_interval) / exact(1000, step=STEP)
        assert found.immobile == 12
        inside.append(low <= 1 <= high)
        widths.append((high - low) / 2)
    assert np.mean(inside) > 0.85
    assert np.mean(widths) < 0.12  # the scatter between two kinds would make it 0.4


def test_tensor_of_an_anisotropic_walk() -> None:
    ways = random_walk(np.random.default_rng(2), jumps=20_000, shares=(6, 3, 1))
    found = measure(ways)
    assert found.tensor is not None
    assert found.tensor_error is not None
    tensor, error = np.array(found.tensor), np.array(found.tensor_error)
    truth = np.diag([1.8, 0.9, 0.3]) * exact(20_000, step=STEP)
    assert np.all(np.abs(tensor - truth) < 4 * error)
    assert np.trace(tensor) / 3 == pytest.approx(found.tracer, rel=1e-12)


@pytest.mark.parametrize("cell", [CUBE, TRICLINIC], ids=["cubic", "triclinic"])
def test_wrapped_positions_in_a_breathing_cell_are_followed(cell: Floats) -> None:
    """Ions hop between sites of the cell, whatever the cell does meanwhile."""
    random = np.random.default_rng(4)
    ways = random_walk(random, jumps=500, vibration=0.0)
    breath = 1 + 0.02 * np.sin(np.arange(len(ways)) / 7)[:, None, None]
    breath = breath / breath.mean()
    cells = cell * breath
    start = random.random((24, 3)) @ cell
    fractions = ((ways + start) @ np.linalg.inv(cell)) % 1
    framework = np.broadcast_to(random.random((30, 3)), (len(ways), 30, 3))
    wrapped = np.concatenate([fractions, framework], axis=1) @ cells
    plain = measure(ways)
    found = measure(wrapped, lattices=cells, temperature=600)
    assert found.tracer == pytest.approx(plain.tracer, rel=1e-6)
    assert found.framework_displacement < 1e-9
    assert found.volume == pytest.approx(
        abs(np.linalg.det(cell)) * (breath**3).mean(), rel=1e-9
    )


def test_a_drift_of_the_whole_cell_is_taken_out() -> None:
    random = np.random.default_rng(5)
    ways = random_walk(random, jumps=1000)
    frame = random.random((60, 3)) * 12 + vibrations(random, (2001, 60, 3), 0.1, 3)
    still = measure(np.concatenate([ways, frame], axis=1))
    drift = np.linspace(0, 40, 2001)[:, None, None] * np.array([1.0, 0.5, 0])
    found = measure(np.concatenate([ways, frame], axis=1) + drift)
    assert found.tracer == pytest.approx(still.tracer, rel=1e-9)
    assert found.framework_drift == pytest.approx(40 * 1.25**0.5, abs=0.1)
    assert found.verdict == "diffusive"


def test_a_molten_framework_is_not_used_further() -> None:
    random = np.random.default_rng(6)
    ways = random_walk(random, jumps=500)
    molten = random_walk(random, jumps=60, ions=40)
    found = measure(np.concatenate([ways, molten], axis=1))
    assert found.verdict == "framework moved"
    assert found.tracer is None
    assert found.tracer_interval is None
    assert "molten" in found.reason


def test_too_few_jumps_are_an_upper_bound() -> None:
    random = np.random.default_rng(7)
    ways = vibrations(random, (2001, 24, 3), 0.2)
    ways[700:, 3, 0] += JUMP
    ways[1200:, 5, 1] -= JUMP
    found = measure(ways, lattices=1e3 * np.eye(3), temperature=500)
    assert (found.verdict, found.jumps, found.tracer) == ("too few jumps", 2, None)
    assert found.tracer_interval is not None
    assert found.tracer_interval[0] == 0
    assert found.tracer_interval[1] > exact(5, step=STEP)
    assert found.conductivity is None
    assert found.time_needed is not None
    assert found.time_needed > 2000 * STEP


def test_ions_that_jump_back_do_not_diffuse() -> None:
    random = np.random.default_rng(8)
    state = np.cumsum(random.random((2001, 24)) < 0.02, axis=0) % 2
    ways = vibrations(random, (2001, 24, 3), 0.2)
    ways[..., 0] += JUMP * state
    found = measure(ways)
    assert found.jumps > 500
    assert found.verdict == "not diffusive yet"
    assert found.tracer is None


def test_ballistic_ions_do_not_diffuse() -> None:
    random = np.random.default_rng(9)
    ways = np.arange(400)[:, None, None] * random.normal(size=(24, 3))
    found = measure(ways)
    assert found.verdict == "not diffusive yet"
    assert "strides" in found.reason


def test_units_of_the_conductivity() -> None:
    """sigma = n e^2 D / (V k T), from the constants in SI."""
    ways = random_walk(np.random.default_rng(10), jumps=1000)
    found = measure(ways, lattices=1e3 * np.eye(3), temperature=300, charges=2.0)
    assert found.conductivity is not None
    assert found.tracer is not None
    density = 24 / (1e3 * 1e-10) ** 3
    si = density * (2 * 1.602176634e-19) ** 2 * found.tracer * 1e-4
    si /= 1.380649e-23 * 300
    assert found.conductivity == pytest.approx(si / 100, rel=1e-9)
    assert found.charge_conductivity is not None
    assert found.collective is not None
    ratio = found.charge_conductivity / found.collective
    assert ratio == pytest.approx(found.conductivity / found.tracer)


def test_ions_that_move_together() -> None:
    """One walk for all: D_sigma is 24 times D*, and only blocks in time see it."""
    random = np.random.default_rng(11)
    one = random_walk(random, jumps=300, ions=1, vibration=0.0)
    found = measure(np.repeat(one, 24, axis=1))
    assert found.haven_ratio == pytest.approx(1 / 24, rel=0.2)
    assert found.tracer_interval is not None
    low, high = found.tracer_interval
    assert low <= exact(300 * 24, step=STEP) <= high


@pytest.mark.slow
@pytest.mark.physics
def test_symmetric_exclusion() -> None:
    """D*/D_sigma of a half-filled simple cubic lattice is 0.8496."""
    size, ions, runs = 8, 256, 3
    charge = JUMP**2 / 6 * (1 - (ions - 1) / (size**3 - 1)) * 0.1
    tracer, collective, errors = [], [], []
    for seed in range(runs):
        ways = exclusion(size=size, ions=ions, sweeps=6000, seed=seed)
        found = diffusivity(ways, None, mobile=range(ions), time_step=1.0)
        assert found.collective is not None
        assert found.collective_interval is not None
        low, high = found.collective_interval
        collective.append(found.collective / charge - 1)
        errors.append((high - low) / 4 / charge)
        tracer.append(found.tracer)
    assert np.mean(tracer) / charge == pytest.approx(0.8496, abs=0.01)
    assert np.all(np.abs(collective) < 3 * np.array(errors))


def test_frames_too_far_apart_are_refused() -> None:
    random = np.random.default_rng(12)
    places = random.random((50, 30, 3)) * 12
    with pytest.raises(TrajectoryError, match=r"frame .* half of the cell"):
        measure(places, lattices=CUBE)


BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "shape": (np.zeros((10, 3)), {}, "frames x atoms x 3"),
    "not finite": (np.full((10, 24, 3), np.nan), {}, "frame 0"),
    "cells": (np.zeros((10, 24, 3)), {"lattices": np.zeros((4, 3, 3))}, "10 frames"),
    "no volume": (np.zeros((10, 24, 3)), {"lattices": np.zeros((3, 3))}, "no volume"),
    "words": (np.full((10, 24, 3), "x"), {}, "not an array of numbers"),
    "one frame": (np.zeros((1, 24, 3)), {}, "1 frames"),
    "no cell": (np.zeros((10, 24, 3)), {"lattices": np.full((3, 3), np.nan)}, "finite"),
    "element": (np.zeros((10, 24, 3)), {"mobile": ["Na"]}, "indices are needed"),
    "halves": (np.zeros((10, 24, 3)), {"mobile": [0.5]}, "indices are needed"),
    "nobody": (np.zeros((10, 24, 3)), {"mobile": []}, "no mobile ions"),
    "index": (np.zeros((10, 24, 3)), {"mobile": [24]}, "of 24 atoms"),
    "time": (np.zeros((10, 24, 3)), {"time_step": 0.0}, "time_step"),
    "charges": (np.zeros((10, 24, 3)), {"charges": [1.0, 2.0]}, "2 charges"),
    "no charge": (np.zeros((10, 24, 3)), {"charges": 0.0}, "zero"),
    "kelvin": (np.zeros((10, 24, 3)), {"temperature": -1.0}, "temperature"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_refused_in_a_line(case: str) -> None:
    places, also, words = BAD[case]
    with pytest.raises(TrajectoryError, match=words):
        measure(places, **also)


def test_few_frames_are_not_diffusive_yet() -> None:
    ways = random_walk(np.random.default_rng(13), jumps=200, frames=20)
    found = measure(ways)
    assert found.verdict == "not diffusive yet"
    assert found.relative_error == float("inf")
