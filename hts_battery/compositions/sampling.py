"""
Which members a selection takes: all, a range, a list, or a random sample.

Random numbers are the same on every machine, for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from hts_battery.compositions.filters import FilterReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hts_battery.compositions.filters import Filter
    from hts_battery.compositions.space import CompositionSpace
    from hts_battery.schemas.candidate import Candidate
    from hts_battery.schemas.space import Selection

_T = TypeVar("_T")

_SCHEME = "hts_battery sample 1"


class Draws:
    """A stream of random whole numbers from SHA-256 of seed, name and a counter."""

    def __init__(self, seed: int, stream: str = "") -> None:
        self._prefix = f"{_SCHEME}\n{seed}\n{stream}\n"
        self._counter = 0

    def below(self, bound: int) -> int:
        """Draw uniformly from 0 to ``bound - 1``."""
        bits = (bound - 1).bit_length()
        while True:
            value = self._bits(bits)
            if value < bound:
                return value

    def _bits(self, bits: int) -> int:
        digest = b""
        while 8 * len(digest) < bits:
            text = f"{self._prefix}{self._counter}"
            digest += sha256(text.encode("ascii")).digest()
            self._counter += 1
        return int.from_bytes(digest, "big") >> (8 * len(digest) - bits)


def distinct_indices(
    total: int, count: int, seed: int, stream: str = ""
) -> Iterator[int]:
    """
    Draw distinct numbers below a total, every ordered choice equally likely.

    A shuffle that only remembers what it moved (Fisher and Yates): no list of all
    numbers is made, and a longer sample begins with the shorter one.

    Examples
    --------
    >>> list(distinct_indices(10**12, 3, seed=0))
    [568536224041, 574786845781, 604349831179]
    """
    if not 0 <= count <= total:
        raise ValueError(f"cannot draw {count} distinct members out of {total}")
    draws = Draws(seed, stream)
    moved: dict[int, int] = {}
    for place in range(count):
        drawn = place + draws.below(total - place)
        yield moved.get(drawn, drawn)
        moved[drawn] = moved.pop(place, place)
        # The place itself is never drawn again; what stood there has moved on.


@dataclass(frozen=True, slots=True)
class Stratum:
    """Members of a space that a sample takes as one lot."""

    name: str
    """Keeps its random numbers apart from those of the others, for ever."""
    size: int
    """Number of its members."""
    index: Callable[[int], int]
    """Index in the space of the member at a place below the size."""

    def draw(self, seed: int) -> Iterator[int]:
        """Draw the indices of all its members in random order, one at a time."""
        places = distinct_indices(self.size, self.size, seed, self.name)
        return map(self.index, places)


def in_turns(
    strata: Mapping[tuple[int | str, ...], Stratum],
    draw: Callable[[Stratum], Iterator[_T]],
) -> Iterator[_T]:
    """
    Take turns among strata; one that has no more is left out from then on.

    Strata of several keys take turns by the first key, those that share it by the
    second, and so on: every stoichiometry gives as many as every other, and within it
    every number of metals as many as every other, as long as there are any.
    """
    groups: dict[int | str, dict[tuple[int | str, ...], Stratum]] = {}
    for (first, *others), stratum in strata.items():
        groups.setdefault(first, {})[tuple(others)] = stratum
    streams = [
        draw(group[()]) if () in group else in_turns(group, draw)
        for group in groups.values()
    ]
    yield from _round_robin(streams)


def _round_robin(streams: Sequence[Iterator[_T]]) -> Iterator[_T]:
    left = list(streams)
    while left:
        still = []
        for stream in left:
            for one in stream:
                yield one
                still.append(stream)
                break
        left = still


@dataclass(frozen=True)
class Filtered:
    """One member and, if a rule removes it, that rule and its reason."""

    index: int
    candidate: Candidate
    rule: str | None
    reason: str | None


def filtered(
    members: Iterable[tuple[int, Candidate]],
    filters: Sequence[Filter],
    report: FilterReport,
) -> Iterator[Filtered]:
    """Pass a stream of members through every rule in turn; the first reason counts."""
    for index, candidate in members:
        report.examined += 1
        reasons = ((rule.rule, rule.invalid_reason(candidate)) for rule in filters)
        rule, reason = next((one for one in reasons if one[1]), (None, None))
        if rule is not None:
            report.removed[rule] += 1
            report.examples.setdefault(rule, f"{candidate.formula}: {reason}")
        yield Filtered(index, candidate, rule, reason)


EMPTY_AFTER = 10_000
"""Members of a stratum that filters may remove in a row before it counts as empty."""


def selected(
    space: CompositionSpace,
    selection: Selection,
    filters: Sequence[Filter] = (),
    report: FilterReport | None = None,
    *,
    listed: Sequence[int] | None = None,
) -> Iterator[tuple[int, Candidate]]:
    """
    Stream the selected members that no filter removes, with their indices.

    A sample is drawn until it holds as many as were asked for: what a filter removes
    is replaced by the next of its stratum. A stratum that has no more, or whose last
    :data:`EMPTY_AFTER` members were all removed, is left out from then on and named in
    the report.

    Parameters
    ----------
    space
        The space.
    selection
        All members, a range of indices, a random sample, or a list of formulas.
    listed
        Indices of the members of a list of formulas that was read already, see
        :func:`~hts_battery.compositions.formula_list.listed_members`.
    filters
        Rules that remove members.
    report
        Told of what is removed.

    Yields
    ------
    tuple
        Index in the space and candidate.

    Raises
    ------
    CompositionError
        If a formula is no member, or the space has no such strata.
    IndexError
        If a range leaves the space.
    ValueError
        If a sample is larger than the space.
    """
    report = report if report is not None else FilterReport()
    if selection.method != "sample":
        members = _named(space, selection, listed)
        for one in filtered(members, filters, report):
            if one.rule is None:
                yield one.index, one.candidate
        return
    seed, count = selection.seed or 0, selection.count or 0
    space.check_size(count)

    def draw(stratum: Stratum) -> Iterator[tuple[int, Candidate]]:
        kept = removed = 0
        members = ((index, space[index]) for index in stratum.draw(seed))
        for one in filtered(members, filters, report):
            if one.rule is None:
                kept, removed = kept + 1, 0
                yield one.index, one.candidate
                continue
            removed += 1
            if removed == EMPTY_AFTER:
                break
        report.short[stratum.name] = kept

    yield from islice(in_turns(space.strata(selection.strata), draw), count)


def _named(
    space: CompositionSpace, selection: Selection, listed: Sequence[int] | None
) -> Iterator[tuple[int, Candidate]]:
    """Members that stand one after the other, or are named one by one."""
    if selection.method == "all":
        yield from enumerate(space)
    elif selection.method == "range":
        start = selection.start or 0
        yield from enumerate(space.iterate(start, selection.stop), start)
    else:
        if listed is None:
            listed = [space.index(formula) for formula in selection.formulas or ()]
        for index in listed:
            yield index, space[index]
