r"""
Exact counting where the charges of an element composition form an interval.

With :math:`n` units of an element, its species reach the charges
:math:`l(n), l(n) + r, \ldots, h(n)`; the stride :math:`r` is the same for every
element. A composition can then be neutral exactly if
:math:`\sum l \le c \le \sum h` and :math:`\sum l \equiv c \pmod r` for the charge
:math:`c` wanted. Because :math:`\sum l \le \sum h`, the number of neutral
compositions is the number with :math:`\sum l \le c` less the number with
:math:`\sum h < c`: two tables over the sum of minima and the sum of maxima instead
of one over sets of reachable charges.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from math import comb, prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.compositions.mixture import Choice, lowest_charges
from hts_battery.compositions.walk import Branches
from hts_battery.errors import StateLimitError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hts_battery.compositions.mixture import Mixture


class ExclusionBits:
    """Which excluded elements are present, and whether one more would be too many."""

    def __init__(self, mixture: Mixture) -> None:
        self.is_empty = not mixture.exclusions
        self._order = {item.element: n for n, item in enumerate(mixture.items)}
        self._sets = [
            frozenset(self._order[name] for name in names)
            for names in mixture.exclusions
        ]
        self._cache: dict[tuple[int, int, bool], int | None] = {}
        self.reached: list[set[int]] = [{0}]
        for level in range(len(mixture.items)):
            after: set[int] = set()
            for present in self.reached[level]:
                for is_present in (False, True):
                    bits = self.after(level, present, is_present=is_present)
                    if bits is not None:
                        after.add(bits)
            self.reached.append(after)

    def after(self, level: int, present: int, *, is_present: bool) -> int | None:
        """Bits after an item; nothing if an exclusion is then complete."""
        if not self._sets:
            return 0
        key = (level, present, is_present)
        if key not in self._cache:
            self._cache[key] = self._after(level, present, is_present=is_present)
        return self._cache[key]

    def _after(self, level: int, present: int, *, is_present: bool) -> int | None:
        bits = present | (1 << level if is_present else 0)
        kept = 0
        for names in self._sets:
            mask = sum(1 << name for name in names if name <= level)
            if bits & mask != mask:
                continue  # a member is absent for good: this set asks no more
            if max(names) <= level:
                return None
            kept |= mask
        return kept


_INT64_SAFE = 2**62
_WORK_PER_ENTRY = 1000
"""Additions for each table entry of a space's limit: some ten seconds by default."""


class Prefix(NamedTuple):
    """A prefix of a row, as far as the rest of the row depends on it."""

    level: int
    present: int
    """Bits of the elements present that an exclusion still asks for."""
    units: int
    """Units left in the group of the next item."""
    metals: int
    """Metals so far in that group."""
    low: int
    """Charge wanted less the sum of minima."""
    high: int
    """Charge wanted less the sum of maxima."""


