"""
The pair rule of the published NASICON screening, as a space that lists its members.

Na(x)M2(XO4)3 with one or two metals on the two M sites and one or two polyanions on
the three X sites, after Ouyang et al., 10.1038/s41467-021-26006-3. The general grid,
with any number of metals and polyanions, is a space of sublattices and needs no module.
"""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from functools import cached_property, partial
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.compositions.membership import reason_outside_pairs
from hts_battery.compositions.sampling import Stratum
from hts_battery.compositions.space import CompositionSpace
from hts_battery.errors import CompositionError
from hts_battery.schemas.candidate import Candidate
from hts_battery.schemas.formula import canonical_formula
from hts_battery.schemas.species import parse_species

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hts_battery.schemas.candidate import Assignment
    from hts_battery.schemas.space import NasiconPairsSpec, Stratification

    Part = dict[str, Fraction]
    """Species → amount per formula unit."""

_METAL_SITES = Fraction(2)
_POLYANIONS = Fraction(3)
_ALKALI_SITES = Fraction(4)
_OXYGEN = Fraction(12)
_SITES = {
    "alkali": _ALKALI_SITES,
    "metal": _METAL_SITES,
    "polyanion": _POLYANIONS,
    "oxygen": _OXYGEN,
}


class _Member(NamedTuple):
    """One composition: its canonical formula and what fills its sublattices."""

    formula: str
    carrier: Fraction
    metals: tuple[tuple[str, Fraction], ...]
    centres: tuple[tuple[str, Fraction], ...]


class NasiconPairs(CompositionSpace):
    """
    NASICON compositions with at most two metals and two polyanions.

    Notes
    -----
    For every carrier amount and total charge T of the metals, in halves, the
    polyanions carry A = T + carrier amount. Kept are T that are whole numbers, and
    those A that a single polyanion meets. Two polyanions share the three X sites so
    that their charges add up to A. A metal is alone if twice its charge is T; two of
    one charge share the sites equally; two of different charges as T demands.

    Members are ordered by their canonical formulas, as text.
    """

    def __init__(self, spec: NasiconPairsSpec) -> None:
        self.spec = spec
        self.name = spec.name or spec.family
        self.family = spec.family
        self.basis = "pair rule"
        self.sites = _SITES

    @cached_property
    def _members(self) -> list[_Member]:
        found: dict[str, _Member] = {}
        for member in _members(self.spec):
            found.setdefault(member.formula, member)
        return [found[formula] for formula in sorted(found)]

    @property
    def count(self) -> int:
        """Number of members, exact."""
        return len(self._members)

    @property
    def species_count(self) -> int:
        """Number of species compositions: each element has one charge here."""
        return self.count

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[Candidate]:
        """Stream members in order, from any offset."""
        stop = self._checked_stop(start, stop)
        return (self._member(index) for index in range(start, stop))

    def _member(self, index: int) -> Candidate:
        member = self._members[index]
        amounts: dict[str, Fraction] = {}
        carrier = parse_species(self.spec.carrier).element
        for species, amount in (
            (carrier, member.carrier),
            *member.metals,
            *member.centres,
            ("O", _OXYGEN),
        ):
            symbol = species.rstrip("+0123456789")
            if amount:
                amounts[symbol] = amounts.get(symbol, Fraction(0)) + amount
        return Candidate(
            self.family,
            amounts,
            sites=self.sites,
            assignments=partial(_assignments, member, self.spec.carrier),
        )

    def _index_of(self, amounts: Mapping[str, Fraction], text: object) -> int:
        formula = canonical_formula(amounts)
        place = bisect_left(self._members, (formula,))
        if place == self.count or self._members[place].formula != formula:
            reason = reason_outside_pairs(self.spec, amounts)
            raise CompositionError(f"{text} is not in {self.name}: {reason}")
        return place

    def _strata(
        self, by: tuple[Stratification, ...]
    ) -> Mapping[tuple[int | str, ...], Stratum]:
        places: dict[tuple[Fraction, ...], list[int]] = {}
        for index, member in enumerate(self._members):
            of: dict[str, Fraction] = {
                "metals": Fraction(len(member.metals)),
                "stoichiometry": member.carrier,
            }
            places.setdefault(tuple(of[one] for one in by), []).append(index)
        carrier = parse_species(self.spec.carrier).element
        found: dict[tuple[int | str, ...], Stratum] = {}
        for key, members in sorted(places.items()):
            said = tuple(
                int(value) if one == "metals" else f"{carrier} {value}"
                for one, value in zip(by, key, strict=True)
            )
            name = "; ".join(
                f"{one} {value}" for one, value in zip(by, said, strict=True)
            )
            found[said] = Stratum(name, len(members), members.__getitem__)
        return found

    def __repr__(self) -> str:
        return f"<NasiconPairs {self.name}: {self.count} compositions>"


