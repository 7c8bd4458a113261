"""Figures of a ranking: what mixing entropy does to each candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.query.tables import MEV_PER_EV
from hts_battery.schemas.summary import temperature_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from hts_battery.schemas.rows import SummaryRow

_STABLE = "#0b7a75"
_UNSTABLE = "#c1666b"
_COLD = "#9aa0a6"
_INK = "#222222"
_MOST_LABELLED = 40


def formula_label(formula: str) -> str:
    r"""
    Write a formula with its amounts as subscripts, in matplotlib's mathematics.

    Examples
    --------
    >>> formula_label("Li1.3Mn0.7O2")
    '$\\mathrm{Li_{1.3}Mn_{0.7}O_{2}}$'
    """
    text = ""
    amount = ""
    for character in f"{formula} ":
        if character.isdigit() or character == ".":
            amount += character
            continue
        text += f"_{{{amount}}}" if amount else ""
        amount = ""
        text += character
    return f"$\\mathrm{{{text.strip()}}}$"


def ranking_figure(
    summaries: Sequence[SummaryRow], *, temperature: float, title: str, path: Path
) -> None:
    """
    Draw E_hull without entropy and at a temperature, one line per candidate.

    A bar is one standard uncertainty, a stroke the mean of the random orderings; the
    circle of an open label is hollow; behind ≈ stands what was calculated instead.

    ``summaries``: documents of the ``summary`` collection; the most stable 40 are
    drawn. ``temperature`` in K; one that the builders used. ``title``: title of the
    figure. ``path``: picture file to write; the suffix decides its format.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    key = temperature_key(temperature)
    ranked = sorted(summaries, key=lambda doc: doc["energy_above_hull_at"][key])
    shown = ranked[:_MOST_LABELLED]
    cold = [MEV_PER_EV * doc["energy_above_hull"] for doc in shown]
    hot = [MEV_PER_EV * doc["energy_above_hull_at"][key] for doc in shown]
    rows = range(len(shown))
    colours = [_STABLE if value <= 0 else _UNSTABLE for value in hot]

    figure = Figure(figsize=(8.6, 1.7 + 0.36 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    unsure = [MEV_PER_EV * (doc["uncertainty"] or 0.0) for doc in shown]
    ends = [value - one for value, one in zip(hot, unsure, strict=True)]
    left = min([0.0, *ends]) - 15
    axes.axvspan(left - 15, 0, color=_STABLE, alpha=0.07, linewidth=0)
    axes.axvline(0, color=_INK, linewidth=1)
    axes.hlines(rows, hot, cold, colors=colours, linewidth=2, alpha=0.55)
    axes.scatter(cold, rows, color=_COLD, s=38, zorder=3, label="$E_\\mathrm{hull}$")
    upper = {
        row: MEV_PER_EV * doc["energy_above_hull_upper_at"][key]
        for row, doc in enumerate(shown)
        if key in doc["energy_above_hull_upper_at"]
    }
    _draw_doubt(axes, hot, unsure, upper)
    faces = [
        "white" if doc["open_at"].get(key) else colour
        for doc, colour in zip(shown, colours, strict=True)
    ]
    axes.scatter(hot, rows, facecolors=faces, edgecolors=colours, s=46, zorder=4)
    for colour, sign in ((_STABLE, "≤"), (_UNSTABLE, ">")):
        words = f"$E_\\mathrm{{hull}}$({temperature:g} K) {sign} 0"
        axes.scatter([], [], color=colour, s=46, label=words)
    axes.set_yticks(rows, [_name(doc) for doc in shown], fontsize=9)
    axes.set(xlim=(left, max([*cold, *upper.values(), 0]) + 15))
    _decorate(axes, title)
    figure.savefig(path, dpi=160)


def _draw_doubt(
    axes: Axes, hot: Sequence[float], unsure: Sequence[float], upper: dict[int, float]
) -> None:
    """Draw the uncertainty of each candidate and the mean of its random orderings."""
    axes.errorbar(
        hot,
        range(len(hot)),
        xerr=unsure,
        fmt="none",
        ecolor=_COLD,
        elinewidth=0.8,
        zorder=1,
    )
    axes.scatter(
        list(upper.values()),
        list(upper),
        marker="|",
        color=_INK,
        s=60,
        zorder=3,
        label="random mean",
    )
    axes.scatter([], [], facecolors="white", edgecolors=_INK, s=46, label="open")


def _name(doc: SummaryRow) -> str:
    """Write a candidate, and below it what was calculated where that is another."""
    name = formula_label(doc["formula"])
    if not doc["deviation"]:
        return name
    return f"{name}\n≈ {formula_label(doc['calculated_formula'])}"


def _decorate(axes: Axes, title: str) -> None:
    """Axis, title, legend and grid; nothing that depends on the numbers."""
    axes.invert_yaxis()
    axes.set_xlabel("energy above hull (meV/atom)")
    axes.set_title(title, loc="left", fontsize=11, pad=48)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=9
    )
