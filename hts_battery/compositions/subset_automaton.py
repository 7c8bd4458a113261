"""
Exact counting in general: one composition may have many species assignments.

Species assignments are the runs of a non-deterministic automaton that reads the
amounts of the elements one after the other; its state says how many units each group
has left, how many metals it holds, which excluded names are present, and the charge.
Counting compositions, not assignments, needs the deterministic automaton whose states
are sets of those states. The sets of charges are the bits of a whole number. The
number of such sets is what grows; beyond a limit the space is refused.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.compositions.mixture import (
    Item,
    Mixture,
    Portion,
    share_fillings,
    splits,
)
from hts_battery.compositions.walk import Branches
from hts_battery.errors import StateLimitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_STEPS_PER_ENTRY = 20
"""Steps that take about as long as making an entry, so that a refusal comes soon."""


class _Remainder(NamedTuple):
    """Everything but the charge that the rest of an assignment depends on."""

    units: tuple[int, ...]
    """Units left in each group; 0 once a group is closed."""
    metals: tuple[int, ...]
    """Metals in each group so far; 0 once a group is closed."""
    present: int
    """Bits of the excluded names present."""


class _Move(NamedTuple):
    """What an amount of an item does to a place, for several charges at once."""

    units: tuple[int, ...]
    metals: tuple[int, ...]
    present: int
    charges: tuple[tuple[int, int], ...]
    """Charge and number of ways to reach it."""


class _Rules:
    """Moves between places, shared by the counting of either view."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture
        levels = range(len(mixture.items))
        names = sorted({name for names in mixture.exclusions for name in names})
        self._bit = {name: 1 << place for place, name in enumerate(names)}
        self._sets = [
            sum(self._bit[name] for name in names) for names in mixture.exclusions
        ]
        decided = 0
        self._decided = []
        for item in mixture.items:
            decided |= sum(self._bit.get(name, 0) for name in _names(item))
            self._decided.append(decided)
        self._closing: list[list[int]] = [[] for _ in levels]
        for group in range(len(mixture.groups)):
            last = max(
                level
                for level, item in enumerate(mixture.items)
                if any(share.group == group for share in item.shares)
            )
            self._closing[last].append(group)
        self.moves = [self._item_moves(item) for item in mixture.items]

    @property
    def start(self) -> _Remainder:
        groups = self.mixture.groups
        return _Remainder(tuple(group.units for group in groups), (0,) * len(groups), 0)

    def _item_moves(self, item: Item) -> dict[int, list[_Move]]:
        """List the moves of each amount of an item."""
        found: dict[int, list[_Move]] = {}
        for amount in item.allowed:
            ways: dict[_Remainder, dict[int, int]] = defaultdict(
                lambda: defaultdict(int)
            )
            for split in splits(item, amount):
                for place, charge in self._split_moves(item, split):
                    ways[place][charge] += 1
            if ways:
                found[amount] = [
                    _Move(*place, charges=tuple(sorted(charges.items())))
                    for place, charges in ways.items()
                ]
        return found

    def _split_moves(
        self, item: Item, split: tuple[int, ...]
    ) -> Iterator[tuple[_Remainder, int]]:
        units = [0] * len(self.mixture.groups)
        metals = [0] * len(self.mixture.groups)
        for share, count in zip(item.shares, split, strict=True):
            units[share.group] += count
            metals[share.group] += item.metal and count > 0
        base = self._bit.get(item.element, 0) if any(split) else 0
        parts = [
            list(self._fillings(share, count))
            for share, count in zip(item.shares, split, strict=True)
        ]
        for fillings in product(*parts):
            present = base
            for bits, _ in fillings:
                present |= bits
            charge = sum(charge for _, charge in fillings)
            yield _Remainder(tuple(units), tuple(metals), present), charge

    def _fillings(self, share: Portion, count: int) -> Iterator[tuple[int, int]]:
        for filling in share_fillings(share, count):
            bits = 0
            for option, units in zip(share.options, filling.units, strict=True):
                if units:
                    bits |= self._bit.get(option.species, 0)
            yield bits, filling.charge

    def after(self, level: int, place: _Remainder, move: _Move) -> _Remainder | None:
        """Place after a move; nothing if the move is not allowed there."""
        units = [a - b for a, b in zip(place.units, move.units, strict=True)]
        if min(units, default=0) < 0:
            return None
        metals = [a + b for a, b in zip(place.metals, move.metals, strict=True)]
        for index in self._closing[level]:
            group = self.mixture.groups[index]
            low, high = group.vacancies or (0, 0)
            if not low <= units[index] <= high:
                return None
            if not group.metals[0] <= metals[index] <= group.metals[1]:
                return None
            units[index] = metals[index] = 0
        present = self._still_asked(level, place.present | move.present)
        if present is None:
            return None
        return _Remainder(tuple(units), tuple(metals), present)

    def _still_asked(self, level: int, present: int) -> int | None:
        """Keep the bits that matter later; nothing if an exclusion is complete."""
        decided = self._decided[level]
        kept = 0
        for names in self._sets:
            known = names & decided
            if present & known != known:
                continue
            if known == names:
                return None
            kept |= known
        return kept


def _names(item: Item) -> set[str]:
    """Names that an exclusion may call an item or its species by."""
    species = {option.species for share in item.shares for option in share.options}
    return species | {item.element}


