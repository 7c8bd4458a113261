"""Random whole numbers that are the same on every machine, for ever."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCHEME = "hts_battery sample 1"


class Draws:
    """
    A stream of random whole numbers from SHA-256 of a seed and a counter.

    Parameters
    ----------
    seed
        Seed of the stream; different seeds give unrelated streams.
    stream
        Name that keeps several streams of one seed apart.

    Examples
    --------
    >>> draws = Draws(0)
    >>> [draws.below(10) for _ in range(5)]
    [8, 8, 8, 6, 8]
    """

    def __init__(self, seed: int, stream: str = "") -> None:
        self._prefix = f"{_SCHEME}\n{seed}\n{stream}\n"
        self._counter = 0

    def below(self, bound: int) -> int:
        """
        Draw uniformly from 0 to ``bound - 1``.

        Bits beyond the bound are thrown away and drawn again, so that no value is
        likelier than another.
        """
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

    Parameters
    ----------
    total
        Numbers are drawn from 0 to ``total - 1``.
    count
        How many.
    seed
        Seed of the stream.
    stream
        Name that keeps several streams of one seed apart.

    Raises
    ------
    ValueError
        If more are wanted than there are.

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
