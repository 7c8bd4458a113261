"""Rows and pages of the ranking of one campaign, by filter and temperature."""

from __future__ import annotations

import re
from math import isnan
from typing import TYPE_CHECKING, TypedDict

from hts_battery.dashboard.campaign_numbers import CampaignNumbers, read_numbers
from hts_battery.dashboard.parts import MEV, millis
from hts_battery.errors import QueryLimitError
from hts_battery.query.builds import label_words
from hts_battery.query.expressions import EVERYTHING
from hts_battery.query.filters import read_filter
from hts_battery.query.tables import marked_formula
from hts_battery.schemas.summary_table import summaries_of
from hts_battery.thermo.estimates import is_open, probability_stable, stability_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pyarrow.compute as pc
    from numpy.typing import NDArray

    from hts_battery.connections.database.bounded_reader import BoundedReader
    from hts_battery.query.summary_table import SummaryTable
    from hts_battery.schemas.rows import SummaryRow

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


ROW_COLUMNS = (
    *("candidate_id", "campaign", "formula", "family", "calculated_formula"),
    *("deviation", "n_orderings", "n_random_orderings", "mixing_temperature"),
    *("flags", "mixing", "other_mixing"),
)
"""Columns that a row of the table shows beside its numbers."""


def table_rows(
    numbers: CampaignNumbers,
    rows: Sequence[int] | NDArray[np.int64],
    ranks: Sequence[int],
    temperature: float,
) -> list[TableRow]:
    """
    Write candidates as rows of the table.

    ``numbers``: of a campaign, with :data:`ROW_COLUMNS`. ``rows``: those that are
    wanted. ``ranks``: the rank of each. ``temperature`` in K.
    """
    shown = numbers.rows.take(rows)
    page = CampaignNumbers(shown, numbers.stored)
    docs = summaries_of(shown.to_pydict())
    arrays = (page.at(temperature), page.upper(temperature), page.other(temperature))
    return [
        _table_row(doc, rank, temperature, *map(_known, values))
        for doc, rank, *values in zip(docs, ranks, *arrays, strict=True)
    ]


def _known(value: float) -> float | None:
    return None if isnan(value) else float(value)


def _table_row(
    doc: SummaryRow,
    rank: int,
    temperature: float,
    hot: float | None,
    upper: float | None,
    other: float | None,
) -> TableRow:
    hot = hot or 0.0
    unsure, mixing = doc["uncertainty"], doc["mixing_temperature"]
    doubtful = is_open(hot, lower=hot, upper=upper, uncertainty=unsure)
    label = stability_label(doc["energy_above_hull"], doc["entropy"], temperature)
    chance = probability_stable(hot, unsure)
    return {
        "key": f"{doc['campaign']}/{doc['candidate_id']}",
        "rank": rank,
        "candidate_id": doc["candidate_id"],
        "formula": marked_formula(doc),
        "campaign": doc["campaign"],
        "family": doc["family"],
        "cold": round(MEV * doc["energy_above_hull"], 1),
        "hot": round(MEV * hot, 1),
        "upper": millis(upper),
        "n": f"{doc['n_random_orderings']} of {doc['n_orderings']}",
        "unsure": "-" if unsure is None else f"±{millis(unsure)}",
        "label": label_words(label, is_open=doubtful),
        "chance": "-" if chance is None else f"{chance:.2f}",
        "other": millis(other),
        "fall": millis(doc["hull_depth_risk"]),
        "mixing": None if mixing is None else round(mixing),
        "entropy": round(1e6 * doc["entropy"], 1),
        "flags": "; ".join(doc["flags"]),
    }


def find_summaries(
    reader: BoundedReader,
    table: SummaryTable,
    *,
    filter_text: str | None,
    campaign: str | None,
    temperature: float,
    rows: slice,
) -> tuple[int, list[dict[str, object]]]:
    """
    Return a page of the ranking of the summaries that a filter matches.

    ``filter_text``: in OPTIMADE's language; everything if none. ``campaign``: name;
    nothing belongs to none. ``temperature`` in K, of the ranking. Returns: number of
    all matches, and the documents of the page in order. Raises QueryError if the filter
    cannot be read. Raises QueryLimitError if it costs too much.
    """
    where = checked_filter(table, filter_text)
    numbers = read_numbers(table, campaign, ("candidate_id",), where=where)
    order = numbers.ranking(temperature)
    names = numbers.rows["candidate_id"].take(order[rows]).to_pylist()
    mine = {"campaign": campaign, "candidate_id": {"$in": names}}
    docs = {doc["candidate_id"]: doc for doc in reader.find("summary", mine)}
    # A build may be removing one of them right now.
    return len(order), [docs[name] for name in names if name in docs]


def checked_filter(table: SummaryTable, text: str | None) -> pc.Expression:
    """Read a filter of a request, unless it costs too much."""
    if text is None or not text.strip():
        return EVERYTHING
    check_filter(text)
    return read_filter(text, table.field)
