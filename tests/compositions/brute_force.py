"""Every member of a small space, found by trying everything: slow and obvious."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING

from hts_battery.schemas.space import AmountRange
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.species_table import METAL_ROLES, species_properties

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.schemas.space import SpaceSpec

    Occupation = dict[tuple[str, str], Fraction]
    Composition = frozenset[tuple[str, Fraction]]


def brute_force(spec: SpaceSpec) -> dict[Composition, int]:
    """Element compositions of a space and their numbers of species assignments."""
    found: dict[Composition, int] = {}
    for occupation in _occupations(spec):
        if is_member(spec, occupation):
            composition = frozenset(elements(occupation).items())
            found[composition] = found.get(composition, 0) + 1
    return found


def elements(occupation: Occupation) -> dict[str, Fraction]:
    total: dict[str, Fraction] = {}
    for (_, species), amount in occupation.items():
        symbol = parse_species(species).element
        if amount and symbol != VACANCY:
            total[symbol] = total.get(symbol, Fraction(0)) + amount
    return total


def _occupations(spec: SpaceSpec) -> Iterator[Occupation]:
    fillings = []
    for name, sublattice in spec.sublattices.items():
        unit = spec.step
        if spec.basis == "sublattice-fraction":
            unit *= sublattice.sites
        species = list(sublattice.species)
        count = sublattice.sites / unit
        assert count.denominator == 1
        here = [
            {
                (name, text): units * unit
                for text, units in zip(species, parts, strict=True)
            }
            for parts in compositions(int(count), len(species))
        ]
        fillings.append([(_charge(one), one) for one in here])
    for parts in product(*fillings):
        if not sum(charge for charge, _ in parts):
            yield {key: amount for _, part in parts for key, amount in part.items()}


def _charge(occupation: Occupation) -> Fraction:
    return sum(
        parse_species(text).charge * amount for (_, text), amount in occupation.items()
    )


def compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in compositions(total - first, parts - 1):
            yield (first, *rest)


def _within(amount: Fraction, bounds: object) -> bool:
    low, high = bounds.minimum, bounds.maximum
    return low <= amount and (high is None or amount <= high)


def is_member(spec: SpaceSpec, occupation: Occupation) -> bool:
    total = elements(occupation)
    if any(
        not _within(amount, spec.sublattices[name].species[text])
        for (name, text), amount in occupation.items()
    ):
        return False
    if any(
        not _within(total.get(symbol, Fraction(0)), bounds)
        for symbol, bounds in spec.elements.items()
    ):
        return False
    present = {text for (_, text), amount in occupation.items() if amount}
    present |= set(total)
    if any(present.issuperset(names) for names in spec.exclusions):
        return False
    return _has_contents(spec, total) and all(
        _metals_fit(spec, occupation, name) for name in spec.sublattices
    )


def _has_contents(spec: SpaceSpec, total: dict[str, Fraction]) -> bool:
    if spec.stoichiometries:
        return any(
            all(total.get(symbol, 0) == amount for symbol, amount in one.items())
            for one in spec.stoichiometries
        )
    return all(
        total.get(symbol, 0)
        in (said.amounts if isinstance(said, AmountRange) else said)
        for symbol, said in spec.contents.items()
    )


def _metals_fit(spec: SpaceSpec, occupation: Occupation, name: str) -> bool:
    said = spec.sublattices[name]
    amounts: dict[str, Fraction] = {}
    for (home, text), amount in occupation.items():
        role = said.species[text].role if home == name else None
        if home == name and (role or species_properties(text).role) in METAL_ROLES:
            symbol = parse_species(text).element
            amounts[symbol] = amounts.get(symbol, Fraction(0)) + amount
    present = [amount for amount in amounts.values() if amount]
    high = said.metals.maximum
    return (
        said.metals.minimum <= len(present)
        and (high is None or len(present) <= high)
        and all(_within(amount, said.metals.amount) for amount in present)
    )
