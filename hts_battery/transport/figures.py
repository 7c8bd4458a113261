"""Figures of transport: where a plateau is read, and lines against temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hts_battery.schemas.transport import KB_EV_PER_K

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hts_battery.schemas.transport import ArrheniusFit, Diffusivity

_INK, _READ, _OTHER = "#222222", "#0b7a75", "#c1666b"


def _canvas(width: float, height: float, place: int = 111) -> tuple[Figure, Axes]:
    """Make an empty figure that needs no screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot(place)


def draw_diffusivity(found: Diffusivity, picture: Path, title: str) -> None:
    """Draw the diffusivity at each stride, what was read, and the displacement."""
    figure, slopes = _canvas(9, 3.8, 121)
    displacement = figure.add_subplot(122)
    times = np.array([point.time for point in found.curve]) / 1000
    _draw_slopes(slopes, found, times)
    displacement.loglog(times, [point.msd for point in found.curve], "o-", color=_READ)
    displacement.set_xlabel("time (ps)")
    displacement.set_ylabel("mean squared displacement (Å²)")
    slopes.set_title(f"{title}: {found.verdict}", loc="left", fontsize=10)
    figure.savefig(picture, dpi=150)


def _draw_slopes(axes: Axes, found: Diffusivity, times: NDArray[np.float64]) -> None:
    """Draw D* and D_sigma against the stride."""
    for name, color, label in (
        ("tracer", _READ, "D*"),
        ("collective", _OTHER, r"D$_\sigma$"),
    ):
        values = [getattr(point, name) for point in found.curve]
        errors = [getattr(point, f"{name}_error") for point in found.curve]
        shift = 1.0 if name == "tracer" else 1.06
        axes.errorbar(
            times * shift, values, errors, fmt="o", ms=4, color=color, label=label,
            capsize=2,
        )  # fmt: skip
    if found.tracer is not None and found.tracer_interval is not None:
        axes.axhspan(*found.tracer_interval, color=_READ, alpha=0.15, lw=0)
        axes.axhline(found.tracer, color=_READ, lw=1, label="read, with 95 %")
    axes.axhline(0, color=_INK, lw=0.5)
    axes.set_xscale("log")
    axes.set_xlabel("stride (ps)")
    axes.set_ylabel("diffusivity (cm²/s)")
    axes.legend(frameon=False, fontsize=9)


def draw_arrhenius(found: ArrheniusFit, picture: Path, title: str) -> None:
    """Draw diffusivities against 1000/T with the line's band, or where it breaks."""
    figure, axes = _canvas(6.4, 4.4)
    kelvin = np.array(found.temperatures)
    values, errors = np.array(found.diffusivities), np.array(found.relative_errors)
    axes.errorbar(
        1000 / kelvin, values, np.stack([values * (1 - np.exp(-errors)),
        values * (np.exp(errors) - 1)]), fmt="o", ms=4, color=_INK, capsize=2, zorder=3,
    )  # fmt: skip
    single = found.verdict == "single"
    shown = np.linspace(1000 / kelvin[-1], 1000 / (300 if single else kelvin[0]), 120)
    line = np.exp(
        found.log_prefactor - found.activation_energy * shown / (1000 * KB_EV_PER_K)
    )
    axes.semilogy(shown, line, color=_READ if single else _OTHER, lw=1.2,
        ls="-" if single else "--",
        label=f"{found.activation_energy:.3f} ± {found.activation_energy_error:.3f} eV",
    )  # fmt: skip
    if single:
        width = np.array([found.factor(1000 / x) for x in shown]) ** 1.96
        axes.fill_between(shown, line / width, line * width, color=_READ, alpha=0.15,
            lw=0, label="95 %")  # fmt: skip
    if found.break_temperature is not None:
        low, high = found.activation_energies or (0.0, 0.0)
        axes.axvline(
            1000 / found.break_temperature, color=_OTHER, lw=1, ls=":",
            label=f"{found.break_temperature:.0f} K: {low:.2f} | {high:.2f} eV",
        )  # fmt: skip
    axes.set_xlabel("1000 K / T")
    axes.set_ylabel("diffusivity (cm²/s)")
    axes.set_title(f"{title}: {found.verdict}", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(picture, dpi=150)
