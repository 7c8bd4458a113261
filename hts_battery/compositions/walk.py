"""Rank, unrank and stream the members of a counted tree, from any offset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_CACHED_BRANCHES = 60_000
_BLOCK_ROWS = 4096
_CACHED_BLOCK_CELLS = 16_000_000


class Branches(NamedTuple):
    """What may follow a state: amounts of the next item that lead to members."""

    amounts: tuple[int, ...]
    starts: tuple[int, ...]
    """Number of members before each amount; ascending, 0 first."""
    states: tuple[Any, ...]


class Automaton(Protocol):
    """A tree of members whose branches know how many members they hold."""

    depth: int
    """Number of items in a row."""

    def size(self, state: Any) -> int:  # noqa: ANN401 - each automaton has its own
        """Count the members below a state."""
        ...

    def branches(self, state: Any) -> Branches:  # noqa: ANN401 - likewise
        """List the non-empty branches of a state, amounts ascending."""
        ...

    def unrank(self, state: Any, index: int) -> list[int]:  # noqa: ANN401 - likewise
        """Find the rest of the row of a member below a state."""
        ...

    def rank(self, start: Any, row: Sequence[int]) -> int | None:  # noqa: ANN401 - likewise
        """Index of a row below a start; nothing if it is no member."""
        ...


class Walker:
    """Members of an automaton below one state, in lexicographic order of their rows."""

    def __init__(self, automaton: Automaton, start: object) -> None:
        self.automaton = automaton
        self.start = start
        self._branches: dict[Any, Branches] = {}
        self._blocks: dict[Any, NDArray[np.uint16]] = {}
        self._block_cells = 0
        self.count = automaton.size(start)

    def unrank(self, index: int) -> tuple[int, ...]:
        """Row of the member with an index; the caller checks the range."""
        return tuple(self.automaton.unrank(self.start, index))

    def rank(self, row: Sequence[int]) -> int | None:
        """Index of a row, or nothing if it is no member."""
        return self.automaton.rank(self.start, row)

    def blocks(self, start: int, stop: int) -> Iterator[NDArray[np.uint16]]:
        """Rows of the members from one index to another, some thousand at a time."""
        if start < stop:
            yield from self._blocks_below((), self.start, 0, start, stop)

    def _blocks_below(
        self,
        prefix: tuple[int, ...],
        state: object,
        offset: int,
        start: int,
        stop: int,
    ) -> Iterator[NDArray[np.uint16]]:
        size = self.automaton.size(state)
        if size <= _BLOCK_ROWS:
            block = self._block(state, len(prefix))
            part = block[max(start - offset, 0) : min(stop - offset, size)]
            if prefix:
                head = np.array(prefix, dtype=np.uint16)
                part = np.hstack(
                    [np.broadcast_to(head, (len(part), len(prefix))), part]
                )
            yield part
            return
        amounts, starts, states = self._look_up(state)
        for place, amount in enumerate(amounts):
            first = offset + starts[place]
            last = offset + (starts[place + 1] if place + 1 < len(starts) else size)
            if last > start and first < stop:
                yield from self._blocks_below(
                    (*prefix, amount), states[place], first, start, stop
                )

    def _block(self, state: object, level: int) -> NDArray[np.uint16]:
        """Every row below a state that has few, from this level on."""
        found = self._blocks.get(state)
        if found is not None:
            return found
        width = self.automaton.depth - level
        if width == 0:
            return np.empty((1, 0), dtype=np.uint16)
        block = np.empty((self.automaton.size(state), width), dtype=np.uint16)
        row = 0
        for amount, child in zip(*self._look_up(state)[::2], strict=True):
            below = self._block(child, level + 1)
            block[row : row + len(below), 0] = amount
            block[row : row + len(below), 1:] = below
            row += len(below)
        block.flags.writeable = False
        self._block_cells += block.size
        if self._block_cells > _CACHED_BLOCK_CELLS:
            self._blocks.clear()
            self._block_cells = block.size
        self._blocks[state] = block
        return block

    def _look_up(self, state: object) -> Branches:
        found = self._branches.get(state)
        if found is None:
            if len(self._branches) >= _CACHED_BRANCHES:
                self._branches.clear()
            found = self._branches[state] = self.automaton.branches(state)
        return found
