"""
Search a two-dimensional descriptor of NASICON stability without any DFT result.

The rows are the 3,104 published for training (10.1038/s41467-021-26006-3). The other
777 are the authors' selection set and are not used. Five folds of whole metal sets are
kept aside in turn. Everything is chosen without the fold: how to search (one step or
two, with units or without, ranking or classes) by three inner folds, the formula by the
folds of the search itself.

    python workflows/nasicon_descriptor.py ../shared/data/nasicon_2021/compositions.csv
"""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd

from hts_battery.compositions.descriptors import neutral_species
from hts_battery.compositions.filters import metals
from hts_battery.learning import (
    DescriptorSearch,
    composition_descriptors,
    pair_accuracy,
)
from hts_battery.learning.folds import assign_folds, each_fold
from hts_battery.learning.nasicon import nasicon_tolerance_2021
from hts_battery.learning.shares import area_under_curve
from hts_battery.schemas.formula import parse_formula
from hts_battery.thermo import nasicon_mixing_entropy
from hts_battery.thermo.entropy import KB_EV_PER_K

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

UNITS = {
    "E": "eV",
    **dict.fromkeys(("D", "R", "P"), "angstrom"),
    **dict.fromkeys(("X", "Xs", "AX"), "pauling"),
}
"""Charges, their spreads, the amount of sodium and the entropy are pure numbers."""
TASKS: tuple[Literal["rank", "classify"], ...] = ("rank", "classify")
RATES = (0.1, 0.18)
INNER = 3
_NAMES = {
    "metal_radius_range": "D",
    "metal_radius_spread": "R",
    "metal_radius_mean": "P",
    "metal_electronegativity_mean": "X",
    "metal_electronegativity_spread": "Xs",
    "polyanion_electronegativity_spread": "AX",
    "polyanion_charge_spread": "Q",
    "metal_charge_spread": "Z",
    "carrier_amount": "N",
}


class Rows(NamedTuple):
    """Rows of the published table."""

    columns: pd.DataFrame
    """Exact columns, and the Ewald energy of formal charges."""
    energies: Array
    """E(1000 K), meV/atom."""
    sets: NDArray[np.int64]
    """Number of the set of metals."""
    published: Array
    """Published tolerance factor minus its boundary."""

    def only(self, rows: NDArray[np.bool_]) -> Rows:
        """Return some of them."""
        return Rows(self.columns[rows], *(one[rows] for one in self[1:]))


class Way(NamedTuple):
    """One way to search."""

    task: Literal["rank", "classify"]
    steps: int
    """Two: the best single feature first, then pairs with it among the columns."""
    units: bool
    """Whether units are asked about in the last step."""

    def __str__(self) -> str:
        units = "with" if self.units else "without"
        return f"{self.task}, {self.steps} steps, {units} units"


WAYS = [
    Way(task, steps, units)
    for task, steps, units in product(TASKS, (1, 2), (True, False))
]


def published_rows(file: Path) -> Rows:
    """Read the rows; descriptors from exact amounts."""
    table = pd.read_csv(file)
    rows = [composition_descriptors(text) for text in table.CompName]
    frame = pd.DataFrame(rows).rename(columns=_NAMES)
    frame["P"] -= 1.02  # minus the radius of sodium, as published
    frame["X"] -= 0.93
    frame["E"] = table.EWaldSumLst
    frame["S"] = [
        nasicon_mixing_entropy(text, convention="ouyang2021") / KB_EV_PER_K
        for text in table.CompName
    ]
    species = (neutral_species(parse_formula(text)) for text in table.CompName)
    sets = np.array(["-".join(sorted(metals({"": one}))) for one in species])
    factors = map(nasicon_tolerance_2021, table.CompName, table.EWaldSumLst)
    codes = np.unique(sets, return_inverse=True)[1].astype(np.int64)
    return Rows(frame, table.NewEhullLst.to_numpy(), codes, np.array(list(factors)))


class Found(NamedTuple):
    """What a search ended in."""

    first: DescriptorSearch | None
    last: DescriptorSearch

    def scores(self, columns: pd.DataFrame) -> Array:
        """Score rows; higher is less stable."""
        return self.last.predict(_with_first(self.first, columns))


def search(way: Way, rows: Rows) -> Found:
    """Search one way on some rows."""
    first, columns, units = None, rows.columns, UNITS if way.units else None
    if way.steps > 1:
        first = DescriptorSearch(way.task, dimensions=1, units=UNITS)
        first.fit(columns, rows.energies, rows.sets)
        columns = _with_first(first, columns)
        if units is not None:
            powers = first.descriptors_[0].expressions[0].units or {}
            text = "*".join(f"{one}^{power}" for one, power in powers.items())
            units = {**UNITS, "B": text or "1"}
    last = DescriptorSearch(way.task, units=units)
    return Found(first, last.fit(columns, rows.energies, rows.sets))


