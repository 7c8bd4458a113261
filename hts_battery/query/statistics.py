"""How many summaries a condition finds, from what the last build counted."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from hts_battery.schemas.summary import temperature_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ENERGY_AT = "energy_above_hull_at."
_COLD = "energy_above_hull"
COUNTED = (
    "campaign",
    "n_candidates",
    "histograms",
    "n_metals",
    "elements",
    "pairs",
    "flags",
    "families",
)
"""Fields of an aggregate that are read."""


class Statistics:
    """
    Expected numbers of summaries, added up over all campaigns.

    Parameters
    ----------
    aggregates
        Documents of the ``aggregates`` collection.
    """

    def __init__(self, aggregates: Sequence[Mapping[str, Any]]) -> None:
        self._aggregates = aggregates

    def expected(self, path: str, value: object) -> float | None:
        """
        Return how many summaries fulfil a condition.

        Parameters
        ----------
        path
            Field of a summary.
        value
            What it is compared with, as in a MongoDB filter.

        Returns
        -------
        float or None
            None where nothing was counted that tells.
        """
        if not self._aggregates:
            return None
        if path == _COLD:
            return self._below(temperature_key(0), value)
        if path.startswith(_ENERGY_AT):
            return self._below(path.removeprefix(_ENERGY_AT), value)
        values = _values(value)
        if values is None:
            return None
        counted = [_counts(doc, path) for doc in self._aggregates]
        if None in counted:
            return None
        return sum(
            found.get(str(one), 0) for found in counted if found for one in values
        )

    def _below(self, key: str, value: object) -> float | None:
        """Add up the bins of E_hull that lie between the bounds of a condition."""
        if not isinstance(value, dict):
            return None
        most = min(
            (value[name] for name in ("$lt", "$lte") if name in value), default=inf
        )
        least = max(
            (value[name] for name in ("$gt", "$gte") if name in value), default=-inf
        )
        total = 0.0
        for doc in self._aggregates:
            histogram = doc["histograms"].get(key)
            if histogram is None:
                continue
            edge, width = histogram["first_edge"], histogram["width"]
            for number, count in enumerate(histogram["counts"]):
                low = edge + number * width
                if low <= most and low + width > least:
                    total += count
        return total


def _values(value: object) -> list[Any] | None:
    if isinstance(value, dict):
        return value["$in"] if list(value) == ["$in"] else None
    return [value]


def _counts(doc: Mapping[str, Any], path: str) -> dict[str, int] | None:
    """Return value → summaries of one campaign, for the fields that are counted."""
    if path == "element_keys":
        groups = {**doc["elements"], **doc["pairs"]}
        return {name: group["n_candidates"] for name, group in groups.items()}
    if path == "n_metals":
        return {name: found["n_candidates"] for name, found in doc["n_metals"].items()}
    if path == "campaign":
        return {doc["campaign"]: doc["n_candidates"]}
    named = {"flags": "flags", "family": "families"}
    return dict(doc[named[path]]) if path in named else None