class IntervalTables:
    """Numbers of completions of every prefix, for all charges of one mixture."""

    def __init__(
        self,
        mixture: Mixture,
        choices: list[list[Choice]],
        stride: int,
        state_limit: int,
    ) -> None:
        self.depth = len(mixture.items)
        self._mixture = mixture
        self._choices = choices
        self._stride = stride
        self._lowest = lowest_charges(mixture)
        self._highest = self._highest_charge()
        homes = [item.shares[0].group for item in mixture.items]
        self._last_of_group = [
            here != later for here, later in zip(homes, [*homes, -1][1:], strict=True)
        ]
        self._masks = ExclusionBits(mixture)
        self._counts_metals = self._metal_sizes()
        self._state_limit = state_limit
        self._check_size(state_limit)
        dtype = self._dtype([1] * self.depth)
        self._low = [
            {bits: self._cumulative(table) for bits, table in tables.items()}
            for tables in self._tables(
                [[{c.low: 1} for c in x] for x in choices], dtype
            )
        ]
        self._high = [
            {bits: self._cumulative(table) for bits, table in tables.items()}
            for tables in self._tables(
                [[{c.high: 1} for c in x] for x in choices], dtype
            )
        ]

    def start(self, target: int) -> Prefix:
        """Prefix above every member whose charge is the target."""
        wanted = target - sum(
            zero * group.units
            for zero, group in zip(self._lowest, self._mixture.groups, strict=True)
        )
        if not self._mixture.items:
            return Prefix(0, 0, 0, 0, wanted, wanted)
        if wanted > self._highest:
            wanted = -1  # no member is charged so highly
        return Prefix(0, 0, self._mixture.groups[0].units, 0, wanted, wanted)

    def size(self, state: Prefix) -> int:
        """Count the members below a state."""
        level, present, units, metals, low, high = state
        if low < 0:
            return 0
        if level == self.depth:
            return int(low % self._stride == 0 and high <= 0)
        width = self._highest + 1
        place = (units * self._counts_metals[level] + metals) * width
        count: int = self._low[level][present][place + low]
        high -= self._stride
        if high >= 0:
            count -= self._high[level][present][place + high]
        return count

    def species_size(self, start: Prefix) -> int:
        """Count the species assignments of all members below a start."""
        if start.low < 0 or not self.depth:
            return self.size(start)
        return int(self._species_totals[start.low])

    @cached_property
    def _species_totals(self) -> NDArray[np.int64]:
        """Number of species assignments by charge, from zero up."""
        options = [len(i.shares[0].options) for i in self._mixture.items]
        ways = [
            None if self._is_free(level) else [choice.ways for choice in one]
            for level, one in enumerate(self._choices)
        ]
        self._check_work(ways)
        first = self._tables(ways, self._dtype(options))[0][0]
        totals: NDArray[np.int64] = first[self._mixture.groups[0].units, 0]
        return totals

    def branches(self, state: Prefix) -> Branches:
        """List the non-empty branches of a state, amounts ascending."""
        amounts, starts, states = [], [], []
        total = 0
        for choice in self._choices[state.level]:
            child = self._child(state, choice)
            size = self.size(child) if child is not None else 0
            if size:
                amounts.append(choice.units)
                starts.append(total)
                states.append(child)
                total += size
        return Branches(tuple(amounts), tuple(starts), tuple(states))

    def rank(self, start: Prefix, row: Sequence[int]) -> int | None:
        """Index of a row below a start; nothing if it is no member."""
        state, index = start, 0
        for units in row:
            found = None
            for choice in self._choices[state.level]:
                if choice.units > units:
                    break
                child = self._child(state, choice)
                if choice.units == units:
                    found = child
                elif child is not None:
                    index += self.size(child)
            if found is None:
                return None
            state = found
        return index if self.size(state) else None

    def _child(self, state: Prefix, choice: Choice) -> Prefix | None:
        """Prefix after one amount of the next item; nothing if it cannot be."""
        level, present, units, metals, low, high = state
        taken = choice.units > 0
        after = self._masks.after(level, present, is_present=taken)
        if after is None or choice.units > units:
            return None
        item = self._mixture.items[level]
        counted = taken and item.metal and self._counts_metals[level] > 1
        units -= choice.units
        metals += counted
        low -= choice.low
        high -= choice.high
        if self._last_of_group[level]:
            group = item.shares[0].group
            filled = self._gate_charge(group, units, metals)
            if filled is None:
                return None
            is_end = level + 1 == self.depth
            units = 0 if is_end else self._mixture.groups[group + 1].units
            metals, low, high = 0, low - filled, high - filled
        return Prefix(level + 1, after, units, metals, low, high)

    def unrank(self, state: Prefix, index: int) -> list[int]:
        """Rest of the row of a member below a state: where sampling spends its time."""
        row: list[int] = []
        last = len(self._mixture.groups) - 1
        while state.level < self.depth:
            group = self._mixture.items[state.level].shares[0].group
            if state.units == 0 and group == last:
                return row + [0] * (self.depth - state.level)
            is_inner = state.units > 0 and not self._last_of_group[state.level]
            if is_inner and self._masks.is_empty:
                state, index = self._plain_steps(state, index, row)
            else:
                amounts, starts, states = self.branches(state)
                place = bisect_right(starts, index) - 1
                index -= starts[place]
                row.append(amounts[place])
                state = states[place]
        return row

    def _plain_steps(
        self, state: Prefix, index: int, row: list[int]
    ) -> tuple[Prefix, int]:
        """Walk to the last item of a group, or until its units are spent."""
        level, _, units, metals, low, high = state
        width, stride = self._highest + 1, self._stride
        sizes = self._counts_metals[level]
        below_high = high - stride
        while units and not self._last_of_group[level]:
            metal = sizes > 1 and self._mixture.items[level].metal
            lows, highs = self._low[level + 1][0], self._high[level + 1][0]
            for amount, least, most, _ in self._choices[level]:
                counted = metals + 1 if metal and amount else metals
                place = ((units - amount) * sizes + counted) * width
                if amount > units or least > low:
                    continue
                size = lows[place + low - least]
                if below_high >= most:
                    size -= highs[place + below_high - most]
                if index < size:
                    break
                index -= size
            row.append(amount)
            level += 1
            if amount:
                metals, units = counted, units - amount
            low -= least
            below_high -= most
        return Prefix(level, 0, units, metals, low, below_high + stride), index

    def _gate_charge(self, group: int, units: int, metals: int) -> int | None:
        """Charge, from zero up, of leaving units empty; nothing if forbidden."""
        one = self._mixture.groups[group]
        low, high = one.vacancies or (0, 0)
        if not low <= units <= high:
            return None
        least, most = one.metals
        if self._metal_size(group) > 1 and not least <= metals <= most:
            return None
        return -self._lowest[group] * units

    def _metal_size(self, group: int) -> int:
        """Count the numbers of metals to tell apart in a group; 1 if any will do."""
        least, most = self._mixture.groups[group].metals
        metals = sum(
            item.metal for item in self._mixture.items if item.shares[0].group == group
        )
        return 1 if least <= 0 and most >= metals else max(metals + 1, 2)

    def _metal_sizes(self) -> list[int]:
        return [self._metal_size(item.shares[0].group) for item in self._mixture.items]

    def _highest_charge(self) -> int:
        """Highest charge, from zero up, that any filling has."""
        highest = [0] * len(self._mixture.groups)
        for item, choices in zip(self._mixture.items, self._choices, strict=True):
            group = item.shares[0].group
            for choice in choices:
                if choice.units:
                    highest[group] = max(
                        highest[group], -(-choice.high // choice.units)
                    )
        total = 0
        for index, here in enumerate(self._mixture.groups):
            if here.vacancies is not None:
                highest[index] = max(highest[index], -self._lowest[index])
            total += highest[index] * here.units
        return total

    def _check_size(self, state_limit: int) -> None:
        width = self._highest + 1
        entries = 2 * sum(
            len(self._masks.reached[level])
            * (self._mixture.groups[item.shares[0].group].units + 1)
            * self._counts_metals[level]
            * width
            for level, item in enumerate(self._mixture.items)
        )
        if entries > state_limit:
            raise StateLimitError(
                f"counting needs {entries} table entries, more than the state_limit "
                f"of {state_limit}: use fewer exclusions, a coarser step, or raise it "
                f"(state_limit: {_rounded_up(entries)} takes "
                f"{8 * entries / 1e6:.0f} MB)"
            )

    def _dtype(self, options: list[int]) -> type:
        """Machine integers where no count can overflow them, else Python's."""
        bound = 1
        for index, group in enumerate(self._mixture.groups):
            members = sum(
                number
                for item, number in zip(self._mixture.items, options, strict=True)
                if item.shares[0].group == index
            )
            bound *= comb(group.units + members, members)
        return np.int64 if bound < _INT64_SAFE else object

    def _tables(
        self, ways: Sequence[list[dict[int, int]] | None], dtype: type
    ) -> list[dict[int, NDArray[np.int64]]]:
        """Weighted completions by level and exclusion bits: units, metals, charge."""
        items = self._mixture.items
        found: list[dict[int, NDArray[np.int64]]] = [{} for _ in items]
        below: dict[int, NDArray[np.int64]] = {}
        for level in reversed(range(len(items))):
            if self._last_of_group[level]:
                below = self._gate_tables(level, below, dtype)
            for present in self._masks.reached[level]:
                weights = ways[level]
                if weights is None:
                    found[level][present] = self._free_table(level, present, below)
                    continue
                table: NDArray[np.int64] = np.zeros(self._shape(level), dtype=dtype)
                for choice, charges in zip(self._choices[level], weights, strict=True):
                    taken = choice.units > 0
                    after = self._masks.after(level, present, is_present=taken)
                    if after is not None and choice.units < len(table):
                        metal = items[level].metal and taken
                        rest = _moved(below[after], choice.units, metal=metal)
                        for charge, times in charges.items():
                            _add(table, rest, charge, times)
                found[level][present] = table
            below = found[level]
        return found

    def _is_free(self, level: int) -> bool:
        """Say whether nothing bounds an item, nor any of its several species."""
        item = self._mixture.items[level]
        options, units = item.shares[0].options, self._shape(level)[0] - 1
        amounts = [choice.units for choice in self._choices[level]]
        return (
            len(options) > 1
            and amounts == list(range(units + 1))
            and all(one.minimum == 0 and one.maximum >= units for one in options)
        )

    def _free_table(
        self, level: int, present: int, below: dict[int, NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        """Completions where any number of units may be of any species of an item."""
        absent = self._masks.after(level, present, is_present=False)
        taken = self._masks.after(level, present, is_present=True)
        item = self._mixture.items[level]
        table: NDArray[np.int64] = np.zeros_like(next(iter(below.values())))
        if absent is not None:
            table += below[absent]
        if taken is not None:
            none = _moved(below[taken], 0, metal=item.metal)
            some = none.copy()
            zero = self._lowest[item.shares[0].group]
            for option in item.shares[0].options:
                charge = option.charge - zero
                # One unit more of this species, on top of however many there are.
                for units in range(1, len(some)):
                    _add(some[units : units + 1], some[units - 1 : units], charge, 1)
            table += some - none
        return table

    def _check_work(self, ways: Sequence[Sequence[Mapping[int, int]] | None]) -> None:
        """Refuse to count species where adding up every table would take minutes."""
        work = sum(
            len(self._masks.reached[level])
            * int(prod(self._shape(level)))
            * sum(len(charges) for charges in here)
            for level, here in enumerate(ways)
            if here is not None
        )
        if work > _WORK_PER_ENTRY * self._state_limit:
            raise StateLimitError(
                f"counting oxidation states needs {work:.1e} additions, more than "
                f"{_WORK_PER_ENTRY} times the state_limit of {self._state_limit}: use "
                "fewer bounds on species, a coarser step, or raise state_limit"
            )

    def _shape(self, level: int) -> tuple[int, int, int]:
        group = self._mixture.items[level].shares[0].group
        units = self._mixture.groups[group].units
        return units + 1, self._counts_metals[level], self._highest + 1

    def _gate_tables(
        self, level: int, below: dict[int, NDArray[np.int64]], dtype: type
    ) -> dict[int, NDArray[np.int64]]:
        """Completions counted from the end of a group on."""
        group = self._mixture.items[level].shares[0].group
        units = self._mixture.groups[group].units
        metals, width = self._counts_metals[level], self._highest + 1
        found = {}
        for present in self._masks.reached[level + 1]:
            if below:
                later = self._mixture.groups[group + 1].units
                rest = below[present][later, 0]
            else:
                rest = np.zeros(width, dtype=dtype)
                rest[0] = 1
            table: NDArray[np.int64] = np.zeros((units + 1, metals, width), dtype=dtype)
            for left in range(units + 1):
                for metal in range(metals):
                    charge = self._gate_charge(group, left, metal)
                    if charge is not None and charge < width:
                        table[left, metal, charge:] += rest[: width - charge]
            found[present] = table
        return found

    def _cumulative(self, table: NDArray[np.int64]) -> Sequence[int]:
        """Sum along the charge in steps of the stride, flat for fast look-up."""
        sums = table.copy()
        for residue in range(min(self._stride, sums.shape[2])):
            part = sums[:, :, residue :: self._stride]
            np.cumsum(part, axis=2, out=part)
        flat = sums.ravel()
        if flat.dtype == object:
            return list(flat)
        return np.ascontiguousarray(flat).data


def _moved(below: NDArray[np.int64], units: int, *, metal: bool) -> NDArray[np.int64]:
    """Completions after taking units, seen from before; zero where not possible."""
    moved = np.zeros_like(below)
    rows, metals, _ = below.shape
    step = 1 if metal and metals > 1 else 0
    moved[units:, : metals - step] = below[: rows - units, step:]
    return moved


def _add(
    table: NDArray[np.int64], rest: NDArray[np.int64], charge: int, times: int
) -> None:
    """Add completions behind a charge."""
    width = table.shape[2]
    if charge < width:
        table[:, :, charge:] += times * rest[:, :, : width - charge]


def _rounded_up(number: int) -> int:
    """Round a number up to its first two digits."""
    step = int(10 ** max(len(str(number)) - 2, 0))
    return -(-number // step) * step
