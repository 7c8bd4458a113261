"""What every composition space can do, whatever rule makes its members."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

from hts_battery.compositions.sampling import distinct_indices
from hts_battery.errors import CompositionError
from hts_battery.schemas.candidate import Candidate
from hts_battery.schemas.formula import parse_formula

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from fractions import Fraction


class CompositionSpace(ABC):
    """
    A set of candidates that is counted, indexed, streamed and sampled.

    Members are compositions of elements: species assignments that give the same
    composition are one member. Members are numbered from 0 in an order that is part
    of the format of space files and does not change between versions.
    """

    name: str
    family: str
    basis: str
    sites: Mapping[str, Fraction]
    """Sites of each sublattice per formula unit."""

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of members, exact."""

    @property
    @abstractmethod
    def species_count(self) -> int:
        """Number of neutral species compositions of all members, exact."""

    @property
    @abstractmethod
    def metal_counts(self) -> Mapping[int, int]:
        """Number of members with each number of different metals."""

    @abstractmethod
    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[Candidate]:
        """
        Stream members in order, from any offset, without listing them.

        Parameters
        ----------
        start
            First index.
        stop
            First index not wanted; all members if none is given.
        """

    @abstractmethod
    def _member(self, index: int) -> Candidate:
        """Make the member with an index in range."""

    @abstractmethod
    def _index_of(self, amounts: Mapping[str, Fraction], text: object) -> int:
        """Find the index of a composition; the text names it in errors."""

    @abstractmethod
    def _index_in_stratum(self, metals: int, place: int) -> int:
        """Index of the member at a place among those with a number of metals."""

    def __getitem__(self, index: int) -> Candidate:
        """
        Make the member with an index; negative ones count from the end.

        Raises
        ------
        IndexError
            If there is no such member.
        """
        place = index + self.count if index < 0 else index
        if not 0 <= place < self.count:
            raise IndexError(
                f"no member {index}: the space holds {self.count} compositions"
            )
        return self._member(place)

    def __iter__(self) -> Iterator[Candidate]:
        return self.iterate()

    def __len__(self) -> int:
        return self.count

    def __contains__(self, candidate: object) -> bool:
        if not isinstance(candidate, Candidate | str):
            return False
        try:
            self.index(candidate)
        except CompositionError:
            return False
        return True

    def index(self, candidate: Candidate | str) -> int:
        """
        Find the index of a candidate or of a formula in any spelling.

        Parameters
        ----------
        candidate
            A candidate of this family, or a formula of any number of formula units.

        Raises
        ------
        CompositionError
            If it is no member, with the reason.
        """
        if isinstance(candidate, str):
            return self._index_of(parse_formula(candidate), candidate)
        if candidate.family != self.family:
            raise CompositionError(
                f"{candidate.formula} is of the family {candidate.family}, not "
                f"{self.family}"
            )
        return self._index_of(candidate.amounts, candidate)

    def sample_indices(
        self, n: int, *, seed: int = 0, stratify: Literal["metals"] | None = None
    ) -> list[int]:
        """
        Draw the indices of a random sample; see :meth:`sample`.

        Parameters
        ----------
        n
            Size of the sample.
        seed
            Seed of the sample.
        stratify
            ``"metals"`` to draw equally from each number of metals.

        Raises
        ------
        ValueError
            If the space holds fewer members.
        """
        if not 0 <= n <= self.count:
            raise ValueError(
                f"cannot draw {n} distinct members from a space of {self.count}"
            )
        if stratify is None:
            return list(distinct_indices(self.count, n, seed))
        shares = equal_shares(self.metal_counts, n)
        drawn = {
            metals: distinct_indices(
                self.metal_counts[metals], share, seed, f"metals {metals}"
            )
            for metals, share in shares.items()
        }
        return [
            self._index_in_stratum(metals, next(drawn[metals]))
            for metals in _round_robin(shares)
        ]

    def sample(
        self, n: int, *, seed: int = 0, stratify: Literal["metals"] | None = None
    ) -> list[Candidate]:
        """
        Draw distinct members uniformly, without enumerating the space.

        The same on every machine and for ever: indices come from SHA-256 of the
        seed. A longer sample of one seed begins with the shorter one where it is
        not stratified.

        Parameters
        ----------
        n
            Size of the sample.
        seed
            Seed of the sample.
        stratify
            ``"metals"`` to draw the same number from each number of metals, taking
            turns; a number of metals with too few members gives all it has, and the
            others share the rest.

        Raises
        ------
        ValueError
            If the space holds fewer members.
        """
        indices = self.sample_indices(n, seed=seed, stratify=stratify)
        return [self._member(index) for index in indices]


def equal_shares(sizes: Mapping[int, int], total: int) -> dict[int, int]:
    """
    Share a number over strata as equally as their sizes allow.

    Parameters
    ----------
    sizes
        Size of each stratum.
    total
        What is to be shared, at most the sum of the sizes.

    Examples
    --------
    >>> equal_shares({1: 2, 2: 100, 3: 100}, 11)
    {1: 2, 2: 5, 3: 4}
    """
    shares = dict.fromkeys(sorted(sizes), 0)
    left = total
    while left:
        hungry = [key for key in shares if shares[key] < sizes[key]]
        each, extra = divmod(left, len(hungry))
        for place, key in enumerate(hungry):
            more = min(each + (place < extra), sizes[key] - shares[key])
            shares[key] += more
            left -= more
    return shares


def _round_robin(shares: Mapping[int, int]) -> Iterator[int]:
    """Take turns among the strata until each has given its share."""
    for turn in range(max(shares.values(), default=0)):
        yield from (key for key, share in shares.items() if turn < share)
