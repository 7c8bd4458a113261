"""Which of the orderings made of a candidate a campaign asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hts_battery.schemas.structure import OrderingMethod

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Series = Mapping[str, Sequence[str]]
    """Method → ids of the orderings that it gives, in the order in which it does."""


def series_of(cells: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """
    Read the series of each method from the cells of one ordering job.

    ``cells``: :class:`~hts_battery.schemas.structure.OrderedCell` as stored, or of it
    ``ordering_id``, ``method`` and ``series``. Where the series is missing, the cells
    of a method count in the order given.

    Examples
    --------
    >>> series_of([
    ...     {"ordering_id": "b", "method": "sqs", "series": {"sqs": 1}},
    ...     {"ordering_id": "a", "method": "sqs", "series": {"sqs": 0, "random": 0}},
    ... ])
    {'random': ['a'], 'sqs': ['a', 'b']}
    """
    places: list[tuple[str, int, str]] = []
    for number, cell in enumerate(cells):
        found = cell.get("series") or {cell["method"]: number}
        places += [(str(m), n, cell["ordering_id"]) for m, n in found.items()]
    series: dict[str, list[str]] = {}
    for method, _, name in sorted(places):
        series.setdefault(method, []).append(name)
    return series


def joined(series: Iterable[Series]) -> dict[str, list[str]]:
    """
    Join what several ordering jobs of one candidate say, the latest last.

    Series of one method begin alike, however many were asked for; where another
    release of the search has found others, the latest holds.

    Examples
    --------
    >>> joined([{"sqs": ["a", "b"]}, {"sqs": ["a"], "random": ["c"]}])
    {'sqs': ['a', 'b'], 'random': ['c']}
    """
    found: dict[str, list[str]] = {}
    for one in series:
        for method, names in one.items():
            rest = found.get(method, [])[len(names) :]
            found[method] = [*names, *(name for name in rest if name not in names)]
    return found


def chosen(series: Series, wanted: Mapping[Any, int]) -> dict[str, str]:
    """
    Return the orderings that a campaign asks for, with the method that gives each.

    The rule of :func:`hts_battery.structures.ordering.generate_orderings`: method by
    method, each goes on along its series until it has given as many new ones as are
    asked for.

    ``series``: what is known of the candidate. ``wanted``: method → number asked for.
    Returns: ordering id → method. Fewer than asked for where not all are known.

    Examples
    --------
    >>> series = {"sqs": ["a", "b"], "electrostatic": ["b", "c"]}
    >>> chosen(series, {"sqs": 1, "electrostatic": 1})
    {'a': 'sqs', 'b': 'electrostatic'}
    >>> chosen(series, {"electrostatic": 1, "sqs": 2})
    {'a': 'sqs', 'b': 'sqs', 'c': 'electrostatic'}
    """
    counts = {str(method): number for method, number in wanted.items()}
    found: dict[str, str] = {}
    for method in map(str, OrderingMethod):
        new = [name for name in series.get(method, ()) if name not in found]
        found |= dict.fromkeys(new[: counts.get(method, 0)], method)
    return found


def covers(asked: Mapping[Any, int], wanted: Mapping[Any, int]) -> bool:
    """
    Say whether whoever made the orderings asked for at least as many by each method.

    Examples
    --------
    >>> covers({"sqs": 2}, {"sqs": 1}), covers({"sqs": 2}, {"electrostatic": 1})
    (True, False)
    """
    counts = {str(method): number for method, number in asked.items()}
    return all(counts.get(str(m), 0) >= number for m, number in wanted.items())
