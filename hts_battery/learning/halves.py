"""
The lowest sums over the amounts of a mixture, without making its members.

The items are split in two halves. Rows of one half that agree in everything that the
other half asks about (units left, metals, charges reached, excluded elements, atoms)
form a group, sorted by energy. Two groups that fit hold as many members as the product
of their sizes, and the lowest of these is the sum of their lowest rows: whole groups
are compared, and only groups that hold one of the best members are opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from hts_battery.compositions.mixture import interval_choices, lowest_charges

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hts_battery.compositions.mixture import Mixture
    from hts_battery.learning.separable import FrameScores

    Array = NDArray[np.float64]
    Integers = NDArray[np.integer[Any]]

_UNITS, _METALS, _LOW, _HIGH, _PRESENT, _ATOMS = range(6)
_MOST_EXCLUDED = 20
_CELLS = 1_000_000
"""Pairs of groups that are compared at once."""
_ROWS = 1_000_000
"""Rows of a half above which groups are cut to what can be among the best."""


class Limit(Protocol):
    """What knows the score above which a member is not wanted; it falls."""

    limit: float


class Half(NamedTuple):
    """Rows of some neighbouring items, in the order of the members."""

    amounts: Integers
    """Shape (rows, items)."""
    keys: Integers
    """Units and metals in the group that the split cuts; least and greatest charge;
    bits of excluded elements; atoms. Shape (rows, 6)."""
    energies: Integers
    counts: Integers
    """Rows that each stands for: those cut stay counted by one of their group."""

    def taken(self, rows: Integers | NDArray[np.bool_]) -> Half:
        """Return some of its rows."""
        return Half(
            self.amounts[rows], self.keys[rows], self.energies[rows], self.counts[rows]
        )


class Groups(NamedTuple):
    """Rows of a half by group, each sorted by energy."""

    keys: Integers
    """Shape (groups, 6)."""
    counts: Integers
    lowest: Integers
    ends: Integers
    """First row of each group, and the end of the last."""
    energies: Integers
    rows: Integers
    """Places in the half."""


class Pairs(NamedTuple):
    """Groups of two halves that fit, and the score of the lowest member of each."""

    first: Integers
    second: Integers
    gates: Integers
    """Energy of the empty sites where the halves meet."""
    scores: Array

    def lowest(self, n: int, limit: float) -> Pairs:
        """Keep those that can hold one of the lowest n members."""
        if len(self.scores) > n:
            limit = min(limit, float(np.partition(self.scores, n - 1)[n - 1]))
        kept = self.scores <= limit
        return Pairs(
            self.first[kept], self.second[kept], self.gates[kept], self.scores[kept]
        )


def can_be_halved(mixture: Mixture) -> bool:
    """Whether charges form intervals and few elements are excluded."""
    excluded = {name for names in mixture.exclusions for name in names}
    return len(excluded) <= _MOST_EXCLUDED and interval_choices(mixture) is not None


class Halves:
    """
    Both halves of a mixture under one separable score.

    Parameters
    ----------
    mixture
        One for which :func:`can_be_halved` says so.
    scores
        What amounts add.
    n
        Members wanted.
    """

    def __init__(self, mixture: Mixture, scores: FrameScores, n: int) -> None:
        found = interval_choices(mixture)
        if found is None:  # pragma: no cover - the caller asks first
            raise ValueError("charges leave gaps")
        self._choices, self._stride = found
        self._mixture = mixture
        self._scores = scores
        self._n = n
        self._zero = lowest_charges(mixture)
        self._group = [item.shares[0].group for item in mixture.items]
        names = sorted({name for names in mixture.exclusions for name in names})
        self._bits = {name: 1 << place for place, name in enumerate(names)}
        self._masks = [
            sum(self._bits[name] for name in names) for names in mixture.exclusions
        ]
        self.first, self.second = self._grow()
        self._groups = self._grouped(self.first), self._grouped(self.second)

    def _grow(self) -> tuple[Half, Half]:
        """Add items to the smaller half until they meet."""
        none = Half(
            np.zeros((1, 0), np.uint16),
            np.zeros((1, 6), np.int32),
            np.zeros(1, np.int64),
            np.ones(1, np.int64),
        )
        first, second = none, none
        begin, end = 0, len(self._group)
        while begin < end:
            if len(first.energies) <= len(second.energies):
                first = self._cut(self._after(first, begin))
                begin += 1
            else:
                end -= 1
                second = self._cut(self._before(second, end))
        self._split = begin
        return first, second

    def _after(self, half: Half, item: int) -> Half:
        """Append an item, which changes fastest; close its group behind the last."""
        grown, sources = self._with_item(half, item, first=False)
        grown = grown.taken(np.argsort(sources, kind="stable"))
        is_last = item + 1 == len(self._group) or (
            self._group[item + 1] != self._group[item]
        )
        return self._allowed(grown, self._group[item], closed=is_last)

    def _before(self, half: Half, item: int) -> Half:
        """Prepend an item, which changes slowest; close its group before the first."""
        grown, _ = self._with_item(half, item, first=True)
        is_first = item == 0 or self._group[item - 1] != self._group[item]
        return self._allowed(grown, self._group[item], closed=is_first)

    def _with_item(
        self, half: Half, place: int, *, first: bool
    ) -> tuple[Half, Integers]:
        """Add each amount of an item where there is room; give the rows it went to."""
        item, group = self._mixture.items[place], self._group[place]
        room = self._mixture.groups[group].units - half.keys[:, _UNITS]
        sources, parts = [], []
        for one in self._choices[place]:
            rows = np.flatnonzero(room >= one.units)
            added = (
                one.units,
                int(item.metal and one.units > 0),
                one.low + self._zero[group] * one.units,
                one.high + self._zero[group] * one.units,
                self._bits.get(item.element, 0) if one.units else 0,
                self._scores.atoms[place] * one.units,
            )
            old = half.taken(rows)
            new = np.full((len(rows), 1), one.units, dtype=np.uint16)
            sources.append(rows)
            parts.append(
                Half(
                    np.hstack([new, old.amounts] if first else [old.amounts, new]),
                    old.keys + np.array(added, dtype=np.int32),
                    old.energies + self._scores.energies[place][one.units],
                    old.counts,
                )
            )
        return _joined(parts), np.concatenate(sources)

    def _allowed(self, half: Half, group: int, *, closed: bool) -> Half:
        """Drop rows that no member holds; fill up a group that is complete."""
        here = self._mixture.groups[group]
        kept = half.keys[:, _METALS] <= here.metals[1]
        for mask in self._masks:
            kept &= half.keys[:, _PRESENT] & mask != mask
        if closed:
            kept &= self._fills(group, half.keys[:, _UNITS], half.keys[:, _METALS])
        half = half.taken(kept)
        if closed:
            empty = np.array(self._scores.empty[group])
            half.energies[:] += empty[here.units - half.keys[:, _UNITS]]
            half.keys[:, (_UNITS, _METALS)] = 0
        return half

    def _fills(
        self, group: int, units: Integers, metals: Integers
    ) -> NDArray[np.bool_]:
        """Whether units and metals are enough for a group."""
        here = self._mixture.groups[group]
        least, most = here.vacancies or (0, 0)
        found: NDArray[np.bool_] = (here.units - units >= least) & (
            here.units - units <= most
        )
        return found & (metals >= here.metals[0]) & (metals <= here.metals[1])

    def _cut(self, half: Half) -> Half:
        """Keep the lowest n rows of each group of a half that is large."""
        if len(half.energies) <= _ROWS:
            return half
        codes = _packed(half.keys)
        order = np.lexsort((half.energies, codes))
        begins = np.flatnonzero(np.diff(codes[order], prepend=-1))
        sizes = np.diff(np.append(begins, len(order)))
        rank = np.arange(len(order)) - np.repeat(begins, sizes)
        totals = np.add.reduceat(half.counts[order], begins)
        kept = order[rank < self._n]
        counts = half.counts.copy()
        heads = order[begins]
        dropped = totals - np.add.reduceat(
            np.where(rank < self._n, half.counts[order], 0), begins
        )
        counts[heads] += dropped
        kept.sort()
        return Half(
            half.amounts[kept], half.keys[kept], half.energies[kept], counts[kept]
        )

    def _grouped(self, half: Half) -> Groups:
        """Sort the rows of a half by group and energy."""
        codes = _packed(half.keys)
        order = np.lexsort((half.energies, codes))
        begins = np.flatnonzero(np.diff(codes[order], prepend=-1))
        energies = half.energies[order]
        return Groups(
            keys=half.keys[order[begins]],
            counts=np.add.reduceat(half.counts[order], begins)
            if len(begins)
            else np.zeros(0, np.int64),
            lowest=energies[begins],
            ends=np.append(begins, len(order)),
            energies=energies,
            rows=order,
        )

    def fitting(
        self, target: int, scores: FrameScores, limit: float
    ) -> tuple[Pairs, int]:
        """
        Find the groups that fit for a charge of the mixture, and count their members.

        Returns
        -------
        tuple
            Pairs that can hold one of the lowest members, and the number of members
            of all pairs.
        """
        found: list[Pairs] = []
        visited = 0
        for first, second, gate in self._blocks():
            pairs, members = self._block(first, second, target, scores, gate=gate)
            visited += members
            pairs = pairs.lowest(self._n, limit)
            if len(pairs.scores) >= self._n:
                limit = min(limit, float(pairs.scores.max()))
            found.append(pairs)
        if not found:
            none = np.zeros(0, np.int64)
            return Pairs(none, none, none, np.zeros(0)), 0
        joined = Pairs(
            np.concatenate([one.first for one in found]),
            np.concatenate([one.second for one in found]),
            np.concatenate([one.gates for one in found]),
            np.concatenate([one.scores for one in found]),
        )
        return joined.lowest(self._n, limit), visited

    def _blocks(self) -> Iterator[tuple[Integers, Integers, int]]:
        """Yield groups by the units they hold of the sublattice that is cut."""
        (one, other), split = self._groups, self._split
        inside = 0 < split < len(self._group) and (
            self._group[split - 1] == self._group[split]
        )
        for units in np.unique(one.keys[:, _UNITS]):
            for others in np.unique(other.keys[:, _UNITS]):
                gate = 0
                if inside:
                    group = self._group[split]
                    here = self._mixture.groups[group]
                    left = here.units - int(units) - int(others)
                    least, most = here.vacancies or (0, 0)
                    if not least <= left <= most:
                        continue
                    gate = self._scores.empty[group][left]
                rows = np.flatnonzero(one.keys[:, _UNITS] == units)
                columns = np.flatnonzero(other.keys[:, _UNITS] == others)
                for part in np.array_split(
                    rows, 1 + rows.size * columns.size // _CELLS
                ):
                    yield part, columns, gate

    def _block(
        self,
        first: Integers,
        second: Integers,
        target: int,
        scores: FrameScores,
        *,
        gate: int,
    ) -> tuple[Pairs, int]:
        one, other = self._groups
        left, right = one.keys[first].T[:, :, None], other.keys[second].T[:, None, :]
        low = left[_LOW] + right[_LOW]
        fits = (low <= target) & (left[_HIGH] + right[_HIGH] >= target)
        if self._stride > 1:
            fits &= (target - low) % self._stride == 0
        if 0 < self._split < len(self._group):
            here = self._mixture.groups[self._group[self._split]]
            metals = left[_METALS] + right[_METALS]
            if self._group[self._split - 1] == self._group[self._split]:
                fits &= (metals >= here.metals[0]) & (metals <= here.metals[1])
        for mask in self._masks:
            fits &= (left[_PRESENT] | right[_PRESENT]) & mask != mask
        members = int(one.counts[first] @ (fits @ other.counts[second]))
        which, others = np.nonzero(fits)
        rows, columns = first[which], second[others]
        gates = np.full(len(rows), gate + scores.fixed_energy)
        lowest = scores.per_atom(
            one.lowest[rows] + other.lowest[columns] + gates,
            one.keys[rows, _ATOMS] + other.keys[columns, _ATOMS] + scores.fixed_atoms,
        )
        return Pairs(rows, columns, gates, lowest), members

    def members(
        self, pairs: Pairs, scores: FrameScores, best: Limit
    ) -> Iterator[tuple[Array, Integers]]:
        """
        Open pairs of groups: scores and places of their members up to a falling limit.

        A place is the row of the first half times the rows of the second, plus the row
        of the second; places ascend as the members of the space do.
        """
        one, other = self._groups
        width = len(self.second.energies)
        for first, second, gate, _ in zip(*pairs, strict=True):
            atoms = (
                one.keys[first, _ATOMS]
                + other.keys[second, _ATOMS]
                + scores.fixed_atoms
            )
            here = slice(one.ends[first], one.ends[first + 1])
            there = slice(other.ends[second], other.ends[second + 1])
            bound = scores.below(best.limit, int(atoms)) - gate
            found = np.searchsorted(
                other.energies[there], bound - one.energies[here], side="right"
            )
            counts = found[: np.count_nonzero(found)]  # energies ascend
            total = int(counts.sum())
            row = np.repeat(np.arange(len(counts)), counts)
            column = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
            sums = one.energies[here][row] + other.energies[there][column] + gate
            places = one.rows[here][row] * width + other.rows[there][column]
            yield scores.per_atom(sums, atoms), places

    def row(self, place: int) -> list[int]:
        """Amounts of the member at a place."""
        first, second = divmod(place, len(self.second.energies))
        return [
            *self.first.amounts[first].tolist(),
            *self.second.amounts[second].tolist(),
        ]


def _joined(parts: Sequence[Half]) -> Half:
    return Half(
        np.concatenate([one.amounts for one in parts]),
        np.concatenate([one.keys for one in parts]),
        np.concatenate([one.energies for one in parts]),
        np.concatenate([one.counts for one in parts]),
    )


def _packed(keys: Integers) -> Integers:
    """Write each row of keys as one number."""
    if not len(keys):
        return np.zeros(0, np.int64)
    least = keys.min(axis=0)
    spans = (keys.max(axis=0) - least + 1).tolist()
    codes = np.zeros(len(keys), np.int64)
    for column, span in zip((keys - least).T, spans, strict=True):
        codes = codes * span + column
    return codes
