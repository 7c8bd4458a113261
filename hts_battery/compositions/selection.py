"""The members of a space that a campaign screens, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.compositions.space import CompositionSpace
    from hts_battery.schemas.candidate import Candidate
    from hts_battery.schemas.space import Selection


def selected(
    space: CompositionSpace, selection: Selection
) -> Iterator[tuple[int, Candidate]]:
    """
    Stream the selected members with their indices.

    Parameters
    ----------
    space
        The space.
    selection
        All members, a range of indices, a random sample, or a list of formulas.

    Yields
    ------
    tuple
        Index in the space and candidate.

    Raises
    ------
    CompositionError
        If a formula is no member.
    IndexError
        If a range leaves the space.
    ValueError
        If a sample is larger than the space.
    """
    if selection.method == "all":
        yield from enumerate(space)
    elif selection.method == "range":
        start = selection.start or 0
        yield from enumerate(space.iterate(start, selection.stop), start)
    elif selection.method == "sample":
        indices = space.sample_indices(
            selection.count or 0, seed=selection.seed or 0, stratify=selection.stratify
        )
        yield from ((index, space[index]) for index in indices)
    else:
        for formula in selection.formulas or ():
            index = space.index(formula)
            yield index, space[index]


def selected_count(space: CompositionSpace, selection: Selection) -> int:
    """
    Count the selected members without making them.

    Parameters
    ----------
    space
        The space.
    selection
        What is selected.
    """
    if selection.method == "all":
        return space.count
    if selection.method == "range":
        return (selection.stop or 0) - (selection.start or 0)
    if selection.method == "sample":
        return selection.count or 0
    return len(selection.formulas or ())