def _with_first(first: DescriptorSearch | None, columns: pd.DataFrame) -> pd.DataFrame:
    if first is None:
        return columns
    found = first.descriptors_[0].expressions[0]
    return columns.assign(
        B=found({str(one): columns[one].to_numpy() for one in columns})
    )


def figures(scores: Array, energies: Array) -> dict[str, float]:
    """Order-free accuracy, area under the curve, recall at two false-positive rates."""
    stable = energies <= 0
    found = {
        "pair_accuracy": pair_accuracy(scores, energies),
        "auc": area_under_curve(-scores, stable.astype(float)),
    }
    for rate in RATES:
        found[f"recall_at_{rate}"] = recall(scores, stable, rate)
    return found


def recall(scores: Array, stable: NDArray[np.bool_], rate: float) -> float:
    """Share of the stable rows below a bound that lets a share of the others pass."""
    return float((scores[stable] <= np.quantile(scores[~stable], rate)).mean())


def early_recall(scores: Array, energies: Array) -> float:
    """Mean recall over false-positive rates up to 0.2: what a way is chosen by."""
    rates = np.linspace(0.01, 0.2, 20)
    return float(np.mean([recall(scores, energies <= 0, one) for one in rates]))


def grouped_folds(rows: Rows, folds: int) -> NDArray[np.int64]:
    """Give each row its fold; sets of metals whole, both labels spread evenly."""
    label = (rows.energies <= 0).astype(float)
    return assign_folds(label, rows.sets, seed=0, folds=folds)


def chosen_way(rows: Rows) -> tuple[Way, dict[str, float]]:
    """Compare the ways on inner folds."""
    found: dict[Way, list[float]] = {way: [] for way in WAYS}
    for seen, aside in each_fold(grouped_folds(rows, INNER)):
        inner, unseen = rows.only(seen), rows.only(aside)
        for way in WAYS:
            scores = search(way, inner).scores(unseen.columns)
            found[way].append(early_recall(scores, unseen.energies))
    means = {way: float(np.mean(one)) for way, one in found.items()}
    named = {
        f"{w.task} {w.steps} {'units' if w.units else 'free'}": m
        for w, m in means.items()
    }
    return max(means, key=means.__getitem__), named


def main(file: Path) -> None:
    """Search, assess, print one object a line."""
    rows = published_rows(file)
    show("published, all rows", figures(rows.published, rows.energies))
    theirs, ours, parts = [], [], []
    for seen, aside in each_fold(grouped_folds(rows, 5)):
        inner, unseen = rows.only(seen), rows.only(aside)
        way, compared = chosen_way(inner)
        found = search(way, inner)
        scores = found.scores(unseen.columns)
        best = found.last.descriptors_[0]
        ours.append(figures(scores, unseen.energies))
        theirs.append(figures(unseen.published, unseen.energies))
        parts.append((scores, unseen))
        show(
            "a fold",
            ours[-1],
            published=theirs[-1],
            n=len(scores),
            accessible=int((unseen.energies <= 0).sum()),
            way=way._asdict(),
            inner=compared,
            B=found.first.formulas_[0] if found.first else None,
            formula=best.text,
            coefficients=best.coefficients,
            intercept=best.intercept,
            boundary=best.boundary,
        )
    show("published, folds", mean_of(theirs))
    show("ours, folds", mean_of(ours))
    show("ours minus published", mean_of(ours, theirs), interval=intervals(parts))


def mean_of(
    found: Sequence[Mapping[str, float]],
    minus: Sequence[Mapping[str, float]] | None = None,
) -> dict[str, float]:
    """Mean over folds, or of differences."""
    return {
        key: float(np.mean([one[key] for one in found]))
        - (float(np.mean([one[key] for one in minus])) if minus else 0.0)
        for key in found[0]
    }


def intervals(parts: Sequence[tuple[Array, Rows]]) -> dict[str, tuple[float, float]]:
    """95 % interval of the mean difference: sets of metals drawn again in each fold."""
    random = np.random.default_rng(0)
    drawn: list[dict[str, float]] = []
    for _ in range(200):
        ours, theirs = [], []
        for scores, rows in parts:
            sets = np.unique(rows.sets)
            again = random.choice(sets, len(sets))
            places = np.concatenate([np.flatnonzero(rows.sets == one) for one in again])
            energies = rows.energies[places]
            ours.append(figures(scores[places], energies))
            theirs.append(figures(rows.published[places], energies))
        drawn.append(mean_of(ours, theirs))
    return {
        key: tuple(np.quantile([one[key] for one in drawn], [0.025, 0.975]).tolist())
        for key in drawn[0]
    }


def show(name: str, found: Mapping[str, float], **values: object) -> None:
    """Print one object."""
    print(json.dumps({"name": name, **found, **values}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
