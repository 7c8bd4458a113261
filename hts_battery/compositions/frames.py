"""From the words of a space to its frames: integers, with every mistake named."""

from __future__ import annotations

from copy import copy
from fractions import Fraction
from itertools import product
from math import ceil, floor
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.compositions.mixture import (
    Frame,
    Item,
    Mixture,
    OpenSites,
    Option,
    Portion,
)
from hts_battery.compositions.redox import RedoxScale, package_scale
from hts_battery.errors import SpecError
from hts_battery.schemas.formula import common_divisor
from hts_battery.schemas.space import AmountBounds, AmountRange
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.species_table import (
    METAL_ROLES,
    completed_table,
    species_properties,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hts_battery.schemas.space import SpaceSpec, SpeciesSpec, SublatticeSpec
    from hts_battery.schemas.species_table import SpeciesProperties


class FrameBuilder:
    """Frames of a space."""

    def __init__(
        self,
        spec: SpaceSpec,
        table: Mapping[str, SpeciesProperties] | None = None,
    ) -> None:
        self.spec = spec
        self._table = dict(table or {})
        self.occupants = {
            name: _occupants(sublattice)
            for name, sublattice in spec.sublattices.items()
        }
        self.homes = {
            symbol: tuple(
                name for name, here in self.occupants.items() if symbol in here
            )
            for symbol in spec.symbols
        }
        self.redox = (
            RedoxScale(completed_table(self._table)) if table else package_scale()
        )
        self.energies = {
            symbol: self.redox.energies(
                {
                    text
                    for home in homes
                    for text in self.occupants[home][symbol].species
                }
            )
            for symbol, homes in self.homes.items()
        }
        self._check_fixed()

    def frames(self) -> list[tuple[str, Frame]]:
        """Every frame behind what it fixes, in the order of the declared contents."""
        found: list[tuple[str, Frame]] = []
        for contents in self.combinations():
            said = ", ".join(f"{symbol} {n}" for symbol, n in contents.items())
            try:
                found.extend((said, one) for one in FrameParts(self, contents).frames())
            except ImpossibleFrame:
                continue
        return found

    def combinations(self) -> list[dict[str, Fraction]]:
        """Every combination of fixed amounts; one without any if none is fixed."""
        spec = self.spec
        if spec.stoichiometries:
            found = [dict(one) for one in spec.stoichiometries]
            field = "stoichiometries"
        else:
            lists = [
                entry.amounts if isinstance(entry, AmountRange) else entry
                for entry in spec.contents.values()
            ]
            found = [
                dict(zip(spec.contents, amounts, strict=True))
                for amounts in product(*lists)
            ]
            field = "contents"
        keys = [tuple(sorted(one.items())) for one in found]
        if len(set(keys)) < len(keys):
            raise SpecError("the same amounts stand here twice", field=field)
        return found

    def normaliser(self) -> tuple[frozenset[str], Fraction]:
        """Elements that tell how many formula units a formula holds, or an error."""
        full = {name for name, here in self.occupants.items() if VACANCY not in here}
        while True:
            mixed = {
                home
                for homes in self.homes.values()
                if not set(homes) <= full
                for home in homes
            }
            if not full & mixed:
                break
            full -= mixed
        if not full:
            raise SpecError(
                "every sublattice may hold vacancies or shares an element with one "
                "that may, so one composition could be written twice; give one "
                "sublattice elements of its own and no vacancies",
                field="sublattices",
            )
        elements = frozenset(symbol for name in full for symbol in self.occupants[name])
        return elements, sum((self.spec.sublattices[n].sites for n in full), ZERO)

    def properties(self, species: str) -> SpeciesProperties:
        """Properties of a species: the user's table first, then the package's."""
        return self._table.get(species) or species_properties(species)

    def is_metal(self, sublattice: str, symbol: str) -> bool:
        """Whether an element counts as a metal on a sublattice."""
        if symbol == VACANCY:
            return False
        return any(
            (entry.role or self.properties(text).role) in METAL_ROLES
            for text, entry in self.occupants[sublattice][symbol].species.items()
        )

    def is_constant(self, symbol: str) -> bool:
        """Whether fixing an element leaves nothing of it open."""
        return all(
            len(self.occupants[home][symbol].species) == 1
            for home in self.homes[symbol]
        )

    def _check_fixed(self) -> None:
        balance = (self.spec.balance,) if self.spec.balance else ()
        for symbol in (*self.spec.fixed_elements, *balance):
            if len(self.homes[symbol]) > 1:
                raise SpecError(
                    f"{symbol} is on several sublattices, so its amount cannot be "
                    "fixed here; bound it under elements instead",
                    field="balance" if symbol in balance else "contents",
                )


def _occupants(sublattice: SublatticeSpec) -> dict[str, Occupant]:
    """Species of a sublattice by element; symbols alphabetical, vacancies last."""
    found: dict[str, Occupant] = {}
    for text, said in sublattice.species.items():
        symbol = parse_species(text).element
        found.setdefault(symbol, Occupant(symbol, {})).species[text] = said
    order = sorted(found, key=lambda symbol: (symbol == VACANCY, symbol))
    return {symbol: found[symbol] for symbol in order}


ZERO = Fraction(0)


class Occupant(NamedTuple):
    """One element on one sublattice, with its species."""

    element: str
    species: dict[str, SpeciesSpec]


class ImpossibleFrame(Exception):  # noqa: N818 - not an error: this frame has no member
    """A combination of fixed amounts that no member can have."""


class FrameParts:
    """The frames of one combination of fixed amounts."""

    def __init__(self, builder: FrameBuilder, contents: Mapping[str, Fraction]) -> None:
        self.builder = builder
        self.spec = builder.spec
        self.contents = contents
        self.fixed: list[tuple[str, str, Fraction]] = []
        self.open: dict[str, dict[str, Occupant]] = {}
        self.units: dict[str, tuple[int, Fraction]] = {}
        self.metals_here: dict[str, int] = {}
        self.balanced: str | None = None
        for name in self.spec.sublattices:
            self._open_sublattice(name)

    def _open_sublattice(self, name: str) -> None:
        """Set aside what is fixed on a sublattice; note what stays open."""
        left, still = self._without_contents(name)
        if self.spec.balance in still:
            self.balanced = name
            self._check_balance(name, still)
            still = {}
        elif self._is_remainder(still):
            self._fix(name, next(iter(still.values())), left)
            still = {}
        elif not still and left:
            raise SpecError(
                f"the fixed amounts {self._said()} leave {left} sites per formula "
                f"unit of sublattice {name} without an element",
                field=f"sublattices.{name}.sites",
            )
        if still:
            self.open[name] = still
            self.units[name] = self._units(name, left)
        elif self._metal_bounds(name)[0] > 0:
            raise ImpossibleFrame

    def _without_contents(self, name: str) -> tuple[Fraction, dict[str, Occupant]]:
        """Fix the given amounts on a sublattice; return what is left of it."""
        left = self.spec.sublattices[name].sites
        still: dict[str, Occupant] = {}
        for symbol, occupant in self.builder.occupants[name].items():
            amount = self.contents.get(symbol)
            if amount is None or len(occupant.species) > 1:
                still[symbol] = occupant
            else:
                left -= amount
                self._fix(name, occupant, amount)
        if left < 0:
            raise SpecError(
                f"the fixed amounts {self._said()} need {-left} sites per formula "
                f"unit more than sublattice {name} has",
                field=f"sublattices.{name}.sites",
            )
        return left, still

    def _is_remainder(self, still: Mapping[str, Occupant]) -> bool:
        """Whether one element, here alone and in one charge, fills what is left."""
        if len(still) != 1:
            return False
        symbol, occupant = next(iter(still.items()))
        at_home = symbol == VACANCY or len(self.builder.homes[symbol]) == 1
        return at_home and len(occupant.species) == 1

    def _said(self) -> str:
        return ", ".join(f"{el} {amount}" for el, amount in self.contents.items())

    def _fix(self, name: str, occupant: Occupant, amount: Fraction) -> None:
        """Fix an element of one charge; refuse amounts outside its bounds."""
        said = next(iter(occupant.species.values()))
        for bounds in (said, self.spec.elements.get(occupant.element)):
            if bounds is not None and not _within(amount, bounds):
                raise ImpossibleFrame
        if amount:
            if self.builder.is_metal(name, occupant.element):
                if not _within(amount, self.spec.sublattices[name].metals.amount):
                    raise ImpossibleFrame
                self.metals_here[name] = self.metals_here.get(name, 0) + 1
            self.fixed.append((name, next(iter(occupant.species)), amount))

    def _metal_bounds(self, name: str) -> tuple[int, int]:
        """Bounds of the number of metals that stay open on a sublattice."""
        fixed = self.metals_here.get(name, 0)
        metals = self.spec.sublattices[name].metals
        most = len(self.builder.occupants[name])
        high = most if metals.maximum is None else metals.maximum
        if high < fixed:
            raise ImpossibleFrame
        return max(metals.minimum - fixed, 0), high - fixed

    def _units(self, name: str, left: Fraction) -> tuple[int, Fraction]:
        """Count the units on the open sites of a sublattice; give their size."""
        step, basis = self.spec.step, self.spec.basis
        whole = {
            "formula-unit": Fraction(1),
            "sublattice-fraction": self.spec.sublattices[name].sites,
            "metal-fraction": left,
        }[basis]
        if not left:
            return 0, step
        unit = step * whole
        count = left / unit
        if count.denominator != 1:
            raise SpecError(
                f"steps of {unit} per formula unit do not divide the {left} sites of "
                f"sublattice {name}"
                + (f" that {self._said()} leave" if self.contents else ""),
                field="step",
            )
        return int(count), unit

    def _check_balance(self, name: str, still: Mapping[str, Occupant]) -> None:
        plain = [occupant for occupant in still.values() if len(occupant.species) == 1]
        if len(still) != 2 or len(plain) != 2:  # noqa: PLR2004 - one replaces one
            raise SpecError(
                f"{self.spec.balance} can balance the charge only where it shares "
                f"sublattice {name} with one other element, each in one oxidation "
                "state",
                field="balance",
            )

    def frames(self) -> Iterator[Frame]:
        """Frames of this combination: one, or one for each balanced charge."""
        mixture = self._mixture()
        if self.balanced is None:
            rest = self._charge(self.fixed)
            target = -rest / mixture.charge_unit
            if target.denominator == 1:
                yield self._frame(mixture, int(target), self.fixed)
            return
        yield from sorted(
            self._balanced_frames(mixture, self.balanced),
            key=lambda frame: dict(frame.amounts).get(str(self.spec.balance), ZERO),
        )

    def _balanced_frames(self, mixture: Mixture, name: str) -> Iterator[Frame]:
        """One frame for each charge that the balance can meet."""
        here = self.builder.occupants[name]
        taken = sum((part[2] for part in self.fixed if part[0] == name), ZERO)
        left = self.spec.sublattices[name].sites - taken
        balance = str(self.spec.balance)
        other = next(
            symbol for symbol in here if symbol not in (balance, *self.contents)
        )
        (species,), (partner,) = here[balance].species, here[other].species
        charge = parse_species(species).charge
        slope = charge - parse_species(partner).charge
        if not slope:
            raise SpecError(
                f"{species} and {partner} have the same charge, so {balance} cannot "
                "balance anything",
                field="balance",
            )
        rest = self._charge(self.fixed) + parse_species(partner).charge * left
        low, high = mixture.charge_range
        for target in range(low, high + 1):
            amount = -(rest + target * mixture.charge_unit) / slope
            if not 0 <= amount <= left:
                continue
            parts = copy(self)
            parts.fixed, parts.metals_here = list(self.fixed), dict(self.metals_here)
            try:
                parts._fix(name, here[balance], amount)  # noqa: SLF001 - same class
                parts._fix(name, here[other], left - amount)  # noqa: SLF001 - same
            except ImpossibleFrame:
                continue
            yield self._frame(mixture, target, parts.fixed)

    def _frame(
        self,
        mixture: Mixture,
        target: int,
        fixed: list[tuple[str, str, Fraction]],
    ) -> Frame:
        amounts: dict[str, Fraction] = {}
        for _, species, amount in fixed:
            symbol = parse_species(species).element
            if symbol != VACANCY:
                amounts[symbol] = amounts.get(symbol, ZERO) + amount
        metals = sum(self.metals_here.values())
        return Frame(mixture, target, tuple(fixed), tuple(amounts.items()), metals)

    @staticmethod
    def _charge(fixed: list[tuple[str, str, Fraction]]) -> Fraction:
        return sum(
            (parse_species(species).charge * amount for _, species, amount in fixed),
            ZERO,
        )

    def _mixture(self) -> Mixture:
        """Write the open sublattices as integers."""
        names = list(self.open)
        sizes = [self.units[name][1] for name in names]
        charge_unit = common_divisor(sizes) if sizes else Fraction(1)
        groups = tuple(self._group(name) for name in names)
        homes: dict[str, list[int]] = {}
        for index, name in enumerate(names):
            for symbol in self.open[name]:
                if symbol != VACANCY:
                    homes.setdefault(symbol, []).append(index)
        order = sorted(homes, key=lambda symbol: (homes[symbol][0], symbol))
        items = tuple(
            self._item(symbol, homes[symbol], groups, charge_unit) for symbol in order
        )
        return Mixture(items, groups, self._exclusions(items), charge_unit)

    def _group(self, name: str) -> OpenSites:
        units, unit = self.units[name]
        vacancy, vacancies = self.open[name].get(VACANCY), None
        if vacancy is not None:
            vacancies = _unit_bounds(vacancy.species[VACANCY], unit, units)
        return OpenSites(name, units, unit, vacancies, self._metal_bounds(name))

    def _item(
        self,
        symbol: str,
        homes: list[int],
        groups: tuple[OpenSites, ...],
        charge_unit: Fraction,
    ) -> Item:
        unit = groups[homes[0]].unit
        if any(groups[home].unit != unit for home in homes):
            raise SpecError(
                f"{symbol} is on sublattices with different steps per formula unit; "
                "use the formula-unit basis",
                field="basis",
            )
        most = sum(groups[home].units for home in homes)
        bounds = self.spec.elements.get(symbol, AmountBounds())
        low, high = _unit_bounds(bounds, unit, most)
        amount = self.contents.get(symbol)
        if amount is not None:
            count = amount / unit
            if count.denominator != 1:
                raise SpecError(
                    f"{symbol} {amount} is not a whole number of steps of {unit} per "
                    "formula unit, which its oxidation states need",
                    field="contents",
                )
            low, high = max(low, int(count)), min(high, int(count))
        shares = tuple(
            self._share(symbol, home, groups[home], charge_unit) for home in homes
        )
        metal = self.builder.is_metal(groups[homes[0]].sublattice, symbol)
        return Item(symbol, unit, tuple(range(low, high + 1)), shares, metal)

    def _share(
        self, symbol: str, home: int, group: OpenSites, charge_unit: Fraction
    ) -> Portion:
        name = group.sublattice
        allowed: tuple[int, ...] = tuple(range(group.units + 1))
        if self.builder.is_metal(name, symbol):
            low, high = _unit_bounds(
                self.spec.sublattices[name].metals.amount, group.unit, group.units
            )
            allowed = tuple(n for n in allowed if n == 0 or low <= n <= high)
        weight = int(group.unit / charge_unit)
        energies = self.builder.energies[symbol]
        options = tuple(
            Option(
                text,
                parse_species(text).charge * weight,
                *_unit_bounds(said, group.unit, group.units),
                self.builder.properties(text).preference,
                None if energies is None else weight * energies[text],
            )
            for text, said in sorted(self.open[name][symbol].species.items())
        )
        return Portion(home, allowed, options)

    def _exclusions(self, items: tuple[Item, ...]) -> tuple[tuple[str, ...], ...]:
        """Exclusions that are still open; what is fixed is taken as present."""
        present = {species for _, species, _ in self.fixed}
        present |= {parse_species(species).element for species in present}
        species_of = {
            item.element: {
                option.species for share in item.shares for option in share.options
            }
            for item in items
        }
        known = set(species_of).union(*species_of.values()) if items else set()
        found = set()
        for exclusion in self.spec.exclusions:
            names = {
                name if name in self.spec.symbols else str(parse_species(name))
                for name in exclusion
            } - present
            if not names:
                raise ImpossibleFrame
            if not names <= known:
                continue  # a member that is absent here: nothing to exclude
            found.add(tuple(sorted(_as_elements(names, species_of))))
        return tuple(sorted(found))


def _as_elements(names: set[str], species_of: Mapping[str, set[str]]) -> set[str]:
    """Name an element where it has a single species: the two are then one."""
    alone = {
        next(iter(species)): symbol
        for symbol, species in species_of.items()
        if len(species) == 1
    }
    return {alone.get(name, name) for name in names}


def _within(amount: Fraction, bounds: AmountBounds) -> bool:
    return bounds.minimum <= amount and (
        bounds.maximum is None or amount <= bounds.maximum
    )


def _unit_bounds(bounds: AmountBounds, unit: Fraction, most: int) -> tuple[int, int]:
    """Bounds in whole units: what lies between two steps is not a member."""
    high = most if bounds.maximum is None else min(most, floor(bounds.maximum / unit))
    return ceil(bounds.minimum / unit), high
