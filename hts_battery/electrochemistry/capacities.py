r"""
Capacity from the composition alone, exact.

A candidate gives off at most its carriers, and its metals at most the electrons between
what they hold and the highest charge they reach,

.. math:: n_e = \sum_i n_i z_i^\text{max}

summed over every element: metals at their ceiling, alkali metals, and anions with their
charge. Which metal holds which electrons does not matter, so no valence is assigned.
What carriers remain beyond that takes electrons from oxygen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import lcm

from pymatgen.core import Element

from hts_battery.electrochemistry.carriers import carrier_charge, table_rows
from hts_battery.errors import CompositionError
from hts_battery.schemas.formula import ELEMENTS, parse_formula

MAH_PER_MOL = 96485.33212 / 3.6
"""Charge of one mole of electrons, mAh."""
NAMES = ("reachable", "conservative")
"""Tables of ceilings that ship."""
OWN = "own"
"""Name of a table that the caller brings."""

ABOVE_CEILING = "valence_above_ceiling"
"""Flag: the metals hold less electrons than their ceilings leave them."""


@dataclass(frozen=True)
class Capacity:
    """Charge that a candidate gives off, by where the electrons come from."""

    formula: str
    carrier_element: str
    ceilings: str
    """Name of the table of ceilings."""
    electrons: Fraction
    """Electrons per formula unit that the metals may give; negative above a ceiling."""
    carriers: Fraction
    """Electrons per formula unit that take all carriers with them."""
    mass: float
    """Of a formula unit, g/mol."""

    @property
    def metal_electrons(self) -> Fraction:
        """Electrons per formula unit that metals give, never more than carriers."""
        return max(Fraction(0), min(self.electrons, self.carriers))

    @property
    def carrier(self) -> float:
        """Capacity if every carrier leaves, mAh/g."""
        return self._per_gram(self.carriers)

    @property
    def metal_redox(self) -> float:
        """Part of it that metals give, mAh/g."""
        return self._per_gram(self.metal_electrons)

    @property
    def oxygen_redox(self) -> float:
        """The rest, for which oxygen would be oxidised, mAh/g."""
        return self._per_gram(self.carriers - self.metal_electrons)

    @property
    def flags(self) -> tuple[str, ...]:
        """What to know before it is used."""
        return (ABOVE_CEILING,) if self.electrons < 0 else ()

    def _per_gram(self, electrons: Fraction) -> float:
        return float(electrons) * MAH_PER_MOL / self.mass


def capacity(
    formula: str,
    carrier: str = "Li",
    *,
    ceilings: str | Mapping[str, int] = "reachable",
) -> Capacity:
    """
    Capacity of a candidate from its composition.

    Parameters
    ----------
    formula
        Any formula that holds an anion; masses are those of pymatgen.
    carrier
        Element that passes through the circuit; other alkali metals stay.
    ceilings
        Name of a table of the highest charges, ``reachable`` or ``conservative``, or
        charges that replace those of ``reachable``.

    Returns
    -------
    Capacity
        Without carriers it is zero.

    Raises
    ------
    CompositionError
        If an element has no charge in the table, or nothing in the formula is an
        anion by it (a sulfide needs a table that says so).
    ValueError
        If the carrier or the table is not known, or a charge that is brought is no
        whole number or of no element.

    Examples
    --------
    >>> found = capacity("Li1.2Mn0.4Ti0.4O2")
    >>> found.electrons, round(found.carrier, 1), round(found.metal_redox, 1)
    (Fraction(2, 5), 394.9, 131.6)
    >>> round(capacity("LiTiS2", ceilings={"S": -2}).metal_redox, 1)
    225.3
    """
    amounts = parse_formula(formula)
    charge = carrier_charge(carrier)
    name, table = ceilings_table(ceilings)
    unknown = sorted(amounts.keys() - table.keys())
    if unknown:
        raise CompositionError(
            f"{formula}: no highest charge of {', '.join(unknown)} in the table "
            f"{name!r}: give one"
        )
    if min(table[symbol] for symbol in amounts) > 0:
        raise CompositionError(
            f"{formula} holds no anion of the table {name!r}: give the charge of the "
            "element that is one"
        )
    # Over one denominator: rationals one by one take half of the time.
    unit = lcm(*(amount.denominator for amount in amounts.values()))
    total = sum(
        amount.numerator * (unit // amount.denominator) * table[el]
        for el, amount in amounts.items()
    )
    return Capacity(
        formula=formula,
        carrier_element=carrier,
        ceilings=name,
        electrons=Fraction(total, unit),
        carriers=charge * amounts.get(carrier, Fraction(0)),
        mass=sum(float(n) * _masses()[el] for el, n in amounts.items()),
    )


def ceilings_table(ceilings: str | Mapping[str, int]) -> tuple[str, Mapping[str, int]]:
    """Name a table of the highest charges and give it; ValueError if it is none."""
    if isinstance(ceilings, Mapping):
        for symbol, charge in ceilings.items():
            if symbol not in ELEMENTS:
                raise ValueError(f"table of ceilings: {symbol!r} is no element")
            if charge != int(charge):
                raise ValueError(
                    f"ceiling of {symbol} is {charge!r}: give a whole number"
                )
        return OWN, {**_charges("reachable"), **ceilings}
    if ceilings not in NAMES:
        raise ValueError(
            f"table of ceilings {ceilings!r}: give {' or '.join(NAMES)}, or charges"
        )
    return ceilings, _charges(ceilings)


@lru_cache(maxsize=2)
def _charges(name: str) -> Mapping[str, int]:
    return {row["element"]: int(row[name]) for row in table_rows("ceilings.csv")}


@lru_cache(maxsize=1)
def _masses() -> Mapping[str, float]:
    return {element.symbol: float(element.atomic_mass) for element in Element}
