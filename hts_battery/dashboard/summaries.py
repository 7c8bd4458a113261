"""Summaries by filter and rank: from memory as far as it tells, else the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hts_battery.dashboard.latest_build import FIELDS
from hts_battery.dashboard.limits import check_filter
from hts_battery.query.filters import filter_criteria
from hts_battery.query.query_fields import value_at
from hts_battery.query.row_conditions import matching, paths_of, without_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hts_battery.connections.database.bounded_reader import BoundedReader
    from hts_battery.dashboard.latest_build import Columns
    from hts_battery.query.conditions import Criteria


def find_summaries(
    reader: BoundedReader,
    columns: Columns,
    *,
    filter_text: str | None,
    campaign: str | None,
    temperature: float,
    rows: slice,
) -> tuple[int, list[dict[str, Any]]]:
    """
    Return a page of the ranking of the summaries that a filter matches.

    Parameters
    ----------
    reader
        Where to read.
    columns
        All summaries, for their order.
    filter_text
        In OPTIMADE's language; everything if none.
    campaign
        Name; nothing belongs to none.
    temperature
        In K, of the ranking.
    rows
        The page.

    Returns
    -------
    tuple
        Number of all matches, and the documents of the page in order.

    Raises
    ------
    QueryError
        If the filter cannot be read.
    QueryLimitError
        If it costs too much.
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
    """
    Say of every row whether a filter matches it.

    Parameters
    ----------
    reader
        Where the filter is answered.
    columns
        The rows.
    text
        The filter.
    campaign
        Name; nothing belongs to none.
    """
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
