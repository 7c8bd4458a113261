"""Figures of short-range order and composites: what it does to what is accessible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hts_battery.disorder.composite import effective_conductivity
from hts_battery.disorder.figures import CALCULATED, DIFFERENCE, INK, canvas

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from hts_battery.disorder.accessible_map import MapPoint
    from hts_battery.schemas.percolation import SimulatedOrder

_MOST_NUMBERS = 150
_DARK = 0.55
_SHARES = 201


def draw_map(points: Sequence[MapPoint], picture: Path) -> None:
    """Draw accessible lithium over Li and F: at random beside simulated."""
    figure, (left, right) = canvas(10, 4.4, panels=2)
    x = sorted({point.simulated.lithium for point in points})
    y = sorted({point.simulated.fluorine for point in points})
    energies = points[0].simulated.energies
    words = ", ".join(
        f"{pair} {' '.join(f'{value:g}' for value in values)}"
        for pair, values in energies.items()
    )
    for axes, values, title in (
        (left, [point.random.accessible for point in points], "carriers at random"),
        (
            right,
            [point.simulated.accessible for point in points],
            f"simulated order: {words} kT" if words else "simulated, no order",
        ),
    ):
        grid = np.array(values).reshape(len(y), len(x))
        shown = axes.imshow(
            grid, origin="lower", aspect="auto", cmap="cividis", vmin=0, vmax=1
        )
        axes.set_xticks(range(len(x)), [f"{one:g}" for one in x])
        axes.set_yticks(range(len(y)), [f"{one:g}" for one in y])
        axes.set_xlabel("Li in two cations")
        axes.set_title(title, loc="left", fontsize=10)
        if grid.size <= _MOST_NUMBERS:
            _write_numbers(axes, grid)
    left.set_ylabel("F in two anions")
    figure.colorbar(shown, ax=[left, right], label="accessible Li (share)")
    figure.savefig(picture, dpi=150)


def _write_numbers(axes: Axes, grid: np.ndarray) -> None:
    """Write each value into its square."""
    for (row, column), value in np.ndenumerate(grid):
        axes.text(
            column, row, f"{value:.2f}", ha="center", va="center", fontsize=7,
            color="white" if value < _DARK else "black",
        )  # fmt: skip


def draw_scan(shells: Sequence[Sequence[SimulatedOrder]], picture: Path) -> None:
    """Draw accessible lithium, and tetrahedra of four, against the order of a shell."""
    figure, (left, right) = canvas(9, 4, panels=2)
    for number, (found, colour, marker) in enumerate(
        zip(shells, (CALCULATED, DIFFERENCE), ("o", "s"), strict=True)
    ):
        alpha = [one.alpha["Li-M"][number] for one in found]
        label = f"shell {number + 1}"
        for axes, values, errors in (
            (left, [o.accessible for o in found], [o.accessible_error for o in found]),
            (right, [o.li4 for o in found], [o.li4_error for o in found]),
        ):
            axes.errorbar(
                alpha, values, yerr=errors, color=colour, marker=marker, ms=4, lw=1,
                label=label,
            )  # fmt: skip
    first = shells[0][0]
    left.set_ylabel("accessible Li (share)")
    right.set_ylabel("tetrahedra of four Li (share)")
    left.set_title(
        f"Li {first.lithium:g}, F {first.fluorine:g}: what counts", loc="left",
        fontsize=10,
    )  # fmt: skip
    right.set_title("what misleads when read alone", loc="left", fontsize=10)
    for axes in (left, right):
        axes.axvline(0, color=INK, lw=0.5)
        axes.set_xlabel(r"$\alpha$ of Li and M, of the shell that is ordered")
        axes.set_ylim(bottom=0)
    left.legend(frameon=False, fontsize=9)
    figure.savefig(picture, dpi=150)


def draw_composite(fast: float, slow: float, picture: Path) -> None:
    """Draw the conductivity of a fast phase in a slow one against its share."""
    figure, (axes,) = canvas(6, 4.2)
    shares = np.linspace(0, 1, _SHARES)
    values = {
        model: np.array(
            [
                effective_conductivity([f, 1 - f], [fast, slow], model=model)
                for f in shares
            ]
        )
        for model in ("series", "parallel", "bruggeman", "hashin-shtrikman")
    }
    bounds = values["hashin-shtrikman"]
    axes.fill_between(
        shares, bounds[:, 0], bounds[:, 1], color=CALCULATED, alpha=0.2, lw=0,
        label="Hashin-Shtrikman",
    )  # fmt: skip
    axes.plot(shares, values["bruggeman"], color=CALCULATED, label="Bruggeman")
    axes.plot(shares, values["parallel"], color=INK, lw=0.8, ls="--", label="parallel")
    axes.plot(shares, values["series"], color=INK, lw=0.8, ls=":", label="series")
    if slow > 0:
        axes.set_yscale("log")
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the fast phase (volume)")
    axes.set_ylabel("conductivity (S/cm)")
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(picture, dpi=150)
