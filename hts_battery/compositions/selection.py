"""The members of a space that a campaign screens, one after the other."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from hts_battery.compositions.filters import FilterReport, filtered
from hts_battery.compositions.sampling import in_turns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hts_battery.compositions.filters import Filter
    from hts_battery.compositions.sampling import Stratum
    from hts_battery.compositions.space import CompositionSpace
    from hts_battery.schemas.candidate import Candidate
    from hts_battery.schemas.space import Selection

EMPTY_AFTER = 10_000
"""Members of a stratum that filters may remove in a row before it counts as empty."""


def selected(
    space: CompositionSpace,
    selection: Selection,
    filters: Sequence[Filter] = (),
    report: FilterReport | None = None,
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
        for one in filtered(_named(space, selection), filters, report):
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
    space: CompositionSpace, selection: Selection
) -> Iterator[tuple[int, Candidate]]:
    """Members that stand one after the other, or are named one by one."""
    if selection.method == "all":
        yield from enumerate(space)
    elif selection.method == "range":
        start = selection.start or 0
        yield from enumerate(space.iterate(start, selection.stop), start)
    else:
        for formula in selection.formulas or ():
            index = space.index(formula)
            yield index, space[index]


def selected_count(space: CompositionSpace, selection: Selection) -> int:
    """Count the selected members without making them, before any filter."""
    if selection.method == "all":
        return space.count
    if selection.method == "range":
        return (selection.stop or 0) - (selection.start or 0)
    if selection.method == "sample":
        return selection.count or 0
    return len(selection.formulas or ())
