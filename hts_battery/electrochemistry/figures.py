"""Figures: a voltage profile, and a decomposition energy against the voltage."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hts_battery.electrochemistry.voltages import VoltageProfile
    from hts_battery.electrochemistry.window import StabilityWindow

_INK, _LINE, _SHADE = "#222222", "#0b7a75", "#c1666b"
_MEV_PER_EV = 1000.0


def _canvas() -> tuple[Figure, Axes]:
    """Make an empty figure that needs no screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def draw_profile(profile: VoltageProfile, picture: Path) -> None:
    """Draw the steps of a framework as carriers go in; only averages are ranked."""
    figure, axes = _canvas()
    amounts = [float(amount) for amount in profile.amounts]
    if (average := profile.average) is not None:
        axes.stairs(profile.voltages, amounts, color=_LINE, lw=1.8, baseline=None)
        axes.axhline(
            average, color=_SHADE, lw=1, ls="--", label=f"average {average:.2f}"
        )
        axes.legend(frameon=False, fontsize=9)
    axes.set_xlabel(f"{profile.carrier} per {profile.framework}")
    axes.set_ylabel(f"V against {profile.carrier}")
    title = profile.reason or f"{profile.carrier} in {profile.framework}, 0 K"
    axes.set_title(title, loc="left", fontsize=10)
    figure.savefig(picture, dpi=150)


def draw_decomposition(
    window: StabilityWindow,
    voltages: Sequence[float],
    energies: NDArray[np.float64],
    picture: Path,
) -> None:
    """Draw what a candidate loses by decomposing, its window shaded."""
    figure, axes = _canvas()
    axes.plot(voltages, _MEV_PER_EV * energies, color=_LINE, lw=1.8)
    axes.axhline(0.0, color=_INK, lw=0.6)
    low, high = window.reduction, window.oxidation
    if low is not None:
        axes.axvspan(
            low, voltages[-1] if high is None else high, color=_LINE, alpha=0.12
        )
    axes.set_xlim(voltages[0], voltages[-1])
    axes.set_xlabel(f"V against {window.carrier}")
    axes.set_ylabel("decomposition energy (meV/atom)")
    axes.set_title(
        f"{window.formula}: least is E_hull; shaded: its window",
        loc="left",
        fontsize=10,
    )
    figure.savefig(picture, dpi=150)
