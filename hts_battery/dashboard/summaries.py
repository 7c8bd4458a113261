"""Summaries by filter and rank: from memory as far as it tells, else the database."""

from __future__ import annotations

import re
from math import isnan
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from hts_battery.dashboard.latest_build import FIELDS
from hts_battery.dashboard.parts import MEV, millis
from hts_battery.errors import QueryLimitError
from hts_battery.query.builds import label_words
from hts_battery.query.filters import filter_criteria
from hts_battery.query.query_fields import value_at
from hts_battery.query.row_conditions import matching, paths_of, without_keys
from hts_battery.thermo.estimates import is_open, probability_stable, stability_label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hts_battery.connections.database.bounded_reader import BoundedReader
    from hts_battery.dashboard.latest_build import Columns
    from hts_battery.query.conditions import Criteria

LONGEST_FILTER = 1000
DEEPEST_FILTER = 8
MOST_COMPARISONS = 24
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_WORD = re.compile(r"\b(?:AND|OR|NOT)\b|,")


def check_filter(text: str) -> None:
    """
    Refuse a filter that is too long, too deep, or compares too much.

    ``text``: a filter in OPTIMADE's language. Raises QueryLimitError: says which limit
    is exceeded.

    Examples
    --------
    >>> check_filter('elements HAS "Li" AND nelements=4')
    >>> check_filter("(" * 9 + "nelements=4" + ")" * 9)
    Traceback (most recent call last):
    ...
    hts_battery.errors.QueryLimitError: a filter may be nested 8 deep, not 9
    """
    if len(text) > LONGEST_FILTER:
        raise QueryLimitError(
            f"a filter may have {LONGEST_FILTER} characters, not {len(text)}"
        )
    bare = _TEXT.sub('""', text)
    depth = deepest = 0
    for character in bare:
        depth += {"(": 1, ")": -1}.get(character, 0)
        deepest = max(deepest, depth)
    if deepest > DEEPEST_FILTER:
        raise QueryLimitError(
            f"a filter may be nested {DEEPEST_FILTER} deep, not {deepest}"
        )
    words = len(_WORD.findall(bare))
    if words > MOST_COMPARISONS:
        raise QueryLimitError(
            f"a filter may hold {MOST_COMPARISONS} of AND, OR, NOT and commas, not "
            f"{words}"
        )


class TableRow(TypedDict):
    """One ranked candidate as the tables show it, energies in meV/atom."""

    key: str
    rank: int
    candidate_id: str
    formula: str
    campaign: str
    family: str
    cold: float
    hot: float
    upper: str
    n: str
    unsure: str
    label: str
    chance: str
    other: str
    fall: str
    mixing: int | None
    entropy: float
    flags: str


def table_row(columns: Columns, row: int, rank: int, temperature: float) -> TableRow:
    """Write one candidate as a row of the table."""
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


def find_summaries(
    reader: BoundedReader,
    columns: Columns,
    *,
    filter_text: str | None,
    campaign: str | None,
    temperature: float,
    rows: slice,
) -> tuple[int, list[dict[str, object]]]:
    """
    Return a page of the ranking of the summaries that a filter matches.

    ``columns``: all summaries, for their order. ``filter_text``: in OPTIMADE's
    language; everything if none. ``campaign``: name; nothing belongs to none.
    ``temperature`` in K, of the ranking. Returns: number of all matches, and the
    documents of the page in order. Raises QueryError if the filter cannot be read.
    Raises QueryLimitError if it costs too much.
    """
    order = columns.ranking(campaign, temperature)
    if filter_text is not None and filter_text.strip():
        order = order[matching_rows(reader, columns, filter_text, campaign)[order]]
    keys = [
        (columns.rows[row]["campaign"], columns.rows[row]["candidate_id"])
        for row in order[rows]
    ]
    ids = sorted({name for _, name in keys})
    docs = {
        (doc["campaign"], doc["candidate_id"]): doc
        for doc in reader.find("summary", {"candidate_id": {"$in": ids}})
    }
    # A build may be removing one of them right now.
    return len(order), [docs[key] for key in keys if key in docs]


def matching_rows(
    reader: BoundedReader, columns: Columns, text: str, campaign: str | None
) -> NDArray[np.bool_]:
    """Say of every row whether a filter matches it."""
    check_filter(text)
    criteria = filter_criteria(text, temperatures=columns.stored)
    remembered = _matching_in_memory(columns, criteria)
    if remembered is not None:
        return remembered
    criteria = {"$and": [criteria, {"campaign": campaign}]}
    found = {
        (doc["campaign"], doc["candidate_id"])
        for doc in reader.find("summary", criteria, fields=["campaign", "candidate_id"])
    }
    return np.array(
        [(row["campaign"], row["candidate_id"]) in found for row in columns.rows], bool
    )


def _matching_in_memory(
    columns: Columns, criteria: Criteria
) -> NDArray[np.bool_] | None:
    """Say the same from what is in memory; None where that does not hold all."""
    wanted = without_keys(criteria)
    if wanted is None:
        return None
    paths = paths_of(wanted)
    if not all(path.partition(".")[0] in FIELDS for path in paths):
        return None
    values = {path: [value_at(row, path) for row in columns.rows] for path in paths}
    found = np.zeros(len(columns), bool)
    found[matching(wanted, values, range(len(columns)))] = True
    return found
