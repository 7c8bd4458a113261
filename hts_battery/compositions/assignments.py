"""Every neutral way to give the elements of a composition their species."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.compositions.mixture import (
    Filling,
    Frame,
    Item,
    Mixture,
    share_fillings,
    splits,
)
from hts_battery.errors import CompositionError, SpecError
from hts_battery.schemas.species_table import (
    SpinState,
    octahedral_spin_state,
    species_properties,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hts_battery.schemas.candidate import Assignment
    from hts_battery.schemas.space import SpaceSpec
    from hts_battery.schemas.species_table import SpeciesProperties


def spin_states(
    spec: SpaceSpec, table: Mapping[str, SpeciesProperties] | None = None
) -> dict[str, SpinState]:
    """
    Collect the spin states that a space sets against those of the package.

    The space's own species table comes before the package's, ``spin`` beside a
    species before both.

    Raises
    ------
    SpecError
        If a species has no such spin state, or two on different sublattices: its
        moment then would depend on where it sits.
    """
    found = {
        species: SpinState(
            spin=table[species].spin,
            unpaired_electrons=table[species].unpaired_electrons,
        )
        for species in sorted(spec.species)
        if table and species in table
    }
    stated: dict[str, SpinState] = {}
    for name, sublattice in spec.sublattices.items():
        for species, said in sublattice.species.items():
            if said.spin is None:
                continue
            field = f"sublattices.{name}.species.{species}.spin"
            try:
                state = octahedral_spin_state(species, said.spin)
            except CompositionError as err:
                raise SpecError(str(err), field=field) from err
            if stated.setdefault(species, state) != state:
                raise SpecError(
                    f"{species} has another spin state on another sublattice; "
                    "give it one",
                    field=field,
                )
    found |= stated
    return {
        species: state for species, state in found.items() if _differs(species, state)
    }


def _differs(species: str, state: SpinState) -> bool:
    known = species_properties(species)
    return (known.spin, known.unpaired_electrons) != (
        state.spin,
        state.unpaired_electrons,
    )


class _Choice(NamedTuple):
    """All units of one item as species: one count for each of its options."""

    fillings: tuple[Filling, ...]
    charge: int
    mixed: bool
    """Whether its element stands here in several oxidation states."""
    energy: int | None
    """Energy of its electrons, in mV times charge units; none if unknown."""
    rank: Fraction
    """Place of its species in the species table, weighted by amount."""
    occupied: tuple[tuple[str, int, int, Fraction], ...]
    """Species, group, units and amount per formula unit, where there are any."""


def frame_assignments(
    frame: Frame, row: tuple[int, ...], sublattices: tuple[str, ...]
) -> tuple[Assignment, ...]:
    """
    Every neutral assignment of one member, the chosen one first.

    In the chosen assignment the electrons are where the redox potentials of the
    species table put them: moving one from any metal to any other would cost energy.
    Among couples of one potential it has the fewest elements in several oxidation
    states; among these it is the one whose species stand first in the species table,
    weighted by amount; among these the first in lexicographic order of species
    amounts. A member that holds an element whose potentials are not known is not
    ordered by them.
    """
    mixture = frame.mixture
    # What is not there has one choice and no charge, so only the others are walked.
    present = [pair for pair in zip(mixture.items, row, strict=True) if pair[1]]
    items = [item for item, _ in present]
    found = [
        choices
        for choices in _neutral(present, frame.target)
        if _is_allowed(mixture, items, choices)
    ]
    found.sort(key=_order)
    return tuple(_assignment(frame, choices, sublattices) for choices in found)


@lru_cache(maxsize=10_000)
def _item_choices(item: Item, units: int) -> tuple[_Choice, ...]:
    """All choices of one item; the members of a space repeat them."""
    found: list[_Choice] = []
    for split in splits(item, units):
        parts = [
            tuple(share_fillings(share, count))
            for share, count in zip(item.shares, split, strict=True)
        ]
        found.extend(_choice(item, fillings) for fillings in product(*parts))
    return tuple(found)


def _choice(item: Item, fillings: tuple[Filling, ...]) -> _Choice:
    filled = [
        (option, share.group, units)
        for share, filling in zip(item.shares, fillings, strict=True)
        for option, units in zip(share.options, filling.units, strict=True)
        if units
    ]
    weight = sum(option.preference * units for option, _, units in filled)
    energies = [
        None if option.energy is None else option.energy * units
        for option, _, units in filled
    ]
    return _Choice(
        fillings,
        charge=sum(part.charge for part in fillings),
        mixed=len({option.species for option, _, _ in filled}) > 1,
        energy=_total(energies),
        rank=weight * item.unit,
        occupied=tuple(
            (option.species, group, units, units * item.unit)
            for option, group, units in filled
        ),
    )


def _total(energies: Iterable[int | None]) -> int | None:
    """Add energies up; one that is unknown makes the sum unknown."""
    total = 0
    for energy in energies:
        if energy is None:
            return None
        total += energy
    return total


def _neutral(
    present: Sequence[tuple[Item, int]], target: int
) -> Iterator[tuple[_Choice, ...]]:
    """Choices for all items whose charges add up, dead ends cut early."""
    choices = [_item_choices(item, units) for item, units in present]
    reachable = [{0}]
    for one in reversed(choices):
        charges = {choice.charge for choice in one}
        reachable.append({old + new for old in reachable[-1] for new in charges})
    reachable.reverse()

    def extend(level: int, left: int) -> Iterator[tuple[_Choice, ...]]:
        if level == len(choices):
            yield ()
            return
        for choice in choices[level]:
            rest = left - choice.charge
            if rest in reachable[level + 1]:
                for others in extend(level + 1, rest):
                    yield (choice, *others)

    # Vacancies carry no charge, so the elements alone meet the target.
    if target in reachable[0]:
        yield from extend(0, target)


def _is_allowed(
    mixture: Mixture, items: Sequence[Item], choices: tuple[_Choice, ...]
) -> bool:
    """Check what couples items: exclusions, and sites where elements share two."""
    if mixture.exclusions:
        present = {place[0] for choice in choices for place in choice.occupied}
        present |= {item.element for item in items}
        if any(present.issuperset(names) for names in mixture.exclusions):
            return False
    if all(len(item.shares) == 1 for item in mixture.items):
        return True
    return _fits_groups(mixture, items, choices)


def _fits_groups(
    mixture: Mixture, items: Sequence[Item], choices: tuple[_Choice, ...]
) -> bool:
    """Whether every group is filled and holds a permitted number of metals."""
    for index, group in enumerate(mixture.groups):
        filled = metals = 0
        for item, choice in zip(items, choices, strict=True):
            here = sum(units for _, home, units, _ in choice.occupied if home == index)
            filled += here
            metals += item.metal and here > 0
        low, high = group.vacancies or (0, 0)
        if not low <= group.units - filled <= high:
            return False
        if not group.metals[0] <= metals <= group.metals[1]:
            return False
    return True


def _order(
    choices: tuple[_Choice, ...],
) -> tuple[int, int, Fraction, tuple[tuple[int, ...], ...]]:
    """Sort key of the rule that chooses an assignment."""
    # Whether an energy is known depends on the element alone, so that all assignments
    # of a member have one or none has.
    energy = _total(choice.energy for choice in choices) or 0
    rank = sum((choice.rank for choice in choices if choice.rank), Fraction(0))
    amounts = tuple(filling.units for choice in choices for filling in choice.fillings)
    return energy, sum(choice.mixed for choice in choices), rank, amounts


def _assignment(
    frame: Frame,
    choices: tuple[_Choice, ...],
    sublattices: tuple[str, ...],
) -> Assignment:
    mixture = frame.mixture
    names = sublattices or tuple(
        {name: None for name, _, _ in frame.fixed}
        | {group.sublattice: None for group in mixture.groups}
    )
    found: dict[str, dict[str, Fraction]] = {name: {} for name in names}
    for name, species, amount in frame.fixed:
        found[name][species] = amount
    left = [group.units for group in mixture.groups]
    for choice in choices:
        for species, home, units, amount in choice.occupied:
            left[home] -= units
            found[mixture.groups[home].sublattice][species] = amount
    for group, units in zip(mixture.groups, left, strict=True):
        if units:
            found[group.sublattice]["Vac"] = units * group.unit
    return found
