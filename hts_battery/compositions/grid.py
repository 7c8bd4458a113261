"""Spaces on a grid: every neutral filling of sublattices in whole steps."""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from functools import cached_property, partial
from itertools import accumulate, product
from typing import TYPE_CHECKING

from hts_battery.compositions.assignments import frame_assignments, spin_states
from hts_battery.compositions.frames import FrameBuilder
from hts_battery.compositions.interval import IntervalTables
from hts_battery.compositions.membership import reason_outside
from hts_battery.compositions.mixture import interval_choices
from hts_battery.compositions.sampling import Stratum
from hts_battery.compositions.space import CompositionSpace
from hts_battery.compositions.subset_automaton import SubsetAutomaton, count_species
from hts_battery.compositions.walk import Walker
from hts_battery.errors import CompositionError
from hts_battery.schemas.candidate import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from hts_battery.compositions.mixture import Frame, Mixture
    from hts_battery.compositions.redox import RedoxScale
    from hts_battery.schemas.space import SpaceSpec, Stratification
    from hts_battery.schemas.species_table import SpeciesProperties

_ZERO = Fraction(0)


class FrameMembers:
    """Members of one frame: rows of integers, and the amounts they stand for."""

    def __init__(self, frame: Frame, walker: Walker) -> None:
        self.frame = frame
        self.walker = walker
        self.elements = tuple(item.element for item in frame.mixture.items)
        self._places = {element: n for n, element in enumerate(self.elements)}
        self._fixed = dict(frame.amounts)
        self._values = [
            [units * item.unit for units in range(max(item.allowed, default=0) + 1)]
            for item in frame.mixture.items
        ]

    def amounts(self, row: Sequence[int]) -> dict[str, Fraction]:
        """Amount of each element per formula unit; no zeros."""
        found = dict(self._fixed)
        for element, values, units in zip(
            self.elements, self._values, row, strict=True
        ):
            if units:
                found[element] = values[units]
        return found

    def row(self, amounts: Mapping[str, Fraction]) -> list[int] | None:
        """Row of integers for some amounts; nothing if they are off the grid."""
        row = [0] * len(self.elements)
        for element, amount in amounts.items():
            place = self._places.get(element)
            if place is not None:
                units = amount / self.frame.mixture.items[place].unit
                if units.denominator != 1:
                    return None
                row[place] = units.numerator
        return row


class _Part:
    """Some members, frame by frame."""

    def __init__(self, walkers: Sequence[Walker | None]) -> None:
        self._walkers = walkers
        self._ends = list(accumulate(one.count if one else 0 for one in walkers))
        self.count = self._ends[-1] if self._ends else 0

    def row(self, place: int) -> tuple[int, tuple[int, ...]]:
        """Frame and row of the member at a place."""
        frame = bisect_right(self._ends, place)
        walker = self._walkers[frame]
        if walker is None:  # pragma: no cover - an empty frame holds no place
            raise IndexError(place)
        return frame, walker.unrank(place - (self._ends[frame - 1] if frame else 0))


