"""Why a formula is no member of a space: which sum, bound or charge is wrong."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from hts_battery.schemas.number_text import plain
from hts_battery.schemas.species import VACANCY, parse_species

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hts_battery.compositions.frames import FrameBuilder
    from hts_battery.schemas.space import (
        AmountBounds,
        NasiconPairsSpec,
        SpaceSpec,
        SublatticeSpec,
    )

    Amounts = Mapping[str, Fraction]
    """Element → atoms, per formula unit once it is scaled."""

_ZERO = Fraction(0)


def reason_outside(
    spec: SpaceSpec, builder: FrameBuilder, amounts: Amounts
) -> str | None:
    """
    Say why a composition is no member of a space of sublattices; None if nothing is.

    ``amounts``: as the formula writes them, of any number of formula units.
    """
    unknown = sorted(set(amounts) - spec.symbols)
    if unknown:
        return (
            f"it holds {', '.join(unknown)}, and the space has "
            f"{', '.join(sorted(spec.symbols))}"
        )
    own = _own_elements(builder)
    scaled = _scaled(spec, amounts, own)
    if scaled is None:
        return "it holds nothing of the sublattices that no vacancy shares"
    reasons = (
        *_sums(spec, scaled, own),
        *_steps(spec, scaled, own),
        *_bounds(spec, builder, scaled),
        *_fixed(spec, builder, scaled),
        *_exclusions(spec, builder, scaled),
        *_charge(builder, scaled),
    )
    return next(iter(reasons), None)


def _own_elements(builder: FrameBuilder) -> dict[str, list[str]]:
    """Sublattice → its elements, of sublattices that share none with another."""
    return {
        name: [symbol for symbol in here if symbol != VACANCY]
        for name, here in builder.occupants.items()
        if all(builder.homes[symbol] == (name,) for symbol in here if symbol != VACANCY)
    }


def _scaled(
    spec: SpaceSpec, amounts: Amounts, own: Mapping[str, list[str]]
) -> dict[str, Fraction] | None:
    """
    Scale amounts to one formula unit.

    As they are if a full sublattice is full with them; otherwise by the last sublattice
    that holds no vacancies, which are the anions in nearly every file.
    """
    sums = {
        name: sum((amounts.get(one, _ZERO) for one in symbols), _ZERO)
        for name, symbols in own.items()
        if VACANCY not in spec.sublattices[name].species
    }
    sites = {name: spec.sublattices[name].sites for name in sums}
    if any(sums[name] == sites[name] for name in sums):
        return dict(amounts)
    filled = [name for name in sums if sums[name]]
    if not filled:
        return dict(amounts) if not sums else None
    factor = sites[filled[-1]] / sums[filled[-1]]
    return {symbol: amount * factor for symbol, amount in amounts.items()}


def _sums(
    spec: SpaceSpec, amounts: Amounts, own: Mapping[str, list[str]]
) -> Iterator[str]:
    for name, symbols in own.items():
        sublattice = spec.sublattices[name]
        total = sum((amounts.get(one, _ZERO) for one in symbols), _ZERO)
        there = (
            f"the {_plural(name)} add up to {plain(total)} per formula unit, "
            f"{'more than' if VACANCY in sublattice.species else 'not'} "
            f"{plain(sublattice.sites)}"
        )
        vacant = VACANCY in sublattice.species
        if total > sublattice.sites or (total < sublattice.sites and not vacant):
            yield there


def _plural(name: str) -> str:
    """
    Name what sits on a sublattice: the cations, the atoms on metal sites.

    Examples
    --------
    >>> _plural("cation"), _plural("octahedral")
    ('cations', 'atoms on octahedral')
    """
    return f"{name}s" if name in {"cation", "anion", "metal"} else f"atoms on {name}"


def _steps(
    spec: SpaceSpec, amounts: Amounts, own: Mapping[str, list[str]]
) -> Iterator[str]:
    """Name amounts that are no whole number of steps, unless the space fixes them."""
    free = {*spec.symbols} - {*spec.fixed_elements, spec.balance}
    for name, symbols in own.items():
        unit = _unit(spec, spec.sublattices[name], amounts, symbols)
        for symbol in sorted(free.intersection(symbols)):
            amount = amounts.get(symbol, _ZERO)
            if unit and (amount / unit).denominator != 1:
                yield (
                    f"{symbol} {plain(amount)} is no whole number of steps of "
                    f"{plain(unit)} per formula unit (step {plain(spec.step)}, "
                    f"{spec.basis})"
                )


def _unit(
    spec: SpaceSpec, sublattice: SublatticeSpec, amounts: Amounts, symbols: list[str]
) -> Fraction:
    """Size of a step on a sublattice, in atoms per formula unit."""
    if spec.basis == "formula-unit":
        return spec.step
    if spec.basis == "sublattice-fraction":
        return spec.step * sublattice.sites
    fixed = {*spec.fixed_elements, spec.balance}
    here = [one for one in symbols if one in fixed]
    taken = sum((amounts.get(one, _ZERO) for one in here), _ZERO)
    return spec.step * (sublattice.sites - taken)


def _bounds(spec: SpaceSpec, builder: FrameBuilder, amounts: Amounts) -> Iterator[str]:
    """Name bounds that an amount is outside of, of elements, species and metals."""
    for symbol, bounds in spec.elements.items():
        amount = amounts.get(symbol, _ZERO)
        yield from _outside(symbol, amount, bounds, f"elements.{symbol}")
    for name, here in builder.occupants.items():
        metals = spec.sublattices[name].metals
        present = [
            symbol
            for symbol in here
            if builder.is_metal(name, symbol) and amounts.get(symbol)
        ]
        highest = len(here) if metals.maximum is None else metals.maximum
        if not metals.minimum <= len(present) <= highest:
            yield (
                f"its number of different metals on {name} is {len(present)}, and "
                f"sublattices.{name}.metals asks for {metals.minimum} to {highest}"
            )
        for symbol in present:
            if builder.homes[symbol] == (name,):
                yield from _outside(
                    symbol,
                    amounts[symbol],
                    metals.amount,
                    f"sublattices.{name}.metals.amount",
                )
        for symbol, occupant in here.items():
            if len(occupant.species) > 1 or builder.homes.get(symbol) != (name,):
                continue
            ((text, said),) = occupant.species.items()
            yield from _outside(
                symbol,
                amounts.get(symbol, _ZERO),
                said,
                f"sublattices.{name}.species.{text}",
            )


def _outside(
    symbol: str, amount: Fraction, bounds: AmountBounds, field: str
) -> Iterator[str]:
    if amount < bounds.minimum:
        yield (
            f"{symbol} {plain(amount)} is below the minimum {plain(bounds.minimum)} of "
            f"{field}"
        )
    if bounds.maximum is not None and amount > bounds.maximum:
        yield (
            f"{symbol} {plain(amount)} is above the maximum {plain(bounds.maximum)} of "
            f"{field}"
        )


def _fixed(spec: SpaceSpec, builder: FrameBuilder, amounts: Amounts) -> Iterator[str]:
    """Say which amounts the space fixes, if these are none of them."""
    if not spec.fixed_elements:
        return
    mine = {symbol: amounts.get(symbol, _ZERO) for symbol in spec.fixed_elements}
    allowed = builder.combinations()
    if mine in allowed:
        return
    field = "stoichiometries" if spec.stoichiometries else "contents"
    for symbol, amount in mine.items():
        values = sorted({one[symbol] for one in allowed})
        if amount not in values:
            yield (
                f"{symbol} {plain(amount)} is none of the amounts in {field}: "
                f"{', '.join(map(plain, values))}"
            )
    said = ", ".join(f"{symbol} {plain(amount)}" for symbol, amount in mine.items())
    yield f"{said} do not stand together in {field}"


def _exclusions(
    spec: SpaceSpec, builder: FrameBuilder, amounts: Amounts
) -> Iterator[str]:
    """Name an exclusion that is complete in every assignment: single-valent names."""
    present = {symbol for symbol, amount in amounts.items() if amount}
    for home in builder.occupants.values():
        for symbol, occupant in home.items():
            if symbol in present and len(occupant.species) == 1:
                present.update(occupant.species)
    for number, names in enumerate(spec.exclusions):
        if present.issuperset(
            name if name in spec.symbols else str(parse_species(name)) for name in names
        ):
            yield f"exclusions.{number} keeps {' and '.join(names)} apart"


def _charge(builder: FrameBuilder, amounts: Amounts) -> Iterator[str]:
    """Say which charge is left at the least, over all oxidation states."""
    low = high = _ZERO
    for symbol, amount in amounts.items():
        charges = [
            parse_species(text).charge
            for home in builder.homes[symbol]
            for text in builder.occupants[home][symbol].species
        ]
        low += amount * min(charges)
        high += amount * max(charges)
    if low == high != 0:
        yield f"a charge of {_signed(low)} per formula unit is left"
    elif low > 0:
        yield (
            f"a charge of {_signed(low)} per formula unit is left at the least, with "
            "every metal in its lowest oxidation state"
        )
    elif high < 0:
        yield (
            f"a charge of {_signed(high)} per formula unit is left at the least, with "
            "every metal in its highest oxidation state"
        )
    else:
        yield (
            "no choice of the oxidation states and bounds of the space makes it "
            f"neutral (they reach from {_signed(low)} to {_signed(high)})"
        )


def _signed(charge: Fraction) -> str:
    return f"{'+' if charge > 0 else ''}{plain(charge)}"


_OXYGEN = 12
_SITES = {"metals": 2, "polyanion centres": 3}


def reason_outside_pairs(spec: NasiconPairsSpec, amounts: Amounts) -> str:
    """Say why a composition is no member of the NASICON pair rule."""
    carrier = parse_species(spec.carrier).element
    here = {
        "metals": _charges(spec.metals),
        "polyanion centres": _charges(spec.polyanion_centres),
    }
    known = {carrier, "O"}.union(*here.values())
    unknown = sorted(set(amounts) - known)
    if unknown:
        there = ", ".join(sorted(known))
        return f"it holds {', '.join(unknown)}, and the space has {there}"
    oxygen = amounts.get("O", _ZERO)
    if not oxygen:
        return "it holds no O"
    scaled = {symbol: n * _OXYGEN / oxygen for symbol, n in amounts.items()}
    reasons = (
        *_pair_sums(here, scaled),
        *_pair_charge(spec, here, scaled),
        *_carrier(spec, scaled.get(carrier, _ZERO)),
    )
    return next(
        iter(reasons),
        "the pair rule gives these metals and polyanions other amounts (metals of one "
        "charge 1:1, whole charges unless one polyanion carries them)",
    )


def _charges(species: Iterable[str]) -> dict[str, int]:
    """Element → charge, of species with one charge each."""
    return {one.element: one.charge for one in map(parse_species, species)}


def _pair_sums(
    here: Mapping[str, Mapping[str, int]], amounts: Amounts
) -> Iterator[str]:
    for name, charges in here.items():
        present = [symbol for symbol in charges if amounts.get(symbol)]
        total = sum((amounts[symbol] for symbol in present), _ZERO)
        if total != _SITES[name]:
            yield f"the {name} add up to {plain(total)} for 12 O, not {_SITES[name]}"
        if len(present) > 2:  # noqa: PLR2004 - the rule makes pairs
            yield f"it has {len(present)} {name}, and the pair rule at most two"


def _pair_charge(
    spec: NasiconPairsSpec, here: Mapping[str, Mapping[str, int]], amounts: Amounts
) -> Iterator[str]:
    charges: dict[str, int] = {"O": -2, **_charges([spec.carrier])}
    for one in here.values():
        charges.update(one)
    left = sum((n * charges[symbol] for symbol, n in amounts.items()), _ZERO)
    if left:
        yield f"a charge of {_signed(left)} per formula unit is left"


def _carrier(spec: NasiconPairsSpec, amount: Fraction) -> Iterator[str]:
    bounds = spec.carrier_amounts
    if amount not in bounds.amounts:
        yield (
            f"{parse_species(spec.carrier).element} {plain(amount)} is none of "
            f"carrier_amounts: {plain(bounds.first)} to {plain(bounds.last)} in steps "
            f"of {plain(bounds.step)}"
        )
