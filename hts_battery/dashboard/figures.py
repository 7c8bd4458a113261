"""Figures of many candidates: distributions, maps, what moves with temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from hts_battery.dashboard.parts import MEV

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.dashboard.campaign_numbers import PairCounts

# Okabe and Ito's palette: told apart by every kind of colour vision.
BLUE = "#0072B2"
ORANGE = "#D55E00"
SKY = "#56B4E9"
GREY = "#8A8F98"
SCALE = "Cividis"

_FEWEST_BINS = 20
_MOST_BINS = 80
_TRIMMED = (0.0, 99.5)


def styled(figure: go.Figure, **layout: Any) -> go.Figure:  # noqa: ANN401 - plotly's own
    """Give a figure the look of the page; the style sheet colours its text."""
    figure.update_layout(
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 64, "r": 16, "t": 24, "b": 56},
        font={"family": "inherit", "size": 13},
        legend={"orientation": "h", "y": 1.12, "x": 0},
        hoverlabel={"font": {"family": "inherit"}},
        # What somebody zoomed into stays when the slider moves.
        uirevision="kept",
    )
    figure.update_layout(**layout)
    return figure


def distribution_figure(
    cold: NDArray[np.float64], hot: NDArray[np.float64], temperature: float
) -> go.Figure:
    """
    Draw how E_hull is distributed without entropy and at a temperature.

    ``cold``, ``hot``: E_hull of each candidate, eV/atom. ``temperature`` in K, of
    ``hot``.
    """
    shown = go.Figure()
    edges = _edges(np.concatenate([cold, hot]))
    for values, name, colour in (
        (cold, "without entropy", GREY),
        (hot, f"at {temperature:g} K", BLUE),
    ):
        counts, _ = np.histogram(MEV * values, edges)
        shown.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            opacity=0.65,
            hovertemplate="%{x:.0f} meV/atom: %{y} candidates<extra>"
            + name
            + "</extra>",
        )
    _mark_hull(shown, vertical=True)
    return styled(
        shown,
        barmode="overlay",
        bargap=0,
        xaxis={"title": {"text": "E<sub>hull</sub> (meV/atom)"}},
        yaxis={"title": {"text": "candidates"}},
    )


def _edges(energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place bins so that the hull lies between two of them; far tails are cut off."""
    if not len(energies):
        return np.linspace(-50, 50, _FEWEST_BINS)
    low, high = MEV * np.percentile(energies, _TRIMMED)
    bins = int(np.clip(np.sqrt(len(energies)), _FEWEST_BINS, _MOST_BINS))
    width = max((max(high, 0) - min(low, 0)) / bins, 0.5)
    first = np.floor(min(low, 0) / width)
    last = np.ceil(max(high, 0) / width) + 1
    return np.asarray(np.arange(first, last + 1) * width, float)


def entropy_figure(
    energies: NDArray[np.float64], entropies: NDArray[np.float64], temperature: float
) -> go.Figure:
    """
    Draw candidates by entropy and E_hull: those below the line E = T·S are stable.

    ``energies``: E_hull without entropy, eV/atom. ``entropies``: ideal mixing entropy,
    eV/K per atom. ``temperature`` in K, slope of the line.
    """
    shown = go.Figure()
    x, y = 1e6 * entropies, MEV * energies
    if len(x):
        low, high = np.percentile(y, _TRIMMED)
        right = float(x.max()) * 1.05 + 1
        counts, x_edges, y_edges = np.histogram2d(
            x, y, bins=60, range=[[0, right], [min(low, -10), max(high, 10)]]
        )
        shown.add_heatmap(
            x=(x_edges[:-1] + x_edges[1:]) / 2,
            y=(y_edges[:-1] + y_edges[1:]) / 2,
            z=np.where(counts.T > 0, counts.T, np.nan),
            colorscale=SCALE,
            colorbar={"title": {"text": "candidates"}, "thickness": 12},
            hovertemplate="S %{x:.0f} µeV/K, E_hull %{y:.0f} meV: %{z}<extra></extra>",
        )
        shown.add_scatter(
            x=[0, right],
            y=[0, MEV * temperature * right / 1e6],
            mode="lines",
            line={"color": ORANGE, "width": 3},
            name=f"E = T·S at {temperature:g} K: stable below",
        )
        shown.update_yaxes(range=[min(low, -10), max(high, 10)])
        shown.update_xaxes(range=[0, right])
    return styled(
        shown,
        showlegend=True,
        xaxis={"title": {"text": "mixing entropy (µeV/K per atom)"}},
        yaxis={"title": {"text": "E<sub>hull</sub>, no entropy (meV/atom)"}},
    )


