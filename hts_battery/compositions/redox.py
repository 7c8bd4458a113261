"""
Which metal keeps an electron: redox couples of different elements in one order.

Neutrality leaves several ways to give the metals of a composition their oxidation
states. Each couple (Fe3+/Fe2+, Ti4+/Ti3+, ...) has a potential in the species table,
and electrons go where it is highest: beside Fe3+, Ti3+ gives its electron away.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from hts_battery.schemas.species import parse_species
from hts_battery.schemas.species_table import species_table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from hts_battery.schemas.species_table import SpeciesProperties

REACTS_FROM = 200
"""Least difference of two potentials, in mV, at which a pair counts as impossible:
the potentials are stated to 100 mV, so a smaller one is within their rounding."""


class RedoxScale:
    """
    The redox couples of a species table.

    Parameters
    ----------
    table
        Species text → properties; one that is not known has no couple.

    Examples
    --------
    >>> scale = package_scale()
    >>> scale.react("Ti3+", "Fe3+"), scale.react("Ti4+", "Fe2+")
    (True, False)
    """

    def __init__(self, table: Mapping[str, SpeciesProperties]) -> None:
        self._table = table
        self._ladders: dict[str, list[str]] = {}
        """Element → its states, the lowest first."""
        for text in sorted(table, key=lambda text: table[text].charge):
            self._ladders.setdefault(table[text].element, []).append(text)
        self._gains: dict[str, int] = {}
        """Species → potential at which it takes an electron."""
        self._loses: dict[str, int] = {}
        """Species → potential at which it gives one away."""
        for ladder in self._ladders.values():
            for lower, upper in pairwise(ladder):
                potential = table[upper].potential
                if potential is not None:
                    self._gains[upper] = self._loses[lower] = potential

    def energies(self, species: Collection[str]) -> dict[str, int] | None:
        """MeV per ion of an element's states over the lowest; None if unknown."""
        lowest, *others = sorted(species, key=lambda text: parse_species(text).charge)
        found = {lowest: 0}
        if not others:
            return found
        ladder = self._ladders.get(parse_species(lowest).element, [])
        if not set(ladder).issuperset(species):
            return None
        energy = 0
        for lower, upper in pairwise(ladder[ladder.index(lowest) :]):
            potential = self._gains.get(upper)
            if potential is None:
                break
            electrons = self._table[upper].charge - self._table[lower].charge
            energy += electrons * potential
            found[upper] = energy
        if any(text not in found for text in others):
            return None
        return {text: found[text] for text in species}

    def react(self, first: str, second: str) -> bool:
        """
        Whether one species takes an electron from the other.

        They do if the couple that gives it away lies :data:`REACTS_FROM` or more below
        the one that takes it up.
        """
        return self._takes(first, second) or self._takes(second, first)

    def _takes(self, taker: str, giver: str) -> bool:
        gain, loss = self._gains.get(taker), self._loses.get(giver)
        return gain is not None and loss is not None and gain - loss >= REACTS_FROM

    def reacting(self, present: Collection[str]) -> tuple[str, str] | None:
        """Find the two of some species that react most readily, the giver first."""
        losing = [(self._loses[one], one) for one in present if one in self._loses]
        gaining = [(self._gains[one], one) for one in present if one in self._gains]
        if not losing or not gaining:
            return None
        (lowest, giver), (highest, taker) = min(losing), max(gaining)
        return (giver, taker) if highest - lowest >= REACTS_FROM else None


@cache
def package_scale() -> RedoxScale:
    """Return the redox couples of the package's species table."""
    return RedoxScale(species_table())