def _assignments(member: _Member, carrier: str) -> tuple[Assignment, ...]:
    """Give the only assignment: every element has one charge."""
    alkali = {carrier: member.carrier, "Vac": _ALKALI_SITES - member.carrier}
    return (
        {
            "alkali": {species: amount for species, amount in alkali.items() if amount},
            "metal": dict(member.metals),
            "polyanion": dict(member.centres),
            "oxygen": {"O2-": _OXYGEN},
        },
    )


def _members(spec: NasiconPairsSpec) -> Iterator[_Member]:
    carrier = parse_species(spec.carrier).element
    for amount in spec.carrier_amounts.amounts:
        for halves in range(int(4 * max(_charges(spec.metals))) + 1):
            metal_charge = Fraction(halves, 2)
            for centres in _centre_parts(spec, metal_charge + amount, metal_charge):
                for metals in _metal_parts(spec, metal_charge):
                    total = {carrier: amount, "O": _OXYGEN}
                    for species, part in (*metals.items(), *centres.items()):
                        total[parse_species(species).element] = part
                    formula = canonical_formula(total)
                    yield _Member(
                        formula, amount, tuple(metals.items()), tuple(centres.items())
                    )


def _charges(species: tuple[str, ...]) -> list[int]:
    return [parse_species(text).charge for text in species]


def _polyanion_charge(centre: str) -> int:
    """Charge of XO4, as a positive number."""
    return 8 - parse_species(centre).charge


def _centre_parts(
    spec: NasiconPairsSpec, wanted: Fraction, metal_charge: Fraction
) -> Iterator[Part]:
    """Polyanions that carry a charge, alone or in pairs."""
    whole = {_POLYANIONS * _polyanion_charge(one) for one in spec.polyanion_centres}
    if metal_charge.denominator != 1 and wanted not in whole:
        return
    for first, second in combinations(spec.polyanion_centres, 2):
        low, high = _polyanion_charge(first), _polyanion_charge(second)
        share = (wanted - _POLYANIONS * high) / (low - high)
        if 0 <= share <= _POLYANIONS:
            parts = {first: share, second: _POLYANIONS - share}
            yield {species: amount for species, amount in parts.items() if amount}


def _metal_parts(spec: NasiconPairsSpec, wanted: Fraction) -> Iterator[Part]:
    """Metals that carry a charge, alone or in pairs."""
    for species, charge in zip(spec.metals, _charges(spec.metals), strict=True):
        if _METAL_SITES * charge == wanted:
            yield {species: _METAL_SITES}
    for first, second in combinations(spec.metals, 2):
        low, high = parse_species(first).charge, parse_species(second).charge
        if low == high:
            if _METAL_SITES * low == wanted:
                yield {first: _METAL_SITES / 2, second: _METAL_SITES / 2}
            continue
        share = (wanted - _METAL_SITES * high) / (low - high)
        if 0 < share < _METAL_SITES:
            yield {first: share, second: _METAL_SITES - share}
