"""
Whole numbers of sites nearest to a composition: a small integer program.

Integers throughout: it is solved exactly, no tolerance decides which cell is nearest.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.errors import OrderingError
from hts_battery.schemas.species import VACANCY, parse_species

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hts_battery.schemas.candidate import Assignment

    _State = tuple[int, ...]
    """Sites filled on each sublattice, then the charge."""
    _Cost = tuple[int, int, int]
    """Sum of |element deviations|, of their squares, of |species deviations|."""
    _Kept = dict[_State, tuple[_Cost, tuple[int, ...]]]
    """State → the nearest partial cell that reaches it: its cost and its counts."""


SiteCounts = dict[str, dict[str, int]]
"""Sublattice → species → number of sites in a cell, vacancies included."""


class _Slot(NamedTuple):
    """One species on one sublattice."""

    sublattice: int
    species: str
    charge: int
    target: int
    """Sites that the composition asks for, in units of 1/scale."""


class _Option(NamedTuple):
    """One way to count the species of an element."""

    counts: tuple[int, ...]
    step: _State
    cost: _Cost


class _Program(NamedTuple):
    """The integer program of one composition in one cell."""

    names: tuple[str, ...]
    sites: tuple[int, ...]
    groups: tuple[tuple[_Slot, ...], ...]
    """Slots of each element; those of vacancies last, one group each."""
    scale: int

    def least_cost(self, group: Sequence[_Slot]) -> int:
        """Smallest deviation of an element that is present, whatever the others do."""
        target = sum(slot.target for slot in group)
        if group[0].species == VACANCY:
            return 0
        below = max(target // self.scale, 1) * self.scale
        return min(abs(below - target), abs(below + self.scale - target))


def nearest_counts(assignment: Assignment, formula_units: Fraction) -> SiteCounts:
    r"""
    Find the whole numbers of sites nearest to a composition that make a neutral cell.

    Every element keeps at least one site and none is added; a species may vanish
    where its element has another. Of all neutral and full cells the one with the
    smallest sum over elements of \|cell - composition\|; of equals the smallest sum
    of squares of these; then the smallest sum over species; then the smallest counts
    in the order of elements, sublattices and species.

    Notes
    -----
    Elements are taken one after the other; of all partial cells with the same sites
    filled and the same charge only the nearest is kept. Each element has a least
    deviation; only partial cells whose deviation exceeds the sum of these by at most
    a slack are followed. The slack is doubled until there is a solution, which then
    is the nearest: every other one exceeds the slack.

    Examples
    --------
    >>> cation = {"Li+": Fraction("1.15"), "Mn3+": Fraction("0.85")}
    >>> anion = {"O2-": Fraction("1.7"), "F-": Fraction("0.3")}
    >>> nearest_counts({"cation": cation, "anion": anion}, Fraction(10))
    {'cation': {'Li+': 11, 'Mn3+': 9}, 'anion': {'F-': 2, 'O2-': 18}}
    """
    program = _program(assignment, formula_units)
    slots = [slot for group in program.groups for slot in group]
    if program.scale == 1 and not sum(slot.charge * slot.target for slot in slots):
        return _by_name(program, [slot.target for slot in slots])
    _check_room(program)
    most = 2 * sum(program.sites) * program.scale
    slack = program.scale
    while True:
        counts = _search(program, slack)
        if counts is not None:
            return _by_name(program, counts)
        if slack > most:
            raise OrderingError(
                f"{_sizes(program)}: no whole numbers of its species are neutral "
                "and keep every element"
            )
        slack *= 2


def _program(assignment: Assignment, formula_units: Fraction) -> _Program:
    names = tuple(assignment)
    wanted = {
        (place, text): Fraction(amount) * formula_units
        for place, name in enumerate(names)
        for text, amount in assignment[name].items()
        if amount
    }
    scale = lcm(*(number.denominator for number in wanted.values()))
    elements: dict[tuple[bool, str], list[_Slot]] = {}
    for (place, text), number in sorted(wanted.items()):
        species = parse_species(text)
        vacant = species.element == VACANCY
        key = (vacant, f"{place}" if vacant else species.element)
        elements.setdefault(key, []).append(
            _Slot(place, text, species.charge, int(number * scale))
        )
    sites = [sum(Fraction(a) for a in assignment[name].values()) for name in names]
    return _Program(
        names,
        tuple(int(number * formula_units) for number in sites),
        tuple(tuple(elements[key]) for key in sorted(elements)),
        scale,
    )


def _check_room(program: _Program) -> None:
    """Refuse what no search can find: elements without sites, charge out of reach."""
    for place, name in enumerate(program.names):
        alone = _alone(program, place)
        if len(alone) > program.sites[place]:
            raise OrderingError(
                f"sublattice {name} has {program.sites[place]} sites in this cell "
                f"for {len(alone)} elements"
            )
    if 0 not in _reachable_charges(program):
        raise OrderingError(
            f"{_sizes(program)}: no whole numbers of its species are neutral "
            "and keep every element"
        )


def _reachable_charges(program: _Program) -> set[int]:
    """Charges of full cells that keep every element of a single sublattice."""
    total = {0}
    for place, sites in enumerate(program.sites):
        everywhere = [slot for group in program.groups for slot in group]
        free = {slot.charge for slot in everywhere if slot.sublattice == place}
        kept = [{slot.charge for slot in group} for group in _alone(program, place)]
        lowest = min(free)
        # Bit b of the number says whether charge b above the lowest can be reached.
        bits = 1
        for choices in [*kept, *[free] * (sites - len(kept))]:
            filled = 0
            for charge in choices:
                filled |= bits << (charge - lowest)
            bits = filled
        here = [b for b in range(bits.bit_length()) if bits >> b & 1]
        total = {t + b + lowest * sites for t in total for b in here}
    return total


def _alone(program: _Program, place: int) -> list[tuple[_Slot, ...]]:
    """Elements that live on one sublattice and on no other."""
    return [
        group
        for group in program.groups
        if group[0].species != VACANCY
        and {slot.sublattice for slot in group} == {place}
    ]


def _sizes(program: _Program) -> str:
    parts = zip(program.names, program.sites, strict=True)
    return "a cell with " + ", ".join(f"{n} {name}" for name, n in parts) + " sites"


def _search(program: _Program, slack: int) -> tuple[int, ...] | None:
    """Best counts among those that exceed the least deviations by at most the slack."""
    goal = (*program.sites, 0)
    kept: _Kept = {(0,) * len(goal): ((0, 0, 0), ())}
    options = [_options(program, group, slack) for group in program.groups]
    left = _reach(program, options)
    least = 0
    for group, fixed, (lower, upper) in zip(program.groups, options, left, strict=True):
        least += program.least_cost(group)
        following: _Kept = {}
        for state, (cost, counts) in kept.items():
            for option in fixed or [_rest(program, group[0], state)]:
                total = _add(cost, option.cost)
                if total[0] > least + slack:
                    continue
                reached = tuple(map(sum, zip(state, option.step, strict=True)))
                if not _within(reached, goal, lower, upper):
                    continue
                entry = (total, counts + option.counts)
                if reached not in following or entry < following[reached]:
                    following[reached] = entry
        kept = following
    return kept[goal][1] if goal in kept else None


def _reach(
    program: _Program, options: Sequence[Sequence[_Option]]
) -> list[tuple[_State, _State]]:
    """Least and most that the elements after each one can still add to a state."""
    lower = [0] * (len(program.sites) + 1)
    upper = [0] * (len(program.sites) + 1)
    found = []
    for group, fixed in zip(reversed(program.groups), reversed(options), strict=True):
        found.append((tuple(lower), tuple(upper)))
        if not fixed:  # vacancies fill what is left, without charge
            upper[group[0].sublattice] += program.sites[group[0].sublattice]
            continue
        columns = list(zip(*(option.step for option in fixed), strict=True))
        lower = [n + min(column) for n, column in zip(lower, columns, strict=True)]
        upper = [n + max(column) for n, column in zip(upper, columns, strict=True)]
    return found[::-1]


def _within(reached: _State, goal: _State, lower: _State, upper: _State) -> bool:
    """Whether what is left can lead from a state to the goal."""
    return all(
        low <= end - now <= high
        for now, end, low, high in zip(reached, goal, lower, upper, strict=True)
    )


def _add(first: _Cost, second: _Cost) -> _Cost:
    return first[0] + second[0], first[1] + second[1], first[2] + second[2]


def _options(program: _Program, group: Sequence[_Slot], slack: int) -> list[_Option]:
    """Every way to count an element's species within the slack; none for vacancies."""
    if group[0].species == VACANCY:
        return []
    target = sum(slot.target for slot in group)
    room = sum(program.sites[place] for place in {slot.sublattice for slot in group})
    reach = program.least_cost(group) + slack
    lowest = max(1, -((reach - target) // program.scale))
    highest = min(room, (target + reach) // program.scale)
    return [
        _option(program, group, counts)
        for total in range(lowest, highest + 1)
        for counts in _splits(total, len(group))
    ]


def _splits(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Every way to write a number as an ordered sum."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _splits(total - first, parts - 1):
            yield (first, *rest)


def _rest(program: _Program, slot: _Slot, state: _State) -> _Option:
    """Vacancies take what the sublattice has left."""
    left = program.sites[slot.sublattice] - state[slot.sublattice]
    option = _option(program, (slot,), (left,))
    return option._replace(cost=(0, 0, option.cost[2]))


def _option(
    program: _Program, group: Sequence[_Slot], counts: tuple[int, ...]
) -> _Option:
    step = [0] * (len(program.sites) + 1)
    species = 0
    for slot, count in zip(group, counts, strict=True):
        step[slot.sublattice] += count
        step[-1] += slot.charge * count
        species += abs(count * program.scale - slot.target)
    target = sum(slot.target for slot in group)
    element = abs(sum(counts) * program.scale - target)
    return _Option(counts, tuple(step), (element, element**2, species))


def _by_name(program: _Program, counts: Sequence[int]) -> SiteCounts:
    slots = [slot for group in program.groups for slot in group]
    found: SiteCounts = {name: {} for name in program.names}
    for slot, count in sorted(zip(slots, counts, strict=True)):
        if count:
            found[program.names[slot.sublattice]][slot.species] = count
    return found