class GridSpace(CompositionSpace):
    """
    Every neutral filling of sublattices in whole steps.

    Notes
    -----
    Order of the members, part of the format: the combinations of fixed amounts as
    the file lists them (the last element of ``contents`` changes fastest), then the
    balancing amount, ascending; within these the amounts of the free elements,
    lexicographic and ascending, where elements are ordered by the first sublattice
    of the file that holds them and then by symbol.
    """

    def __init__(
        self,
        spec: SpaceSpec,
        table: Mapping[str, SpeciesProperties] | None = None,
    ) -> None:
        self.spec = spec
        self.name = spec.name or spec.family
        self.family = spec.family
        self.basis = spec.basis
        self.sites = {name: one.sites for name, one in spec.sublattices.items()}
        self.spin_states = spin_states(spec, table)
        self._builder = FrameBuilder(spec, table)
        self._normaliser = self._builder.normaliser()
        found = self._builder.frames()
        self._stoichiometries = [said for said, _ in found]
        self.frames = tuple(frame for _, frame in found)
        """Parts of the space with everything fixed but the free elements."""
        self._names = tuple(self.sites)
        self._counters: dict[Mixture, MixtureCounter] = {}
        self._exact: dict[int, list[Walker | None]] = {}

    @cached_property
    def parts(self) -> list[FrameMembers]:
        """Frames in order, each with the tree of its members."""
        return [FrameMembers(frame, self._walker(frame)) for frame in self.frames]

    def _walker(self, frame: Frame) -> Walker:
        """Make the counted tree of a frame."""
        return self._counter(frame.mixture).walker(frame.target)

    def _counter(self, mixture: Mixture) -> MixtureCounter:
        """Find the tables of a mixture, which many frames may share."""
        found = self._counters.get(mixture)
        if found is None:
            found = MixtureCounter(mixture, self.spec.state_limit)
            self._counters[mixture] = found
        return found

    @cached_property
    def _ends(self) -> list[int]:
        """Index after the last member of each frame."""
        return list(accumulate(one.walker.count for one in self.parts))

    @property
    def count(self) -> int:
        """Number of members, exact."""
        return self._ends[-1] if self._ends else 0

    @cached_property
    def species_count(self) -> int:
        """Number of neutral species compositions of all members, exact."""
        return sum(
            self._counter(frame.mixture).species_count(frame.target)
            for frame in self.frames
        )

    @property
    def redox(self) -> RedoxScale:
        """Redox couples that choose the oxidation states of its members."""
        return self._builder.redox

    def _strata(
        self, by: tuple[Stratification, ...]
    ) -> Mapping[tuple[int | str, ...], Stratum]:
        if "stoichiometry" in by and not self.spec.fixed_elements:
            raise CompositionError(
                f"{self.name} cannot be divided by stoichiometry: it fixes no amounts; "
                "give contents or stoichiometries, or stratify by metals alone"
            )
        axes: dict[Stratification, list[int | str]] = {
            "stoichiometry": list(dict.fromkeys(self._stoichiometries)),
            "metals": list(range(self._most_metals + 1)),
        }
        found: dict[tuple[int | str, ...], Stratum] = {}
        for key in product(*(axes[one] for one in by)):
            said = dict(zip(by, key, strict=True))
            part = self._part(said.get("stoichiometry"), said.get("metals"))
            if part.count:
                words = [f"{one} {value}" for one, value in said.items()]
                place = partial(self._index_in, part)
                found[key] = Stratum("; ".join(words), part.count, place)
        return found

    @property
    def _most_metals(self) -> int:
        """Most metals that a member could have if every item were one."""
        return max(
            (one.metals + len(one.mixture.items) for one in self.frames), default=0
        )

    def _part(self, stoichiometry: int | str | None, metals: int | str | None) -> _Part:
        """Members of one stoichiometry, of one number of metals, or of both."""
        walkers = (
            [one.walker for one in self.parts]
            if metals is None
            else self._walkers(int(metals))
        )
        return _Part(
            [
                one if stoichiometry in (None, here) else None
                for here, one in zip(self._stoichiometries, walkers, strict=True)
            ]
        )

    def _walkers(self, metals: int) -> Sequence[Walker | None]:
        """Trees of the frames, restricted to a number of metals."""
        if metals not in self._exact:
            walkers: list[Walker | None] = []
            for frame in self.frames:
                exact = with_metals(frame.mixture, metals - frame.metals)
                walkers.append(exact and self._walker(frame._replace(mixture=exact)))
            self._exact[metals] = walkers
        return self._exact[metals]

    def _index_in(self, part: _Part, place: int) -> int:
        """Index in the space of the member at a place of some of its members."""
        frame, row = part.row(place)
        rank = self.parts[frame].walker.rank(row)
        if rank is None:  # pragma: no cover - a part of a frame is in the frame
            raise AssertionError(row)
        return rank + (self._ends[frame - 1] if frame else 0)

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[Candidate]:
        """Stream members in order, from any offset, without listing them."""
        for members, rows in self.blocks(start, stop):
            for row in map(tuple, rows.tolist()):
                yield self._candidate(members, row)

    def blocks(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[FrameMembers, NDArray[np.uint16]]]:
        """Stream members as blocks of integer rows, the fastest way through a space."""
        stop = self._checked_stop(start, stop)
        first = 0
        for members, end in zip(self.parts, self._ends, strict=True):
            if end > start and first < stop:
                for rows in members.walker.blocks(
                    max(start - first, 0), min(stop, end) - first
                ):
                    yield members, rows
            first = end

    def _member(self, index: int) -> Candidate:
        place = bisect_right(self._ends, index)
        members = self.parts[place]
        row = members.walker.unrank(index - (self._ends[place - 1] if place else 0))
        return self._candidate(members, row)

    def _candidate(self, members: FrameMembers, row: tuple[int, ...]) -> Candidate:
        return Candidate(
            self.family,
            members.amounts(row),
            sites=self.sites,
            assignments=partial(frame_assignments, members.frame, row, self._names),
            spin_states=self.spin_states,
        )

    @cached_property
    def _keys(self) -> dict[tuple[Fraction, ...], int]:
        """Frame of each combination of fixed and balancing amounts."""
        return {
            self._key(dict(one.frame.amounts)): place
            for place, one in enumerate(self.parts)
        }

    def _key(self, amounts: Mapping[str, Fraction]) -> tuple[Fraction, ...]:
        names = [
            name
            for name in (*self.spec.fixed_elements, self.spec.balance)
            if name is not None and self._builder.is_constant(name)
        ]
        return tuple(amounts.get(name, _ZERO) for name in names)

    def _index_of(self, amounts: Mapping[str, Fraction], text: object) -> int:
        per_unit = self._per_formula_unit(amounts)
        place = None if per_unit is None else self._keys.get(self._key(per_unit))
        if per_unit is not None and place is not None:
            members = self.parts[place]
            integers = members.row(per_unit)
            rank = None if integers is None else members.walker.rank(integers)
            if (
                integers is not None
                and rank is not None
                and members.amounts(integers) == per_unit
            ):
                return rank + (self._ends[place - 1] if place else 0)
        reason = reason_outside(self.spec, self._builder, amounts)
        raise CompositionError(f"{text} is not in {self.name}: {reason}")

    def _per_formula_unit(
        self, amounts: Mapping[str, Fraction]
    ) -> dict[str, Fraction] | None:
        """Scale a formula to one formula unit; None where it is of other elements."""
        elements, total = self._normaliser
        held = sum(
            (amount for element, amount in amounts.items() if element in elements),
            _ZERO,
        )
        if not held or not self.spec.symbols.issuperset(amounts):
            return None
        if held == total:
            return dict(amounts)
        return {element: amount * total / held for element, amount in amounts.items()}

    def __repr__(self) -> str:
        return f"<GridSpace {self.name}: {self.count} compositions, {self.basis}>"


