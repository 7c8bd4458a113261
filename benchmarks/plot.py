"""
Draws the ratios of ``benchmarks/results`` on a log axis, sorted, with named peers.

``python benchmarks/plot.py`` writes ``docs/images/ratios-engine.png`` and
``ratios-science.png``: what handles candidates, and what judges them. A bar
to the right of one is in our favour; hollow bars are lower bounds. And
``campaign-overhead.png``: what each room of a whole campaign takes for a candidate.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[1]
PLOTS = {
    "engine": (
        "builders",
        "dashboard",
        "dispatch",
        "flows",
        "query",
        "status",
    ),
    "science": ("compositions", "hull", "structures"),
}


class Ratio(NamedTuple):
    """One bar."""

    room: str
    label: str
    value: float
    bound: bool


def main() -> None:
    """Draw the plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results")
    parser.add_argument("--images", type=Path, default=ROOT / "docs/images")
    asked = parser.parse_args()
    for name, rooms in PLOTS.items():
        found = [one for room in rooms for one in ratios(asked.results, room)]
        if found:
            draw(found, asked.images / f"ratios-{name}.png")
    draw_overhead(asked.results, asked.images / "campaign-overhead.png")


def ratios(results: Path, room: str) -> list[Ratio]:
    """Read the figures of a room that have a peer."""
    found = []
    for path in sorted(results.glob(f"{room}*.jsonl")):
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if not (line.get("ratio") and line.get("peer")):
                continue
            label = f"{line['figure']}\nbeside {line['peer']}"
            bound = "stopped" in text or "lower bound" in text
            found.append(Ratio(path.stem, label, line["ratio"], bound))
    return found


def draw(found: list[Ratio], path: Path) -> None:
    """Draw the bars, the largest at the top."""
    found = sorted(found, key=lambda one: one.value)
    rooms = sorted({one.room for one in found})
    colour = {room: f"C{index}" for index, room in enumerate(rooms)}
    figure, axes = plt.subplots(figsize=(10, 1.2 + 0.4 * len(found)))
    for row, one in enumerate(found):
        axes.barh(
            row,
            one.value - 1,
            left=1,
            color="none" if one.bound else colour[one.room],
            edgecolor=colour[one.room],
        )
        digits = ",.0f" if one.value >= 1000 else ".3g"  # noqa: PLR2004 - no exponents
        beside = f" {'≥ ' * one.bound}{one.value:{digits}} "
        side = "left" if one.value >= 1 else "right"
        axes.text(one.value, row, beside, va="center", ha=side, fontsize=8)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    low, high = found[0].value, found[-1].value
    axes.set_xlim(min(low, 1) / 2.5, max(high, 1) * 3)
    axes.set_ylim(-0.7, len(found) - 0.3)
    axes.set_yticks(range(len(found)), [one.label for one in found], fontsize=7)
    axes.set_xlabel("peer ÷ ours (above 1: ours is better)")
    axes.legend(
        handles=[plt.Rectangle((0, 0), 1, 1, color=colour[room]) for room in rooms],
        labels=rooms,
        loc="lower right",
        fontsize=8,
    )
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)


def draw_overhead(results: Path, path: Path) -> None:
    """Draw seconds and bytes of a candidate, stacked by room, one bar a campaign."""
    panels = {
        "processor": "ms of processor a candidate",
        "stored": "bytes of the database a candidate",
    }
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for (word, label), panel in zip(panels.items(), axes, strict=True):
        bars: dict[str, list[float]] = {}
        names: list[str] = []
        for kept in sorted(results.glob("campaign-*.jsonl"), key=_size):
            kind = "NASICON" if "nasicon" in kept.stem else "HE-DRX"
            names.append(f"{_size(kept):,}\n{kind}")
            for room, value in _rooms(kept, word).items():
                bars.setdefault(room, []).append(max(value, 0))
        below = [0.0] * len(names)
        for index, (room, values) in enumerate(bars.items()):
            colour = f"C{index}" if room != "calculator" else "0.75"
            panel.bar(names, values, bottom=below, label=room, width=0.5, color=colour)
            below = [low + one for low, one in zip(below, values, strict=True)]
        panel.set_ylabel(label)
        panel.set_ylim(0, 1.08 * max(below, default=1))
        panel.spines[["top", "right"]].set_visible(False)
    handles, rooms = axes[0].get_legend_handles_labels()
    figure.legend(handles, rooms, fontsize=8, reverse=True, loc="outside center right")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _rooms(kept: Path, word: str) -> dict[str, float]:
    """Read one figure of each room; launching without what the calculator takes."""
    lines = [json.loads(text) for text in kept.read_text("utf-8").splitlines()]
    found = {
        line["figure"].removesuffix(f": {word}"): line["value"]
        for line in lines
        if str(line.get("figure", "")).endswith(f": {word}")
    }
    calculator = found.pop("calculator", None)
    if calculator is not None:
        found["launch"] -= calculator
        found["calculator"] = calculator
    return found


def _size(kept: Path) -> int:
    """Read how many candidates ran."""
    for text in kept.read_text("utf-8").splitlines():
        line = json.loads(text)
        if line.get("figure") == "overhead":
            # Lines of older runs have the number where the peer belongs.
            return int(line.get("candidates") or line["peer"].split()[0])
    raise ValueError(f"{kept} has no overhead")


if __name__ == "__main__":
    main()
