"""
The table, the numbers and the figures of docs/chgnet_campaign.md.

``python workflows/chgnet_campaign.py --rebuild docs/data/chgnet_campaign.csv`` takes
the relaxed energies of the table, one row for each ordering, judges them anew with the
competing phases that ship, and writes the table, the figures and the numbers of the
page. Each campaign is assessed by its own orderings. ``--draw`` draws only.
"""

from __future__ import annotations

import argparse
import csv
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hts_battery.errors import MissingReferenceError
from hts_battery.flows.engines.registry import engine
from hts_battery.flows.recipes.references import shipped_energies
from hts_battery.query.regression import LinearFit, composition_terms, least_squares
from hts_battery.schemas.candidate import Candidate
from hts_battery.schemas.entropy import EntropyOptions
from hts_battery.schemas.formula import parse_formula
from hts_battery.thermo import (
    CandidateEnergy,
    Hull,
    HullContext,
    HullDepth,
    candidate_entropy,
    left_out_references,
    ordering_estimates,
    ordering_kind,
    stabilities,
)
from hts_battery.thermo.entropy import mixing_words, other_entropies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from hts_battery.schemas.thermo import OrderingKind, ThermoDoc

PROJECT = Path(__file__).resolve().parents[1]
DOCS = PROJECT / "docs"
TABLE = DOCS / "data" / "chgnet_campaign.csv"
PAGE = DOCS / "chgnet_campaign.md"
BEFORE = PROJECT / "tests" / "data" / "references_chgnet_837.csv"
"""The library when the campaign was run."""
ONE, FOUR = "hedrx_18810_chgnet", "hedrx_18810_orderings"
ENGINE, TEMPERATURE = "chgnet", 1473.0
MEV = 1000.0
STABLE, UNSTABLE, INK = "#0b7a75", "#c1666b", "#222222"
FEWEST = 8
"""Candidates below which a share is not drawn."""
NOT_KEPT = "not kept"
"""Flags of a cell that were overwritten by those of a lower one."""
RELAXED = (
    "campaign",
    "index",
    "formula",
    "metals",
    "n_metals",
    "method",
    "ordering_id",
    "n_steps",
    "state",
    "reason",
    "energy_per_atom",
    "displacement_rms",
    "assignment",
    "flags",
)
"""What the calculation gave; every other column follows from it."""


# The species of a cell


