"""Lines, kinks, jumps and curves that are planted, and a published line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hts_battery.errors import TrajectoryError
from hts_battery.schemas.transport import KB_EV_PER_K
from hts_battery.transport import arrhenius
from hts_battery.transport.trajectory_files import read_diffusivities

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from hts_battery.schemas.transport import ArrheniusFit

    Floats = NDArray[np.float64]

GRIDS = {
    "600 to 1500": np.linspace(600, 1500, 8),
    "500 to 1400": np.linspace(500, 1400, 10),
    "700 to 1200": np.linspace(700, 1200, 6),
}
EIGHT = GRIDS["600 to 1500"]


def planted(kelvin: Floats, kind: str = "single", where: float = 900.0) -> Floats:
    """Return ln D without scatter."""
    x, knot = 1 / (KB_EV_PER_K * kelvin), 1 / (KB_EV_PER_K * where)
    return {
        "single": -7 - 0.25 * x,
        "kink": -7 - 0.2 * x - 0.2 * np.maximum(x - knot, 0),
        "jump": -7 - 0.25 * x - 2.0 * (x > knot),
        "curved": -9 - 0.012 * x**2,
    }[kind]


def share_of(
    verdicts: tuple[str, ...],
    logarithms: Floats,
    *,
    kelvin: Floats,
    error: float,
    stated: float | None = None,
    runs: int,
) -> float:
    random = np.random.default_rng(5)
    found = 0
    for _ in range(runs):
        values = np.exp(logarithms + error * random.normal(size=len(kelvin)))
        found += arrhenius(kelvin, values, stated or error).verdict in verdicts
    return found / runs


BREAKS = ("kink", "jump", "curved")


@pytest.mark.physics
def test_llzo_as_published(shared_data: Path) -> None:
    """He, Zhu, Epstein, Mo, 10.1038/s41524-018-0074-y; kB of the CODATA."""
    found = arrhenius(*read_diffusivities(shared_data / "transport/llzo_D_T.csv"))
    assert found.verdict == "single"
    assert found.activation_energy == pytest.approx(0.258138, abs=1e-6)
    assert found.activation_energy_error == pytest.approx(0.016833, abs=1e-6)
    value, (low, high) = found.at(300.0)
    assert value == pytest.approx(6.80754e-9, rel=1e-5)
    assert found.factor(300.0) == pytest.approx(1.57, abs=0.005)
    assert high / value == pytest.approx(found.factor(300.0) ** 1.96, rel=1e-3)
    assert low * high == pytest.approx(value**2)


@pytest.mark.physics
def test_prefactor_and_energy_are_correlated(shared_data: Path) -> None:
    """Without the covariance the factor at 300 K would be 1.98, which is wrong."""
    found = arrhenius(*read_diffusivities(shared_data / "transport/llzo_D_T.csv"))
    (first, mixed), (_, second) = found.covariance
    per_ev = 1 / (KB_EV_PER_K * 300.0)
    alone = np.exp(np.sqrt(first + per_ev**2 * second))
    assert alone == pytest.approx(1.98, abs=0.005)
    assert mixed / np.sqrt(first * second) > 0.9
    # Lines through simulated data scatter by the smaller one.
    kelvin, values, errors = (
        np.array(getattr(found, name))
        for name in ("temperatures", "diffusivities", "relative_errors")
    )
    del values
    x = 1 / (KB_EV_PER_K * kelvin)
    random = np.random.default_rng(0)
    drawn = errors[:, None] * random.normal(size=(len(x), 4000))
    slope, offset = np.polyfit(x, drawn, 1, w=1 / errors)
    spread = np.exp(np.std(offset + slope * per_ev))
    assert spread == pytest.approx(found.factor(300.0), abs=0.04)


def test_one_straight_line_in_twenty_is_called_something_else() -> None:
    line = planted(EIGHT)
    share = share_of(BREAKS, line, kelvin=EIGHT, error=0.15, runs=300)
    assert 0.02 <= share <= 0.08


@pytest.mark.long
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("error", [0.05, 0.15, 0.30])
def test_false_alarms_of_2000_lines(grid: str, error: float) -> None:
    kelvin = GRIDS[grid]
    line = planted(kelvin)
    share = share_of(BREAKS, line, kelvin=kelvin, error=error, runs=2000)
    assert 0.035 <= share <= 0.065


@pytest.mark.parametrize("where", [850.0, 900.0])
def test_a_doubled_energy_is_seen(where: float) -> None:
    """0.20 and 0.40 eV, eight temperatures, errors of 15 %."""
    lines = planted(EIGHT, "kink", where)
    assert share_of(BREAKS, lines, kelvin=EIGHT, error=0.15, runs=300) >= 0.84


def test_a_doubled_energy_is_called_a_kink_more_often_than_curved() -> None:
    lines = planted(EIGHT, "kink", 900.0)
    shares = [
        share_of((kind,), lines, kelvin=EIGHT, error=0.15, runs=300)
        for kind in ("kink", "curved")
    ]
    assert shares[0] > 2 * shares[1]


@pytest.mark.parametrize("kind", BREAKS)
def test_a_clear_break_is_named(kind: str) -> None:
    lines = planted(EIGHT, kind)
    assert share_of((kind,), lines, kelvin=EIGHT, error=0.02, runs=100) > 0.7


def test_a_kink_has_a_temperature_and_two_energies() -> None:
    found = arrhenius(EIGHT, np.exp(planted(EIGHT, "kink")), 0.03)
    assert found.verdict == "kink"
    assert found.break_temperature == pytest.approx(900, abs=40)
    assert found.activation_energies == pytest.approx((0.4, 0.2), abs=0.02)
    assert found.p_values["kink"] < 0.01
    with pytest.raises(TrajectoryError, match="no single line"):
        found.at(300.0)
    jump = arrhenius(EIGHT, np.exp(planted(EIGHT, "jump")), 0.03)
    assert jump.activation_energies == pytest.approx((0.25, 0.25), abs=1e-6)
    assert jump.break_temperature is not None
    assert EIGHT[2] < jump.break_temperature < EIGHT[3]


@pytest.mark.parametrize(("true", "words"), [(0.45, "exceeds"), (0.03, "far below")])
def test_misstated_errors_are_said(true: float, words: str) -> None:
    random = np.random.default_rng(1)
    said, breaks, runs = 0, 0, 200
    for _ in range(runs):
        values = np.exp(planted(EIGHT) + true * random.normal(size=8))
        found = arrhenius(EIGHT, values, 0.15)
        said += any(words in warning for warning in found.warnings)
        breaks += found.verdict in BREAKS
    assert said / runs > 0.9
    assert breaks / runs < 0.25


def test_too_small_errors_widen_the_prediction() -> None:
    values = np.exp(planted(EIGHT) + 0.4 * np.array([1, -1, 1, -1, -1, 1, -1, 1]))
    found = arrhenius(EIGHT, values, 0.1)
    right = arrhenius(EIGHT, values, 0.1 * np.sqrt(found.chi_squared / 6))
    assert found.activation_energy_error == pytest.approx(
        right.activation_energy_error, rel=1e-9
    )


def test_little_power_and_few_temperatures_are_said() -> None:
    kelvin = GRIDS["700 to 1200"]
    found = arrhenius(kelvin, np.exp(planted(kelvin)), 0.3)
    assert found.power < 0.5
    assert "would be seen in" in found.warnings[-1]
    few = arrhenius([600.0, 800.0, 1000.0], [1e-8, 1e-7, 3e-7], 0.1)
    assert few.verdict == "undecided"
    assert "fewer than 5" in few.warnings[-1]


@given(st.permutations(range(8)), st.floats(1e-3, 1e3))
@settings(max_examples=15, deadline=None)
def test_order_and_unit_do_not_matter(order: list[int], unit: float) -> None:
    values = np.exp(planted(EIGHT, "kink"))
    first: ArrheniusFit = arrhenius(EIGHT, values, 0.15)
    other = arrhenius(EIGHT[order], unit * values[order], 0.15)
    assert other.verdict == first.verdict
    assert other.activation_energy == pytest.approx(first.activation_energy)
    assert other.p_values == pytest.approx(first.p_values, abs=0.01)


@pytest.mark.parametrize(
    ("kelvin", "values", "errors", "words"),
    [
        ([600.0, 700.0], [1.0, 2.0], 0.1, "a line needs 3"),
        ([600.0, 700.0, 800.0], [1.0, 2.0], 0.1, "as many of each"),
        ([600.0, 700.0, 800.0], [1.0, 0.0, 2.0], 0.1, "leave out temperatures"),
        ([600.0, 700.0, 800.0], [1.0, 1.5, 2.0], np.nan, "relative errors"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    kelvin: list[float], values: list[float], errors: float, words: str
) -> None:
    with pytest.raises(TrajectoryError, match=words):
        arrhenius(kelvin, values, errors)
