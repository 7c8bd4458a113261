"""Reading summaries by an index in two steps, from a ranking, or from columns."""

from __future__ import annotations

from itertools import islice, takewhile
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from hts_battery.query.columns import ColumnReader, documents, in_order
from hts_battery.query.rankings import RankedCandidate, ranked_together
from hts_battery.schemas.summary import temperature_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.query.conditions import Criteria
    from hts_battery.schemas.rows import AggregateRow, SummaryRow

COLD = "energy_above_hull"
ENERGY_AT = "energy_above_hull_at."
ONCE = "same_cell_as"
"""Null where a candidate stands for its own calculated cell."""
_IDS_AT_ONCE = 100
_AGAIN_SECONDS = 10.0
_FEW = 200
"""So many summaries are read as documents sooner than all as columns."""
_RANGES = frozenset({"$gt", "$gte", "$lt", "$lte", "$in", "$eq"})
# Indexed fields, those first whose values few documents share.
_BY_SELECTIVITY = (
    "candidate_id",
    "canonical_formula",
    "input_digest",
    "chemical_system",
    "element_keys",
    ENERGY_AT,
    "energy_above_hull",
    "mixing_temperature",
    "flags",
    "n_metals",
    "campaign",
    "family",
)
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

    ``aggregates``: documents of the ``aggregates`` collection.
    """

    def __init__(self, aggregates: Sequence[AggregateRow]) -> None:
        self._aggregates = aggregates

    def expected(self, path: str, value: object) -> float | None:
        """
        Return how many summaries fulfil a condition.

        ``path``: field of a summary. ``value``: what it is compared with, as in a
        MongoDB filter. Returns: None where nothing was counted that tells.
        """
        if not self._aggregates:
            return None
        if path == COLD:
            return self._below(temperature_key(0), value)
        if path.startswith(ENERGY_AT):
            return self._below(path.removeprefix(ENERGY_AT), value)
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


def _counts(doc: AggregateRow, path: str) -> dict[str, int] | None:
    """Return value → summaries of one campaign, for the fields that are counted."""
    if path == "element_keys":
        groups = {**doc["elements"], **doc["pairs"]}
        return {name: group["n_candidates"] for name, group in groups.items()}
    if path == "n_metals":
        return {name: found["n_candidates"] for name, found in doc["n_metals"].items()}
    if path == "campaign":
        return {doc["campaign"]: doc["n_candidates"]}
    named = {"flags": doc["flags"], "family": doc["families"]}
    return dict(named[path]) if path in named else None


class Plan(NamedTuple):
    """A filter in two steps: what is looked up, and what is tested on that."""

    served: Criteria
    """Served by one index; empty if no part of the filter is."""
    tested: Criteria
    """The rest."""
    expected: float = inf
    """Summaries that are looked up, by the counts of the last build."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields that the index must begin with, equalities before a range."""
        return tuple(sorted(self.served, key=lambda name: _is_range(self.served[name])))

    def stages(self) -> list[dict[str, object]]:
        """Return the first stages of an aggregation."""
        return [{"$match": part} for part in (self.served, self.tested) if part]


def planned(criteria: Criteria, statistics: Statistics | None = None) -> Plan:
    """
    Split a filter so that an index is used for certain.

    The embedded server uses an index only where one covers the whole of a filter, and
    scans otherwise. A MongoDB server joins the two steps again and chooses itself.

    ``criteria``: a flat filter, as :func:`~hts_battery.query.filters.filter_criteria`
    makes it. ``statistics``: what the last build counted; without, a fixed order
    decides.

    Examples
    --------
    >>> planned({"element_keys": "Mn-Ti", "n_metals": 5}).served
    {'element_keys': 'Mn-Ti'}
    >>> planned({"campaign": "a", "energy_above_hull_at.0K": {"$lte": 0}}).tested
    {}
    """
    usable = {
        path: value
        for path, value in criteria.items()
        if _rank(path) is not None and _is_servable(value)
    }
    if not usable:
        return Plan({}, dict(criteria))
    expected = {
        path: _expected(path, value, statistics) for path, value in usable.items()
    }
    best = min(usable, key=lambda path: (expected[path], _cost(path, usable[path])))
    names = [best]
    if _joined_with_campaign(best) and _is_equality(usable.get("campaign", {})):
        names.insert(0, "campaign")
    served = {name: usable[name] for name in names}
    tested = {path: value for path, value in criteria.items() if path not in served}
    return Plan(served, tested, expected[best])


def _joined_with_campaign(path: str) -> bool:
    """Whether an index of campaign and this field exists."""
    return path == "candidate_id" or path.startswith(ENERGY_AT)


def _rank(path: str) -> int | None:
    if path.startswith(ENERGY_AT):
        path = ENERGY_AT
    return _BY_SELECTIVITY.index(path) if path in _BY_SELECTIVITY else None


def _expected(path: str, value: object, statistics: Statistics | None) -> float:
    """Documents that are looked up; few where the field is nearly unique."""
    found = None if statistics is None else statistics.expected(path, value)
    if found is not None:
        return found
    nearly_unique = _BY_SELECTIVITY.index("element_keys")
    known_order = statistics is None or (_rank(path) or 0) < nearly_unique
    return 0.0 if known_order else inf


