"""A relaxed cell in three dimensions, drawn without anything from elsewhere."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
import yaml
from pymatgen.core import Element

from hts_battery.dashboard.figures import GREY, styled

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

_BOND = 2.5
"""Longest distance, in angstrom, at which a cation and an anion are joined."""
_ANIONS = frozenset(("O", "F", "S", "Cl", "N"))
_UNKNOWN = (128, 128, 128)
_TILT = 18.0
"""How far above the horizon the reader stands, in degrees."""


def structure_figure(cell: Structure, turn: float) -> go.Figure:
    """
    Draw atoms, bonds between cations and anions, and the edges of the cell.

    Seen from far away (a parallel projection), drawn from back to front: it needs no
    graphics hardware, and a slider turns it.

    ``turn``: angle about the upright axis, in degrees.
    """
    view = _view(turn)
    symbols = np.array([site.specie.symbol for site in cell])
    inside = np.array([site.frac_coords % 1.0 for site in cell])
    places = inside @ cell.lattice.matrix
    shown = go.Figure()
    _add_lines(shown, _edges(cell.lattice.matrix), view, width=1.5, opacity=0.9)
    _add_lines(shown, _bonds(symbols, places), view, width=4, opacity=0.3)
    _add_atoms(shown, symbols, places @ view.T)
    hidden = {"visible": False}
    return styled(
        shown,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={"orientation": "h", "y": -0.02, "x": 0, "itemsizing": "constant"},
        xaxis=hidden,
        yaxis={**hidden, "scaleanchor": "x"},
        uirevision=None,
    )


def _view(turn: float) -> NDArray[np.float64]:
    """Return the axes of the picture: across, up, and towards the reader."""
    angle, tilt = np.radians(turn), np.radians(_TILT)
    across = np.array([np.cos(angle), np.sin(angle), 0.0])
    away = np.array([-np.sin(angle), np.cos(angle), 0.0])
    upright = np.array([0.0, 0.0, 1.0])
    up = np.cos(tilt) * upright + np.sin(tilt) * away
    return np.array([across, up, np.sin(tilt) * upright - np.cos(tilt) * away])


def _add_atoms(
    shown: go.Figure, symbols: NDArray[np.str_], seen: NDArray[np.float64]
) -> None:
    """Add all atoms as one trace, the nearest last, and a legend."""
    order = np.argsort(seen[:, 2])
    drawn = [str(symbol) for symbol in symbols[order]]
    shown.add_scatter(
        x=seen[order, 0],
        y=seen[order, 1],
        mode="markers",
        showlegend=False,
        marker={
            "size": [_size(symbol) for symbol in drawn],
            "color": [_colour(symbol) for symbol in drawn],
            "line": {"color": "#333333", "width": 1},
            "opacity": 1,
        },
        text=drawn,
        hovertemplate="%{text}<extra></extra>",
    )
    for symbol in sorted(set(drawn), key=lambda name: int(Element(name).Z)):
        shown.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=f"{symbol} ({drawn.count(symbol)})",
            marker={
                "size": 12,
                "color": _colour(symbol),
                "line": {"color": "#333333", "width": 1},
            },
        )


def _size(symbol: str) -> float:
    return 10 + 9 * float(Element(symbol).atomic_radius or 1.0)


def structure_words(cell: Structure) -> str:
    """Say what a cell is: formula, atoms, lattice."""
    lengths = " x ".join(f"{value:.2f}" for value in cell.lattice.abc)
    angles = ", ".join(f"{value:.1f}°" for value in cell.lattice.angles)
    return (
        f"Relaxed cell {cell.composition.formula.replace(' ', '')}, {len(cell)} atoms, "
        f"{lengths} Å, {angles}, {cell.volume / len(cell):.2f} Å³/atom. "
        "The slider turns it."
    )


def _edges(lattice: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the two ends of each of the twelve edges."""
    ends = []
    for axis in range(3):
        others = [number for number in range(3) if number != axis]
        for first, second in product((0, 1), repeat=2):
            corner = first * lattice[others[0]] + second * lattice[others[1]]
            ends.append(np.array([corner, corner + lattice[axis]]))
    return ends


def _bonds(
    symbols: NDArray[np.str_], places: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    anion = np.isin(symbols, list(_ANIONS))
    metals, anions = places[~anion], places[anion]
    distances = np.linalg.norm(metals[:, None] - anions[None, :], axis=-1)
    return [
        np.array([metals[row], anions[column]])
        for row, column in np.argwhere(distances < _BOND)
    ]


def _add_lines(
    shown: go.Figure,
    lines: list[NDArray[np.float64]],
    view: NDArray[np.float64],
    *,
    width: float,
    opacity: float,
) -> None:
    gap = np.full((1, 3), np.nan)
    parts = [part for ends in lines for part in (ends @ view.T, gap)]
    if not parts:
        return
    points = np.concatenate(parts)
    shown.add_scatter(
        x=[None if np.isnan(value) else float(value) for value in points[:, 0]],
        y=[None if np.isnan(value) else float(value) for value in points[:, 1]],
        mode="lines",
        line={"color": GREY, "width": width},
        opacity=opacity,
        hoverinfo="skip",
        showlegend=False,
    )


def _colour(symbol: str) -> str:
    return "rgb({},{},{})".format(*_colours().get(symbol, _UNKNOWN))


@cache
def _colours() -> dict[str, tuple[int, ...]]:
    """Read the colours of VESTA, which pymatgen brings."""
    text = files("pymatgen.vis").joinpath("ElementColorSchemes.yaml").read_text("utf-8")
    found: dict[str, tuple[int, ...]] = yaml.safe_load(text)["VESTA"]
    return found
