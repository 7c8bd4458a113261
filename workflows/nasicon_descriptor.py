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
    from collections.abc import Iterable

    from numpy.typing import NDArray

UNITS = {
    "E": "eV",
    **dict.fromkeys(("D", "R", "P"), "angstrom"),
    **dict.fromkeys(("X", "Xs", "AX"), "pauling"),
}
"""Charges, their spreads, the amount of sodium and the entropy are pure numbers."""
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
    frame["S"] = [
        nasicon_mixing_entropy(text, convention="ouyang2021") / KB_EV_PER_K
        for text in table.CompName
    ]
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


def two_steps(
    frame: pd.DataFrame, energies: NDArray[np.float64], sets: pd.Series
) -> tuple[DescriptorSearch, DescriptorSearch]:
    """
    Search the best single feature, then pairs with it among the columns.

    In the second step units are not asked about: its features are up to four operators
    deep, and each column is in the unit that it is named in.
    """
    names = sets.to_numpy()
    first = DescriptorSearch("rank", dimensions=1, units=UNITS)
    first.fit(frame, energies, names)
    second = DescriptorSearch("rank").fit(_deeper(first, frame), energies, names)
    return first, second


def _deeper(first: DescriptorSearch, frame: pd.DataFrame) -> pd.DataFrame:
    columns = {str(name): frame[name].to_numpy() for name in frame}
    return frame.assign(B=first.descriptors_[0].expressions[0](columns))


def assess(
    name: str,
    frame: pd.DataFrame,
    energies: NDArray[np.float64],
    sets: pd.Series,
    aside: NDArray[np.bool_],
) -> dict[str, float]:
    """Search without the rows kept aside; print the choice and what it does on them."""
    seen = ~aside
    first, second = two_steps(frame[seen], energies[seen], sets[seen])
    best = second.descriptors_[0]
    found = figures(second.predict(_deeper(first, frame[aside])), energies[aside])
    show(
        name,
        B=first.formulas_[0],
        formula=best.text,
        coefficients=best.coefficients,
        intercept=best.intercept,
        boundary=best.boundary,
        chosen_by=best.fold_score,
        wins=best.wins,
        n=int(aside.sum()),
        **found,
    )
    return found


def main(file: Path) -> None:
    """Search, assess, print one object a line."""
    frame, energies, sets = published_rows(file)
    formulas = pd.read_csv(file).CompName
    rows = zip(formulas, frame.E, strict=True)
    published = np.array([nasicon_tolerance_2021(*row) for row in rows])
    aside = is_aside(sets)
    show("published, aside", **figures(published[aside], energies[aside]))
    show("published, all", **figures(published, energies))
    assess("ours, aside", frame, energies, sets, aside)
    codes = np.unique(sets.to_numpy(dtype=str), return_inverse=True)[1]
    folds = assign_folds((energies <= 0).astype(float), codes, seed=0)
    theirs, ours = [], []
    for _, unseen in each_fold(folds):
        theirs.append(figures(published[unseen], energies[unseen]))
        ours.append(assess("ours, a fold", frame, energies, sets, unseen))
    for name, here in (("published, folds", theirs), ("ours, folds", ours)):
        show(
            name, **{key: float(np.mean([one[key] for one in here])) for key in ours[0]}
        )


def show(name: str, **values: object) -> None:
    """Print one object."""
    print(json.dumps({"name": name, **values}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
