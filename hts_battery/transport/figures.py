"""Figures of transport: where a plateau is read, and lines against temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from hts_battery.schemas.transport import Diffusivity

_INK, _READ, _OTHER = "#222222", "#0b7a75", "#c1666b"


def draw_diffusivity(found: Diffusivity, picture: Path, title: str) -> None:
    """Draw the diffusivity at each stride, what was read, and the displacement."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    slopes, displacement = figure.subplots(1, 2)
    times = np.array([point.time for point in found.curve]) / 1000
    _draw_slopes(slopes, found, times)
    displacement.loglog(times, [point.msd for point in found.curve], "o-", color=_READ)
    displacement.set_xlabel("time (ps)")
    displacement.set_ylabel("mean squared displacement (Å²)")
    slopes.set_title(f"{title}: {found.verdict}", loc="left", fontsize=10)
    figure.savefig(picture, dpi=150)


def _draw_slopes(axes: Axes, found: Diffusivity, times: np.ndarray) -> None:
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
