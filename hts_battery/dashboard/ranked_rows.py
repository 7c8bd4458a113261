"""One ranked candidate as a row: the number with its bounds, its doubt and its mark."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

from hts_battery.dashboard.parts import MEV, millis
from hts_battery.query.builds import label_words
from hts_battery.thermo.estimates import (
    is_open,
    probability_stable,
    stability_label,
)

if TYPE_CHECKING:
    from hts_battery.dashboard.latest_build import Columns


def table_row(
    columns: Columns, row: int, rank: int, temperature: float
) -> dict[str, Any]:
    """
    Write one candidate as a row of the table.

    Parameters
    ----------
    columns
        All candidates.
    row
        Which one.
    rank
        Its place among those that are shown.
    temperature
        In K.
    """
    doc = columns.rows[row]
    hot = doc["energy_above_hull"] - temperature * doc["entropy"]
    if temperature in columns.stored:
        hot = float(columns.at(temperature)[row])
    gap, slope = float(columns.gaps[row]), float(columns.other_entropies[row])
    upper = None if isnan(gap) else hot + gap
    unsure, mixing = doc["uncertainty"], doc["mixing_temperature"]
    doubtful = is_open(hot, lower=hot, upper=upper, uncertainty=unsure)
    label = stability_label(doc["energy_above_hull"], doc["entropy"], temperature)
    chance = probability_stable(hot, unsure)
    return {
        "key": f"{doc['campaign']}/{doc['candidate_id']}",
        "rank": rank,
        "candidate_id": doc["candidate_id"],
        "formula": doc["formula"]
        if not doc["deviation"]
        else f"{doc['formula']} ≈ {doc['calculated_formula']}",
        "campaign": doc["campaign"],
        "family": doc["family"],
        "cold": round(MEV * doc["energy_above_hull"], 1),
        "hot": round(MEV * hot, 1),
        "upper": millis(upper),
        "n": f"{doc['n_random_orderings']} of {doc['n_orderings']}",
        "unsure": "-" if unsure is None else f"±{millis(unsure)}",
        "label": label_words(label, is_open=doubtful),
        "chance": "-" if chance is None else f"{chance:.2f}",
        "other": millis(None if isnan(slope) else hot + temperature * slope),
        "fall": millis(doc["hull_depth_risk"]),
        "mixing": None if mixing is None else round(mixing),
        "entropy": round(1e6 * doc["entropy"], 1),
        "flags": "; ".join(doc["flags"]),
    }
