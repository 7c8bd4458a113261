"""From the words of a space to its frames: integers, with every mistake named."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.compositions.frame_parts import (
    ZERO,
    FrameParts,
    ImpossibleFrame,
    Occupant,
)
from hts_battery.compositions.redox import RedoxScale, package_scale
from hts_battery.errors import SpecError
from hts_battery.schemas.space import AmountRange
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.species_table import (
    METAL_ROLES,
    completed_table,
    species_properties,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from hts_battery.compositions.mixture import Frame
    from hts_battery.schemas.space import SpaceSpec, SublatticeSpec
    from hts_battery.schemas.species_table import SpeciesProperties


class Normaliser(NamedTuple):
    """Elements whose total per formula unit is the same in every member."""

    elements: frozenset[str]
    total: Fraction


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

    def normaliser(self) -> Normaliser:
        """
        Elements that tell how many formula units a formula holds.

        Raises
        ------
        SpecError
            If no such elements exist: two members could then be one composition.
        """
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
        return Normaliser(
            frozenset(symbol for name in full for symbol in self.occupants[name]),
            sum((self.spec.sublattices[name].sites for name in full), ZERO),
        )

    def properties(self, species: str) -> SpeciesProperties:
        """Properties of a species: the user's table first, then the package's."""
        return self._table.get(species) or species_properties(species)

    def is_metal(self, sublattice: str, symbol: str) -> bool:
        """Whether an element counts as a metal on a sublattice."""
        if symbol == VACANCY:
            return False
        said = self.occupants[sublattice][symbol].species
        return any(
            (entry.role or self.properties(text).role) in METAL_ROLES
            for text, entry in said.items()
        )

    def is_constant(self, symbol: str) -> bool:
        """Whether fixing an element leaves nothing of it open."""
        return all(
            len(self.occupants[home][symbol].species) == 1
            for home in self.homes[symbol]
        )

    def preference(self, species: str) -> int:
        """Rank of a species among those of its element."""
        return self.properties(species).preference

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
