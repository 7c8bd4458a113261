"""
Search a two-dimensional descriptor of NASICON stability without any DFT result.

The rows are the 3,104 published for training (10.1038/s41467-021-26006-3). The other
777 are the authors' selection set and are not used. About every fifth set of metals is
kept aside from the first to the last step; what is chosen is chosen by folds of the
other sets.

    python workflows/nasicon_descriptor.py ../shared/data/nasicon_2021/compositions.csv
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hts_battery.compositions.filters import metals
from hts_battery.learning import (
    DescriptorSearch,
    composition_descriptors,
    pair_accuracy,
)
from hts_battery.learning.descriptors import neutral_species
from hts_battery.learning.folds import assign_folds, each_fold
from hts_battery.learning.nasicon import nasicon_tolerance_2021
from hts_battery.learning.shares import area_under_curve
from hts_battery.schemas.formula import parse_formula

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

UNITS = {
    "E": "eV",
    **dict.fromkeys(("D", "R", "P"), "angstrom"),
    **dict.fromkeys(("X", "Xs", "AX"), "pauling"),
}
"""Charges, their spreads and the amount of sodium are pure numbers."""
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


def published_rows(file: Path) -> tuple[pd.DataFrame, NDArray[np.float64], pd.Series]:
    """Return exact columns and the Ewald energy, energies in meV/atom, metal sets."""
    table = pd.read_csv(file)
    rows = [composition_descriptors(text) for text in table.CompName]
    frame = pd.DataFrame(rows).rename(columns=_NAMES)
    frame["P"] -= 1.02  # minus the radius of sodium, as published
    frame["X"] -= 0.93
    frame["E"] = table.EWaldSumLst
    species = (neutral_species(parse_formula(text)) for text in table.CompName)
    sets = pd.Series(["-".join(sorted(metals({"": one}))) for one in species])
    return frame, table.NewEhullLst.to_numpy(), sets


def is_aside(names: Iterable[str]) -> NDArray[np.bool_]:
    """Choose about every fifth set of metals by a digest of its name."""
    return np.array([sha256(one.encode()).digest()[0] % 5 == 0 for one in names])


def figures(
    scores: NDArray[np.float64], energies: NDArray[np.float64]
) -> dict[str, float]:
    """Order-free accuracy, area under the curve, recall at two false-positive rates."""
    stable = energies <= 0
    found = {
        "pair_accuracy": pair_accuracy(scores, energies),
        "auc": area_under_curve(-scores, stable.astype(float)),
    }
    for rate in (0.1, 0.18):
        bound = np.quantile(scores[~stable], rate)
        found[f"recall_at_{rate}"] = float((scores[stable] <= bound).mean())
    return found


def main(file: Path) -> None:
    """Search, assess, print one object a line."""
    frame, energies, sets = published_rows(file)
    aside = is_aside(sets)
    published = np.array(
        [
            nasicon_tolerance_2021(text, ewald)
            for text, ewald in zip(pd.read_csv(file).CompName, frame.E, strict=True)
        ]
    )
    show(
        "published",
        rows="aside",
        n=int(aside.sum()),
        **figures(published[aside], energies[aside]),
    )
    show("published", rows="all", n=len(frame), **figures(published, energies))
    kept = frame[~aside], energies[~aside], sets[~aside].to_numpy()
    for method in ("so", "rank"):
        search = DescriptorSearch("rank", method, units=UNITS).fit(*kept)
        best = search.descriptors_[0]
        scores = search.predict(frame[aside])
        show(
            method,
            rows="aside",
            formula=search.formulas_[0],
            coefficients=best.coefficients,
            intercept=best.intercept,
            boundary=best.boundary,
            chosen_by=best.fold_score,
            wins=best.wins,
            **figures(scores, energies[aside]),
        )
    codes = np.unique(sets.to_numpy(dtype=str), return_inverse=True)[1]
    folds = assign_folds((energies <= 0).astype(float), codes, seed=0)
    for name in ("published", "so"):
        here = []
        for seen, unseen in each_fold(folds):
            scores = published[unseen]
            if name != "published":
                search = DescriptorSearch("rank", units=UNITS)
                search.fit(frame[seen], energies[seen], sets[seen].to_numpy())
                scores = search.predict(frame[unseen])
                show(f"{name} in a fold", formula=search.formulas_[0])
            here.append(figures(scores, energies[unseen]))
        mean = {key: float(np.mean([one[key] for one in here])) for key in here[0]}
        show(name, rows="grouped folds, search and all", **mean)


def show(name: str, **values: object) -> None:
    """Print one object."""
    print(json.dumps({"name": name, **values}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
