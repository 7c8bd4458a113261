"""Which part of a filter an index serves, and which is tested on what it finds."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from hts_battery.query.conditions import Criteria
    from hts_battery.query.statistics import Statistics

_RANGES = frozenset({"$gt", "$gte", "$lt", "$lte", "$in", "$eq"})
_AT_TEMPERATURE = "energy_above_hull_at."

# Indexed fields, those first whose values few documents share.
_BY_SELECTIVITY = (
    "candidate_id",
    "canonical_formula",
    "input_digest",
    "chemical_system",
    "element_keys",
    _AT_TEMPERATURE,
    "energy_above_hull",
    "mixing_temperature",
    "flags",
    "n_metals",
    "campaign",
    "family",
)


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

    def stages(self) -> list[dict[str, Any]]:
        """Return the first stages of an aggregation."""
        return [{"$match": part} for part in (self.served, self.tested) if part]


def planned(criteria: Criteria, statistics: Statistics | None = None) -> Plan:
    """
    Split a filter so that an index is used for certain.

    The embedded server uses an index only where one covers the whole of a filter, and
    scans otherwise. A MongoDB server joins the two steps again and chooses itself.

    Parameters
    ----------
    criteria
        A flat filter, as :func:`~hts_battery.query.filters.filter_criteria` makes it.
    statistics
        What the last build counted; without, a fixed order decides.

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
    return path == "candidate_id" or path.startswith(_AT_TEMPERATURE)


def _rank(path: str) -> int | None:
    if path.startswith(_AT_TEMPERATURE):
        path = _AT_TEMPERATURE
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


def _bounds_stability(path: str, value: dict[str, Any]) -> bool:
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
