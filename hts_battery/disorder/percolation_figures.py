"""The figure of percolation: what has a way through a crystal, and what has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hts_battery.disorder.clusters import clusters, grouped
from hts_battery.disorder.figures import CALCULATED, DIFFERENCE, INK, PALE, canvas
from hts_battery.disorder.networks import TETRAHEDRAL, percolation_network
from hts_battery.disorder.parents import parent_lattice
from hts_battery.disorder.torus import torus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from hts_battery.disorder.percolation import AccessibleCurve
    from hts_battery.schemas.percolation import RandomLimit

_POINTS = 200
_BESIDE = 0.1  # of the filling, below and above the threshold
_LAYER_CELLS = 10


def draw_percolation(
    curve: AccessibleCurve, found: Sequence[RandomLimit], picture: Path
) -> None:
    """
    Draw accessible carriers against their number, and where compositions stand.

    Beside it, for rules of tetrahedra on rock salt, a layer of a cell below the
    threshold and of one above: which lithium a wrapping cluster holds.
    """
    first = found[0]
    if first.parent != "rocksalt" or first.rule not in TETRAHEDRAL:
        figure, (axes,) = canvas(7, 4.2)
    else:
        figure, (low, high, axes) = canvas(13, 4.4, panels=3)
        _draw_layer(low, first, max(first.threshold - _BESIDE, 0.0))
        _draw_layer(high, first, min(first.threshold + _BESIDE, 1.0))
    given = (
        first.carriers_per_formula_unit - first.filling * first.sites_per_formula_unit
    )
    fillings = np.linspace(0, 1, _POINTS)
    shares = np.array([curve.at(filling) for filling in fillings])
    x = given + fillings * first.sites_per_formula_unit
    axes.fill_between(
        x, shares[:, 0] - shares[:, 1], shares[:, 0] + shares[:, 1], alpha=0.3,
        color=CALCULATED, lw=0,
    )  # fmt: skip
    axes.plot(x, shares[:, 0], color=CALCULATED, label="carriers at random")
    critical = given + first.threshold * first.sites_per_formula_unit
    axes.axvline(critical, color=DIFFERENCE, lw=1, ls="--", label="threshold")
    axes.plot(
        [one.carriers_per_formula_unit for one in found],
        [one.accessible for one in found],
        "o",
        color=INK,
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


def _draw_layer(axes: Axes, limit: RandomLimit, filling: float) -> None:
    """Draw a layer of sites of a random cell: carriers in wrapping clusters, others."""
    lattice, cell = parent_lattice(limit.parent), torus(_LAYER_CELLS)
    network = percolation_network(lattice, limit.rule, cell).network
    order = np.random.default_rng(limit.seed).permutation(network.sites)
    occupied = np.zeros(network.sites, dtype=bool)
    occupied[order[: round(filling * network.sites)]] = True
    found = clusters(grouped(network), occupied)
    inside = np.zeros(network.sites, dtype=bool)
    inside[occupied] = found.wraps[found.roots[occupied]] > 0
    places = (cell.points()[:, None] + lattice.sites).reshape(-1, 3)
    layer = np.isclose(places[:, 2], 0)
    for chosen, colour, edge, words in (
        (layer & ~occupied, "white", PALE, "metal"),
        (layer & occupied & ~inside, PALE, PALE, f"{limit.carrier}, no way through"),
        (layer & inside, CALCULATED, CALCULATED, f"{limit.carrier}, accessible"),
    ):
        x, y = places[chosen, :2].T
        axes.scatter(x, y, s=34, c=colour, edgecolors=edge, label=words)
    share = inside.sum() / max(1, occupied.sum())
    amount = filling * limit.sites_per_formula_unit
    axes.set_title(
        f"{limit.carrier} {amount:.2f}: "
        + (f"{share:.0%} accessible" if share else "nothing percolates"),
        loc="left",
        fontsize=10,
    )
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.legend(
        frameon=False, fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 0)
    )
