"""Every neutral way to give the elements of a composition their species."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.compositions.mixture import (
    Filling,
    Frame,
    Item,
    Mixture,
    share_fillings,
    splits,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.schemas.candidate import Assignment


class _Choice(NamedTuple):
    """All units of one item as species: one count for each of its options."""

    fillings: tuple[Filling, ...]
    charge: int


def frame_assignments(
    frame: Frame, row: tuple[int, ...], sublattices: tuple[str, ...]
) -> tuple[Assignment, ...]:
    """
    Every neutral assignment of one member, the chosen one first.

    The chosen assignment has the fewest elements in several oxidation states;
    among these the one whose species stand first in the species table, weighted
    by amount; among these the first in lexicographic order of species amounts.

    Parameters
    ----------
    frame
        The frame of the member.
    row
        Units of each item of its mixture.
    sublattices
        Names of all sublattices of the space, in order.

    Returns
    -------
    tuple of mappings
        Sublattice → species → amount per formula unit.
    """
    mixture = frame.mixture
    found = [
        choices
        for choices in _neutral(mixture, row, frame.target)
        if _is_allowed(mixture, row, choices)
    ]
    found.sort(key=lambda choices: _order(mixture, choices))
    return tuple(_assignment(frame, choices, sublattices) for choices in found)


def _item_choices(item: Item, units: int) -> list[_Choice]:
    found: list[_Choice] = []
    for split in splits(item, units):
        parts = [
            tuple(share_fillings(share, count))
            for share, count in zip(item.shares, split, strict=True)
        ]
        found.extend(
            _Choice(fillings, sum(part.charge for part in fillings))
            for fillings in product(*parts)
        )
    return found


def _neutral(
    mixture: Mixture, row: tuple[int, ...], target: int
) -> Iterator[tuple[_Choice, ...]]:
    """Choices for all items whose charges add up, dead ends cut early."""
    choices = [
        _item_choices(item, units)
        for item, units in zip(mixture.items, row, strict=True)
    ]
    reachable = [{0}]
    for one in reversed(choices):
        charges = {choice.charge for choice in one}
        reachable.append({old + new for old in reachable[-1] for new in charges})
    reachable.reverse()

    def extend(level: int, left: int) -> Iterator[tuple[_Choice, ...]]:
        if level == len(choices):
            yield ()
            return
        for choice in choices[level]:
            rest = left - choice.charge
            if rest in reachable[level + 1]:
                for others in extend(level + 1, rest):
                    yield (choice, *others)

    # Vacancies carry no charge, so the elements alone meet the target.
    if target in reachable[0]:
        yield from extend(0, target)


def _is_allowed(
    mixture: Mixture, row: tuple[int, ...], choices: tuple[_Choice, ...]
) -> bool:
    """Check what couples items: exclusions, and sites where elements share two."""
    if mixture.exclusions:
        present = {
            species
            for item, choice in zip(mixture.items, choices, strict=True)
            for species, _, units in _occupation(item, choice)
            if units
        }
        present |= {
            item.element
            for item, units in zip(mixture.items, row, strict=True)
            if units
        }
        if any(present.issuperset(names) for names in mixture.exclusions):
            return False
    if all(len(item.shares) == 1 for item in mixture.items):
        return True
    return _fits_groups(mixture, choices)


def _fits_groups(mixture: Mixture, choices: tuple[_Choice, ...]) -> bool:
    """Whether every group is filled and holds a permitted number of metals."""
    for index, group in enumerate(mixture.groups):
        filled = metals = 0
        for item, choice in zip(mixture.items, choices, strict=True):
            here = sum(
                units for _, home, units in _occupation(item, choice) if home == index
            )
            filled += here
            metals += item.metal and here > 0
        low, high = group.vacancies or (0, 0)
        if not low <= group.units - filled <= high:
            return False
        if not group.metals[0] <= metals <= group.metals[1]:
            return False
    return True


def _occupation(item: Item, choice: _Choice) -> Iterator[tuple[str, int, int]]:
    """Species, group and units of one item."""
    for share, filling in zip(item.shares, choice.fillings, strict=True):
        for option, units in zip(share.options, filling.units, strict=True):
            yield option.species, share.group, units


def _order(
    mixture: Mixture, choices: tuple[_Choice, ...]
) -> tuple[int, Fraction, tuple[tuple[int, ...], ...]]:
    """Sort key of the rule that chooses an assignment."""
    mixed, rank = 0, Fraction(0)
    for item, choice in zip(mixture.items, choices, strict=True):
        options = [option for share in item.shares for option in share.options]
        units = [count for filling in choice.fillings for count in filling.units]
        present = [pair for pair in zip(options, units, strict=True) if pair[1]]
        mixed += len({option.species for option, _ in present}) > 1
        weight = sum(option.preference * count for option, count in present)
        if weight:
            rank += weight * item.unit
    amounts = tuple(filling.units for choice in choices for filling in choice.fillings)
    return mixed, rank, amounts


def _assignment(
    frame: Frame,
    choices: tuple[_Choice, ...],
    sublattices: tuple[str, ...],
) -> Assignment:
    mixture = frame.mixture
    names = sublattices or tuple(
        {name: None for name, _, _ in frame.fixed}
        | {group.sublattice: None for group in mixture.groups}
    )
    found: dict[str, dict[str, Fraction]] = {name: {} for name in names}
    for name, species, amount in frame.fixed:
        found[name][species] = amount
    left = [group.units for group in mixture.groups]
    for item, choice in zip(mixture.items, choices, strict=True):
        for species, home, units in _occupation(item, choice):
            left[home] -= units
            if units:
                found[mixture.groups[home].sublattice][species] = units * item.unit
    for group, units in zip(mixture.groups, left, strict=True):
        if units:
            found[group.sublattice]["Vac"] = units * group.unit
    return found
