"""Random whole numbers that are the same on every machine, for ever."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_T = TypeVar("_T")

_SCHEME = "hts_battery sample 1"


class Draws:
    """A stream of random whole numbers from SHA-256 of seed, name and a counter."""

    def __init__(self, seed: int, stream: str = "") -> None:
        self._prefix = f"{_SCHEME}\n{seed}\n{stream}\n"
        self._counter = 0

    def below(self, bound: int) -> int:
        """Draw uniformly from 0 to ``bound - 1``."""
        bits = (bound - 1).bit_length()
        while True:
            value = self._bits(bits)
            if value < bound:
                return value

    def _bits(self, bits: int) -> int:
        digest = b""
        while 8 * len(digest) < bits:
            text = f"{self._prefix}{self._counter}"
            digest += sha256(text.encode("ascii")).digest()
            self._counter += 1
        return int.from_bytes(digest, "big") >> (8 * len(digest) - bits)


def distinct_indices(
    total: int, count: int, seed: int, stream: str = ""
) -> Iterator[int]:
    """
    Draw distinct numbers below a total, every ordered choice equally likely.

    A shuffle that only remembers what it moved (Fisher and Yates): no list of all
    numbers is made, and a longer sample begins with the shorter one.

    Examples
    --------
    >>> list(distinct_indices(10**12, 3, seed=0))
    [568536224041, 574786845781, 604349831179]
    """
    if not 0 <= count <= total:
        raise ValueError(f"cannot draw {count} distinct members out of {total}")
    draws = Draws(seed, stream)
    moved: dict[int, int] = {}
    for place in range(count):
        drawn = place + draws.below(total - place)
        yield moved.get(drawn, drawn)
        moved[drawn] = moved.pop(place, place)
        # The place itself is never drawn again; what stood there has moved on.


@dataclass(frozen=True, slots=True)
class Stratum:
    """Members of a space that a sample takes as one lot."""

    name: str
    """Keeps its random numbers apart from those of the others, for ever."""
    size: int
    """Number of its members."""
    index: Callable[[int], int]
    """Index in the space of the member at a place below the size."""

    def draw(self, seed: int) -> Iterator[int]:
        """Draw the indices of all its members in random order, one at a time."""
        places = distinct_indices(self.size, self.size, seed, self.name)
        return map(self.index, places)


def in_turns(
    strata: Mapping[tuple[int | str, ...], Stratum],
    draw: Callable[[Stratum], Iterator[_T]],
) -> Iterator[_T]:
    """
    Take turns among strata; one that has no more is left out from then on.

    Strata of several keys take turns by the first key, those that share it by the
    second, and so on: every stoichiometry gives as many as every other, and within it
    every number of metals as many as every other, as long as there are any.
    """
    groups: dict[int | str, dict[tuple[int | str, ...], Stratum]] = {}
    for (first, *others), stratum in strata.items():
        groups.setdefault(first, {})[tuple(others)] = stratum
    streams = [
        draw(group[()]) if () in group else in_turns(group, draw)
        for group in groups.values()
    ]
    yield from _round_robin(streams)


def _round_robin(streams: Sequence[Iterator[_T]]) -> Iterator[_T]:
    left = list(streams)
    while left:
        still = []
        for stream in left:
            for one in stream:
                yield one
                still.append(stream)
                break
        left = still