class MixtureCounter:
    """Counts of one mixture for every charge, in both views."""

    def __init__(self, mixture: Mixture, state_limit: int) -> None:
        self.mixture = mixture
        self._limit = state_limit
        found = interval_choices(mixture)
        self._tables = (
            None if found is None else IntervalTables(mixture, *found, state_limit)
        )

    def walker(self, target: int) -> Walker:
        """Make the counted tree of the members with one charge, in charge units."""
        if self._tables is not None:
            return Walker(self._tables, self._tables.start(target))
        tree = SubsetAutomaton(self.mixture, target, self._limit)
        return Walker(tree, tree.start)

    def species_count(self, target: int) -> int:
        """Count the species assignments with one charge, in charge units."""
        if self._tables is not None:
            return self._tables.species_size(self._tables.start(target))
        return self._species_counts.get(target, 0)

    @cached_property
    def _species_counts(self) -> dict[int, int]:
        return count_species(self.mixture, self._limit)


def with_metals(mixture: Mixture, metals: int) -> Mixture | None:
    """Restrict a mixture to a number of metals; None where its bounds forbid it."""
    homes = {s.group for item in mixture.items if item.metal for s in item.shares}
    if len(homes) > 1:
        names = ", ".join(mixture.groups[home].sublattice for home in sorted(homes))
        raise CompositionError(
            f"metals sit on several sublattices ({names}), so members cannot be "
            "grouped by their number"
        )
    if not homes:
        return mixture if metals == 0 else None
    home = homes.pop()
    low, high = mixture.groups[home].metals
    if not low <= metals <= high:
        return None
    groups = list(mixture.groups)
    groups[home] = groups[home]._replace(metals=(metals, metals))
    return mixture._replace(groups=tuple(groups))
