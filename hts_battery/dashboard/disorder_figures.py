"""Figures of disorder: what percolates, over composition, and what misleads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from hts_battery.dashboard.figures import BLUE, GREY, ORANGE, SCALE, styled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RANDOM, SIMULATED = "carriers at random", "simulated order"


class Percolation(NamedTuple):
    """Columns of candidates; NaN where nothing is known."""

    formulas: NDArray[np.object_]
    carriers: Floats
    """Atoms of the carrier per formula unit."""
    fluorine: Floats
    """Atoms of F per formula unit."""
    excess: Floats
    """Carriers above the threshold, per formula unit."""
    accessible: tuple[Floats, Floats]
    """Share of the carriers: at random, and with simulated order."""
    four: Floats
    """Tetrahedra of four carriers, of all, with simulated order."""


def percolation_figure(found: Percolation) -> go.Figure:
    """Draw accessible carriers against the carriers above the threshold."""
    shown = go.Figure()
    reach = float(np.nanmax(np.abs(found.excess), initial=0.1)) * 1.1
    shown.add_vrect(x0=-reach, x1=0, fillcolor=GREY, opacity=0.18, line={"width": 0})
    for x, words in ((-reach / 2, "nothing percolates"), (reach / 2, "percolates")):
        shown.add_annotation(x=x, y=1.06, text=words, showarrow=False)
    shown.add_vline(x=0, line={"color": ORANGE, "width": 2, "dash": "dash"})
    for values, name, symbol, colour in (
        (found.accessible[0], RANDOM, "circle", BLUE),
        (found.accessible[1], SIMULATED, "diamond-open", ORANGE),
    ):
        known = ~(np.isnan(values) | np.isnan(found.excess))
        shown.add_scatter(
            x=found.excess[known],
            y=values[known],
            mode="markers",
            name=name,
            text=found.formulas[known],
            marker={"color": colour, "symbol": symbol, "size": 9},
            hovertemplate="%{text}: %{y:.3f}<extra>" + name + "</extra>",
        )
    return styled(
        shown,
        showlegend=True,
        xaxis={
            "title": {"text": "carriers above the threshold, per formula unit"},
            "range": [-reach, reach],
        },
        yaxis={"title": {"text": "accessible carriers (share)"}, "range": [0, 1.12]},
    )


def accessible_maps(found: Percolation) -> go.Figure:
    """Draw accessible carriers over carriers and fluorine: random beside simulated."""
    shown = make_subplots(cols=2, subplot_titles=(RANDOM, SIMULATED), shared_yaxes=True)
    x, y = np.round(found.carriers, 4), np.round(found.fluorine, 4)
    across, up = np.unique(x), np.unique(y)
    rows, columns = np.searchsorted(up, y), np.searchsorted(across, x)
    for number, values in enumerate(found.accessible, 1):
        grid = np.full((len(up), len(across)), np.nan)
        known = ~np.isnan(values)  # the same for all of a square
        grid[rows[known], columns[known]] = values[known]
        shown.add_heatmap(
            x=[f"{value:g}" for value in across],
            y=[f"{value:g}" for value in up],
            z=grid,
            zmin=0,
            zmax=1,
            colorscale=SCALE,
            showscale=number == 1,
            colorbar={"title": {"text": "accessible"}, "thickness": 12},
            texttemplate="%{z:.2f}",
            xgap=1,
            ygap=1,
            hovertemplate="carriers %{x}, F %{y}: %{z:.3f}<extra></extra>",
            row=1,
            col=number,
        )
    shown.update_xaxes(title={"text": "carriers per formula unit"}, type="category")
    shown.update_yaxes(type="category")
    shown.update_yaxes(title={"text": "F per formula unit"}, col=1)
    return styled(shown, margin={"l": 64, "r": 16, "t": 48, "b": 56})


def tetrahedra_figure(found: Percolation) -> go.Figure:
    """Draw accessible carriers against tetrahedra of four, with simulated order."""
    known = ~(np.isnan(found.four) | np.isnan(found.accessible[1]))
    shown = go.Figure(
        go.Scatter(
            x=found.four[known],
            y=found.accessible[1][known],
            mode="markers",
            text=found.formulas[known],
            marker={
                "color": found.carriers[known],
                "colorscale": SCALE,
                "colorbar": {"title": {"text": "carriers"}, "thickness": 12},
                "size": 10,
            },
            hovertemplate="%{text}: %{x:.3f} of the tetrahedra, %{y:.3f} accessible"
            "<extra></extra>",
        )
    )
    return styled(
        shown,
        xaxis={"title": {"text": "tetrahedra of four carriers (share)"}},
        yaxis={"title": {"text": "accessible (share)"}, "range": [0, 1.05]},
    )
