"""Which charges an amount of an element reaches, and whether they form intervals."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import gcd
from typing import NamedTuple

from hts_battery.compositions.mixture import Item, Mixture, share_fillings


class Choice(NamedTuple):
    """One amount of an item: the charges, from zero up, that it reaches."""

    units: int
    low: int
    high: int
    ways: dict[int, int]
    """Charge → number of ways to write the amount as species."""


def interval_choices(mixture: Mixture) -> tuple[list[list[Choice]], int] | None:
    """
    Amounts of each item with their charge intervals, and the common stride.

    Parameters
    ----------
    mixture
        The integer problem.

    Returns
    -------
    tuple or None
        Nothing where an element sits on two groups, an exclusion names a species,
        or charges do not form intervals of one stride.
    """
    elements = {item.element for item in mixture.items}
    if any(name not in elements for names in mixture.exclusions for name in names):
        return None
    if any(len(item.shares) > 1 for item in mixture.items):
        return None
    reached = [_reached_charges(mixture, item) for item in mixture.items]
    stride = 0
    for charges in (list(ways) for one in reached for ways in one.values()):
        for low, high in pairwise(charges):
            stride = gcd(stride, high - low)
    stride = stride or 1
    found = []
    for one in reached:
        choices = [
            Choice(units, min(ways), max(ways), ways) for units, ways in one.items()
        ]
        if any(len(c.ways) != (c.high - c.low) // stride + 1 for c in choices):
            return None
        found.append(choices)
    return found, stride


def _reached_charges(mixture: Mixture, item: Item) -> dict[int, dict[int, int]]:
    """Ways to reach each charge, from zero up and ascending, by number of units."""
    share = item.shares[0]
    zero = lowest_charges(mixture)[share.group]
    found = {}
    for units in item.allowed:
        ways = Counter(
            filling.charge - zero * units for filling in share_fillings(share, units)
        )
        if ways:
            found[units] = dict(sorted(ways.items()))
    return found


def lowest_charges(mixture: Mixture) -> list[int]:
    """Lowest charge of one unit in each group; charges are counted from it."""
    lowest = []
    for index, group in enumerate(mixture.groups):
        charges = [
            option.charge
            for item in mixture.items
            for share in item.shares
            if share.group == index
            for option in share.options
        ]
        if group.vacancies is not None:
            charges.append(0)
        lowest.append(min(charges, default=0))
    return lowest
