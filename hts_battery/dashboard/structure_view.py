"""A relaxed cell in three dimensions, drawn without anything from elsewhere."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
import yaml
from pymatgen.core import Element, Structure

from hts_battery.dashboard.figures import GREY, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_BOND = 2.5
"""Longest distance, in angstrom, at which a cation and an anion are joined."""
_ANIONS = frozenset(("O", "F", "S", "Cl", "N"))
_UNKNOWN = (128, 128, 128)


def structure_figure(structure: Mapping[str, Any]) -> go.Figure:
    """
    Draw atoms, bonds between cations and anions, and the edges of the cell.

    Parameters
    ----------
    structure
        pymatgen's dictionary of a structure.
    """
    cell = Structure.from_dict(dict(structure))
    symbols = np.array([site.specie.symbol for site in cell])
    inside = np.array([site.frac_coords % 1.0 for site in cell])
    places = inside @ cell.lattice.matrix
    shown = go.Figure()
    _add_lines(shown, _edges(cell.lattice.matrix), width=2, opacity=0.9)
    _add_lines(shown, _bonds(symbols, places), width=5, opacity=0.35)
    for symbol in sorted(set(symbols), key=lambda name: Element(name).Z):
        here = places[symbols == symbol]
        radius = float(Element(symbol).atomic_radius or 1.0)
        shown.add_scatter3d(
            x=here[:, 0],
            y=here[:, 1],
            z=here[:, 2],
            mode="markers",
            name=f"{symbol} ({len(here)})",
            marker={
                "size": 7 + 6 * radius,
                "color": "rgb({},{},{})".format(*_colour(symbol)),
                "line": {"color": "#333333", "width": 1},
            },
            hovertemplate=f"{symbol}: %{{x:.2f}}, %{{y:.2f}}, %{{z:.2f}} Å"
            "<extra></extra>",
        )
    hidden = {"visible": False, "showbackground": False}
    return styled(
        shown,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={"orientation": "h", "y": -0.02, "x": 0, "itemsizing": "constant"},
        scene={
            "aspectmode": "data",
            "xaxis": hidden,
            "yaxis": hidden,
            "zaxis": hidden,
            "camera": {"eye": {"x": 1.4, "y": 1.1, "z": 0.8}},
        },
    )


def structure_words(structure: Mapping[str, Any]) -> str:
    """Say what a cell is: formula, atoms, lattice."""
    cell = Structure.from_dict(dict(structure))
    lengths = " x ".join(f"{value:.2f}" for value in cell.lattice.abc)
    angles = ", ".join(f"{value:.1f}°" for value in cell.lattice.angles)
    return (
        f"Relaxed cell {cell.composition.formula.replace(' ', '')}, {len(cell)} atoms, "
        f"{lengths} Å, {angles}, {cell.volume / len(cell):.2f} Å³/atom. "
        "Drag to turn, scroll to zoom."
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
    shown: go.Figure, lines: list[NDArray[np.float64]], *, width: float, opacity: float
) -> None:
    gap = np.full((1, 3), np.nan)
    parts = [part for ends in lines for part in (ends, gap)]
    if not parts:
        return
    points = np.concatenate(parts)
    shown.add_scatter3d(
        x=points[:, 0],
        y=points[:, 1],
        z=points[:, 2],
        mode="lines",
        line={"color": GREY, "width": width},
        opacity=opacity,
        hoverinfo="skip",
        showlegend=False,
    )


def _colour(symbol: str) -> tuple[int, ...]:
    return tuple(_colours().get(symbol, _UNKNOWN))


@cache
def _colours() -> dict[str, tuple[int, ...]]:
    """Read the colours of VESTA, which pymatgen brings."""
    text = files("pymatgen.vis").joinpath("ElementColorSchemes.yaml").read_text("utf-8")
    found: dict[str, tuple[int, ...]] = yaml.safe_load(text)["VESTA"]
    return found
