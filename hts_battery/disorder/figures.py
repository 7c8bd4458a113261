"""Figures of disordered cells: what percolates, what scatters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hts_battery.disorder.percolation import AccessibleCurve
    from hts_battery.disorder.refinement import Refinement
    from hts_battery.disorder.scattering import DiffuseScattering
    from hts_battery.schemas.percolation import RandomLimit

_INK, _CALCULATED, _DIFFERENCE = "#222222", "#0b7a75", "#c1666b"
_POINTS = 200


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Make an empty figure that needs no screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def draw_percolation(
    curve: AccessibleCurve, found: Sequence[RandomLimit], picture: Path
) -> None:
    """Draw accessible carriers against their number, and where compositions stand."""
    figure, axes = _canvas(7, 4.2)
    first = found[0]
    given = (
        first.carriers_per_formula_unit - first.filling * first.sites_per_formula_unit
    )
    fillings = np.linspace(0, 1, _POINTS)
    shares = np.array([curve.at(filling) for filling in fillings])
    x = given + fillings * first.sites_per_formula_unit
    axes.fill_between(
        x, shares[:, 0] - shares[:, 1], shares[:, 0] + shares[:, 1], alpha=0.3,
        color=_CALCULATED, lw=0,
    )  # fmt: skip
    axes.plot(x, shares[:, 0], color=_CALCULATED, label="carriers at random")
    critical = given + first.threshold * first.sites_per_formula_unit
    axes.axvline(critical, color=_DIFFERENCE, lw=1, ls="--", label="threshold")
    axes.plot(
        [one.carriers_per_formula_unit for one in found],
        [one.accessible for one in found],
        "o",
        color=_INK,
        ms=5,
        label="compositions" if len(found) > 1 else first.formula,
    )
    axes.set_xlabel(f"{first.carrier} per formula unit")
    axes.set_ylabel(f"accessible {first.carrier} (share)")
    axes.set_xlim(max(0, critical - 0.6), x[-1])
    axes.set_ylim(0, 1.02)
    axes.set_title(
        f"{first.parent}, rule {first.rule}: no short-range order, no barriers",
        loc="left",
        fontsize=10,
    )
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    figure.savefig(picture, dpi=150)


def draw_refinement(refined: Refinement, picture: Path, title: str) -> None:
    """Draw data, model and, below them, the difference."""
    figure, axes = _canvas(8, 4.5)
    r = refined.distances
    difference = refined.observed - refined.calculated
    low = min(refined.observed.min(), refined.calculated.min()) - 1.2 * difference.max()
    axes.plot(r, refined.observed, "o", ms=2.5, mfc="none", color=_INK, label="data")
    axes.plot(r, refined.calculated, color=_CALCULATED, lw=1.2, label="calculated")
    axes.plot(r, difference + low, color=_DIFFERENCE, lw=0.9, label="difference")
    axes.axhline(low, color=_INK, lw=0.4)
    axes.set_xlabel("r (Å)")
    axes.set_ylabel("G (Å⁻²)")
    axes.set_title(f"{title}: R_w {refined.residual:.3f}", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(picture, dpi=150)


def draw_plane(found: DiffuseScattering, plane: str, picture: Path, title: str) -> None:
    """Draw a plane of diffuse scattering."""
    names = [name for name in plane if name in "hkl"]
    first, second = (getattr(found, name) for name in names)
    figure, axes = _canvas(5.6, 4.8)
    shown = axes.pcolormesh(
        first, second, found.intensity.T, cmap="viridis", vmin=0, shading="nearest"
    )
    axes.set_aspect("equal")
    axes.set_facecolor("white")
    axes.set_xlabel(f"{names[0]} (cubic cell)")
    axes.set_ylabel(f"{names[1]} (cubic cell)")
    axes.set_title(f"{title}: {plane}, Bragg points white", loc="left", fontsize=10)
    figure.colorbar(shown, ax=axes, label="diffuse intensity (Laue units)")
    figure.savefig(picture, dpi=150)
