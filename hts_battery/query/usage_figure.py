"""A picture of what a campaign used: hours by step, of use and not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.schemas.usage import UsageSource

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.schemas.usage import CampaignUsage, StepUsage

_USEFUL, _LOST, _INK = "#0b7a75", "#c1666b", "#222222"
_WORDS = {
    UsageSource.LAUNCHES: "queue jobs, node-hours",
    UsageSource.EXECUTIONS: "calculations, hours of wall time",
}


def usage_figure(usage: CampaignUsage, path: Path) -> None:
    """
    Draw the hours of each step, and how much of them ended well.

    One panel for each source; at the bars stand how many runs there were, and the
    share of what was asked for that was used.

    ``path``: picture file to write; the suffix decides its format.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    groups = {
        source: [one for one in usage.steps if one.source is source]
        for source in UsageSource
    }
    shown = {source: steps for source, steps in groups.items() if steps}
    rows = max(2, sum(map(len, shown.values())))
    figure = Figure(figsize=(8.6, 1.6 + 0.5 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{usage.campaign}: what was used", color=_INK)
    panels = figure.subplots(
        max(1, len(shown)),
        1,
        squeeze=False,
        height_ratios=[max(1, len(steps)) for steps in shown.values()] or None,
    )
    for axes, (source, steps) in zip(panels[:, 0], shown.items(), strict=False):
        names = [one.step for one in steps]
        hours = [_hours(one) for one in steps]
        useful = [
            value * (one.useful or 0.0) for one, value in zip(steps, hours, strict=True)
        ]
        lost = [all_ - good for all_, good in zip(hours, useful, strict=True)]
        axes.barh(names, useful, color=_USEFUL, label="ended well")
        axes.barh(names, lost, left=useful, color=_LOST, label="failed, lost, running")
        for row, (one, value) in enumerate(zip(steps, hours, strict=True)):
            axes.annotate(
                _label(one),
                (value, row),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=_INK,
            )
        axes.set_xlim(0, 1.45 * max([*hours, 1e-9]))
        axes.set_xlabel(_WORDS[source])
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
    if shown:
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=2, frameon=False
        )
    figure.savefig(path, dpi=150)


def _hours(one: StepUsage) -> float:
    return one.hours if one.node_hours is None else one.node_hours


def _label(one: StepUsage) -> str:
    words = f"n = {one.runs}"
    if one.used_of_asked is not None:
        words += f", {one.used_of_asked:.0%} of the time asked for"
    if one.cpu is not None:
        words += f", CPU {one.cpu:.0%}"
    return words