def assignment_text(assignment: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the species of a cell, ``cation: Li+ 1.1 Mn3+ 0.9; anion: O2- 2``."""
    return "; ".join(
        f"{name}: "
        + " ".join(f"{text} {float(Fraction(n)):g}" for text, n in sorted(here.items()))
        for name, here in assignment.items()
    )


def assignment_of(text: str) -> dict[str, dict[str, Fraction]]:
    """
    Read the species of a cell.

    Examples
    --------
    >>> assignment_of("cation: Li+ 1.1 Mn3+ 0.9; anion: O2- 2")["anion"]
    {'O2-': Fraction(2, 1)}
    """
    found = {}
    for part in text.split("; "):
        name, species = part.split(": ")
        words = species.split(" ")
        found[name] = dict(zip(words[::2], map(Fraction, words[1::2]), strict=True))
    return found


# E_hull, from the energies


def shipped_hull() -> Hull:
    """Hull of the used competing phases that ship."""
    used = [one for one in shipped_energies(ENGINE).energies if one.rejected is None]
    return Hull(
        [one.formula for one in used],
        [float(one.energy_per_atom or 0) for one in used],
        ids=[one.phase_id for one in used],
    )


def hull_before() -> Hull:
    """Hull of the phases that the library held when the campaign was run."""
    with BEFORE.open(encoding="utf-8") as file:
        used = [row for row in csv.DictReader(file) if not row["rejected"]]
    return Hull(
        [row["formula"] for row in used],
        [float(row["energy_per_atom"]) for row in used],
        ids=[row["phase_id"] for row in used],
    )


def assessed(table: pd.DataFrame, hull: Hull) -> pd.DataFrame:
    """
    Judge each campaign by its own orderings.

    Parameters
    ----------
    table
        One row for each ordering, with the columns of :data:`RELAXED`.
    hull
        Competing phases.
    """
    table = table[list(RELAXED)].copy()
    table["flags"] = table["flags"].fillna("")
    species = {text: assignment_of(text) for text in table["assignment"].unique()}
    table["assignment"] = [
        assignment_text(species[text]) for text in table["assignment"]
    ]
    four = set(table["index"][table.campaign == FOUR])
    # The table was first written with the flags of the lowest cell of both campaigns,
    # and for these that is an electrostatic one.
    lost = (table.campaign == ONE) & table["index"].isin(four)
    table.loc[lost, "flags"] = NOT_KEPT
    used = table[table.state == "used"]
    groups = dict(list(used.groupby(["campaign", "index"])))
    found = stabilities(
        [_energy(orderings, hull) for orderings in groups.values()],
        hull,
        calculator=ENGINE,
        temperatures=[0.0, TEMPERATURE],
        context=HullContext(
            engine_error=engine(ENGINE).error,
            depth=HullDepth(hull.formulas),
        ),
    )
    rows = []
    for (campaign, index), documents in zip(groups, found, strict=True):
        if isinstance(documents, MissingReferenceError):
            raise documents
        row = {"campaign": campaign, "index": index}
        rows.append(row | _judgement(*documents, len(groups[campaign, index])))
    merged = table.merge(pd.DataFrame(rows), on=["campaign", "index"], how="left")
    order = ["campaign", "index", "method", "energy_per_atom"]
    counts = {"n_orderings": "Int64", "n_references": "Int64", "open_1473K": "boolean"}
    merged = merged.astype(counts).sort_values(order, ignore_index=True)
    merged.loc[merged.state != "used", list(rows[0])[2:]] = pd.NA
    return merged


def _energy(orderings: pd.DataFrame, hull: Hull) -> CandidateEnergy:
    """Take what is assessed of one candidate of one campaign."""
    kinds: dict[OrderingKind, list[float]] = {}
    for method, energy in zip(orderings.method, orderings.energy_per_atom, strict=True):
        kinds.setdefault(ordering_kind(method), []).append(float(energy))
    formula, assignment = orderings[["formula", "assignment"]].iloc[0]
    candidate = Candidate(
        "hedrx",
        parse_formula(formula),
        sites={"cation": Fraction(2), "anion": Fraction(2)},
        assignments=(assignment_of(assignment),),
    )
    return CandidateEnergy(
        candidate.candidate_id,
        candidate.formula,
        float(orderings.energy_per_atom.min()),
        candidate_entropy(candidate),
        other_entropies=other_entropies(candidate, EntropyOptions()),
        exclude=left_out_references(hull, candidate.formula),
        orderings=ordering_estimates(kinds),
    )


def _judgement(cold: ThermoDoc, hot: ThermoDoc, n_orderings: int) -> dict[str, Any]:
    return {
        "n_orderings": n_orderings,
        "hull_energy": cold.hull_energy,
        "entropy": cold.entropy,
        "energy_above_hull": cold.energy_above_hull,
        "energy_above_hull_upper": cold.energy_above_hull_random,
        "energy_above_hull_1473K": hot.energy_above_hull,
        "energy_above_hull_1473K_upper": hot.energy_above_hull_random,
        "uncertainty": hot.uncertainty,
        "label_1473K": hot.label.value,
        "open_1473K": hot.open,
        "probability_stable_1473K": hot.probability_stable,
        "hull_depth_risk": hot.hull_depth_risk,
        "other_mixing": mixing_words(hot.other_mixings[0].options),
        "energy_above_hull_1473K_other": hot.other_mixings[0].energy_above_hull,
        "n_references": cold.n_references,
        "hull_version": cold.hull_version,
        "decomposition": " + ".join(
            f"{phase.amount:.3f} {phase.formula}" for phase in cold.decomposition
        ),
    }


def candidates_of(table: pd.DataFrame, campaign: str) -> pd.DataFrame:
    """Return the assessed candidates of a campaign, energies in meV/atom."""
    chosen = table[(table.campaign == campaign) & table.energy_above_hull.notna()]
    chosen = chosen.drop_duplicates("index").copy()
    chosen["cold"] = MEV * chosen.energy_above_hull
    chosen["hot"] = MEV * chosen.energy_above_hull_1473K
    chosen["upper"] = MEV * chosen.energy_above_hull_1473K_upper
    chosen["entropic"] = MEV * TEMPERATURE * chosen.entropy
    return chosen


# What E_hull depends on


def composition_fits(
    one: pd.DataFrame, more: Mapping[str, list[float]] | None = None
) -> tuple[LinearFit, LinearFit, list[str]]:
    """Fit E_hull and E_hull(1473 K) to the composition; metals, the best hot first."""
    terms, symbols = composition_terms(one.formula)
    terms["metals"] = [float(number) for number in one.n_metals]
    terms |= more or {}
    cold, hot = (least_squares(terms, one[c], shares=symbols) for c in ("cold", "hot"))
    return cold, hot, sorted(symbols, key=hot.coefficients.__getitem__)


def pairs_of(one: pd.DataFrame, residuals: np.ndarray) -> pd.DataFrame:
    """Average the residuals of the candidates that hold two metals, with an error."""
    held = [frozenset(text.split("-")) for text in one.metals]
    rows = []
    for a, b in combinations(sorted(frozenset().union(*held)), 2):
        here = np.array([a in metals and b in metals for metals in held])
        if here.sum() >= FEWEST:
            error = residuals[here].std(ddof=1) / here.sum() ** 0.5
            rows.append((a, b, int(here.sum()), residuals[here].mean(), error))
    return pd.DataFrame(rows, columns=["first", "second", "n", "mean", "error"])


def certain(group: pd.DataFrame) -> int:
    """Count those at or below the hull at 1473 K whose label is not open."""
    return int(((group.hot <= 0) & ~group.open_1473K.astype(bool)).sum())


# The figures


def draw(table: pd.DataFrame, folder: Path) -> None:
    """Draw every figure."""
    one = candidates_of(table, ONE)
    _save(_cold_and_hot(one), folder / "chgnet-hull-at-1473K.png")
    _save(_by_metals(one), folder / "chgnet-number-of-metals.png")
    _save(_metals(one), folder / "chgnet-metals.png")
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
    counts = sorted(one.n_metals.unique())
    points = axes.scatter(
        one.cold,
        one.hot,
        c=one.n_metals,
        cmap=colormaps["viridis"].resampled(len(counts)),
        vmin=counts[0] - 0.5,
        vmax=counts[-1] + 0.5,
        s=16,
    )
    bar = figure.colorbar(points, ax=axes, ticks=counts)
    bar.set_label("number of metals")
    ends = np.array([min(one.cold.min(), 0) - 5, one.cold.max() + 5])
    axes.plot(ends, ends, color=INK, linewidth=0.8, linestyle="--", label="no entropy")
    axes.legend(frameon=False, fontsize=9)
    axes.axhline(0, color=INK, linewidth=1)
    axes.axhspan(one.hot.min() - 5, 0, color=STABLE, alpha=0.07, linewidth=0)
    doubt = MEV * one.uncertainty.max()
    axes.axhspan(-doubt, doubt, color=INK, alpha=0.06, linewidth=0)
    axes.set_xlim(ends)
    axes.set_ylim(one.hot.min() - 5, one.hot.max() + 5)
    stable = int((one.hot <= 0).sum())
    axes.set_title(
        f"{len(one)} candidates, one random cell each: {stable} at or below the hull "
        f"at 1473 K, {certain(one)} certain",
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


def _metals(one: pd.DataFrame) -> Figure:
    """Coefficients of the first regression, with 95 % intervals."""
    cold, hot, symbols = composition_fits(one)
    places = np.arange(len(symbols))
    figure = _figure(8.2, 6.4)
    axes = figure.add_subplot()
    for fit, colour, shift, label in (
        (cold, UNSTABLE, 0.17, "$E_\\mathrm{hull}$ without entropy"),
        (hot, STABLE, -0.17, "$E_\\mathrm{hull}$(1473 K)"),
    ):
        axes.errorbar(
            [0.1 * fit.coefficients[symbol] for symbol in symbols],
            places + shift,
            xerr=[0.196 * fit.errors[symbol] for symbol in symbols],
            fmt="o",
            markersize=4,
            color=colour,
            label=label,
        )
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(places, symbols)
    axes.invert_yaxis()
    axes.set_xlabel(
        "change with a tenth of the metals in the place of the average "
        "(meV/atom; bars: 95 %)"
    )
    axes.set_title(
        f"Regression of {len(one)} candidates on Li, F and the shares of the metals",
        loc="left",
        fontsize=10,
    )
    axes.legend(frameon=False, fontsize=9)
    _plain(axes)
    return figure


def _compatibility(one: pd.DataFrame) -> Figure:
    """Show what a pair of metals adds to the sum of the two."""
    _, hot, symbols = composition_fits(one)
    place = {symbol: number for number, symbol in enumerate(symbols)}
    grid = np.full((len(symbols), len(symbols)), np.nan)
    for pair in pairs_of(one, hot.residuals).itertuples():
        i, j = place[str(pair.first)], place[str(pair.second)]
        grid[i, j] = grid[j, i] = pair.mean
    figure = _figure(8.2, 7.2)
    axes = figure.add_subplot()
    far = np.nanmax(np.abs(grid))
    image = axes.imshow(grid, cmap="RdBu_r", vmin=-far, vmax=far)
    figure.colorbar(
        image, ax=axes, label="mean residual of $E_\\mathrm{hull}$(1473 K) (meV/atom)"
    )
    axes.set_xticks(range(len(symbols)), symbols, fontsize=8)
    axes.set_yticks(range(len(symbols)), symbols, fontsize=8)
    axes.set_title(
        "What two metals together add to the sum of the two (blank: fewer than "
        f"{FEWEST} candidates)",
        loc="left",
        fontsize=10,
    )
    return figure


def _orderings(table: pd.DataFrame) -> Figure:
    four = candidates_of(table, FOUR).sort_values("hot")
    rows = {index: place for place, index in enumerate(four["index"])}
    used = table[(table.campaign == FOUR) & (table.state == "used")]
    used = used[used["index"].isin(rows)]
    above = MEV * (used.energy_per_atom - used.hull_energy)
    above = above - (MEV * (used.energy_above_hull - used.energy_above_hull_1473K))
    figure = _figure(8.2, 4.8)
    axes = figure.add_subplot()
    places = range(len(four))
    axes.vlines(places, four.hot, four.upper, color="#9aa0a6", linewidth=3, alpha=0.6)
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


def rebuild(path: Path, *, images: Path, page: Path) -> None:
    """Judge the energies of a table anew; write table, figures and the page."""
    from chgnet_page import filled, numbers  # noqa: PLC0415 - it stands beside the program

    table = pd.read_csv(path)
    before = assessed(table, hull_before())
    hull = shipped_hull()
    table = assessed(table, hull)
    table.to_csv(path, index=False, float_format="%.6g")
    print(f"{len(table)} rows in {path}, {len(hull)} competing phases ({hull.digest})")
    # The page says what can be had from the table as it stands.
    table = pd.read_csv(path)
    blocks = numbers(table, before)
    page.write_text(filled(page.read_text("utf-8"), blocks), "utf-8")
    for name, text in blocks.items():
        print(f"\n{name}\n{text}")
    draw(table, images)


def main() -> None:
    """Judge anew, or draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--rebuild", type=Path, metavar="TABLE")
    what.add_argument("--draw", type=Path, metavar="TABLE")
    parser.add_argument("--images", type=Path, default=DOCS / "images")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    if options.draw:
        draw(pd.read_csv(options.draw), options.images)
    else:
        rebuild(options.rebuild, images=options.images, page=options.page)


if __name__ == "__main__":
    main()
