"""Reading summaries by an index in two steps, from a ranking, or from columns."""

from __future__ import annotations

from itertools import islice, takewhile
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from hts_battery.query.columns import ColumnReader, documents, in_order
from hts_battery.query.index_plans import Plan, planned
from hts_battery.query.rankings import Place, ranked_together
from hts_battery.query.statistics import COUNTED, Statistics
from hts_battery.schemas.summary import temperature_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.query.conditions import Criteria

COLD = "energy_above_hull"
ENERGY_AT = "energy_above_hull_at."
ONCE = "same_cell_as"
"""Null where a candidate stands for its own calculated cell."""
_IDS_AT_ONCE = 100
_AGAIN_SECONDS = 10.0
_FEW = 200
"""So many summaries are read as documents sooner than all as columns."""


class SummaryReader:
    """
    Answers checked filters from summaries and rankings.

    Parameters
    ----------
    stores
        Open stores.
    time_limit
        Seconds that the server may take for one query; none if not given.
    """

    def __init__(self, stores: Stores, *, time_limit: float | None = None) -> None:
        self._stores = stores
        self._time_limit = time_limit
        self._columns = ColumnReader(stores, time_limit)
        self._statistics: Statistics | None = None
        self._judged: dict[str, tuple[float, ...]] = {}
        self._sharing: frozenset[str] = frozenset()
        self._judged_until = -inf

    def in_order(
        self, criteria: Criteria, order: Mapping[str, int], limit: int
    ) -> Iterator[dict[str, Any]]:
        """Yield the first summaries in an order, from a ranking where one is kept."""
        bound = _bound_of_ranking(criteria, order) if limit else None
        if bound is not None:
            path, most = bound
            places = self._places(path, criteria)
            if places is not None:
                kept = places if most is None else takewhile(most, places)
                yield from self.at(islice(kept, limit))
                return
        stages = self.plan(criteria).stages()
        stages.append({"$sort": dict(order)})
        if limit:
            stages.append({"$limit": limit})
        yield from self.aggregated(stages)

    def fields(
        self,
        criteria: Criteria,
        paths: Collection[str],
        order: Mapping[str, int],
        limit: int,
    ) -> Iterator[dict[str, Any]]:
        """Yield summaries in an order, with the fields at some paths alone."""
        found = None
        if not self._are_few(criteria, order, limit):
            found = self.columns(criteria, {*paths, *order})
        if found is None:
            yield from self.in_order(criteria, order, limit)
            return
        yield from documents(in_order(found, order)[: limit or None])

    def columns(
        self, criteria: Criteria, paths: Collection[str]
    ) -> list[dict[str, Any]] | None:
        """Return paths of what a filter finds; None where columns do not tell."""
        return self._columns.rows(criteria, paths)

    def _are_few(
        self, criteria: Criteria, order: Mapping[str, int], limit: int
    ) -> bool:
        """Say whether few documents have to be read."""
        if 0 < limit <= _FEW and _bound_of_ranking(criteria, order) is not None:
            return True
        return bool(criteria) and self.plan(criteria).expected <= _FEW

    def plan(self, criteria: Criteria) -> Plan:
        """Split a filter; what the last build counted decides what is looked up."""
        if self._statistics is None:
            stages = [{"$project": dict.fromkeys(COUNTED, 1)}]
            self._statistics = Statistics(
                list(self._stores.aggregates.aggregated(stages))
            )
        return planned(criteria, self._statistics)

    def aggregated(
        self, stages: Sequence[Mapping[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        """Yield what stages of an aggregation find among the summaries."""
        return self._stores.summary.aggregated(stages, time_limit=self._time_limit)

    def shares_cells(self, campaign: object = None) -> bool:
        """Say whether candidates of a campaign, or of any, share a calculated cell."""
        self.judged()
        return bool(self._sharing if campaign is None else campaign in self._sharing)

    def _places(self, path: str, criteria: Criteria) -> Iterator[Place] | None:
        """Return ranked candidates; None unless every campaign asked of has them."""
        campaign = criteria.get("campaign")
        if ONCE not in criteria and self.shares_cells(campaign):
            return None
        key = path.removeprefix(ENERGY_AT) if path != COLD else temperature_key(0)
        kelvin = {
            name: value
            for name, stored in self.judged().items()
            if campaign in (None, name)
            for value in stored
            if temperature_key(value) == key
        }
        everywhere = set(self.judged()) if campaign is None else {campaign}
        if not kelvin or set(kelvin) != everywhere:
            return None
        return ranked_together(self._stores, list(kelvin), next(iter(kelvin.values())))

    def judged(self) -> dict[str, tuple[float, ...]]:
        """Return the stored temperatures in K of each campaign, read now and then."""
        if monotonic() >= self._judged_until:
            fields = ("campaign", "temperatures", "n_same_cell")
            stages = [{"$project": dict.fromkeys(fields, 1)}]
            found = list(self._stores.aggregates.aggregated(stages))
            self._judged = {
                doc["campaign"]: tuple(doc["temperatures"]) for doc in found
            }
            self._sharing = frozenset(
                doc["campaign"] for doc in found if doc["n_same_cell"]
            )
            self._judged_until = monotonic() + _AGAIN_SECONDS
        return self._judged

    def at(self, places: Iterable[Place]) -> Iterator[dict[str, Any]]:
        """Yield the summaries of ranked candidates, in their order."""
        pending = iter(places)
        while part := list(islice(pending, _IDS_AT_ONCE)):
            found = {}
            for campaign in dict.fromkeys(place.campaign for place in part):
                names = [p.candidate_id for p in part if p.campaign == campaign]
                criteria = {"campaign": campaign, "candidate_id": {"$in": names}}
                for doc in self.aggregated([{"$match": criteria}]):
                    found[campaign, doc["candidate_id"]] = doc
            for place in part:
                # One that was removed since the last build is not there any more.
                if (place.campaign, place.candidate_id) in found:
                    yield found[place.campaign, place.candidate_id]


def _bound_of_ranking(
    criteria: Criteria, order: Mapping[str, int]
) -> tuple[str, Any] | None:
    """
    Say whether a kept ranking answers: rising E_hull, no other condition.

    Returns
    -------
    tuple or None
        Path of the energy, and a test of a place where there is an upper bound.
    """
    path = next(iter(order), "")
    kept = path == COLD or path.startswith(ENERGY_AT)
    rising = list(order.items()) == [(path, 1), ("candidate_id", 1)]
    alone = criteria.keys() <= {"campaign", path, ONCE}
    # A ranking holds each calculated cell once.
    once = criteria.get(ONCE) is None
    bound = criteria.get(path, {})
    bounded = isinstance(bound, dict) and list(bound) in ([], ["$lte"], ["$lt"])
    named = isinstance(criteria.get("campaign", ""), str)
    if not all((kept, rising, alone, once, bounded, named)):
        return None
    if not bound:
        return path, None
    ((operator, most),) = bound.items()
    if operator == "$lte":
        return path, lambda place: place.energy <= most
    return path, lambda place: place.energy < most