def count_species(mixture: Mixture, state_limit: int) -> dict[int, int]:
    """
    Count the species assignments of each charge: charge → number.

    StateLimitError where that takes more steps than some table entries would.
    """
    rules = _Rules(mixture)
    left = state_limit * _STEPS_PER_ENTRY
    here: dict[_Remainder, dict[int, int]] = {rules.start: {0: 1}}
    for level, moves in enumerate(rules.moves):
        later: dict[_Remainder, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for place, charges in here.items():
            for move in (one for each in moves.values() for one in each):
                left -= 1 + len(charges) * len(move.charges)
                if left < 0:
                    raise StateLimitError(
                        "counting oxidation states takes more steps than the "
                        f"state_limit of {state_limit} allows: use a coarser step, or "
                        "raise it"
                    )
                target = rules.after(level, place, move)
                if target is not None:
                    _add_ways(later[target], charges, move)
        here = later
    totals: dict[int, int] = defaultdict(int)
    for charges in here.values():
        for charge, count in charges.items():
            totals[charge] += count
    return dict(totals)


def _add_ways(ways: dict[int, int], charges: dict[int, int], move: _Move) -> None:
    """Add the assignments that a move makes out of those before it."""
    for charge, count in charges.items():
        for more, times in move.charges:
            ways[charge + more] += count * times


class SubsetAutomaton:
    """Compositions of one mixture with one charge, counted over sets of assignments."""

    def __init__(self, mixture: Mixture, target: int, state_limit: int) -> None:
        self.depth = len(mixture.items)
        self._rules = _Rules(mixture)
        self._limit = state_limit
        self._entries = 0.0
        # Charges are bits, counted from a zero that no partial sum falls below.
        self._zero = -_least_partial_charge(mixture)
        self._target = 1 << (self._zero + target) if self._zero + target >= 0 else 0
        self._branches: list[Branches] = [Branches((), (), ())]
        self._sizes: list[int] = [1]
        self._known: dict[object, int] = {}
        begin = {self._rules.start: 1 << self._zero}
        self.start = self._number(0, begin)

    def size(self, state: int) -> int:
        """Count the members below a state."""
        return self._sizes[state] if state >= 0 else 0

    def branches(self, state: int) -> Branches:
        """List the non-empty branches of a state, amounts ascending."""
        return self._branches[state]

    def unrank(self, state: int, index: int) -> list[int]:
        """Find the rest of the row of a member below a state."""
        row = []
        for _ in range(self.depth):
            amounts, starts, states = self._branches[state]
            place = bisect_right(starts, index) - 1
            index -= starts[place]
            row.append(amounts[place])
            state = states[place]
        return row

    def rank(self, start: int, row: Sequence[int]) -> int | None:
        """Index of a row below a start; nothing if it is no member."""
        state, index = start, 0
        for units in row:
            amounts, starts, states = self._branches[max(state, 0)]
            if units not in amounts:
                return None
            place = amounts.index(units)
            index += starts[place]
            state = states[place]
        return index if state == 0 else None

    def _number(self, level: int, places: dict[_Remainder, int]) -> int:
        """Give a set of places its number: 0 at the end, -1 if no member is below."""
        if level == self.depth:
            return 0 if any(bits & self._target for bits in places.values()) else -1
        key = (level, frozenset(places.items()))
        known = self._known.get(key)
        if known is None:
            self._spend(len(places))
            known = self._known[key] = self._expand(level, places)
        return known

    def _expand(self, level: int, places: dict[_Remainder, int]) -> int:
        amounts, starts, states = [], [], []
        total = 0
        for amount, moves in self._rules.moves[level].items():
            after: dict[_Remainder, int] = {}
            steps = sum(1 + len(move.charges) for move in moves)
            self._spend(len(places) * steps / _STEPS_PER_ENTRY)
            for place, bits in places.items():
                for move in moves:
                    target = self._rules.after(level, place, move)
                    if target is not None:
                        after[target] = after.get(target, 0) | _shifted(bits, move)
            child = self._number(level + 1, after) if after else -1
            if child >= 0:
                amounts.append(amount)
                starts.append(total)
                states.append(child)
                total += self._sizes[child]
        if not total:
            return -1
        self._spend(len(amounts))
        self._branches.append(Branches(tuple(amounts), tuple(starts), tuple(states)))
        self._sizes.append(total)
        return len(self._sizes) - 1

    def _spend(self, entries: float) -> None:
        self._entries += entries
        if self._entries > self._limit:
            raise StateLimitError(
                "counting needs sets of oxidation states, because charges leave gaps, "
                "species are excluded or bounded, or an element is on two sublattices, "
                f"and these sets take more than the state_limit of {self._limit} table "
                "entries: use fewer such elements, a coarser step, or raise it"
            )


def _shifted(bits: int, move: _Move) -> int:
    found = 0
    for charge, _ in move.charges:
        found |= bits << charge if charge >= 0 else bits >> -charge
    return found


def _least_partial_charge(mixture: Mixture) -> int:
    """Bound of the charge of any part of a member, zero or below."""
    return sum(
        group.units * min(*mixture.charges(index), 0)
        for index, group in enumerate(mixture.groups)
    )