def _cost(path: str, value: object) -> float:
    """Order of what is looked up: fewer documents before more."""
    rank = float(_rank(path) or 0)
    if path == "element_keys" and (isinstance(value, dict) or "-" not in str(value)):
        # One element is in many candidates; a bound on the energy finds fewer.
        rank = _BY_SELECTIVITY.index("flags") + 0.5
    if isinstance(value, dict) and not _bounds_stability(path, value):
        rank += len(_BY_SELECTIVITY)
    return rank


def _bounds_stability(path: str, value: dict[str, object]) -> bool:
    """Whether a condition is a list of values, or an upper bound of the energy."""
    if "$in" in value or "$eq" in value:
        return True
    return path.startswith("energy_above_hull") and not value.keys().isdisjoint(
        ("$lt", "$lte")
    )


def _is_equality(value: object) -> bool:
    return isinstance(value, str | int | float)


def _is_range(value: object) -> bool:
    return isinstance(value, dict)


def _is_servable(value: object) -> bool:
    if isinstance(value, dict):
        return bool(value) and value.keys() <= _RANGES
    return _is_equality(value)


class SummaryReader:
    """
    Answers checked filters from summaries and rankings.

    ``time_limit``: seconds that the server may take for one query; none if not given.
    """

    def __init__(self, stores: Stores, *, time_limit: float | None = None) -> None:
        self._stores = stores
        self._time_limit = time_limit
        self._columns = ColumnReader(stores, time_limit)
        self._statistics: Statistics | None = None
        self._temperatures: dict[str, tuple[float, ...]] = {}
        self._sharing: frozenset[str] = frozenset()
        self._temperatures_until = -inf

    def in_order(
        self, criteria: Criteria, order: Mapping[str, int], limit: int
    ) -> Iterator[SummaryRow]:
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
        yield from self.summaries(stages)

    def fields(
        self,
        criteria: Criteria,
        paths: Collection[str],
        order: Mapping[str, int],
        limit: int,
    ) -> Iterator[Mapping[str, object]]:
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
    ) -> list[dict[str, object]] | None:
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
            found = self._stores.aggregates.aggregated(stages)
            self._statistics = Statistics(cast("list[AggregateRow]", list(found)))
        return planned(criteria, self._statistics)

    def summaries(self, stages: Sequence[Mapping[str, object]]) -> Iterator[SummaryRow]:
        """Yield the summaries that stages of an aggregation find."""
        return cast("Iterator[SummaryRow]", self.aggregated(stages))

    def aggregated(
        self, stages: Sequence[Mapping[str, object]]
    ) -> Iterator[dict[str, Any]]:
        """Yield what stages of an aggregation find among the summaries."""
        return self._stores.summary.aggregated(stages, time_limit=self._time_limit)

    def shares_cells(self, campaign: object = None) -> bool:
        """Say whether candidates of a campaign, or of any, share a calculated cell."""
        self.stored_temperatures()
        return bool(self._sharing if campaign is None else campaign in self._sharing)

    def _places(
        self, path: str, criteria: Criteria
    ) -> Iterator[RankedCandidate] | None:
        """Return ranked candidates; None unless every campaign asked of has them."""
        campaign = criteria.get("campaign")
        if ONCE not in criteria and self.shares_cells(campaign):
            return None
        key = path.removeprefix(ENERGY_AT) if path != COLD else temperature_key(0)
        kelvin = {
            name: value
            for name, stored in self.stored_temperatures().items()
            if campaign in (None, name)
            for value in stored
            if temperature_key(value) == key
        }
        everywhere = set(self.stored_temperatures()) if campaign is None else {campaign}
        if not kelvin or set(kelvin) != everywhere:
            return None
        return ranked_together(self._stores, list(kelvin), next(iter(kelvin.values())))

    def stored_temperatures(self) -> dict[str, tuple[float, ...]]:
        """Return the stored temperatures in K of each campaign, read now and then."""
        if monotonic() >= self._temperatures_until:
            fields = ("campaign", "temperatures", "n_same_cell")
            stages = [{"$project": dict.fromkeys(fields, 1)}]
            found = list(self._stores.aggregates.aggregated(stages))
            self._temperatures = {
                doc["campaign"]: tuple(doc["temperatures"]) for doc in found
            }
            self._sharing = frozenset(
                doc["campaign"] for doc in found if doc["n_same_cell"]
            )
            self._temperatures_until = monotonic() + _AGAIN_SECONDS
        return self._temperatures

    def at(self, places: Iterable[RankedCandidate]) -> Iterator[SummaryRow]:
        """Yield the summaries of ranked candidates, in their order."""
        pending = iter(places)
        while part := list(islice(pending, _IDS_AT_ONCE)):
            found = {}
            for campaign in dict.fromkeys(place.campaign for place in part):
                names = [p.candidate_id for p in part if p.campaign == campaign]
                criteria = {"campaign": campaign, "candidate_id": {"$in": names}}
                for doc in self.summaries([{"$match": criteria}]):
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

    Returns: path of the energy, and a test of a place where there is an upper bound.
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
    ((operator, most),) = cast("dict[str, Any]", bound).items()
    if operator == "$lte":
        return path, lambda place: place.energy <= most
    return path, lambda place: place.energy < most
