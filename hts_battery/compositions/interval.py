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

from math import comb, gcd
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.compositions.mixture import Item, Mixture, share_fillings
from hts_battery.compositions.walk import Branches
from hts_battery.errors import StateLimitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_INT64_SAFE = 2**62


class _Choice(NamedTuple):
    """One amount of an item: its lowest and highest charge, both from zero up."""

    units: int
    low: int
    high: int


class State(NamedTuple):
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


def interval_choices(mixture: Mixture) -> tuple[list[list[_Choice]], int] | None:
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
    for charges in (each for one in reached for each in one.values()):
        for low, high in zip(charges, charges[1:], strict=False):
            stride = gcd(stride, high - low)
    stride = stride or 1
    choices = []
    for one in reached:
        for charges in one.values():
            if len(charges) != (charges[-1] - charges[0]) // stride + 1:
                return None
        choices.append(
            [_Choice(units, each[0], each[-1]) for units, each in one.items()]
        )
    return choices, stride


def _reached_charges(mixture: Mixture, item: Item) -> dict[int, list[int]]:
    """Charges from zero up that each number of units reaches, ascending."""
    share = item.shares[0]
    zero = lowest_charges(mixture)[share.group]
    found = {}
    for units in item.allowed:
        charges = {each.charge - zero * units for each in share_fillings(share, units)}
        if charges:
            found[units] = sorted(charges)
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


class IntervalTables:
    """
    Numbers of completions of every prefix, for all charges of one mixture.

    Parameters
    ----------
    mixture
        The integer problem.
    choices
        Amounts and charge intervals from :func:`interval_choices`.
    stride
        Their common stride.
    state_limit
        Table entries allowed.

    Raises
    ------
    StateLimitError
        If the tables would need more entries.
    """

    def __init__(
        self,
        mixture: Mixture,
        choices: list[list[_Choice]],
        stride: int,
        state_limit: int,
    ) -> None:
        self.depth = len(mixture.items)
        self._mixture = mixture
        self._choices = choices
        self._stride = stride
        self._lowest = lowest_charges(mixture)
        self._highest = self._highest_charge()
        self._masks = _ExclusionBits(mixture)
        self._counts_metals = self._metal_sizes()
        self._check_size(state_limit)
        self._low = self._tables([[c.low for c in one] for one in choices])
        self._high = self._tables([[c.high for c in one] for one in choices])

    def start(self, target: int) -> State:
        """State above every member whose charge is the target."""
        wanted = target - sum(
            zero * group.units
            for zero, group in zip(self._lowest, self._mixture.groups, strict=True)
        )
        if not self._mixture.items:
            return State(0, 0, 0, 0, wanted, wanted)
        if wanted > self._highest:
            wanted = -1  # no member is charged so highly
        return State(0, 0, self._mixture.groups[0].units, 0, wanted, wanted)

    def size(self, state: State) -> int:
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

    def branches(self, state: State) -> Branches:
        """List the non-empty branches of a state, amounts ascending."""
        level, present, units, metals, low, high = state
        item = self._mixture.items[level]
        with_item = self._masks.after(level, present, is_present=True)
        without_item = self._masks.after(level, present, is_present=False)
        counted = item.metal and self._counts_metals[level] > 1
        amounts, starts, states = [], [], []
        total = 0
        for choice in self._choices[level]:
            if choice.units > units:
                break
            after = with_item if choice.units else without_item
            if after is None:
                continue
            child: State | None = State(
                level + 1,
                after,
                units - choice.units,
                metals + (1 if counted and choice.units else 0),
                low - choice.low,
                high - choice.high,
            )
            if self._ends_group(level):
                child = self._through_gate(item.shares[0].group, child)
            size = self.size(child) if child is not None else 0
            if size:
                amounts.append(choice.units)
                starts.append(total)
                states.append(child)
                total += size
        return Branches(tuple(amounts), tuple(starts), tuple(states))

    def _ends_group(self, level: int) -> bool:
        items = self._mixture.items
        return (
            level + 1 == len(items)
            or items[level + 1].shares[0].group != items[level].shares[0].group
        )

    def _through_gate(self, group: int, state: State | None) -> State | None:
        """Leave a full group with its number of metals; enter the next."""
        if state is None:  # pragma: no cover - for the type checker
            return None
        filled = self._gate_charge(group, state.units, state.metals)
        if filled is None:
            return None
        later = group + 1
        units = self._mixture.groups[later].units if state.level < self.depth else 0
        return state._replace(
            units=units, metals=0, low=state.low - filled, high=state.high - filled
        )

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
        """Number of metal counts to tell apart in a group; 1 if any will do."""
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
        for index, group in enumerate(self._mixture.groups):
            if group.vacancies is not None:
                highest[index] = max(highest[index], -self._lowest[index])
            total += highest[index] * group.units
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
                f"of {state_limit}: use fewer exclusions, a coarser step, or raise it"
            )

    def _dtype(self) -> type:
        """Machine integers where no count can overflow them, else Python's."""
        bound = 1
        for index, group in enumerate(self._mixture.groups):
            members = sum(i.shares[0].group == index for i in self._mixture.items)
            bound *= comb(group.units + members, members)
        return np.int64 if bound < _INT64_SAFE else object

    def _tables(self, charges: list[list[int]]) -> list[dict[int, Sequence[int]]]:
        """Cumulative number of completions by level, exclusion bits and charge."""
        items, width = self._mixture.items, self._highest + 1
        dtype = self._dtype()
        tables: list[dict[int, Sequence[int]]] = [{} for _ in items]
        below: dict[int, NDArray[np.int64]] = {}
        for level in reversed(range(len(items))):
            group = items[level].shares[0].group
            if self._ends_group(level):
                below = self._gate_tables(level, below, dtype)
            shape = (
                self._mixture.groups[group].units + 1,
                self._counts_metals[level],
                width,
            )
            here: dict[int, NDArray[np.int64]] = {}
            for present in self._masks.reached[level]:
                table = np.zeros(shape, dtype=dtype)
                for choice, charge in zip(
                    self._choices[level], charges[level], strict=True
                ):
                    after = self._masks.after(
                        level, present, is_present=choice.units > 0
                    )
                    if after is not None and choice.units < shape[0]:
                        metal = items[level].metal and choice.units > 0
                        self._add(
                            table, below[after], choice.units, charge, metal=metal
                        )
                here[present] = table
                tables[level][present] = self._cumulative(table)
            below = here
        return tables

    @staticmethod
    def _add(
        table: NDArray[np.int64],
        below: NDArray[np.int64],
        units: int,
        charge: int,
        *,
        metal: bool,
    ) -> None:
        """Add the completions after one amount of one item."""
        rows, metals, width = table.shape
        if charge >= width:
            return
        step = 1 if metal and metals > 1 else 0
        table[units:, : metals - step, charge:] += below[
            : rows - units, step:, : width - charge
        ]

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
            table = np.zeros((units + 1, metals, width), dtype=dtype)
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
        return memoryview(np.ascontiguousarray(flat))


class _ExclusionBits:
    """Which excluded elements are present, and whether one more would be too many."""

    def __init__(self, mixture: Mixture) -> None:
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
