"""The figure of a learning curve, both axes logarithmic."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.learning.curve import LearningCurve


def draw_curve(curve: LearningCurve, floor: float | None, path: Path) -> None:
    """Draw errors with their standard errors, and how far like cells differ."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second to import

    figure = Figure(figsize=(5.2, 3.8), layout="constrained")
    axes = figure.add_subplot()
    names = dict.fromkeys(one.model for one in curve.points)
    for name in names:
        points = [one for one in curve.points if one.model == name]
        slope = curve.exponents.get(name)
        label = name if slope is None else f"{name} (N^{slope[0]:.2f})"
        axes.errorbar(
            [one.structures for one in points],
            [1000 * one.error for one in points],
            yerr=[1000 * one.standard_error for one in points],
            marker="o",
            markersize=4,
            capsize=2,
            label=label,
        )
    if floor is not None:
        axes.axhline(1000 * floor, color="grey", linestyle=":", label="one composition")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="training structures",
        ylabel="mean absolute error, meV/atom",
    )
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=150)
