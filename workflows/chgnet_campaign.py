"""
The table and the figures of docs/chgnet_campaign.md.

``python workflows/chgnet_campaign.py table`` writes the table from the database of the
settings, one row for each ordering that was relaxed; ``draw`` draws the figures from
the table alone.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hts_battery.cli.opening import opened_stores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.axes import Axes

    from hts_battery.connections.stores import Stores

DOCS = Path(__file__).resolve().parents[1] / "docs"
TABLE = DOCS / "data" / "chgnet_campaign.csv"
ONE, FOUR = "hedrx_18810_chgnet", "hedrx_18810_orderings"
HOT = "1473K"
MEV = 1000.0
STABLE, UNSTABLE, INK = "#0b7a75", "#c1666b", "#222222"
FEWEST = 8
"""Candidates below which a share is not drawn."""


# The table


def write_table(path: Path) -> None:
    """Write one row for each ordering of the two campaigns, used or rejected."""
    with opened_stores() as stores:
        table = pd.DataFrame(_rows(stores))
    table = table.sort_values(["campaign", "index", "method", "energy_per_atom"])
    path.parent.mkdir(exist_ok=True)
    table.to_csv(path, index=False, float_format="%.6g")
    print(f"{len(table)} rows in {path}")


def _rows(stores: Stores) -> Iterator[dict[str, Any]]:
    candidates = {
        doc["candidate_id"]: doc
        for doc in stores.candidates.query(properties=["candidate_id", "formula"])
    }
    entries: dict[str, list[dict[str, Any]]] = {}
    for doc in stores.entries.query({"kind": "candidate"}):
        entries.setdefault(doc["candidate_id"], []).append(doc)
    for campaign in (ONE, FOUR):
        summaries = {
            doc["candidate_id"]: doc
            for doc in stores.summary.query({"campaign": campaign})
        }
        wanted = 1 if campaign == ONE else 4
        for member in stores.members.query({"campaign": campaign}):
            name = member["candidate_id"]
            for doc in entries.get(name, ()):
                asked = doc["calculation"]["structure"]["n_orderings"]
                if sum(asked.values()) == wanted:
                    head = {
                        "campaign": campaign,
                        "index": int(member["space_index"]),
                        "formula": candidates[name]["formula"],
                    }
                    yield head | _row(doc, summaries.get(name))


def _row(entry: dict[str, Any], summary: dict[str, Any] | None) -> dict[str, Any]:
    metals = sorted(set(entry["elements"]) - {"Li", "O", "F"})
    energy = entry["energy"]
    row = {
        "metals": "-".join(metals),
        "n_metals": len(metals),
        "method": entry["ordering_method"],
        "ordering_id": entry["ordering_id"],
        "n_steps": entry["n_steps"],
        "state": entry["state"],
        "reason": entry["reason"],
        "energy_per_atom": None if energy is None else energy["energy_per_atom"],
        "displacement_rms": (entry["relaxed"] or {}).get("displacement_rms"),
        "assignment": assignment_text(entry["assignment"]),
    }
    if summary is None:
        return row
    upper = summary["energy_above_hull_upper_at"]
    return row | {
        "hull_energy": summary["energy_per_atom"] - summary["energy_above_hull"],
        "entropy": summary["entropy"],
        "energy_above_hull": summary["energy_above_hull"],
        "energy_above_hull_1473K": summary["energy_above_hull_at"][HOT],
        "energy_above_hull_1473K_upper": upper.get(HOT),
        "n_references": summary["n_references"],
        "flags": " ".join(summary["flags"]),
    }


def assignment_text(assignment: Mapping[str, Mapping[str, Any]] | None) -> str | None:
    """Write the species of a cell, ``cation: Li+ 1.1 Mn3+ 0.9; anion: O2- 2``."""
    if assignment is None:
        return None
    return "; ".join(
        f"{name}: "
        + " ".join(f"{text} {float(Fraction(n)):g}" for text, n in sorted(here.items()))
        for name, here in assignment.items()
    )


# The figures


def candidates_of(table: pd.DataFrame, campaign: str) -> pd.DataFrame:
    """Return the judged candidates of a campaign, energies in meV/atom."""
    chosen = table[(table.campaign == campaign) & table.energy_above_hull.notna()]
    chosen = chosen.drop_duplicates("index").copy()
    chosen["cold"] = MEV * chosen.energy_above_hull
    chosen["hot"] = MEV * chosen.energy_above_hull_1473K
    return chosen


def draw(table: pd.DataFrame, folder: Path) -> None:
    """Draw every figure."""
    one = candidates_of(table, ONE)
    _save(_cold_and_hot(one), folder / "chgnet-hull-at-1473K.png")
    _save(_by_metals(one), folder / "chgnet-number-of-metals.png")
    _save(_compatibility(one), folder / "chgnet-compatibility.png")
    _save(_orderings(table), folder / "chgnet-orderings.png")


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=140)
    print(path)


def _plain(axes: Axes) -> None:
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _cold_and_hot(one: pd.DataFrame) -> Figure:
    figure = _figure(7.2, 5.6)
    axes = figure.add_subplot()
    points = axes.scatter(one.cold, one.hot, c=one.n_metals, cmap="viridis", s=16)
    bar = figure.colorbar(points, ax=axes, ticks=sorted(one.n_metals.unique()))
    bar.set_label("number of metals")
    ends = np.array([min(one.cold.min(), 0) - 5, one.cold.max() + 5])
    axes.plot(ends, ends, color=INK, linewidth=0.8, linestyle="--", label="no entropy")
    axes.legend(frameon=False, fontsize=9)
    axes.axhline(0, color=INK, linewidth=1)
    axes.axhspan(one.hot.min() - 5, 0, color=STABLE, alpha=0.07, linewidth=0)
    axes.set_xlim(ends)
    axes.set_ylim(one.hot.min() - 5, one.hot.max() + 5)
    stable = int((one.hot <= 0).sum())
    axes.set_title(
        f"{len(one)} candidates, one random ordering each: {stable} at or below the "
        "hull at 1473 K",
        loc="left",
        fontsize=10,
    )
    axes.set_xlabel("$E_\\mathrm{hull}$ without entropy (meV/atom)")
    axes.set_ylabel("$E_\\mathrm{hull}$(1473 K) (meV/atom)")
    _plain(axes)
    return figure


def _by_metals(one: pd.DataFrame) -> Figure:
    figure = _figure(8.6, 4.2)
    left, right = figure.subplots(1, 2)
    numbers = sorted(one.n_metals.unique())
    for axes, column, title in (
        (left, "cold", "$E_\\mathrm{hull}$ without entropy"),
        (right, "hot", "$E_\\mathrm{hull}$(1473 K)"),
    ):
        groups = [one[column][one.n_metals == number] for number in numbers]
        axes.boxplot(
            groups,
            tick_labels=[
                f"{n}\n({len(g)})" for n, g in zip(numbers, groups, strict=True)
            ],
            sym="",
            medianprops={"color": STABLE, "linewidth": 2},
        )
        axes.axhline(0, color=INK, linewidth=1)
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("number of metals (candidates)")
        _plain(axes)
    left.set_ylabel("meV/atom; box: quartiles")
    return figure


def _compatibility(one: pd.DataFrame) -> Figure:
    metals = [frozenset(text.split("-")) for text in one.metals]
    hot = one.hot.to_numpy()
    symbols = sorted(frozenset().union(*metals))
    medians = {
        symbol: float(
            np.median([h for h, m in zip(hot, metals, strict=True) if symbol in m])
        )
        for symbol in symbols
    }
    symbols.sort(key=lambda symbol: medians[symbol])
    grid = np.full((len(symbols), len(symbols)), np.nan)
    for (i, a), (j, b) in combinations(enumerate(symbols), 2):
        both = [h for h, m in zip(hot, metals, strict=True) if a in m and b in m]
        if len(both) >= FEWEST:
            grid[i, j] = grid[j, i] = np.median(both)
    for i, symbol in enumerate(symbols):
        grid[i, i] = medians[symbol]
    figure = _figure(8.2, 7.2)
    axes = figure.add_subplot()
    middle = float(np.median(hot))
    far = np.nanmax(np.abs(grid - middle))
    image = axes.imshow(grid, cmap="RdBu_r", vmin=middle - far, vmax=middle + far)
    figure.colorbar(
        image, ax=axes, label="median $E_\\mathrm{hull}$(1473 K) (meV/atom)"
    )
    axes.set_xticks(range(len(symbols)), symbols, fontsize=8)
    axes.set_yticks(range(len(symbols)), symbols, fontsize=8)
    axes.set_title(
        f"Candidates with both metals (diagonal: with one); white: the median of all, "
        f"{middle:.0f}",
        loc="left",
        fontsize=10,
    )
    return figure


def _orderings(table: pd.DataFrame) -> Figure:
    judged = candidates_of(table, FOUR).sort_values("hot")
    rows = {index: place for place, index in enumerate(judged["index"])}
    used = table[(table.campaign == FOUR) & (table.state == "used")]
    used = used[used["index"].isin(rows)]
    above = MEV * (used.energy_per_atom - used.hull_energy)
    above = above - (MEV * (used.energy_above_hull - used.energy_above_hull_1473K))
    figure = _figure(8.2, 4.8)
    axes = figure.add_subplot()
    places = range(len(judged))
    upper = MEV * judged.energy_above_hull_1473K_upper
    axes.vlines(places, judged.hot, upper, color="#9aa0a6", linewidth=3, alpha=0.6)
    for method, colour, marker in (
        ("sqs", UNSTABLE, "o"),
        ("electrostatic", STABLE, "D"),
    ):
        chosen = used.method == method
        axes.scatter(
            [rows[index] for index in used["index"][chosen]],
            above[chosen],
            color=colour,
            marker=marker,
            s=14,
            label="random (sqs)" if method == "sqs" else "lowest electrostatic energy",
            zorder=3,
        )
    axes.axhline(0, color=INK, linewidth=1)
    axes.set_xlabel("candidate, by lower bound")
    axes.set_ylabel("$E_\\mathrm{hull}$(1473 K) of each ordering (meV/atom)")
    axes.set_title(
        "Bars: from the lower bound (lowest ordering) to the upper one (mean of the "
        "random ones)",
        loc="left",
        fontsize=10,
    )
    axes.legend(frameon=False, fontsize=9)
    _plain(axes)
    return figure


def main() -> None:
    """Write the table, or draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["table", "draw"])
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--images", type=Path, default=DOCS / "images")
    options = parser.parse_args()
    if options.what == "table":
        write_table(options.table)
    else:
        draw(pd.read_csv(options.table), options.images)


if __name__ == "__main__":
    main()