def stable_figure(
    temperatures: NDArray[np.float64], counts: NDArray[np.int64], temperature: float
) -> go.Figure:
    """
    Draw how many candidates are stable at each temperature.

    ``temperatures`` in K. ``counts``: two rows: candidates on or below the hull, and
    the certain ones of them. ``temperature``: the one that is marked.
    """
    shown = go.Figure()
    for row, name, dash in zip(
        counts, ("stable", "certain"), ("solid", "dash"), strict=True
    ):
        shown.add_scatter(
            x=temperatures,
            y=row,
            mode="lines",
            name=name,
            line={"color": BLUE, "width": 3, "dash": dash},
            hovertemplate="%{x:.0f} K: %{y} " + name + "<extra></extra>",
        )
    shown.add_vline(x=temperature, line={"color": ORANGE, "width": 2, "dash": "dot"})
    return styled(
        shown,
        showlegend=True,
        xaxis={"title": {"text": "temperature (K)"}},
        yaxis={"title": {"text": "stable candidates"}, "rangemode": "tozero"},
    )


def pair_figure(counts: PairCounts, *, shares: bool) -> go.Figure:
    """
    Draw a map of pairs of elements.

    ``counts``: candidates of each pair, and the stable ones. ``shares``: whether the
    colour is the share that is stable, or the number of candidates.
    """
    names = list(counts.elements)
    values = counts.share if shares else counts.present.astype(float)
    values = np.where(counts.present > 0, values, np.nan)
    known = values[~np.isnan(values)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    shown = go.Figure(
        go.Heatmap(
            x=names,
            y=names,
            z=values,
            customdata=np.dstack([counts.stable, counts.present, counts.certain]),
            # From the lowest to the highest, or a map of much the same has one colour.
            zmin=float(low),
            zmax=float(max(high, low + 0.01)),
            colorscale=SCALE,
            colorbar={
                "orientation": "h",
                "y": -0.12,
                "yanchor": "top",
                "title": {"text": "share stable" if shares else "candidates"},
                "tickformat": ".0%" if shares else "",
                "thickness": 12,
            },
            xgap=1,
            ygap=1,
            hovertemplate="%{y} with %{x}: %{customdata[0]} of %{customdata[1]} "
            "stable, of them %{customdata[2]} certain<extra></extra>",
        )
    )
    return styled(
        shown,
        margin={"l": 40, "r": 8, "t": 16, "b": 40},
        yaxis={"autorange": "reversed", "scaleanchor": "x", "constrain": "domain"},
        xaxis={"constrain": "domain", "side": "bottom"},
    )


def composition_figure(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    energies: NDArray[np.float64],
    names: tuple[str, str],
    title: str,
) -> go.Figure:
    """
    Draw the lowest E_hull over the amounts of two elements.

    ``first``, ``second``: amounts per formula unit of each candidate. ``energies``:
    E_hull of each candidate, eV/atom. ``names``: the two elements. ``title``: name of
    the colour.
    """
    x, y = np.round(first, 4), np.round(second, 4)
    across, up = np.unique(x), np.unique(y)
    lowest = np.full((len(up), len(across)), np.nan)
    counts = np.zeros_like(lowest)
    rows, columns = np.searchsorted(up, y), np.searchsorted(across, x)
    for row, column, value in zip(rows, columns, MEV * energies, strict=True):
        counts[row, column] += 1
        lowest[row, column] = np.fmin(lowest[row, column], value)
    reach = max(float(np.nanmax(np.abs(lowest), initial=1)), 1.0)
    shown = go.Figure(
        go.Heatmap(
            x=[f"{value:g}" for value in across],
            y=[f"{value:g}" for value in up],
            z=lowest,
            customdata=counts,
            zmin=-reach,
            zmax=reach,
            colorscale=[[0, BLUE], [0.5, "#F2F2EE"], [1, ORANGE]],
            colorbar={"title": {"text": title}, "thickness": 12},
            xgap=1,
            ygap=1,
            hovertemplate=f"{names[0]} %{{x}}, {names[1]} %{{y}}: %{{z:.1f}} meV/atom, "
            "lowest of %{customdata}<extra></extra>",
        )
    )
    return styled(
        shown,
        xaxis={"title": {"text": f"{names[0]} per formula unit"}, "type": "category"},
        yaxis={"title": {"text": f"{names[1]} per formula unit"}, "type": "category"},
    )


def fields_figure(
    values: tuple[NDArray[np.float64], NDArray[np.float64]],
    energies: NDArray[np.float64],
    formulas: Sequence[str],
    titles: tuple[str, str],
) -> go.Figure:
    """
    Draw two fields of candidates against each other, E_hull as colour.

    ``values``: across and up, of each candidate. ``energies``: E_hull, eV/atom.
    ``formulas``: of each candidate. ``titles``: names of the axes, with units.
    """
    across, up = values
    colours = MEV * energies
    reach = max(float(np.abs(colours).max(initial=1)), 1.0)
    shown = go.Figure(
        go.Scattergl(
            x=across,
            y=up,
            mode="markers",
            text=list(formulas),
            marker={
                "color": colours,
                "cmin": -reach,
                "cmax": reach,
                "colorscale": [[0, BLUE], [0.5, "#F2F2EE"], [1, ORANGE]],
                "colorbar": {"title": {"text": "meV/atom"}, "thickness": 12},
                "line": {"width": 0.5, "color": GREY},
                "size": 8,
            },
            hovertemplate="%{text}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
        )
    )
    return styled(
        shown,
        xaxis={"title": {"text": titles[0]}},
        yaxis={"title": {"text": titles[1]}},
    )


def lines_figure(
    temperatures: Sequence[float],
    lines: Sequence[tuple[str, Sequence[float], str]],
    temperature: float,
) -> go.Figure:
    """
    Draw E_hull of one candidate over temperature.

    ``temperatures`` in K. ``lines``: name, E_hull in eV/atom and dash of each line.
    ``temperature``: the one that is marked.
    """
    shown = go.Figure()
    for (name, values, dash), colour in zip(lines, (BLUE, ORANGE), strict=False):
        shown.add_scatter(
            x=list(temperatures),
            y=[MEV * value for value in values],
            mode="lines",
            name=name,
            line={"color": colour, "width": 3, "dash": dash},
            hovertemplate="%{x:.0f} K: %{y:.1f} meV/atom<extra>" + name + "</extra>",
        )
    _mark_hull(shown, vertical=False)
    shown.add_vline(x=temperature, line={"color": GREY, "width": 2, "dash": "dot"})
    return styled(
        shown,
        xaxis={"title": {"text": "temperature (K)"}},
        yaxis={"title": {"text": "E<sub>hull</sub> (meV/atom)"}},
        showlegend=True,
    )


def orderings_figure(energies: Sequence[float], methods: Sequence[str]) -> go.Figure:
    """
    Draw the energies of orderings above the lowest one.

    ``energies``: in eV/atom. ``methods``: how each was made.
    """
    lowest = min(energies, default=0.0)
    shown = go.Figure(
        go.Scatter(
            x=[MEV * (value - lowest) for value in energies],
            y=list(methods),
            mode="markers",
            marker={
                "color": BLUE,
                "size": 13,
                "symbol": "line-ns-open",
                "line": {"width": 3},
            },
            hovertemplate="%{y}: %{x:.2f} meV/atom above the lowest<extra></extra>",
        )
    )
    return styled(
        shown,
        margin={"l": 96, "r": 16, "t": 8, "b": 48},
        xaxis={"title": {"text": "above the lowest (meV/atom)"}},
        showlegend=False,
    )


def _mark_hull(shown: go.Figure, *, vertical: bool) -> None:
    line = {"color": ORANGE, "width": 2}
    words = {"text": "hull", "font": {"size": 12}}
    if vertical:
        shown.add_vline(x=0, line=line, annotation=words)
    else:
        shown.add_hline(y=0, line=line, annotation=words)
