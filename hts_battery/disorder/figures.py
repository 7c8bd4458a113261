"""Figures of what disordered cells scatter, and the canvas of all figures here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hts_battery.disorder.refinement import Refinement
    from hts_battery.disorder.scattering import DiffuseScattering

INK, CALCULATED, DIFFERENCE, PALE = "#222222", "#0b7a75", "#c1666b", "#c9ccd1"


def canvas(
    width: float, height: float, *, panels: int = 1
) -> tuple[Figure, list[Axes]]:
    """Make an empty figure that needs no screen, of panels side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def draw_refinement(refined: Refinement, picture: Path, title: str) -> None:
    """Draw data, model and, below them, the difference."""
    figure, (axes,) = canvas(8, 4.5)
    r = refined.distances
    difference = refined.observed - refined.calculated
    low = min(refined.observed.min(), refined.calculated.min()) - 1.2 * difference.max()
    axes.plot(r, refined.observed, "o", ms=2.5, mfc="none", color=INK, label="data")
    axes.plot(r, refined.calculated, color=CALCULATED, lw=1.2, label="calculated")
    axes.plot(r, difference + low, color=DIFFERENCE, lw=0.9, label="difference")
    axes.axhline(low, color=INK, lw=0.4)
    axes.set_xlabel("r (Å)")
    axes.set_ylabel("G (Å⁻²)")
    axes.set_title(f"{title}: R_w {refined.residual:.3f}", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(picture, dpi=150)


def draw_plane(found: DiffuseScattering, plane: str, picture: Path, title: str) -> None:
    """Draw a plane of diffuse scattering."""
    names = [name for name in plane if name in "hkl"]
    first, second = (getattr(found, name) for name in names)
    figure, (axes,) = canvas(5.6, 4.8)
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
