"""What every composition space can do, whatever rule makes its members."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import islice
from typing import TYPE_CHECKING

from hts_battery.compositions.redox import package_scale
from hts_battery.compositions.sampling import Stratum, in_turns
from hts_battery.errors import CompositionError
from hts_battery.schemas.candidate import Candidate
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.space import divisions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from fractions import Fraction

    from hts_battery.compositions.redox import RedoxScale
    from hts_battery.schemas.space import Stratification


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
    def metal_counts(self) -> Mapping[int, int]:
        """
        Number of members with each number of different metals.

        Raises
        ------
        CompositionError
            If metals sit on several sublattices.
        """
        strata = self.strata(("metals",))
        return {int(metals): one.size for (metals,), one in strata.items()}

    @property
    def redox(self) -> RedoxScale:
        """Redox couples that choose the oxidation states of its members."""
        return package_scale()

    @abstractmethod
    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[Candidate]:
        """Stream members in order from an index to another, without listing them."""

    @abstractmethod
    def _member(self, index: int) -> Candidate:
        """Make the member with an index in range."""

    @abstractmethod
    def _index_of(self, amounts: Mapping[str, Fraction], text: object) -> int:
        """Find the index of a composition; the text names it in errors."""

    @abstractmethod
    def _strata(
        self, by: tuple[Stratification, ...]
    ) -> Mapping[tuple[int | str, ...], Stratum]:
        """Strata that hold members, ascending; one key for each of what divides."""

    def strata(
        self, by: tuple[Stratification, ...]
    ) -> Mapping[tuple[int | str, ...], Stratum]:
        """
        Divide the members by metals, stoichiometry, both (the outer first) or nothing.

        Returns
        -------
        mapping
            Keys (number of metals, text of the stoichiometry) → stratum; strata without
            members are left out.

        Raises
        ------
        CompositionError
            If the space cannot be divided so.
        """
        if not by:
            return {("",): Stratum("", self.count, lambda place: place)}
        return self._strata(by)

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

    def _checked_stop(self, start: int, stop: int | None) -> int:
        """End of a range of indices, all members if none is given; refuse others."""
        stop = self.count if stop is None else stop
        if not 0 <= start <= self.count or stop > self.count:
            raise IndexError(
                f"no range {start} to {stop}: the space holds {self.count} compositions"
            )
        return stop

    def sample_indices(
        self,
        n: int,
        *,
        seed: int = 0,
        stratify: Stratification | Sequence[Stratification] | None = None,
    ) -> list[int]:
        """Draw the indices of a random sample; see :meth:`sample`."""
        self.check_size(n)
        strata = self.strata(divisions(stratify))
        return list(islice(in_turns(strata, lambda one: one.draw(seed)), n))

    def check_size(self, n: int) -> None:
        """Refuse a sample larger than the space."""
        if not 0 <= n <= self.count:
            raise ValueError(
                f"cannot draw {n} distinct members from a space of {self.count}"
            )

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        stratify: Stratification | Sequence[Stratification] | None = None,
    ) -> list[Candidate]:
        """
        Draw distinct members uniformly, without enumerating the space.

        The same on every machine and for ever: indices come from SHA-256 of the
        seed. A longer sample of one seed begins with the shorter one.

        Parameters
        ----------
        n
            Size of the sample.
        seed
            Seed of the sample.
        stratify
            ``"metals"`` to draw the same number from each number of metals,
            ``("stoichiometry", "metals")`` from each combination of fixed amounts and
            within it from each number of metals, taking turns; a stratum with too few
            members gives all it has, and the others share the rest.

        Raises
        ------
        ValueError
            If the space holds fewer members.
        CompositionError
            If the space cannot be divided so.
        """
        indices = self.sample_indices(n, seed=seed, stratify=stratify)
        return [self._member(index) for index in indices]
