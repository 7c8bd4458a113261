"""The integer problem in a composition space: items, open sites, charges reached."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product
from math import gcd
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction


class Option(NamedTuple):
    """One species that an item may be, on one group of sites."""

    species: str
    charge: int
    """Charge of one unit, in units of the mixture's ``charge_unit``."""
    minimum: int
    maximum: int
    preference: int
    energy: int | None
    """What it costs to oxidise one unit to this state: mV of its couples over the
    lowest state that the element may have, times charge units; none if unknown."""


class Portion(NamedTuple):
    """The part of an item that sits on one group of sites."""

    group: int
    allowed: tuple[int, ...]
    """Numbers of units that may sit here, ascending."""
    options: tuple[Option, ...]


class Item(NamedTuple):
    """One element whose amount is free."""

    element: str
    unit: Fraction
    """Atoms per formula unit of one unit."""
    allowed: tuple[int, ...]
    """Numbers of units over all groups, ascending."""
    shares: tuple[Portion, ...]
    metal: bool


class OpenSites(NamedTuple):
    """The sites of one sublattice that fixed amounts leave open."""

    sublattice: str
    units: int
    unit: Fraction
    vacancies: tuple[int, int] | None
    """Least and greatest number of empty units; none if every site is filled."""
    metals: tuple[int, int]
    """Least and greatest number of different metals among the items here."""


class Mixture(NamedTuple):
    """
    Everything that free amounts must satisfy, in integers.

    Items are ordered by the first group they may sit on, then by symbol: this
    order is the order of the members of a space and never changes.
    """

    items: tuple[Item, ...]
    groups: tuple[OpenSites, ...]
    exclusions: tuple[tuple[str, ...], ...]
    """Sets of elements or species that may not all be present."""
    charge_unit: Fraction

    def charges(self, group: int) -> list[int]:
        """Charges that one unit in a group may have, a vacancy's zero among them."""
        found = [
            option.charge
            for item in self.items
            for share in item.shares
            if share.group == group
            for option in share.options
        ]
        return found if self.groups[group].vacancies is None else [*found, 0]

    @property
    def charge_range(self) -> tuple[int, int]:
        """Bounds of the total charge, not always reached, in charge units."""
        low = high = 0
        for index, group in enumerate(self.groups):
            charges = self.charges(index)
            low += group.units * min(charges, default=0)
            high += group.units * max(charges, default=0)
        return low, high


class Frame(NamedTuple):
    """Part of a space in which every amount but those of the mixture is fixed."""

    mixture: Mixture
    target: int
    """Charge that the mixture must have, in its charge units."""
    fixed: tuple[tuple[str, str, Fraction], ...]
    """Sublattice, species and atoms per formula unit of what is fixed."""
    amounts: tuple[tuple[str, Fraction], ...]
    """Element and atoms per formula unit of what is fixed, none of them zero."""
    metals: int
    """Number of different metals among the fixed elements."""


class Filling(NamedTuple):
    """One way to put some units of an item on the groups, as species."""

    units: tuple[int, ...]
    """Units of each option, share by share."""
    charge: int


def share_fillings(share: Portion, units: int) -> Iterator[Filling]:
    """Every way to write a number of units of one share as species."""
    if units in share.allowed:
        yield from _fillings(share.options, units)


def _fillings(options: tuple[Option, ...], units: int) -> Iterator[Filling]:
    if len(options) == 1:
        option = options[0]
        if option.minimum <= units <= option.maximum:
            yield Filling((units,), units * option.charge)
        return
    first, rest = options[0], options[1:]
    for count in range(first.minimum, min(first.maximum, units) + 1):
        for other in _fillings(rest, units - count):
            yield Filling((count, *other.units), count * first.charge + other.charge)


def splits(item: Item, units: int) -> Iterator[tuple[int, ...]]:
    """Every way to split units of an item over its shares."""
    *others, last = item.shares
    for counts in product(*(share.allowed for share in others)):
        remainder = units - sum(counts)
        if remainder in last.allowed:
            yield (*counts, remainder)


class Choice(NamedTuple):
    """One amount of an item: the charges, from zero up, that it reaches."""

    units: int
    low: int
    high: int
    ways: dict[int, int]
    """Charge → number of ways to write the amount as species."""


def interval_choices(mixture: Mixture) -> tuple[list[list[Choice]], int] | None:
    """Charge intervals of each item's amounts and their common stride, if there are."""
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
    return [
        min(mixture.charges(index), default=0) for index in range(len(mixture.groups))
    ]
