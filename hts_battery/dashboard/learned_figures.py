"""Figures of what was learned: shares, effects of metals, maps of formulas, curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import plotly.graph_objects as go

from hts_battery.dashboard.figures import BLUE, GREY, ORANGE, SKY, styled
from hts_battery.dashboard.parts import MEV

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.learning.rules import RuleReport
    from hts_battery.schemas.rules import ElementEffect, Interval, Rule

    Array = NDArray[np.float64]
    Share = tuple[int, float, Interval]

_TWO_SIDED = 1.96


def shares_figure(report: RuleReport, rule: Rule) -> go.Figure:
    """Draw the stable share in bins of a descriptor, as counted and adjusted."""
    from hts_battery.learning.standardised import quantile_edges  # noqa: PLC0415 - an extra

    column = rule.columns[0]
    values = report.values(column)
    edges = quantile_edges(values)
    bins = np.digitize(values, edges) - 1
    middles = [
        float(values[bins == n].mean()) if (bins == n).any() else float("nan")
        for n in range(len(edges) - 1)
    ]
    reach = (max(values) - min(values) or 1.0) / 200
    shown = go.Figure()
    for shares, name, colour, moved in (
        (report.shares(column, edges), "as counted", BLUE, -reach),
        (report.adjusted_shares(column, edges), "others held", ORANGE, reach),
    ):
        _add_shares(shown, [x + moved for x in middles], shares, name, colour)
    if report.base_rate is not None:
        line = {"color": GREY, "width": 2, "dash": "dash"}
        shown.add_hline(y=report.base_rate, line=line)
    for end in (rule.lower, rule.upper):
        if end is not None and rule.verdict in ("supported", "separates"):
            shown.add_vline(x=end, line={"color": GREY, "width": 2, "dash": "dot"})
    return styled(
        shown,
        showlegend=True,
        xaxis={"title": {"text": column}},
        yaxis={"title": {"text": "share stable"}, "tickformat": ".0%", "range": [0, 1]},
    )


def _add_shares(
    shown: go.Figure,
    x: Sequence[float],
    shares: Sequence[Share],
    name: str,
    colour: str,
) -> None:
    known = [n for n, (rows, share, _) in enumerate(shares) if rows and share == share]  # noqa: PLR0124 - NaN
    share = [shares[n][1] for n in known]
    shown.add_scatter(
        x=[x[n] for n in known],
        y=share,
        error_y={
            "array": [shares[n][2][1] - shares[n][1] for n in known],
            "arrayminus": [shares[n][1] - shares[n][2][0] for n in known],
            "color": colour,
        },
        mode="markers",
        name=name,
        marker={"color": colour, "size": 10},
        customdata=[shares[n][0] for n in known],
        hovertemplate="%{x:.4g}: %{y:.1%} of %{customdata} candidates<extra>"
        + name
        + "</extra>",
    )


def effects_figure(effects: Sequence[ElementEffect]) -> go.Figure:
    """Draw what each metal does to E_hull, with 95 % intervals; eV/atom effects."""
    shown = go.Figure()
    for verdict, colour in (("supported", BLUE), ("not supported", GREY)):
        some = [
            (one.element, one.effect, one.error, one.n)
            for one in effects
            if one.effect is not None and one.verdict == verdict
        ]
        shown.add_scatter(
            x=[MEV * (effect or 0.0) for _, effect, _, _ in some],
            y=[element for element, _, _, _ in some],
            error_x={
                "array": [_TWO_SIDED * MEV * (error or 0.0) for *_, error, _ in some],
                "color": colour,
            },
            mode="markers",
            name=verdict,
            marker={"color": colour, "size": 10},
            customdata=[n for *_, n in some],
            hovertemplate="%{y}: %{x:+.1f} meV/atom, in %{customdata} candidates"
            "<extra></extra>",
        )
    shown.add_vline(x=0, line={"color": ORANGE, "width": 2})
    order = [one.element for one in effects if one.effect is not None]
    return styled(
        shown,
        showlegend=True,
        xaxis={"title": {"text": "E<sub>hull</sub> with it minus without (meV/atom)"}},
        yaxis={"categoryorder": "array", "categoryarray": order[::-1], "dtick": 1},
    )


class MapPoints(NamedTuple):
    """Compositions on the map of a formula of two features."""

    across: Array
    up: Array
    names: Sequence[str]


class Line(NamedTuple):
    """The decision line of a formula: a across + b up + c is its boundary."""

    a: float
    b: float
    c: float


def formula_figure(
    stable: MapPoints,
    others: MapPoints,
    known: MapPoints,
    line: Line | None,
    titles: tuple[str, str],
) -> go.Figure:
    """Draw candidates and known compounds by two features, with the decision line."""
    shown = go.Figure()
    for points, name, colour, symbol, size in (
        (others, "not stable", GREY, "circle", 6),
        (stable, "stable", BLUE, "circle", 6),
        (known, "reported compound", ORANGE, "diamond", 11),
    ):
        shown.add_scatter(
            x=points.across,
            y=points.up,
            text=list(points.names),
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": size, "opacity": 0.8},
            hovertemplate="%{text}<br>%{x:.4g}, %{y:.4g}<extra>" + name + "</extra>",
        )
    across = np.concatenate([stable.across, others.across, known.across])
    up = np.concatenate([stable.up, others.up, known.up])
    if line is not None and len(across):
        ends = _ends(line, across, up)
        shown.add_scatter(
            x=ends[0],
            y=ends[1],
            mode="lines",
            name="decision line",
            line={"color": ORANGE, "width": 3},
        )
    return styled(
        shown,
        showlegend=True,
        xaxis={"title": {"text": titles[0]}, "range": _range(across)},
        yaxis={"title": {"text": titles[1]}, "range": _range(up)},
    )


def _range(values: Array) -> list[float] | None:
    """Leave a margin round what is drawn."""
    if not len(values):
        return None
    margin = 0.05 * (float(np.ptp(values)) or 1.0)
    return [float(values.min()) - margin, float(values.max()) + margin]


def _ends(line: Line, across: Array, up: Array) -> tuple[list[float], list[float]]:
    """Two points of the line, beyond what is drawn."""
    if abs(line.b) * float(np.ptp(up)) >= abs(line.a) * float(np.ptp(across)):
        x = _range(across) or [0.0, 1.0]
        return x, [-(line.a * one + line.c) / line.b for one in x]
    y = _range(up) or [0.0, 1.0]
    return [-(line.b * one + line.c) / line.a for one in y], y


def curves_figure(
    formula: Array, forest: Array, stable: NDArray[np.bool_]
) -> go.Figure:
    """Draw recall over false positives of rows kept aside: a formula and a forest."""
    shown = go.Figure()
    for scores, name, colour in (
        (formula, "the formula, which explains", BLUE),
        (forest, "a forest, which predicts", SKY),
    ):
        order = np.argsort(scores, kind="stable")
        found = np.cumsum(stable[order]) / max(int(stable.sum()), 1)
        wrong = np.cumsum(~stable[order]) / max(int((~stable).sum()), 1)
        shown.add_scatter(
            x=[0.0, *wrong],
            y=[0.0, *found],
            mode="lines",
            name=name,
            line={"color": colour, "width": 3},
        )
    shown.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="chance",
        line={"color": GREY, "dash": "dash"},
    )
    return styled(
        shown,
        showlegend=True,
        xaxis={"title": {"text": "false positives, of all that are not stable"}},
        yaxis={"title": {"text": "recall of the stable"}},
    )
