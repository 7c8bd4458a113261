"""Ionic radii, and the size of a lattice that follows from them."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor
from typing import TYPE_CHECKING

from pymatgen.core import Element

from hts_battery.errors import OrderingError
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.species_table import species_properties

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from fractions import Fraction

    from hts_battery.schemas.species_table import Spin, SpinState
    from hts_battery.structures.prototypes import Prototype

_ROMAN = {
    text: number
    for number, text in enumerate(
        ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"),
        start=1,
    )
}
_SPIN = {"high": "High Spin", "low": "Low Spin"}


def between_charges(charge: float | Fraction, value: Callable[[int], float]) -> float:
    """Interpolate a property of ions linearly between the integer charges beside."""
    low, high = floor(charge), ceil(charge)
    below = value(low)
    return below + float(charge - low) * (value(high) - below) if high > low else below


@lru_cache(maxsize=1024)
def ionic_radius(species: str, coordination: int, spin: Spin | None = None) -> float:
    """
    Shannon's ionic radius of a species, in angstrom, from pymatgen's table.

    Where the table lacks the coordination, the nearest one; where it lacks the
    charge, the nearest charge of the element: the radius only sets the volume that a
    relaxation starts from. Spin state as in the species table, if not given.

    Examples
    --------
    >>> ionic_radius("Mn3+", 6), ionic_radius("O2-", 6)
    (0.645, 1.4)
    """
    parsed = parse_species(species)
    table = Element(parsed.element).data.get("Shannon radii")
    if not isinstance(table, dict) or not table:
        raise OrderingError(
            f"no ionic radius of {parsed.element} is known, so no starting volume"
        )
    charge = min(table, key=lambda text: (abs(int(text) - parsed.charge), int(text)))
    by_number = {
        _ROMAN[text]: radii for text, radii in table[charge].items() if text in _ROMAN
    }
    if not by_number:  # only square planar or pyramidal sites in the table
        by_number = {coordination: next(iter(table[charge].values()))}
    nearest = min(by_number, key=lambda number: (abs(number - coordination), number))
    spins = by_number[nearest]
    wanted = _SPIN.get(spin or species_properties(species).spin or "", "")
    chosen = spins.get(wanted) or spins.get("High Spin") or next(iter(spins.values()))
    return float(chosen["ionic_radius"])


def lattice_scale(
    prototype: Prototype,
    occupation: Mapping[str, Mapping[str, int]],
    spin_states: Mapping[str, SpinState] | None = None,
) -> float:
    r"""
    Factor from the reference compound's lattice to that of a composition.

    .. math:: f = \frac1B \sum_{AB}
        \frac{\bar r_A + \bar r_B}{r_A^{ref} + r_B^{ref}}

    over the prototype's B bonds, with mean radii over the species of a sublattice.
    For rocksalt it is Vegard's law of the cation-anion distance.
    """

    def radius(species: str, coordination: int) -> float:
        state = (spin_states or {}).get(species)
        return ionic_radius(species, coordination, state.spin if state else None)

    def mean(name: str, species: Mapping[str, int]) -> float:
        kept = {s: n for s, n in species.items() if s != VACANCY}
        sublattice = prototype.sublattices[name]
        if not kept:
            return radius(sublattice.reference, sublattice.coordination)
        total = sum(n * radius(s, sublattice.coordination) for s, n in kept.items())
        return total / sum(kept.values())

    ratios = []
    for first, second in prototype.bonds:
        reference = mean(first, {prototype.sublattices[first].reference: 1}) + mean(
            second, {prototype.sublattices[second].reference: 1}
        )
        here = mean(first, occupation[first]) + mean(second, occupation[second])
        ratios.append(here / reference)
    return sum(ratios) / len(ratios)
